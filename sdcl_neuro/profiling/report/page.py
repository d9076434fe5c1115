"""A page: one file with its style inside, no script and no network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from .badges import badge

TAGS_LINE = (
    "Every figure carries one of three tags. Measured: a clock or an energy counter saw it. "
    "Emulated: counted in the integer engine or Lava. Modelled: counts times published constants, "
    "as an interval."
)

_ASCII_UNIT = re.compile(r"(?<=\d) u(?=[sJ]\b)")
"""As notes and sources write microseconds and microjoules, for terminals."""


@dataclass(frozen=True)
class Section:
    """A titled part of a page; `body` is trusted markup, made by the functions of this room."""

    title: str
    body: Markup
    lead: str = ""

    @property
    def anchor(self) -> str:
        """An identifier for links, letters and digits only."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Headline:
    """A headline figure; `tag` is measured, emulated or modelled, or empty for a plain fact."""

    label: str
    value: str
    unit: str = ""
    tag: str = ""

    @property
    def badge(self) -> Markup:
        """Its tag as a badge."""
        return badge(self.tag) if self.tag else Markup("")


def page(
    title: str,
    sections: Sequence[Section],
    *,
    eyebrow: str = "",
    lead: str = "",
    tiles: Sequence[Headline] = (),
    footer: Iterable[str] = (),
) -> str:
    """Return the whole page as HTML text.

    Args:
        title: heading and window title; escaped, like every other text.
        sections: in order.
        eyebrow: a small line above the title.
        lead: one sentence below it.
        tiles: headline figures.
        footer: lines at the end; the meaning of the tags is added.
    """
    rendered = (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            sections=list(sections),
            eyebrow=eyebrow,
            lead=lead,
            tiles=list(tiles),
            footer=[*footer, TAGS_LINE],
            style=Markup(_template("style.css")),
        )
    )
    return _ASCII_UNIT.sub(" µ", rendered)


def join(*parts: Markup) -> Markup:
    """Return blocks one below the other."""
    return Markup("\n").join(parts)


@cache
def _environment() -> Environment:
    return Environment(loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined)


def _template(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")
