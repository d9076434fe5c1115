"""The cost models against numbers worked out by hand, and against their own laws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import Quantity, Variant, list_profiles, load_profile
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.profiling import Profile, profile
from sdcl_neuro.profiling.dense import crossing
from sdcl_neuro.profiling.energy import SPIKE_PARTS, energy
from sdcl_neuro.profiling.interval import Interval, figure
from sdcl_neuro.profiling.latency import latency
from sdcl_neuro.profiling.workload import LayerWork, Workload

Net = Callable[..., IntNetwork]
MakeRecord = Callable[..., Record]

# Worked out by hand from hw_profiles/*.toml, in pJ but for static, which is in uJ. Six steps of a
# sample by itself: 6 * 11 updates, 17 of them with a spike; 2 + 17 spikes sent, with the input's.
LOIHI1 = {
    # Davies 39 * 23.6, less 30 %; SANA-FE 13 * 24 + 26 * 35.5
    "synaptic_operations": (0.7 * 920.4, 1235.0),
    # SANA-FE 49 * 51.2 + 17 * 72.8, less 30 %; Davies 66 * 81
    "neuron_updates": (0.7 * 3746.4, 5346.0),
    # Both layers sit in cores of one tile, so only the two input spikes may cross the mesh:
    # Davies 15 * 1.7, less 30 %; SANA-FE 2 * (7 * 3 + 3 * 4.2) + 19 * 69.3 + 15 * 111
    "spike_traffic": (0.7 * 25.5, 3048.9),
    "synchronisation": (0.0, math.inf),
}
# Davies 113 + 2.1 + 9 * 5.3 + 3.25 * 4 / 6 * 3.1, the updates being longest; SANA-FE 1800
# + 7 * 4.1 + 3 * 6.5, and 1.1 times its slowest sender, 9 * 9.7 + 1.3 * 3.25 * (30 + 5.1), and its
# slowest receiver, 1.3 * (6.5 * 4.7 + 3.25 * 16)
LOIHI1_US = (1.0171, 13.3524225)
LOIHI1_STATIC_UJ = (96 * 1.0171e-3, 104.4 * 13.3524225e-3)
LOIHI2 = {
    "synaptic_operations": (0.8 * 39 * 19.0, 1.2 * 39 * 27.4),
    "neuron_updates": (0.0, 1.2 * 66 * 120),
    "spike_traffic": (0.8 * 19 * 180.3, 1.2 * 19 * 180.3),
}
# 600 + 9 * 4 and 1800 + 1.2 * 9 * 8.4: the updates are longest
LOIHI2_US = (3.816, 11.34432)
LOIHI2_STATIC_UJ = (232 * 3.816e-3, 282 * 11.34432e-3)


@pytest.mark.parametrize(
    ("name", "parts_pj", "us", "static_uj"),
    [
        ("loihi1", LOIHI1, LOIHI1_US, LOIHI1_STATIC_UJ),
        ("loihi2", LOIHI2, LOIHI2_US, LOIHI2_STATIC_UJ),
    ],
)
def test_golden_targets(
    hand_profile: Profile,
    name: str,
    parts_pj: dict[str, tuple[float, float]],
    us: tuple[float, float],
    static_uj: tuple[float, float],
) -> None:
    target = hand_profile.targets[name]
    found = {key: (part.uj.low, part.uj.high) for key, part in target.energy.parts.items()}
    expected = {key: (low / 1e6, high / 1e6) for key, (low, high) in parts_pj.items()}
    assert set(found) == {*expected, "static"}
    assert all(part.reason == "" or part.open for part in target.energy.parts.values())
    for key, ends in expected.items():
        assert found[key] == pytest.approx(ends, rel=1e-12)
    assert found["static"] == pytest.approx(static_uj, rel=1e-12)
    assert target.latency.us is not None
    assert (target.latency.us.low, target.latency.us.high) == pytest.approx(us, rel=1e-12)
    assert target.latency.steps == 6


def test_the_whole_is_the_interval_over_each_sets_own_sum(hand_profile: Profile) -> None:
    found = hand_profile.targets["loihi2"].energy
    sums = [variant.uj for variant in found.variants.values()]
    dynamic, whole, static = found.dynamic_uj, found.uj, found.parts["static"].uj
    assert dynamic is not None
    assert whole is not None
    assert dynamic == Interval(min(s.low for s in sums), max(s.high for s in sums))
    # 27.4 pJ an operation goes with updates for nothing, and no cheaper pair is added to it.
    assert dynamic.low == pytest.approx(0.8 * (39 * 27.4 + 19 * 180.3) * 1e-6)
    assert dynamic.high == pytest.approx(1.2 * (39 * 19.0 + 66 * 120 + 19 * 180.3) * 1e-6)
    assert whole.high - dynamic.high == pytest.approx(static.high)


def test_a_barrier_without_a_published_energy_leaves_the_upper_end_open(
    hand_profile: Profile,
) -> None:
    entry = hand_profile.to_dict()["energy"]["loihi1"]
    part = entry["parts"]["synchronisation"]
    assert (part["low_uj"], part["high_uj"]) == (0, None)
    assert "unpublished" in part["reason"]
    assert entry["high_uj"] is None
    assert "synchronisation: the energy of a barrier is unpublished" in entry["reason"]
    bounded = entry["bounded"]
    assert bounded["without"] == ["synchronisation"]
    assert bounded["low_uj"] == entry["low_uj"]
    assert bounded["high_uj"] == pytest.approx(
        (1235.0 + 4804.8 + 3048.9) * 1e-6 + LOIHI1_STATIC_UJ[1]
    )


def test_a_stream_costs_the_samples_own_steps(hand_profile: Profile) -> None:
    target = hand_profile.targets["loihi2"]
    assert target.stream is not None
    assert (target.energy.steps, target.stream.steps, target.latency.stream_steps) == (6, 4, 4)
    updates = [cost.parts["neuron_updates"].uj.high for cost in (target.stream, target.energy)]
    assert updates[0] == pytest.approx(updates[1] * 4 / 6)
    static = target.stream.parts["static"].uj
    time = target.latency.stream_us
    assert time is not None
    assert (static.low, static.high) == pytest.approx((232e-3 * time.low, 282e-3 * time.high))
    rate = target.latency.throughput_hz
    assert rate is not None
    assert (rate.low, rate.high) == pytest.approx((1e6 / time.high, 1e6 / time.low))
    data = hand_profile.to_dict()
    assert data["energy"]["loihi2"]["stream"]["steps"] == 4
    assert data["latency"]["loihi2"]["throughput"]["steps_per_sample"] == 4
    for part in ("synaptic_operations", "spike_traffic"):
        assert target.stream.parts[part] == target.energy.parts[part]


def test_recurrent_and_delayed_networks_drain_between_samples() -> None:
    plain = LayerWork("a", "dense", 4, 16, 1, 4, False, 8.0, 4.0, 32.0, 40.0)
    for layer in (replace(plain, recurrent=True), replace(plain, delayed=True)):
        work = Workload((plain, layer), steps=10, inputs=4)
        assert (work.run_steps, work.stream_steps) == (12, 12)
        time = latency(work, load_profile("loihi1"))
        assert time.stream_steps == 12
    assert Workload((plain, plain), steps=10, inputs=4).stream_steps == 10


def test_chips_are_charged_for_weights_that_are_not_zero(make_net: Net) -> None:
    net, dense = make_net(), make_net().layers[1]
    weight = dense.weight.copy()
    weight[0] = 0  # half of the dense layer's synapses
    spikes = np.zeros((4, 1, 1, 3, 3), np.uint8)
    spikes[0, 0, 0, 1, 1] = 1
    half = replace(net, layers=(net.layers[0], replace(dense, weight=weight)))
    full, less = (profile(each, spikes) for each in (net, half))
    assert less.totals.synops == full.totals.synops == 9 + 18
    assert (full.totals.synops_nonzero, less.totals.synops_nonzero) == (27, 18)
    costs = [p.targets["loihi2"].energy.parts["synaptic_operations"].uj for p in (full, less)]
    assert costs[1].low == pytest.approx(costs[0].low * 18 / 27)
    assert less.to_dict()["layers"][1]["synops_nonzero"] == 9
    record = Record("other", 4, 1, (1, 3, 3), {}, tuple(
        replace(entry, synops_nonzero=None)
        for entry in run_network(half, spikes).activity
    ))  # fmt: skip
    guessed = profile(half, record=record)
    assert guessed.totals.synops_nonzero is None
    assert guessed.to_dict()["layers"][1]["synops_nonzero"] is None
    assert "by their share" in str(guessed.assumed[0])
    assert "assumed: operations at weights that are not zero, in head" in str(guessed)


def test_engine_counts_what_a_hand_counts(
    make_net: Net, spikes: NDArray[np.uint8], hand_profile: Profile
) -> None:
    net = make_net()
    run = profile(net, spikes)
    assert run.layers == hand_profile.layers
    again = profile(net, spikes, record=run_network(net, spikes))
    assert run.to_dict()["energy"] == again.to_dict()["energy"]
    assert run.elapsed_s is not None
    for name, target in run.targets.items():
        for part, value in target.energy.parts.items():
            if part != "static":
                assert value == hand_profile.targets[name].energy.parts[part]
    assert run.assumed == ()
    assert "even over cores" in str(hand_profile.assumed[0])


def test_the_slowest_core_is_found_step_by_step(make_net: Net, spikes: NDArray[np.uint8]) -> None:
    # A spike at the centre in step 0 makes all nine neurons fire one step later, which read 18
    # synapses of the dense layer; at a corner in step 2 four fire.
    target = profile(make_net(), spikes, hw="loihi2", step_us=None).targets["loihi2"]
    found = target.latency
    assert found.assumption.startswith("the slowest core of the placement, spikes counted")
    # newer_silicon: updates of nine neurons, 4 ns each, are longest in every step.
    assert found.variants["newer_silicon"].low == pytest.approx(6 * (600 + 36) * 1e-3)
    slow = replace(load_profile("loihi2"), variants={"own": own_times(synop=100.0)})
    step = profile(make_net(), spikes, hw=slow).targets["loihi2"].latency.us
    # Chip steps 0 and 2 deliver 9 and 4 synops to the convolution, steps 1 and 3 18 and 8 to the
    # dense layer; otherwise nine updates of 1 ns.
    assert step == Interval(*[pytest.approx((900 + 1800 + 400 + 800 + 9 + 9) * 1e-3)] * 2)
    stream = profile(make_net(), spikes, hw=slow).targets["loihi2"].latency.stream_us
    assert stream == Interval(*[pytest.approx((900 + 1800 + 400 + 800) * 1e-3)] * 2)


def own_times(**times: float) -> Variant:
    """A set of times with nine nanoseconds of updates for nine neurons, and what is given."""
    values = {"neuron_update": 1.0, "barrier": 0.0} | times
    return Variant(
        "own", "Own", {}, {
            name: Quantity("ns", value, value, "own measurement", "a test")
            for name, value in values.items()
        },
    )  # fmt: skip


@pytest.mark.parametrize("missing", ["synop", "neuron_update", "barrier"])
def test_a_profile_without_a_time_gets_the_true_reason(
    make_net: Net, make_record: MakeRecord, missing: str
) -> None:
    times = own_times(synop=2.0)
    left = replace(times, time={k: v for k, v in times.time.items() if k != missing})
    hw = replace(load_profile("loihi2"), variants={"own": left})
    found = profile(make_net(), record=make_record(), hw=hw).targets["loihi2"].latency
    assert found.us is None
    assert f"[variants.own.time] has no '{missing}'" in found.reason
    others = {"synop", "neuron_update", "barrier"} - {missing}
    assert not any(f"'{name}'" in found.reason for name in others)


def test_the_host_is_unknown_unless_it_is_given(make_net: Net, make_record: MakeRecord) -> None:
    def found(**options: float) -> Profile:
        return profile(make_net(), record=make_record(), hw="loihi1", **options)  # type: ignore[arg-type]

    plain, host, step = found(), found(host_us=100.0), found(step_us=500.0)
    entry = plain.to_dict()["latency"]["loihi1"]
    assert entry["host"]["us"] is None
    assert "336 to 877 us a step were measured" in entry["host"]["reason"]
    assert "--host-us" in str(plain)
    times = [p.targets["loihi1"].latency.us for p in (plain, host, step)]
    assert times[0] is not None
    assert times[1] is not None
    assert times[1].low == pytest.approx(times[0].low + 6 * 100)
    assert times[2] == Interval(3000, 3000)
    assert host.to_dict()["latency"]["loihi1"]["host"] == {"us": 100.0}
    assert "host: 100 us in every step, as stated" in str(host)
    assert "host:" not in str(step)
    with pytest.raises(InputError, match="host's time"):
        found(host_us=-1.0)


def test_power_at_work_stands_for_chips_that_publish_nothing_else(
    make_net: Net, make_record: MakeRecord
) -> None:
    found = profile(make_net(), record=make_record(), hw="xylo_audio3", step_us=1000.0)
    energy = found.targets["xylo_audio3"].energy
    assert energy.parts["running"].uj == Interval(pytest.approx(0.55 * 6), pytest.approx(0.588 * 6))
    assert profile(make_net(), record=make_record(), hw="xylo_audio3").targets[
        "xylo_audio3"
    ].energy.uj is None  # fmt: skip


def test_batch_energy_is_per_sample(make_net: Net, spikes: NDArray[np.uint8]) -> None:
    one = profile(make_net(), spikes)
    three = profile(make_net(), np.repeat(spikes, 3, axis=1))
    assert three.totals.synops == 3 * one.totals.synops
    for name, target in three.targets.items():
        for ours, theirs in zip(
            target.energy.parts.values(), one.targets[name].energy.parts.values(), strict=True
        ):
            assert ours.uj.low == pytest.approx(theirs.uj.low)
            assert ours.uj.high == pytest.approx(theirs.uj.high)
    assert three.to_dict()["per_sample"] == one.to_dict()["per_sample"]


def test_dense_twin_by_hand(hand_profile: Profile) -> None:
    ann = hand_profile.ann
    assert ann.macs == 49 + 18
    assert ann.arithmetic.uj.low == pytest.approx(67 * 0.23e-6)
    assert ann.arithmetic.uj.high == pytest.approx(67 * 0.3e-6)
    # 9 + 18 weights, 9 inputs, 11 neurons written and read
    assert ann.memory.uj.low == pytest.approx((27 + 9 + 22) * 1.25e-6)
    assert ann.memory.uj.high == pytest.approx(2 * 67 * 12.5e-6)
    assert ann.sparsity == pytest.approx(1 - 39 / (67 * 4))
    same = ann.crossings["dense45nm"]["arithmetic"]
    # One pass at 0.23 to 0.3 against four steps at 0.1 to 0.03, full density
    assert same.low == pytest.approx(0.0)
    assert same.high == pytest.approx(1 - 0.23 / (4 * 0.1))
    assert ann.crossings["loihi1"]["arithmetic"].low is None
    assert "without any spike" in ann.crossings["loihi1"]["arithmetic"].reason


def test_crossing_is_where_the_energies_are_equal() -> None:
    spikes, fixed, dense = Interval(10, 12), Interval(3, 4), Interval(20, 30)
    found = crossing(0.5, spikes, fixed, dense)
    assert found.high is not None
    density = 1 - found.high
    assert fixed.high + spikes.high * density / 0.5 == pytest.approx(dense.low)
    assert found.low == 0.0  # below full density even at best


def test_unknown_energy_has_a_reason(make_net: Net, make_record: MakeRecord) -> None:
    data = profile(make_net(), record=make_record(), hw="speck2e").to_dict()
    entry = data["energy"]["speck2e"]
    assert entry["low_uj"] is None
    assert entry["high_uj"] is None
    assert "unpublished" in entry["reason"]
    assert data["latency"]["speck2e"]["low_us"] is None
    assert "asynchronous" in data["latency"]["speck2e"]["reason"]
    assert data["fit"]["speck2e"]["fits"] is True
    assert data["fit"]["speck2e"]["cores"] == 2
    dense = profile(make_net(), record=make_record(), hw="h200").to_dict()
    assert dense["fit"]["h200"] == {"fits": None, "reason": "a dense reference holds no neurons"}


def test_lower_bound_stays_open(make_net: Net, make_record: MakeRecord) -> None:
    entry = profile(make_net(), record=make_record(), hw="h200").to_dict()["energy"]["h200"]
    assert entry["low_uj"] == pytest.approx(67 * 1.41e-6)
    assert entry["high_uj"] is None
    assert "lower bound" in entry["reason"]


def test_stated_step_replaces_the_model(make_net: Net, make_record: MakeRecord) -> None:
    stated = profile(make_net(), record=make_record(), hw="loihi1", step_us=10.0)
    target = stated.targets["loihi1"]
    assert target.latency.us == Interval(60.0, 60.0)
    assert target.energy.parts["static"].uj.low == pytest.approx(96 * 60 * 1e-3)
    assert target.latency.to_dict()["source"] == "stated by the caller"


def test_systems_are_multiples(make_net: Net, make_record: MakeRecord) -> None:
    names = ("loihi2", "kapoho_point", "hala_point")
    found = profile(make_net(), record=make_record(), hw=names).targets
    one = found["loihi2"].energy.parts["static"].uj
    assert found["kapoho_point"].energy.parts["static"].uj.low == pytest.approx(8 * one.low)
    assert found["hala_point"].energy.parts["static"].uj.high == pytest.approx(1152 * one.high)


layer_work = st.builds(
    LayerWork,
    name=st.just("layer"),
    kind=st.sampled_from(["conv", "dense", "dense_rec"]),
    neurons=st.integers(1, 200_000),
    synapses=st.integers(1, 10**8),
    parameters=st.integers(1, 10**6),
    widest_fan_out=st.integers(1, 100_000),
    recurrent=st.booleans(),
    spikes_in=st.floats(0, 1e6),
    spikes_out=st.floats(0, 1e6),
    synops=st.floats(0, 1e9),
    updates=st.floats(1e6, 1e9),
    synops_nonzero=st.none() | st.floats(0, 1e9),
    delayed=st.booleans(),
)
works = st.builds(
    Workload,
    layers=st.lists(layer_work, min_size=1, max_size=4).map(tuple),
    steps=st.integers(1, 100),
    inputs=st.integers(1, 1000),
)
NEUROMORPHIC = [name for name in list_profiles() if load_profile(name).family == "neuromorphic"]


@settings(deadline=None, derandomize=True, max_examples=40)
@given(work=works, name=st.sampled_from(NEUROMORPHIC))
def test_laws_hold_for_every_chip(work: Workload, name: str) -> None:
    hw = load_profile(name)
    time = latency(work, hw)
    once = energy(work, hw, time)
    if once.uj is None:
        assert once.reason
        return
    # Sets of constants are summed each by itself: never wider than the parts' own ends.
    assert once.uj.low >= sum(part.uj.low for part in once.parts.values()) * (1 - 1e-9)
    assert once.uj.high <= sum(part.uj.high for part in once.parts.values()) * (1 + 1e-9)
    assert once.uj.low <= once.uj.high
    for part in once.parts.values():
        assert 0 <= part.uj.low <= part.uj.high
        assert part.source
    doubled = replace(
        work,
        layers=tuple(
            replace(
                layer,
                spikes_in=2 * layer.spikes_in,
                spikes_out=2 * layer.spikes_out,
                synops=2 * layer.synops,
                synops_nonzero=None if layer.synops_nonzero is None else 2 * layer.synops_nonzero,
            )
            for layer in work.layers
        ),
    )
    twice = energy(doubled, hw, time)
    for key, part in once.parts.items():
        if key in SPIKE_PARTS:
            assert twice.parts[key].uj.low == pytest.approx(2 * part.uj.low)
            assert twice.parts[key].uj.high == pytest.approx(2 * part.uj.high)
    for key, variant in once.variants.items():
        for part_name, part in variant.parts.items():
            whole = once.parts[part_name].uj
            assert whole.low <= part.uj.low <= part.uj.high <= whole.high, key


def test_every_profile_has_a_pinned_result(
    make_net: Net, make_record: MakeRecord, golden: Callable[[str, str], None]
) -> None:
    found = profile(make_net(), record=make_record(), hw=list_profiles())
    lines = [
        f"{name:<17} {target.energy.bounded_uj or 'unknown'!s:<22} uJ{target.energy.left_out:<24}"
        f" {target.latency.us or 'unknown'} us".rstrip()
        for name, target in found.targets.items()
    ]
    golden("every_profile.txt", "\n".join(lines) + "\n")


def test_float_networks_are_sent_to_convert() -> None:
    with pytest.raises(InputError, match=r"'a.net' is a path.*takes paths"):
        profile("a.net", hw=["loihi1"])
    with pytest.raises(InputError, match="convert it first"):
        profile(FloatNetwork((1,), ()), np.zeros((1, 1, 1), dtype=np.uint8))  # type: ignore[arg-type]


def test_wrong_uses_are_refused(make_net: Net, make_record: MakeRecord) -> None:
    with pytest.raises(InputError, match="neither spikes nor a record"):
        profile(make_net())
    with pytest.raises(InputError, match="the spikes of 3 and 1"):
        profile(make_net(), np.zeros((3, 1, 1, 3, 3), np.uint8), record=make_record())
    with pytest.raises(InputError, match="given twice"):
        profile(make_net(), record=make_record(), hw=("loihi1", "loihi1"))
    with pytest.raises(InputError, match="are not the network's"):
        profile(make_net(("a", "b")), record=make_record())
    with pytest.raises(InputError, match="without counts"):
        profile(make_net(), record=Record("norse", 4, 1, (1, 3, 3), {}))
    with pytest.raises(InputError, match="positive time"):
        profile(make_net(), record=make_record(), step_us=float("nan"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1234567, "1,234,567"), (12.345, "12.3"), (0.001234, "0.00123"), (1e-9, "1e-09"),
     (999.6, "1,000"), (0.09996, "0.1000")],
)  # fmt: skip
def test_figures_read_well(value: float, shown: str) -> None:
    assert figure(value) == shown
