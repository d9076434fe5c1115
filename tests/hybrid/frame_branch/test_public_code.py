"""OSNet and ResNet-50 against torchreid's own code, with the same random weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from sdcl_neuro.hybrid.frame_branch import OSNet, ResNet50


def public(name: str) -> ModuleType:
    """One file of torchreid's models; the package itself imports what is not needed here."""
    found = importlib.util.find_spec("torchreid")
    if found is None or not found.submodule_search_locations:
        pytest.skip("torchreid is not installed (tests/hybrid/frame_branch/peers.txt)")
    path = Path(found.submodule_search_locations[0]) / "reid" / "models" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"public_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lively(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
    return module.eval()


def shared(theirs: nn.Module, ours: nn.Module) -> nn.Module:
    """Ours with their weights; what is left over is their classifier alone."""
    given = theirs.state_dict()
    left = set(given) - set(ours.state_dict())
    assert left
    assert all(name.startswith(("classifier.", "fc.")) for name in left)
    ours.load_state_dict({name: value for name, value in given.items() if name not in left})
    return ours.eval()


@pytest.mark.parametrize("width", ["x0_25", "x1_0"])
def test_osnet_maps_and_embeddings(width: str) -> None:
    torch.manual_seed(0)
    made = getattr(public("osnet"), f"osnet_{width}")
    theirs = lively(made(num_classes=3, pretrained=False))
    ours = shared(theirs, OSNet(width))
    frames = torch.randn(2, 3, 256, 128)
    with torch.no_grad():
        maps = ours(frames)
        torch.testing.assert_close(maps, theirs.featuremaps(frames), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ours.embed(maps), theirs(frames), rtol=1e-5, atol=1e-6)


def test_resnet_maps() -> None:
    torch.manual_seed(0)
    models = public("resnet")
    theirs = models.ResNet(
        num_classes=3, loss="softmax", block=models.Bottleneck, layers=[3, 4, 6, 3],
        last_stride=1, fc_dims=None,
    )  # fmt: skip
    ours = shared(lively(theirs), ResNet50())
    frames = torch.randn(1, 3, 256, 128)
    with torch.no_grad():
        torch.testing.assert_close(ours(frames), theirs.featuremaps(frames), rtol=1e-4, atol=1e-5)
