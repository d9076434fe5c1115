"""EVT 2 and EVT 3, Prophesee's raw recordings.

faery refuses events outside the size that a header states, holds times where a word steps back and
loses wraps in sparse files, so words are decoded here (`evt_kernels`); tests compare with faery,
evt3 and expelliarmus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of

from ..columns import Columns, Options, Size
from .headers import body_records, percent_header, stated_size

# Name and bytes of a word, by the header's version.
VERSIONS = {b"2.0": ("evt2", 4), b"3.0": ("evt3", 2), b"2": ("evt2", 4), b"3": ("evt3", 2)}
# Sensor generations as Prophesee's plugins are named in EVT headers; used in advice only.
PLUGIN_SIZES: tuple[tuple[bytes, Size], ...] = (
    (b"gen41", (1280, 720)),
    (b"gen42", (1280, 720)),
    (b"imx636", (1280, 720)),
    (b"gen31", (640, 480)),
    (b"gen3", (640, 480)),
    (b"genx320", (320, 320)),
)
# Steps back of the clock's high part up to about a second are taken as such: see `evt_kernels`.
BACK_UNITS = {"evt2": 1 << 14, "evt3": 1 << 8}
CLOCK_BITS = {"evt2": 34, "evt3": 24}


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield the events in parts of about `part_events` words; see `table`."""
    header = percent_header(path)
    stated = re.search(rb"^% (?:evt |format EVT)([0-9.]+)", header, re.MULTILINE)
    version = stated.group(1) if stated else b""
    if version not in VERSIONS:
        raise InputError(
            f"EVT version {version.decode() or '?'} is not read",
            hint="convert it to EVT 2 or EVT 3",
        )
    name, word = VERSIONS[version]
    count, tail = body_records(path, len(header), word, options)
    plugin = re.search(rb"^% plugin_name (.*)$", header, re.MULTILINE)
    usual = None
    if plugin:
        usual = next((size for key, size in PLUGIN_SIZES if key in plugin.group(1)), None)
    decoder = EvtDecoder(name)
    size, found = stated_size(header), 0
    for first in range(0, count, part_events):
        words = np.fromfile(
            path, f"<u{word}", min(part_events, count - first), offset=len(header) + first * word
        )
        part = replace(decoder.decode(words), size=size, usual=usual)
        found += len(part.t)
        last = first + part_events >= count
        if last and not found:
            raise InputError("a recording without events", hint="check that it is complete")
        yield replace(part, tail=tail, notes=decoder.notes()) if last else part


class EvtDecoder:
    """Decodes the words of one camera as they come, in pieces of any length.

    Args:
        name: ``evt2`` or ``evt3``.
    """

    def __init__(self, name: str) -> None:
        from . import evt_kernels as kernels

        self.name = name
        self._kernels = kernels
        self._state = np.zeros(kernels.STATE_SIZE, np.int64)

    def decode(self, words: NDArray[Any]) -> Columns:
        """Return the events of the next words, uint16 for EVT 3 and uint32 for EVT 2."""
        kernels, room = self._kernels, len(words)
        if self.name == "evt3":
            room = int(kernels.evt3_events(words))
        t = np.empty(room, np.int64)
        x, y = np.empty(room, np.uint16), np.empty(room, np.uint16)
        p = np.empty(room, np.uint8)
        decode = kernels.evt3 if self.name == "evt3" else kernels.evt2
        found = int(decode(words, self._state, BACK_UNITS[self.name], t, x, y, p))
        return Columns(t[:found], x[:found], y[:found], p[:found], None, self.name, off=0)

    def notes(self) -> tuple[str, ...]:
        """Return notes on the recording as a whole."""
        kernels, said = self._kernels, []
        wraps, early = int(self._state[kernels.WRAPS]), int(self._state[kernels.EARLY])
        if wraps:
            said.append(
                f"the camera's {CLOCK_BITS[self.name]}-bit clock wrapped {number_of(wraps, 'time')}"
            )
        if early:
            said.append(f"{number_of(early, 'event')} before the first time word left out")
        return tuple(said)
