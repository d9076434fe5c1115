"""A batch of jobs: what is done stays done, what failed is said, the rest goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.files import write_json

from .executors import RETRIES, Executor
from .job import Job, JobResult

SCHEMA = {"name": "sdcl_neuro.jobs", "version": 1}
STATE_SCHEMA = {"name": "sdcl_neuro.jobs_state", "version": 1}
_READ = (STATE_SCHEMA, SCHEMA)  # the second one is how states were written before


@dataclass(frozen=True)
class JobSummary:
    """How a batch ended, in the order of its jobs."""

    results: tuple[JobResult, ...]

    @property
    def failed(self) -> tuple[JobResult, ...]:
        """Jobs without a result."""
        return tuple(result for result in self.results if not result.done)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"schema": SCHEMA, "jobs": [result.to_dict() for result in self.results]}

    def __str__(self) -> str:
        before = sum(result.done and result.attempts == 0 for result in self.results)
        done = len(self.results) - len(self.failed)
        lines = [f"{done} of {len(self.results)} jobs done, {before} of them before"]
        for result in self.failed:
            last = result.said.splitlines()[-1] if result.said else "no word"
            how = "lost" if result.lost else f"exit code {result.code}"
            tries = number_of(result.attempts, "attempt")
            lines.append(f"  {result.name}: {how} after {tries}: {last}")
        return "\n".join(lines)


def run_jobs(
    jobs: Sequence[Job],
    executor: Executor,
    *,
    state: Path,
    on_end: Callable[[JobResult], None] = lambda result: None,
) -> JobSummary:
    """Do all jobs that are not done yet.

    Args:
        jobs: with unique names.
        executor: of `executors`.
        state: file that remembers which jobs are done, with their stamps; written after each.
        on_end: called in this thread as each job ends, in whatever order.

    Returns:
        Every job's end. A failed job stops no other; one that a signal or a lost machine ended is
        begun again, up to `RETRIES` times.

    Raises:
        InputError: two jobs of one name, or a `state` that another program wrote.
    """
    names = [job.name for job in jobs]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"two jobs are named {twice[0]!r}")
    stamps = {job.name: job.stamp() for job in jobs}
    known = _read_state(state)
    results: dict[str, JobResult] = {}
    running: dict[Future[JobResult], tuple[Job, int]] = {}
    for job in jobs:
        if known.get(job.name) == stamps[job.name] and job.output.exists():
            results[job.name] = JobResult(job.name, 0)
        else:
            running[executor.submit(job)] = (job, 1)
    while running:
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            job, attempt = running.pop(future)
            result = replace(_result(job, future), attempts=attempt)
            if result.lost and attempt <= RETRIES:
                running[executor.submit(job)] = (job, attempt + 1)
                continue
            if result.done:
                known[job.name] = stamps[job.name]
                write_json(state, {"schema": STATE_SCHEMA, "done": known})
            results[job.name] = result
            on_end(result)
    return JobSummary(tuple(results[name] for name in names))


def _result(job: Job, future: Future[JobResult]) -> JobResult:
    try:
        result = future.result()
    except Exception as error:  # whatever a cluster raises where a machine is lost
        text = str(error).strip().splitlines()
        return JobResult(job.name, None, said=text[0] if text else type(error).__name__)
    if result.done and not job.output.exists():
        said = f"it succeeded on {result.host}, and {job.output} is not here: share the folder"
        return replace(result, code=2, said=said)
    return result


def _read_state(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("schema") not in _READ:
        raise InputError(
            "not the state of a batch of jobs", where=str(path), hint="remove it, or name another"
        )
    done = content.get("done")
    return {str(name): str(stamp) for name, stamp in done.items()} if isinstance(done, dict) else {}
