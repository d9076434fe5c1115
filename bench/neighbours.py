"""Busy neighbours: processes that only loop, stopped and let go on between rounds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness import Outcome
from tools import Tool, Worker

SEEN_S = 0.2
"""So long the neighbours run before a round: the load that a tool sees is theirs."""
_LOOP = "import os\nprint(flush=True)\nwhile os.getppid() == {parent}: pass"


@contextmanager
def neighbours(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes that loop, all of them stopped at first."""
    code = _LOOP.format(parent=os.getpid())
    made = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(count)
    ]
    try:
        for one in made:
            assert one.stdout is not None
            one.stdout.readline()
            one.send_signal(signal.SIGSTOP)
        yield made
    finally:
        for one in made:
            one.kill()
            one.wait()
            if one.stdout is not None:
                one.stdout.close()


def beside(
    table: str, case: dict[str, object], tools: Sequence[Tool], *, most: int, rounds: int,
    unit: str, per: float,
) -> Outcome:  # fmt: skip
    """Each tool beside 0 to `most` busy neighbours, the rounds of all interleaved."""
    workers = [Worker(tool) for tool in tools]
    seconds: dict[str, list[float]] = {}
    try:
        with neighbours(most) as looping:
            for number in range(rounds):
                for count in range(most + 1):
                    for one in looping[:count]:
                        one.send_signal(signal.SIGCONT)
                    for place in range(len(workers)):
                        worker = workers[(place + number) % len(workers)]
                        time.sleep(SEEN_S)
                        name = f"{worker.tool.name}, {count} neighbours"
                        seconds.setdefault(name, []).append(worker.round())
                    for one in looping[:count]:
                        one.send_signal(signal.SIGSTOP)
        results = {worker.tool.name: worker.result() for worker in workers}
        peaks = {worker.tool.name: worker.peak_mib() for worker in workers}
    finally:
        for worker in workers:
            worker.close()
    values = {
        f"{tool.name}, {count} neighbours": [
            per * s for s in seconds[f"{tool.name}, {count} neighbours"]
        ]
        for tool in tools
        for count in range(most + 1)
    }
    return Outcome(table, case, unit, tuple(tools), values, peaks, results, {})
