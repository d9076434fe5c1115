"""Charts as inline SVG: bars, stacked bars, intervals on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..interval import Interval, figure
from .svg import (
    ChartLayout,
    both,
    chart,
    colour,
    decades,
    drawing,
    line,
    linear_ticks,
    rectangle,
    text,
)

_BAR, _AXIS = 20, 46
_CHARACTER = 7.0


@dataclass(frozen=True)
class IntervalRow:
    """A row of an interval chart; `interval` None is unknown, for `reason`.

    Rows of one `group` have one colour; the legend lists the groups.
    """

    label: str
    interval: Interval | None
    group: str = ""
    reason: str = ""


def bar_chart(
    values: Mapping[str, float],
    *,
    unit: str,
    caption: str = "",
    tag: str = "",
    top: float | None = None,
) -> Markup:
    """Return horizontal bars from zero.

    Args:
        values: label to value, none negative.
        unit: of the values.
        caption: what is shown.
        tag: measured, emulated or modelled, or empty.
        top: right end of the axis; None fits it to the values.
    """
    ticks = linear_ticks(max(values.values(), default=0.0) if top is None else top)
    said = "; ".join(f"{name}: {figure(value)} {unit}" for name, value in values.items())
    shown = [figure(value) for value in values.values()]

    def draw(layout: ChartLayout) -> Markup:
        left, height = layout.left(values), layout.row * len(values)
        scale = (layout.width - left - _room(shown)) / ticks[-1]
        marks = _axis(_sparse(ticks, layout), left, scale, height, unit)
        for index, (name, value) in enumerate(values.items()):
            middle = layout.middle(index)
            marks += [
                layout.label(left, index, name),
                rectangle(left, middle - _BAR / 2, value * scale, _BAR, kind="f1"),
                text(left + value * scale + 8, middle, figure(value), kind="soft"),
            ]
        return drawing(height + _AXIS, said, marks, layout=layout)

    return chart(both(draw), caption=caption, tag=tag)


def stacked_bars(
    rows: Mapping[str, Mapping[str, float]], *, unit: str, caption: str = "", tag: str = ""
) -> Markup:
    """Return horizontal bars made of segments, with the sum at the end.

    Args:
        rows: label to (segment name to value); segments keep one colour over all rows.
        unit: of the values.
        caption: what is shown.
        tag: measured, emulated or modelled, or empty.
    """
    names = list(dict.fromkeys(name for segments in rows.values() for name in segments))
    sums = {name: sum(segments.values()) for name, segments in rows.items()}
    ticks = linear_ticks(max(sums.values(), default=0.0))
    said = "; ".join(f"{name}: {figure(value)} {unit}" for name, value in sums.items())
    shown = [figure(value) for value in sums.values()]

    def draw(layout: ChartLayout) -> Markup:
        left, height = layout.left(rows), layout.row * len(rows)
        scale = (layout.width - left - _room(shown)) / ticks[-1]
        marks = _axis(_sparse(ticks, layout), left, scale, height, unit)
        for index, (row, segments) in enumerate(rows.items()):
            middle, x = layout.middle(index), left
            marks.append(layout.label(left, index, row))
            for name, value in segments.items():
                width = value * scale
                shade = f"f{colour(names.index(name))}"
                tip = f"{name}: {figure(value)} {unit}"
                marks.append(
                    rectangle(x, middle - _BAR / 2, width, _BAR, kind=shade, tip=tip, radius=0)
                )
                x += width
            marks.append(text(x + 8, middle, figure(sums[row]), kind="soft"))
        return drawing(height + _AXIS, said, marks, layout=layout)

    return chart(both(draw), caption=caption, tag=tag, legend=names)


def interval_chart(
    rows: Sequence[IntervalRow], *, unit: str, caption: str = "", tag: str = ""
) -> Markup:
    """Return intervals from low to high on a logarithmic axis; an open end is an arrow."""
    ends = [
        end
        for row in rows
        if row.interval is not None
        for end in (row.interval.low, row.interval.high)
        if end > 0 and math.isfinite(end)
    ]
    axis = decades(min(ends), max(ends)) if ends else [1.0, 10.0]
    groups = list(dict.fromkeys(row.group for row in rows))
    said = "; ".join(
        f"{row.label}: {f'{row.interval} {unit}' if row.interval else 'unknown'}" for row in rows
    )
    shown = [str(row.interval) for row in rows if row.interval is not None]

    def draw(layout: ChartLayout) -> Markup:
        left, height = layout.left(row.label for row in rows), layout.row * len(rows)
        scale = _Logarithmic(axis, left, layout.width - _room(shown))
        marks = []
        for tick in axis:
            marks += [
                line(scale(tick), 0, scale(tick), height, kind="grid"),
                text(scale(tick), height + 13, f"{tick:,.10g}", anchor="middle", kind="tick"),
            ]
        marks.append(text(left, height + 32, unit, kind="tick"))
        for index, row in enumerate(rows):
            marks.append(layout.label(left, index, row.label))
            middle = layout.middle(index)
            if row.interval is None:
                marks.append(text(left + 6, middle, f"unknown: {row.reason}", kind="tick"))
                continue
            marks += _interval(row, scale, middle, colour(groups.index(row.group)))
        return drawing(height + _AXIS, said, marks, layout=layout)

    legend = groups if len(groups) > 1 else []
    return chart(both(draw), caption=caption, tag=tag, legend=legend)


@dataclass(frozen=True)
class _Logarithmic:
    """Places on a logarithmic axis, from its first tick at `left` to its last at `right`."""

    axis: Sequence[float]
    left: float
    right: float

    def __call__(self, value: float) -> float:
        first, last = math.log10(self.axis[0]), math.log10(self.axis[-1])
        if value <= self.axis[0]:
            return self.left
        share = (min(math.log10(value), last) - first) / (last - first)
        return self.left + share * (self.right - self.left)


def _interval(row: IntervalRow, scale: _Logarithmic, middle: float, shade: int) -> list[Markup]:
    interval = row.interval
    assert interval is not None
    x1, x2 = scale(interval.low), scale(interval.high)
    tip, said = f"{row.label}: {interval}", str(interval)
    if math.isinf(interval.high):
        arrow = Markup('<path d="M{} {}H{}m-6 -5l6 5l-6 5" class="whisker s{}"/>').format(
            f"{x1:.2f}", f"{middle:.2f}", f"{scale.right:.2f}", shade
        )
        return [arrow, text(scale.right + 8, middle, said, kind="soft")]
    if x2 - x1 < 8:
        x1, x2 = (x1 + x2) / 2 - 4, (x1 + x2) / 2 + 4
    bar = rectangle(x1, middle - 7, x2 - x1, 14, kind=f"f{shade}", tip=tip, radius=7)
    return [bar, text(x2 + 8, middle, said, kind="soft")]


def _room(shown: Sequence[str]) -> float:
    """Return space right of the longest bar for its figure, in drawing units."""
    return max(60.0, _CHARACTER * max((len(words) for words in shown), default=0) + 18)


def _sparse(ticks: list[float], layout: ChartLayout) -> list[float]:
    """Return every tick, or on a narrow drawing every second one, the last among them."""
    return ticks if not layout.label_height or len(ticks) < 5 else ticks[(len(ticks) + 1) % 2 :: 2]


def _axis(
    ticks: Sequence[float], left: float, scale: float, height: float, unit: str
) -> list[Markup]:
    marks = []
    for tick in ticks:
        x = left + tick * scale
        marks += [
            line(x, 0, x, height, kind="grid"),
            text(x, height + 13, f"{tick:,.10g}", anchor="middle", kind="tick"),
        ]
    marks.append(text(left, height + 32, unit, kind="tick"))
    return marks
