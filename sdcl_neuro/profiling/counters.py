"""Measured energy: NVML for GPUs and RAPL for CPUs, or the reason why there is no counter.

NVML counts millijoules since the driver was loaded (``nvmlDeviceGetTotalEnergyConsumption``,
Volta and later). RAPL counts microjoules in ``/sys/class/powercap/intel-rapl:*`` (AMD too) and
wraps around at ``max_energy_range_uj``. Both see the whole device, other programs included.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from sdcl_neuro.errors import EnvironmentFault
from sdcl_neuro.extras import install_command, need

POWERCAP = Path("/sys/class/powercap")
STOOD = "the counter did not move: the run is shorter than the counter's own period"
"""NVML moves its counter about every 20 to 100 ms; a device at work never takes 0 J."""


class CounterFault(Exception):
    """A counter that could not be read; its text is the reason shown."""


@dataclass(frozen=True)
class Counter:
    """An energy counter.

    Attributes:
        name: what it measures, such as ``gpu 0 (NVIDIA H200)`` or ``cpu package-0``.
        source: ``NVML`` or ``RAPL``.
        joules_per_count: unit of `read`.
        modulus: counts after which it starts again at zero; None if it never does.
        read: the present count; raises `CounterFault`.
    """

    name: str
    source: str
    joules_per_count: float
    modulus: int | None
    read: Callable[[], int]


@dataclass(frozen=True)
class Missing:
    """A counter that is not there."""

    name: str
    source: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """Energy of one device between start and stop; `joules` is None if it was not measured."""

    name: str
    source: str
    joules: float | None
    reason: str = ""

    def __str__(self) -> str:
        if self.joules is None:
            return f"{self.name}: not measured ({self.reason})"
        return f"{self.name}: {self.joules:.3f} J [measured, {self.source}]"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; not measured is null with a reason."""
        entry: dict[str, Any] = {"name": self.name, "source": self.source, "joules": self.joules}
        return entry | {"tag": "measured"} | ({"reason": self.reason} if self.reason else {})


class EnergyMeter:
    """Reads every energy counter of this machine around a block.

    ``with EnergyMeter() as meter: ...`` and then ``meter.readings``, one entry a counter; a
    missing counter has an entry too, with its reason, and never a zero.

    Args:
        counters: what to read; None looks for NVML and RAPL.
        sample_every_s: a thread reads in between, so that a counter that wraps twice in a long
            block is still seen; None leaves that to `sample`.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        counters: Sequence[Counter | Missing] | None = None,
        *,
        sample_every_s: float | None = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._found = list(find_counters() if counters is None else counters)
        self._tallies = [_Tally(c) for c in self._found if isinstance(c, Counter)]
        self._period, self._clock = sample_every_s, clock
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._started: float | None = None
        self.elapsed_s: float | None = None

    def __enter__(self) -> EnergyMeter:
        for tally in self._tallies:
            tally.start()
        self._started, self.elapsed_s = self._clock(), None
        self._stop.clear()
        if self._period is not None and self._tallies:
            self._thread = threading.Thread(target=self._watch, daemon=True, name="energy-meter")
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.sample()
        if self._started is not None:
            self.elapsed_s = self._clock() - self._started

    def sample(self) -> None:
        """Read all counters now; needed between two wraps of a counter."""
        with self._lock:
            for tally in self._tallies:
                tally.sample()

    @property
    def readings(self) -> tuple[Reading, ...]:
        """One entry a counter, missing ones with their reason."""
        tallies = iter(self._tallies)
        return tuple(
            Reading(found.name, found.source, None, found.reason)
            if isinstance(found, Missing)
            else next(tallies).reading()
            for found in self._found
        )

    def __str__(self) -> str:
        return "\n".join(str(reading) for reading in self.readings)

    def to_dict(self) -> list[dict[str, Any]]:
        """Return plain JSON, one entry a counter."""
        return [reading.to_dict() for reading in self.readings]

    def _watch(self) -> None:
        while not self._stop.wait(self._period):
            self.sample()


class _Tally:
    """What one counter has moved, wraps included."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._last: int | None = None
        self._moved = 0
        self._reason = "the meter was not started"

    def start(self) -> None:
        self._moved, self._reason, self._last = 0, "", None
        self._last = self._read()

    def sample(self) -> None:
        now = self._read()
        if now is None or self._last is None:
            return
        step = now - self._last
        if step < 0:
            if self._counter.modulus is None:
                self._reason = "the counter went backwards (was the driver loaded again?)"
                return
            step += self._counter.modulus
        self._moved, self._last = self._moved + step, now

    def reading(self) -> Reading:
        counter, reason = self._counter, self._reason
        if not reason and self._moved == 0:
            reason = STOOD
        joules = None if reason else self._moved * counter.joules_per_count
        return Reading(counter.name, counter.source, joules, reason)

    def _read(self) -> int | None:
        if self._reason:
            return None
        try:
            return self._counter.read()
        except CounterFault as fault:
            self._reason = str(fault)
            return None


def find_counters(
    powercap: Path = POWERCAP, nvml: Any = None, *, gpu: str | None = None
) -> list[Counter | Missing]:
    """Return every counter of this machine; where a kind has none, one `Missing` says why.

    Args:
        powercap: the folder of RAPL's zones.
        nvml: the module ``pynvml``; None imports it.
        gpu: UUID of the only GPU that counts (`sdcl_neuro.devices.gpu_uuid`); None takes all.
    """
    return [*_gpu_counters(nvml, gpu), *_cpu_counters(powercap)]


def _cpu_counters(powercap: Path) -> list[Counter | Missing]:
    # Package and memory zones lie beside each other; core, uncore and psys would count twice.
    found: list[Counter | Missing] = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (zone / "name").read_text(encoding="ascii").strip()
            if not name.startswith(("package", "dram")):
                continue
            modulus = int((zone / "max_energy_range_uj").read_text(encoding="ascii")) + 1
            read = _rapl_reader(zone / "energy_uj")
        except (OSError, ValueError) as error:
            found.append(Missing(f"cpu {zone.name}", "RAPL", f"cannot be read: {error}"))
            continue
        label = f"cpu {name}" if name.startswith("package") else f"{name} of {zone.parent.name}"
        found.append(Counter(f"{label} ({zone.name})", "RAPL", 1e-6, modulus, read))
    return found or [Missing("cpu", "RAPL", f"no RAPL zone in {powercap}")]


def _rapl_reader(path: Path) -> Callable[[], int]:
    def read() -> int:
        try:
            return int(path.read_text(encoding="ascii"))
        except PermissionError as error:
            raise CounterFault("RAPL is readable by root only") from error
        except (OSError, ValueError) as error:
            raise CounterFault(f"RAPL cannot be read: {error}") from error

    return read


def _gpu_counters(nvml: Any, wanted: str | None) -> list[Counter | Missing]:
    if nvml is None:
        try:
            nvml = need("pynvml", "NVML")
        except EnvironmentFault:
            reason = f"nvidia-ml-py is not installed; {install_command('pynvml')}"
            return [Missing("gpu", "NVML", reason)]
    try:
        nvml.nvmlInit()
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        return [Missing("gpu", "NVML", f"no NVIDIA driver: {error}")]
    if wanted is not None:
        return [_gpu_by_uuid(nvml, wanted)]
    found = [_gpu_by_index(nvml, index) for index in range(count)]
    return found or [Missing("gpu", "NVML", "no NVIDIA GPU")]


def _gpu_by_index(nvml: Any, index: int) -> Counter | Missing:
    """Return the counter of one GPU; a refusal of this one hides no other."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        return Missing(f"gpu {index}", "NVML", f"NVML refuses it: {error}")
    return _gpu_counter(nvml, index, handle)


def _gpu_by_uuid(nvml: Any, wanted: str) -> Counter | Missing:
    """Return the counter of the GPU in use, whatever its number is here."""
    for spelling in (wanted, wanted.encode()):  # older bindings take bytes
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(spelling)
            return _gpu_counter(nvml, int(nvml.nvmlDeviceGetIndex(handle)), handle)
        except (nvml.NVMLError, TypeError) as error:
            reason = f"NVML does not find it: {error}"
    return Missing(f"gpu {wanted}", "NVML", reason)


def _gpu_counter(nvml: Any, index: int, handle: Any) -> Counter | Missing:
    def read() -> int:
        try:
            return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        except nvml.NVMLError as error:
            raise CounterFault(f"NVML has no energy counter here: {error}") from error

    try:
        name = nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError as error:
        return Missing(f"gpu {index}", "NVML", str(error))
    label = name.decode() if isinstance(name, bytes) else name
    return Counter(f"gpu {index} ({label})", "NVML", 1e-3, None, read)
