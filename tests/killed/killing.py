"""Kills work at random moments, looks at what it left, and lets it run to its end.

    python tests/killed/killing.py --count 200 --seed 1 [--only training,enrolling]

Everything is imported once; each work is a fork, so that a kill costs no start-up, and the moment
is drawn from the time that the work itself takes.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from scenario import Scenario
from scenarios import LONG, SCENARIOS

PATIENCE_S = 600.0
SHARE = 0.15
"""Share of kills in which a second process works on the same target at the same time."""


class Child:
    """A function in a fork, whose lines are read."""

    code: int | None

    def __init__(self, run: Callable[[Callable[[str], None]], None]) -> None:
        self._end, write = os.pipe()
        self._text, self.code = b"", None
        self.pid = os.fork()
        if self.pid:
            os.close(write)
            return
        code = 1
        try:
            os.close(self._end)
            run(lambda line: _say(write, line))
            code = 0
        except BaseException:
            text = traceback.format_exc(limit=-5)
            os.write(write, b"!" + " | ".join(text.split("\n")).encode()[-3000:] + b"\n")
        finally:
            os._exit(code)

    def wait(self, seconds: float = PATIENCE_S) -> int | None:
        """Read lines until the end or for so long; the exit code, None if it still runs."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            if not select.select([self._end], [], [], left)[0]:
                break
            part = os.read(self._end, 65536)
            self._text += part
            if not part:
                self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                return self.code
        return None

    def kill(self) -> None:
        """End it at once, unless it has ended, and read what it had said."""
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            assert self.wait() is not None

    @property
    def said(self) -> list[str]:
        """Whole lines so far, without a traceback."""
        lines = self._text.decode().split("\n")[:-1]
        return [line for line in lines if not line.startswith("!")]

    @property
    def fault(self) -> str:
        """The traceback, in one line."""
        lines = self._text.decode().split("\n")
        return next((line[1:] for line in lines if line.startswith("!")), "")


def _say(handle: int, line: str) -> None:
    os.write(handle, f"{line}\n".encode())


def kill_once(name: str, folder: Path, out: Path, whole_s: float, rng: np.random.Generator) -> str:
    """Kill one work, perhaps beside another one on the same target; the fault, empty if none."""
    scenario = SCENARIOS[name]
    beside = name in ("documents", "folders", "enrolling") and rng.random() < SHARE
    second = Child(lambda say: scenario.work(folder, out, lambda line: None)) if beside else None
    first = Child(lambda say: scenario.work(folder, out, say))
    first.wait(float(rng.uniform(0, whole_s)))
    first.kill()
    if second is not None:
        code = second.wait()
        if code != 0:
            return f"the other process ended with {code}: {second.fault}"
    else:
        looked = Child(lambda say: scenario.check(folder, out, first.said))
        if looked.wait() != 0:
            return f"after {len(first.said)} reports: {looked.fault}"
    again = Child(lambda say: scenario.work(folder, out, say))
    if again.wait() != 0:
        return f"the next run: {again.fault}"
    looked = Child(lambda say: scenario.whole(folder, out))
    return "" if looked.wait() == 0 else f"after the next run: {looked.fault}"


def run(count: int, seed: int, names: Sequence[str]) -> tuple[Counter[str], list[str]]:
    """Kill `count` works, one scenario after another; kills by scenario, and faults."""
    rng, kills, faults = np.random.default_rng(seed), Counter[str](), []
    with tempfile.TemporaryDirectory(prefix="killed_") as place:
        whole_s: dict[str, float] = {}
        for name in names:
            whole_s[name] = _prepared(SCENARIOS[name], Path(place) / name)
        for number, name in enumerate(_drawn(names, count)):
            out = Path(place) / name / f"out_{number}"
            out.mkdir()
            fault = kill_once(name, out.parent, out, whole_s[name], rng)
            kills[name] += 1
            if fault:
                faults.append(f"{name} #{number}: {fault}")
                print(faults[-1], flush=True)
            shutil.rmtree(out)
            if number % 20 == 19:
                print(f"{number + 1} of {count}", file=sys.stderr, flush=True)
    return kills, faults


def _drawn(names: Sequence[str], count: int) -> list[str]:
    """The scenario of every kill, in turn; the long ones in one round of five."""
    drawn: list[str] = []
    turn = 0
    while len(drawn) < count:
        drawn += [name for name in names if name not in LONG or turn % 5 == 0]
        turn += 1
    return drawn[:count]


def _prepared(scenario: Scenario, folder: Path) -> float:
    """Make what a scenario reads, and return the seconds that its work takes in a fork.

    The preparation runs in this process, so that forks find everything imported and compiled.
    """
    (folder / "timed").mkdir(parents=True)
    scenario.prepare(folder)
    timed = Child(lambda say: scenario.work(folder, folder / "timed", say))
    begun = time.monotonic()
    assert timed.wait() == 0, timed.fault
    return time.monotonic() - begun


def main() -> int:
    """Run from the command line; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios, split by commas")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = args.only.split(",") if args.only else list(SCENARIOS)
    begun = time.monotonic()
    kills, faults = run(args.count, args.seed, names)
    shares = ", ".join(f"{name} {number}" for name, number in kills.items())
    print(f"{kills.total()} kills, seed {args.seed} ({shares}): {len(faults)} faults; "
          f"{time.monotonic() - begun:.0f} s")  # fmt: skip
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
