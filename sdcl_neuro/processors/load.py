"""What other processes use of the processors that this one may run on."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from .usable import affinity

STAT = Path("/proc/stat")
"""Linux: a line a processor, ``cpuN user nice system idle iowait irq softirq steal guest ...``, in
ticks since the start; and ``procs_running N`` (proc_stat(5))."""
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
        running: threads of the whole system that ran or waited for a processor at that moment, the
            one that asks among them; None where that is not told.
    """

    busy_s: float
    own_s: float
    at_s: float
    running: int | None = None


def sample(stat: Path = STAT) -> LoadSample | None:
    """Read the processor time so far; None where the system does not tell it."""
    try:
        lines = stat.read_text(encoding="ascii").splitlines()
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None
    mine = {f"cpu{number}" for number in affinity()}
    busy, running = 0, None
    for line in lines:
        name, _, rest = line.partition(" ")
        if name == "procs_running":
            running = int(rest)
        elif name in mine:
            ticks = [int(value) for value in rest.split()[:_COUNTED]]
            busy += sum(ticks) - sum(ticks[place] for place in _IDLE if place < len(ticks))
    spent = os.times()
    own = spent.user + spent.system + spent.children_user + spent.children_system
    return LoadSample(busy * tick_s, own, time.monotonic(), running)


def used_by_others(begun: LoadSample | None, now: LoadSample | None) -> float | None:
    """Return processors' worth of time that other processes used between two samples.

    Not more than could be used at the second one: what has ended since takes nothing any more.

    Returns:
        None where a sample is missing or too little time lies between the two.
    """
    if begun is None or now is None or now.at_s - begun.at_s < LEAST_S:
        return None
    others = (now.busy_s - begun.busy_s) - (now.own_s - begun.own_s)
    used = max(0.0, others / (now.at_s - begun.at_s))
    return used if now.running is None else min(used, max(0, now.running - 1))
