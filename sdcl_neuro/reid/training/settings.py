"""How a model is trained: the ``[training]`` table of a configuration file.

The defaults are the paper's (Section 4 and its published code): 16 tracklets a batch, 4 of each
person, Adam at 3e-4 with weight decay 5e-4, 10 epochs of linear warm-up, times 0.1 every 200 of
500 epochs, margin 0.3, flip, crop after padding by 10, erasing 0.5. The stage in integers is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

from ..datasets.degradations import KINDS, SEVERITIES

if TYPE_CHECKING:
    from sdcl_neuro.snn.loihi_leaky import Mode

Precision = Literal["auto", "float32", "bfloat16"]
Triplet = Literal["published", "cosine", "euclidean", "soft", "none"]
Optimiser = Literal["adam", "sgd"]
SEED_MAX = (1 << 31) - 1


_KINDS = ", ".join(KINDS)


def _whole(table: Any, name: str, *, least: int, most: int | None = None) -> None:
    value = getattr(table, name)
    good = isinstance(value, int) and not isinstance(value, bool) and value >= least
    limit = f"a whole number from {least}" + ("" if most is None else f" to {most}")
    _require(good and (most is None or value <= most), table, name, limit)


def _number(
    table: Any,
    name: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
) -> None:
    value = getattr(table, name)
    good = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    good = good and (least is None or value >= least) and (above is None or value > above)
    good = good and value <= (1e30 if most is None else most)
    low = f"from {least:g}" if least is not None else f"above {above:g}"
    _require(good, table, name, f"a number {low}" + ("" if most is None else f" to {most:g}"))


def _truth(table: Any, name: str) -> None:
    _require(isinstance(getattr(table, name), bool), table, name, "true or false")


def _require(condition: bool, table: Any, name: str, limit: str) -> None:
    if not condition:
        raise InputError(
            f"{name} is {getattr(table, name)!r}",
            where=f"training {type(table).__name__.lower()}",
            hint=f"give {limit}",
        )


@public_class
@dataclass(frozen=True)
class Stage:
    """One stretch of training. In it an epoch shows every person once, in batches of P.

    Attributes:
        epochs: its length; 0 leaves the stage out, unless `steps` says how long it is.
        steps: its length in batches instead, where it is not 0.
        learning_rate: of Adam, after the warm-up.
        warm_up: so long the rate rises linearly from 0, in epochs (in steps, if `steps` is set).
        decay_every: after each such stretch the rate is multiplied by `decay`; 0 never. In the
            same unit.
        decay: that factor.
        learns_frames: whether the frame branch learns too; else it stays as it is.
    """

    epochs: int = 0
    steps: int = 0
    learning_rate: float = 3e-4
    warm_up: int = 0
    decay_every: int = 0
    decay: float = 0.1
    learns_frames: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "steps", "warm_up", "decay_every"):
            _whole(self, name, least=0)
        _number(self, "learning_rate", above=0.0)
        _number(self, "decay", above=0.0, most=1.0)
        _truth(self, "learns_frames")
        if self.epochs and self.steps:
            raise InputError(
                f"{self.epochs} epochs and {self.steps} steps",
                where="training stage",
                hint="give its length in one of the two, and 0 for the other",
            )


@public_class
@dataclass(frozen=True)
class Augmentation:
    """What is changed at random in a tracklet, in all its frames and events alike.

    Attributes:
        flip: probability that it is mirrored.
        pad: it is moved by up to so many pixels of the frame (256 x 128) along each side.
        erasing: probability that a rectangle of the frames is erased; the events stay.
        degradation: probability that the frames, never the events, are degraded.
        kinds: of which one is drawn then, see `sdcl_neuro.reid.datasets.degradations.KINDS`.
        severity: lowest and highest level that is drawn then, 1 to 5.
    """

    flip: float = 0.5
    pad: int = 10
    erasing: float = 0.5
    degradation: float = 0.0
    kinds: tuple[str, ...] = ("blur", "occlusion")
    severity: tuple[int, int] = (SEVERITIES[0], SEVERITIES[-1])

    def __post_init__(self) -> None:
        for name in ("flip", "erasing", "degradation"):
            _number(self, name, least=0.0, most=1.0)
        _whole(self, "pad", least=0, most=64)
        good = isinstance(self.kinds, tuple) and all(kind in KINDS for kind in self.kinds)
        _require(good and bool(self.kinds or not self.degradation), self, "kinds", f"of {_KINDS}")
        pair = self.severity
        levels = isinstance(pair, tuple) and len(pair) == 2 and all(n in SEVERITIES for n in pair)
        _require(levels and pair[0] <= pair[1], self, "severity", "two levels, as [1, 5]")


@public_class
@dataclass(frozen=True)
class Settings:
    """The whole of it.

    Attributes:
        persons, tracklets: P and K of a batch, over all processes together.
        margin: of the triplet loss.
        triplet: ``published`` is the model's own: for SDCL and PSTA ``cosine``, on the features
            behind the BNNeck, so that it does not depend on their scale; ``euclidean`` takes the
            features before it; ``soft`` these with the soft margin; ``none`` leaves it out.
        smoothing: of the labels in the cross-entropy.
        weight_decay: of the optimiser.
        optimiser: ``adam``, or ``sgd`` with Nesterov's momentum of 0.9.
        backbone_rate: factor on the learning rate of the network that sees frames or voxels.
        float_stage: trains the event branch in float.
        int_stage: follows in the chip's integers (quantisation-aware).
        augmentation: see `Augmentation`.
        variants: of each tracklet, that is random moments and augmentations of it; they come round
            and are kept in memory. 0 draws new ones without end and keeps nothing.
        cache_mib: at most so much of the variants is kept, in MiB; it changes the speed only.
        firing_rate: spikes per neuron and step that the event branch is scaled to before it
            learns; 0 leaves it as it is.
        precision: of the dense parts; ``auto`` is bfloat16 on a GPU that has it, else float32.
        device: ``auto`` is a GPU where there is one.
        workers: processes that load and augment; 0 does it in the training process. The result
            does not depend on it.
        checkpoint_every: steps between two states from which a killed training goes on.
        validate_every: steps between two validations; 0 never.
        validation_persons: training identities kept for them, the last ones; never test's.
        seed: of everything random.
    """

    persons: int = 4
    tracklets: int = 4
    margin: float = 0.3
    triplet: Triplet = "published"
    smoothing: float = 0.1
    weight_decay: float = 5e-4
    optimiser: Optimiser = "adam"
    backbone_rate: float = 1.0
    float_stage: Stage = Stage(epochs=500, warm_up=10, decay_every=200)
    int_stage: Stage = Stage(epochs=50, learning_rate=3e-5)
    augmentation: Augmentation = field(default_factory=Augmentation)
    variants: int = 0
    cache_mib: int = 2048
    firing_rate: float = 0.05
    precision: Precision = "auto"
    device: str = "auto"
    workers: int = 0
    checkpoint_every: int = 200
    validate_every: int = 0
    validation_persons: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        # A triplet needs two persons (a negative); K = 1 would leave every anchor without a
        # positive, which the loss allows.
        _whole(self, "persons", least=2)
        for name in ("tracklets", "checkpoint_every"):
            _whole(self, name, least=1)
        for name in ("variants", "cache_mib", "workers", "validate_every", "validation_persons"):
            _whole(self, name, least=0)
        _whole(self, "seed", least=0, most=SEED_MAX)
        _number(self, "margin", least=0.0)
        _number(self, "smoothing", least=0.0, most=1.0)
        _number(self, "weight_decay", least=0.0)
        _number(self, "firing_rate", least=0.0, most=0.5)
        _number(self, "backbone_rate", above=0.0)
        kinds = get_args(Optimiser)
        _require(self.optimiser in kinds, self, "optimiser", f"one of {', '.join(kinds)}")
        kinds = get_args(Triplet)
        _require(self.triplet in kinds, self, "triplet", f"one of {', '.join(kinds)}")
        known = get_args(Precision)
        _require(self.precision in known, self, "precision", f"one of {', '.join(known)}")
        _require(
            isinstance(self.device, str) and self.device.split(":")[0] in ("auto", "cpu", "cuda"),
            self,
            "device",
            "auto, cpu or cuda",
        )
        if self.validate_every and not self.validation_persons:
            raise InputError(
                f"validation every {self.validate_every} steps, of no persons",
                where="training.validation_persons",
                hint="give 2 or more of them",
            )
        if not any(stage.epochs or stage.steps for _, stage in self.stages):
            raise InputError(
                "no stage has epochs or steps",
                where="training",
                hint="give float_stage or int_stage a length",
            )

    @property
    def stages(self) -> tuple[tuple[Mode, Stage], ...]:
        """List the stages in order, with the event branch's arithmetic."""
        return ("float", self.float_stage), ("int", self.int_stage)
