"""The CPU's frame branch: its map, its parameters by hand, and the bridge that fits it."""

from __future__ import annotations

import torch

from sdcl_neuro.hybrid.frame_branch import SmallNet, make_frame_branch, map_channels, map_size
from sdcl_neuro.hybrid.frame_branch.small import LAYERS
from sdcl_neuro.reid.configuration import build_model, load_configuration


def test_the_map_is_what_the_tables_say() -> None:
    module = make_frame_branch("small").eval()
    with torch.no_grad():
        maps = module(torch.randn(2, 3, 256, 128))
    assert maps.shape == (2, map_channels("small"), *map_size("small"))
    assert module.channels == map_channels("small")
    assert (maps >= 0).all()


def test_parameters_by_hand() -> None:
    inputs, expected = 3, 0
    for outputs, kernel, _ in LAYERS:
        expected += outputs * inputs * kernel**2 + 2 * outputs
        inputs = outputs
    assert sum(p.numel() for p in SmallNet().parameters()) == expected == 189_664


def test_the_bridge_takes_its_smaller_grid() -> None:
    configuration = load_configuration("generated-small", ["frame_branch.name=small"])
    model = build_model(configuration, 4).eval()
    clip = configuration.clip
    with torch.no_grad():
        output = model(
            torch.randn(1, clip.frames, 3, 256, 128),
            torch.zeros(clip.frames * clip.bins, 1, 2, *clip.size),
        )
    assert output.embedding.shape == (1, configuration.bridge.channels)
