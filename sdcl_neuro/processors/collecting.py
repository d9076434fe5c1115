"""Python's collector of cyclic garbage, kept out of the way while a process loads its libraries."""

from __future__ import annotations

import gc

OBJECTS = 500_000
"""Objects made before the first collection. The libraries of a verb make a little fewer, none of
which becomes garbage: 450,000 until `infer` embeds its first tracklet (torch, numba, this package).
"""


def collect_later() -> None:
    """Let the first collection of cyclic garbage wait for `OBJECTS`; then the usual rule holds.

    By default Python's collector looks through what torch and numba load again and again, a sixth
    of the time that `infer` takes to its first tracklet. What lives at the first collection is
    loaded code for the most part, and is not looked through again.
    """
    usual = gc.get_threshold()
    if not gc.isenabled() or not 0 < usual[0] < OBJECTS:
        return  # someone has decided already

    def collected(phase: str, info: dict[str, int]) -> None:
        del info
        if phase == "stop" and collected in gc.callbacks:
            gc.callbacks.remove(collected)
            gc.set_threshold(*usual)
            gc.freeze()

    gc.callbacks.append(collected)
    gc.set_threshold(OBJECTS, *usual[1:])
