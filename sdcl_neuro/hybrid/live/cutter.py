"""Tracklets out of a stream: a track's boxes in a row, cut as soon as there are enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events import Events
from sdcl_neuro.events.alignment import View
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.events.tracklets.crop import Crop, assemble, crop_person, whole_box
from sdcl_neuro.events.tracklets.frame_files import Frame
from sdcl_neuro.events.tracklets.mot import inside_picture
from sdcl_neuro.events.tracklets.track_rows import Box

from ..sdcl_checkpoint import ClipFormat


@dataclass
class _Window:
    start_us: int
    indices: list[int] = field(default_factory=list)
    crops: list[tuple[int, Crop]] = field(default_factory=list)


@dataclass
class LiveCutter:
    """Cuts windows of ``clip.frames * clip.stride`` frames, one after another, track by track.

    Memory holds the windows under way: one a track that is in the picture.

    Attributes:
        clip: what a tracklet looks like.
        interrupted: windows that were given up because their track was missing from a frame.
        mended: boxes that were cut to the picture, or dropped because they lay outside.
    """

    clip: ClipFormat
    interrupted: int = 0
    mended: int = 0
    _windows: dict[int, _Window] = field(default_factory=dict)

    def add(
        self,
        index: int,
        after_us: int,
        time_us: int,
        frame: Frame,
        events: Events,
        boxes: Mapping[int, Box],
        view: View,
    ) -> list[Tracklet]:
        """Take one frame in; return the tracklets that it completes.

        Args:
            index: of the frame, from 0.
            after_us, time_us: of the frame before and of this one.
            frame: uint8 RGB ``[H, W, 3]``.
            events: of the interval between the two, of the whole sensor.
            boxes: by track, in the frame's pixels; cut to the picture where they reach over it.
            view: how the events' sensor lies to the frame.
        """
        for track in [track for track in self._windows if track not in boxes]:
            self._give_up(track)
        done = []
        for track, box in boxes.items():
            whole = self._whole(box, frame, f"track {track}, frame {index + 1}")
            if whole is None:
                self._give_up(track)
                continue
            window = self._windows.setdefault(track, _Window(after_us))
            window.indices.append(index)
            crop = crop_person(frame, events, whole, self.clip.size, view)
            window.crops.append((time_us, crop))
            if len(window.crops) == self.clip.frames * self.clip.stride:
                done.append(self._finish(track, self._windows.pop(track)))
        return done

    def _give_up(self, track: int) -> None:
        self.interrupted += self._windows.pop(track, None) is not None

    def _whole(self, box: Box, frame: Frame, where: str) -> NDArray[np.int64] | None:
        picture = (frame.shape[1], frame.shape[0])
        inside = inside_picture(box, picture, True, where)
        self.mended += inside != box
        if inside is None or min(inside[2:]) < 1:
            return None
        return whole_box(inside, picture, where=where)

    def _finish(self, track: int, window: _Window) -> Tracklet:
        stride = self.clip.stride
        return assemble(
            window.crops,
            name=f"t{track}-f{window.indices[0] + 1}",
            person=track,
            camera=0,
            start_us=window.start_us,
            stride=stride,
            bins=self.clip.bins,
            indices=np.array(window.indices[stride - 1 :: stride], np.int64),
        )
