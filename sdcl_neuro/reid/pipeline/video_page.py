"""The report of a user's own video: one page, no network."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sdcl_neuro.errors import number_of
from sdcl_neuro.profiling.interval import figure
from sdcl_neuro.profiling.profile_text import Sources
from sdcl_neuro.profiling.report import (
    Headline,
    Match,
    RankedRow,
    Section,
    activity_section,
    bullets,
    constants_section,
    energy_section,
    glossary_section,
    heading,
    join,
    note,
    page,
    paragraph,
    ranked_lists,
)
from sdcl_neuro.profiling.report.glossary import REID, WORDS
from sdcl_neuro.profiling.report.svg import (
    ChartLayout,
    both,
    chart,
    drawing,
    line,
    number,
    text,
)

from .comparison import Comparison
from .recognition import UNKNOWN, Recognition
from .sections import (
    gallery_section,
    ledger_section,
    pictures_section,
    ranked_section,
    sentence,
)

TRACKS_SHOWN = 24
MATCHES_SHOWN = 8
_CELL_MAX = 56.0
_CELL_NUMBERED = 38.0  # smaller cells leave no room for a figure
_CELL_NAMED = 20.0  # below smaller cells every second number is left out
_LEFT = 90.0


def comparison_page(comparison: Comparison) -> str:
    """Return the page's text."""
    footage = comparison.footage
    session, shown, sources = comparison.session, shown_tracklets(comparison), Sources()
    sections = [
        _alike(comparison),
        pictures_section(
            [session.tracklets[n] for n in shown],
            lead=f"One frame of a tracklet of each track; {footage.origin}.",
        ),
        ranked_section(
            session,
            comparison.ranked_for(shown),
            shown,
            np.arange(len(session.tracklets)),
            title="Nearest tracklets",
            lead="Against all other tracklets. Green is the query's own track, as the file has it; "
            "red is another track, which may still be the same person.",
        ),
        activity_section(session.profile),
        ledger_section(session),
        energy_section(session.profile, sources),
        constants_section(session.profile, sources),
        glossary_section((WORDS, REID)),
    ]
    if comparison.recognition is not None:
        sections.insert(1, recognition_section(comparison.recognition))
    if comparison.gallery is not None:
        sections.insert(1, gallery_section(comparison.gallery, session, comparison.recognition))
    stated = [*(f"Assumed: {line}" for line in comparison.assumed), *footage.said]
    if stated:
        sections.insert(-1, Section("What was assumed", bullets(stated)))
    if footage.left_out:
        sections.insert(-1, Section("Left out", bullets(footage.left_out)))
    return page(
        "Which tracks are alike",
        sections,
        eyebrow="sdcl-neuro infer",
        lead=(
            f"{footage.source.video.name}, {footage.origin}. Similarity is a cosine between "
            "embeddings, no proof of identity. The network: " + f"{comparison.trained_on}."
        ),
        tiles=_tiles(comparison),
    )


def shown_tracklets(comparison: Comparison) -> NDArray[np.int64]:
    """Return the middle tracklet of each of the first tracks, as indices, int64."""
    persons = comparison.persons
    members = [np.flatnonzero(persons == track) for track in comparison.tracks[:TRACKS_SHOWN]]
    return np.array([member[len(member) // 2] for member in members], dtype=np.int64)


def _tiles(comparison: Comparison) -> list[Headline]:
    profile, count = comparison.session.profile, len(comparison.session.tracklets)
    totals = profile.totals
    tiles = [
        Headline("Tracks", f"{len(comparison.tracks):,}"),
        Headline("Tracklets", f"{count:,}"),
        Headline("Spikes of the event branch, per tracklet", figure(totals.spikes_out / count), "",
             "emulated"),
    ]  # fmt: skip
    tiles += [
        Headline(
            f"Energy on {name}, per tracklet{target.energy.left_out}",
            str(target.energy.bounded_uj),
            "µJ",
            "modelled",
        )
        for name, target in profile.targets.items()
        if target.energy.bounded_uj is not None
    ]
    return tiles


def _alike(comparison: Comparison) -> Section:
    footage = comparison.footage
    blocks = []
    if footage.simulated:
        blocks.append(note("No event camera was there: the events are simulated from the frames."))
    if comparison.silent:
        blocks.append(note(f"{number_of(comparison.silent, 'tracklet')} without any event."))
    if len(comparison.tracks) < 2:
        blocks.append(paragraph("There is one track only: nothing to compare it with."))
        return Section("Tracks side by side", join(*blocks))
    blocks.append(similarity_map(comparison.tracks.tolist(), comparison.similarity))
    if len(comparison.tracks) > TRACKS_SHOWN:
        blocks.append(
            paragraph(
                f"The first {TRACKS_SHOWN} of {len(comparison.tracks)} tracks; infer.json has all."
            )
        )
    blocks += [heading("Each track, and the others from the most alike on"), _rows(comparison)]
    lead = (
        "The cosine between the tracks' mean embeddings; 1 is the same direction. "
        f"{sentence(comparison.recognition_line)}"
    )
    return Section("Tracks side by side", join(*blocks), lead)


def _rows(comparison: Comparison) -> Markup:
    faces = {
        comparison.session.tracklets[n].person: comparison.session.tracklets[n]
        for n in np.unique(comparison.persons, return_index=True)[1]
    }
    for n in shown_tracklets(comparison):
        faces[comparison.session.tracklets[n].person] = comparison.session.tracklets[n]
    rows = [
        RankedRow(
            faces[track].picture,
            f"track {track}",
            [
                Match(faces[other].picture, f"track {other}", None, cosine)
                for other, cosine in others[:MATCHES_SHOWN]
            ],
            note=UNKNOWN if comparison.is_unknown(others[0][1]) else "",
        )
        for track, others in list(comparison.nearest_tracks())[:TRACKS_SHOWN]
    ]
    return ranked_lists(rows)


def similarity_map(tracks: list[int], cosine: NDArray[np.float64]) -> Markup:
    """Return a square of shaded cells, one for each pair of at most `TRACKS_SHOWN` tracks."""
    tracks, cosine = tracks[:TRACKS_SHOWN], cosine[:TRACKS_SHOWN, :TRACKS_SHOWN]
    low = float(cosine.min())
    said = f"cosine similarity of {len(tracks)} tracks, from {low:.2f} (faint) to 1 (strong)"

    def draw(layout: ChartLayout) -> Markup:
        cell = min(_CELL_MAX, (layout.width - _LEFT) / len(tracks))
        marks = _cells(tracks, cosine, low, cell)
        width = _LEFT + cell * len(tracks)
        return drawing(cell * len(tracks) + 26, said, marks, layout=layout, width=width)

    return chart(both(draw), caption=said.capitalize())


def _cells(tracks: list[int], cosine: NDArray[np.float64], low: float, cell: float) -> list[Markup]:
    """Return the shaded cells with their tracks' numbers left and below."""
    reach = max(1.0 - low, 1e-9)
    marks = []
    for row, track in enumerate(tracks):
        middle = (row + 0.5) * cell
        marks.append(text(_LEFT - 10, middle, f"track {track}", anchor="end"))
        if cell >= _CELL_NAMED or row % 2 == 0:
            below = cell * len(tracks) + 13
            marks.append(text(_LEFT + middle, below, str(track), anchor="middle", kind="tick"))
        for column, other in enumerate(tracks):
            value = float(cosine[row, column])
            marks.append(
                _cell(
                    row,
                    column,
                    cell,
                    (value - low) / reach,
                    said=f"tracks {track} and {other}: {value:.3f}",
                )
            )
            if cell >= _CELL_NUMBERED:
                at = _LEFT + (column + 0.5) * cell
                marks.append(text(at, middle, f"{value:.2f}", anchor="middle"))
    return marks


def _cell(row: int, column: int, side: float, strength: float, *, said: str) -> Markup:
    """Return one shaded square; `strength` from 0 to 1. Never so dark that its figure cannot be
    read.
    """
    return Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" rx="3" class="f1" fill-opacity="{:.2f}">'
        "<title>{}</title></rect>"
    ).format(
        number(_LEFT + column * side + 1),
        number(row * side + 1),
        number(side - 2),
        number(side - 2),
        0.04 + 0.56 * strength,
        said,
    )


_CURVE_HEIGHT = 260.0
_CURVE_MARGIN = 40.0


def recognition_section(recognition: Recognition) -> Section:
    """Return both error rates by threshold, and the threshold that was taken."""
    said = f"error rates by cosine; the threshold taken is {recognition.threshold:.3f}"
    figure_ = chart(
        both(
            lambda layout: drawing(_CURVE_HEIGHT, said, _curves(recognition, layout), layout=layout)
        ),
        caption=said.capitalize(),
        legend=("false match rate", "false non-match rate"),
        tag="measured",
    )
    lead = f"On persons not seen in training: {recognition.line()}."
    return Section("When is it the same person?", figure_, lead)


def _curves(recognition: Recognition, layout: ChartLayout) -> list[Markup]:
    """Return both curves on their axes, and the threshold as a line."""
    curve = recognition.verification
    width, height = layout.width - 2 * _CURVE_MARGIN, _CURVE_HEIGHT - 40

    def place(cosine: float, rate: float) -> tuple[float, float]:
        return _CURVE_MARGIN + (cosine + 1) / 2 * width, 10 + (1 - rate) * height

    marks = []
    for rate in (0.0, 0.5, 1.0):
        x, y = place(-1, rate)
        marks += [line(x, y, x + width, y, kind="grid"), text(x - 8, y, f"{rate:g}", anchor="end")]
    for tick in (-1.0, -0.5, 0.0, 0.5, 1.0):
        x, y = place(tick, 0)
        marks.append(text(x, y + 18, f"{tick:g}", anchor="middle", kind="tick"))
    for index, rates in enumerate((curve.false_match, curve.false_non_match), 1):
        points = [place(min(c, 1.0), r) for c, r in zip(curve.cosines, rates, strict=True)]
        for (x0, y0), (x1, y1) in pairwise(points):
            marks.append(
                Markup('<rect x="{}" y="{}" width="{}" height="{}" class="f{}"/>').format(
                    number(x0), number(min(y0, y1)), number(max(x1 - x0, 1.5)),
                    number(abs(y1 - y0) + 1.5), index,
                )
            )  # fmt: skip
    x, top = place(recognition.threshold, 1)
    marks.append(line(x, top, x, top + height, kind="axis"))
    return marks
