"""The process in which Lava runs: ``python -m sdcl_neuro.conversion.backends.lava.worker FOLDER``.

It leads a process group of its own. ``FOLDER/jobs.json`` says what to run (written by `child`);
results go to files beside it. Whatever ends the parent ends this process and Lava's forks: the
parent holds the other end of standard input, and each fork dies with this process.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import sys
import threading
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from sdcl_neuro.processors import collect_later

PR_SET_PDEATHSIG = 1  # Linux, <linux/prctl.h>
POLL_S = 1.0
FAULT_GRACE_S = 2.0  # in which Lava may notice a failed process of its own and say so

_FORKS: set[int] = set()


def main() -> int:
    """Run the jobs of the folder given; failures are written to ``FOLDER/error.txt``."""
    collect_later()
    folder = Path(sys.argv[1])
    watch = threading.Thread(target=_watch, args=(folder, os.getppid()), daemon=True)
    watch.start()
    os.register_at_fork(after_in_child=_die_with_worker)
    try:
        from . import compat as lava_compat

        lava_compat.apply()
        _report_faults(folder)
        from .stepping import run_job

        request = json.loads((folder / "jobs.json").read_text(encoding="utf-8"))
        for job in request["jobs"]:
            result = run_job(job, folder=folder, run_cfg=request["run_cfg"])
            _write(folder / f"{job['name']}.json", json.dumps(result))
    except BaseException:
        _write(folder / "error.txt", traceback.format_exc())
        _end_group()  # Python would wait for Lava's forks, which may wait for each other
    return 0


def _die_with_worker() -> None:
    """Ask Linux, in each of Lava's forks, for SIGKILL should the worker be killed outright."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _report_faults(folder: Path) -> None:
    """Let each of Lava's forks write its traceback to a file: Lava itself logs it at INFO only.

    Their numbers are kept from their start to Lava's stop, so that one that is killed is missed.
    """
    infrastructure = import_module("lava.magma.runtime.message_infrastructure.multiprocessing")
    process, memory = infrastructure.SystemProcess, infrastructure.SharedMemoryManager
    run_it, start_it, join_it, serve_it = process.run, process.start, process.join, memory.start

    def start(self: Any) -> None:
        start_it(self)
        _FORKS.add(self.pid)

    def join(self: Any) -> None:
        _FORKS.clear()
        join_it(self)

    def serve(self: Any) -> None:
        serve_it(self)
        _FORKS.add(self._manager._process.pid)

    def run(self: Any) -> None:
        target = self._target

        def reporting(*args: Any, **options: Any) -> Any:
            try:
                return target(*args, **options)
            except BaseException:
                _write(folder / f"fault_{time.time_ns()}_{os.getpid()}.txt", traceback.format_exc())
                raise

        self._target = reporting
        run_it(self)

    process.run, process.start, process.join, memory.start = run, start, join, serve


def _watch(folder: Path, parent: int) -> None:
    """End the whole group when the parent is gone, or when Lava hangs on a failed process."""
    since: float | None = None
    while True:
        ready, _, _ = select.select([0], [], [], POLL_S)
        if (ready and not os.read(0, 1)) or os.getppid() != parent:
            shutil.rmtree(folder, ignore_errors=True)
            _end_group()
        if not _in_trouble(folder):
            since = None
        elif since is None:
            since = time.monotonic()
        elif time.monotonic() - since > FAULT_GRACE_S:
            if not any(folder.glob("fault_*.txt")):
                _write(folder / "error.txt", "RuntimeError: a process of Lava was killed\n")
            _end_group()


def _in_trouble(folder: Path) -> bool:
    """Return whether a fork has failed, or is gone although no one stopped it."""
    return any(folder.glob("fault_*.txt")) or not all(_alive(pid) for pid in tuple(_FORKS))


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _end_group() -> None:
    # SIGTERM, not SIGKILL: multiprocessing's resource tracker ignores it, and frees the shared
    # memory of the others once they are gone.
    os.killpg(os.getpgrp(), signal.SIGTERM)


def _write(path: Path, text: str) -> None:
    """Write a file that the reader sees whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
