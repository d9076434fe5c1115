"""A person detector that somebody exported to ONNX, run by onnxruntime on the CPU."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import need
from sdcl_neuro.files import file_sha256
from sdcl_neuro.files.reading import regular_file

from ..frame_files import Frame
from .detections import Detections, inside_frame, without_doubles
from .outputs import LAYOUTS, NO_BOXES, OutputLayout

USUAL_SIDE = 640
USUAL_TENSORFLOW_SIDE = 300
GREY = 114  # of letterboxes, as Ultralytics trains with
LEAST_SCORE = 0.05
MOST_OVERLAP = 0.6
MOST_INSIDE = 0.75
TILE_OVERLAP = 0.2
# Frames this much wider or higher than the network's input are looked at in parts, too: squeezed
# persons are missed (of the packaged clip, 16:9, in a square network, every third).
MOST_SQUEEZED = 1.4
PART_STEP = 0.5  # of a part, at most: so that a standing person is whole in one of them
IMAGENET = (
    np.array([0.485, 0.456, 0.406], np.float32),
    np.array([0.229, 0.224, 0.225], np.float32),
)
_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class _Input:
    name: str
    channels_last: bool
    batched: bool
    size: tuple[int, int]
    dtype: Any


class OnnxDetector:
    """A detector from an ONNX file; its family is told by its outputs, see `outputs.LAYOUTS`.

    Args:
        path: of the file.
        person: class of a person; the file's own, else the family's usual one, if left out.
        tiles: columns and rows of overlapping tiles that are looked at besides the whole frame.
            None takes parts of the network's own proportions where it would squeeze the frame.
        threads: of onnxruntime.

    Raises:
        InputError: not an ONNX file, or not a detector of a known family.
        EnvironmentFault: onnxruntime is not installed.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        person: int | None = None,
        tiles: tuple[int, int] | None = None,
        threads: int | None = None,
    ) -> None:
        self.path, self.tiles = Path(path), tiles
        if tiles is not None and (min(tiles) < 1 or max(tiles) > 8):
            raise InputError(f"{tiles} tiles", where="--tiles", hint="give 1x1 to 8x8")
        self._session = _session(self.path, threads)
        outputs = {out.name: _shape(out.shape) for out in self._session.get_outputs()}
        layout = next((one for one in LAYOUTS if one.fits(outputs)), None)
        if layout is None:
            raise InputError(
                f"outputs {outputs} are not a detector's of a known family",
                where=str(path),
                hint="give one of: " + "; ".join(one.name for one in LAYOUTS),
            )
        self.layout: OutputLayout = layout
        self._input = self._picture_input()
        self._metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        named = _person_class(self._metadata.get("names", ""))
        self.person = person if person is not None else layout.person if named is None else named
        self.assumed = () if person is not None or named is not None else (
            f"{self.path.name} does not name its classes: {self.person} is a person, as usual for "
            f"{layout.name} (--person-class)",
        )  # fmt: skip

    def _picture_input(self) -> _Input:
        (first, *more) = self._session.get_inputs()
        shape = _shape(first.shape)
        if more or len(shape) not in (3, 4) or first.type not in _TYPES:
            raise InputError(
                f"inputs {[(one.name, one.shape, one.type) for one in (first, *more)]}",
                where=str(self.path),
                hint="give a detector that takes one picture",
            )
        last = shape[-1] == 3 and shape[-3] != 3
        sides = shape[-3:-1] if last else shape[-2:]
        usual = USUAL_TENSORFLOW_SIDE if self.layout.scale == "byte" else USUAL_SIDE
        size = (sides[0] or usual, sides[1] or usual)
        return _Input(first.name, last, len(shape) == 4, size, _TYPES[first.type])

    def describe(self) -> dict[str, Any]:
        """See `Detector`; origin and licence as the file's own metadata has them."""
        known = {key.lower(): value for key, value in self._metadata.items()}
        return {
            "name": self.path.name,
            "sha256": file_sha256(self.path),
            "family": self.layout.name,
            "origin": known.get("origin") or known.get("author") or "not stated in the file",
            "licence": known.get("licence") or known.get("license") or "not stated in the file",
            "person_class": self.person,
            "input": list(self._input.size),
            "tiles": None if self.tiles is None else list(self.tiles),
        }

    def detect(self, frame: Frame) -> Detections:
        """See `Detector`."""
        parts = list(self._parts(frame))
        found = [self._of_part(frame, part) for part in parts]
        boxes = np.concatenate([one.boxes for one in found])
        scores = np.concatenate([one.scores for one in found])
        kept = Detections(boxes, scores).pick(scores >= LEAST_SCORE)
        height, width = frame.shape[:2]
        kept = inside_frame(kept, width, height)
        tiled = len(parts) > 1
        if not (self.layout.suppress or tiled):
            return kept
        inside = MOST_INSIDE if tiled else 1.01
        return without_doubles(kept, most_overlap=MOST_OVERLAP, most_inside=inside)

    def _parts(self, frame: Frame) -> Iterator[tuple[int, int, int, int]]:
        """Yield left, top, right, bottom of the whole and of each tile."""
        height, width = frame.shape[:2]
        yield 0, 0, width, height
        if self.tiles is None:
            yield from self._own_proportions(width, height)
            return
        columns, rows = self.tiles
        if self.tiles == (1, 1):
            return
        wide = width / (columns - (columns - 1) * TILE_OVERLAP)
        high = height / (rows - (rows - 1) * TILE_OVERLAP)
        for row in range(rows):
            for column in range(columns):
                x, y = column * wide * (1 - TILE_OVERLAP), row * high * (1 - TILE_OVERLAP)
                yield round(x), round(y), min(width, round(x + wide)), min(height, round(y + high))

    def _own_proportions(self, width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield parts that the network does not squeeze; none where the whole frame is nearly
        so.
        """
        rows, columns = self._input.size
        squeezed = width / height / (columns / rows)
        if self.layout.letterbox or 1 / MOST_SQUEEZED <= squeezed <= MOST_SQUEEZED:
            return
        wide, high = width, height
        if squeezed > 1:
            wide = round(width / squeezed)
        else:
            high = round(height * squeezed)
        count = math.ceil((max(squeezed, 1 / squeezed) - 1) / PART_STEP) + 1
        for k in range(count):
            x, y = (round(k * rest / (count - 1)) for rest in (width - wide, height - high))
            yield x, y, x + wide, y + high

    def _of_part(self, frame: Frame, part: tuple[int, int, int, int]) -> Detections:
        left, top, right, bottom = part
        picture, scale, origin = self._prepared(frame[top:bottom, left:right])
        outputs = self._session.run(None, {self._input.name: picture})
        names = [out.name for out in self._session.get_outputs()]
        found = self.layout.decode(
            dict(zip(names, outputs, strict=True)), self.person, self._input.size
        )
        if not len(found):
            return NO_BOXES
        boxes = (found.boxes - [*origin, *origin]) / [*scale, *scale] + [left, top, left, top]
        whole = part == (0, 0, frame.shape[1], frame.shape[0])
        found = Detections(boxes, found.scores)
        return found if whole else found.pick(_not_cut(boxes, part, frame.shape[:2]))

    def _prepared(
        self, part: NDArray[np.uint8]
    ) -> tuple[NDArray[Any], tuple[float, float], tuple[float, float]]:
        """Return the network's input, pixels of it per pixel of the part, and where the part
        begins.
        """
        cv2 = need("cv2", "detecting persons")

        (rows, columns), (height, width) = self._input.size, part.shape[:2]
        scale = (columns / width, rows / height)
        origin = (0.0, 0.0)
        if self.layout.letterbox:
            one = min(scale)
            scale = (one, one)
            small = cv2.resize(part, (max(1, round(width * one)), max(1, round(height * one))))
            picture = np.full((rows, columns, 3), GREY, np.uint8)
            y, x = (rows - small.shape[0]) // 2, (columns - small.shape[1]) // 2
            picture[y : y + small.shape[0], x : x + small.shape[1]] = small
            origin = (float(x), float(y))
        else:
            picture = np.asarray(cv2.resize(part, (columns, rows)), np.uint8)
        values: NDArray[Any] = picture
        if self.layout.scale != "byte":
            values = picture.astype(np.float32) / 255
        if self.layout.scale == "imagenet":
            values = (values - IMAGENET[0]) / IMAGENET[1]
        if not self._input.channels_last:
            values = values.transpose(2, 0, 1)
        if self._input.batched:
            values = values[None]
        return np.ascontiguousarray(values, self._input.dtype), scale, origin


def _not_cut(
    boxes: NDArray[np.float64], part: tuple[int, int, int, int], whole: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return boxes that do not touch an inner edge of their tile: those of cut persons."""
    left, top, right, bottom = part
    near = 0.01 * max(right - left, bottom - top)
    cut = (boxes[:, 0] < left + near) & (left > 0)
    cut |= (boxes[:, 1] < top + near) & (top > 0)
    cut |= (boxes[:, 2] > right - near) & (right < whole[1])
    cut |= (boxes[:, 3] > bottom - near) & (bottom < whole[0])
    return ~cut


OUTSIDE = b"\x0a\x08location\x12"
"""How ONNX's external_data names a file: a StringStringEntryProto whose key is ``location``."""


def _session(path: Path, threads: int | None) -> Any:
    onnxruntime = need("onnxruntime", "a detector of one's own")
    regular_file(path, what="a detector as ONNX")
    content = path.read_bytes()
    if OUTSIDE in content:
        raise InputError(
            "weights lie outside the file", where=str(path), hint="export them inside one file"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that wait in a loop take the processor from whatever else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes derive from Exception alone
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"not an ONNX model that onnxruntime can run ({reason})",
            where=str(path),
            hint="export it again",
        ) from None


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(side if isinstance(side, int) and side > 0 else 0 for side in shape or ())


def _person_class(names: str) -> int | None:
    """Return the class called person in Ultralytics' ``names``; None if there are no names."""
    try:
        table = ast.literal_eval(names)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(table, dict):
        return None
    return next(
        (int(k) for k, v in table.items() if str(v).lower() in ("person", "pedestrian")), None
    )
