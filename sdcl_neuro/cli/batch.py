"""`infer` over many clips: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import LABORATORY
from sdcl_neuro.files import write_json

if TYPE_CHECKING:
    from sdcl_neuro.jobs import Job, JobResult
    from sdcl_neuro.reid.pipeline.clips import ComparedVideo

EXTRA = LABORATORY
STATE = ".jobs.json"
"""In the folder of the results: which jobs are done. Remove it to do all of them again."""
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
    parser.add_argument(
        "--workers", metavar="N", type=int, default=1, help="processes on this machine (1)"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="address of a running Ray cluster that sees the same files, or auto",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="outcome of each clip, as JSON")
    parser.epilog = "All other options are those of `infer`, for every clip."
    parser.set_defaults(passed_on=[])


def execute(args: argparse.Namespace) -> int:
    """Do all clips that are not done yet; return 1 where some have no result."""
    from sdcl_neuro.jobs import run_jobs
    from sdcl_neuro.jobs.executors import local_executor, ray_executor
    from sdcl_neuro.reid.pipeline.clips import find_clips

    clips = find_clips(args.clips)
    jobs = jobs_of(args, clips)
    args.out.mkdir(parents=True, exist_ok=True)
    ended = 0

    def say(result: JobResult) -> None:
        nonlocal ended
        ended += 1
        if not args.quiet:
            how = f"{result.seconds:.1f} s on {result.host}" if result.done else "failed"
            print(f"{ended} of {len(jobs)}: {result.name}: {how}", file=sys.stderr, flush=True)

    place = local_executor(args.workers) if args.ray is None else ray_executor(args.ray)
    with place as executor:
        summary = run_jobs(jobs, executor, state=args.out / STATE, on_end=say)
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

    parser = argparse.ArgumentParser(prog="sdcl-neuro infer")
    common_arguments(parser)
    infer.add_arguments(parser)
    parser.parse_args(command[1:])
