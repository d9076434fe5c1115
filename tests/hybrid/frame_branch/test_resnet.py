"""ResNet-50's names and shapes, written by the rule of its paper and of torchvision's naming."""

from __future__ import annotations

import torch
from torch.nn import functional

from sdcl_neuro.hybrid.frame_branch import ResNet50
from sdcl_neuro.hybrid.frame_branch.resnet import Bottleneck


def torchvision_entries() -> dict[str, tuple[int, ...]]:
    """Every entry of torchvision's resnet50 state dict but fc's two."""
    entries: dict[str, tuple[int, ...]] = {}

    def conv(name: str, outputs: int, inputs: int, kernel: int) -> None:
        entries[f"{name}.weight"] = (outputs, inputs, kernel, kernel)

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            entries[f"{name}.{part}"] = (channels,)
        entries[f"{name}.num_batches_tracked"] = ()

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    inputs = 64
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], 1):
        for block in range(blocks):
            path = f"layer{stage}.{block}"
            conv(f"{path}.conv1", width, inputs, 1)
            conv(f"{path}.conv2", width, width, 3)
            conv(f"{path}.conv3", 4 * width, width, 1)
            for i, channels in enumerate((width, width, 4 * width), 1):
                norm(f"{path}.bn{i}", channels)
            if block == 0:
                conv(f"{path}.downsample.0", 4 * width, inputs, 1)
                norm(f"{path}.downsample.1", 4 * width)
            inputs = 4 * width
    return entries


def test_names_and_shapes() -> None:
    module = ResNet50()
    found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    wanted = torchvision_entries()
    assert found == wanted
    assert sum(len(shape) == 4 for shape in wanted.values()) == 53
    # torchvision publishes 25,557,032 parameters; its fc is 2048 * 1000 + 1000 of them.
    assert sum(p.numel() for p in module.parameters()) == 25_557_032 - 2_049_000


def test_last_stride_is_one() -> None:
    module = ResNet50().eval()
    sizes = {}
    for stage in range(1, 5):
        module.get_submodule(f"layer{stage}").register_forward_hook(
            lambda _m, _i, out, stage=stage: sizes.update({stage: tuple(out.shape[1:])})
        )
    with torch.no_grad():
        module(torch.zeros(1, 3, 256, 128))
    assert sizes == {1: (256, 64, 32), 2: (512, 32, 16), 3: (1024, 16, 8), 4: (2048, 16, 8)}


def test_a_block_by_hand() -> None:
    torch.manual_seed(0)
    block = Bottleneck(8, 4, stride=2).eval()
    x = torch.randn(1, 8, 6, 6)
    scale = (1 + 1e-5) ** -0.5  # batch norms are fresh: mean 0, variance 1
    y = functional.relu(functional.conv2d(x, block.conv1.weight) * scale)
    y = functional.relu(functional.conv2d(y, block.conv2.weight, stride=2, padding=1) * scale)
    y = functional.conv2d(y, block.conv3.weight) * scale
    past = functional.conv2d(x, block.downsample[0].weight, stride=2) * scale
    torch.testing.assert_close(block(x), functional.relu(y + past))
