"""Rankings in blocks and re-ranking: against dense definitions, written from the papers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.metrics import (
    ReRanking,
    changed_lists,
    distance_blocks,
    distance_matrix,
    evaluate_ranking,
    join_rankings,
    neighbour_blocks,
    rank,
    rank_blocks,
    rerank_blocks,
)
from sdcl_neuro.reid.metrics.blocks import block_slices


def torchreid_measures(distances, q_ids, g_ids, q_cams, g_cams, most=50):
    """The definition that torchreid documents for Market-1501, in its own words:

    for each query identity, its gallery images from the same camera view are discarded; the CMC
    curve of a query is 1 from the first match on; AP is the sum of precisions at the matches over
    the number of matches; both are averaged over queries that have a match.
    """
    curves, precisions = [], []
    for q in range(len(q_ids)):
        order = sorted(range(len(g_ids)), key=lambda g: (distances[q][g], g))
        kept = [g for g in order if g_ids[g] != q_ids[q] or g_cams[g] != q_cams[q]]
        hits = [g_ids[g] == q_ids[q] for g in kept]
        if not any(hits):
            continue
        curve, running, total = [], 0, 0.0
        for position, hit in enumerate(hits, start=1):
            running += hit
            curve.append(1.0 if running else 0.0)
            total += running / position if hit else 0.0
        precisions.append(total / running)
        curves.append((curve + [curve[-1]] * most)[:most])
    return np.mean(precisions), np.mean(curves, axis=0)


def labelled(seed, queries, gallery, dimensions, *, whole=False, persons=5, cameras=3):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(persons, dimensions))
    q_ids, g_ids = rng.integers(0, persons, queries), rng.integers(0, persons, gallery)
    q, g = (centres[i] + rng.normal(size=(len(i), dimensions)) for i in (q_ids, g_ids))
    if whole:  # exact arithmetic, and many equal distances
        q, g = np.rint(q), np.rint(g)
    return q, g, q_ids, g_ids, rng.integers(0, cameras, queries), rng.integers(0, cameras, gallery)


def dense_reranking(queries, gallery, k1, k2, weight):
    """Zhong et al.'s formulas on full matrices, one feature at a time, Euclidean."""
    everyone = np.concatenate([queries, gallery]).astype(float)
    total = len(everyone)
    squares = ((everyone[:, None] - everyone[None]) ** 2).sum(-1)
    scaled = squares / squares.max(1, keepdims=True)
    ranked = [sorted(range(total), key=lambda j, i=i: (squares[i, j], j)) for i in range(total)]

    def nearest(i, k):
        return ranked[i][: k + 1]

    def reciprocal(i, k):
        return {j for j in nearest(i, k) if i in nearest(j, k)}

    encoded = np.zeros((total, total))
    for i in range(total):
        base = reciprocal(i, k1)
        members = set(base)
        for candidate in base:
            theirs = reciprocal(candidate, round(k1 / 2))
            if len(theirs & base) > 2 / 3 * len(theirs):
                members |= theirs
        for j in members:
            encoded[i, j] = np.exp(-scaled[i, j])
        encoded[i] /= encoded[i].sum() or 1.0
    if k2 > 1:
        encoded = np.array([encoded[ranked[i][:k2]].mean(0) for i in range(total)])
    result = np.empty((len(queries), len(gallery)))
    for q in range(len(queries)):
        for g in range(len(gallery)):
            shared = np.minimum(encoded[q], encoded[len(queries) + g]).sum()
            jaccard = 1 - shared / (2 - shared)
            result[q, g] = (1 - weight) * jaccard + weight * scaled[q, len(queries) + g]
    return result


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(3, 40), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_measures_equal_the_published_definition(seed, queries, gallery, whole):
    q, g, *labels = labelled(seed, queries, gallery, 3, whole=whole)
    distances = distance_matrix(q, g, metric="euclidean")
    if not rank(distances, *labels).has_matches:
        return
    metrics = rank_blocks(distance_blocks(q, g, metric="euclidean", rows=4), *labels).metrics
    mean_ap, curve = torchreid_measures(distances, *labels)
    assert metrics.mean_ap == pytest.approx(mean_ap, abs=1e-12)
    assert metrics.cmc == pytest.approx({r: curve[r - 1] for r in (1, 5, 10, 20)}, abs=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("rows", [None, 1, 7])
def test_blocks_are_the_matrix(metric, rows, monkeypatch):
    monkeypatch.setattr(
        "sdcl_neuro.reid.metrics.blocks.CHUNK_BYTES", 8 * 5 * 6
    )  # five columns a chunk
    q, g, *labels = labelled(1, 20, 33, 6)
    q[3] = 0.0
    expected = distance_matrix(q, g, metric=metric)
    blocks = list(distance_blocks(q, g, metric=metric, rows=rows))
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-7)
    ranking, lists = rank_blocks(blocks, *labels, head=8), rank(np.concatenate(blocks), *labels)
    assert ranking.metrics == lists.metrics == evaluate_ranking(np.concatenate(blocks), *labels)
    for query, one in enumerate(lists):
        kept = min(8, len(one.gallery))
        np.testing.assert_array_equal(ranking.head[query, :kept], one.gallery[:8])
        np.testing.assert_array_equal(ranking.matches[query, :kept], one.matches[:8])
        np.testing.assert_array_equal(ranking.distances[query, :kept], one.distances[:8])
    precisions = ranking.precisions
    assert np.nanmean(precisions) == pytest.approx(lists.metrics.mean_ap)
    assert np.isnan(precisions).sum() == lists.metrics.skipped


def test_short_lists_are_filled_up():
    # Camera 0 saw person 1 three times: those copies are left out, and one entry remains.
    ranking = rank_blocks([[[0.1, 0.2, 0.3, 0.4]]], [1], [1, 1, 1, 1], [0], [0, 0, 0, 1])
    np.testing.assert_array_equal(ranking.head, [[3, -1, -1, -1]])
    np.testing.assert_array_equal(ranking.matches, [[True, False, False, False]])
    assert ranking.distances[0, 1] == np.inf


def test_changed_lists_are_counted_by_depth():
    order = np.arange(30.0)
    late, near, first = order.copy(), order.copy(), order.copy()
    late[[25, 26]] = late[[26, 25]]
    near[[8, 9]] = near[[9, 8]]
    first[[0, 1]] = first[[1, 0]]
    labels = (np.zeros(4, int), np.zeros(30, int))
    before = rank_blocks([[order] * 4], *labels)
    changed = changed_lists(before, rank_blocks([[order, late, near, first]], *labels))
    assert changed.to_dict() == {"queries": 4, "first": 1, "near": 2, "whole": 3}
    assert str(changed) == ("of 4 lists 3 changed, 2 in the first 10, 1 in the first entry")
    with pytest.raises(InputError, match="same queries"):
        changed_lists(before, rank_blocks([[order]], [0], labels[1]))


def test_blocks_of_other_labels_are_refused():
    with pytest.raises(InputError, match="2 queries for 3"):
        rank_blocks([[[0.1], [0.2]]], [1, 1, 1], [1])
    for q, g, message in (
        ([[1.0, 2.0]], [[1.0]], "one D"),
        ([[np.nan]], [[1.0]], "not finite"),
        (np.empty((0, 2)), [[1.0, 2.0]], "at least one"),
    ):
        with pytest.raises(InputError, match=message):
            list(distance_blocks(q, g))
    with pytest.raises(InputError, match="cosine or euclidean"):
        list(distance_blocks([[1.0]], [[1.0]], metric="hamming"))


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 8),
    st.integers(2, 30),
    st.sampled_from([(20, 6), (4, 3), (5, 1), (1, 1), (3, 7)]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.booleans(),
)
@settings(deadline=None, derandomize=True, max_examples=80)
def test_reranking_equals_the_dense_formulas(seed, queries, gallery, k, weight, whole):
    q, g, *_ = labelled(seed, queries, gallery, 4, whole=whole)
    if len(np.unique(np.concatenate([q, g]), axis=0)) < 2:
        return
    found = np.concatenate(
        list(rerank_blocks(q, g, metric="euclidean", settings=ReRanking(*k, weight)))
    )
    np.testing.assert_allclose(found, dense_reranking(q, g, *k, weight), atol=1e-12)


def test_reranking_by_cosine_is_that_of_unit_vectors(monkeypatch):
    q, g, *_ = labelled(3, 11, 70, 5)
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (q, g)]
    expected = dense_reranking(*unit, 20, 6, 0.3)
    monkeypatch.setattr("sdcl_neuro.reid.metrics.blocks.BLOCK_BYTES", 8 * 70 * 4)
    monkeypatch.setattr("sdcl_neuro.reid.metrics.reranking._ROWS", 16)
    monkeypatch.setattr("sdcl_neuro.reid.metrics.reranking._PAIR_BYTES", 8 * 5 * 9)
    blocks = list(rerank_blocks(q, g))
    assert len(blocks) == 3
    np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_blocks_by_themselves_are_those_of_the_whole(metric, monkeypatch):
    monkeypatch.setattr("sdcl_neuro.reid.metrics.blocks.BLOCK_BYTES", 8 * 33 * 6)
    q, g, *labels = labelled(1, 20, 33, 6)
    assert [part.stop - part.start for part in block_slices(20, 33)] == [6, 6, 6, 2]
    near = list(neighbour_blocks(q, g, metric=metric))
    assert len(near) == 18  # of 53, three at a time
    chosen = neighbour_blocks(q, g, metric=metric, only=[17, 4])
    for one, number in zip(chosen, (17, 4), strict=True):
        for alone, within in zip(one, near[number], strict=True):
            np.testing.assert_array_equal(alone, within)
    known = tuple(np.concatenate(parts) for parts in zip(*near, strict=True))
    for blocks, more in ((distance_blocks, {}), (rerank_blocks, {"neighbours": known})):
        whole = list(blocks(q, g, metric=metric))
        alone = [*blocks(q, g, metric=metric, only=[3, 1], **more)]
        np.testing.assert_array_equal(alone[0], whole[3])
        np.testing.assert_array_equal(alone[1], whole[1])
        q_ids, g_ids, q_cams, g_cams = (np.asarray(one) for one in labels)
        parts = [
            rank_blocks([block], q_ids[part], g_ids, q_cams[part], g_cams)
            for part, block in zip(block_slices(20, 33), whole, strict=True)
        ]
        joined, expected = join_rankings(parts), rank_blocks(whole, *labels)
        assert joined.measures == expected.measures
        assert joined.digests == expected.digests
        for name in ("head", "distances", "matches"):
            np.testing.assert_array_equal(getattr(joined, name), getattr(expected, name))


def test_reranking_mends_a_chain_of_neighbours():
    # Person 1 walks from 0 to 4 in small steps, person 2 stands at -1.5: the query at 0 is nearer
    # to the stranger than to its own far end, but shares no neighbours with them.
    rng = np.random.default_rng(0)
    chain = np.stack([np.linspace(0, 4, 25), np.zeros(25)], 1)
    crowd = np.stack([np.full(25, -1.5), np.zeros(25)], 1) + 0.05 * rng.normal(size=(25, 2))
    q, g = chain[:1], np.concatenate([chain[1:], crowd])
    labels = [1], [1] * 24 + [2] * 25
    plain = rank_blocks(distance_blocks(q, g, metric="euclidean"), *labels).metrics
    better = rank_blocks(
        rerank_blocks(q, g, metric="euclidean", settings=ReRanking(k1=8, k2=4)), *labels
    ).metrics
    assert better.mean_ap > plain.mean_ap


@pytest.mark.parametrize("bad", [{"k1": 0}, {"k2": 0}, {"weight": 1.5}])
def test_bad_settings_of_reranking_are_refused(bad):
    with pytest.raises(InputError, match="re-ranking with"):
        ReRanking(**bad)


PEAK = """
import resource, sys
import numpy as np
from sdcl_neuro.reid.metrics import distance_blocks, rank_blocks, rerank_blocks
queries, gallery, size, kind = *map(int, sys.argv[1:4]), sys.argv[4]
rng = np.random.default_rng(0)
features = [rng.normal(size=(n, size)).astype(np.float32) for n in (queries, gallery)]
ids, cameras = ([rng.integers(0, high, n) for n in (queries, gallery)] for high in (50, 6))
rank_blocks(distance_blocks(*(f[:64] for f in features)), *(v[:64] for v in (*ids, *cameras)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
blocks = distance_blocks(*features) if kind == "plain" else rerank_blocks(*features)
ranking = rank_blocks(blocks, *ids, *cameras)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, ranking.metrics.queries)
"""


@pytest.mark.parametrize(
    ("kind", "queries", "gallery", "limit_mib"),
    # The whole matrices would take 122 MiB (three times over: sorted, flagged), and 275 MiB.
    [("plain", 4000, 4000, 110), ("rerank", 1000, 5000, 200)],
)
def test_memory_grows_with_the_features_not_with_the_matrix(kind, queries, gallery, limit_mib):
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(queries), str(gallery), "64", kind],
        capture_output=True,
        text=True,
        check=True,
    )
    grown_kib, counted = map(int, done.stdout.split())
    assert counted == queries
    assert grown_kib < limit_mib * 1024
