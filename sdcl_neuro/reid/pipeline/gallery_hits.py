"""A video's tracklets in a gallery: whom they are like, and, where asked, enrolled themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.events.alignment import Alignment
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.files import file_sha256
from sdcl_neuro.network.arguments import public_class
from sdcl_neuro.network.identity import path_sha256

from ..gallery import Enrolled, Enrolment, Gallery, Hit, Where
from ..gallery.stores import is_file
from .recognition import UNKNOWN
from .session import Session
from .video import Footage, Source

SHOWN = 12  # tracks printed


@public_class
@dataclass(frozen=True)
class GalleryUse:
    """What a gallery is to be used for.

    Attributes:
        address: of the gallery, a file or a database's.
        enrol: add the tracklets to it; makes the gallery if there is none.
        top: entries looked for, of each tracklet.
        camera: enrolled with each tracklet.
        start_us: of the video's first frame, in microseconds since 1970 (UTC); enrolled times
            count from it, or from the video's first frame where it is None.
        keep_crops: store each tracklet's middle picture with it.
        retain: how long entries of the gallery are kept from now on; None leaves it as it is.
    """

    address: str
    enrol: bool = False
    top: int = 5
    camera: str | None = None
    start_us: int | None = None
    keep_crops: bool = False
    retain: timedelta | None = None

    @property
    def name(self) -> str:
        """The last part of the address, for a headline."""
        return self.address.rsplit("/", 1)[-1]

    def check(self, checkpoint: Path, dimension: int) -> str:
        """See that the gallery can be used; no file is made yet.

        Returns:
            The model's name in the gallery, a hash of all the checkpoint's files.

        Raises:
            InputError: no gallery, or another model's.
        """
        if self.top < 1:
            raise InputError(f"{self.top} entries", where="--top", hint="give 1 or more")
        model = path_sha256(checkpoint)
        there = not is_file(self.address) or Path(self.address).exists()
        if there or not self.enrol:
            create = there and self.enrol  # an empty file, left by a kill, becomes a gallery
            Gallery(self.address, model=model, dimension=dimension, create=create).close()
        return model


@dataclass(frozen=True, eq=False)
class GalleryHits:
    """Hits of a video's tracklets in a gallery; entries of the same video are left out.

    Attributes:
        use: as asked.
        model: see `GalleryUse.check`.
        entries: in the gallery before anything was enrolled.
        persons: the tracklets' tracks, int64 ``[N]``.
        hits: of each tracklet, nearest first, by cosine.
        enrolled: what was added; None if that was not asked for.
        crops: pictures that the gallery keeps of the entries found, by their id, as files.
    """

    use: GalleryUse
    model: str
    entries: int
    persons: NDArray[np.int64]
    hits: tuple[tuple[Hit, ...], ...]
    enrolled: Enrolled | None
    crops: Mapping[int, bytes] = field(default_factory=dict)

    def by_track(self) -> dict[int, list[tuple[Hit, float]]]:
        """Return each track's best hit of each name over all its tracklets, and its cosine, best
        first.
        """
        found: dict[int, list[tuple[Hit, float]]] = {}
        for track in np.unique(self.persons).tolist():
            best: dict[str, Hit] = {}
            for n in np.flatnonzero(self.persons == track):
                for hit in self.hits[n]:
                    held = best.get(hit.entry.name)
                    if held is None or hit.distance < held.distance:
                        best[hit.entry.name] = hit
            ordered = sorted(best.values(), key=lambda hit: (hit.distance, hit.entry.id))
            found[track] = [(hit, 1.0 - hit.distance) for hit in ordered]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; row n of `hits` is tracklet n."""
        enrolled = self.enrolled
        return {
            "file": self.use.address,
            "model": self.model,
            "entries": self.entries,
            "measure": "cosine",
            "top": self.use.top,
            "hits": [
                [{**hit.entry.to_dict(), "cosine": 1.0 - hit.distance} for hit in row]
                for row in self.hits
            ],
            "enrolled": None
            if enrolled is None
            else {"ids": list(enrolled.ids), "added": enrolled.added},
        }

    def lines(self, threshold: float | None = None) -> list[str]:
        """Return lines for the terminal; below `threshold` no one of the gallery is meant."""
        done = "" if self.enrolled is None else f"; {self.enrolled}"
        lines = [f"gallery {self.use.address}: {number_of(self.entries, 'entry')}{done}"]
        tracks = self.by_track()
        for track, found in list(tracks.items())[:SHOWN]:
            best = ", ".join(f"{hit.entry.name} ({cosine:.3f})" for hit, cosine in found[:3])
            unknown = threshold is not None and found and found[0][1] < threshold
            best = f"{UNKNOWN}; most like {best}" if unknown else best
            lines.append(f"  track {track}: {best or 'no one from another video'}")
        if len(tracks) > SHOWN:
            lines.append(f"  and {len(tracks) - SHOWN} more tracks, in infer.json")
        return lines


def look_up(
    use: GalleryUse, model: str, footage: Footage, session: Session, *, backend: str
) -> GalleryHits:
    """Search a video's tracklets, then enrol them if that was asked.

    A video that is given again, with the same tracks and events, is not enrolled again.

    Raises:
        InputError: see `GalleryUse.check`.
    """
    embeddings = session.result.embeddings
    persons = np.array([tracklet.person for tracklet in session.tracklets], dtype=np.int64)
    video = path_sha256(footage.source.video)
    dimension = embeddings.shape[1]
    with Gallery(use.address, model=model, dimension=dimension, create=use.enrol) as gallery:
        if use.retain is not None:
            gallery.retention = use.retain
        entries = len(gallery)
        hits = gallery.search(embeddings, k=use.top, where=Where(not_sources=[video]))
        found = {hit.entry.id for row in hits for hit in row}
        crops = {n: crop for n in sorted(found) if (crop := gallery.crop(n)) is not None}
        enrolled = None
        if use.enrol:
            enrolled = gallery.enrol(_enrolments(use, footage, session, video, backend))
    return GalleryHits(use, model, entries, persons, tuple(map(tuple, hits)), enrolled, crops)


def _enrolments(
    use: GalleryUse, footage: Footage, session: Session, video: str, backend: str
) -> Sequence[Enrolment]:
    source = footage.source
    events = "simulated" if source.events is None else file_sha256(source.events)
    inputs = "/".join([video, _tracks_sha256(footage), events, *_stated(source)])
    run = hashlib.sha256(inputs.encode()).hexdigest()[:32]
    rows = []
    for tracklet, embedding in zip(session.tracklets, session.result.embeddings, strict=True):
        first, last = int(tracklet.indices[0]) + 1, int(tracklet.indices[-1]) + 1
        rows.append(
            Enrolment(
                embedding=embedding,
                label=f"{source.video.name}#{tracklet.person}",
                camera=use.camera,
                time_us=(use.start_us or 0) + int(tracklet.times_us[0]),
                source=video,
                key=f"{run}/{tracklet.person}/{first}-{last}",
                metadata={
                    "video": source.video.name,
                    "track": tracklet.person,
                    "first_frame": first,
                    "last_frame": last,
                    "backend": backend,
                    "events": "simulated" if footage.simulated else "recorded",
                },
                crop=tracklet.crop,
            )
        )
    return rows


def _stated(source: Source) -> list[str]:
    """Return options given for clocks, views and reading, if any: they change the spikes."""
    alignment = source.alignment
    if alignment.event_clock != "unix":  # the time of day alone changes nothing
        alignment = replace(alignment, start_us=None)
    if alignment == Alignment() and source.reading == ReadingOptions():
        return []
    stated = {**alignment.to_dict(), **source.reading.to_dict()}
    return [json.dumps(stated, sort_keys=True)]


def _tracks_sha256(footage: Footage) -> str:
    """Hash the file of tracks, or the boxes that were found."""
    path = footage.source.tracks
    if footage.detection is None and path is not None:
        return file_sha256(path)
    digest = hashlib.sha256()
    for track in footage.tracks:
        digest.update(track.indices.tobytes() + track.boxes.tobytes())
    return digest.hexdigest()
