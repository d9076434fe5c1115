"""Hybrid inference on a stream, from a checkpoint and its sources, for `sdcl_neuro.live`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.conversion.event_side import event_backend, load_hybrid
from sdcl_neuro.hybrid.live import LiveReport, LiveSettings, Seen, run_live
from sdcl_neuro.models import take_checkpoint
from sdcl_neuro.network.arguments import public

from .live_source import LiveSource
from .loading import check_means
from .origin import trained_on
from .stream_opening import open_stream


@public
def watch(
    checkpoint: Path | str | None,
    source: LiveSource,
    *,
    backend: str = "loihi",
    settings: LiveSettings | None = None,
    on_seen: Callable[[Seen, NDArray[np.float32]], None] = lambda seen, embedding: None,
    stop: threading.Event | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> LiveReport:
    """Run hybrid inference on a stream until it ends or `stop` is set.

    Args:
        checkpoint: folder of a whole SDCL, its event branch in the chip's integers; None takes
            the packaged one, which is said.
        source: the stream.
        backend: of the event branch.
        settings: see `LiveSettings`.
        on_seen: called with each tracklet and its embedding as it is done.
        stop: ends the session in good order.
        say: told in one line what is assumed, and whether the events are on another clock.

    Raises:
        InputError: a source that cannot be opened or used, an unknown backend or device.
        EnvironmentFault: a backend that is not installed, a GPU or camera that is not there.
    """
    settings = settings or LiveSettings()
    check_means(backend, settings.device, settings.dense_backend)
    checkpoint, chosen = take_checkpoint(checkpoint)
    loaded, events = load_hybrid(checkpoint)
    opened = open_stream(source, loaded.clip, say)
    opened.assumed = (*chosen, *opened.assumed)
    for line in (*(f"assumed: {one}" for one in opened.assumed), *opened.said):
        say(line)
    say(f"the model: {trained_on(loaded.provenance)}")
    with ExitStack() as stack:
        for context in opened.contexts:
            stack.enter_context(context)
        report = run_live(
            loaded.model,
            loaded.clip,
            event_backend(events, backend),
            frames=opened.frames,
            events=opened.events,
            boxes=opened.boxes,
            settings=settings,
            on_seen=on_seen,
            stop=stop,
        )
        return replace(report, assumed=opened.assumed, notes=opened.notes())
