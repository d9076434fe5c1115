"""`infer`, `live` and evaluation, with the dense side on the GPU: the CPU's embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from device import PretendedGpu
from plugin import other_conftest
from safetensors.numpy import load_file

from sdcl_neuro.cli import main
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.frame_branch import make_frame_branch
from sdcl_neuro.hybrid.frame_branch.ahead import ahead_of_time
from sdcl_neuro.hybrid.live import LiveSettings
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.runtime import DenseSide
from sdcl_neuro.reid.datasets import Clip
from sdcl_neuro.reid.evaluation import Extraction, Setting, event_arm, extract, open_trained
from sdcl_neuro.reid.pipeline.live_source import LiveSource
from sdcl_neuro.reid.pipeline.live_stream import watch

pipeline = other_conftest("reid/pipeline")
evaluation = other_conftest("reid/evaluation")


def waits(gpu: PretendedGpu) -> int:
    """Without those for weights and tables, which are sent once."""
    return sum(count for kind, count in gpu.waits.items() if not kind.startswith("pageable copy"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline.make_checkpoint(tmp_path_factory.mktemp("model"), pipeline.make_model())


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory):
    return pipeline.make_material(tmp_path_factory.mktemp("film"))


@pytest.mark.slow
def test_infer(material, checkpoint: Path, tmp_path: Path, outside: type[PretendedGpu]) -> None:
    arguments = [*material.arguments(checkpoint, tmp_path / "here"), "--quiet", "--device", "cpu"]
    assert main(arguments) == 0
    with outside() as gpu:
        told = material.arguments(checkpoint, tmp_path / "there")
        assert main([*told, "--quiet", "--device", "cuda"]) == 0
        assert gpu.launches
        assert waits(gpu) <= 3, gpu.waits
    here, there = (
        load_file(tmp_path / name / "embeddings.safetensors")["embeddings"]
        for name in ("here", "there")
    )
    np.testing.assert_allclose(there, here, atol=1e-5)


@pytest.mark.slow
def test_live(material, checkpoint: Path, outside: type[PretendedGpu]) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        rows: dict[tuple[int, int], np.ndarray] = {}
        settings = LiveSettings(mode="throughput", policy="block", batch=3, device=device)
        source = LiveSource(str(material.video), str(material.tracks), speed=0)

        def keep(seen, row: np.ndarray, rows=rows) -> None:
            rows[seen.track, seen.first_frame] = row.copy()

        with outside() as gpu:
            report = watch(checkpoint, source, settings=settings, on_seen=keep)
            batches = sum(one.calls for one in report.ledger.stages if one.name == "bridge")
            if device == "cuda":  # each batch is fetched, and a recording compared once
                assert waits(gpu) <= batches + 2, gpu.waits
        found[device] = rows
    assert found["cpu"].keys() == found["cuda"].keys()
    for key, row in found["cpu"].items():
        np.testing.assert_allclose(found["cuda"][key], row, atol=1e-5)


@pytest.mark.slow
def test_evaluation(tmp_path: Path, outside: type[PretendedGpu]) -> None:
    folder = pipeline.make_checkpoint(tmp_path, pipeline.make_model())
    trained = open_trained(folder)
    arms = [event_arm(trained.events, "loihi", Setting(), folder=tmp_path)]
    data, clip = evaluation.Noise(), Clip(2, 2, (64, 32))
    positions = tuple(range(len(data.entries)))

    def embeddings(device: str) -> np.ndarray:
        how = Extraction(device=device, batch=6)
        model = trained.checkpoint.model
        return extract(model, data, positions, clip=clip, arms=arms, how=how)[arms[0].label]

    here = embeddings("cpu")
    with outside() as gpu:
        there = embeddings("cuda")
        gpu.reset()
        embeddings("cuda")
        assert sum(gpu.waits.values()) <= 3 * len(positions) / 6, gpu.waits
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5)


def test_an_ahead_of_time_network_of_the_cpu_stays_there(gpu: PretendedGpu) -> None:
    """Beside a GPU, which the dense side takes where it is free to."""
    branch = ahead_of_time(make_frame_branch("small").eval(), "folded")
    config = BridgeConfig(channels=16, frame_channels=64, frames=2, heads=2, points=2)
    assert DenseSide(Sdcl(branch, None, bridge=Bridge(config))).device == torch.device("cpu")
    assert not gpu.launches
