"""What detectors' outputs look like, one row of `LAYOUTS` for each family of exports.

To add a family, write how it is told by its outputs, what picture it takes, and how its numbers
become boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .detections import Detections

Shape = tuple[int, ...]
"""As the file states it; 0 where it leaves a side open."""
Outputs = Mapping[str, NDArray[Any]]
Decode = Callable[[Outputs, int, tuple[int, int]], Detections]
"""From outputs, the person's class and the input's (H, W) to boxes in input pixels."""
NO_BOXES = Detections(np.empty((0, 4)), np.empty(0))


@dataclass(frozen=True)
class OutputLayout:
    """One family of exports.

    Attributes:
        name: of the family.
        fits: whether outputs of these names and shapes are its own.
        decode: see `Decode`.
        person: class of a person where the file does not name its classes.
        scale: the picture's values: 0 to 255, 0 to 1, or ImageNet's mean and deviation.
        letterbox: keep proportions and fill the rest with grey; else stretch.
        suppress: whether boxes overlap and need non-maximum suppression.
    """

    name: str
    fits: Callable[[Mapping[str, Shape]], bool]
    decode: Decode
    person: int
    scale: Literal["byte", "unit", "imagenet"]
    letterbox: bool
    suppress: bool


def _only(outputs: Mapping[str, Shape]) -> Shape:
    return next(iter(outputs.values())) if len(outputs) == 1 else ()


def _corners(centred: NDArray[Any]) -> NDArray[np.float64]:
    """Map centre x, centre y, width, height to left, top, right, bottom."""
    centred = centred.astype(np.float64)
    half = centred[:, 2:] / 2
    return np.hstack([centred[:, :2] - half, centred[:, :2] + half])


def _yolo(outputs: Outputs, person: int, size: tuple[int, int]) -> Detections:
    table = np.asarray(next(iter(outputs.values())))[0].T  # [N, 4 + classes]
    return Detections(_corners(table[:, :4]), table[:, 4 + person].astype(np.float64))


def _yolo5(outputs: Outputs, person: int, size: tuple[int, int]) -> Detections:
    table = np.asarray(next(iter(outputs.values())))[0]  # [N, 5 + classes]
    scores = table[:, 4].astype(np.float64) * table[:, 5 + person]
    return Detections(_corners(table[:, :4]), scores)


def _finished(outputs: Outputs, person: int, size: tuple[int, int]) -> Detections:
    table = np.asarray(next(iter(outputs.values()))).reshape(-1, 6)  # x0, y0, x1, y1, score, class
    mine = np.rint(table[:, 5]) == person
    return Detections(table[mine, :4].astype(np.float64), table[mine, 4].astype(np.float64))


def _detr(outputs: Outputs, person: int, size: tuple[int, int]) -> Detections:
    boxes = next(v for v in outputs.values() if v.shape[-1] == 4)[0]
    logits = next(v for v in outputs.values() if v.shape[-1] != 4)[0]
    scores = 1 / (1 + np.exp(-logits[:, person].astype(np.float64)))
    height, width = size
    return Detections(_corners(boxes) * [width, height, width, height], scores)


def _tensorflow(outputs: Outputs, person: int, size: tuple[int, int]) -> Detections:
    named = {name.partition(":")[0]: value for name, value in outputs.items()}
    count = int(np.asarray(named["num_detections"]).reshape(-1)[0])
    boxes = np.asarray(named["detection_boxes"]).reshape(-1, 4)[:count]
    scores = np.asarray(named["detection_scores"]).reshape(-1)[:count]
    classes = np.rint(np.asarray(named["detection_classes"]).reshape(-1)[:count])
    mine, (height, width) = classes == person, size
    corners = boxes[mine][:, [1, 0, 3, 2]].astype(np.float64) * [width, height, width, height]
    return Detections(corners, scores[mine].astype(np.float64))


def _torchvision(outputs: Outputs, person: int, size: tuple[int, int]) -> Detections:
    parts = list(outputs.values())
    boxes = next(v for v in parts if v.ndim == 2 and v.shape[-1] == 4)
    labels = next(v for v in parts if v.ndim == 1 and v.dtype.kind in "iu")
    scores = next(v for v in parts if v.ndim == 1 and v.dtype.kind == "f")
    mine = labels == person
    return Detections(boxes[mine].astype(np.float64), scores[mine].astype(np.float64))


def _is_yolo(outputs: Mapping[str, Shape]) -> bool:
    shape = _only(outputs)
    return len(shape) == 3 and shape[1] >= 5 and (shape[2] > shape[1] or shape[2] == 0)


def _is_yolo5(outputs: Mapping[str, Shape]) -> bool:
    shape = _only(outputs)
    return len(shape) == 3 and shape[2] >= 6 and (shape[1] > shape[2] or shape[1] == 0)


def _is_finished(outputs: Mapping[str, Shape]) -> bool:
    shape = _only(outputs)
    return len(shape) in (2, 3) and shape[-1] == 6


def _is_detr(outputs: Mapping[str, Shape]) -> bool:
    shapes = [shape for shape in outputs.values() if len(shape) == 3]
    boxes = [shape for shape in shapes if shape[-1] == 4]
    return len(shapes) >= 2 and len(boxes) == 1


def _is_tensorflow(outputs: Mapping[str, Shape]) -> bool:
    names = {name.partition(":")[0] for name in outputs}
    return {"num_detections", "detection_scores", "detection_boxes", "detection_classes"} <= names


def _is_torchvision(outputs: Mapping[str, Shape]) -> bool:
    ranks = sorted(len(shape) for shape in outputs.values())
    return len(outputs) >= 3 and ranks[:3] == [1, 1, 2]


LAYOUTS: tuple[OutputLayout, ...] = (
    OutputLayout("TensorFlow detection API", _is_tensorflow, _tensorflow, 1, "byte", False, False),
    OutputLayout(
        "boxes, score, class (YOLO end to end)", _is_finished, _finished, 0, "unit", True, True
    ),
    OutputLayout("Ultralytics YOLO", _is_yolo, _yolo, 0, "unit", True, True),
    OutputLayout("YOLOv5", _is_yolo5, _yolo5, 0, "unit", True, True),
    OutputLayout("DETR (RF-DETR)", _is_detr, _detr, 1, "imagenet", False, False),
    OutputLayout("torchvision", _is_torchvision, _torchvision, 1, "unit", False, False),
)
