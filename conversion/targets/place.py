"""Puts everything that a target writes in its place at once, or nothing of it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_folder, atomic_path, keep_apart, named, settle
from sdcl_neuro.files.litter import prefix_of, temporary_folder
from sdcl_neuro.files.places import destination
from sdcl_neuro.files.reading import read_json

from .table import Target

REPORT = "report.json"
"""The report's name in a folder; beside a file it is the file's name with ``.json`` behind it."""


def report_path(out: Path, target: Target) -> Path:
    """Return where the report of a conversion stands."""
    return out / REPORT if not target.ending else out.with_name(f"{out.name}.json")


def check_place(out: Path, target: Target, source: Path) -> None:
    """Find what would stop the output before anything is computed.

    Raises:
        InputError: the place is of the wrong kind, is the input, or holds what is not ours.
    """
    keep_apart(out, source)
    if target.ending:
        if out.is_dir():
            raise InputError("the output is a folder", where=str(out), hint="give a file's name")
        return
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError("the output is a file", where=str(out), hint="give a folder's name")
    foreign = sorted({entry.name for entry in out.iterdir()} - _known(out / REPORT))
    if foreign:
        raise InputError(
            f"holds {', '.join(foreign[:3])}",
            where=str(out),
            hint="name a new folder, or empty this one",
        )


def refuse_foreign(out: Path, names: tuple[str, ...], target: Target) -> None:
    """Raise InputError where a companion of `out` would replace a file that is not ours."""
    known = _known(report_path(out, target))
    for name in names:
        place = out.with_name(name)
        if name != out.name and place.exists() and name not in known:
            raise InputError(
                f"{place} would be overwritten and was not written by sdcl-neuro",
                where=str(out),
                hint="move it, or give the output another name",
            )


@contextmanager
def staged(out: Path, target: Target) -> Iterator[Path]:
    """Yield the path to write to; what is written there is put in place if the block succeeds.

    For a file, everything beside the yielded path goes beside `out`.
    """
    if not target.ending:
        with atomic_folder(out) as folder:
            yield folder
        return
    place, through = destination(out)
    if through:
        with atomic_path(out) as temporary:
            yield temporary
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with named(out, place.parent), temporary_folder(place.parent, prefix_of(out)) as folder:
        try:
            yield folder / place.name
            files = sorted(folder.iterdir(), key=lambda path: path.name == place.name)
            for path in files:
                if (other := place.with_name(path.name)).is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(other))
            for path in files:
                settle(path, destination(place.with_name(path.name))[0])
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _known(report: Path) -> set[str]:
    """Return names of the files that an earlier conversion wrote, by its report, which is one of
    them.
    """
    try:
        value: Any = read_json(report)
        if value["schema"]["name"] == "sdcl_neuro.convert":
            return {report.name, *map(str, value["files"])}
    except (OSError, InputError, LookupError, TypeError):
        pass
    return set()
