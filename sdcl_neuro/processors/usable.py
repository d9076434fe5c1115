"""How many processors this process may use at all: its affinity and its control group's quota."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from math import inf
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
"""Where Linux mounts control groups: version 2 there, version 1 in folders by controller."""
OWN = Path("/proc/self/cgroup")
"""Lines ``number:controllers:path``, the path of this process in each hierarchy."""
_CONTROLLERS = ("cpu", "cpu,cpuacct")


def usable(groups: Path = GROUPS, own: Path = OWN) -> int:
    """Count the processors that this process may use, at least 1.

    The affinity is read every time, the quota once.

    Args:
        groups: where control groups are mounted.
        own: the file that says to which of them this process belongs.
    """
    return max(1, int(min(len(affinity()), quota(groups, own))))


def affinity() -> frozenset[int]:
    """Return numbers of the processors that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


@cache
def quota(groups: Path = GROUPS, own: Path = OWN) -> float:
    """Return processors' worth of time that control groups allow, the least of all groups around.

    Returns:
        Infinite where none limits it, or where this system has no control groups.
    """
    limits = [inf]
    for folder in _folders(groups, own):
        limits += _limits(folder)
    return min(limits)


def _folders(groups: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of this process' group and of all groups around it."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            tops = [groups, groups / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [groups / name for name in _CONTROLLERS]
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        for top in tops:
            yield from (top / part for part in (inside, *inside.parents))


def _limits(folder: Path) -> Iterator[float]:
    """Yield a folder's quota over its period, in either version's files."""
    try:
        new = (folder / "cpu.max").read_text(encoding="ascii").split()
        if new and new[0] != "max":
            yield int(new[0]) / int(new[1])
    except (OSError, ValueError, IndexError, ZeroDivisionError):
        pass
    try:
        most = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
        if most > 0:
            yield most / period
    except (OSError, ValueError, ZeroDivisionError):
        pass
