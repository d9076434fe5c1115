"""Tell a regression from noise: two results files of the benches, row by row.

    python bench/compare.py OLD.json NEW.json [--absolute] [--threshold 0.05] [--all]

For each race that both files hold, the first tool's time in NEW over that in OLD: the ratio of the
geometric means of the rounds, its 95 % bootstrap interval, and the p of a permutation test that
exchanges rounds between the two files. A row is slower (or faster) only if p is below 0.01 after
Holm's correction for the number of rows, and the whole interval lies beyond 1 by the threshold.
Everything else is noise, and is said to be so.

By default each round counts relative to its peers' mean in the same round, where there are such
in both files: what slows everything down is then no regression. ``--absolute`` turns that
off. Exit status 1 if any row is slower, 2 for files that cannot be compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from columns import peers_of
from numpy.typing import NDArray
from results import key_of, load

LEVEL = 0.01
DRAWS = 20_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """One race, before and after.

    Attributes:
        name: table and case.
        ratio, low, high: new over old, and its 95 % interval.
        p: of the permutation test, two-sided.
        relative: whether rounds were counted relative to the peers.
    """

    name: str
    ratio: float
    low: float
    high: float
    p: float
    relative: bool

    def verdict(self, threshold: float, level: float) -> str:
        """``slower``, ``faster`` or ``same``."""
        if self.p < level and self.low > 1 + threshold:
            return "slower"
        if self.p < level and self.high < 1 / (1 + threshold):
            return "faster"
        return "same"


def compare(old: Mapping[str, Any], new: Mapping[str, Any], *, absolute: bool) -> list[Change]:
    """Every race that both files hold."""
    before = {key_of(row): row for row in old["rows"]}
    pairs = [
        (before[key_of(row)], row) for row in new["rows"] if row["rounds"] and key_of(row) in before
    ]
    return [_change(one, other, absolute=absolute) for one, other in pairs]


def verdicts(changes: list[Change], threshold: float) -> list[str]:
    """A verdict for each, with Holm's correction over all of them."""
    order = sorted(range(len(changes)), key=lambda index: changes[index].p)
    found = ["same"] * len(changes)
    for rank, index in enumerate(order):
        if changes[index].p >= LEVEL / (len(changes) - rank):
            break
        found[index] = changes[index].verdict(threshold, LEVEL)
    return found


def _change(old: Mapping[str, Any], new: Mapping[str, Any], *, absolute: bool) -> Change:
    first = next(iter(new["rounds"]))
    peers = [name for name in peers_of(new["table"], new["rounds"]) if name in old["rounds"]]
    relative = bool(peers) and not absolute
    one, other = (_logarithms(row, first, peers if relative else []) for row in (old, new))
    difference, interval, p = _test(one, other)
    name = f"{new['table']}: " + ", ".join(f"{k} {v}" for k, v in new["case"].items())
    low, high = np.exp(interval)
    return Change(name, float(np.exp(difference)), float(low), float(high), p, relative)


def _logarithms(row: Mapping[str, Any], first: str, peers: list[str]) -> Floats:
    rounds = {name: np.log(values) for name, values in row["rounds"].items()}
    own: Floats = rounds[first]
    return own - np.mean([rounds[name] for name in peers], axis=0) if peers else own


def _test(old: Floats, new: Floats) -> tuple[float, Floats, float]:
    """Difference of means, its bootstrap interval, and the permutation test's p."""
    rng = np.random.default_rng(0)
    difference = float(new.mean() - old.mean())
    drawn = [rng.choice(v, (DRAWS, len(v))).mean(axis=1) for v in (new, old)]
    interval: Floats = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    pooled = rng.permuted(np.tile(np.concatenate([old, new]), (DRAWS, 1)), axis=1)
    exchanged = pooled[:, len(old) :].mean(axis=1) - pooled[:, : len(old)].mean(axis=1)
    beyond = np.count_nonzero(np.abs(exchanged) >= abs(difference) - 1e-12)
    return difference, interval, float((beyond + 1) / (DRAWS + 1))


def main(arguments: list[str]) -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="Tell a regression from noise.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--threshold", type=float, default=0.05, help="a smaller change is noise")
    parser.add_argument("--absolute", action="store_true", help="count times as they are")
    parser.add_argument("--all", action="store_true", help="print what did not change, too")
    args = parser.parse_args(arguments)
    old, new = load(args.old), load(args.new)
    if old["machine"] != new["machine"]:
        print(
            "machines or libraries differ; only ratios between tools mean anything", file=sys.stderr
        )
    changes = compare(old, new, absolute=args.absolute)
    if not changes:
        print("the files have no race in common", file=sys.stderr)
        return 2
    found = verdicts(changes, args.threshold)
    for change, verdict in zip(changes, found, strict=True):
        if verdict != "same" or args.all:
            print(
                f"{verdict:<6} {change.ratio:6.3f} [{change.low:.3f}, {change.high:.3f}] "
                f"p={change.p:.4f} {change.name}{'' if change.relative else ' (absolute)'}"
            )
    counts = ", ".join(f"{found.count(word)} {word}" for word in ("slower", "faster", "same"))
    print(f"{len(changes)} races: {counts}")
    return int("slower" in found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
