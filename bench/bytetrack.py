"""ByteTrack beside the package `trackers`, on the same detections.

`trackers` requires opencv-python, which overwrites the headless build, so it lives in an
environment of its own, and this script runs a part of itself there:

    python3 -m venv peer && peer/bin/pip install trackers==2.6.1
    python bench/bytetrack.py --peer peer/bin/python [--video v.avi --detector person.onnx]

Without a video: made persons who walk, cross, stop and are hidden for a while, whose identities are
known. The figures are of boxes that either follows: how often both give a box to the same person,
after the numbers of the one have been matched with those of the other over all frames (IDF1), and
identity switches against the truth, where there is one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

SURE, BEGIN, UNSURE = 0.5, 0.6, 0.1
LOST_S = 2.0
SIZE, FRAMES, FPS = (768, 432), 600, 25.0


def made_persons(seed: int, persons: int = 8) -> dict[str, Any]:
    """Detections of persons who walk back and forth, with noise, misses and false alarms."""
    rng = np.random.default_rng(seed)
    rows, frames = [], np.arange(FRAMES)
    for person in range(persons):
        height = rng.uniform(60, 160)
        turns = np.cumsum(np.r_[rng.uniform(0, 700), rng.normal(0, 1.0, FRAMES - 1)])
        x = rng.uniform(60, 700) + rng.uniform(0.4, 2.4) * rng.choice([-1, 1]) * frames
        x = np.abs((x + 0.2 * turns) % (2 * SIZE[0]) - SIZE[0])  # reflected at the borders
        y = rng.uniform(height, SIZE[1] - 10) + 6 * np.sin(frames / rng.uniform(15, 40))
        hidden = np.zeros(FRAMES, bool)
        for begin in rng.integers(50, FRAMES - 60, 3):
            hidden[begin : begin + rng.integers(5, 30)] = True
        for f in np.flatnonzero(~hidden & (rng.random(FRAMES) > 0.03)):
            width = 0.4 * height
            box = [x[f] - width / 2, y[f] - height, x[f] + width / 2, y[f]]
            noisy = np.array(box) + rng.normal(0, 0.02 * height, 4)
            rows.append([f, *noisy, np.clip(rng.normal(0.75, 0.18), 0.12, 0.99), person])
    for f in rng.integers(0, FRAMES, FRAMES // 10):
        x0, y0 = rng.uniform(0, 700), rng.uniform(0, 300)
        rows.append([f, x0, y0, x0 + 40, y0 + 100, rng.uniform(0.1, 0.65), -1])
    table = np.array(sorted(rows))
    return {
        "frame": table[:, 0].astype(int),
        "boxes": table[:, 1:5],
        "scores": table[:, 5],
        "truth": table[:, 6].astype(int),
        "n": FRAMES,
        "fps": FPS,
    }


def detected(video: Path, detector: Path) -> dict[str, Any]:
    """Detections of a real video whose identities are unknown."""
    from sdcl_neuro.events.tracklets import Video
    from sdcl_neuro.events.tracklets.detecting import OnnxDetector

    film, network = Video(video), OnnxDetector(detector)
    frames, boxes, scores = [], [], []
    for index, _, picture in film:
        found = network.detect(picture)
        frames += [index] * len(found)
        boxes.append(found.boxes)
        scores.append(found.scores)
    return {
        "frame": np.array(frames),
        "boxes": np.concatenate(boxes),
        "scores": np.concatenate(scores),
        "truth": np.full(len(frames), -1),
        "n": film.length,
        "fps": film.fps,
    }


def ours(data: dict[str, Any]) -> np.ndarray:
    """The track number of each detection; -1 where it has none."""
    from sdcl_neuro.events.tracklets.detecting import ByteTrack, ByteTrackSettings, Detections

    settings = ByteTrackSettings(sure=data["sure"], begin=data["begin"], lost_s=LOST_S)
    tracker = ByteTrack(float(data["fps"]), settings)
    edges = np.searchsorted(data["frame"], np.arange(int(data["n"]) + 1))
    for a, b in pairwise(edges.tolist()):
        tracker.add(Detections(data["boxes"][a:b], data["scores"][a:b]))
    numbers = np.full(len(data["frame"]), -1)
    for number, (frames, boxes, _) in enumerate(tracker.finish()):
        for frame, box in zip(frames.tolist(), boxes, strict=True):
            a, b = edges[frame], edges[frame + 1]
            numbers[a + int(np.abs(data["boxes"][a:b] - box).sum(1).argmin())] = number
    return numbers


def theirs(path: Path) -> None:
    """Run `trackers` on the detections of a file; only numpy and it are imported here."""
    import supervision
    from trackers import ByteTrackTracker

    with np.load(path) as held:
        data = dict(held)
    tracker = ByteTrackTracker(
        # Its buffer counts frames at 30 a second.
        lost_track_buffer=round(LOST_S * 30),
        frame_rate=float(data["fps"]),
        track_activation_threshold=float(data["begin"]),
        high_conf_det_threshold=float(data["sure"]),
        minimum_iou_threshold=0.2,
    )
    numbers = np.full(len(data["frame"]), -1)
    edges = np.searchsorted(data["frame"], np.arange(int(data["n"]) + 1))
    for a, b in pairwise(edges.tolist()):
        own = np.flatnonzero(data["scores"][a:b] >= UNSURE) + a
        found = supervision.Detections(
            xyxy=data["boxes"][own].astype(np.float32),
            confidence=data["scores"][own].astype(np.float32),
            data={"place": own},
        )
        seen = tracker.update(found)
        if len(seen):
            numbers[seen.data["place"]] = seen.tracker_id
    np.save(path.with_suffix(".npy"), numbers)


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """IDF1: boxes to which both give matched numbers, over the mean of both's boxes."""
    from scipy.optimize import linear_sum_assignment

    _, rows = np.unique(one[one >= 0], return_inverse=True)
    _, columns = np.unique(other[other >= 0], return_inverse=True)
    shared = np.zeros((rows.max() + 1, columns.max() + 1), int)
    first, second = np.full(len(one), -1), np.full(len(one), -1)
    first[one >= 0], second[other >= 0] = rows, columns
    both = (first >= 0) & (second >= 0)
    np.add.at(shared, (first[both], second[both]), 1)
    best = shared[linear_sum_assignment(-shared)].sum()
    return float(2 * best / ((one >= 0).sum() + (other >= 0).sum()))


def switches(numbers: np.ndarray, data: dict[str, Any]) -> int:
    """Times that a true person goes on under another number."""
    last: dict[int, int] = {}
    count = 0
    for person, number in zip(data["truth"].tolist(), numbers.tolist(), strict=True):
        if person >= 0 and number >= 0:
            count += last.get(person, number) != number
            last[person] = number
    return count


def compared(data: dict[str, Any], peer: str) -> dict[str, Any]:
    """Both trackers on the same detections."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detections.npz"
        np.savez(path, **data)
        subprocess.run([peer, __file__, "--run-peer", str(path)], check=True)
        other = np.load(path.with_suffix(".npy"))
    own = ours(data)
    known = data["truth"] >= 0
    result: dict[str, Any] = {
        "detections": len(own),
        "boxes": {"ours": int((own >= 0).sum()), "trackers": int((other >= 0).sum())},
        "tracks": {"ours": len(set(own[own >= 0])), "trackers": len(set(other[other >= 0]))},
        "agreement_idf1": agreement(own, other),
    }
    if known.any():
        for name, numbers in (("ours", own), ("trackers", other)):
            result[f"{name}_idf1"] = agreement(numbers, data["truth"])
            result[f"{name}_switches"] = switches(numbers, data)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a python with trackers installed")
    parser.add_argument("--video", type=Path)
    parser.add_argument("--detector", type=Path)
    parser.add_argument("--detections", type=Path, help="kept from a run with --keep, a .npz")
    parser.add_argument("--keep", type=Path, help="where to keep a video's detections, a .npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--run-peer", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run_peer:
        theirs(args.run_peer)
        return
    if not args.peer or (args.video is None) != (args.detector is None):
        parser.error("give --peer PYTHON, and --video together with --detector")
    if args.video is not None or args.detections is not None:
        if args.detections is None:
            data = detected(args.video, args.detector)
        else:
            with np.load(args.detections) as held:
                data = {"truth": np.full(len(held["frame"]), -1), **held}
        if args.keep is not None:
            np.savez(args.keep, **data)
        data |= {"sure": 0.3, "begin": 0.4}
        print(json.dumps({str(args.video or args.detections): compared(data, args.peer)}))
    else:
        for seed in args.seeds:
            data = {**made_persons(seed), "sure": SURE, "begin": BEGIN}
            print(json.dumps({"seed": seed, **compared(data, args.peer)}))


if __name__ == "__main__":
    main()
