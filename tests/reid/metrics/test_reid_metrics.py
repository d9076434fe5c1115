"""Measures against a slow definition, by hand and by chance."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.metrics import distance_matrix, evaluate_ranking, rank


def slow_metrics(distances, q_ids, g_ids, q_cams, g_cams):
    """The protocol in plain Python, one query and one rank at a time."""
    aps, inps, firsts, skipped = [], [], [], 0
    for q, row in enumerate(distances):
        entries = [
            (row[g], g)
            for g in range(len(row))
            if not (g_ids[g] == q_ids[q] and g_cams[g] == q_cams[q])
        ]
        entries.sort()
        hits, precision_sum, last, first = 0, 0.0, 0, None
        for position, (_, g) in enumerate(entries, start=1):
            if g_ids[g] == q_ids[q]:
                hits += 1
                precision_sum += hits / position
                last = position
                first = first or position
        if not hits:
            skipped += 1
            continue
        aps.append(precision_sum / hits)
        inps.append(hits / last)
        firsts.append(first)
    if not aps:
        return None
    count = len(aps)
    cmc = {r: sum(f <= r for f in firsts) / count for r in (1, 5, 10, 20)}
    return sum(aps) / count, cmc, sum(inps) / count, count, skipped


@st.composite
def rankings(draw):
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(1, 25))
    whole = st.integers(0, 8)  # few values, so that many distances are equal
    matrix = draw(st.lists(whole, min_size=queries * gallery, max_size=queries * gallery))
    labels = [
        draw(st.lists(st.integers(0, high), min_size=n, max_size=n))
        for high, n in ((3, queries), (3, gallery), (1, queries), (1, gallery))
    ]
    return np.array(matrix, dtype=float).reshape(queries, gallery) / 8, *map(np.array, labels)


@given(rankings())
@settings(deadline=None, derandomize=True, max_examples=300)
def test_measures_equal_the_slow_definition(case):
    expected = slow_metrics(*case)
    if expected is None:
        with pytest.raises(InputError, match="has a match"):
            evaluate_ranking(*case)
        assert not rank(*case).has_matches
        assert "no query has a match" in str(rank(*case))
        return
    metrics = evaluate_ranking(*case)
    assert metrics.mean_ap == pytest.approx(expected[0], abs=1e-12)
    assert dict(metrics.cmc) == pytest.approx(expected[1], abs=1e-12)
    assert metrics.mean_inp == pytest.approx(expected[2], abs=1e-12)
    assert (metrics.queries, metrics.skipped) == expected[3:]
    assert rank(*case).metrics == metrics


def test_by_hand():
    # Query of person 1, camera 0. In order of distance: a copy from its own camera (left out),
    # a stranger, the person (rank 2), a stranger, the person (rank 4).
    distances = [[0.0, 0.1, 0.2, 0.3, 0.4]]
    metrics = evaluate_ranking(distances, [1], [1, 2, 1, 3, 1], [0], [0, 0, 1, 1, 2])
    assert metrics.mean_ap == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert metrics.mean_inp == pytest.approx(2 / 4)
    assert metrics.cmc == {1: 0.0, 5: 1.0, 10: 1.0, 20: 1.0}
    assert (
        str(metrics)
        == "mAP 50.0%  R1 0.0%  R5 100.0%  R10 100.0%  R20 100.0%  mINP 50.0%  (1 query)"
    )
    everything = evaluate_ranking(distances, [1], [1, 2, 1, 3, 1])
    assert everything.mean_ap == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert everything.cmc[1] == 1.0


def test_a_query_without_a_match_is_counted_apart():
    metrics = evaluate_ranking([[0.1, 0.2], [0.1, 0.2]], [1, 5], [1, 2])
    assert (metrics.queries, metrics.skipped) == (1, 1)
    assert "1 without a match" in str(metrics)


def test_equal_distances_keep_the_order_of_the_gallery():
    ranked = rank(np.zeros((1, 40)), [0], np.arange(40) % 2)
    np.testing.assert_array_equal(ranked[0].gallery, np.arange(40))


def test_ranked_lists_print_and_serialise(tmp_path):
    ranked = rank([[0.25, 0.5, 0.125]], [7], [7, 8, 9], [0], [1, 1, 1])
    lines = str(ranked).splitlines()
    assert lines[0].startswith("mAP 50.0%")
    assert lines[2] == "query 0, person 7:  -9 (0.125)  +7 (0.250)  -8 (0.500)"
    text = ranked.to_json(tmp_path / "ranked.json")
    value = json.loads((tmp_path / "ranked.json").read_text())
    assert value == json.loads(text)
    assert value["schema"] == {"name": "sdcl_neuro.ranked_lists", "version": 1}
    assert value["metrics"]["mAP"] == 0.5
    assert value["queries"][0]["gallery"] == [2, 0, 1]
    assert value["queries"][0]["matches"] == [False, True, False]
    assert ranked.to_dict(top=1)["queries"][0]["persons"] == [9]
    assert [len(ranked), len(list(ranked))] == [1, 1]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 6), st.integers(1, 8))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_distances_equal_their_definitions(seed, queries, gallery, size):
    rng = np.random.default_rng(seed)
    q, g = rng.normal(size=(queries, size)), rng.normal(size=(gallery, size))
    cosine, euclidean = distance_matrix(q, g), distance_matrix(q, g, metric="euclidean")
    for i in range(queries):
        for j in range(gallery):
            angle = np.dot(q[i], g[j]) / np.linalg.norm(q[i]) / np.linalg.norm(g[j])
            assert cosine[i, j] == pytest.approx(1 - angle, abs=1e-9)
            assert euclidean[i, j] == pytest.approx(np.linalg.norm(q[i] - g[j]), abs=1e-6)


def test_a_zero_vector_is_as_far_from_all():
    np.testing.assert_array_equal(distance_matrix([[0.0, 0.0]], [[1.0, 2.0], [0.0, 0.0]]), 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[np.nan]], [0], [0]), "NaN"),
        (([0.0], [0], [0]), "shape"),
        ((np.zeros((0, 3)), [], [0, 0, 0]), "shape"),
        (([[0.0]], [0, 1], [0]), "q_ids"),
        (([[0.0]], [0], [0.5]), "g_ids"),
        (([[0.0]], [0], [0], [0]), "one side only"),
        (([[0.0]], [0], [0], [0], [0, 1]), "g_cams"),
    ],
)
def test_bad_rankings_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        evaluate_ranking(*arguments)


def test_bad_embeddings_are_refused():
    with pytest.raises(InputError, match="one D"):
        distance_matrix([[1.0, 2.0]], [[1.0]])
    with pytest.raises(InputError, match="not finite"):
        distance_matrix([[np.inf]], [[1.0]])
    with pytest.raises(InputError, match="cosine or euclidean"):
        distance_matrix([[1.0]], [[1.0]], metric="hamming")
