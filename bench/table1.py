"""SDCL's Table 1 on a data set of one's own: every method and input, on several seeds.

One row on one seed is one job: trained, judged on clean, blurred and occluded frames, counted and
priced. Its result is one JSON file in ``--results``, with configuration, seed, date and commit;
whatever is there is not done again, and a job that was interrupted goes on where it stood. So any
number of calls, on one machine or on several with a common folder, complete the table; a job that
another process has begun is left to it.

    python bench/table1.py --out DIR [--results DIR] [--data generated-table] [--root DIR]
        [--methods sdcl,grl] [--inputs v,e,v+e] [--seeds 0,1,2] [--jobs N] [--until HH:MM]
        [--ablations | --only-ablations] [--write docs/table1.md] [--figure docs/figure5]
        [--workers N | --ray ADDRESS] [KEY=VALUE ...]

``--workers N`` does N jobs at a time, each in a process of its own; ``--ray ADDRESS`` on a cluster
whose nodes see the same files. A process or node that is killed costs only its job, which is begun
again where it stood.
"""

from __future__ import annotations

import argparse
import datetime
import fcntl
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from generated import same_configuration, write_between
from table1_job import CONFIGURATION, Job, run_job, write_result
from table1_page import INPUTS, page, points

from sdcl_neuro.cli.job_options import executor_of, threads_of
from sdcl_neuro.hybrid.composition import MODEL_KINDS
from sdcl_neuro.jobs import Job as ApartJob
from sdcl_neuro.jobs import JobResult, run_jobs
from sdcl_neuro.reid.figures import cost_figure, save_figure

BEGIN, END = "<!-- table1.py: begin -->", "<!-- table1.py: end -->"
RESULTS = Path(__file__).resolve().parent / "results" / "table1"
# The paper's Fig. 6 and Table 3, and the switches of Section 3.4 and 3.5.
ABLATIONS = {
    "1 spiking layer": ("event_branch.layers=1",),
    "3 spiking layers": ("event_branch.layers=3",),
    "no deformable layer": ("bridge.deformable_layers=0",),
    "1 deformable layer": ("bridge.deformable_layers=1",),
    "2 deformable layers": ("bridge.deformable_layers=2",),
    "4 deformable layers": ("bridge.deformable_layers=4",),
    "no fusion": ("bridge.fusion=none",),
    "fusion by concatenation": ("bridge.fusion=concat",),
    "fusion by addition": ("bridge.fusion=add",),
    "fusion by attention": ("bridge.fusion=attention",),
    "alignment e2f": ("bridge.direction=e2f",),
    "alignment f2e": ("bridge.direction=f2e",),
    "no pyramid": ("bridge.pyramid=none",),
    "residual pyramid": ("bridge.pyramid=residual",),
}


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Return whether a job is ours: no other process works in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "job.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def read(job: Job, args: argparse.Namespace) -> dict[str, Any] | None:
    """A finished job's result; None if it is not finished.

    Raises:
        SystemExit: a result of another configuration.
    """
    path = args.results / f"{job.name}.json"
    if not path.is_file():
        return None
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not same_configuration(kept["configuration"], job.configuration(args.data, args.overrides)):
        raise SystemExit(f"{path} is of another configuration: give another --results")
    return kept


def plan(args: argparse.Namespace) -> list[Job]:
    """All jobs, seed by seed, so that an unfinished table has whole seeds."""
    jobs = [
        Job(method, inputs, seed)
        for seed in args.seeds
        for method in args.methods
        for inputs in args.inputs
        if not args.only_ablations
    ]
    if args.ablations or args.only_ablations:
        jobs += [
            Job("sdcl", "v+e", seed, variant, overrides)
            for seed in args.seeds
            for variant, overrides in ABLATIONS.items()
        ]
    if args.only is not None and args.only not in {job.name for job in jobs}:
        raise SystemExit(f"no job is named {args.only!r}: the first of these is {jobs[0].name!r}")
    return [job for job in jobs if args.only in (None, job.name)]


def listed(text: str) -> list[str]:
    """A comma-separated option."""
    return [one.strip() for one in text.split(",") if one.strip()]


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration")
    parser.add_argument("--out", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of finished jobs")
    parser.add_argument("--data", default=CONFIGURATION, help="a configuration")
    parser.add_argument("--root", type=Path, help="folder of the data set")
    parser.add_argument("--methods", type=listed, default=list(MODEL_KINDS))
    parser.add_argument("--inputs", type=listed, default=list(INPUTS))
    parser.add_argument("--seeds", type=lambda text: [int(n) for n in listed(text)], default=[0])
    parser.add_argument("--ablations", action="store_true", help="those of SDCL, too")
    parser.add_argument("--only-ablations", action="store_true", help="nothing but those")
    parser.add_argument("--jobs", type=int, help="do so many that are not done, then stop")
    parser.add_argument("--only", metavar="NAME", help="the job of this name; no page")
    parser.add_argument("--workers", type=int, help="do so many jobs at a time")
    parser.add_argument("--ray", metavar="ADDRESS", help="do them on this Ray cluster")
    parser.add_argument("--until", metavar="HH:MM", help="begin no job after this time of day")
    parser.add_argument("--write", type=Path, help="a page with the script's two marks")
    parser.add_argument("--figure", type=Path, help="figure 5 of these jobs, without an ending")
    args = parser.parse_args(arguments)
    unknown = [one for one in args.methods if one not in MODEL_KINDS]
    unknown += [one for one in args.inputs if one not in INPUTS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)} (methods: {', '.join(MODEL_KINDS)})")
    if args.until is not None and (args.workers is not None or args.ray is not None):
        parser.error("--until is for one job after the other: give --jobs")
    args.given = sys.argv[1:] if arguments is None else arguments
    return args


def late(until: str | None) -> bool:
    """Return whether the time of day `until` has passed."""
    return until is not None and datetime.datetime.now().strftime("%H:%M") >= until


def do_apart(jobs: list[Job], args: argparse.Namespace) -> None:
    """Do jobs as processes of this machine or tasks of a cluster, and say how each ended.

    Raises:
        SystemExit: one has no result; all others are done before that.
    """
    script = str(Path(__file__).resolve())
    common = [*args.given, "--jobs", "1", "--out", str(args.out.resolve())]
    common += ["--results", str(args.results.resolve())]
    apart = [
        ApartJob(
            job.name,
            (*common, "--only", job.name),
            args.results.resolve() / f"{job.name}.json",
            program=(script,),
            folder=Path.cwd(),
            threads=threads_of(args),
        )
        for job in jobs
    ]

    def tell(result: JobResult) -> None:
        how = f"{result.seconds:.0f} s on {result.host}" if result.done else "failed"
        print(f"{result.name}: {how}", flush=True)

    args.out.mkdir(parents=True, exist_ok=True)
    with executor_of(args) as executor:
        summary = run_jobs(apart, executor, state=args.out / ".jobs.json", on_end=tell)
    if summary.failed:
        raise SystemExit(str(summary))


def do_here(job: Job, args: argparse.Namespace) -> bool:
    """Do a job in this process; return whether it was ours to do."""
    with claimed(args.out / job.name) as ours:
        if not ours:
            print(f"{job.name}: another process has it", flush=True)
            if args.only is not None:
                raise SystemExit(f"{job.name}: another process has it")
            return False
        print(job.name, flush=True)
        write_result(args.results / f"{job.name}.json", run_job(job, args))
        return True


def main() -> None:
    """Do the next jobs, print the tables of all that are done."""
    args = parsed()
    jobs = plan(args)
    apart = args.only is None and (args.workers is not None or args.ray is not None)
    todo = [job for job in jobs if read(job, args) is None]
    if apart:
        do_apart(todo[: args.jobs], args)
    else:
        left = args.jobs
        for job in todo:
            if left == 0 or late(args.until):
                break
            if do_here(job, args) and left is not None:
                left -= 1
    done = [found for job in jobs if (found := read(job, args)) is not None]
    text = page(done, jobs)
    print(text)
    if args.only is not None:
        return
    if args.write is not None:
        write_between(args.write, text, marks=(BEGIN, END))
    if args.figure is not None:
        save_figure(cost_figure(points(done)), args.figure)


if __name__ == "__main__":
    main()
