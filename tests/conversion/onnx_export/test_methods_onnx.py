"""Every video network's two dense parts in onnxruntime, for frames with events and for voxels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sdcl_neuro.conversion.targets.onnx_export import PARTS, export
from sdcl_neuro.hybrid.composition import EVERY_KIND
from sdcl_neuro.hybrid.sdcl_checkpoint import SdclCheckpoint
from sdcl_neuro.reid.configuration import build_model, clip_format, load_configuration

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def built(kind: str, inputs: str) -> SdclCheckpoint:
    configuration = load_configuration(
        "generated-table",
        [
            f"model={kind.removesuffix('-sdcl')}",
            *(["variant=sdcl"] if kind.endswith("-sdcl") else []),
            *([] if kind == "sdcl" else ["bridge.fusion=none"]),
            f"bridge.inputs={inputs}",
            "bridge.channels=16",
        ],
    )
    torch.manual_seed(0)
    model = build_model(configuration, 3)
    for part in model.modules():
        if isinstance(part, NORMS):  # as training leaves them; zero gammas would hide their block
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
    return SdclCheckpoint(model.eval(), clip_format(configuration), None)


def check(kind: str, inputs: str, folder: Path) -> None:
    pytest.importorskip("onnxscript")
    loaded = built(kind, inputs)
    for part, make in PARTS.items():
        chosen, path = make(loaded), folder / f"{part}.onnx"
        export.write_part(chosen, path, {})
        largest, difference = export.compare(chosen, path)
        assert largest > 0, part
        assert difference <= export.TOLERANCE * largest, part


def test_osnet_on_voxels_in_onnxruntime(tmp_path: Path) -> None:
    check("osnet", "e", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("inputs", ["v+e", "e"])
@pytest.mark.parametrize("kind", [kind for kind in EVERY_KIND if kind != "sdcl"])
def test_every_method_in_onnxruntime(kind: str, inputs: str, tmp_path: Path) -> None:
    check(kind, inputs, tmp_path)
