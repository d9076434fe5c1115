"""Pictures over time: the spikes of a layer, and the stages of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from ..interval import figure
from ..ledger import Span
from .images import data_uri
from .svg import (
    WIDTH,
    chart,
    colour,
    drawing,
    label,
    label_width,
    line,
    linear_ticks,
    number,
    rectangle,
    text,
)

_HEIGHT, _LEFT, _RIGHT, _AXIS = 220, 76, 24, 40
_MOST_MARKS = 4000
_MOST_ROWS = 220
_ACCENT = (34, 120, 138)


def raster(spikes: NDArray[np.generic], *, caption: str = "", tag: str = "emulated") -> Markup:
    """Spikes of one sample of a layer, time to the right and neurons downwards.

    Few spikes are drawn one by one; many as shades, a row then being several neurons.

    Args:
        spikes: ``[T, *shape]``; neurons are numbered in that order.
        caption: what is shown; the number of spikes is added.
    """
    array = np.asarray(spikes)
    if array.ndim < 2 or array.size == 0:
        raise InputError(f"spikes of shape {list(array.shape)}", hint="give [T, *shape]")
    flat = array.reshape(len(array), -1) != 0
    steps, neurons = flat.shape
    count = int(np.count_nonzero(flat))
    width = WIDTH - _LEFT - _RIGHT
    marks = [rectangle(_LEFT, 0, width, _HEIGHT, kind="track", radius=4)]
    if count <= _MOST_MARKS:
        marks.append(_ticks(flat, width / steps, _HEIGHT / neurons))
        shade = ""
    else:
        markup, grouped = _shades(flat, width)
        marks.append(markup)
        shade = f"; a row of the picture is {grouped} neurons" if grouped > 1 else ""
    marks += _axes(steps, neurons, width)
    said = f"{count:,} spikes of {neurons:,} neurons in {steps} steps{shade}"
    whole = f"{caption}: {said}" if caption else said
    return chart(drawing(_HEIGHT + _AXIS, whole, marks), caption=whole, tag=tag)


def timeline(spans: Sequence[Span], *, caption: str = "", tag: str = "measured") -> Markup:
    """Passages through stages as bars over time, one line a stage, so that overlap shows."""
    names = list(dict.fromkeys(span.name for span in spans))
    left = label_width(names)
    end = max((span.end_s for span in spans), default=0.0) * 1e3
    start = min((span.start_s for span in spans), default=0.0) * 1e3
    ticks = linear_ticks(end - start, count=6)
    scale = (WIDTH - left - 70) / ticks[-1]
    row, height = 30, 30 * len(names)
    threads = sorted({span.thread for span in spans})
    marks = []
    for tick in ticks:
        x = left + tick * scale
        marks += [
            line(x, 0, x, height, kind="grid"),
            text(x, height + 13, f"{tick:,.10g}", anchor="middle", kind="tick"),
        ]
    marks.append(text(left, height + 32, "ms", kind="tick"))
    for index, name in enumerate(names):
        marks.append(label(left - 12, row * index + row / 2, name))
    for span in spans:
        y = row * names.index(span.name) + row / 2 - 8
        width = max(1.5, span.seconds * 1e3 * scale)
        shade = f"f{colour(threads.index(span.thread))}"
        tip = f"{span.name}: {figure(span.seconds * 1e3)} ms"
        x = left + (span.start_s * 1e3 - start) * scale
        marks.append(rectangle(x, y, width, 16, kind=shade, tip=tip, radius=2))
    legend = [f"thread {thread}" for thread in threads] if len(threads) > 1 else []
    said = f"{len(names)} stages within {figure(end - start)} ms"
    return chart(drawing(height + 46, said, marks), caption=caption, tag=tag, legend=legend)


def _ticks(flat: NDArray[np.bool_], per_step: float, per_neuron: float) -> Markup:
    """Every spike as a short vertical stroke, all in one path."""
    length = max(2.0, min(9.0, 0.8 * per_neuron))
    step, neuron = np.nonzero(flat)
    strokes = "".join(
        f"M{number(_LEFT + (t + 0.5) * per_step)} "
        f"{number(min(_HEIGHT - length, max(0.0, (n + 0.5) * per_neuron - length / 2)))}"
        f"v{number(length)}"
        for t, n in zip(step.tolist(), neuron.tolist(), strict=True)
    )
    return Markup('<path class="spikes" d="{}"/>').format(strokes)


def _shades(flat: NDArray[np.bool_], width: float) -> tuple[Markup, int]:
    """Rates of groups of neurons as an image, and the size of a group."""
    neurons = flat.shape[1]
    grouped = -(-neurons // _MOST_ROWS)
    edges = np.arange(0, neurons, grouped)
    sums = np.add.reduceat(flat.astype(np.int64), edges, axis=1)
    rate = (sums / np.diff([*edges, neurons])).T
    alpha = np.round(255 * np.sqrt(rate / rate.max())).astype(np.uint8)
    image = np.empty((*alpha.shape, 4), dtype=np.uint8)
    image[..., :3], image[..., 3] = _ACCENT, alpha
    markup = Markup(
        '<image x="{}" y="0" width="{}" height="{}" preserveAspectRatio="none" '
        'style="image-rendering:pixelated" href="{}"/>'
    ).format(_LEFT, number(width), _HEIGHT, data_uri(image))
    return markup, grouped


def _axes(steps: int, neurons: int, width: float) -> list[Markup]:
    marks = [
        text(_LEFT - 8, 8, "0", anchor="end", kind="tick"),
        text(_LEFT - 8, _HEIGHT - 8, f"{neurons - 1:,}", anchor="end", kind="tick"),
        text(_LEFT - 8, _HEIGHT / 2, "neuron", anchor="end", kind="tick"),
        text(_LEFT + width, _HEIGHT + 30, "step", anchor="end", kind="tick"),
    ]
    stride = max(1, round(linear_ticks(steps, count=8)[1]))
    for step in range(0, steps, stride):
        x = _LEFT + (step + 0.5) * width / steps
        marks.append(text(x, _HEIGHT + 13, str(step), anchor="middle", kind="tick"))
    return marks
