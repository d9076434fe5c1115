"""Small inline SVG: text, marks, axes; colours come from the page's style, light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from .badges import badge

WIDTH = 920
COLOURS = 8
_CHARACTER = 7.0
_CAPITAL = 2.5
"""Width of a character in a label, and how much wider a capital is."""
_LONGEST_LABEL = 34


@dataclass(frozen=True)
class ChartLayout:
    """How a chart of rows is laid out on one kind of screen.

    Attributes:
        name: class of the drawing; the page's style shows one of the two.
        width: of the drawing, in its own units.
        row: height of a row.
        label_height: of a row's label where it stands above the row's bar; 0 where it stands left
            of it.
    """

    name: str
    width: float
    row: float
    label_height: float

    def left(self, labels: Iterable[str]) -> float:
        """Return where bars begin: right of the longest label, or at the edge."""
        return 12.0 if self.label_height else label_width(labels)

    def middle(self, index: int) -> float:
        """Return middle of a row's bar."""
        return self.row * index + (self.row + self.label_height) / 2

    def label(self, left: float, index: int, content: str) -> Markup:
        """Return a row's label: left of its bar, or above it."""
        if self.label_height:
            return text(left - 10, self.row * index + self.label_height / 2 + 2, content)
        return label(left - 12, self.middle(index), content)


WIDE = ChartLayout("wide", WIDTH, 34, 0)
SLIM = ChartLayout("slim", 360, 46, 20)


def both(draw: Callable[[ChartLayout], Markup]) -> Markup:
    """Return a drawing twice, for wide and for narrow screens."""
    return draw(WIDE) + Markup("\n") + draw(SLIM)


def drawing(
    height: float,
    label: str,
    marks: Iterable[Markup],
    *,
    layout: ChartLayout,
    width: float | None = None,
) -> Markup:
    """Return an SVG for one kind of screen, with a label for who cannot see it.

    Args:
        height: in the layout's units.
        label: what is shown.
        marks: all of it.
        layout: of the screen.
        width: what the marks take, shown no larger than that; None: as wide as the text.
    """
    taken = layout.width if width is None else width
    most = Markup("") if width is None else Markup(' style="max-width:{}px"').format(number(taken))
    return Markup(
        '<svg class="chart {}"{} viewBox="0 0 {} {}" role="img" aria-label="{}">\n{}\n</svg>'
    ).format(layout.name, most, number(taken), number(height), label, Markup("\n").join(marks))


def chart(svg: Markup, *, caption: str = "", legend: Sequence[str] = (), tag: str = "") -> Markup:
    """Return a drawing with caption and tag above and its legend below; legend entry n has colour
    n.
    """
    words = Markup(" ").join([escape(caption), badge(tag)] if tag else [escape(caption)])
    top = Markup("<figcaption>{}</figcaption>\n").format(words) if words else Markup("")
    items = Markup("").join(
        Markup(
            '<li><span class="swatch"><svg width="11" height="11" aria-hidden="true">'
            '<rect class="f{}" width="11" height="11" rx="3"/></svg></span>{}</li>'
        ).format(colour(index), name)
        for index, name in enumerate(legend)
    )
    below = Markup('\n<ul class="legend">{}</ul>').format(items) if legend else Markup("")
    return Markup('<figure class="chart">{}{}{}</figure>').format(top, svg, below)


def colour(index: int) -> int:
    """Return number of the index-th colour; they come round again."""
    return index % COLOURS + 1


def text(x: float, y: float, content: str, *, anchor: str = "start", kind: str = "") -> Markup:
    """Return a line of text; `y` is its middle."""
    return Markup(
        '<text x="{}" y="{}" text-anchor="{}" class="{}" dominant-baseline="central">{}</text>'
    ).format(number(x), number(y), anchor, kind, content)


def label(x: float, y: float, content: str) -> Markup:
    """Return a row's label, ending at `x`; a long one is shortened and told whole on hovering."""
    if len(content) <= _LONGEST_LABEL:
        return text(x, y, content, anchor="end")
    short = f"{content[: _LONGEST_LABEL - 1]}…"
    return Markup("<g><title>{}</title>{}</g>").format(content, text(x, y, short, anchor="end"))


def label_width(labels: Iterable[str]) -> float:
    """Return room for a column of labels, in drawing units."""
    shown = [name[:_LONGEST_LABEL] for name in labels]
    widest = max((_CHARACTER * len(name) + _CAPITAL * _capitals(name) for name in shown), default=0)
    return max(60.0, widest + 14)


def _capitals(name: str) -> int:
    return sum(character.isupper() for character in name)


def rectangle(
    x: float, y: float, width: float, height: float, *, kind: str, tip: str = "", radius: float = 3
) -> Markup:
    """Return a filled rectangle; `tip` shows on hovering."""
    title = Markup("<title>{}</title>").format(tip) if tip else Markup("")
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="{}" class="{}">{}</rect>').format(
        number(x), number(y), number(max(width, 0)), number(height), number(radius), kind, title
    )


def line(x1: float, y1: float, x2: float, y2: float, *, kind: str) -> Markup:
    """Return a straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        number(x1), number(y1), number(x2), number(y2), kind
    )


def linear_ticks(top: float, *, count: int = 5) -> list[float]:
    """Round values from 0 to just above `top`, in steps of 1, 2 or 5."""
    if top <= 0:
        return [0.0, 1.0]
    raw = top / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    return [index * step for index in range(math.ceil(top / step - 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Return powers of ten that hold both values, at least one decade."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def number(value: float) -> str:
    """Return a coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
