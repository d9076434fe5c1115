"""`Job`: one command, as a rule of ``sdcl-neuro``, that writes one result, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdcl_neuro.processors import TOLD

_TAIL = 2000  # characters of a failed command's last words
SDCL_NEURO = ("-m", "sdcl_neuro")


@dataclass(frozen=True)
class Job:
    """One command. Doing it twice leaves the same as doing it once.

    Attributes:
        name: unique within its batch, plain text.
        arguments: after ``sdcl-neuro``, all paths absolute, so that any node of a cluster that
            shares the files can run it.
        output: the file that is there, whole, when the command has succeeded.
        inputs: files that it reads; where one changes, the job is done again.
        program: what Python runs: this package, or a script by its absolute path.
        folder: absolute, in which it runs; None for whichever the executor is in.
        threads: told to it, for the bits of a process with as many; None tells it nothing.
    """

    name: str
    arguments: tuple[str, ...]
    output: Path
    inputs: tuple[Path, ...] = ()
    program: tuple[str, ...] = SDCL_NEURO
    folder: Path | None = None
    threads: int | None = None

    def stamp(self) -> str:
        """Return a hash of the command and of its inputs' sizes and times of change."""
        seen: list[Any] = [list(self.arguments)]
        place = [self.program, self.folder, self.threads]
        if place != [SDCL_NEURO, None, None]:
            seen.append([*self.program, str(self.folder), self.threads])
        for path in self.inputs:
            try:
                status = path.stat()
            except OSError:
                seen.append([str(path), None])
            else:
                seen.append([str(path), status.st_size, status.st_mtime_ns])
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    Attributes:
        name: of the job.
        code: exit code; negative where a signal ended the command, None where the machine that ran
            it was lost.
        said: the last lines that a failed command wrote to standard error.
        seconds: it took, of the last attempt; 0 where it was done before.
        host: that ran it.
        attempts: how often it was begun; 0 where it was done before.
    """

    name: str
    code: int | None
    said: str = ""
    seconds: float = 0.0
    host: str = ""
    attempts: int = 0

    @property
    def done(self) -> bool:
        """Return whether the result is there."""
        return self.code == 0

    @property
    def lost(self) -> bool:
        """Whether something outside ended it, so that it may succeed when it is done again."""
        return self.code is None or self.code < 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def run_job(job: Job) -> JobResult:
    """Run a job's command in a process of its own, with this process's Python."""
    begun = time.monotonic()
    environment = dict(os.environ)
    if job.threads is not None:
        environment[TOLD] = str(job.threads)
    done = subprocess.run(
        [sys.executable, *job.program, *job.arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
        cwd=job.folder,
        env=environment,
    )
    return JobResult(
        name=job.name,
        code=done.returncode,
        said="" if done.returncode == 0 else done.stderr.strip()[-_TAIL:],
        seconds=time.monotonic() - begun,
        host=platform.node(),
        attempts=1,
    )
