"""Names that files give to their columns, and the units that such names state."""

from __future__ import annotations

import re
from collections.abc import Iterable

ORDER = "txyp"
ALIASES = {
    "t": ("t", "ts", "timestamp", "timestamps", "time", "times"),
    "x": ("x", "xs", "x_pos", "x_coord", "x_coordinate", "col", "column"),
    "y": ("y", "ys", "y_pos", "y_coord", "y_coordinate", "row"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on"),
}
UNITS_US = {"s": 1e6, "sec": 1e6, "seconds": 1e6, "ms": 1e3, "us": 1.0, "usec": 1.0, "µs": 1.0,
            "microseconds": 1.0, "ns": 1e-3, "nsec": 1e-3, "nanoseconds": 1e-3}  # fmt: skip
_UNIT = "|".join(sorted(UNITS_US, key=len, reverse=True))
_TIMED = re.compile(rf"(?P<name>[a-z]+?)[\s_]*[\[(_ ]\s*(?P<unit>{_UNIT})\s*[\])]?")


def meaning(name: str) -> tuple[str, float | None]:
    """Return which of t, x, y, p a name means, or nothing; and microseconds per unit, if it
    says.
    """
    plain = name.strip().strip("\"'").strip().lower()
    for key, known in ALIASES.items():
        if plain in known:
            return key, None
    timed = _TIMED.fullmatch(plain)
    if timed and timed["name"] in ALIASES["t"]:
        return "t", UNITS_US[timed["unit"]]
    return "", None


def by_meaning(names: Iterable[str]) -> tuple[dict[str, str], float | None]:
    """Return the name of each of t, x, y, p that is among `names`, and the unit that t's name
    states.
    """
    found: dict[str, str] = {}
    unit_us = None
    for name in names:
        key, stated = meaning(name)
        if key and key not in found:
            found[key] = name
            unit_us = stated if key == "t" else unit_us
    return found, unit_us
