"""The simulator against a pixel-by-pixel twin in fractions, and its physics by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers import event_oracles as oracles
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, Simulator, SimulatorConfig, simulate
from sdcl_neuro.events.light import linear_intensity, linear_of_srgb, log_levels
from sdcl_neuro.events.pixels import thresholds

UNIT = 1 << 20
Frames = NDArray[np.uint8]


def expected(
    frames: Frames, times: list[int], config: SimulatorConfig
) -> list[tuple[int, int, int, int]]:
    """All events ``(t, x, y, p)`` in the order that the simulator promises."""
    height, width = frames.shape[1:3]
    on, off = thresholds(config, height * width)
    table = log_levels(config.log_eps)
    leak = round(config.leak_hz * config.threshold_on * UNIT)
    events = []
    for y in range(height):
        for x in range(width):
            pixel = frames[:, y, x]
            linear = [
                oracles.luminance_of(tuple(v.tolist())) if v.ndim else oracles.linear_of(int(v))
                for v in pixel
            ]
            found = oracles.simulate_pixel(
                [int(table[value]) for value in linear],
                times,
                on=int(on[y * width + x]),
                off=int(off[y * width + x]),
                refractory_us=config.refractory_us,
                leak_per_s=leak,
            )
            events += [(t, x, y, p) for t, p in found]
    # Within a microsecond in raster order; sorting is stable, and a pixel's own order is kept.
    return sorted(events, key=lambda e: (e[0], e[2], e[1]))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(data=st.data())
def test_every_event_is_the_twins(data: st.DataObject) -> None:
    number, height, width = (data.draw(st.integers(1, n)) for n in (5, 4, 5))
    colour = (3,) if data.draw(st.booleans()) else ()
    count = number * height * width * (3 if colour else 1)
    values = data.draw(st.binary(min_size=count, max_size=count))
    frames = np.frombuffer(values, np.uint8).reshape(number, height, width, *colour)
    steps = data.draw(st.lists(st.integers(1, 50_000), min_size=number, max_size=number))
    times = np.cumsum(steps).tolist()
    config = SimulatorConfig(
        threshold_on=data.draw(st.sampled_from([0.05, 0.2, 1.0])),
        threshold_off=data.draw(st.sampled_from([0.05, 0.3, 1.0])),
        mismatch=data.draw(st.sampled_from([0.0, 0.03, 0.4])),
        refractory_us=data.draw(st.sampled_from([0, 1, 500, 20_000])),
        leak_hz=data.draw(st.sampled_from([0.0, 0.1, 300.0])),
        seed=data.draw(st.integers(0, 1000)),
    )
    events = simulate(frames, times, config)
    assert events.array.tolist() == expected(frames, times, config)


def test_pixels_with_very_many_events_fit() -> None:
    frames = np.array([[[0, 255]], [[255, 0]], [[0, 255]]], np.uint8)
    config = SimulatorConfig(0.01, 0.01, mismatch=0, refractory_us=0, log_eps=1e-6)
    times = [0, 100, 200_000]
    events = simulate(frames, times, config)
    assert len(events) > 5000
    assert events.array.tolist() == expected(frames, times, config)


def test_tables_are_the_formulas() -> None:
    assert linear_of_srgb().tolist() == [oracles.linear_of(v) for v in range(256)]
    table = log_levels(1e-3)
    for value in (*range(0, 65536, 97), 65535):
        # One unit of 2**-20: where the logarithms of two libraries round differently.
        assert abs(int(table[value]) - oracles.log_level(value, 1e-3)) <= 1
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [7, 7, 7]]], np.uint8)
    grey = linear_intensity(np.array([[7]], np.uint8))
    assert linear_intensity(rgb)[0].tolist() == [13933, 46870, 4732, 65535, int(grey[0, 0])]


def test_thresholds_spread_as_told_and_have_a_floor() -> None:
    on, off = thresholds(SimulatorConfig(0.2, 0.5, mismatch=0.03, seed=1), 40_000)
    np.testing.assert_allclose([on.mean() / UNIT, off.mean() / UNIT], [0.2, 0.5], atol=1e-3)
    np.testing.assert_allclose([on.std() / UNIT, off.std() / UNIT], 0.03, rtol=0.03)
    wild, _ = thresholds(SimulatorConfig(0.2, 0.2, mismatch=1.0), 1000)
    assert wild.min() == round(0.01 * UNIT)


def test_one_step_of_light_by_hand() -> None:
    # From linear l to l * e**0.5 at threshold 0.2: two ON events, at 2/5 and 4/5 of the interval.
    low, high = 128, 158
    config = SimulatorConfig(0.2, 0.2, mismatch=0.0, refractory_us=0)
    rise = np.log(linear_of_srgb()[high] / 65535 + 1e-3) - np.log(
        linear_of_srgb()[low] / 65535 + 1e-3
    )
    assert 0.4 < rise < 0.6
    up = simulate(np.array([[[low]], [[high]]], np.uint8), [0, 100_000], config)
    assert up.array["p"].tolist() == [1, 1]
    np.testing.assert_allclose(up.array["t"], [0.2 / rise * 1e5, 0.4 / rise * 1e5], atol=2)
    down = simulate(np.array([[[high]], [[low]]], np.uint8), [0, 100_000], config)
    assert down.array["p"].tolist() == [0, 0]


def test_a_still_scene_sends_nothing_and_colour_equals_grey() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (4, 9, 7), dtype=np.uint8)
    assert len(simulate(np.repeat(grey[:1], 4, 0), [0, 10, 20, 30])) == 0
    times = [0, 30_000, 60_000, 90_000]
    assert simulate(grey, times) == simulate(np.repeat(grey[..., None], 3, -1), times)


def test_a_seed_fixes_everything_and_another_changes_it() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (4, 20, 30), dtype=np.uint8)
    times = [0, 33_333, 66_667, 100_000]
    config = SimulatorConfig(shot_noise_hz=50, leak_hz=1, seed=7)
    first = simulate(frames, times, config)
    assert first == simulate(frames, times, config)
    assert first != simulate(frames, times, SimulatorConfig(shot_noise_hz=50, leak_hz=1, seed=8))
    step_by_step = Simulator(config)
    parts = [step_by_step.advance(f, t) for f, t in zip(frames, times, strict=True)]
    assert Events(np.concatenate(parts), 30, 20) == first


def test_leaking_sends_on_events_at_its_rate() -> None:
    frames = np.full((101, 10, 10), 90, np.uint8)
    config = SimulatorConfig(mismatch=0.0, leak_hz=2.5, refractory_us=0)
    events = simulate(frames, np.arange(101) * 100_000, config)  # ten seconds
    assert set(events.array["p"].tolist()) == {1}
    assert len(events) == 100 * 25


def test_shot_noise_has_its_rate_and_falls_with_light() -> None:
    config = SimulatorConfig(shot_noise_hz=10.0, refractory_us=0, seed=3)
    counts = []
    for value in (0, 255):
        frames = np.full((11, 50, 50), value, np.uint8)
        events = simulate(frames, np.arange(11) * 100_000, config)  # one second
        counts.append(len(events))
        t = events.array["t"]
        assert t.min() > 0
        assert t.max() <= 1_000_000
        assert abs(int(events.array["p"].sum()) - len(events) / 2) < 4 * len(events) ** 0.5
    # Poisson: within five standard deviations.
    assert abs(counts[0] - 25_000) < 5 * 25_000**0.5
    assert abs(counts[1] - 6_250) < 5 * 6_250**0.5


def test_refractory_pixels_stay_silent_but_follow() -> None:
    frames = np.array([[[20]], [[250]], [[250]]], np.uint8)
    free = simulate(frames, [0, 1000, 5000], SimulatorConfig(mismatch=0, refractory_us=0))
    deaf = simulate(frames, [0, 1000, 5000], SimulatorConfig(mismatch=0, refractory_us=300))
    assert len(free) > len(deaf) > 1
    assert (np.diff(deaf.array["t"]) >= 300).all()
    # What was missed is lost: nothing comes later, in the still interval.
    assert deaf.array["t"].max() <= 1000


@pytest.mark.parametrize(
    ("frames", "times", "message"),
    [
        (np.zeros((2, 3, 3)), [0, 1], "float64"),
        (np.zeros((2, 3), np.uint8), [0, 1], r"shape \(2, 3\)"),
        (np.zeros((2, 3, 3, 4), np.uint8), [0, 1], r"shape \(3, 3, 4\)"),
        (np.zeros((2, 0, 3), np.uint8), [0, 1], r"shape \(0, 3\)"),
        (np.zeros((2, 3, 3), np.uint8), [0], "with 1 frame time"),
        (np.zeros((2, 3, 3), np.uint8), [1, 1], "does not come after"),
        (np.zeros((2, 3, 3), np.uint8), [0, 1 << 31], "less than 2147483648 us apart"),
    ],
)
def test_bad_frames_are_refused(frames: Any, times: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulate(frames, times)


@pytest.mark.parametrize(
    "change",
    [{"threshold_on": 0.0}, {"threshold_off": float("nan")}, {"mismatch": -1}, {"seed": -1},
     {"refractory_us": -5}, {"leak_hz": 1e9}, {"log_eps": 0.0}],
)  # fmt: skip
def test_bad_settings_are_refused(change: dict[str, float]) -> None:
    (name,) = change
    with pytest.raises(InputError, match=name):
        SimulatorConfig(**change)  # type: ignore[arg-type]


def test_frames_of_another_size_later_are_refused() -> None:
    simulator = Simulator(SimulatorConfig())
    simulator.advance(np.zeros((3, 3), np.uint8), 0)
    with pytest.raises(InputError, match=r"shape \(4, 3\) after one of \(3, 3\)"):
        simulator.advance(np.zeros((4, 3), np.uint8), 10)


def test_floods_are_refused_before_they_are_made() -> None:
    frames = np.zeros((2, 1000, 1000), np.uint8)
    with pytest.raises(InputError, match="noise events"):
        simulate(frames, [0, 1_000_000], SimulatorConfig(shot_noise_hz=1e4))
    with pytest.raises(InputError, match="leak"):
        simulate(frames[:, :2, :2], [0, 10_000_000], SimulatorConfig(leak_hz=1e4))
