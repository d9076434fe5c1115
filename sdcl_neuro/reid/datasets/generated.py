"""The generated data set: rendered walking persons, with exact identities, of any size.

Nothing is stored: an entry is rendered when it is loaded, from numbers alone, so the same
configuration gives the same tracklets on every run, in any order and in any process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.network.arguments import public, public_class

from .clip import Clip
from .index import describe
from .table import Choices


@public_class
@dataclass(frozen=True)
class GeneratedConfig:
    """How large the data set is and what its cameras do.

    Attributes:
        persons: identities in all; `train_persons` of them are for training (half, if left
            out), the others for query and gallery.
        cameras: everyone walks before each of them.
        walks: of every person before every camera.
        fps: frames a second.
        substeps: renderings per frame for the simulated pixels.
        simulator: those pixels; each tracklet has its own mismatch.
        seed: of everything.
        moments: of a walk, among which the seed of a load chooses; 0 has no end of them.
    """

    persons: int = 64
    train_persons: int | None = None
    cameras: int = 4
    walks: int = 2
    fps: float = 10.0
    substeps: int = 8
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    seed: int = 0
    moments: int = 0

    def __post_init__(self) -> None:
        limits: tuple[tuple[str, float, float], ...] = (
            ("persons", 1, 1_000_000),
            ("cameras", 1, 1000),
            ("walks", 1, 1000),
            ("fps", 1.0, 1000.0),
            ("substeps", 1, 1000),
            ("seed", 0, (1 << 31) - 1),
            ("moments", 0, 1_000_000),
        )
        for name, low, high in limits:
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} is {value}", hint=f"give one from {low:g} to {high:g}")
        if not 0 <= self.training <= self.persons:
            raise InputError(
                f"{self.training} persons for training of {self.persons}",
                hint=f"give 0 to {self.persons}",
            )

    @property
    def training(self) -> int:
        """How many persons are for training."""
        return self.persons // 2 if self.train_persons is None else self.train_persons

    def moment(self, seed: int | None) -> int | None:
        """Return the moment that a seed chooses; None without one."""
        return seed if seed is None or not self.moments else seed % self.moments


@dataclass(frozen=True)
class GeneratedEntry:
    """One walk: who (from 1; 0 is for distractors elsewhere), before which camera, which time."""

    name: str
    person: int
    camera: int
    walk: int


@public_class
@dataclass(frozen=True)
class Generated:
    """The data set; see `index.DataSet` for what it offers."""

    config: GeneratedConfig = field(default_factory=GeneratedConfig)

    @cached_property
    def entries(self) -> tuple[GeneratedEntry, ...]:
        """Persons in order, each before camera after camera."""
        config = self.config
        return tuple(
            GeneratedEntry(f"p{person}-c{camera}-{walk}", person, camera, walk)
            for person in range(1, config.persons + 1)
            for camera in range(config.cameras)
            for walk in range(config.walks)
        )

    @cached_property
    def train(self) -> tuple[int, ...]:
        """All walks of the first persons."""
        return self._where(test=False)

    @cached_property
    def query(self) -> tuple[int, ...]:
        """The first walk of each other person before each camera."""
        return tuple(k for k in self.gallery if self.entries[k].walk == 0)

    @cached_property
    def gallery(self) -> tuple[int, ...]:
        """All walks of the other persons."""
        return self._where(test=True)

    def _where(self, *, test: bool) -> tuple[int, ...]:
        border = self.config.training
        return tuple(k for k, one in enumerate(self.entries) if (one.person > border) == test)

    @public
    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        """Render one walk; with a seed (0 or more), another moment of it."""
        from dataclasses import replace

        from .camera import make_camera
        from .person import make_person
        from .walk import make_walk, render_walk

        if not 0 <= position < len(self.entries):
            raise InputError(
                f"entry {position} of {len(self.entries)}", hint="give a position in entries"
            )
        entry, config = self.entries[position], self.config
        person = make_person(config.seed, entry.person)
        camera = make_camera(config.seed, entry.camera)
        walk = make_walk(
            person, camera, seed=config.seed, number=entry.walk, moment=config.moment(seed)
        )
        return render_walk(
            walk,
            clip,
            name=entry.name,
            fps=config.fps,
            substeps=config.substeps,
            # Its own pixels, so that the mismatch is no sign of a camera or a person.
            simulator=replace(config.simulator, seed=config.simulator.seed + walk.jitter),
            seed=config.seed,
        )

    def __str__(self) -> str:
        return f"generated (seed {self.config.seed}): {describe(self)}"


def open_data(root: Path, choices: Choices) -> Generated:
    """Return rendered persons, which lie nowhere; see `table`."""
    own = choices.own if isinstance(choices.own, GeneratedConfig) else GeneratedConfig()
    return Generated(own)
