"""Pictures over time: the spikes of a layer, and the stages of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of

from ..interval import figure
from ..ledger_rows import Passage
from .images import data_uri
from .svg import (
    WIDE,
    ChartLayout,
    both,
    chart,
    colour,
    drawing,
    line,
    linear_ticks,
    number,
    rectangle,
    text,
)

_HEIGHT, _LEFT, _RIGHT, _AXIS = 220, 76, 24, 40
_SLIM_LEFT, _SLIM_RIGHT = 48, 8
_MOST_MARKS = 4000
_MOST_ROWS = 220
_ACCENT = (34, 120, 138)


def raster(spikes: NDArray[np.generic], *, caption: str = "", tag: str = "emulated") -> Markup:
    """Return spikes of one sample of a layer, time to the right and neurons downwards.

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
    shades = None if count <= _MOST_MARKS else _shades(flat)
    within = f"{number_of(neurons, 'neuron')} in {number_of(steps, 'step')}"
    said = f"{number_of(count, 'spike')} of {within}"
    if shades is not None:
        rows = f"; a row of the picture is {shades.grouped} neurons" if shades.grouped > 1 else ""
        said += f"{rows}; the strongest are {shades.most:.2g} spikes per neuron and step"
    whole = f"{caption}: {said}" if caption else said

    def draw(layout: ChartLayout) -> Markup:
        frame = _Frame.of(layout)
        marks = [rectangle(frame.left, 0, frame.width, _HEIGHT, kind="track", radius=4)]
        marks.append(_strokes(flat, frame) if shades is None else shades.image(frame))
        marks += _axes(steps, neurons, frame)
        return drawing(_HEIGHT + _AXIS, whole, marks, layout=layout)

    return chart(both(draw), caption=whole, tag=tag)


@dataclass(frozen=True)
class _Frame:
    """Where the spikes are drawn: from `left`, `width` wide."""

    left: float
    width: float

    @classmethod
    def of(cls, layout: ChartLayout) -> _Frame:
        left, right = (_LEFT, _RIGHT) if layout is WIDE else (_SLIM_LEFT, _SLIM_RIGHT)
        return cls(left, layout.width - left - right)


def timeline(spans: Sequence[Passage], *, caption: str = "", tag: str = "measured") -> Markup:
    """Return passages through stages as bars over time, one line a stage, so that overlap shows."""
    names = list(dict.fromkeys(span.name for span in spans))
    end = max((span.end_s for span in spans), default=0.0) * 1e3
    start = min((span.start_s for span in spans), default=0.0) * 1e3
    threads = sorted({span.thread for span in spans})
    said = f"{len(names)} stages within {figure(end - start)} ms"

    def draw(layout: ChartLayout) -> Markup:
        left, height = layout.left(names), layout.row * len(names)
        ticks = linear_ticks(end - start, count=3 if layout.label_height else 6)
        scale = (layout.width - left - 30) / ticks[-1]
        marks = []
        for tick in ticks:
            x = left + tick * scale
            marks += [
                line(x, 0, x, height, kind="grid"),
                text(x, height + 13, f"{tick:,.10g}", anchor="middle", kind="tick"),
            ]
        marks.append(text(left, height + 32, "ms from the beginning", kind="tick"))
        marks += [layout.label(left, index, name) for index, name in enumerate(names)]
        for span in spans:
            y = layout.middle(names.index(span.name)) - 8
            width = max(1.5, span.seconds * 1e3 * scale)
            shade = f"f{colour(threads.index(span.thread))}"
            tip = f"{span.name}: {figure(span.seconds * 1e3)} ms"
            x = left + (span.start_s * 1e3 - start) * scale
            marks.append(rectangle(x, y, width, 16, kind=shade, tip=tip, radius=2))
        return drawing(height + 46, said, marks, layout=layout)

    legend = [f"thread {thread}" for thread in threads] if len(threads) > 1 else []
    return chart(both(draw), caption=caption, tag=tag, legend=legend)


def _strokes(flat: NDArray[np.bool_], frame: _Frame) -> Markup:
    """Return every spike as a short vertical stroke, all in one path."""
    steps, neurons = flat.shape
    per_step, per_neuron = frame.width / steps, _HEIGHT / neurons
    length = max(2.0, min(9.0, 0.8 * per_neuron))
    step, neuron = np.nonzero(flat)
    strokes = "".join(
        f"M{number(frame.left + (t + 0.5) * per_step)} "
        f"{number(min(_HEIGHT - length, max(0.0, (n + 0.5) * per_neuron - length / 2)))}"
        f"v{number(length)}"
        for t, n in zip(step.tolist(), neuron.tolist(), strict=True)
    )
    return Markup('<path class="spikes" d="{}"/>').format(strokes)


@dataclass(frozen=True)
class _Shades:
    """Rates of groups of neurons as an image; the strongest pixel is the highest rate, `most`."""

    href: str
    grouped: int
    most: float

    def image(self, frame: _Frame) -> Markup:
        return Markup(
            '<image x="{}" y="0" width="{}" height="{}" preserveAspectRatio="none" '
            'style="image-rendering:pixelated" href="{}"/>'
        ).format(number(frame.left), number(frame.width), _HEIGHT, self.href)


def _shades(flat: NDArray[np.bool_]) -> _Shades:
    neurons = flat.shape[1]
    grouped = -(-neurons // _MOST_ROWS)
    edges = np.arange(0, neurons, grouped)
    sums = np.add.reduceat(flat.astype(np.int64), edges, axis=1)
    rate = (sums / np.diff([*edges, neurons])).T
    alpha = np.round(255 * np.sqrt(rate / rate.max())).astype(np.uint8)
    image = np.empty((*alpha.shape, 4), dtype=np.uint8)
    image[..., :3], image[..., 3] = _ACCENT, alpha
    return _Shades(data_uri(image), grouped, float(rate.max()))


def _axes(steps: int, neurons: int, frame: _Frame) -> list[Markup]:
    left, width = frame.left, frame.width
    marks = [
        text(left - 8, 8, "0", anchor="end", kind="tick"),
        text(left - 8, _HEIGHT - 8, f"{neurons - 1:,}", anchor="end", kind="tick"),
        text(left - 8, _HEIGHT / 2, "neuron", anchor="end", kind="tick"),
        text(left + width, _HEIGHT + 30, "time step", anchor="end", kind="tick"),
    ]
    stride = max(1, round(linear_ticks(steps, count=8)[1]))
    for step in range(0, steps, stride):
        x = left + (step + 0.5) * width / steps
        marks.append(text(x, _HEIGHT + 13, str(step), anchor="middle", kind="tick"))
    return marks
