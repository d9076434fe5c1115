"""How well persons are found and followed: the packaged clip, and Debian's vtest.avi.

The clip's truth is its packaged tracks, that of vtest.avi (package opencv-doc) the boxes of
`vtest_tracks.txt`, eight frames marked by hand. Settings are those of `infer --detect`. Times are
of the detector alone, of ways to look at a frame interleaved on the same frames, with their ratio
to the whole frame's.

    python bench/detection.py --detector person.onnx [--vtest vtest.avi] [--json FILE]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from sdcl_neuro.demo import clip_path, tracks_path
from sdcl_neuro.events.tracklets import Video, read_mot
from sdcl_neuro.events.tracklets.detecting import (
    DetectionOptions,
    OnnxDetector,
    detect_tracks,
    score_tracks,
)
from sdcl_neuro.files import write_json

VTEST = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
WAYS = {"whole": (1, 1), "parts": None, "2x2": (2, 2)}
TIMED_FRAMES = 12


def scored(path: Path, truth: Path, options: DetectionOptions) -> dict[str, Any]:
    """Recall, precision and switches over a whole video, judged where there is truth."""
    video, given = Video(path), read_mot(truth)
    detector, _ = options.open(video)
    found = detect_tracks(video, detector, options.settings())
    frames = sorted({int(index) for track in given for index in track.indices})
    whole = len(frames) > video.length // 2
    score = score_tracks(given, found.tracks, frames=None if whole else frames)
    return {**score.to_dict(), "tracks": len(found.tracks), "filled_boxes": found.filled}


def timed(path: Path, detector: Path) -> dict[str, Any]:
    """Milliseconds a frame of each way to look at it, and the median ratio to the whole frame."""
    video = Video(path)
    ways = {name: OnnxDetector(detector, tiles=tiles, threads=1) for name, tiles in WAYS.items()}
    step = max(1, video.length // TIMED_FRAMES)
    took: dict[str, list[float]] = {name: [] for name in ways}
    for index, _, frame in video:
        if index % step == 0:
            for name, network in ways.items():
                begun = time.perf_counter()
                network.detect(frame)
                took[name].append(1e3 * (time.perf_counter() - begun))
    whole = np.array(took["whole"])
    return {
        name: {
            "median_ms": float(np.median(values)),
            "times_whole": float(np.median(np.array(values) / whole)),
        }
        for name, values in took.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--vtest", type=Path, default=VTEST)
    parser.add_argument("--no-times", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    videos = {"packaged clip": (clip_path(), tracks_path())}
    if args.vtest.exists():
        videos["vtest.avi"] = (args.vtest, Path(__file__).with_name("vtest_tracks.txt"))
    result: dict[str, Any] = {}
    for name, (path, truth) in videos.items():
        for kind, options in (
            ("network", DetectionOptions(args.detector)),
            ("background subtraction", DetectionOptions()),
        ):
            row = result[f"{name}, {kind}"] = scored(path, truth, options)
            print(
                f"{name}, {kind}: recall {row['recall']:.2f}, precision {row['precision']:.2f}, "
                f"switches {row['switches']}",
                flush=True,
            )
        if not args.no_times:
            result[f"{name}, times"] = timed(path, args.detector)
            print(result[f"{name}, times"], flush=True)
    if args.json is not None:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
