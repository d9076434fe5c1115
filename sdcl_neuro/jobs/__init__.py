"""Commands of this package as jobs: on this machine or on a Ray cluster, resumable."""

from __future__ import annotations

from .job import Job, JobResult
from .run import JobSummary, run_jobs
from .shard import Shard

__all__ = ["Job", "JobResult", "JobSummary", "Shard", "run_jobs"]
