"""Event cameras: Prophesee's and iniVation's through neuromorphic-drivers, or a recording played.

``camera`` is the only one connected, ``camera:SERIAL`` a certain one, ``play:FILE`` a recording in
real time through the same interface: what a camera would have sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import EnvironmentFault, InputError, number_of
from sdcl_neuro.events import EVENT_DTYPE, Events, read_events
from sdcl_neuro.events.alignment import Alignment, View
from sdcl_neuro.events.denoising import Denoiser
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.events.tracklets.event_source import Size
from sdcl_neuro.extras import need

from .events import StreamedEvents
from .frames import FrameSource
from .stream import Entered

CAMERA, PLAYED = "camera", "play"
PACKET_S = 0.01
"""A played recording comes in packets of so many seconds."""
TIMEOUT_S = 0.1
"""So soon a camera that sends nothing lets its thread see that it shall stop."""
NEEDED = (
    "connect a Prophesee EVK3, EVK4 or iniVation DAVIS346, DVXplorer by USB, let users open it "
    "(neuromorphic-drivers-install-udev-rules, as root), close other programs that use it"
)


class EventCamera(AbstractContextManager["EventCamera"], Protocol):
    """Sends events in packets as they happen; used within ``with``."""

    name: str
    size: Size
    lost: int
    """Times that packets were lost on their way."""

    def packets(self, stop: threading.Event) -> Iterator[NDArray[Any]]:
        """Return arrays of `EVENT_DTYPE` in order of time, until the camera ends or `stop` is
        set.
        """


class DriverCamera(Entered):
    """A camera that neuromorphic-drivers opens; see `EventCamera`.

    Args:
        serial: of the camera; None takes the only one.

    Raises:
        EnvironmentFault: the package is not installed, or there is no such camera.
    """

    def __init__(self, serial: str | None = None) -> None:
        drivers = need("neuromorphic_drivers", "an event camera")
        self.lost = 0
        which = CAMERA if serial is None else f"{CAMERA}:{serial}"
        try:
            self._device = drivers.open(serial=serial, iterator_timeout=TIMEOUT_S)
        # The driver raises RuntimeError for everything: no USB, no camera, no permission.
        except Exception as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise EnvironmentFault(
                f"no event camera can be opened ({reason})", where=which, hint=NEEDED
            ) from None
        properties = self._device.properties()
        self.size: Size = (int(properties.width), int(properties.height))
        self.name = f"{self._device.name().value} {self._device.serial()}"

    def _parts(self) -> Iterable[AbstractContextManager[object]]:
        return (self._device,)

    def packets(self, stop: threading.Event) -> Iterator[NDArray[Any]]:
        """See `EventCamera`."""
        for _, packet in self._device:
            if stop.is_set():
                return
            events = None if packet is None else packet.polarity_events
            if packet is not None and packet.polarity_events_overflow_indices is not None:
                self.lost += len(packet.polarity_events_overflow_indices)
            if events is not None and len(events):
                yield plain(events)


class PlayedCamera(Entered):
    """A recording that comes as a camera would have sent it; see `EventCamera`.

    Args:
        path: of the recording.
        reading: how it is to be read.
        speed: times as fast as it was; 0 makes no pause.
    """

    def __init__(self, path: Path, reading: ReadingOptions, *, speed: float = 1.0) -> None:
        self._events = read_events(path, **reading.arguments())
        self._speed = speed
        self.name, self.lost = f"a recording, {path.name}", 0
        self.size: Size = (self._events.width, self._events.height)

    def packets(self, stop: threading.Event) -> Iterator[NDArray[Any]]:
        """See `EventCamera`."""
        array = self._events.array
        if not len(array):
            return
        first, begun = int(array["t"][0]), time.perf_counter()
        place = 0
        while place < len(array) and not stop.is_set():
            until = int(array["t"][place]) + round(1e6 * PACKET_S)
            end = int(np.searchsorted(array["t"], until))
            if self._speed:
                due = begun + (until - first) / 1e6 / self._speed
                left = due - time.perf_counter()
                if left > 0 and stop.wait(left):
                    return
            yield array[place:end]
            place = end


class CameraEvents(StreamedEvents):
    """Events of a camera, for `run_live`; see `StreamedEvents`.

    Args:
        camera: opened when this is entered.
        reading: its denoising is applied to every packet.
        alignment, view, frames, say: see `StreamedEvents`.
        patience_s: how long a frame waits for its events.
    """

    def __init__(
        self,
        camera: EventCamera,
        *,
        reading: ReadingOptions,
        patience_s: float,
        alignment: Alignment,
        view: View,
        frames: FrameSource,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__(
            camera.name,
            camera.size,
            kind="records",
            patience_s=patience_s,
            idle_s=1.0,
            alignment=alignment,
            view=view,
            frames=frames,
            say=say,
        )
        self.camera = self._device = camera
        self._denoiser = None
        if reading.denoise is not None:
            self._denoiser = Denoiser(reading.denoise, camera.size)
        self.removed: dict[str, int] = {}

    def _blocks(self, stop: threading.Event) -> Iterator[NDArray[Any]]:
        for packet in self.camera.packets(stop):
            events = self._checked(packet)
            if self._denoiser is not None:
                cleaned = self._denoiser.clean(Events(events, *self.sensor))
                for name, count in cleaned.removed.items():
                    self.removed[name] = self.removed.get(name, 0) + count
                events = cleaned.array
            yield events

    def notes(self) -> tuple[str, ...]:
        """Return notes on the session as a whole."""
        said = [f"events, {name}: {count:,}" for name, count in self.removed.items()]
        if self.camera.lost:
            said.append(f"{self.camera.name} lost packets {number_of(self.camera.lost, 'time')}")
        return tuple(said)


def is_event_camera(name: str) -> bool:
    """Return whether ``--events`` means a camera, or a recording that plays one."""
    return name == CAMERA or name.startswith((f"{CAMERA}:", f"{PLAYED}:"))


def open_event_camera(name: str, reading: ReadingOptions, *, speed: float = 1.0) -> EventCamera:
    """Return the camera that a name means: ``camera``, ``camera:SERIAL`` or ``play:FILE``.

    Raises:
        InputError: no such recording, or a camera without a serial number after its colon.
        EnvironmentFault: no camera, or no driver.
    """
    kind, colon, rest = name.partition(":")
    if kind == PLAYED:
        return PlayedCamera(Path(rest), reading, speed=speed)
    if colon and not rest:
        raise InputError("a camera without a serial number", where=name, hint="give camera:SERIAL")
    return DriverCamera(rest or None)


def plain(events: NDArray[Any]) -> NDArray[Any]:
    """Return a driver's events as `EVENT_DTYPE`; its polarity is called ``on`` or ``p``."""
    names = events.dtype.names or ()
    array = np.empty(len(events), EVENT_DTYPE)
    for name in "txy":
        array[name] = events[name]
    array["p"] = events["on" if "on" in names else "p"]
    return array
