"""The tables that say which data: ``[data]`` and those in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig

from ..datasets.degradations import KINDS, SEVERITIES
from ..datasets.generated import GeneratedConfig
from ..datasets.pairing import EventFiles
from .recording_tables import AlignmentTable, ReadingTable

Kind = Literal["prid2011", "ilidsvid", "mars", "event-reid", "generated", "mot"]
Part = Literal["test", "all"]
SEED_MAX = (1 << 31) - 1


def require(condition: bool, what: str, mend: str) -> None:
    """Raise InputError unless `condition`."""
    if not condition:
        raise InputError(what, mend=mend)


def at_least(table: Any, **limits: int) -> None:
    """Raise InputError where a value of `table` is below its limit."""
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
    part: Part = "test"
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
        at_least(self, folds=2, seed=0)


@dataclass(frozen=True)
class MotTable:
    """A video with tracks in MOTChallenge's format: who leaves is asked of who arrived.

    Attributes:
        video, tracks: files below the root.
        events: an event file; empty simulates them. How it is read and lies to the video say
            `data.reading` and `data.alignment`.
        stride: video frames per tracklet frame.
        sensor_scale: pixels of the simulated sensor per pixel of the video, along a side.
    """

    video: str = ""
    tracks: str = ""
    events: str = ""
    stride: int = 1
    sensor_scale: float = 1.0

    def __post_init__(self) -> None:
        at_least(self, stride=1)
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
            generated set, one that keeps rendered tracklets, if a root is given.
        queries_in_gallery: of MARS, as the published evaluation has it.
        event_files: how the paper's event files are to be read where they leave it open.
        simulator: the pixels of simulated events, in a cache or of a video; the generated set has
            its own.
        degradation: of the frames.
        reading, alignment: of the recording that belongs to a video (`mot`).
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
    reading: ReadingTable = field(default_factory=ReadingTable)
    alignment: AlignmentTable = field(default_factory=AlignmentTable)

    def __post_init__(self) -> None:
        at_least(self, split=0)
