"""MARS's size, evaluated and re-ranked: time and peak memory of a process of its own.

1,980 queries against 12,180 tracklets, 2,048 numbers each, random but for 625 persons' centres. The
peer is `evaluate_ranking` on the whole matrix; its measures are asserted equal after timing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, resource, sys, time
import numpy as np
from sdcl_neuro.reid import (
    distance_blocks, distance_matrix, evaluate_ranking, rank_blocks, rerank_blocks
)
queries, gallery, size, persons = 1980, 12180, 2048, 625
rng = np.random.default_rng(0)
centres = rng.standard_normal((persons, size), np.float32)
ids = [rng.integers(0, persons, n) for n in (queries, gallery)]
cameras = [rng.integers(0, 6, n) for n in (queries, gallery)]
features = [
    centres[side] + np.float32(5) * rng.standard_normal((len(side), size), np.float32)
    for side in ids
]
def mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
ready, begin = mib(), time.perf_counter()
if sys.argv[1] == "whole":
    metrics = evaluate_ranking(distance_matrix(*features), *ids, *cameras)
else:
    blocks = distance_blocks if sys.argv[1] == "blocks" else rerank_blocks
    metrics = rank_blocks(blocks(*features), *ids, *cameras).metrics
took = time.perf_counter() - begin
print(json.dumps(dict(seconds=took, ready_mib=ready, peak_mib=mib(), **metrics.to_dict())))
"""


def measured(kind: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind],
        env={**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.timeout(600)
@pytest.mark.benchmark(group="MARS's size")
@pytest.mark.parametrize("kind", ["blocks", "rerank"])
def test_mars_size(benchmark, kind):
    found = benchmark.pedantic(measured, (kind,), rounds=1)
    figures = {k: round(found[k], 1) for k in ("seconds", "ready_mib", "peak_mib")}
    if kind == "blocks":
        peer = measured("whole")
        for name in ("mAP", "mINP", "cmc"):
            assert found[name] == pytest.approx(peer[name], abs=1e-9)
        figures.update(whole_seconds=round(peer["seconds"], 1), whole_mib=round(peer["peak_mib"]))
        assert found["seconds"] < 60
    benchmark.extra_info.update(figures)
    print(f"\n{kind}: {figures}")
    assert found["peak_mib"] < 2048
