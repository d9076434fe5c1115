"""The tables of a configuration file, one frozen dataclass each; the defaults are the paper's.

``[clip]`` is `datasets.Clip` and ``[training]`` is `training.settings.Settings`: the rooms that
use them own them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ..branch_description import BranchDescription, ConvolutionSpec
from ..bridge import config as bridge
from ..composition import ModelKind
from ..datasets import Clip
from ..datasets.degradations import KINDS, SEVERITIES
from ..datasets.generated import GeneratedConfig
from ..datasets.pairing import EventFiles
from ..errors import InputError
from ..events import SimulatorConfig
from ..training.settings import Settings

Kind = Literal["prid2011", "ilidsvid", "mars", "event-reid", "generated", "mot"]
Degraded = Literal["test", "all"]
Distance = Literal["cosine", "euclidean"]
FrameBranchName = Literal["resnet50", "osnet_x1_0", "osnet_x0_25", "small", "none"]
MAX_SPIKING_LAYERS = 3  # the range of the paper's Fig. 6
SEED_MAX = (1 << 31) - 1


def require(condition: bool, what: str, mend: str) -> None:
    """Raise InputError unless `condition`."""
    if not condition:
        raise InputError(what, mend=mend)


def _least(table: Any, **limits: int) -> None:
    for name, least in limits.items():
        value = getattr(table, name)
        require(value >= least, f"{name} is {value}", f"give {least} or more")


@dataclass(frozen=True)
class Degradation:
    """Frames made worse, events as they are; see `datasets.degradations`.

    Attributes:
        kind: ``none``, ``blur``, ``occlusion``, ``low-light`` or ``noise``.
        severity: 1 to 5.
        part: ``test`` degrades query and gallery, ``all`` the training tracklets too.
        seed: of the degradation; a tracklet's name goes into it.
    """

    kind: str = "none"
    severity: int = 3
    part: Degraded = "test"
    seed: int = 0

    def __post_init__(self) -> None:
        kinds = ("none", *KINDS)
        require(self.kind in kinds, f"kind is {self.kind!r}", f"use {', '.join(kinds)}")
        require(self.severity in SEVERITIES, f"severity is {self.severity}", "give 1 to 5")
        require(0 <= self.seed <= SEED_MAX, f"seed is {self.seed}", f"give 0 to {SEED_MAX}")


@dataclass(frozen=True)
class EventReidTable:
    """Event-ReId: lists of windows, or folds that leave persons out.

    Attributes:
        train, query, gallery: list files, below the root; without any, there are folds.
        folds: how many; `data.split` says which of them is tested.
        seed: of the folds.
    """

    train: str = ""
    query: str = ""
    gallery: str = ""
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        _least(self, folds=2, seed=0)


@dataclass(frozen=True)
class MotTable:
    """A video with tracks in MOTChallenge's format: who leaves is asked of who arrived.

    Attributes:
        video, tracks: files below the root.
        events: an event file of the same view and clock; empty simulates them.
        stride: video frames per tracklet frame.
        sensor_scale: pixels of the simulated sensor per pixel of the video, along a side.
    """

    video: str = ""
    tracks: str = ""
    events: str = ""
    stride: int = 1
    sensor_scale: float = 1.0

    def __post_init__(self) -> None:
        _least(self, stride=1)
        good = 0 < self.sensor_scale <= 1
        require(good, f"sensor_scale is {self.sensor_scale}", "give one above 0, up to 1")


@dataclass(frozen=True)
class DataTable:
    """Which data set, and in which state. Paths that are not absolute start at the root.

    Attributes:
        kind: which data set; `event_reid`, `generated` and `mot` hold what only one of them has.
        split: which of the splits (or folds), from 0.
        splits: a split file; empty looks for it in the root.
        events: the folder of the events; ``auto`` looks for it in the root, ``none`` takes frames
            alone.
        cache: a folder of simulated events to use instead (`fill_cache` fills it); of the
            generated set, one that keeps rendered tracklets.
        queries_in_gallery: of MARS, as the published evaluation has it.
        event_files: how the paper's event files are to be read where they leave it open.
        simulator: the pixels of simulated events, in a cache or of a video; the generated set has
            its own.
        degradation: of the frames.
    """

    kind: Kind = "prid2011"
    split: int = 0
    splits: str = ""
    events: str = "auto"
    cache: str = ""
    queries_in_gallery: bool = True
    event_files: EventFiles = field(default_factory=EventFiles)
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    degradation: Degradation = field(default_factory=Degradation)
    event_reid: EventReidTable = field(default_factory=EventReidTable)
    generated: GeneratedConfig = field(default_factory=GeneratedConfig)
    mot: MotTable = field(default_factory=MotTable)

    def __post_init__(self) -> None:
        _least(self, split=0)


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
        """What `EventBranch` is built of."""

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
        name: of `frame_branch.NAMES`, or ``none``.
        weights: a safetensors file to start from; empty starts from random weights.
    """

    name: FrameBranchName = "resnet50"
    weights: str = ""


@dataclass(frozen=True)
class BridgeTable:
    """The switches of `BridgeConfig`; what the other tables fix already is derived from them.

    For ``model = "psta"`` only `inputs` and `channels` count.

    Attributes:
        inputs: ``v``, ``e`` or ``v+e``.
        fusion: ``none``, ``concat``, ``add``, ``attention`` or ``alignment``.
        direction: ``e2f``, ``f2e`` or ``both``.
        pyramid: ``none``, ``residual`` or ``stam``.
        deformable_layers: 0 to 4; the paper has 3.
        channels: width behind the entries; the dimension of the embedding.
        heads, points: M and I of Eq. 13.
        kernel, window: of the deformable mapping.
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
        _least(self, k1=1, k2=1, batch=1)
        ascends = all(a < b for a, b in zip(self.ranks, self.ranks[1:], strict=False))
        good = bool(self.ranks) and min(self.ranks) >= 1 and ascends
        require(good, f"ranks is {list(self.ranks)}", "give ascending ranks from 1")
        good = 0 <= self.lambda_value <= 1
        require(good, f"lambda_value is {self.lambda_value}", "give 0 to 1")


@dataclass(frozen=True)
class Configuration:
    """A whole configuration file.

    Attributes:
        model: ``sdcl``, or ``psta``: the video network it is compared with, as a whole.
        data, clip, event_branch, frame_branch, bridge, training, evaluation: its tables.
    """

    model: ModelKind = "sdcl"
    data: DataTable = field(default_factory=DataTable)
    clip: Clip = field(default_factory=Clip)
    event_branch: EventBranchTable = field(default_factory=EventBranchTable)
    frame_branch: FrameBranchTable = field(default_factory=FrameBranchTable)
    bridge: BridgeTable = field(default_factory=BridgeTable)
    training: Settings = field(default_factory=Settings)
    evaluation: EvaluationTable = field(default_factory=EvaluationTable)

    def to_toml(self) -> str:
        """The whole file, every key written out; `load_configuration` reads the same back."""
        from .writing import to_toml

        return to_toml(self)
