"""Random networks against the independent oracle, until so many spikes were compared.

    PYTHONPATH=tests python -m helpers.soak --spikes 1e9 [--state soak.json] [--minutes 30]

Convolutions with groups and dilation, dense and recurrent layers, delays up to 62, graded input,
weights and thresholds at their limits so that currents wrap and membranes saturate. The state says
which network comes next, so that the same command goes on where it was ended. Spikes are counted
where either side has one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from helpers import engine_oracle, wide_oracle
from sdcl_neuro.engine import run_network
from sdcl_neuro.files import write_json
from sdcl_neuro.testing import KINDS, random_network, random_spikes

RATES = (0.02, 0.1, 0.3, 0.6, 1.0)
BITS = (0, 0, 0, 1, 3, 8)
STEPS, SAMPLES, CHECKED_STEPS = 96, 24, 8
DEFAULT_STATE = Path("soak.json")
EMPTY = {"next": 0, "networks": 0, "spikes": 0, "neuron_steps": 0, "mismatches": 0, "wraps": 0,
         "saturations": 0}  # fmt: skip


def drawn(seed: int) -> tuple[Any, Any]:
    """The network and input of a number."""
    rng = np.random.default_rng([seed, 77])
    net = random_network(
        seed,
        kind=KINDS[int(rng.integers(len(KINDS)))],
        extreme=bool(rng.random() < 0.4),
        message_bits=BITS[int(rng.integers(len(BITS)))],
    )
    rate = RATES[int(rng.integers(len(RATES)))]
    return net, random_spikes(net, seed, steps=STEPS, samples=SAMPLES, rate=rate)


def compare(seed: int) -> dict[str, int]:
    """Compare one network: figures as in `EMPTY`, without ``next``."""
    net, spikes = drawn(seed)
    record = run_network(net, spikes)
    expected = wide_oracle.run(net, spikes)
    few = spikes[:CHECKED_STEPS, :1]
    both = zip(engine_oracle.run(net, few), wide_oracle.run(net, few), strict=True)
    for (one, _), other in both:
        assert np.array_equal(one, other), f"network {seed}: the two oracles differ"
    counts = dict.fromkeys(EMPTY, 0)
    counts["networks"] = 1
    for index, right in enumerate(expected):
        ours = record.spikes[index]
        counts["mismatches"] += int(np.count_nonzero(ours != right))
        counts["spikes"] += int(np.count_nonzero(ours | right))
        counts["neuron_steps"] += right.size
        counts["wraps"] += int(np.sum(record.activity[index].wraps))
        counts["saturations"] += int(np.sum(record.activity[index].saturations))
    del counts["next"]
    return counts


def soak(spikes: float, state: Path, *, minutes: float | None = None) -> dict[str, int]:
    """Go on until `spikes` were compared in all; the totals, also in `state`."""
    totals: dict[str, int] = {**EMPTY}
    if state.exists():
        totals |= json.loads(state.read_text("utf-8"))
    begun, said = time.monotonic(), time.monotonic()
    while totals["spikes"] < spikes:
        if minutes is not None and time.monotonic() - begun > 60 * minutes:
            break
        counts = compare(totals["next"])
        if counts["mismatches"]:
            print(f"network {totals['next']}: {counts['mismatches']} mismatches", flush=True)
        for name, value in counts.items():
            totals[name] += value
        totals["next"] += 1
        write_json(state, totals)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(_line(totals), file=sys.stderr, flush=True)
    return totals


def _line(totals: dict[str, int]) -> str:
    return (
        f"{totals['mismatches']} mismatches in {totals['spikes']:,} spikes of "
        f"{totals['neuron_steps']:,} neuron steps, {totals['networks']:,} random networks "
        f"({totals['wraps']:,} wraps, {totals['saturations']:,} saturations)"
    )


def main() -> int:
    """Run from the command line; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spikes", type=float, default=1e9)
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE)
    parser.add_argument("--minutes", type=float)
    args = parser.parse_args()
    totals = soak(args.spikes, args.state, minutes=args.minutes)
    print(_line(totals))
    return 1 if totals["mismatches"] else 0


if __name__ == "__main__":
    sys.exit(main())
