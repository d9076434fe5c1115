"""Starts the Lava worker, waits for it, and leaves no process running, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from sdcl_neuro.errors import EnvironmentFault

POLL_S = 0.02
END_S = 5.0  # for forks to go after SIGTERM, and for shared memory to be released


def run_worker(folder: Path, *, timeout_s: float | None) -> None:
    """Run the jobs of `folder` in a worker of its own session, which is gone on return.

    Raises:
        EnvironmentFault: the worker failed, was killed or timed out; the message ends with the
            real exception, and the exception's note holds the full traceback.
    """
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__package__}.worker", str(folder)],
            stdin=subprocess.PIPE,  # its closing, also by our death, ends the worker
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(),
        )
    try:
        finished = _wait(process.pid, timeout_s)
    finally:
        _end(process)
    if not finished:
        hint = "allow more time, or give fewer steps, samples or layers"
        raise EnvironmentFault(f"no result after {timeout_s:g} s", where="lava", hint=hint)
    if process.returncode != 0:
        raise _fault(folder, process.returncode)


def _environment() -> dict[str, str]:
    """Return ours, and where this package is if not installed; one thread: steps are tiny."""
    root = Path(__file__).parents[4]
    # Among installed packages it is found anyway; named here, these would hide Python's own.
    ours = "" if root.name == "site-packages" else str(root)
    joined = os.pathsep.join(path for path in (os.environ.get("PYTHONPATH"), ours) if path)
    return {**os.environ, "PYTHONPATH": joined, "OMP_NUM_THREADS": "1"}


def _wait(pid: int, timeout_s: float | None) -> bool:
    """Wait without reaping, so that the group's number cannot go to another; False: timed out."""
    limit = None if timeout_s is None else time.monotonic() + timeout_s
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if limit is not None and time.monotonic() >= limit:
            return False
        time.sleep(POLL_S)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of the worker's group, and only then forget its number."""
    # SIGTERM first: multiprocessing's resource tracker ignores it and frees the shared memory.
    _signal(process.pid, signal.SIGTERM)
    limit = time.monotonic() + END_S
    while _group(process.pid) and time.monotonic() < limit:
        time.sleep(POLL_S)
    _signal(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def _signal(leader: int, number: signal.Signals) -> None:
    # A group of which only the zombie of its leader is left is not a process to some systems.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _group(leader: int) -> list[int]:
    """Return living members of a process group."""
    members = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == leader and process.info["status"] != "zombie":
                members.append(process.pid)
        except (ProcessLookupError, PermissionError):
            continue
    return members


def _fault(folder: Path, code: int) -> EnvironmentFault:
    """Return what went wrong in the worker: a fork's own traceback before Lava's summary of it."""
    texts = [*sorted(folder.glob("fault_*.txt")), folder / "error.txt"]
    found = [_text(path) for path in texts if path.is_file()]
    if found and found[0]:
        what = found[0].splitlines()[-1].strip()
    elif code < 0:
        what = f"the worker was ended by {signal.Signals(-code).name}"
    else:
        what = f"the worker ended with code {code}"
    hint = "run with --debug for the worker's traceback"
    fault = EnvironmentFault(what, where="lava", hint=hint)
    fault.add_note("\n".join(["In the Lava worker:", *found, _text(folder / "log.txt")]))
    return fault


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()
