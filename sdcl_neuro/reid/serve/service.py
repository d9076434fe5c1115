"""Cameras, model and gallery put together: pictures in, known and unknown persons out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.conversion.event_side import event_backend, load_hybrid
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.events.tracklets.tracklet import CROP_SIZE
from sdcl_neuro.hybrid.live.embedder import Embedded, Embedder
from sdcl_neuro.hybrid.live.queue import DropQueue
from sdcl_neuro.hybrid.live.reader import SeenFrame, Waiting
from sdcl_neuro.models import take_checkpoint
from sdcl_neuro.network.identity import path_sha256

from ..gallery import Gallery
from ..pipeline.loading import check_means
from ..pipeline.origin import trained_on
from ..pipeline.recognition import NO_CURVE, recognition_of
from .cameras import Lookout, WatchedCamera, unix_us
from .desk import Busy, Desk
from .hub import Hub
from .meters import Meters
from .pictures import event_png, frame_jpeg, jpeg
from .settings import ServeSettings
from .visits import Sighting, VisitState

SEARCH = ""
"""Owner of tracklets made from pictures, in the queue; no camera has this name."""
SEARCHES_WAITING = 8
NOISE = 0.05
"""Spikes of a pixel and step of the tracklet that warms the model up."""
STOP_S = 2.0
"""How long all threads together may take to end."""


class Service:
    """Everything but the web: opened by `begin`, ended by `end`.

    Args:
        settings: see `ServeSettings`.
        say: told in one line what a user should know.

    Attributes:
        hub: tells open pages what is current.
        desk: owns the gallery.
        meters: counts and curves.
        cameras: by name.
        assumed: what was taken for granted.
        failed: what ended the embedding; None as long as it runs.
    """

    def __init__(self, settings: ServeSettings, *, say: Callable[[str], None]) -> None:
        self.settings, self._say = settings, say
        self.hub = Hub()
        self._stop = threading.Event()
        check_means(settings.backend, settings.live.device, settings.live.dense_backend)
        checkpoint, self.assumed = take_checkpoint(settings.checkpoint)
        loaded, events = load_hybrid(checkpoint)
        self._clip, self._backend = loaded.clip, event_backend(events, settings.backend)
        self.recognition = (
            recognition_of(loaded, settings.false_match_rate)
            if settings.threshold is None
            else None
        )
        self.threshold = settings.threshold
        if self.recognition is not None:
            self.threshold = self.recognition.threshold
        self.model, self.trained = path_sha256(checkpoint), trained_on(loaded.provenance)
        self._dimension = loaded.model.bridge.embedding_size
        queue: DropQueue[Waiting] = DropQueue(
            settings.live.queue,
            settings.live.policy,
            self._stop,
            owner=lambda one: one.camera,
            on_drop=self._dropped,
        )
        self.queue = queue
        self._embedder = Embedder(loaded.model, loaded.clip, settings.live, queue)
        self.meters = Meters(events.need_integer(), settings.hardware, lambda: queue.dropped)
        lookout = Lookout(self._looked, self._told, say)
        self.cameras = {
            spec.name: WatchedCamera(
                spec, loaded.clip, queue=queue, ledger=self._embedder.ledger, lookout=lookout
            )
            for spec in settings.cameras
        }
        self.desk = Desk(
            self._gallery,
            settings.gallery,
            threshold=self.threshold,
            backend=settings.backend,
            on_seen=self._named,
            on_people=lambda: self.hub.publish("people", {}),
            say=say,
        )
        self._searches: dict[int, Future[NDArray[np.float32]]] = {}
        self._numbers = count(1)
        self._thread = threading.Thread(target=self._embed, name="serve-embedder", daemon=True)
        self.failed: BaseException | None = None
        self.on_failure: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """Open the gallery, then the cameras.

        Raises:
            InputError: a gallery that cannot be used.
        """
        for line in self.notes():
            self._say(line)
        self.desk.begin()
        self._thread.start()
        self._warm_up()
        for camera in self.cameras.values():
            camera.begin()

    def _warm_up(self) -> None:
        """Embed a tracklet of noise, so that no person waits for compilers and first calls."""
        self._say("making the model ready")
        clip, noise = self._clip, np.random.default_rng(0)
        shape = (clip.frames * clip.bins, 2, *clip.size)
        spikes = (noise.random(shape) < NOISE).astype(np.uint8)
        done = self._submit(np.zeros((*CROP_SIZE, 3), np.uint8), spikes)
        while not done.done() and self.failed is None and not self._stop.is_set():
            wait([done], timeout=0.1)

    def notes(self) -> list[str]:
        """Return what a user should know before it begins."""
        known = NO_CURVE if self.recognition is None else self.recognition.line()
        if self.settings.threshold is not None:
            known = f"the same person from a cosine of {self.threshold:.3f}, as stated"
        return [*(f"assumed: {one}" for one in self.assumed), f"the model: {self.trained}", known]

    def end(self) -> bool:
        """Stop reading, finish what is under way, store it; return whether all threads ended."""
        until = time.monotonic() + STOP_S
        for camera in self.cameras.values():
            camera.stop()
        self._stop.set()
        self.queue.close()
        if self._thread.ident is not None:
            self._thread.join(max(0.1, until - time.monotonic()))
        for answer in list(self._searches.values()):
            answer.cancel()
        kept = self.desk.close(max(0.5, until - time.monotonic()))
        ended = [camera.join(until - time.monotonic()) for camera in self.cameras.values()]
        return kept and all(ended) and not self._thread.is_alive()

    def search(self, picture: NDArray[np.uint8]) -> Future[NDArray[np.float32]]:
        """Embed a still picture of a person; without events, so the event branch stays silent.

        Args:
            picture: uint8 RGB ``[256, 128, 3]``.

        Raises:
            Busy: too many searches wait.
        """
        if len(self._searches) >= SEARCHES_WAITING:
            raise Busy
        clip = self._clip
        silence = np.zeros((clip.frames * clip.bins, 2, *clip.size), np.uint8)
        return self._submit(picture, silence)

    def _submit(
        self, picture: NDArray[np.uint8], spikes: NDArray[np.uint8]
    ) -> Future[NDArray[np.float32]]:
        """Embed a picture that stands still, with spikes ``[F * K, 2, h, w]``."""
        clip, number = self._clip, next(self._numbers)
        tracklet = Tracklet(
            name=f"picture {number}",
            person=0,
            camera=0,
            frames=np.repeat(picture[None], clip.frames, axis=0),
            spikes=spikes,
            times_us=np.arange(1, clip.frames + 1, dtype=np.int64),
            boxes=np.zeros((clip.frames, 4), np.int64),
            indices=np.arange(clip.frames, dtype=np.int64),
        )
        answer = self._searches[number] = Future()
        self.queue.put(Waiting(tracklet, time.perf_counter(), SEARCH, number))
        return answer

    def state(self) -> dict[str, Any]:
        """Return counts and cameras, as plain JSON values."""
        return {
            "cameras": [camera.to_dict() for camera in self.cameras.values()],
            "waiting": len(self.queue),
            "deepest": self.queue.deepest,
            "dropped": self.queue.dropped,
            "totals": {**self.meters.totals, **self.desk.counts},
            "entries": len(self.desk.people),
            "viewers": self.hub.viewers,
            "viewer_drops": self.hub.dropped,
        }

    def shown_boxes(self, camera: WatchedCamera, look: SeenFrame) -> list[dict[str, Any]]:
        """Return boxes of a frame with whom they show, in parts of its width and height."""
        height, width = look.frame.shape[:2]
        shown = []
        for track, (left, top, wide, high) in look.boxes.items():
            visit = camera.visit(track)
            state = self.desk.visits.get(visit)
            shown.append(
                {
                    "visit": visit,
                    "box": [left / width, top / height, wide / width, high / height],
                    "seen": state is not None,
                    "person": None if state is None else state.person,
                    "named": state is not None and state.named,
                    "cosine": None if state is None else state.cosine,
                }
            )
        return shown

    def _gallery(self) -> Gallery:
        plan = self.settings.gallery
        gallery = Gallery(
            plan.address, model=self.model, dimension=self._dimension, create=plan.enrol
        )
        if plan.retain is not None:
            gallery.retention = plan.retain
        return gallery

    def _embed(self) -> None:
        try:
            self._embedder.run(self._backend, self._embedded)
        except BaseException as error:
            self.failed = error
            self._say(f"the model failed: {error}")
        finally:
            if not self._stop.is_set():
                self.on_failure()

    def _embedded(self, done: Embedded) -> None:
        """Work on the embedder's thread: hand sightings on, answer searches."""
        if any(one.camera != SEARCH for one in done.batch):
            self.meters.embedded(done)
        sightings = []
        for one, row in zip(done.batch, done.rows, strict=True):
            if one.camera == SEARCH:
                answer = self._searches.pop(one.run, None)
                if answer is not None and answer.set_running_or_notify_cancel():
                    answer.set_result(row)
            else:
                sightings.append(self._sighting(one, row, done.done - one.arrived))
        if sightings:
            self.desk.see(sightings)

    def _sighting(self, one: Waiting, row: NDArray[np.float32], latency_s: float) -> Sighting:
        camera, tracklet = self.cameras[one.camera], one.tracklet
        visit = camera.visit(tracklet.person, one.run)
        return Sighting(
            visit=visit,
            camera=one.camera,
            track=tracklet.person,
            time_us=unix_us() - round(1e6 * latency_s),
            first_frame=int(tracklet.indices[0]) + 1,
            last_frame=int(tracklet.indices[-1]) + 1,
            embedding=row,
            picture=jpeg(tracklet.frames[len(tracklet.frames) // 2]),
            together=frozenset(camera.visit(track, one.run) for track in one.beside),
            latency_s=latency_s,
        )

    def _dropped(self, one: Waiting) -> None:
        answer = self._searches.pop(one.run, None) if one.camera == SEARCH else None
        if answer is not None and answer.set_running_or_notify_cancel():
            answer.set_exception(InputError("the server is too busy", hint="search again later"))

    def _looked(self, camera: WatchedCamera, look: SeenFrame) -> None:
        self.meters.frame()
        name = camera.spec.name
        if not self.hub.wants(name):
            return
        events, covers = event_png(look.events, look.view)
        head = {
            "index": look.index,
            "boxes": self.shown_boxes(camera, look),
            "events": len(look.events),
            "covers": covers,
        }
        self.hub.show(name, head, [frame_jpeg(look.frame), events])

    def _told(self, camera: WatchedCamera) -> None:
        self.hub.publish("camera", camera.to_dict())

    def _named(self, visit: str, state: VisitState) -> None:
        self.hub.publish("seen", state.to_dict(visit))
