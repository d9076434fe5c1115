"""Figures to files: the same figure as PNG and as SVG, the same bytes for the same input."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

from sdcl_neuro.extras import need
from sdcl_neuro.files import atomic_path

PURPOSE = "the poster's figures"
DPI = 150
SMALL = 7.0
"""Font size of labels, in points."""
ENDINGS = ("png", "svg")


def new_figure(width: float, height: float) -> Any:
    """Return a matplotlib figure of that many inches, without a window."""
    return need("matplotlib.figure", PURPOSE).Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: Path | str) -> tuple[Path, ...]:
    """Write a figure as PNG and as SVG.

    Args:
        figure: of matplotlib.
        path: of both, without an ending.

    Returns:
        The paths written.
    """
    written = []
    for ending in ENDINGS:
        target = Path(path).parent / f"{Path(path).name}.{ending}"
        with atomic_path(target) as temporary:
            temporary.write_bytes(figure_bytes(figure, ending))
        written.append(target)
    return tuple(written)


def figure_bytes(figure: Any, ending: str) -> bytes:
    """Return a figure as a file of one of `ENDINGS`."""
    matplotlib = need("matplotlib", PURPOSE)
    stream = BytesIO()
    # Neither kind says when it was made.
    metadata = {"Date": None} if ending == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "sdcl-neuro", "svg.fonttype": "none"}):
        figure.savefig(stream, format=ending, dpi=DPI, metadata=metadata)
    drawn = stream.getvalue()
    return _clips_by_order(drawn) if ending == "svg" else drawn


def _clips_by_order(svg: bytes) -> bytes:
    """Name clip paths by their order.

    matplotlib names them after their corners to the last bit, and the last bits of a constrained
    layout differ from run to run.
    """
    names = re.findall(rb'<clipPath id="(p[0-9a-f]+)"', svg)
    order = {name: b"clip%d" % number for number, name in enumerate(names)}
    return re.sub(rb"\bp[0-9a-f]{10}\b", lambda found: order.get(found[0], found[0]), svg)
