"""Where jobs run: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.extras import need
from sdcl_neuro.notices import notice

from .job import Job, JobResult, run_job

RETRIES = 2
"""How often a job is begun again after a signal or a lost machine ended it."""


class Executor(Protocol):
    """Runs jobs, each in a process of its own; a lost process costs only its job.

    Attributes:
        workers: jobs that it runs at a time.
    """

    workers: int

    def submit(self, job: Job) -> Future[JobResult]:
        """Begin a job when there is room for it."""


class LocalExecutor:
    """Processes of this machine, at most `workers` at a time."""

    def __init__(self, pool: ThreadPoolExecutor, workers: int) -> None:
        self._pool, self.workers = pool, workers

    def submit(self, job: Job) -> Future[JobResult]:
        """See `Executor`."""
        return self._pool.submit(run_job, job)


class RayExecutor:
    """Tasks of a Ray cluster, one CPU each; Ray does a lost node's tasks again."""

    def __init__(self, ray: Any) -> None:
        # Jobs are idempotent, so Ray may repeat them; see "Task Fault Tolerance" in Ray's manual.
        self._run = ray.remote(num_cpus=1, max_retries=RETRIES)(run_job)
        there = int(ray.cluster_resources().get("CPU", 0))
        if not there:
            notice("the Ray cluster has no CPU now: jobs begin when a node with one joins it")
        self.workers = max(1, there)

    def submit(self, job: Job) -> Future[JobResult]:
        """See `Executor`."""
        future: Future[JobResult] = self._run.remote(job).future()
        return future


@contextmanager
def local_executor(workers: int) -> Iterator[LocalExecutor]:
    """Run jobs on this machine.

    Raises:
        InputError: less than one worker.
    """
    if workers < 1:
        raise InputError(f"{workers} workers", where="--workers", hint="give 1 or more")
    with ThreadPoolExecutor(workers, thread_name_prefix="job") as pool:
        yield LocalExecutor(pool, workers)


@contextmanager
def ray_executor(address: str) -> Iterator[RayExecutor]:
    """Run jobs on a cluster that is running.

    Ray lets everyone who reaches it run code unless it asks for a token, so that a token is
    required here: ``RAY_AUTH_MODE=token``, before Ray is imported.

    Args:
        address: ``HOST:PORT`` of the cluster's head, or ``auto`` for the one of this machine.

    Raises:
        EnvironmentFault: Ray is not installed; no cluster answers, or the token is not its own.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    ray = need("ray", "--ray")
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except Exception as error:  # Ray raises whatever its parts raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EnvironmentFault(
            f"no Ray cluster accepts this process: {said}",
            where=f"--ray {address}",
            hint="start it with RAY_AUTH_MODE=token, and have its token in RAY_AUTH_TOKEN or "
            "~/.ray/auth_token",
        ) from None
    try:
        yield RayExecutor(ray)
    finally:
        ray.shutdown()
