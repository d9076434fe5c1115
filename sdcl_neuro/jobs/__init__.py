"""Commands of this package as jobs: on this machine or on a Ray cluster, resumable."""

from __future__ import annotations

from .job import Job, JobResult
from .share import Share
from .run import JobSummary, run_jobs

__all__ = ["Job", "JobResult", "JobSummary", "Share", "run_jobs"]
