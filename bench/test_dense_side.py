"""The whole dense side made ready ahead of time: frames, bridge and heads, one core, one tracklet.

ResNet-50 with the bridge at the paper's size, OSNet x0.25 with the small one; from the crops' bytes
and the event features to the embedding.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from dense_side_tools import made
from harness import HUGE_PAGES, KEPT_PAGES, Race, Tool
from results import Book
from test_frame_branch import WEIGHTS, has_short_arithmetic

from sdcl_neuro.hybrid.dense_backends import DENSE_BACKENDS
from sdcl_neuro.hybrid.frame_branch.onnx_weights import convert_onnx

pytestmark = pytest.mark.timeout(1200)  # compiling and quantising take minutes
KINDS = [k for k in DENSE_BACKENDS if k != "compiled" or shutil.which("g++") is not None]
AT_MOST_MS = {"resnet50": 480.0, "osnet_x0_25": 26.0}
AT_LEAST = {"resnet50": 3.0, "osnet_x0_25": 2.0}
"""Times eager's speed, of the fastest."""
LEAST_COSINE = {"folded": 0.9999, "bf16": 0.99, "compiled": 0.99, "onnx": 0.9999}
COSINE_OF_FASTEST = 0.998


@pytest.mark.parametrize("network", ["resnet50", "osnet_x0_25"])
def test_dense_side(benchmark: Any, book: Book, network: str) -> None:
    outcome = Race(
        "dense_side",
        {"network": network},
        tools=[
            Tool(kind, "dense_side_tools:made", {"network": network, "kind": kind})
            for kind in sorted(KINDS, key=lambda kind: kind != "bf16")
        ],
        unit="ms a tracklet",
        rounds=7,
        results=False,
        env={"OMP_NUM_THREADS": "1", **HUGE_PAGES, **KEPT_PAGES},
    ).run(benchmark)
    fastest = min(KINDS, key=lambda kind: median(outcome.rounds[kind]))
    times = {kind: round(outcome.ratio("eager", of=kind), 2) for kind in KINDS}
    print(f"{network}: in times of eager's speed: {times}")
    book.add(outcome, fastest=fastest, **{"times as fast": times})
    if network == "resnet50" and not has_short_arithmetic():
        return  # what is asked rests on bfloat16
    assert median(outcome.rounds[fastest]) <= AT_MOST_MS[network]
    assert times[fastest] >= AT_LEAST[network]


@pytest.mark.parametrize("network", ["resnet50", "osnet_x0_25"])
def test_parts(benchmark: Any, book: Book, network: str) -> None:
    """Where the time goes: frame branch and bridge, before and after."""
    kind = "bf16" if network == "resnet50" else "folded"
    outcome = Race(
        "dense_parts",
        {"network": network},
        tools=[
            Tool(f"{part}, {how}", "dense_side_tools:parts",
                 {"network": network, "kind": how, "part": part})
            for how in (kind, "eager") for part in ("frames", "bridge")
        ],
        unit="ms a tracklet",
        rounds=5,
        results=False,
        env={"OMP_NUM_THREADS": "1", **HUGE_PAGES, **KEPT_PAGES},
    ).run(benchmark)  # fmt: skip
    book.add(outcome)


def least_cosine(ones: Any, others: Any) -> float:
    """The least cosine of rows."""
    norms = np.linalg.norm(ones, axis=1) * np.linalg.norm(others, axis=1)
    return float(((ones * others).sum(1) / norms).min())


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the weights of shared/data are not there")
def test_accuracy(benchmark: Any, book: Book, tmp_path: Path) -> None:
    """OSNet's published weights and a bridge on the persons of the packaged clip."""
    weights = tmp_path / "osnet.safetensors"
    convert_onnx(WEIGHTS, weights)
    benchmark.pedantic(lambda: None, rounds=1)
    how = {"network": "osnet_x0_25", "weights": str(weights), "every": True}
    eager = made(**how, kind="eager")()
    found, apart = {"eager": 1.0}, {"eager": 1.0}
    for kind in KINDS[1:]:
        other = made(**how, kind=kind)()
        found[kind] = least_cosine(eager, other)
        # Embeddings of an untrained bridge have much in common, which hides what is lost.
        apart[kind] = least_cosine(eager - eager.mean(0), other - eager.mean(0))
    book.note("dense_accuracy", [
        {"dense backend": kind, "least cosine": f"{cosine:.4f}",
         "without what all have in common": f"{apart[kind]:.4f}"}
        for kind, cosine in found.items()
    ])  # fmt: skip
    for kind, least in LEAST_COSINE.items():
        assert found.get(kind, 1.0) > least
    assert max(apart[kind] for kind in ("folded", "onnx")) >= COSINE_OF_FASTEST
    assert np.isfinite(list(found.values())).all()
