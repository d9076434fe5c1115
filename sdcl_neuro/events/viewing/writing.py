"""A scene to a file: HTML, MP4, GIF or PNG, by its ending; whole or not at all."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import EnvironmentFault, InputError, number_of
from sdcl_neuro.extras import need
from sdcl_neuro.files import atomic_path, scratch_folder

from .drawing import draw_moment, labelled, scaled
from .page import page
from .scene import Picture, Scene

FILM_FRAMES_MAX = 20_000
GIF_FRAMES_MAX = 600
SHEET = (3, 2)
"""Moments of a PNG, across and down."""


@dataclass(frozen=True)
class Look:
    """How a scene is shown.

    Attributes:
        speed: seconds of the recording in a second of film.
        rate: pictures a second of film.
        window_us: how long an event stays; 0 takes one picture's share of the recording.
        width: of the pictures, in pixels; 0 takes the scene's own, made larger if it is small.
        most_events: that a page holds; with more, every n-th is kept.
    """

    speed: float = 1.0
    rate: float = 25.0
    window_us: int = 0
    width: int = 0
    most_events: int = 2_000_000

    def __post_init__(self) -> None:
        limits = (
            ("speed", 1e-4, 1e4),
            ("rate", 0.1, 240.0),
            ("window_us", 0, 1 << 40),
            ("width", 0, 7680),
            ("most_events", 1000, 1 << 26),
        )
        for name, low, high in limits:
            if not low <= getattr(self, name) <= high:
                raise InputError(
                    f"{name} is {getattr(self, name):g}", hint=f"give {low:g} to {high:g}"
                )

    def step_us(self) -> float:
        """Return time of the recording from one picture to the next."""
        return 1e6 * self.speed / self.rate

    def window(self) -> int:
        """Return how long an event stays, in microseconds."""
        return self.window_us or max(1, round(self.step_us()))

    def pixels(self, scene: Scene) -> int:
        """Return width of the pictures; even, as films want it."""
        wanted = self.width or max(scene.size[0], min(640, 4 * scene.size[0]))
        return wanted // 2 * 2 or 2


def write_view(
    path: Path,
    scene: Scene,
    look: Look | None = None,
    *,
    advance: Callable[[int], None] = lambda count: None,
) -> str:
    """Write a scene; return in words what was written.

    Args:
        path: ends in ``.html``, ``.mp4``, ``.gif`` or ``.png``.
        scene: what is shown.
        look: how.
        advance: called with 1 after each picture.

    Raises:
        InputError: another ending, or more pictures than a film may have.
        EnvironmentFault: this OpenCV cannot write films.
    """
    look = look or Look()
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(
            f"pictures are not written as {path.suffix!r}",
            where=str(path),
            hint=f"give one of {', '.join(WRITERS)}",
        )
    return writer(path, scene, look, advance)


def _moments(scene: Scene, look: Look) -> Iterator[Picture]:
    """Yield the pictures of a film."""
    count = _count(scene, look)
    frames = scene.shown_frames(FILM_FRAMES_MAX)
    current, following = None, next(frames, None)
    width = look.pixels(scene)
    for k in range(count):
        until = scene.start_us + round((k + 1) * look.step_us())
        while following is not None and following[0] <= until:
            current, following = following[1], next(frames, None)
        picture = scaled(draw_moment(scene.events, until, look.window(), current), width)
        even = picture[: picture.shape[0] // 2 * 2]
        yield labelled(even, f"{(until - scene.start_us) / 1e6:.3f} s")


def _count(scene: Scene, look: Look) -> int:
    return max(1, int(np.ceil(scene.seconds * 1e6 / look.step_us())))


def _film(path: Path, scene: Scene, look: Look, advance: Callable[[int], None]) -> str:
    cv2 = need("cv2", "drawing a view")

    count = _limited(scene, look, FILM_FRAMES_MAX, path)
    moments = _moments(scene, look)
    first = next(moments)
    with scratch_folder("sdcl_neuro") as folder:
        file = folder / "film.mp4"
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        film = cv2.VideoWriter(str(file), fourcc, look.rate, first.shape[1::-1])
        if not film.isOpened():
            raise EnvironmentFault("this OpenCV writes no MP4", hint="write .html or .gif")
        for picture in itertools.chain([first], moments):
            film.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            advance(1)
        film.release()
        _check_film(file, count, path)
        with atomic_path(path) as temporary:
            shutil.copyfile(file, temporary)
    size = f"{first.shape[1]}x{first.shape[0]}"
    return f"{number_of(count, 'picture')} at {look.rate:g} a second, {size}"


def _check_film(file: Path, count: int, path: Path) -> None:
    """See that a film is whole: OpenCV does not say when the disk is full."""
    cv2 = need("cv2", "writing a film")
    film = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG)
    found = int(film.get(cv2.CAP_PROP_FRAME_COUNT)) if film.isOpened() else 0
    film.release()
    if found != count:
        raise InputError(
            f"only {max(found, 0)} of {count} pictures could be written in {file.parent.parent}",
            where=str(path),
            hint="free some space there, or name another place in TMPDIR",
        )


def _gif(path: Path, scene: Scene, look: Look, advance: Callable[[int], None]) -> str:
    Image = need("PIL.Image", "writing a GIF")

    count = _limited(scene, look, GIF_FRAMES_MAX, path)
    pictures = []
    for picture in _moments(scene, look):
        pictures.append(Image.fromarray(picture).quantize(64))
        advance(1)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        pictures[0].save(
            stream,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            # GIF counts hundredths of a second.
            duration=max(20, round(100 / look.rate) * 10),
            loop=0,
        )
    size = f"{pictures[0].width}x{pictures[0].height}"
    return f"{number_of(count, 'picture')} at {look.rate:g} a second, {size}"


def _sheet(path: Path, scene: Scene, look: Look, advance: Callable[[int], None]) -> str:
    cv2 = need("cv2", "drawing a view")

    across, down = SHEET
    shown = across * down
    span = scene.end_us - scene.start_us
    # A sheet has no picture's share: a window of its own, unless one is given.
    window = look.window_us or max(1, min(span // shown, 33_333))
    moments = [scene.start_us + round(span * (k + 1) / shown) for k in range(shown)]
    tiles = []
    for until, frame in zip(moments, _frames_at(scene, moments), strict=True):
        tile = scaled(draw_moment(scene.events, until, window, frame), look.pixels(scene))
        tiles.append(labelled(tile, f"{(until - scene.start_us) / 1e6:.3f} s"))
        advance(1)
    rows = [np.hstack(tiles[k : k + across]) for k in range(0, shown, across)]
    good, data = cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    if not good:
        raise EnvironmentFault("this OpenCV writes no PNG", hint="write .html")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
    return f"{shown} moments, {window / 1e3:g} ms of events each"


def _frames_at(scene: Scene, moments: list[int]) -> list[NDArray[np.uint8] | None]:
    """Return the frame that is on the screen at each moment."""
    found: list[NDArray[np.uint8] | None] = [None] * len(moments)
    for time, picture in scene.shown_frames(FILM_FRAMES_MAX):
        for k, moment in enumerate(moments):
            if time <= moment:
                found[k] = picture
    return found


def _limited(scene: Scene, look: Look, most: int, path: Path) -> int:
    count = _count(scene, look)
    if count > most:
        raise InputError(
            f"{count:,} pictures, at most {most:,} go into {path.suffix}",
            where=str(path),
            hint="give --between, a higher --speed or a lower --picture-rate, or write .html",
        )
    return count


def _html(path: Path, scene: Scene, look: Look, advance: Callable[[int], None]) -> str:
    text, said = page(scene, look.window_us, look.most_events, look.width, advance)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return said


WRITERS: dict[str, Callable[[Path, Scene, Look, Callable[[int], None]], str]] = {
    ".html": _html,
    ".mp4": _film,
    ".gif": _gif,
    ".png": _sheet,
}
