"""The tables that say which data: ``[data]`` and those in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig

from ..datasets.controls import KINDS as CONTROLS
from ..datasets.degradations import KINDS, SEVERITIES
from ..datasets.event_reid import EventReidTable
from ..datasets.generated import GeneratedConfig
from ..datasets.in_memory import MotTable
from ..datasets.own_folder import FolderTable
from ..datasets.pairing import EventFiles
from ..datasets.table import kind_named
from .recording_tables import AlignmentTable, ReadingTable

Part = Literal["test", "all"]
SEED_MAX = (1 << 31) - 1


def require(condition: bool, what: str, hint: str) -> None:
    """Raise InputError unless `condition`."""
    if not condition:
        raise InputError(what, hint=hint)


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
class Control:
    """Events changed on purpose, frames as they are; see `datasets.controls`.

    Attributes:
        events: ``right`` (as they are), ``others`` (another person's), ``late`` (by a frame),
            ``reversed`` (in time), ``swapped`` (in polarity) or ``none``.
        part: ``test`` changes query and gallery, ``all`` the training tracklets too.
        seed: of the choice of other persons.
    """

    events: str = "right"
    part: Part = "test"
    seed: int = 0

    def __post_init__(self) -> None:
        kinds = ("right", *CONTROLS)
        require(self.events in kinds, f"events is {self.events!r}", f"use {', '.join(kinds)}")
        require(0 <= self.seed <= SEED_MAX, f"seed is {self.seed}", f"give 0 to {SEED_MAX}")


@dataclass(frozen=True)
class DataTable:
    """Which data set, and in which state. Paths that are not absolute start at the root.

    Attributes:
        kind: which data set; `event_reid`, `generated`, `mot` and `folder` hold what only some
            of them have.
        split: which of the splits (or folds), from 0.
        splits: a split file; empty looks for it in the root.
        events: the folder of the events; ``auto`` looks for it in the root, ``none`` takes frames
            alone.
        cache: a folder of simulated events to use instead (`fill_cache` fills it); of the
            generated set, one that keeps rendered tracklets, if a root is given.
        queries_in_gallery: of MARS and MARS*, as the published evaluation has it.
        protocol: of data sets that have several; empty takes the first.
        interval_ms: length of what one frame of a tracklet shows, of recordings without frames; 0
            takes the data set's own.
        event_files: how the paper's event files are to be read where they leave it open.
        simulator: the pixels of simulated events, in a cache or of a video; the generated set has
            its own.
        degradation: of the frames.
        control: of the events.
        reading, alignment: of the recording that belongs to a video (`mot`).
    """

    kind: str = "prid2011"
    split: int = 0
    splits: str = ""
    events: str = "auto"
    cache: str = ""
    queries_in_gallery: bool = True
    protocol: str = ""
    interval_ms: float = 0.0
    event_files: EventFiles = field(default_factory=EventFiles)
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    degradation: Degradation = field(default_factory=Degradation)
    control: Control = field(default_factory=Control)
    event_reid: EventReidTable = field(default_factory=EventReidTable)
    generated: GeneratedConfig = field(default_factory=GeneratedConfig)
    mot: MotTable = field(default_factory=MotTable)
    reading: ReadingTable = field(default_factory=ReadingTable)
    alignment: AlignmentTable = field(default_factory=AlignmentTable)
    folder: FolderTable = field(default_factory=FolderTable)

    def __post_init__(self) -> None:
        kind_named(self.kind)
        at_least(self, split=0)
        good = 0 <= self.interval_ms <= 1e6
        require(good, f"interval_ms is {self.interval_ms}", "give 0 to 1e6")
