"""`evaluate` by several processes: what they compute in one cache, then one evaluation over it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import scratch_folder

from .job_options import STATE, executor_of, need_all, part_jobs, teller

PARTS = 2
"""Jobs for each process, so that those that end early have more to do."""
LARGE = 4_000
"""Tracklets of query and gallery from which rankings are jobs, too: below it, re-ranking a row
takes some seconds, as a process does to begin."""


def in_jobs(args: argparse.Namespace) -> bool:
    """Return whether the command asks for several processes; a part is one process's work.

    Raises:
        InputError: together with what excludes it.
    """
    if args.part is not None or (args.workers is None and args.ray is None):
        return False
    where = "--workers" if args.ray is None else "--ray"
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("torchrun has begun several processes", where=where, hint="leave it out")
    if args.ray is not None and args.cache is None:
        raise InputError(
            "a cluster's nodes need a common folder", where=where, hint="give --cache DIR"
        )
    return True


@contextmanager
def cache_of(args: argparse.Namespace) -> Iterator[Path | None]:
    """Yield the folder of embeddings: the user's; for processes of this machine a passing one."""
    if args.cache is not None or not in_jobs(args):
        yield args.cache
        return
    with scratch_folder("sdcl_neuro") as folder:
        yield folder


def ranked_apart(entries: int) -> bool:
    """Return whether so many tracklets are ranked in jobs, too, not by the process that asks."""
    return entries >= LARGE


def compute_in_jobs(
    args: argparse.Namespace, stages: Mapping[str, int], *, cache: Path, threads: int
) -> None:
    """Have the stages of an evaluation computed into the cache, one after another.

    Args:
        args: of `evaluate`.
        stages: name to the number of its pieces, and so the most parts that are made.
        cache: where embeddings and rankings are kept.
        threads: of each process.

    Raises:
        InputError, EnvironmentFault: a part that failed.
    """
    from sdcl_neuro.jobs import run_jobs

    cache = cache.resolve()
    files = [path for path in sorted(args.checkpoint.resolve().rglob("*")) if path.is_file()]
    with executor_of(args) as executor:
        for stage, pieces in stages.items():
            jobs = part_jobs(
                args.given,
                min(pieces, PARTS * executor.workers),
                outputs=cache / "parts" / stage,
                extra=("--cache", str(cache), "--stage", stage),
                inputs=tuple(files),
                threads=threads,
                name=f"{stage}, part",
            )
            tell = teller(len(jobs), quiet=args.quiet)
            need_all(run_jobs(jobs, executor, state=cache / STATE, on_end=tell))
