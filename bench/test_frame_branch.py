"""The frame branch made ready ahead of time, beside the eager one: how fast, and what it loses."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frame_branch_tools import crops, made
from harness import HUGE_PAGES, Race, Tool
from numpy.typing import NDArray
from results import Book

from sdcl_neuro.hybrid.frame_branch.ahead import FRAME_BACKENDS
from sdcl_neuro.hybrid.frame_branch.onnx_weights import convert_onnx
from sdcl_neuro.reid.metrics import distance_matrix, evaluate_ranking

pytestmark = pytest.mark.timeout(1200)  # compiling and quantising take minutes
KINDS = [k for k in FRAME_BACKENDS if k != "compiled" or shutil.which("g++") is not None]
SHORT = ("bf16", "compiled", "onnx-int8")
"""Those that compute in bfloat16 or 8 bits."""
AT_LEAST = 3.0
LEAST_COSINE = {
    "folded": 0.99999,
    "bf16": 0.99,
    "compiled": 0.99,
    "onnx": 0.99999,
    "onnx-int8": 0.95,
}
WEIGHTS = Path(__file__).parents[2] / "shared" / "data" / "weights" / "osnet_x0_25_msmt17.onnx"


def has_short_arithmetic() -> bool:
    """Whether the processor multiplies bfloat16 or 8 bits at a time."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return bool({"amx_bf16", "avx512_bf16", "avx512_vnni", "avx_vnni"} & set(flags))


@pytest.mark.parametrize("network", ["resnet50", "osnet_x0_25"])
def test_speed(benchmark: Any, book: Book, network: str) -> None:
    race = Race(
        "frame_branch",
        {"network": network},
        tools=[
            Tool(kind, "frame_branch_tools:made", {"network": network, "kind": kind}, HUGE_PAGES)
            for kind in sorted(KINDS, key=lambda kind: kind != "onnx-int8")
        ],
        unit="ms for 8 frames",
        rounds=5,
        results=False,
    )
    outcome = race.run(benchmark)
    times = {kind: round(outcome.ratio("eager", of=kind), 2) for kind in KINDS}
    print(f"{network}: in times of eager's speed: {times}")
    book.add(outcome, **{"times as fast": times})
    if network == "resnet50" and has_short_arithmetic():
        assert max(times[kind] for kind in SHORT if kind in KINDS) >= AT_LEAST


def mean_average_precision(
    features: NDArray[np.float32], persons: NDArray[np.int64], when: NDArray[np.int64]
) -> float:
    """Each person's later pictures looked for by the earlier ones."""
    early = np.array(
        [t < np.median(when[persons == who]) for who, t in zip(persons, when, strict=True)]
    )
    distances = distance_matrix(features[early], features[~early])
    return evaluate_ranking(distances, persons[early], persons[~early]).mean_ap


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the weights of shared/data are not there")
def test_accuracy(benchmark: Any, book: Book, tmp_path: Path) -> None:
    """OSNet's published weights on the persons of the demonstration's clip."""
    weights = tmp_path / "osnet.safetensors"
    convert_onnx(WEIGHTS, weights)
    _, persons, when = crops()
    how = {"network": "osnet_x0_25", "weights": str(weights), "embed": True}
    benchmark.pedantic(lambda: None, rounds=1)
    eager = made(**how, kind="eager")()
    before = mean_average_precision(eager, persons, when)
    found = {"eager": (1.0, before)}
    for kind in KINDS[1:]:
        other = made(**how, kind=kind)()
        norms = np.linalg.norm(eager, axis=1) * np.linalg.norm(other, axis=1)
        cosine = float(((eager * other).sum(1) / norms).min())
        found[kind] = cosine, mean_average_precision(other, persons, when)
    book.note("frame_accuracy", [
        {"frame backend": kind, "least cosine": f"{cosine:.4f}", "mAP": f"{100 * m:.1f} %"}
        for kind, (cosine, m) in found.items()
    ])  # fmt: skip
    for kind, (cosine, after) in list(found.items())[1:]:
        assert cosine > LEAST_COSINE[kind]
        assert after > before - 0.02
