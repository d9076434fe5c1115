"""`data cache`: simulate a data set's events ahead of training, in one process or many."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import write_json

from . import common_arguments
from .job_options import STATE, add_job_arguments, executor_of, need_all, part_jobs, teller
from .progress import progress_bars

if TYPE_CHECKING:
    from sdcl_neuro.reid.configuration import Configuration

PARTS = 4
"""Jobs for each process: tracklets differ in length."""
SCHEMA = {"name": "sdcl_neuro.data-cache", "version": 1}


def add_cache(actions: Any) -> None:
    """Declare the action's arguments."""
    text = "events simulated from a data set's frames, into the folder that data.cache names"
    cache = actions.add_parser("cache", help=text, description=text)
    common_arguments(cache)
    cache.add_argument(
        "configuration", metavar="CONFIG", help="a configuration, by name or as a .toml file"
    )
    cache.add_argument(
        "--root", metavar="DIR", type=Path, required=True, help="folder of the data set"
    )
    add_job_arguments(cache, workers=None)
    cache.add_argument(
        "--part",
        metavar="I/N",
        help="every N-th tracklet from the I-th on: what each of --workers does",
    )
    cache.add_argument("--json", metavar="FILE", type=Path, help="the counts as JSON")
    cache.add_argument(
        "overrides",
        metavar="KEY=VALUE",
        nargs="*",
        help="change a value of the configuration, for example data.cache=simulated",
    )


def execute_cache(args: argparse.Namespace) -> int:
    """Fill the cache, and say how many tracklets were simulated."""
    from sdcl_neuro.jobs import Shard
    from sdcl_neuro.reid.configuration import fill_cache, load_configuration

    configuration = load_configuration(args.configuration, args.overrides)
    part = None if args.part is None else Shard.parse(args.part)
    if part is None and (args.workers is not None or args.ray is not None):
        _by_jobs(args, configuration)
    bars = progress_bars(quiet=args.quiet)
    report = fill_cache(configuration, args.root, progress=bars, part=part)
    if report is None:
        raise InputError(
            "this configuration keeps no simulated events",
            where=args.configuration,
            hint="give data.cache=FOLDER, for a data set of frames",
        )
    print(report)
    if args.json is not None:
        write_json(
            args.json,
            {"schema": SCHEMA, "simulated": report.simulated, "found": report.found},
        )
    return 0


def _by_jobs(args: argparse.Namespace, configuration: Configuration) -> None:
    """Have all parts done by processes of this machine or of a cluster."""
    from sdcl_neuro.jobs import run_jobs

    cache = configuration.data.cache
    if not cache:
        return  # said by whoever fills it
    # Beside the cache, which holds nothing but its tracklets.
    folder = (args.root / cache).resolve()
    state = folder.with_name(f".{folder.name}-jobs")
    with executor_of(args) as executor:
        jobs = part_jobs(args.given, PARTS * executor.workers, outputs=state)
        tell = teller(len(jobs), quiet=args.quiet)
        need_all(run_jobs(jobs, executor, state=state / STATE, on_end=tell))
