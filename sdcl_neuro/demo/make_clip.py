"""How the demo's clip and tracks were made: ``python -m sdcl_neuro.demo.make_clip SOURCE OUT``.

SOURCE is ``one-by-one-person-detection.mp4`` (see ``clip/ATTRIBUTION.md``); the ``ffmpeg`` program
must be installed. Nothing of this runs in the demo, which only reads the two files written here.

Six persons come in, stand at a table and leave, one after another, before a fixed camera. Each is
found by OpenCV's MOG2 background subtraction against the empty scene before and after, once the
camera's automatic exposure is taken out; identity is the order of appearance.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.extras import need
from sdcl_neuro.files import atomic_path, file_sha256

SOURCE_SHA256 = "a5964aa259099a482a8b360ffc2c57b5a30f84d5919236a4dad01f8e929ac07c"
WIDTH, HEIGHT, FPS = 768, 432, 10
# Frames of the source (from 0) between which somebody is in the picture, one pair a person.
APPEARANCES = ((60, 201), (227, 450), (502, 701), (745, 871), (921, 1202), (1234, 1364))
# Of a long stand, this many frames are kept from its begin and as many before its end.
STAND_KEPT = 30
FLOOR = 280  # row where the wall meets the floor
PILLAR = 510  # column where the wall's pillar begins
EDGE_FRAMES = 3  # a person who leaves is half gone so long after the box met the edge
LEAD, TAIL = 6, 2  # frames of the empty scene kept before and after each appearance

Image = NDArray[np.uint8]
Boxes = NDArray[np.int64]  # [n, 4]: left, top, width, height in pixels


def read_frames(path: Path) -> Iterator[Image]:
    """Yield the source's frames, BGR ``[432, 768, 3]``."""
    cv2 = need("cv2", "making the clip")

    capture = cv2.VideoCapture(str(path))
    try:
        while True:
            good, frame = capture.read()
            if not good:
                return
            yield np.asarray(frame, dtype=np.uint8)
    finally:
        capture.release()


def match_exposure(frame: Image, empty: Image) -> Image:
    """Return `frame` with the tone of `empty`: a parabola per colour through the medians of 16 tone
    bands.

    A dark person makes the camera brighten the whole scene. Medians see the scene, not the person,
    who covers less than a fifth of it; three reweighted fits shrug off a band that is covered.
    """
    cv2 = need("cv2", "making the clip")

    matched = np.empty_like(frame)
    for colour in range(3):
        here, there = frame[::4, ::4, colour], empty[::4, ::4, colour]
        bands = np.unique(np.quantile(there, np.linspace(0, 1, 17)))
        band = np.digitize(there, bands[1:-1])
        used = [k for k in range(len(bands) - 1) if np.count_nonzero(band == k) >= 30]
        x = np.array([np.median(here[band == k]) for k in used])
        y = np.array([np.median(there[band == k]) for k in used])
        fit = np.polyfit(x, y, 2)
        for _ in range(3):
            fit = np.polyfit(x, y, 2, w=1 / np.maximum(np.abs(np.polyval(fit, x) - y), 2))
        table = np.clip(np.polyval(fit, np.arange(256)), 0, 255).astype(np.uint8)
        matched[..., colour] = cv2.LUT(np.ascontiguousarray(frame[..., colour]), table)
    return matched


def foreground(frames: Sequence[Image], empties: Sequence[Image]) -> list[Image]:
    """Return masks ``[432, 768]``: 2 is the person in each frame, 1 what may be or may be a
    shadow.
    """
    cv2 = need("cv2", "making the clip")

    subtractor = cv2.createBackgroundSubtractorMOG2(
        history=4 * len(empties), varThreshold=40, detectShadows=True
    )
    subtractor.setShadowThreshold(0.6)
    for empty in [*empties] * 4:
        subtractor.apply(empty)
    scene = np.median(np.stack(empties), axis=0).astype(np.uint8)
    masks = []
    for frame in frames:
        mask = subtractor.apply(match_exposure(frame, scene), None, 0)
        solid = _morph((mask == 255).astype(np.uint8), cv2.MORPH_OPEN, 5, 3)
        # A grey shirt before the white wall passes for a shadow; true shadows fall on the floor
        # and on the pillar.
        grey = (mask == 127).astype(np.uint8)
        grey[FLOOR:] = 0
        grey[:, PILLAR:] = 0
        both = solid | _morph(grey, cv2.MORPH_OPEN, 11, 11)
        person = _person(_morph(both, cv2.MORPH_CLOSE, 19, 9))
        masks.append(person + (person & solid))
    return masks


def _morph(mask: Image, operation: int, rows: int, columns: int) -> Image:
    cv2 = need("cv2", "making the clip")

    kernel = np.ones((rows, columns), np.uint8)
    return np.asarray(cv2.morphologyEx(mask, operation, kernel), dtype=np.uint8)


def _person(mask: Image) -> Image:
    """Return the largest part of a mask with those above and below it (a head may be cut off)."""
    cv2 = need("cv2", "making the clip")

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return mask
    left, _, width, _, _ = stats[1 + int(np.argmax(stats[1:, 4]))]
    parts = [
        k
        for k in range(1, count)
        if stats[k, 4] >= 600
        and min(left + width, stats[k, 0] + stats[k, 2]) - max(left, stats[k, 0]) > stats[k, 2] / 2
    ]
    return np.isin(labels, parts).astype(np.uint8)


def tight_box(mask: Image) -> tuple[int, int, int, int] | None:
    """Return box around the mask without its thin fringes (reflections on the floor, strands of
    hair).
    """
    # A head is never taken for a shadow; a shadow on the wall may reach above it.
    rows = np.flatnonzero(np.count_nonzero(mask == 2, axis=1) >= 14)
    if rows.size < 8:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    height = np.count_nonzero(mask[top:bottom], axis=0)
    columns = np.flatnonzero(height >= max(14, 0.08 * height.max()))
    if columns.size < 8:
        return None
    left, right = int(columns[0]), int(columns[-1]) + 1
    return left, top, right - left, bottom - top


def without_slips(boxes: Boxes) -> Boxes:
    """Return boxes whose edges are medians over five frames."""
    edges = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    padded = np.pad(edges, ((2, 2), (0, 0)), mode="edge")
    median = np.median(np.stack([padded[k : k + len(edges)] for k in range(5)]), axis=0)
    return _from_edges(median)


def without_trembling(boxes: Boxes) -> Boxes:
    """Return boxes whose edges are smoothed by a Gaussian of 0.8 frames."""
    edges = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    padded = np.pad(edges, ((2, 2), (0, 0)), mode="reflect", reflect_type="odd")
    weights = np.exp(-0.5 * (np.arange(-2, 3) / 0.8) ** 2)
    weights /= weights.sum()
    return _from_edges(
        np.sum([w * padded[k : k + len(edges)] for k, w in enumerate(weights)], axis=0)
    )


def _from_edges(edges: NDArray[np.float64]) -> Boxes:
    whole = np.rint(np.clip(edges, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])).astype(np.int64)
    return np.concatenate([whole[:, :2], whole[:, 2:] - whole[:, :2]], axis=1)


def visible(boxes: Boxes) -> NDArray[np.bool_]:
    """Return which boxes show enough of an upright person: most of the usual height, not a
    sliver.
    """
    usual = float(np.median(boxes[:, 3]))
    right_edge = boxes[:, 0] + boxes[:, 2] >= WIDTH - 2
    tall = boxes[:, 3] >= usual * np.where(right_edge, 0.85, 0.6)
    tall &= ~right_edge | (np.cumsum(right_edge) <= EDGE_FRAMES)
    good = tall & (boxes[:, 3] >= 1.05 * boxes[:, 2]) & (boxes[:, 2] >= 0.15 * boxes[:, 3])
    # One unbroken run, around the middle, from one bad box to the next.
    middle = len(good) // 2
    bad = np.flatnonzero(~good)
    first = int(bad[bad < middle].max(initial=-1)) + 1
    last = int(bad[bad > middle].min(initial=len(good)))
    run = np.zeros(len(good), dtype=np.bool_)
    run[first:last] = True
    return run


def kept_frames(boxes: Boxes, run: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return frames of one appearance that stay in the clip: all, but for the middle of a long
    stand.
    """
    centre = boxes[:, 0] + boxes[:, 2] / 2
    standing = run & (np.abs(centre - np.median(centre[run])) < 0.15 * np.median(boxes[run, 2]))
    inside = np.flatnonzero(standing)
    keep = np.ones(len(run), dtype=np.bool_)
    if inside.size > 2 * STAND_KEPT:
        keep[inside[STAND_KEPT] : inside[-STAND_KEPT]] = False
    return keep


def encode(frames: Sequence[Image], target: Path) -> None:
    """Write H.264 (4:2:0, ten frames a second, the source's colour tags) with ffmpeg."""
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-", "-an"]
    command += ["-c:v", "libx264", "-preset", "veryslow", "-crf", "26", "-pix_fmt", "yuv420p"]
    command += ["-vf", "scale=out_color_matrix=smpte170m:out_range=tv"]
    command += ["-color_range", "tv", "-colorspace", "smpte170m", "-color_trc", "smpte170m"]
    command += ["-color_primaries", "smpte170m", "-threads", "1", "-fflags", "+bitexact"]
    command += ["-flags:v", "+bitexact", "-movflags", "+faststart", "-f", "mp4"]
    with atomic_path(target) as temporary:
        try:
            process = subprocess.Popen([*command, str(temporary)], stdin=subprocess.PIPE)
        except FileNotFoundError as error:
            raise EnvironmentFault("ffmpeg is not installed", hint="install it") from error
        with process:
            assert process.stdin is not None  # because stdin=PIPE
            for frame in frames:
                process.stdin.write(frame.tobytes())
        if process.returncode:
            raise EnvironmentFault(f"ffmpeg ended with {process.returncode}", where=str(target))


def make(source: Path, folder: Path) -> None:
    """Write ``clip.mp4`` and ``tracks.txt`` (in MOTChallenge format) to `folder`."""
    if file_sha256(source) != SOURCE_SHA256:
        raise InputError(
            "is not the source video", where=str(source), hint="see clip/ATTRIBUTION.md for it"
        )
    frames = list(read_frames(source))
    clip: list[Image] = []
    lines: list[str] = []
    for person, (first, last) in enumerate(APPEARANCES, start=1):
        around = [
            *range(first - 14, first - 4, 2),
            *range(last + 6, min(last + 16, len(frames)), 2),
        ]
        masks = foreground(frames[first:last], [frames[k] for k in around])
        found = [tight_box(mask) for mask in masks]
        boxes = without_slips(np.array([box or (0, 0, 1, 1) for box in found]))
        run = visible(boxes)
        boxes[run] = without_trembling(boxes[run])
        keep = kept_frames(boxes, run)
        clip += frames[first - LEAD : first]
        for k in np.flatnonzero(keep):
            clip.append(frames[first + k])
            # After a joint, the interval before the frame is not real time: the box is left out.
            if run[k] and keep[k - 1]:
                left, top, width, height = boxes[k].tolist()
                lines.append(f"{len(clip)},{person},{left},{top},{width},{height},1,-1,-1,-1")
        clip += frames[last : last + TAIL]
    encode(clip, folder / "clip.mp4")
    with atomic_path(folder / "tracks.txt") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the module as a script."""
    parser = argparse.ArgumentParser(prog="make_clip", description=__doc__)
    parser.add_argument("source", type=Path, help="one-by-one-person-detection.mp4")
    parser.add_argument("folder", type=Path, help="folder for clip.mp4 and tracks.txt")
    chosen = parser.parse_args(arguments)
    make(chosen.source, chosen.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
