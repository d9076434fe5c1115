"""A tool in a process of its own, spoken to in lines of JSON."""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}
"""torch asks for huge pages behind large tensors (Linux)."""
KEPT_PAGES = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "2147483648"}
"""glibc keeps large blocks that were freed, instead of giving them back and faulting them in."""


class Timed(NamedTuple):
    """What a timed function returns that brings its own clock."""

    seconds: float
    result: Any


@dataclass(frozen=True)
class Tool:
    """One tool in a race.

    Attributes:
        name: as tables show it.
        setup: ``module:function``; ``function(**arguments)`` returns the function to time.
        arguments: plain JSON values.
        env: environment variables of its process.
        calls: timed calls in a round; the round's time is their median. One more goes before
            them, untimed, unless `cold`.
        cold: no warm-up at all, and a single call.
    """

    name: str
    setup: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    calls: int = 3
    cold: bool = False


class Worker:
    """A tool's process, spoken to in lines of JSON."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        # Not as a script: `Timed` must be the class that a tool's module imports.
        start = "import sys; sys.path.insert(0, '.'); import tools; tools.serve(*sys.argv[1:])"
        command = [sys.executable, "-c", start, tool.setup]
        self._process = subprocess.Popen(
            [*command, json.dumps(dict(tool.arguments))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **tool.env},
            cwd=HERE,
        )
        try:
            self.ready_s = self._answer()
        except BaseException:
            self.close()
            raise

    def round(self) -> float:
        """Seconds of a call, the median of the round's."""
        self._ask(
            do="round", calls=1 if self.tool.cold else self.tool.calls, warm=not self.tool.cold
        )
        return float(median(self._answer()))

    def peak_mib(self) -> float:
        """Most memory the process held so far, code and libraries included."""
        self._ask(do="peak")
        return float(self._answer())

    def result(self) -> dict[str, np.ndarray]:
        """Arrays of the last call; a result that is not a dictionary stands under ``result``."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "result.npz"
            self._ask(do="result", path=str(path))
            self._answer()
            with np.load(path) as file:
                return dict(file)

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, **request: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.tool.name}: its process ended; its error is above")
        return json.loads(line)


def peak_of(
    setup: str, arguments: Mapping[str, Any], env: Mapping[str, str] | None = None
) -> float:
    """Peak memory in MiB of a fresh process that sets up and runs one call."""
    worker = Worker(Tool("alone", setup, arguments, env or {}, cold=True))
    try:
        worker.round()
        return worker.peak_mib()
    finally:
        worker.close()


def _peak_mib() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _one(call: Callable[[], Any]) -> Timed:
    began = time.perf_counter()
    result = call()
    elapsed = time.perf_counter() - began
    return result if isinstance(result, Timed) else Timed(elapsed, result)


def serve(setup: str, arguments: str) -> None:
    """The worker's side: requests on standard input, answers on what was standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer

    def answer(value: Any) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    module, function = setup.split(":")
    began = time.perf_counter()
    call = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    answer(time.perf_counter() - began)
    last: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "round":
            if request["warm"]:
                call()
            gc.collect()
            gc.disable()
            found = [_one(call) for _ in range(request["calls"])]
            gc.enable()
            last = found[-1].result
            answer([timed.seconds for timed in found])
        elif request["do"] == "peak":
            answer(_peak_mib())
        else:
            arrays = last if isinstance(last, dict) else {"result": last}
            np.savez(request["path"], **{str(k): np.asarray(v) for k, v in arrays.items()})
            answer(None)
