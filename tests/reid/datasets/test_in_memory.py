"""Tracklets that are cut already: arriving persons asked, leaving ones searched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.reid.datasets import Clip, TrackletsInMemory, hold_segments, labels


@pytest.fixture
def cut():
    first = Tracklet(
        "p1", 1, 0,
        np.zeros((2, 256, 128, 3), np.uint8), np.zeros((6, 2, 8, 4), np.uint8),
        np.array([1, 2]), np.zeros((2, 4), np.int64), "arriving",
    )  # fmt: skip
    return [first, replace(first, person=2), replace(first, camera=1, segment="standing"),
            replace(first, person=2, camera=2, segment="leaving")]  # fmt: skip


def test_segments_become_query_and_gallery(cut):
    data = hold_segments(cut)
    assert labels(data, "query").persons.tolist() == [1, 2]
    assert labels(data, "gallery").cameras.tolist() == [2]
    assert data.load(3, Clip(2, 3, (8, 4))) is cut[3]
    assert "query 2 of 2 persons" in str(data)


def test_refusals(cut):
    with pytest.raises(InputError, match=r"tracklet p1: was cut as .*frames=2.*, not .*frames=4"):
        hold_segments(cut).load(0, Clip(4, 3, (8, 4)))
    with pytest.raises(InputError, match="no tracklets of segment 'leaving'"):
        hold_segments(cut[:3])
    with pytest.raises(InputError, match="position 4 of 4"):
        TrackletsInMemory(tuple(cut), query=(4,))
