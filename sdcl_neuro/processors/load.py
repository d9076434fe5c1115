"""What other processes use of the processors that this one may run on."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from .usable import affinity

STAT = Path("/proc/stat")
"""Linux: a line a processor, ``cpuN user nice system idle iowait irq softirq steal guest ...``, in
ticks since the start (proc_stat(5))."""
_IDLE = (3, 4)  # idle and iowait, among the numbers of such a line
_COUNTED = 8  # user to steal; a guest's time stands in user already
LEAST_S = 0.05
"""A shorter stretch tells nothing: a tick is 10 ms."""


@dataclass(frozen=True)
class LoadSample:
    """Processor time up to one moment, in seconds.

    Attributes:
        busy_s: of all processes, on the processors of this process' affinity.
        own_s: of this process and of its children that have ended.
        at_s: the moment, by a monotonic clock.
    """

    busy_s: float
    own_s: float
    at_s: float


def sample(stat: Path = STAT) -> LoadSample | None:
    """Read the processor time so far; None where the system does not tell it."""
    try:
        lines = stat.read_text(encoding="ascii").splitlines()
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    mine = {f"cpu{number}" for number in affinity()}
    busy = 0
    for line in lines:
        name, _, rest = line.partition(" ")
        if name in mine:
            ticks = [int(value) for value in rest.split()[:_COUNTED]]
            busy += sum(ticks) - sum(ticks[place] for place in _IDLE if place < len(ticks))
    spent = os.times()
    own = spent.user + spent.system + spent.children_user + spent.children_system
    return LoadSample(busy * tick_s, own, time.monotonic())


def used_by_others(begun: LoadSample | None, now: LoadSample | None) -> float | None:
    """Return processors' worth of time that other processes used between two samples.

    Returns:
        None where a sample is missing or too little time lies between the two.
    """
    if begun is None or now is None or now.at_s - begun.at_s < LEAST_S:
        return None
    others = (now.busy_s - begun.busy_s) - (now.own_s - begun.own_s)
    return max(0.0, others / (now.at_s - begun.at_s))
