"""Damaged files against every reader, many in one process, with limits on time and memory.

python tests/hostile/fuzzing.py --count 20000 --seed 1 [--only net,nir] [--keep DIR]
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from mutations import mutate
from readers import READERS

HERE = Path(__file__).parent
CPU_S = 5.0
"""Processor time that a file may take."""
WALL_S = 60.0
"""Time after which a reader is taken to hang: twelve times as much, on a busy machine."""
PEAK_MIB = 1024
"""Memory that a file below 10 MB may take above what was in use before."""


@dataclass(frozen=True)
class Finding:
    """One file that ended otherwise than read or refused in one line.

    Attributes:
        target: the reader.
        number: of the attack; with the run's seed it makes the file again.
        done: names of the mutations.
        fault: what was wrong.
        detail: what was said.
    """

    target: str
    number: int
    done: str
    fault: str
    detail: str

    def __str__(self) -> str:
        return f"{self.target} #{self.number} ({self.done}): {self.fault}\n{self.detail}"


class Worker:
    """A process that reads files; started again when it dies."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = targets
        self.process: subprocess.Popen[str] | None = None

    def read(self, target: str, path: Path) -> dict[str, object]:
        """How reading one file ended."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(json.dumps({"target": target, "path": str(path)}) + "\n")
        process.stdin.flush()
        line = self._line(WALL_S)
        if line:
            return dict(json.loads(line))
        code = process.poll()
        self.close()
        if code is None:
            return {"outcome": "waits", "detail": f"no answer within {WALL_S:g} s"}
        name = signal.Signals(-code).name if code < 0 else f"code {code}"
        return {"outcome": "died", "detail": f"the process ended with {name}"}

    def _line(self, seconds: float) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else ""
        if ready and not line:
            self.process.wait()
        return line

    def _running(self) -> subprocess.Popen[str]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "worker.py"), *self.targets],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            assert self._line(300.0).strip() == "ready", "the worker did not start"
        return self.process

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            with self.process:  # closes its pipes and waits
                self.process = None


def fuzz(
    count: int, seed: int, targets: Sequence[str], *, keep: Path | None = None
) -> Iterator[tuple[str, Finding | None]]:
    """Read `count` damaged files, one reader after another; yield the outcome of each.

    Attack `number` of a target is drawn from ``[seed, number, target]``.
    """
    worker = Worker(targets)
    with tempfile.TemporaryDirectory(prefix="hostile_") as name:
        folder = Path(name)
        for target in targets:
            good = folder / "good" / target
            good.mkdir(parents=True)
            READERS[target].make(good / READERS[target].name)
        try:
            for number in range(count):
                target = targets[number % len(targets)]
                place = folder / f"attack_{number}"
                done = attack(folder / "good" / target, place, target, [seed, number])
                answer = worker.read(target, place / READERS[target].name)
                fault = fault_of(answer)
                finding = None
                if fault:
                    finding = Finding(target, number, done, fault, str(answer["detail"]))
                    if keep is not None:
                        shutil.copytree(place, keep / f"{target}_{number}", dirs_exist_ok=True)
                yield str(answer["outcome"]), finding
                shutil.rmtree(place)
        finally:
            worker.close()


def attack(good: Path, place: Path, target: str, seed: Sequence[int]) -> str:
    """Make the damaged copy of a seed's folder; return what was done."""
    shutil.copytree(good, place)
    rng = np.random.default_rng([*seed, *target.encode()])
    return mutate(rng, place / READERS[target].name, READERS[target].kind)


def fault_of(answer: dict[str, object]) -> str:
    """What is wrong with an outcome; empty if it is read or refused as it should be."""
    outcome = str(answer["outcome"])
    if outcome not in ("read", "refused"):
        return outcome
    if float(str(answer["cpu_s"])) > CPU_S:
        return f"took {answer['cpu_s']} s"
    if int(str(answer["peak_mib"])) > PEAK_MIB:
        return f"took {answer['peak_mib']} MiB"
    return ""


def main() -> int:
    """Run from the command line; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="readers, split by commas")
    parser.add_argument("--keep", type=Path, help="where damaged files that found something go")
    args = parser.parse_args()
    targets = args.only.split(",") if args.only else list(READERS)
    outcomes: collections.Counter[str] = collections.Counter()
    faults, begun, said = 0, time.monotonic(), time.monotonic()
    for outcome, finding in fuzz(args.count, args.seed, targets, keep=args.keep):
        outcomes[outcome] += 1
        if finding is not None:
            faults += 1
            print(finding, flush=True)
        if time.monotonic() - said > 30:
            said = time.monotonic()
            print(f"{outcomes.total():,} of {args.count:,}: {dict(outcomes)}", file=sys.stderr)
    print(
        f"{outcomes.total():,} damaged files, seed {args.seed}, {len(targets)} readers: "
        f"{outcomes['read']:,} read, {outcomes['refused']:,} refused in one line, {faults} faults; "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
