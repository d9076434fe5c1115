"""Tables, badges, notes: every text is escaped, every number keeps its raw value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..interval import Interval, figure
from .badges import badge

_NARROW = 4


@dataclass(frozen=True)
class Unknown:
    """A cell no one can fill, with the reason."""

    reason: str


@dataclass(frozen=True)
class Number:
    """A number shown in its own way; `value` is what a reader of the markup gets."""

    value: float
    shown: str


Cell = str | int | float | Interval | Number | Unknown | Markup | None


@dataclass(frozen=True)
class CertificateRow:
    """One line of a parity certificate.

    Attributes:
        pair: such as ``snntorch-int = lava``.
        layer: its name.
        spikes: spikes compared.
        mismatches: neuron steps that differ; None if the pair was not run.
        first: where the first one is and why; empty if there is none.
        exact: whether the pair has a verdict; else it is an agreement figure.
        rounding: whether rounding to float explains every mismatch.
    """

    pair: str
    layer: str
    spikes: int
    mismatches: int | None
    first: str = ""
    exact: bool = True
    rounding: bool = False


def verdict(good: bool, text: str) -> Markup:
    """Return a passed or failed check."""
    kind, glyph = ("pass", "✓") if good else ("fail", "✗")
    return Markup('<span class="badge {}">{} {}</span>').format(kind, glyph, text)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    tags: Mapping[str, str] | None = None,
    total: Sequence[Cell] | None = None,
    caption: str = "",
    sources: Iterable[str] = (),
) -> Markup:
    """Render a table; on a narrow screen each row of a wide one becomes a block of labelled cells.

    Args:
        head: column titles.
        rows: cells; numbers are aligned to the right and keep their value in ``data-value``.
        tags: column title to measured, emulated or modelled.
        total: a last row.
        caption: a line above.
        sources: titles of columns that hold citations, set smaller.
    """
    listed = [list(row) for row in rows]
    numeric = [
        any(_is_number(row[index]) for row in listed)
        and all(_is_number(row[index]) or _is_empty(row[index]) for row in listed)
        for index in range(len(head))
    ]
    small = {index for index, name in enumerate(head) if name in set(sources)}
    heads = Markup("").join(
        Markup("<th{}>{}{}</th>").format(
            Markup(' class="number"') if is_number else "",
            name,
            Markup("<br>") + badge(tags[name]) if tags and name in tags else "",
        )
        for name, is_number in zip(head, numeric, strict=True)
    )
    names = [f"{name} ({tags[name]})" if tags and name in tags else name for name in head]
    body = Markup("\n").join(_row(row, names, numeric, small) for row in listed)
    foot = Markup("")
    if total is not None:
        foot = Markup("\n<tfoot>{}</tfoot>").format(_row(total, names, numeric, small))
    top = Markup("<caption>{}</caption>").format(caption) if caption else Markup("")
    narrow = Markup(' class="{}"').format("narrow" if len(head) <= _NARROW else "broad")
    return Markup(
        '<div class="scroll"><table{}>{}<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>{}'
        "</table></div>"
    ).format(narrow, top, heads, body, foot)


def certificate_table(
    rows: Iterable[CertificateRow],
    *,
    sha256: str = "",
    versions: Mapping[str, str] | None = None,
) -> Markup:
    """Return a parity certificate: pair, layer, spikes compared, mismatches, verdict."""
    listed = list(rows)
    markup = table(
        ["pair", "layer", "spikes compared", "mismatches", "verdict", "first difference"],
        [
            [
                row.pair,
                row.layer,
                row.spikes,
                Unknown("not run") if row.mismatches is None else row.mismatches,
                _certificate_verdict(row),
                row.first,
            ]
            for row in listed
        ],
        tags={"spikes compared": "emulated", "mismatches": "emulated"},
    )
    facts = [("sha256", sha256)] if sha256 else []
    facts += list((versions or {}).items())
    if not facts:
        return markup
    words = Markup(", ").join(
        Markup("{} <code>{}</code>").format(name, value) for name, value in facts
    )
    return markup + Markup('\n<p class="small">{}</p>').format(words)


def note(text: str | Markup) -> Markup:
    """Return a remark set apart."""
    return Markup('<div class="note"><p>{}</p></div>').format(text)


def paragraph(text: str | Markup) -> Markup:
    """Return a paragraph."""
    return Markup("<p>{}</p>").format(text)


def heading(text: str) -> Markup:
    """Return a heading within a section."""
    return Markup("<h3>{}</h3>").format(text)


def bullets(lines: Iterable[str | Markup]) -> Markup:
    """Return a plain list."""
    items = Markup("").join(Markup("<li>{}</li>").format(line) for line in lines)
    return Markup('<ul class="plain">{}</ul>').format(items)


def _certificate_verdict(row: CertificateRow) -> Markup:
    if row.mismatches is None:
        return Markup('<span class="badge none">○ not run</span>')
    if row.exact and row.mismatches and row.rounding:
        return verdict(True, "equal but for rounding")
    if row.exact:
        return verdict(row.mismatches == 0, "equal" if row.mismatches == 0 else "differs")
    return Markup('<span class="small">agreement, no verdict</span>')


def _row(
    row: Sequence[Cell], names: Sequence[str], numeric: Sequence[bool], small: set[int]
) -> Markup:
    cells = [
        _cell(cell, name, is_number, index in small)
        for index, (cell, name, is_number) in enumerate(zip(row, names, numeric, strict=True))
    ]
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def _cell(cell: Cell, name: str, is_number: bool, is_source: bool) -> Markup:
    kind = ' class="number"' if is_number else ' class="source"' if is_source else ""
    value = ""
    if isinstance(cell, Interval):
        value = f' data-low="{cell.low!r}"'
        value += "" if math.isinf(cell.high) else f' data-high="{cell.high!r}"'
    elif isinstance(cell, Number):
        value = f' data-value="{cell.value!r}"'
    elif _is_number(cell):
        value = f' data-value="{cell!r}"'
    return Markup('<td{}{} data-title="{}">{}</td>').format(
        Markup(kind), Markup(value), name, _shown(cell)
    )


def _shown(cell: Cell) -> str | Markup:
    if cell is None:
        return ""
    if isinstance(cell, Unknown):
        return Markup('<span class="unknown" title="{}">unknown</span>').format(cell.reason)
    if isinstance(cell, Number):
        return cell.shown
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return figure(cell)
    if isinstance(cell, Interval):
        return str(cell)
    return cell


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, (int, float, Interval, Number)) and not isinstance(cell, bool)


def _is_empty(cell: Cell) -> bool:
    return cell is None or cell == "" or isinstance(cell, Unknown)
