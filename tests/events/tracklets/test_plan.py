"""Windows: none crosses a gap or a segment, none is lost without a word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Track, plan_chunks, plan_segments, standing_span


def still_track(indices):
    boxes = np.tile([10.0, 10.0, 40.0, 100.0], (len(indices), 1))
    return Track(4, np.array(indices, dtype=np.int64), boxes)


def walker(*, arriving=14, standing=30, leaving=12, fidget_at=None):
    x = np.concatenate(
        [
            np.arange(-arriving, 0) * 8.0 + 200,
            np.full(standing, 200.0),
            200 + 10.0 * np.arange(1, leaving + 1),
        ]
    )
    if fidget_at is not None:
        x[fidget_at] += 4
    boxes = np.stack([x, np.full_like(x, 20), np.full_like(x, 60), np.full_like(x, 200)], axis=1)
    return Track(1, np.arange(len(x), dtype=np.int64), boxes)


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=50, unique=True).map(sorted),
    st.integers(1, 5),
    st.integers(1, 3),
)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_chunks_cover_every_long_enough_stretch_and_no_gap(indices, frames, stride):
    track = still_track(indices)
    plan = plan_chunks([track], frames=frames, stride=stride)
    covered = set()
    for window in plan.windows:
        span = window.span
        assert len(span) == frames * stride
        assert (np.diff(span) == 1).all()
        assert window.sampled.tolist() == span.tolist()[stride - 1 :: stride]
        covered |= set(span.tolist())
    long_enough, short = set(), 0
    for run in track.runs():
        if run.stop - run.start >= frames * stride:
            long_enough |= set(indices[run])
        else:
            short += 1
    assert covered == long_enough
    assert len(plan.left_out) == short
    assert len({window.name for window in plan.windows}) == len(plan.windows)


def test_chunks_can_be_limited_and_spread():
    plan = plan_chunks([still_track(range(80))], frames=4, limit=3)
    assert [window.start for window in plan.windows] == [0, 40, 76]
    assert len(plan_chunks([still_track(range(80))], frames=4, limit=1).windows) == 1
    with pytest.raises(InputError, match="limit"):
        plan_chunks([still_track(range(80))], limit=0)


def test_a_short_stretch_is_named():
    plan = plan_chunks([still_track([4, 5, 6])], frames=4)
    assert not plan.windows
    assert plan.left_out == ("track 4: 3 frames from frame 5, fewer than the 4 of a tracklet",)
    assert plan.left_out[0] in str(plan)


@pytest.mark.parametrize("fidget_at", [None, 25])
def test_the_stand_is_found_also_over_a_fidget(fidget_at):
    begin, end = standing_span(walker(fidget_at=fidget_at))
    assert abs(begin - 14) <= 2
    assert abs(end - 44) <= 2


def test_one_who_never_stands_only_arrives():
    track = walker(arriving=40, standing=0, leaving=0)
    assert standing_span(track) == (40, 40)
    segments = {window.segment for window in plan_segments([track]).windows}
    assert segments == {"arriving"}


def test_segments_do_not_mix_and_stand_in_for_cameras():
    track = walker()
    begin, end = standing_span(track)
    plan = plan_segments([track], frames=4, counts={"arriving": 4, "standing": 6, "leaving": 4})
    bounds = {"arriving": (0, begin), "standing": (begin, end), "leaving": (end, len(track))}
    for window in plan.windows:
        low, high = bounds[window.segment]
        assert low <= window.start
        assert window.start + 4 <= high
        assert window.camera == list(bounds).index(window.segment)
    assert [sum(w.segment == s for w in plan.windows) for s in bounds] == [4, 6, 4]
    assert plan.windows[0].name == "p1-arriving-0"


def test_sizes_below_one_are_errors():
    with pytest.raises(InputError, match="stride of 0"):
        plan_chunks([still_track(range(9))], stride=0)
    with pytest.raises(InputError, match="0 frames"):
        plan_segments([still_track(range(9))], frames=0)
