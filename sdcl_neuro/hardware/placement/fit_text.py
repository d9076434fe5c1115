"""A fit in plain text: the verdict, a table of layers, what breaks, what is unknown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .result import Fit, LayerFit, Load

WIDTH = 100
_TITLES = {
    "neurons": "neurons/core",
    "synapse_bits": "synapse bits/core",
    "axons_in": "axons in/core",
    "axons_out": "axons out/core",
    "kernel_entries": "kernel entries",
    "neuron_entries": "neuron entries",
    "bias_entries": "bias entries",
}


def fit_text(fit: Fit) -> str:
    """Return the whole answer."""
    lines = [f"{fit.hw} ({fit.title}): {verdict(fit)}", *_table(fit)]
    for entry in fit.broken:
        lines += _wrapped(f"exceeded: {entry}")
    for unknown in fit.unchecked:
        lines += _wrapped(f"unknown: {unknown.limit}: {unknown.reason}")
    for note in fit.notes:
        lines += _wrapped(f"note: {note}")
    return "\n".join(lines)


def verdict(fit: Fit) -> str:
    """Return fits, does not fit, or unknown, with cores and chips."""
    said = {True: "fits", False: "does not fit", None: "unknown whether it fits"}[fit.fits]
    taken = []
    if fit.cores is not None:
        taken.append(f"{fit.cores:,} core{'s' * (fit.cores != 1)}")
    if fit.chips is not None:
        taken.append(f"{fit.chips:,} chip{'s' * (fit.chips != 1)} ({fit.chips_available:,} there)")
    return f"{said}; {', '.join(taken)}" if taken else said


def shown(load: Load) -> str:
    """Return most, and its share of the limit."""
    share = "" if load.share is None else f" ({100 * load.share:.1f} %)"
    return f"{load.most:,.10g}{share}"


def _table(fit: Fit) -> list[str]:
    names = [name for name in _TITLES if any(name in layer.loads for layer in fit.layers)]
    if fit.placement is None:
        names = [name for name in names if name != "neurons"]
    head = ["layer", "kind", "neurons", "synapses", "cores", "tile", *(_TITLES[n] for n in names)]
    rows = [head, *(_row(layer, names) for layer in fit.layers)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(head))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(layer: LayerFit, names: Sequence[str]) -> list[str]:
    tile = "-" if layer.largest is None else "x".join(map(str, layer.largest))
    cores = "-" if layer.cores is None else f"{layer.cores:,}"
    loads = [shown(layer.loads[name]) if name in layer.loads else "-" for name in names]
    return [
        layer.name,
        layer.kind,
        f"{layer.neurons:,}",
        f"{layer.synapses:,}",
        cores,
        tile,
        *loads,
    ]


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(
        line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )
