"""Where each pixel of the event sensor lies in the frame: a homography, or two calibrated cameras.

A calibration is TOML::

    rotation = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]   # from the event camera's axes to the frame's
    translation_m = [0.06, 0, 0]                   # optional, together with distance_m
    distance_m = 5.0                               # of the plane that is mapped; else infinity

    [event_camera]
    size = [346, 260]                              # width, height
    focal = [320.0, 320.0]                         # fx, fy in pixels
    centre = [173.0, 130.0]                        # cx, cy
    distortion = [0.0, 0.0, 0.0, 0.0]              # k1, k2, p1, p2 and k3, as OpenCV; optional

    [frame_camera]                                 # the same keys

A point X of the event camera is ``rotation X + translation_m`` in the frame camera's axes.
"""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import need
from sdcl_neuro.files.reading import read_toml, regular_file
from sdcl_neuro.network.arguments import public

from ..columns import Size

Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
Floats = NDArray[np.float64]
MOST_DISTORTION = 8
_CAMERA_KEYS = {"size", "focal", "centre", "distortion"}
_KEYS = {"rotation", "translation_m", "distance_m", "event_camera", "frame_camera"}


LARGEST_FILE = 4 << 20


@dataclass(frozen=True)
class PinholeCamera:
    """A pinhole with OpenCV's distortion.

    Attributes:
        size: width and height in pixels.
        focal: fx and fy in pixels.
        centre: cx and cy in pixels, the first pixel's centre at (0, 0), as OpenCV has it.
        distortion: k1, k2, p1, p2, then k3 and so on; may be empty.
    """

    size: Size
    focal: tuple[float, float]
    centre: tuple[float, float]
    distortion: tuple[float, ...] = ()

    def matrix(self) -> Floats:
        """Return the intrinsic matrix, ``[3, 3]``."""
        (fx, fy), (cx, cy) = self.focal, self.centre
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


@dataclass(frozen=True)
class Mapping:
    """Maps pixels of the event sensor to pixels of the frame, pixel centres at whole numbers.

    Attributes:
        matrix: homography from event to frame pixels; of calibrated cameras the one between their
            undistorted pictures.
        event_size, frame_size: width and height it is stated for; None where the file does not say.
        event_camera, frame_camera: with distortion; None for a bare homography.
    """

    matrix: Matrix
    event_size: Size | None = None
    frame_size: Size | None = None
    event_camera: PinholeCamera | None = None
    frame_camera: PinholeCamera | None = None

    def __post_init__(self) -> None:
        values = np.array(self.matrix, np.float64)
        if values.shape != (3, 3) or not np.isfinite(values).all():
            raise InputError("a homography has 3 x 3 finite numbers", hint="give three rows")
        if abs(np.linalg.det(values / max(np.abs(values).max(), 1e-300))) < 1e-12:
            raise InputError("a homography that has no inverse", hint="check its numbers")

    def points(self, xy: Floats) -> Floats:
        """Map event pixels ``[N, 2]`` to frame pixels ``[N, 2]``; NaN behind the camera."""
        if self.event_camera is not None and self.event_camera.distortion:
            xy = _undistorted(xy, self.event_camera)
        raised = np.column_stack([xy, np.ones(len(xy))]) @ np.array(self.matrix).T
        # The sign that most points have is in front of the camera.
        sign = np.sign(np.median(raised[:, 2])) or 1.0
        depth = np.where(raised[:, 2] * sign > 1e-9, raised[:, 2], np.nan)
        found = raised[:, :2] / depth[:, None]
        if self.frame_camera is not None and self.frame_camera.distortion:
            found = _distorted(found, self.frame_camera)
        result: Floats = found
        return result


def _undistorted(xy: Floats, camera: PinholeCamera) -> Floats:
    cv2 = need("cv2", "calibrated views")

    matrix, distortion = camera.matrix(), np.array(camera.distortion)
    found = cv2.undistortPoints(xy.reshape(-1, 1, 2), matrix, distortion, P=matrix)
    return np.asarray(found, np.float64).reshape(-1, 2)


def _distorted(xy: Floats, camera: PinholeCamera) -> Floats:
    cv2 = need("cv2", "calibrated views")

    matrix = camera.matrix()
    rays = (xy - np.array(camera.centre)) / np.array(camera.focal)
    # A ray far outside the lens's field would fold back into the picture.
    rays[np.hypot(*np.nan_to_num(rays, nan=1e9).T) > 3.0] = np.nan
    solid = np.column_stack([np.nan_to_num(rays), np.ones(len(rays))])
    zero = np.zeros(3)
    found, _ = cv2.projectPoints(solid, zero, zero, matrix, np.array(camera.distortion))
    projected = np.asarray(found, np.float64).reshape(-1, 2)
    projected[np.isnan(rays).any(1)] = np.nan
    return projected


@public
def read_mapping(path: Path | str) -> Mapping:
    """Read a 3x3 homography (text or .npy), an alignment, or a calibration in TOML.

    Raises:
        InputError: no such file, or another content than these.
    """
    path = Path(path)
    try:
        hint = "give a 3x3 matrix or a calibration in TOML"
        regular_file(path, what="a calibration", largest=LARGEST_FILE, hint=hint)
        if path.suffix.lower() == ".toml":
            return mapping_of(_toml(path))
        return Mapping(_matrix(_numbers(path)))
    except InputError as error:
        if error.where:
            raise
        raise InputError(error.what, where=str(path), hint=error.hint) from None


def _toml(path: Path) -> dict[str, Any]:
    return read_toml(path, what="a calibration in TOML", largest=LARGEST_FILE)


def _numbers(path: Path) -> Floats:
    from ..formats.npy import load_npy

    if path.suffix.lower() == ".npy":
        with path.open("rb") as stream:
            return np.asarray(load_npy(stream, path.stat().st_size), np.float64)
    text = path.read_bytes()[:100_000].decode("utf-8-sig", "replace")
    for sign in ",;[]":
        text = text.replace(sign, " ")
    try:
        return np.array([float(word) for word in text.split()], np.float64)
    except ValueError:
        raise InputError("not a table of numbers", hint="give three rows of three") from None


def mapping_of(table: Table[str, Any]) -> Mapping:
    """Return a mapping from the values of a TOML file.

    Raises:
        InputError: keys that are absent, unknown or of another type.
    """
    if "homography" in table:
        return Mapping(
            _matrix(_array(table["homography"], "homography")),
            _size(table, "event_size"),
            _size(table, "frame_size"),
        )
    unknown = sorted(set(table) - _KEYS)
    lacking = sorted({"rotation", "event_camera", "frame_camera"} - set(table))
    if unknown or lacking:
        what = f"unknown key {unknown[0]!r}" if unknown else f"no {', '.join(lacking)}"
        raise InputError(what, hint="give homography, or rotation and both cameras")
    event, frame = (_camera(table[f"{name}_camera"], name) for name in ("event", "frame"))
    rotation = np.array(_matrix(_array(table["rotation"], "rotation")))
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise InputError("rotation is not a rotation matrix", hint="check its rows and signs")
    between = rotation + _parallax(table)
    matrix = frame.matrix() @ between @ np.linalg.inv(event.matrix())
    return Mapping(_matrix(matrix), event.size, frame.size, event, frame)


def _parallax(table: Table[str, Any]) -> Floats:
    """Return ``t n' / d`` of a plane that faces the event camera; zero at infinity."""
    given = [name for name in ("translation_m", "distance_m") if name in table]
    if not given:
        return np.zeros((3, 3))
    if len(given) == 1:
        raise InputError(f"{given[0]} alone", hint="give translation_m and distance_m")
    shift = _array(table["translation_m"], "translation_m").reshape(-1)
    distance = _array(table["distance_m"], "distance_m").reshape(-1)
    if shift.shape != (3,) or distance.shape != (1,) or not distance[0] > 0:
        raise InputError(
            "translation_m and distance_m are three numbers and one above zero",
            hint="give metres",
        )
    return np.outer(shift, [0.0, 0.0, 1.0 / distance[0]])


def _camera(table: Any, name: str) -> PinholeCamera:
    if not isinstance(table, dict):
        raise InputError(f"{name}_camera is not a table", hint="see docs/alignment.md")
    unknown = sorted(set(table) - _CAMERA_KEYS)
    lacking = sorted({"size", "focal", "centre"} - set(table))
    if unknown or lacking:
        what = f"unknown key {unknown[0]!r}" if unknown else f"no {', '.join(lacking)}"
        raise InputError(f"{name}_camera: {what}", hint=f"use {', '.join(sorted(_CAMERA_KEYS))}")
    size = _size(table, "size")
    focal, centre = (
        _array(table[key], f"{name}_camera.{key}").reshape(-1) for key in ("focal", "centre")
    )
    distortion = _array(table.get("distortion", []), f"{name}_camera.distortion").reshape(-1)
    good = len(focal) == 2 and len(centre) == 2 and (focal > 0).all()
    if size is None or not good or len(distortion) not in (0, 4, 5, MOST_DISTORTION):
        raise InputError(
            f"{name}_camera: size, focal and centre are pairs, distortion has 0, 4, 5 or 8 numbers",
            hint="check their lengths and signs",
        )
    return PinholeCamera(
        size,
        (float(focal[0]), float(focal[1])),
        (float(centre[0]), float(centre[1])),
        tuple(distortion.tolist()),
    )


def _array(value: Any, name: str) -> Floats:
    try:
        found = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} is not numbers", hint="give numbers") from None
    if not np.isfinite(found).all():
        raise InputError(f"{name} has a number that is not finite", hint="give finite numbers")
    return found


def _size(table: Table[str, Any], name: str) -> Size | None:
    value = table.get(name)
    if value is None:
        return None
    good = isinstance(value, list) and len(value) == 2 and all(type(n) is int for n in value)
    if not good or min(value) < 1:
        raise InputError(f"{name} is {value!r}", hint="give [width, height]")
    return int(value[0]), int(value[1])


def _matrix(values: Floats) -> Matrix:
    if values.size != 9:
        raise InputError(f"{values.size} numbers", hint="a homography has 3 x 3")
    a, b, c, d, e, f, g, h, i = values.reshape(-1).tolist()
    return ((a, b, c), (d, e, f), (g, h, i))
