"""Options of the verbs whose work is done as jobs, and what is said while jobs end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.processors import told, usable

if TYPE_CHECKING:
    from sdcl_neuro.jobs import Job, JobResult, JobSummary
    from sdcl_neuro.jobs.executors import Executor

STATE = ".jobs.json"
"""In the folder of the results: which jobs are done. Remove it to do all of them again."""


def add_job_arguments(parser: argparse._ActionsContainer, *, workers: int | None) -> None:
    """Declare where jobs run.

    Args:
        parser: of the verb.
        workers: if left out; None does the work in this process.
    """
    said = "all in this process" if workers is None else str(workers)
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        default=workers,
        help=f"processes on this machine ({said})",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="address of a running Ray cluster that sees the same files, or auto",
    )


def executor_of(args: argparse.Namespace) -> AbstractContextManager[Executor]:
    """Return where the verb's jobs run."""
    from sdcl_neuro.jobs.executors import local_executor, ray_executor

    return (
        local_executor(1 if args.workers is None else args.workers)
        if args.ray is None
        else ray_executor(args.ray)
    )


def threads_of(args: argparse.Namespace) -> int:
    """Return the threads of every process: as told, else the processors shared among the workers.

    One for each process of a cluster, which gives a job one processor.
    """
    given = told()
    if given is not None:
        return given
    return 1 if args.ray is not None else max(1, usable() // max(1, args.workers))


def teller(total: int, *, quiet: bool) -> Callable[[JobResult], None]:
    """Return a function that says on standard error how each job ended."""
    ended = 0

    def tell(result: JobResult) -> None:
        nonlocal ended
        ended += 1
        if not quiet:
            how = f"{result.seconds:.1f} s on {result.host}" if result.done else "failed"
            print(f"{ended} of {total}: {result.name}: {how}", file=sys.stderr, flush=True)

    return tell


def part_jobs(
    given: list[str],
    count: int,
    *,
    outputs: Path,
    extra: tuple[str, ...] = (),
    inputs: tuple[Path, ...] = (),
    threads: int | None = None,
    name: str = "part",
) -> list[Job]:
    """Make a verb's parts of its own command line, which knows ``--part I/N`` and ``--json FILE``.

    Args:
        given: the command line; what is added to it comes last, and the last one of an option
            counts.
        count: N.
        outputs: folder of the parts' JSON.
        extra: options that every part has.
        inputs: files that every part reads.
        threads: of every part; None leaves that to it.
        name: what a part is called, unique among all that share a state.
    """
    from sdcl_neuro.jobs import Job

    at = given.index("--") if "--" in given else len(given)
    jobs = []
    for number in range(1, count + 1):
        output = outputs.resolve() / f"{number}-of-{count}.json"
        own = ("--part", f"{number}/{count}", "--json", str(output), "--quiet", *extra)
        arguments = (*given[:at], *own, *given[at:])
        called, here = f"{name} {number} of {count}", Path.cwd()
        jobs.append(Job(called, arguments, output, inputs, folder=here, threads=threads))
    return jobs


def need_all(summary: JobSummary) -> None:
    """See that all jobs have a result.

    Raises:
        InputError, EnvironmentFault: one has none; what the first of them said last.
    """
    if not summary.failed:
        return
    first = summary.failed[0]
    said = first.said.splitlines()[-1] if first.said else "no word"
    text = f"{len(summary.failed)} of {len(summary.results)} jobs failed; {first.name}: " + (
        said.removeprefix("sdcl-neuro: ")
    )
    kind = InputError if first.code in (1, 2) else EnvironmentFault
    raise kind(text, hint="the same command again does only what is missing")
