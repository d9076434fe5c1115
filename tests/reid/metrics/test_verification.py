"""Thresholds at a stated false match rate, against counting pair by pair."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.metrics.verification import Verification, verification


def material(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    persons = np.repeat(np.arange(12), 6)
    cameras = np.tile([0, 0, 1, 1, 2, 2], 12)
    centres = rng.normal(size=(12, 8))
    noise = rng.normal(size=(72, 8))
    return (centres[persons] + 0.9 * noise).astype(np.float32), persons, cameras


def pairs(embeddings, persons, cameras) -> tuple[list[float], list[float]]:
    right, wrong = [], []
    for i, j in itertools.combinations(range(len(persons)), 2):
        a, b = embeddings[i].astype(float), embeddings[j].astype(float)
        cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        if persons[i] != persons[j]:
            wrong.append(cosine)
        elif cameras[i] != cameras[j]:
            right.append(cosine)
    return right, wrong


@pytest.mark.parametrize("rate", [0.2, 0.05, 0.01])
def test_the_threshold_keeps_its_rate(rate: float) -> None:
    curve = verification(*material())
    assert curve is not None
    right, wrong = pairs(*material())
    assert (curve.persons, curve.right_pairs, curve.wrong_pairs) == (12, len(right), len(wrong))
    threshold = curve.threshold(rate)
    assert np.mean([cosine >= threshold for cosine in wrong]) <= rate
    # No lower one on the curve's grid would keep it.
    assert np.mean([cosine >= threshold - 0.006 for cosine in wrong]) > rate
    assert curve.missed(threshold) == pytest.approx(np.mean([c < threshold for c in right]))
    assert f"{threshold:.3f}" in str(curve) or rate not in (0.1, 0.01, 0.001)


def test_it_is_read_back_from_json() -> None:
    curve = verification(*material())
    assert curve is not None
    again = Verification.from_dict(json.loads(json.dumps(curve.to_dict())))
    assert again.threshold(0.01) == pytest.approx(curve.threshold(0.01), abs=1e-5)
    with pytest.raises(InputError, match="damaged error curve"):
        Verification.from_dict({**curve.to_dict(), "false_match": [0.5]})


def test_what_pairs_cannot_tell_is_refused() -> None:
    embeddings, persons, cameras = material()
    curve = verification(embeddings, persons, cameras)
    assert curve is not None
    with pytest.raises(InputError, match="validation_persons"):
        curve.threshold(1e-6)
    with pytest.raises(InputError, match="rate of 1"):
        curve.threshold(1.0)
    assert verification(embeddings, persons, np.zeros_like(cameras)) is None
    assert verification(embeddings, np.zeros_like(persons), cameras) is None
