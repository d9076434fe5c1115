"""Losses and batches for training embeddings."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.metrics.losses import batch_hard_triplet, cross_entropy
from sdcl_neuro.reid.training.sampler import pk_batches


def slow_triplet(embeddings, labels, margin):
    total = 0.0
    for a in range(len(labels)):
        positives, negatives = [0.0], []
        for b in range(len(labels)):
            distance = float(np.linalg.norm(embeddings[a] - embeddings[b]))
            (positives if labels[a] == labels[b] else negatives).append(distance)
        total += max(0.0, margin + max(positives) - min(negatives))
    return total / len(labels)


@given(st.integers(0, 2**32 - 1), st.integers(2, 10), st.floats(0, 2))
@settings(deadline=None, derandomize=True, max_examples=80)
def test_triplet_equals_the_slow_definition(seed, count, margin):
    rng = np.random.default_rng(seed)
    embeddings, labels = rng.normal(size=(count, 4)), rng.integers(0, 3, count)
    labels[:2] = (0, 1)
    loss = batch_hard_triplet(torch.from_numpy(embeddings), torch.from_numpy(labels), margin=margin)
    assert float(loss) == pytest.approx(slow_triplet(embeddings, labels, margin), abs=1e-5)


def slow_cosine_triplet(embeddings, labels, margin):
    total = 0.0
    for a in range(len(labels)):
        positives, negatives = [0.0], []
        for b in range(len(labels)):
            product = embeddings[a] @ embeddings[b]
            cosine = product / np.linalg.norm(embeddings[a]) / np.linalg.norm(embeddings[b])
            (positives if labels[a] == labels[b] else negatives).append(1 - cosine)
        difference = max(positives) - min(negatives)
        total += np.log1p(np.exp(difference)) if margin is None else max(0.0, margin + difference)
    return total / len(labels)


@pytest.mark.parametrize("margin", [0.3, 0.0, None])
def test_triplet_by_cosine_does_not_depend_on_the_scale(margin):
    rng = np.random.default_rng(3)
    embeddings, labels = rng.normal(size=(9, 4)), np.array([0, 0, 0, 1, 1, 1, 2, 2, 3])
    given = torch.from_numpy(embeddings), torch.from_numpy(labels)
    loss = batch_hard_triplet(*given, margin=margin, metric="cosine")
    assert float(loss) == pytest.approx(slow_cosine_triplet(embeddings, labels, margin), abs=1e-9)
    scaled = batch_hard_triplet(1e3 * given[0], given[1], margin=margin, metric="cosine")
    assert float(scaled) == pytest.approx(float(loss), abs=1e-9)


def test_triplet_by_hand():
    embeddings = torch.tensor([[0.0], [1.0], [3.0], [3.5]])
    # Anchors: 1 - 3 + 3, 1 - 2 + 3, 0.5 - 2 + 3, 0.5 - 2.5 + 3.
    loss = batch_hard_triplet(embeddings, torch.tensor([0, 0, 1, 1]), margin=3.0)
    assert float(loss) == pytest.approx((1 + 2 + 1.5 + 1) / 4)


def test_triplet_has_finite_gradients_where_embeddings_are_equal():
    embeddings = torch.zeros(4, 3, requires_grad=True)
    batch_hard_triplet(embeddings, torch.tensor([0, 0, 1, 1])).backward()
    assert torch.isfinite(embeddings.grad).all()


def test_training_on_the_losses_separates_two_persons():
    torch.manual_seed(0)
    embeddings = torch.randn(8, 4, requires_grad=True)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    classes = torch.randn(4, 2, requires_grad=True)
    optimiser = torch.optim.Adam([embeddings, classes], lr=0.1)
    for _ in range(100):
        loss = batch_hard_triplet(embeddings, labels) + cross_entropy(embeddings @ classes, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert batch_hard_triplet(embeddings, labels).item() == 0.0
    assert ((embeddings @ classes).argmax(1) == labels).all()


def test_cross_entropy_is_smoothed_over_all_classes():
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    logs = torch.log_softmax(logits, 1)[0]
    expected = -(0.9 * logs[0] + 0.1 / 3 * logs.sum())
    assert float(cross_entropy(logits, torch.tensor([0]))) == pytest.approx(float(expected))


def test_batches_that_cannot_be_mined_are_refused():
    with pytest.raises(InputError, match="single identity"):
        batch_hard_triplet(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long))
    with pytest.raises(InputError, match="shape"):
        batch_hard_triplet(torch.zeros(3, 2), torch.zeros(2, dtype=torch.long))


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=40),
    st.integers(1, 7),
    st.integers(1, 5),
    st.integers(0, 99),
)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_batches_hold_p_persons_with_k_tracklets(labels, persons, tracklets, seed):
    labels = np.array(labels)
    if persons > len(np.unique(labels)):
        with pytest.raises(InputError, match="no more persons than there are"):
            next(pk_batches(labels, persons, tracklets, steps=1))
        return
    for batch in pk_batches(labels, persons, tracklets, steps=5, seed=seed):
        groups = batch.reshape(persons, tracklets)
        ids = labels[groups]
        assert (ids == ids[:, :1]).all()
        assert len(set(ids[:, 0].tolist())) == persons
        for group, one in zip(groups, ids[:, 0], strict=True):
            there = int((labels == one).sum())
            assert len(set(group.tolist())) == min(tracklets, there)


def test_batches_are_even_and_seeded():
    labels = np.repeat(np.arange(6), 10)
    batches = list(pk_batches(labels, 4, 2, steps=30, seed=3))
    assert set(Counter(np.concatenate(batches).tolist()).values()) == {4}
    again = list(pk_batches(labels, 4, 2, steps=30, seed=3))
    np.testing.assert_array_equal(batches, again)
    other = list(pk_batches(labels, 4, 2, steps=30, seed=4))
    assert not np.array_equal(batches, other)
    with pytest.raises(InputError, match="integers"):
        next(pk_batches(np.zeros(3), 1, 1, steps=1))
