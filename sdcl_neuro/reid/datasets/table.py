"""The table of data sets; docs/how-to/add-a-data-set.md says how to add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.events.alignment import Alignment
from sdcl_neuro.events.options import ReadingOptions

from .clip import Clip
from .index import DataSet
from .pairing import EventFiles


@dataclass(frozen=True)
class Choices:
    """What a configuration says about a data set, whichever it is; paths start at the root.

    Attributes:
        split: which of several splits or folds, from 0.
        splits: a split file; empty looks for it.
        events: the folder of the events; ``auto`` looks for it, ``none`` takes frames alone.
        queries_in_gallery: as MARS's published evaluation has it.
        protocol: which of the data set's `DataSetKind.protocols`; empty takes the first.
        interval_ms: length of the interval that one frame of a tracklet shows, of recordings
            without frames.
        event_files: how event files are to be read where they leave it open.
        clip: the tracklets that are wanted; only what is cut beforehand needs it.
        simulator: pixels of simulated events.
        reading: how the event file of a video, or of a tracklet, is to be read.
        alignment: how such a file and its video lie to each other.
        own: the data set's own table of the configuration, if it has one.
    """

    split: int = 0
    splits: str = ""
    events: str = "auto"
    queries_in_gallery: bool = True
    protocol: str = ""
    interval_ms: float = 0.0
    event_files: EventFiles = field(default_factory=EventFiles)
    clip: Clip = field(default_factory=Clip)
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    alignment: Alignment | None = None
    own: Any = None


@dataclass(frozen=True)
class DataSetKind:
    """One data set.

    Attributes:
        text: what it is, for messages.
        module: its module in this package, with ``open_data(root, choices)``, which returns a
            `DataSet`, and ``recognise(root)``, which says whether a folder looks like one.
        opener, recogniser: other names for the two, where one module has several data sets.
        configuration: the packaged configuration that `train DIR` starts from.
        own: the table of ``[data]`` that only this data set has; empty if there is none.
        needs_root: whether it lies in a folder.
        frames: whether it has any.
        events_of_frames: whether its events may be simulated from its frames into a cache.
        finds_events: whether ``events = "auto"`` knows where to look.
        takes_reading, takes_alignment: whether `Choices.reading` and `Choices.alignment` count.
        one_bin: whether its events are pictures without times: one bin a frame.
        protocols: what `Choices.protocol` may be.
        published: counts of the whole data set, as `checking.count` names them, with their source.
    """

    text: str
    module: str
    opener: str = "open_data"
    recogniser: str = "recognise"
    configuration: str = "generated-small"
    own: str = ""
    needs_root: bool = True
    frames: bool = True
    events_of_frames: bool = False
    finds_events: bool = True
    takes_reading: bool = False
    takes_alignment: bool = False
    one_bin: bool = False
    protocols: tuple[str, ...] = ()
    published: Mapping[str, int] = field(default_factory=dict)

    def open_data(self, root: Path, choices: Choices) -> DataSet:
        """Open it; see `module`.

        Raises:
            InputError: everything that is missing or does not pair, in one list.
        """
        if choices.protocol and choices.protocol not in self.protocols:
            known = ", ".join(self.protocols) or "none"
            raise InputError(
                f"protocol {choices.protocol!r} of {self.text}",
                where="data.protocol",
                hint=f"it has {known}",
            )
        opener = cast(Callable[[Path, Choices], DataSet], self._member(self.opener))
        return opener(root, choices)

    def recognise(self, root: Path) -> bool:
        """Return whether a folder looks like this data set."""
        if not self.needs_root or not self.recogniser:
            return False
        return bool(self._member(self.recogniser)(root))

    def _member(self, name: str) -> Any:
        return getattr(import_module(f".{self.module}", __package__), name)


# In the order in which a folder is compared with them: the more particular first.
KINDS: dict[str, DataSetKind] = {
    "evreid": DataSetKind(
        "EvReID (AAAI 2026)",
        "evreid",
        configuration="evreid",
        one_bin=True,
        # Event-AHU/Neuromorphic_ReID, readme.
        published={"persons": 1200, "train persons": 840, "query persons": 360, "cameras": 6,
                   "frames": 118_988},
    ),
    "mars-star": DataSetKind(
        "MARS* (AAAI 2026)",
        "mars_star",
        configuration="mars-star",
        one_bin=True,
        published={"train tracklets": 8298, "train persons": 625, "query tracklets": 1980,
                   "gallery tracklets": 11_310, "cameras": 6},
    ),
    "mars": DataSetKind(
        "MARS",
        "mars",
        configuration="mars",
        events_of_frames=True,
        finds_events=False,
        # Zheng et al., ECCV 2016; the tables of MARS-evaluation.
        published={"train tracklets": 8298, "train persons": 625, "query tracklets": 1980,
                   "gallery tracklets": 11_310, "cameras": 6},
    ),
    "prid2011": DataSetKind(
        "PRID-2011",
        "two_cameras",
        opener="open_prid2011",
        recogniser="is_prid2011",
        configuration="prid2011",
        events_of_frames=True,
        # The published splits: 178 persons seen by both cameras in 21 frames or more.
        published={"train persons": 89, "query persons": 89, "cameras": 2},
    ),
    "ilidsvid": DataSetKind(
        "iLIDS-VID",
        "two_cameras",
        opener="open_ilidsvid",
        recogniser="is_ilidsvid",
        configuration="ilidsvid",
        events_of_frames=True,
        # Wang et al., ECCV 2014.
        published={"train persons": 150, "query persons": 150, "cameras": 2},
    ),
    "event-reid-v2": DataSetKind(
        "Event-ReId v2 as downloaded (Zenodo 8256439)",
        "event_reid_v2",
        configuration="event-reid-v2",
        own="event_reid",
        frames=False,
        protocols=("recordings", "windows"),
        published={"persons": 33, "cameras": 4, "train persons": 22, "query persons": 11},
    ),
    "event-reid": DataSetKind(
        "Event-ReId's windows",
        "event_reid",
        configuration="event-reid",
        own="event_reid",
        frames=False,
    ),
    "dvs-gesture": DataSetKind(
        "DVS128 Gesture by person",
        "dvs_gesture",
        configuration="dvs-gesture",
        own="event_reid",
        frames=False,
        # Amir et al., CVPR 2017.
        published={"persons": 29, "train persons": 23, "query persons": 6},
    ),
    "folder": DataSetKind(
        "a folder of one's own",
        "own_folder",
        configuration="folder",
        own="folder",
        events_of_frames=True,
        takes_reading=True,
    ),
    "generated": DataSetKind(
        "persons that are rendered", "generated", own="generated", needs_root=False
    ),
    "mot": DataSetKind(
        "a video with tracks in MOTChallenge's format",
        "in_memory",
        recogniser="",
        own="mot",
        takes_reading=True,
        takes_alignment=True,
    ),
}  # fmt: skip


def kind_named(name: str) -> DataSetKind:
    """Return the row of a name.

    Raises:
        InputError: there is none.
    """
    if name in KINDS:
        return KINDS[name]
    near = get_close_matches(name, KINDS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise InputError(f"data set {name!r}{hint}", hint=f"give one of {', '.join(KINDS)}")


def recognise(root: Path | str) -> str:
    """Return the name of the data set that a folder holds.

    Raises:
        InputError: no such folder, or it looks like none.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError("no such folder", where=str(root), hint="give a data set's folder")
    for name, kind in KINDS.items():
        if kind.recognise(root):
            return name
    found = ", ".join(sorted(item.name for item in root.iterdir())[:8]) or "nothing"
    raise InputError(
        f"is not recognised as a data set: it holds {found}",
        where=str(root),
        hint="name it with data.kind (--kind), one of "
        f"{', '.join(name for name, kind in KINDS.items() if kind.needs_root)}; "
        "docs/datasets.md has their layouts",
    )
