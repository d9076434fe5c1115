"""Figures to files: the same figure as PNG and as SVG, the same bytes for the same input."""

from __future__ import annotations

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
    """A matplotlib figure of that many inches, without a window."""
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
    """A figure as a file of one of `ENDINGS`."""
    matplotlib = need("matplotlib", PURPOSE)
    stream = BytesIO()
    # Neither kind says when it was made, and names within the SVG follow from its content.
    metadata = {"Date": None} if ending == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "sdcl-neuro", "svg.fonttype": "none"}):
        figure.savefig(stream, format=ending, dpi=DPI, metadata=metadata)
    return stream.getvalue()
