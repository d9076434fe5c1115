"""The tables of a configuration file, one frozen dataclass each; the defaults are the paper's.

``[clip]`` is `datasets.Clip` and ``[training]`` is `training.settings.Settings`: the rooms that
use them own them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sdcl_neuro.hybrid.bridge import config as bridge
from sdcl_neuro.hybrid.composition import ModelKind
from sdcl_neuro.hybrid.frame_branch.table import FRAME_BRANCHES
from sdcl_neuro.hybrid.methods import stand_in_kind
from sdcl_neuro.snn.branch_description import BranchDescription, ConvolutionSpec

from ..datasets import Clip
from ..training.settings import Settings
from .data_tables import DataTable, at_least, require

Distance = Literal["cosine", "euclidean"]
MAX_SPIKING_LAYERS = 3  # the range of the paper's Fig. 6


@dataclass(frozen=True)
class EventBranchTable:
    """The spiking layers. Of each list the first `layers` values count; the last one repeats.

    Attributes:
        layers: 1 to 3; the paper has 2.
        channels, kernels, strides: of the convolutions; the padding is half the kernel.
        beta: membrane decay per step.
        threshold: of the membrane.
        bias: whether the convolutions have one; then neurons fire without events.
        learn_beta, learn_threshold: whether training changes them.
    """

    layers: int = 2
    channels: tuple[int, ...] = (8,)
    kernels: tuple[int, ...] = (5, 3)
    strides: tuple[int, ...] = (1,)
    beta: float = 0.9
    threshold: float = 1.0
    bias: bool = False
    learn_beta: bool = False
    learn_threshold: bool = False

    def __post_init__(self) -> None:
        most = MAX_SPIKING_LAYERS
        require(1 <= self.layers <= most, f"layers is {self.layers}", f"give 1 to {most}")
        for name in ("channels", "kernels", "strides"):
            values = getattr(self, name)
            good = len(values) >= 1 and min(values) >= 1
            require(good, f"{name} is {list(values)}", "give at least one value, each from 1")
        odd = all(kernel % 2 for kernel in self.kernels)
        require(odd, f"kernels is {list(self.kernels)}", "give odd ones")
        require(0 <= self.beta <= 1, f"beta is {self.beta}", "give 0 to 1")
        good = 0 < self.threshold <= 1e6
        require(good, f"threshold is {self.threshold}", "give a positive number up to 1e6")

    def description(self) -> BranchDescription:
        """Return what `EventBranch` is built of."""

        def of(values: tuple[int, ...], layer: int) -> int:
            return values[min(layer, len(values) - 1)]

        layers = tuple(
            ConvolutionSpec(
                of(self.channels, layer),
                of(self.kernels, layer),
                of(self.strides, layer),
                of(self.kernels, layer) // 2,
            )
            for layer in range(self.layers)
        )
        return BranchDescription(
            layers,
            beta=self.beta,
            threshold=self.threshold,
            bias=self.bias,
            learn_beta=self.learn_beta,
            learn_threshold=self.learn_threshold,
        )


@dataclass(frozen=True)
class FrameBranchTable:
    """The network that sees the frames.

    Attributes:
        name: of `frame_branch.table.FRAME_BRANCHES`, or ``none``.
        weights: a safetensors file to start from; empty starts from random weights.
    """

    name: str = "resnet50"
    weights: str = ""

    def __post_init__(self) -> None:
        known = (*FRAME_BRANCHES, "none")
        require(self.name in known, f"name is {self.name!r}", f"use {', '.join(known)}")


@dataclass(frozen=True)
class BridgeTable:
    """The switches of `BridgeConfig`; what the other tables fix already is derived from them.

    For ``model = "psta"`` only `inputs` and `channels` count, for every other video network only
    `inputs`: its widths follow from the frame branch.

    Attributes:
        inputs: ``v``, ``e`` or ``v+e``.
        fusion: ``none``, ``concat``, ``add``, ``attention`` or ``alignment``.
        direction: ``e2f``, ``f2e`` or ``both``.
        pyramid: ``none``, ``residual`` or ``stam``.
        deformable_layers: 0 to 4; the paper has 3.
        channels: width behind the entries; the dimension of the embedding.
        heads, points: M and I of Eq. 13.
        kernel, window: of the deformable mapping.
        gate: begin as the frame branch's own feature; ``auto`` does so where the frame branch has
            weights to start from and events come in, too.
    """

    inputs: bridge.Inputs = "v+e"
    fusion: bridge.Fusion = "alignment"
    direction: bridge.Direction = "both"
    pyramid: bridge.Pyramid = "stam"
    deformable_layers: int = 3
    channels: int = 1024
    heads: int = 8
    points: int = 4
    kernel: int = 3
    window: int = 8
    gate: Literal["auto", "on", "off"] = "auto"


@dataclass(frozen=True)
class EvaluationTable:
    """How a trained model is judged.

    Attributes:
        distance: ``cosine`` (the paper's) or ``euclidean``.
        ranks: of the cumulative matching characteristic.
        rerank: whether k-reciprocal re-ranking follows.
        k1, k2, lambda_value: of the re-ranking (Zhong et al., CVPR 2017).
        batch: tracklets at a time.
    """

    distance: Distance = "cosine"
    ranks: tuple[int, ...] = (1, 5, 10, 20)
    rerank: bool = False
    k1: int = 20
    k2: int = 6
    lambda_value: float = 0.3
    batch: int = 16

    def __post_init__(self) -> None:
        at_least(self, k1=1, k2=1, batch=1)
        ascends = all(a < b for a, b in zip(self.ranks, self.ranks[1:], strict=False))
        good = bool(self.ranks) and min(self.ranks) >= 1 and ascends
        require(good, f"ranks is {list(self.ranks)}", "give ascending ranks from 1")
        good = 0 <= self.lambda_value <= 1
        require(good, f"lambda_value is {self.lambda_value}", "give 0 to 1")


@dataclass(frozen=True)
class Configuration:
    """A whole configuration file.

    Attributes:
        model: ``sdcl``, or a video network it is compared with, as a whole: ``psta``, ``osnet``,
            ``grl``, ``srs``, ``stmn``, ``sinet``, ``mgh``, ``tclnet``, ``ctl``, ``stgcn``, ``rafa``
            or ``strf`` (docs/methods.md).
        variant: ``published``, or ``sdcl``: of ``grl``, ``srs``, ``stmn`` and ``ctl`` what SDCL's
            own repository ran under that name (docs/methods.md).
        data, clip, event_branch, frame_branch, bridge, training, evaluation: its tables.
    """

    model: ModelKind = "sdcl"
    variant: Literal["published", "sdcl"] = "published"
    data: DataTable = field(default_factory=DataTable)
    clip: Clip = field(default_factory=Clip)
    event_branch: EventBranchTable = field(default_factory=EventBranchTable)
    frame_branch: FrameBranchTable = field(default_factory=FrameBranchTable)
    bridge: BridgeTable = field(default_factory=BridgeTable)
    training: Settings = field(default_factory=Settings)
    evaluation: EvaluationTable = field(default_factory=EvaluationTable)

    @property
    def kind(self) -> str:
        """What `composition.compose` is to build."""
        return self.model if self.variant == "published" else stand_in_kind(self.model)

    def to_toml(self) -> str:
        """Return the whole file, every key written out; `load_configuration` reads the same
        back.
        """
        from .writing import to_toml

        return to_toml(self)
