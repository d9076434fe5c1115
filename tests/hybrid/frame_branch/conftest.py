"""Real weights, converted once for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdcl_neuro.hybrid.frame_branch import OSNet, load_weights


@pytest.fixture(scope="session")
def onnx_file(shared_data: Path) -> Path:
    return shared_data / "weights" / "osnet_x0_25_msmt17.onnx"


@pytest.fixture(scope="session")
def converted(onnx_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    from sdcl_neuro.hybrid.frame_branch.onnx_weights import convert_onnx

    target = tmp_path_factory.mktemp("weights") / "osnet.safetensors"
    convert_onnx(onnx_file, target)
    return target


@pytest.fixture
def trained(converted: Path) -> OSNet:
    module = OSNet("x0_25")
    load_weights(module, converted)
    return module.eval()
