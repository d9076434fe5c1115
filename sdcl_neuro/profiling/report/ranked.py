"""Ranked lists: a query, then its gallery in order, framed green where the identity is right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from .images import Image, data_uri


@dataclass(frozen=True)
class Match:
    """One gallery entry of a ranked list.

    Attributes:
        image: uint8 ``[H, W, 3]`` RGB.
        label: below it.
        right: whether it is the query's person; None if no one knows.
        score: similarity or distance, None to leave it out.
    """

    image: Image
    label: str
    right: bool | None
    score: float | None = None


@dataclass(frozen=True)
class RankedRow:
    """A query with its gallery, best first; `note` stands under the query."""

    image: Image
    label: str
    matches: Sequence[Match]
    note: str = ""


def ranked_lists(rows: Iterable[RankedRow]) -> Markup:
    """Return rows of thumbnails; right and wrong are told by border, sign and text."""
    return Markup('<div class="ranked">{}</div>').format(
        Markup("\n").join(_row(row) for row in rows)
    )


def _row(row: RankedRow) -> Markup:
    query = Markup(
        '<figure class="entry query"><img src="{}" alt="query {}">query<br>{}{}</figure>'
    ).format(
        data_uri(row.image, photograph=True),
        row.label,
        row.label,
        Markup("<br>{}").format(row.note) if row.note else "",
    )
    entries = [_entry(rank, match) for rank, match in enumerate(row.matches, start=1)]
    return Markup('<div class="row">{}</div>').format(Markup("").join([query, *entries]))


def _entry(rank: int, match: Match) -> Markup:
    state, mark, word = {
        True: ("right", "✓", "right"),
        False: ("wrong", "✗", "wrong"),
        None: ("open", "", "identity unknown"),
    }[match.right]
    score = (
        Markup('<br><span class="score">{}</span>').format(f"{match.score:.3f}")
        if match.score is not None
        else Markup("")
    )
    return Markup(
        '<figure class="entry {}"><img src="{}" alt="rank {}: {}, {}">'
        '<span class="mark">{}</span> {}. {}{}</figure>'
    ).format(
        state, data_uri(match.image, photograph=True), rank, match.label, word,
        mark, rank, match.label, score,
    )  # fmt: skip
