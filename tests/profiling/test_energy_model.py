"""The cost models against numbers worked out by hand, and against their own laws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import list_profiles, load_profile
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

# Worked out by hand from hw_profiles/*.toml, in pJ but for static, which is in uJ.
LOIHI1 = {
    # Davies 39 * 23.6; SANA-FE 13 * 24 + 26 * 35.5
    "synaptic_operations": (920.4, 1235.0),
    # SANA-FE 27 * 51.2 + 17 * 72.8; Davies 44 * 81
    "neuron_updates": (2620.0, 3564.0),
    # Both layers sit in cores of one tile, so only the two input spikes may cross the mesh:
    # Davies 15 * 1.7; SANA-FE 2 * (7 * 3 + 3 * 4.2) + 17 * 69.3 + 13 * 111
    "spike_traffic": (25.5, 2688.3),
}
# Six steps; Davies 113 + 9 * 5.3 + 3.25 * 3.5 + 2.1; SANA-FE 1800 + 9 * 9.7 + 3.25 * 3.1
# + 0.5 * 16 + 3.25 * 5.1 + 3.25 * 30 + 7 * 4.1 + 3 * 6.5
LOIHI1_US = (1.04505, 12.4059)
LOIHI1_STATIC_UJ = (0.10910322, 1.29517596)
LOIHI2 = {
    "synaptic_operations": (920.4, 1235.0),
    "neuron_updates": (2620.0, 3564.0),
    # The same without hops
    "spike_traffic": (25.5, 2621.1),
}
# Davies and SANA-FE as above without hops; Hala Point, 200 + 9 * 0.586 + 3.25 * 0.37, lies between
LOIHI2_US = (1.04505, 12.1167)
LOIHI2_STATIC_UJ = (0.2424516, 3.4169094)


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
    for key, ends in expected.items():
        assert found[key] == pytest.approx(ends, rel=1e-12)
    assert found["static"] == pytest.approx(static_uj, rel=1e-12)
    assert target.latency.us is not None
    assert (target.latency.us.low, target.latency.us.high) == pytest.approx(us, rel=1e-12)
    assert target.latency.steps == 6


def test_engine_counts_what_a_hand_counts(
    make_net: Net, spikes: NDArray[np.uint8], hand_profile: Profile
) -> None:
    run = profile(make_net(), spikes)
    assert run.layers == hand_profile.layers
    assert run.to_dict()["energy"] == hand_profile.to_dict()["energy"]
    assert run.elapsed_s is not None


def test_batch_energy_is_per_sample(make_net: Net, spikes: NDArray[np.uint8]) -> None:
    one = profile(make_net(), spikes)
    three = profile(make_net(), np.repeat(spikes, 3, axis=1))
    assert three.totals.synops == 3 * one.totals.synops
    assert three.to_dict()["energy"] == one.to_dict()["energy"]
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
    assert target.energy.parts["static"].uj.low == pytest.approx(104.4 * 60 * 1e-3)
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
    from dataclasses import replace

    hw = load_profile(name)
    time = latency(work, hw)
    once = energy(work, hw, time)
    if once.uj is None:
        assert once.reason
        return
    assert once.uj.low == pytest.approx(sum(part.uj.low for part in once.parts.values()))
    assert once.uj.high == pytest.approx(sum(part.uj.high for part in once.parts.values()))
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
        f"{name:<17} {target.energy.uj or 'unknown'!s:<22} uJ  {target.latency.us or 'unknown'} us"
        for name, target in found.targets.items()
    ]
    golden("every_profile.txt", "\n".join(lines) + "\n")


def test_float_networks_are_sent_to_convert() -> None:
    with pytest.raises(InputError, match=r"'a.net' is a path.*load_model"):
        profile("a.net", hw=["loihi1"])
    with pytest.raises(InputError, match="convert it first"):
        profile(FloatNetwork((1,), ()), np.zeros((1, 1, 1), dtype=np.uint8))  # type: ignore[arg-type]


def test_wrong_uses_are_refused(make_net: Net, make_record: MakeRecord) -> None:
    with pytest.raises(InputError, match="neither spikes nor a record"):
        profile(make_net())
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
