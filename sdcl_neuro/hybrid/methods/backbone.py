"""Frame networks whose frames see each other: modules placed in a network by (stage, block).

A method's backbone is a `BackbonePlan`: what stands behind which block, what inside it, what takes
the last stage's place. The network is ResNet-50, or `small` for a CPU; `small` has one block a
stage, so that all of a stage's modules become one there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.frame_branch import ResNet50, SmallNet, frame_branch, load_weights
from sdcl_neuro.hybrid.frame_branch.osnet import ConvBn
from sdcl_neuro.hybrid.frame_branch.resnet import Bottleneck
from sdcl_neuro.network.spec import Pair

Place = tuple[int, int]
"""Stage from 1, block from 0."""
Made = Callable[[int, Pair], nn.Module]
"""From channels and map size to a module ``[B, T, C, h, w] -> [B, T, C, h, w]``."""
NETWORKS = ("resnet50", "small")
LAST = 4
_STATISTICS = ("running_", "num_batches")
_SIZES: dict[str, tuple[Pair, ...]] = {
    "resnet50": ((64, 32), (32, 16), (16, 8), (16, 8)),
    "small": ((64, 32), (32, 16), (16, 8), (8, 4)),
}


@dataclass(frozen=True)
class BackbonePlan:
    """What a method changes in a network.

    Attributes:
        after: modules behind blocks.
        inside: modules between a block's 3x3 convolution and its norm.
        side: from a stage's channels to a module ``[N, C, h, w] -> [N, c]``, of stages 1 to 3;
            what it says is appended to the map as channels that are the same in every cell.
        tail: from the last stage's blocks and the channels and size of the map before them to
            what takes their place: ``[B, T, C3, h, w] -> [B, T, C, h, w]``.
        stem_relu, stem_padding: of ResNet-50's stem; some published code differs there.
        bias: whether ResNet-50's convolutions have one, as inflated networks have.
    """

    after: Mapping[Place, Made] = field(default_factory=dict)
    inside: Mapping[Place, Made] = field(default_factory=dict)
    side: Callable[[int, int], nn.Module] | None = None
    tail: Callable[[list[nn.Module], int, Pair], nn.Module] | None = None
    stem_relu: bool = True
    stem_padding: int = 1
    bias: bool = False


class ClipBackbone(nn.Module):
    """A frame network with a plan: clips to maps.

    Args:
        name: of `NETWORKS`.
        plan: see `BackbonePlan`.

    Raises:
        InputError: another network.
    """

    takes_clips = True

    def __init__(self, name: str, plan: BackbonePlan) -> None:
        super().__init__()
        if name not in NETWORKS:
            raise InputError(
                f"frame branch {name!r} for a method with modules inside of it",
                where="frame_branch.name",
                hint=f"use {' or '.join(NETWORKS)}",
            )
        self.name, self.plan = name, plan
        network = frame_branch(name)
        if plan.bias:
            _give_biases(network)
        self.stem = _stem(network, plan)
        self.stages = nn.ModuleList(nn.ModuleList(blocks) for blocks in _stages(network))
        sizes = _SIZES[name]
        channels = [_outputs(list(stage)) for stage in self._blocks()]
        self.after, self.inside = nn.ModuleDict(), nn.ModuleDict()
        self.sides = nn.ModuleList()
        for number, blocks in enumerate(self._blocks(), 1):
            size, width = sizes[number - 1], _width(blocks[0])
            for (stage, block), made in plan.after.items():
                if stage == number:
                    place = _key(stage, min(block, len(blocks) - 1))
                    if place not in self.after:
                        self.after[place] = made(channels[number - 1], size)
            for (stage, block), made in plan.inside.items():
                if stage == number:
                    place = _key(stage, min(block, len(blocks) - 1))
                    if place not in self.inside:
                        self.inside[place] = made(width, size)
            if plan.side is not None and number < LAST:
                self.sides.append(plan.side(channels[number - 1], channels[LAST - 1]))
        self.tail: nn.Module | None = None
        if plan.tail is not None:
            last = self.stages[LAST - 1]
            self.tail = plan.tail(list(last), channels[LAST - 2], sizes[LAST - 2])  # type: ignore[call-overload]
            del self.stages[LAST - 1]

    def _blocks(self) -> list[list[nn.Module]]:
        return [list(stage) for stage in self.stages]  # type: ignore[call-overload]

    def forward(self, clips: Tensor) -> Tensor:
        """Map ``[B, T, 3, 256, 128]``, ImageNet-normalised RGB, to maps ``[B, T, C, h, w]``."""
        frames = clips.shape[1]
        maps: Tensor = self.stem(clips.flatten(0, 1))
        said: list[Tensor] = []
        for number, blocks in enumerate(self._blocks(), 1):
            for block, module in enumerate(blocks):
                place = _key(number, block)
                maps = _run(module, maps, self._inner(place), frames)
                if place in self.after:
                    maps = self.after[place](maps.unflatten(0, (-1, frames))).flatten(0, 1)
            if number <= len(self.sides):
                said.append(self.sides[number - 1](maps))
        whole: Tensor = maps.unflatten(0, (-1, frames))
        if self.tail is not None:
            whole = self.tail(whole)
        if said:
            vectors = torch.cat(said, 1).unflatten(0, (-1, frames))[..., None, None]
            whole = torch.cat([whole, vectors.expand(-1, -1, -1, *whole.shape[3:])], 2)
        return whole

    def _inner(self, place: str) -> nn.Module | None:
        return self.inside[place] if place in self.inside else None  # noqa: SIM401

    def load_pretrained(self, path: Path | str) -> None:
        """Load a weight file of the plain network, into all copies of its stages.

        What the plan adds keeps its own start, biases of inflated convolutions zero.
        """
        plain = frame_branch(self.name)
        load_weights(plain, path)
        given = {f"stem.{k}": v for k, v in _stem(plain, self.plan).state_dict().items()}
        for number, blocks in enumerate(_stages(plain)):
            for block, module in enumerate(blocks):
                given |= {f"stages.{number}.{block}.{k}": v for k, v in module.state_dict().items()}
        copies: dict[str, int] = getattr(self.tail, "copies", {})  # name of a copy -> block
        for mine, block in copies.items():
            of_block = _stages(plain)[LAST - 1][block].state_dict()
            fresh = mine.startswith(getattr(self.tail, "fresh_statistics", ()))
            given |= {
                f"tail.{mine}.{k}": v
                for k, v in of_block.items()
                if not (fresh and k.rpartition(".")[2].startswith(_STATISTICS))
            }
        own = self.state_dict()
        self.load_state_dict({**own, **{k: v for k, v in given.items() if k in own}})


def map_channels(name: str, plan: BackbonePlan, *, frames: int) -> int:
    """Return channels of what a backbone gives for clips of `frames`; takes no memory."""
    with torch.device("meta"):
        found = ClipBackbone(name, plan).eval()(torch.empty(1, frames, 3, 256, 128))
    return int(found.shape[2])


def _key(stage: int, block: int) -> str:
    return f"{stage}_{block}"


def _give_biases(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(
                torch.zeros(module.out_channels, device=module.weight.device)
            )


def _stem(network: nn.Module, plan: BackbonePlan) -> nn.Module:
    if not isinstance(network, ResNet50):
        return nn.Identity()
    relu = nn.ReLU() if plan.stem_relu else nn.Identity()
    pool = nn.MaxPool2d(3, stride=2, padding=plan.stem_padding)
    return nn.Sequential(network.conv1, network.bn1, relu, pool)


def _stages(network: nn.Module) -> list[list[nn.Module]]:
    if isinstance(network, ResNet50):
        return [list(network.get_submodule(f"layer{n}").children()) for n in range(1, LAST + 1)]
    assert isinstance(network, SmallNet)
    return [[layer] for layer in network.layers]


def _outputs(blocks: list[nn.Module]) -> int:
    last = blocks[-1]
    return last.conv3.out_channels if isinstance(last, Bottleneck) else _width(last)


def _width(block: nn.Module) -> int:
    """Return channels of a block's 3x3 convolution."""
    if isinstance(block, Bottleneck):
        return block.conv2.out_channels
    assert isinstance(block, ConvBn)
    return block.conv.out_channels


def _run(block: nn.Module, maps: Tensor, inner: nn.Module | None, frames: int) -> Tensor:
    """Return a block on ``[B * T, C, h, w]``, with a module inside of it."""
    if inner is None:
        plain: Tensor = block(maps)
        return plain

    def within(y: Tensor) -> Tensor:
        changed: Tensor = inner(y.unflatten(0, (-1, frames))).flatten(0, 1)
        return changed

    if isinstance(block, Bottleneck):
        y = torch.relu(block.bn1(block.conv1(maps)))
        y = torch.relu(block.bn2(within(block.conv2(y))))
        y = block.bn3(block.conv3(y))
        return torch.relu(y + (maps if block.downsample is None else block.downsample(maps)))
    assert isinstance(block, ConvBn)
    return torch.relu(block.bn(within(block.conv(maps))))
