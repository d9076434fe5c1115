"""Threads of a training: decided when it begins, and kept, because its numbers depend on them.

The sums of a step are added in another order with another number of threads, so a training that
goes on takes the number it was begun with, on a busy machine or another one, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import write_json
from sdcl_neuro.processors import Threads, settle

from ..training.distributed import Group

FILE = "threads.json"
SCHEMA = {"name": "sdcl_neuro.training_threads", "version": 1}


def training_threads(folder: Path, group: Group, say: Callable[[str], None]) -> Threads:
    """Take the number a training was begun with, or decide it and write it down.

    Args:
        folder: of the training, which is there.
        group: of processes, which share the processors of a machine.
        say: told where the number differs from what the training was begun with.

    Raises:
        InputError: the file in the folder is damaged.
    """
    threads = settle()
    path = folder / FILE
    if path.is_file():
        begun = _read(path)
        if threads.told is None:
            return replace(threads, count=begun, reason="as the training was begun")
        if threads.count != begun:
            say(
                f"{threads.count} threads as told, begun with {begun}: from here on the weights "
                "differ in rounding from those of an uninterrupted training"
            )
        return threads
    if threads.told is None and group.size > 1:
        count = max(1, threads.count // group.size)
        threads = replace(
            threads, count=count, reason=f"{threads.count} for {group.size} processes"
        )
    if group.leads:
        write_json(path, {"schema": SCHEMA, "count": threads.count})
    return threads


def kept_threads(folder: Path) -> int | None:
    """Return the number in a training's folder; None where none was written down."""
    path = folder / FILE
    return _read(path) if path.is_file() else None


def _read(path: Path) -> int:
    try:
        count = json.loads(path.read_text(encoding="utf-8"))["count"]
    except (OSError, ValueError, KeyError, TypeError):
        count = None
    if not isinstance(count, int) or count < 1:
        raise InputError(
            "does not hold a number of threads",
            where=str(path),
            hint="give --threads N and remove it",
        )
    return count
