"""The table of event formats; see docs/events.md on how to add one."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from sdcl_neuro.errors import InputError

from ..columns import Columns, Options
from ..streams import StreamInfo

Reader = Callable[[Path, Options, int], Iterator[Columns]]
Lister = Callable[[Path], tuple[StreamInfo, ...]]

HEAD_BYTES = 4096


@dataclass(frozen=True)
class Kind:
    """One format.

    Attributes:
        text: what it is, for messages.
        module: its module in this package.
        magics: first bytes that give it away.
        header: what a line of its text header looks like, in lower case, if it has one.
        endings: of a file's name, where the content says nothing.
        streams: whether a file may hold more than one recording.
        no_tail: why ``drop-tail`` cannot read a file that is cut short; empty where it can.
    """

    text: str
    module: str
    magics: tuple[bytes, ...] = ()
    header: str = ""
    endings: tuple[str, ...] = ()
    streams: bool = False
    no_tail: str = ""

    def reader(self) -> Reader:
        """Return the format's ``read``."""
        return cast(Reader, import_module(f".{self.module}", __package__).read)

    def lister(self) -> Lister:
        """Return the format's ``streams``."""
        return cast(Lister, import_module(f".{self.module}", __package__).streams)


KINDS: dict[str, Kind] = {
    "aedat4": Kind("AEDAT 4 (iniVation)", "aedat4", (b"#!AER-DAT4",), streams=True),
    "evt": Kind("EVT 2 and EVT 3 (Prophesee .raw)", "evt", header=r"% (evt |format evt)"),
    "dat": Kind(
        "DAT (Prophesee), also N-Cars' 2d events",
        "dat",
        header=r"% (data file containing|version )",
    ),
    "es": Kind("Event Stream (.es)", "es", (b"Event Stream",)),
    "rosbag": Kind(
        "ROS bags (.bag, .db3, .mcap, or a folder with metadata.yaml)",
        "rosbag",
        (b"#ROSBAG V2.0", b"\x89MCAP", b"SQLite format 3\0"),
        streams=True,
        no_tail="a bag's index is written when it is closed (`rosbag reindex`, `ros2 bag reindex` "
        "and `mcap recover` write it again)",
    ),
    "hdf5": Kind(
        "HDF5: DSEC's, v2e's, MVSEC's, M3ED's and like layouts; MATLAB 7.3",
        "hdf5",
        (b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3 MAT-file"),
        streams=True,
        no_tail="HDF5 scatters a recording over the file, and opens none that is shorter than it "
        "says (`h5clear --increment` may help where only the end was not written)",
    ),
    "mat": Kind(
        "MATLAB: SDCL's and ST-MNIST's (.mat)",
        "mat",
        (b"MATLAB 5.0 MAT-file",),
        no_tail="a .mat file holds one field after another: what is cut off are whole fields",
    ),
    "npz": Kind(
        "numpy: this package's and others' (.npz)",
        "npz",
        (b"PK\x03\x04",),
        no_tail="an .npz holds one field after another: what is cut off are whole fields",
    ),
    "npy": Kind("numpy: structured, or N x 4 (.npy)", "npy", (b"\x93NUMPY",)),
    "nmnist": Kind("N-MNIST and N-Caltech101 (.bin)", "nmnist", endings=(".bin",)),
    "text": Kind("text, four columns (.txt, .csv)", "text_columns"),
}

# What is recognised and not read, and what to do instead.
REFUSED: dict[bytes, tuple[str, str]] = {
    b"#!AER-DAT1": ("AEDAT 1 is not read", "convert it to AEDAT 4 with jAER and DV"),
    b"#!AER-DAT2": ("AEDAT 2 is not read", "convert it to AEDAT 4 with jAER and DV"),
    b"#!AER-DAT3": ("AEDAT 3 is not read", "convert it to AEDAT 4 with DV"),
}

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_TEXT = frozenset(b"\t\n\r") | frozenset(range(32, 127)) | frozenset(range(128, 256))


def find_kind(path: Path) -> str:
    """Return which of `KINDS` a file is, by its first bytes, else by its ending.

    Raises:
        InputError: it is none of them, or no regular file, or empty.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("no such file", hint="give an event file") from None
    if stat.S_ISDIR(mode) and (path / "metadata.yaml").is_file():
        return "rosbag"
    if not stat.S_ISREG(mode):
        raise InputError("not a regular file", hint="give an event file")
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        raise InputError("the file is empty", hint="give an event file")
    return _kind_of(head, path.suffix.lower())


def _kind_of(head: bytes, ending: str) -> str:
    for name, kind in KINDS.items():
        if head.startswith(kind.magics or (b"\0no magic",)):
            return name
    for magic, (what, instead) in REFUSED.items():
        if head.startswith(magic):
            raise InputError(what, hint=instead)
    if head.startswith(b"% "):
        lines = [line.decode("latin-1").lower() for line in head.split(b"\n") if line[:2] == b"% "]
        for name, kind in KINDS.items():
            if kind.header and any(re.match(kind.header, line) for line in lines):
                return name
    if head.startswith(UTF16_MARKS):
        raise InputError("text in UTF-16", hint="save it as UTF-8")
    if _is_text(head):
        return "text"
    for name, kind in KINDS.items():
        if ending in kind.endings:
            return name
    raise InputError(
        "not an event file of a known kind",
        hint="give one of: " + "; ".join(kind.text for kind in KINDS.values()),
    )


def _is_text(head: bytes) -> bool:
    """Return whether it reads as UTF-8 text that begins with something like a number or a name."""
    body = head.removeprefix(UTF8_MARK)
    try:
        # The last character may be cut off.
        body[: max(0, len(body) - 3)].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return _TEXT.issuperset(body)
