"""Parts of a report about hybrid inference: pictures, ranked lists, ledger."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sdcl_neuro.errors import number_of
from sdcl_neuro.profiling.interval import figure
from sdcl_neuro.profiling.report import (
    Match,
    RankedRow,
    Section,
    bar_chart,
    event_image,
    event_legend,
    join,
    pair,
    paragraph,
    picture,
    pictures,
    ranked_lists,
    table,
    timeline,
)
from sdcl_neuro.profiling.report.tables import Cell

from ..gallery import Hit
from ..metrics import RankedLists
from .entry_pictures import THUMBNAIL, decoded
from .gallery_hits import GalleryHits
from .glimpse import Glimpse
from .recognition import NO_CURVE, UNKNOWN, Recognition
from .session import Session

SHOWN_MATCHES = 8
SHOWN_IN_GALLERY = 3


def pictures_section(tracklets: Sequence[Glimpse], *, lead: str) -> Section:
    """Return frames of tracklets, each next to its own events."""
    shown = []
    for tracklet in tracklets:
        spikes = tracklet.events
        frame = picture(
            tracklet.picture,
            caption=tracklet.name,
            alt=f"frame of {tracklet.name}",
            width=96,
            photograph=True,
        )
        events = picture(
            event_image(spikes, full=1.0),
            caption=f"its events, {int(spikes.sum()):,}",
            alt=f"events of {tracklet.name}",
            width=96,
            kind="pixelated events",
        )
        shown.append(pair([frame, events]))
    return Section("Frames and events", join(pictures(shown), event_legend()), lead)


def ranked_section(
    session: Session,
    ranked: RankedLists,
    queries: NDArray[np.int64],
    gallery: NDArray[np.int64],
    *,
    title: str,
    lead: str,
    most: int = 12,
    accuracy: bool = False,
) -> Section:
    """Return ranked lists as pictures; at most `most` queries, evenly chosen.

    Args:
        session: whose tracklets are shown.
        ranked: lists over `queries` and `gallery`, which index the session's tracklets.
        queries, gallery: as given to `Session.ranked`.
        title, lead: of the section.
        most: queries shown.
        accuracy: say mAP and CMC; the tracklets' persons are then known.
    """
    chosen = np.unique(np.linspace(0, len(ranked) - 1, min(most, len(ranked))).round().astype(int))
    rows = []
    for number in chosen.tolist():
        one = ranked[number]
        query = session.tracklets[queries[one.query]]
        matches = [
            _match(session.tracklets[gallery[entry]], bool(right), 1 - float(distance))
            for entry, right, distance in zip(
                one.gallery[:SHOWN_MATCHES],
                one.matches[:SHOWN_MATCHES],
                one.distances[:SHOWN_MATCHES],
                strict=True,
            )
        ]
        rows.append(RankedRow(query.picture, query.name, matches))
    lists = ranked_lists(rows)
    return Section(title, join(_accuracy(ranked), lists) if accuracy else lists, lead)


def sentence(line: str) -> str:
    """Return a line for the terminal as a sentence of a page."""
    return f"{line[:1].upper()}{line[1:]}."


def _accuracy(ranked: RankedLists) -> Markup:
    """Return mAP and CMC over all queries, in a row."""
    measured = ranked.metrics
    head = ["queries", "mAP (%)", *(f"rank-{rank} (%)" for rank in measured.cmc)]
    row: list[Cell] = [
        measured.queries,
        100 * measured.mean_ap,
        *(100 * share for share in measured.cmc.values()),
    ]
    return table(head, [row], tags=dict.fromkeys(head[1:], "measured"))


def gallery_section(
    gallery: GalleryHits, session: Session, recognition: Recognition | None
) -> Section:
    """Return whom of a gallery each track is like, or that it is a person whom the gallery
    lacks.
    """
    persons = gallery.persons
    rows = []
    for track, found in gallery.by_track().items():
        members = np.flatnonzero(persons == track)
        face = session.tracklets[members[len(members) // 2]].picture
        matches = [
            Match(_kept(gallery, hit), _named(hit), None, cosine)
            for hit, cosine in found[:SHOWN_IN_GALLERY]
        ]
        unknown = found and recognition is not None and found[0][1] < recognition.threshold
        if matches:
            note = f"{UNKNOWN}; most like:" if unknown else ""
            rows.append(RankedRow(face, f"track {track}", matches, note))
    done = "" if gallery.enrolled is None else f" Then {gallery.enrolled}."
    body = ranked_lists(rows) if rows else paragraph("It holds no one from another video.")
    bare = any(
        hit.entry.id not in gallery.crops
        for found in gallery.by_track().values()
        for hit, _ in found[:SHOWN_IN_GALLERY]
    )
    if bare:
        told = "Grey entries were enrolled without a picture (infer --enrol --keep-crops)."
        body = join(body, paragraph(told))
    lead = (
        f"{gallery.use.name}, {number_of(gallery.entries, 'entry')}; those of this same video are "
        f"left out. The best of each name, and its cosine.{done} "
        f"{sentence(NO_CURVE if recognition is None else recognition.line())}"
    )
    return Section("In the gallery", body, lead)


def _kept(gallery: GalleryHits, hit: Hit) -> NDArray[np.uint8]:
    """Return an entry's picture, grey where it has none that can be read."""
    found = decoded(gallery.crops.get(hit.entry.id, b""))
    return np.full((*THUMBNAIL, 3), 160, np.uint8) if found is None else found


def _named(hit: Hit) -> str:
    camera = f", {hit.entry.camera}" if hit.entry.camera else ""
    return f"{hit.entry.name}{camera}"


def ledger_section(session: Session) -> Section:
    """Return latency by stage, overlap of the branches, and what the energy counters saw."""
    ledger = session.result.ledger
    samples = len(session.tracklets)
    stages = [stage for stage in ledger.stages if not stage.parent]
    per_tracklet = {stage.name: 1e3 * stage.total_s / samples for stage in stages}
    rows: list[list[Cell]] = [
        [stage.name, stage.calls, 1e3 * stage.mean_s, 1e3 * stage.total_s / samples]
        for stage in stages
    ]
    energy: list[list[Cell]] = [
        [entry.name, str(entry), entry.source]
        for entry in ledger.entries
        if entry.tag == "measured"
    ]
    wall = max(span.end_s for span in ledger.spans) - min(span.start_s for span in ledger.spans)
    body = join(
        bar_chart(per_tracklet, unit="ms a tracklet", caption="Latency by stage", tag="measured"),
        timeline(ledger.spans, caption="When each stage ran"),
        table(
            ["stage", "calls", "ms a batch", "ms a tracklet"],
            rows,
            tags={"ms a batch": "measured", "ms a tracklet": "measured"},
        ),
        paragraph(
            f"{number_of(samples, 'tracklet')} in {figure(wall)} s. The branches run at the same "
            "time, so the stages add up to more than the whole."
            + (f" Threads: {ledger.threads_text()}." if ledger.threads else "")
        ),
        table(
            ["device", "energy", "counter"],
            energy,
            tags={"energy": "measured"},
            caption="Energy of this machine during inference",
        ),
    )
    return Section("Latency on this machine", body, "Measured, stage by stage.")


def _match(tracklet: Glimpse, right: bool, score: float) -> Match:
    return Match(tracklet.picture, tracklet.name, right, score)
