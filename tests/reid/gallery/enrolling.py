"""A process that enrols until it is killed: ``python enrolling.py GALLERY WRITER [KEY TIMES]``.

Writes ``ready``, then one line for each enrolment that has returned: writer, batch, size.
"""

from __future__ import annotations

import sys

import numpy as np

from sdcl_neuro.reid.gallery import Enrolment, Gallery

DIMENSION, MODEL = 8, "a model"


def size_of(batch: int) -> int:
    """How many tracklets a batch has."""
    return 1 + (7 * batch) % 13


def tracklet(writer: str, batch: int, number: int, key: str | None = None) -> Enrolment:
    """Tracklet `number` of a batch: all of it follows from its key."""
    seed = [ord(writer), batch, number]
    return Enrolment(
        embedding=np.random.default_rng(seed).normal(size=DIMENSION),
        key=f"{key or writer}/{batch}/{number}",
        camera=writer,
        time_us=batch,
        metadata={"size": size_of(batch)},
    )


def main(path: str, writer: str, key: str | None = None, times: str = "1") -> None:
    """Enrol without end; keys begin with `key`, batches are `times` as large."""
    key = key or writer
    print("ready", flush=True)
    with Gallery(path, model=MODEL, dimension=DIMENSION) as gallery:
        for batch in range(1_000_000):
            size = int(times) * size_of(batch)
            enrolled = gallery.enrol([tracklet(writer, batch, n, key) for n in range(size)])
            print(key, batch, len(enrolled.ids), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
