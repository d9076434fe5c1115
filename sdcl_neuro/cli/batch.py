"""`infer` over many clips: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import LABORATORY
from sdcl_neuro.files import write_json

from .job_options import STATE, add_job_arguments, executor_of, teller

if TYPE_CHECKING:
    from sdcl_neuro.jobs import Job
    from sdcl_neuro.reid.pipeline.clips import ComparedVideo

EXTRA = LABORATORY
_OWN = ("--video", "--tracks", "--events", "--out", "--json", "--quiet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", type=Path, help="the folder of a whole SDCL"
    )
    parser.add_argument(
        "clips",
        metavar="CLIPS",
        type=Path,
        help="a folder of videos with tracks in NAME.txt and events in NAME.raw and the like, or a "
        "CSV list with columns video, tracks, events, name",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder for the results, DIR/NAME/infer.json for each clip",
    )
    add_job_arguments(parser, workers=1)
    parser.add_argument("--json", metavar="FILE", type=Path, help="outcome of each clip, as JSON")
    parser.epilog = "All other options are those of `infer`, for every clip."
    parser.set_defaults(passed_on=[])


def execute(args: argparse.Namespace) -> int:
    """Do all clips that are not done yet; return 1 where some have no result."""
    from sdcl_neuro.jobs import run_jobs
    from sdcl_neuro.reid.pipeline.clips import find_clips

    clips = find_clips(args.clips)
    jobs = jobs_of(args, clips)
    args.out.mkdir(parents=True, exist_ok=True)
    tell = teller(len(jobs), quiet=args.quiet)
    with executor_of(args) as executor:
        summary = run_jobs(jobs, executor, state=args.out / STATE, on_end=tell)
    print(summary)
    print(f"results: {args.out}/NAME/infer.json and report.html")
    if args.json is not None:
        write_json(args.json, summary.to_dict())
    return 1 if summary.failed else 0


def jobs_of(args: argparse.Namespace, clips: list[ComparedVideo]) -> list[Job]:
    """Make each clip's `infer`.

    Raises:
        InputError: an option that this verb sets itself; a clip without tracks, and no --detect.
    """
    from sdcl_neuro.jobs import Job

    for option in args.passed_on:
        if option.split("=")[0] in _OWN:
            raise InputError(f"{option} for a batch", hint="it is set for each clip")
    without = [clip.name for clip in clips if clip.tracks is None]
    if without and "--detect" not in args.passed_on:
        raise InputError(
            f"no tracks of {', '.join(without[:5])}{' and others' if len(without) > 5 else ''}",
            where=str(args.clips),
            hint="put them into NAME.txt, or give --detect",
        )
    jobs = []
    for clip in clips:
        out = (args.out / clip.name).resolve()
        command = ["infer", str(args.checkpoint.resolve()), "--video", str(clip.video)]
        if clip.tracks is not None:
            command += ["--tracks", str(clip.tracks)]
        if clip.events is not None:
            command += ["--events", str(clip.events)]
        command += ["--out", str(out), "--quiet", *args.passed_on]
        inputs = (*clip.files, *sorted(args.checkpoint.resolve().rglob("*")))
        jobs.append(Job(clip.name, tuple(command), out / "infer.json", inputs))
    _check(jobs[0].arguments)
    return jobs


def _check(command: tuple[str, ...]) -> None:
    """See that `infer` knows the options; argparse ends the process where it does not."""
    from . import common_arguments, infer
    from .parsing import Parser

    parser = Parser(prog="sdcl-neuro infer")
    common_arguments(parser)
    infer.add_arguments(parser)
    parser.parse_args(command[1:])
