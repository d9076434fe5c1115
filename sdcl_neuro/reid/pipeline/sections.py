"""Parts of a report about hybrid inference: pictures, ranked lists, ledger."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.extras import need
from sdcl_neuro.profiling.interval import figure
from sdcl_neuro.profiling.report import (
    Match,
    RankedRow,
    Section,
    bar_chart,
    event_image,
    event_legend,
    join,
    paragraph,
    picture,
    pictures,
    ranked_lists,
    table,
    timeline,
)
from sdcl_neuro.profiling.report.tables import Cell

from ..metrics import RankedLists
from .gallery_hits import GalleryHits
from .recognition import NO_CURVE, UNKNOWN, Recognition
from .session import Session

cv2 = need("cv2", "pictures in a report")

THUMBNAIL = (128, 64)
"""Height and width of a person's picture, in pixels."""
SHOWN_MATCHES = 8
SHOWN_IN_GALLERY = 3


def thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A crop uint8 ``[256, 128, 3]`` at `THUMBNAIL` size."""
    small = cv2.resize(frame, THUMBNAIL[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def pictures_section(tracklets: Sequence[Tracklet], *, lead: str) -> Section:
    """Frames of tracklets, each with its own events beside it."""
    shown = []
    for tracklet in tracklets:
        frames = len(tracklet.frames)
        bins = tracklet.spikes.reshape(frames, -1, *tracklet.spikes.shape[1:])
        middle = frames // 2
        shown.append(
            picture(
                thumbnail(tracklet.frames[middle]),
                caption=tracklet.name,
                alt=f"frame of {tracklet.name}",
                width=96,
                photograph=True,
            )
        )
        shown.append(
            picture(
                event_image(bins[middle], full=1.0),
                caption=f"its events, {int(bins[middle].sum()):,}",
                alt=f"events of {tracklet.name}",
                width=96,
            )
        )
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
) -> Section:
    """Ranked lists as pictures; at most `most` queries, evenly chosen.

    Args:
        session: whose tracklets are shown.
        ranked: lists over `queries` and `gallery`, which index the session's tracklets.
        queries, gallery: as given to `Session.ranked`.
        title, lead: of the section.
        most: queries shown.
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
        rows.append(RankedRow(_picture(query), query.name, matches))
    return Section(title, ranked_lists(rows), lead)


def sentence(line: str) -> str:
    """A line for the terminal as a sentence of a page."""
    return f"{line[:1].upper()}{line[1:]}."


def gallery_section(gallery: GalleryHits, recognition: Recognition | None) -> Section:
    """Whom of a gallery each track is like, or that it is a person whom the gallery lacks."""
    rows: list[list[Cell]] = []
    for track, found in gallery.by_track().items():
        if found and recognition is not None and found[0][1] < recognition.threshold:
            rows.append([f"track {track}", f"{UNKNOWN}; most like:", "", None])
        for hit, cosine in found[:SHOWN_IN_GALLERY]:
            camera = hit.entry.camera or "not said"
            rows.append([f"track {track}", hit.entry.name, camera, round(cosine, 3)])
    done = "" if gallery.enrolled is None else f" Then {gallery.enrolled}."
    nobody = paragraph("It holds no one from another video.")
    body = table(["track", "in the gallery", "camera", "cosine"], rows) if rows else nobody
    lead = (
        f"{gallery.use.name}, {gallery.entries:,} entries; those of this same video are left "
        f"out. The best of each name.{done} "
        f"{sentence(NO_CURVE if recognition is None else recognition.line())}"
    )
    return Section("In the gallery", body, lead)


def ledger_section(session: Session) -> Section:
    """Latency by stage, overlap of the branches, and what the energy counters saw."""
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
            f"{samples} tracklets in {figure(wall)} s. The branches run at the same time, so the "
            "stages add up to more than the whole."
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


def _match(tracklet: Tracklet, right: bool, score: float) -> Match:
    return Match(_picture(tracklet), tracklet.name, right, score)


def _picture(tracklet: Tracklet) -> NDArray[np.uint8]:
    return thumbnail(tracklet.frames[len(tracklet.frames) // 2])
