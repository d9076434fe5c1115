"""Energy meters with made-up counters, and the ledger with a made-up clock."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sdcl_neuro.network.record import Record
from sdcl_neuro.profiling import EnergyMeter, Ledger, Profile
from sdcl_neuro.profiling.counters import Counter, CounterFault, Missing, find_counters


def counter(values: list[int], modulus: int | None = None) -> Counter:
    left: Iterator[int] = iter(values)
    return Counter("fake", "RAPL", 1e-6, modulus, lambda: next(left))


def test_energy_is_the_difference() -> None:
    with EnergyMeter([counter([5_000_000, 12_000_000])], sample_every_s=None) as meter:
        pass
    assert meter.readings[0].joules == pytest.approx(7.0)
    assert str(meter) == "fake: 7.000 J [measured, RAPL]"


def test_wraparound_is_seen_at_every_sample() -> None:
    with EnergyMeter([counter([90, 10, 80, 20], modulus=100)], sample_every_s=None) as meter:
        meter.sample()
        meter.sample()
    assert meter.readings[0].joules == pytest.approx((20 + 70 + 40) * 1e-6)


def test_a_meter_can_be_used_again() -> None:
    meter = EnergyMeter([counter([1, 2, 10, 30])], sample_every_s=None)
    with meter:
        pass
    with meter:
        pass
    assert meter.readings[0].joules == pytest.approx(20e-6)


def test_a_thread_samples_in_between() -> None:
    seen = threading.Event()
    reads = []

    def read() -> int:
        reads.append(len(reads))
        if len(reads) > 2:
            seen.set()
        return len(reads)

    fake = Counter("fake", "RAPL", 1.0, None, read)
    with EnergyMeter([fake], sample_every_s=0.001) as meter:
        assert seen.wait(5)
    assert meter.readings[0].joules == len(reads) - 1
    assert not [t for t in threading.enumerate() if t.name == "energy-meter"]


def test_never_zero_for_missing() -> None:
    def broken() -> int:
        raise CounterFault("readable by root only")

    fakes = [
        Missing("gpu", "NVML", "no NVIDIA GPU"),
        Counter("cpu", "RAPL", 1e-6, 10, broken),
        counter([7, 3]),
    ]
    meter = EnergyMeter(fakes, sample_every_s=None)
    assert [reading.joules for reading in meter.readings] == [None] * 3
    with meter:
        pass
    assert [reading.joules for reading in meter.readings] == [None] * 3
    assert "gpu: not measured (no NVIDIA GPU)" in str(meter)
    assert "root only" in str(meter)
    assert "went backwards" in str(meter)
    assert all(entry["joules"] is None and entry["reason"] for entry in meter.to_dict())


def zone(folder: Path, name: str, label: str, energy: str) -> None:
    path = folder / name
    path.mkdir(parents=True)
    (path / "name").write_text(label)
    (path / "energy_uj").write_text(energy)
    (path / "max_energy_range_uj").write_text("999")


class NoDriver:
    """Stands for pynvml on a machine without a GPU."""

    class NVMLError(Exception):
        pass

    def nvmlInit(self) -> None:
        raise self.NVMLError("library not found")


class OneGpu(NoDriver):
    count = 4000

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return b"Some GPU"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        self.count += 2500
        return self.count


def test_rapl_zones_that_do_not_count_twice(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", "100")
    zone(tmp_path, "intel-rapl:0:0", "core", "50")
    zone(tmp_path, "intel-rapl:0:1", "dram", "30")
    zone(tmp_path, "intel-rapl:1", "psys", "200")
    found = [c for c in find_counters(tmp_path, NoDriver()) if isinstance(c, Counter)]
    assert [(c.source, c.modulus, c.read()) for c in found] == [
        ("RAPL", 1000, 100),
        ("RAPL", 1000, 30),
    ]
    meter = EnergyMeter(found, sample_every_s=None)
    with meter:
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("40")
    assert meter.readings[0].joules == pytest.approx(940e-6)
    still = meter.readings[1]
    assert still.joules is None  # a device that is on takes some: nothing was measured
    assert "did not move" in still.reason


def test_rapl_that_vanishes_is_not_measured(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", "100")
    with EnergyMeter(find_counters(tmp_path, NoDriver()), sample_every_s=None) as meter:
        (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert [reading.joules for reading in meter.readings] == [None, None]


def test_nvml_counts_millijoules(tmp_path: Path) -> None:
    with EnergyMeter(find_counters(tmp_path, OneGpu()), sample_every_s=None) as meter:
        pass
    gpu, cpu = meter.readings
    assert gpu.name == "gpu 0 (Some GPU)"
    assert gpu.joules == pytest.approx(2.5)
    assert cpu.joules is None
    assert "no RAPL zone" in cpu.reason


class Clock:
    """Moves only when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Several(OneGpu):
    """Three GPUs; the driver refuses the second one, and numbers the third one 2."""

    def nvmlDeviceGetCount(self) -> int:
        return 3

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index == 1:
            raise self.NVMLError("insufficient permissions")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        if uuid != "GPU-c":
            raise self.NVMLError("not found")
        return 2

    def nvmlDeviceGetIndex(self, handle: int) -> int:
        return handle

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return f"GPU number {handle}".encode()


def test_a_gpu_that_nvml_refuses_hides_no_other(tmp_path: Path) -> None:
    first, second, third, _ = find_counters(tmp_path, Several())
    assert isinstance(first, Counter)
    assert isinstance(second, Missing)
    assert second.reason == "NVML refuses it: insufficient permissions"
    assert isinstance(third, Counter)
    assert third.name == "gpu 2 (GPU number 2)"


def test_the_gpu_in_use_is_found_by_its_uuid(tmp_path: Path) -> None:
    found, _ = find_counters(tmp_path, Several(), gpu="GPU-c")
    assert isinstance(found, Counter)
    assert found.name == "gpu 2 (GPU number 2)"
    missing, _ = find_counters(tmp_path, Several(), gpu="GPU-x")
    assert missing == Missing("gpu GPU-x", "NVML", "NVML does not find it: not found")


def test_a_counter_that_does_not_move_measured_nothing() -> None:
    with EnergyMeter([counter([7, 7])], sample_every_s=None) as meter:
        pass
    assert str(meter).startswith("fake: not measured (the counter did not move")


def test_stages_nest_and_add_up() -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    for seconds in (1.0, 3.0):
        with ledger.stage("clip"):
            with ledger.stage("frames"):
                clock.now += seconds
            clock.now += 0.5
    clip, frames = ledger.stages
    assert (clip.name, clip.calls, clip.total_s, clip.parent) == ("clip", 2, 5.0, "")
    assert (frames.parent, frames.least_s, frames.most_s, frames.mean_s) == ("clip", 1.0, 3.0, 2.0)
    assert [span.start_s for span in ledger.spans] == [0.0, 0.0, 1.5, 1.5]


def test_a_failed_stage_is_entered_and_leaves_no_parent_behind() -> None:
    ledger = Ledger(clock=Clock())
    with pytest.raises(ValueError, match="inside"), ledger.stage("bad"):
        raise ValueError("inside")
    with ledger.stage("good"):
        pass
    assert [(stage.name, stage.parent) for stage in ledger.stages] == [("bad", ""), ("good", "")]


def test_threads_do_not_mix_their_parents() -> None:
    ledger = Ledger()
    inside = threading.Barrier(2)

    def work(name: str) -> None:
        with ledger.stage(name):
            inside.wait(5)
            for _ in range(50):
                with ledger.stage("step"):
                    pass

    threads = [threading.Thread(target=work, args=(name,)) for name in ("frames", "events")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls = {(stage.parent, stage.name): stage.calls for stage in ledger.stages}
    assert calls == {
        ("", "frames"): 1, ("", "events"): 1, ("frames", "step"): 50, ("events", "step"): 50,
    }  # fmt: skip
    assert {span.thread for span in ledger.spans} == {0, 1}


def test_queued_work_is_waited_for() -> None:
    clock = Clock()

    def wait() -> None:
        clock.now += 1

    ledger = Ledger(clock=clock, synchronise=wait)
    with ledger.stage("gpu"):
        pass
    with ledger.stage("cpu", synchronise=False):
        pass
    assert [stage.total_s for stage in ledger.stages] == [1.0, 0.0]


class DeviceMoments:
    """A GPU's clock: moments are known when they have come."""

    def __init__(self) -> None:
        self.made: list[list[float]] = []
        self.now, self.waited = 0.0, 0

    def mark(self) -> list[float]:
        self.made.append([len(self.made) + 1.0])
        return self.made[-1]

    def passed(self, moment: list[float]) -> bool:
        return moment[0] <= self.now

    def seconds(self, moment: list[float]) -> float:
        self.waited += moment[0] > self.now
        return moment[0]


def test_a_gpus_stages_are_timed_by_its_own_clock_and_read_later() -> None:
    clock, device = Clock(), DeviceMoments()
    ledger = Ledger(clock=clock, device_clock=device)  # type: ignore[arg-type]
    with ledger.stage("frames"):
        clock.now += 100
    with ledger.stage("cutting", synchronise=False):
        clock.now += 5
    device.now = 2.0
    with ledger.stage("bridge"):
        pass
    assert device.waited == 0
    assert [(one.name, one.total_s) for one in ledger.stages] == [
        ("frames", 1.0), ("bridge", 1.0), ("cutting", 5.0),
    ]  # fmt: skip
    assert device.waited == 2  # the last passage's two moments, for whoever asked
    assert len(ledger.spans) == 3


def test_every_figure_has_a_tag(
    hand_profile: Profile, make_record: Callable[..., Record], tmp_path: Path
) -> None:
    ledger = Ledger(clock=Clock())
    with ledger.stage("event branch"):
        pass
    ledger.activity(make_record().activity, backend="loihi")
    ledger.costs(hand_profile)
    with EnergyMeter([Missing("gpu", "NVML", "no NVIDIA GPU")]) as meter:
        pass
    ledger.readings(meter.readings)
    ledger.enter("peak", 3.0, float("inf"), tag="modelled", unit="W", source="data sheet")
    text = str(ledger)
    for words in ("event branch", "13 spikes", "not measured (no NVIDIA GPU)", "at least 3.00 W"):
        assert words in text
    ledger.to_json(tmp_path / "ledger.json")
    data = json.loads((tmp_path / "ledger.json").read_text())
    assert data["schema"] == {"name": "sdcl_neuro.ledger", "version": 1}
    figures = data["figures"]
    assert {entry["tag"] for entry in figures} == {"measured", "emulated", "modelled"}
    assert all(entry["low"] is not None or entry["reason"] for entry in figures)
    energy = next(e for e in figures if e["group"] == "loihi1" and e["unit"] == "uJ")
    assert energy["name"] == "energy per sample without synchronisation"
    uj = hand_profile.targets["loihi1"].energy.bounded_uj
    assert uj is not None
    assert (energy["low"], energy["high"]) == (uj.low, uj.high)


def test_unknown_without_a_reason_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Ledger().enter("x", None, tag="measured", unit="J")
