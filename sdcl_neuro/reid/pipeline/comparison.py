"""Which tracks of a video are alike: every tracklet embedded, every track compared with every."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import number_of
from sdcl_neuro.files import atomic_path
from sdcl_neuro.network.backend_names import label
from sdcl_neuro.network.identity import path_sha256
from sdcl_neuro.profiling.interval import figure

from ..metrics import RankedLists, distance_matrix, rank
from .gallery_hits import GalleryHits
from .origin import UNSAID
from .per_tracklet import TrackletFigures, table_text
from .recognition import NO_CURVE, UNKNOWN, Recognition
from .session import Session
from .video import Footage

SCHEMA = {"name": "sdcl_neuro.infer", "version": 1}
LISTED = 10  # entries kept of each ranked list
SHOWN = 12  # tracks printed


@dataclass(frozen=True, eq=False)
class Comparison:
    """Result of hybrid inference on a video's tracks; prints itself.

    Attributes:
        footage: the video, its tracks and its plan.
        session: the tracklets' embeddings and what they cost.
        backend: of the event branch, as it was asked for.
        gallery: what a gallery says of the tracklets, if one was asked.
        recognition: from which likeness on two are one person; None if the checkpoint cannot tell.
        trained_on: what the model was trained on.
        figures: of each tracklet, where they were asked for.
        chosen: which model was taken where none was named.
    """

    footage: Footage
    session: Session
    backend: str
    gallery: GalleryHits | None = None
    recognition: Recognition | None = None
    trained_on: str = UNSAID
    figures: tuple[TrackletFigures, ...] | None = None
    chosen: tuple[str, ...] = ()

    @property
    def persons(self) -> NDArray[np.int64]:
        """Track ids of the tracklets, int64 ``[N]``."""
        return np.array([tracklet.person for tracklet in self.session.tracklets], dtype=np.int64)

    @property
    def spans(self) -> NDArray[np.int64]:
        """First and last video frame of each tracklet, int64 ``[N, 2]``, counted from 1."""
        spans = [window.span[[0, -1]] + 1 for window in self.footage.plan.windows]
        return np.array(spans, dtype=np.int64)

    @property
    def silent(self) -> int:
        """Tracklets without a single event."""
        return sum(not tracklet.input_spikes for tracklet in self.session.tracklets)

    @cached_property
    def tracks(self) -> NDArray[np.int64]:
        """Ids of the tracks that gave tracklets, ascending, int64 ``[M]``."""
        return np.unique(self.persons)

    @cached_property
    def similarity(self) -> NDArray[np.float64]:
        """Cosine between the tracks' mean embeddings, float64 ``[M, M]``, -1 to 1."""
        embeddings, persons = self.session.result.embeddings, self.persons
        means = np.stack([embeddings[persons == track].mean(0) for track in self.tracks])
        return 1.0 - distance_matrix(means, means)

    @cached_property
    def ranked(self) -> RankedLists:
        """All other tracklets for each tracklet, nearest first."""
        return self.ranked_for(np.arange(len(self.session.tracklets)))

    def ranked_for(self, queries: NDArray[np.int64]) -> RankedLists:
        """Return all other tracklets for each of `queries`, indices into the tracklets."""
        embeddings, persons = self.session.result.embeddings, self.persons
        # Each tracklet is a camera of its own: the rule that leaves out the query's camera then
        # leaves out the query, and nothing else.
        return rank(
            distance_matrix(embeddings[queries], embeddings),
            persons[queries],
            persons,
            queries,
            np.arange(len(persons)),
        )

    @property
    def assumed(self) -> tuple[str, ...]:
        """What neither files nor options state, and was taken for granted."""
        found = self.recognition
        assumed = (*self.chosen, *self.footage.assumed)
        if found is None or not found.assumed:
            return assumed
        rate = f"a false match rate of {found.rate:g} a comparison (--false-match-rate)"
        return (*assumed, rate)

    def is_unknown(self, cosine: float) -> bool:
        """Return whether so little likeness is known to be another person's."""
        return self.recognition is not None and cosine < self.recognition.threshold

    def nearest_tracks(self) -> Iterator[tuple[int, list[tuple[int, float]]]]:
        """Yield each track with all others, most alike first, and their cosine."""
        for row, track in enumerate(self.tracks.tolist()):
            order = np.argsort(-self.similarity[row], kind="stable")
            yield (
                track,
                [
                    (int(self.tracks[other]), float(self.similarity[row, other]))
                    for other in order
                    if other != row
                ],
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; frames count from 1, as in the tracks file."""
        footage, session = self.footage, self.session
        source, video = footage.source, footage.video
        events = None if source.events is None else _file(source.events)
        simulator = asdict(footage.events) if footage.simulated else None
        return {
            "schema": SCHEMA,
            "video": {
                **_file(source.video),
                "width": video.width,
                "height": video.height,
                "fps": video.fps,
                "frame_times": video.timing,
            },
            "assumed": list(self.assumed),
            "alignment": None
            if footage.fitted is None
            else {**source.alignment.to_dict(), **footage.fitted.to_dict()},
            "tracks": {
                **({} if source.tracks is None else _file(source.tracks)),
                "count": len(footage.tracks),
                "detected": None if footage.detection is None else footage.detection.to_dict(),
            },
            "events": {
                "origin": footage.origin,
                "simulated": footage.simulated,
                "recording": events,
                "reading": source.reading.to_dict(),
                "simulator": simulator,
            },
            "trained_on": self.trained_on,
            "backend": self.backend,
            "dense_backend": self.session.dense_backend,
            "clip": asdict(footage.clip),
            "tracklets": [
                {
                    "name": tracklet.name,
                    "track": tracklet.person,
                    "first_frame": first,
                    "last_frame": last,
                    "input_spikes": tracklet.input_spikes,
                }
                for tracklet, (first, last) in zip(
                    session.tracklets, self.spans.tolist(), strict=True
                )
            ],
            "per_tracklet": None
            if self.figures is None
            else [row.to_dict() for row in self.figures],
            "left_out": list(footage.left_out),
            "ranked": self.ranked.to_dict(top=LISTED),
            "track_similarity": {
                "measure": "cosine of the tracks' mean embeddings",
                "tracks": self.tracks.tolist(),
                "cosine": self.similarity.tolist(),
            },
            "recognition": None if self.recognition is None else self.recognition.to_dict(),
            "recognition_reason": NO_CURVE if self.recognition is None else None,
            "gallery": None if self.gallery is None else self.gallery.to_dict(),
            "ledger": session.result.ledger.to_dict(),
            "profile": session.profile.to_dict(),
        }

    def write_embeddings(self, path: Path) -> None:
        """Write float32 embeddings ``[N, D]``, int64 person, first_frame, last_frame ``[N]``."""
        from safetensors.numpy import save_file

        spans = self.spans
        arrays: dict[str, NDArray[Any]] = {
            "embeddings": np.ascontiguousarray(self.session.result.embeddings),
            "person": self.persons,
            "first_frame": np.ascontiguousarray(spans[:, 0]),
            "last_frame": np.ascontiguousarray(spans[:, 1]),
        }
        with atomic_path(path) as temporary:
            save_file(arrays, str(temporary))

    def __str__(self) -> str:
        footage, count = self.footage, len(self.session.tracklets)
        lines = [
            f"{footage.source.video}: {number_of(len(self.tracks), 'track')}, "
            f"{number_of(count, 'tracklet')} of {number_of(footage.clip.frames, 'frame')}, "
            f"{footage.origin}"
        ]
        lines.append(f"model: {self.trained_on}")
        lines += [f"assumed: {line}" for line in self.assumed]
        lines += [*footage.said, *(f"left out: {line}" for line in footage.left_out)]
        if self.silent:
            lines.append(f"{number_of(self.silent, 'tracklet')} without any event")
        threshold = None if self.recognition is None else self.recognition.threshold
        hits = [] if self.gallery is None else self.gallery.lines(threshold)
        lines += [*self._alike(), *hits, *self._cost()]
        if self.figures is not None:
            lines += ["", table_text(self.figures)]
        return "\n".join(lines)

    @property
    def recognition_line(self) -> str:
        """Return the similarity above which two are one person, or why it is unknown."""
        return NO_CURVE if self.recognition is None else self.recognition.line()

    def _alike(self) -> list[str]:
        lines = [self.recognition_line]
        if len(self.tracks) < 2:
            return [*lines, "one track only: nothing to compare it with"]
        lines.append("most alike tracks, by the cosine of their mean embeddings:")
        for track, others in list(self.nearest_tracks())[:SHOWN]:
            best = ", ".join(f"{other} ({cosine:.3f})" for other, cosine in others[:3])
            alone = f"{UNKNOWN}; " if self.is_unknown(others[0][1]) else ""
            lines.append(f"  track {track}: {alone}{best}")
        if len(self.tracks) > SHOWN:
            lines.append(f"  and {len(self.tracks) - SHOWN} more tracks, in infer.json")
        return lines

    def _cost(self) -> list[str]:
        session, count = self.session, len(self.session.tracklets)
        totals = session.profile.totals
        took = [
            f"{stage.name} {figure(1e3 * stage.total_s / count)} ms"
            for stage in session.result.ledger.stages
        ]
        prices = [
            f"{name} unknown"
            if target.energy.bounded_uj is None
            else f"{name} {target.energy.bounded_uj} µJ{target.energy.left_out}"
            for name, target in session.profile.targets.items()
        ]
        return [
            f"per tracklet: {', '.join(took)} [measured]",
            f"  dense side {session.dense_backend}; threads: "
            f"{session.result.ledger.threads_text()}",
            f"  event branch on {label(self.backend)}: {figure(totals.spikes_out / count)} spikes, "
            f"{figure(totals.synops / count)} synaptic operations [emulated]",
            f"  energy of the event branch: {', '.join(prices)} [modelled]",
        ]


def _file(path: Path) -> dict[str, str]:
    return {"file": str(path), "sha256": path_sha256(path)}
