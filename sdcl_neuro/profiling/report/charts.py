"""Charts as inline SVG: bars, stacked bars, intervals on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..interval import Interval, figure
from .svg import (
    WIDTH,
    chart,
    colour,
    decades,
    drawing,
    label,
    label_width,
    line,
    linear_ticks,
    rectangle,
    text,
)

_ROW, _BAR, _AXIS, _RIGHT = 34, 20, 46, 110


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
    """Horizontal bars from zero.

    Args:
        values: label to value, none negative.
        unit: of the values.
        caption: what is shown.
        tag: measured, emulated or modelled, or empty.
        top: right end of the axis; None fits it to the values.
    """
    left = label_width(values)
    ticks = linear_ticks(max(values.values(), default=0.0) if top is None else top)
    scale = (WIDTH - left - _RIGHT) / ticks[-1]
    marks = _axis(ticks, left, scale, _ROW * len(values), unit)
    for index, (name, value) in enumerate(values.items()):
        middle = _ROW * index + _ROW / 2
        marks += [
            label(left - 12, middle, name),
            rectangle(left, middle - _BAR / 2, value * scale, _BAR, kind="f1"),
            text(left + value * scale + 8, middle, figure(value), kind="soft"),
        ]
    said = "; ".join(f"{name}: {figure(value)} {unit}" for name, value in values.items())
    return chart(drawing(_ROW * len(values) + _AXIS, said, marks), caption=caption, tag=tag)


def stacked_bars(
    rows: Mapping[str, Mapping[str, float]], *, unit: str, caption: str = "", tag: str = ""
) -> Markup:
    """Horizontal bars made of segments, with the sum at the end.

    Args:
        rows: label to (segment name to value); segments keep one colour over all rows.
        unit: of the values.
        caption: what is shown.
        tag: measured, emulated or modelled, or empty.
    """
    left = label_width(rows)
    names = list(dict.fromkeys(name for segments in rows.values() for name in segments))
    sums = {name: sum(segments.values()) for name, segments in rows.items()}
    ticks = linear_ticks(max(sums.values(), default=0.0))
    scale = (WIDTH - left - _RIGHT) / ticks[-1]
    marks = _axis(ticks, left, scale, _ROW * len(rows), unit)
    for index, (row, segments) in enumerate(rows.items()):
        middle, x = _ROW * index + _ROW / 2, left
        marks.append(label(left - 12, middle, row))
        for name, value in segments.items():
            width = value * scale
            shade = f"f{colour(names.index(name))}"
            tip = f"{name}: {figure(value)} {unit}"
            marks.append(
                rectangle(x, middle - _BAR / 2, width, _BAR, kind=shade, tip=tip, radius=0)
            )
            x += width
        marks.append(text(x + 8, middle, figure(sums[row]), kind="soft"))
    said = "; ".join(f"{name}: {figure(value)} {unit}" for name, value in sums.items())
    return chart(
        drawing(_ROW * len(rows) + _AXIS, said, marks), caption=caption, tag=tag, legend=names
    )


def interval_chart(
    rows: Sequence[IntervalRow], *, unit: str, caption: str = "", tag: str = ""
) -> Markup:
    """Intervals from low to high on a logarithmic axis; an open end is an arrow."""
    ends = [
        end
        for row in rows
        if row.interval is not None
        for end in (row.interval.low, row.interval.high)
        if end > 0 and math.isfinite(end)
    ]
    left = label_width(row.label for row in rows)
    axis = decades(min(ends), max(ends)) if ends else [1.0, 10.0]
    width = WIDTH - left - _RIGHT - 40
    low_exponent = math.log10(axis[0])
    per_decade = width / (math.log10(axis[-1]) - low_exponent)
    height = _ROW * len(rows)

    def place(value: float) -> float:
        if value <= axis[0]:
            return left
        return left + (min(math.log10(value), math.log10(axis[-1])) - low_exponent) * per_decade

    marks = []
    for tick in axis:
        marks += [
            line(place(tick), 0, place(tick), height, kind="grid"),
            text(place(tick), height + 13, f"{tick:,.10g}", anchor="middle", kind="tick"),
        ]
    marks.append(text(left, height + 32, unit, kind="tick"))
    groups = list(dict.fromkeys(row.group for row in rows))
    for index, row in enumerate(rows):
        middle = _ROW * index + _ROW / 2
        marks.append(label(left - 12, middle, row.label))
        if row.interval is None:
            marks.append(text(left + 6, middle, f"unknown: {row.reason}", kind="tick"))
            continue
        shade = colour(groups.index(row.group))
        marks += _interval(row, place(row.interval.low), place(row.interval.high), middle, shade)
    said = "; ".join(
        f"{row.label}: {f'{row.interval} {unit}' if row.interval else 'unknown'}" for row in rows
    )
    legend = groups if len(groups) > 1 else []
    return chart(drawing(height + _AXIS, said, marks), caption=caption, tag=tag, legend=legend)


def _interval(row: IntervalRow, x1: float, x2: float, middle: float, shade: int) -> list[Markup]:
    interval = row.interval
    assert interval is not None
    tip, said = f"{row.label}: {interval}", str(interval)
    if math.isinf(interval.high):
        end = WIDTH - _RIGHT - 40
        arrow = Markup('<path d="M{} {}H{}m-6 -5l6 5l-6 5" class="whisker s{}"/>').format(
            f"{x1:.2f}", f"{middle:.2f}", f"{end:.2f}", shade
        )
        return [arrow, text(end + 8, middle, said, kind="soft")]
    if x2 - x1 < 8:
        x1, x2 = (x1 + x2) / 2 - 4, (x1 + x2) / 2 + 4
    bar = rectangle(x1, middle - 7, x2 - x1, 14, kind=f"f{shade}", tip=tip, radius=7)
    return [bar, text(x2 + 8, middle, said, kind="soft")]


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
