"""Detectors of every family, background subtraction, ByteTrack and the score of tracks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.demo import clip_path, tracks_path
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Track, Video, read_mot
from sdcl_neuro.events.tracklets.detecting import (
    BackgroundDetector,
    ByteTrack,
    ByteTrackSettings,
    Detections,
    OnnxDetector,
    detect_tracks,
    score_tracks,
)
from sdcl_neuro.events.tracklets.detecting.detections import overlaps, without_doubles

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, tensors = onnx.helper, onnx.TensorProto
# Left, top, right, bottom in a picture of 64x48, and the score of a person; then a dog.
PERSON, DOG = (10.0, 8.0, 20.0, 38.0), (30.0, 20.0, 50.0, 30.0)


def constant(name: str, values: np.ndarray) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(values))


def detector(path: Path, picture: tuple, kind: int, named: dict, metadata: dict | None = None):
    """A detector that answers the same to every picture of its own size."""
    nodes = [constant(f"{name}_raw", value) for name, value in named.items()]
    # The outputs depend on the picture, so that nothing is folded away.
    nodes += [
        helper.make_node("Cast", ["image"], ["real"], to=tensors.FLOAT),
        helper.make_node("ReduceMin", ["real"], ["low"], keepdims=0),
        constant("nothing", np.float32(0)),
        helper.make_node("Mul", ["low", "nothing"], ["zero"]),
    ]
    outputs = []
    for name, value in named.items():
        if value.dtype.kind == "f":
            nodes.append(helper.make_node("Add", [f"{name}_raw", "zero"], [name]))
        else:
            nodes.append(helper.make_node("Identity", [f"{name}_raw"], [name]))
        dtype = tensors.FLOAT if value.dtype.kind == "f" else tensors.INT64
        outputs.append(helper.make_tensor_value_info(name, dtype, value.shape))
    graph = helper.make_graph(
        nodes, "detector", [helper.make_tensor_value_info("image", kind, picture)], outputs
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def centred(box: tuple) -> list[float]:
    x0, y0, x1, y1 = box
    return [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]


def padded(rows: list[list[float]], count: int) -> np.ndarray:
    return np.array(rows + [[0.0] * len(rows[0])] * (count - len(rows)), np.float32)


def logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def families() -> dict[str, tuple]:
    unit = np.array([64, 48, 64, 48])
    person, dog = np.array(PERSON), np.array(DOG)
    yolo = padded([[*centred(PERSON), 0.9, 0.1], [*centred(DOG), 0.02, 0.8]], 20)
    yolo5 = padded([[*centred(PERSON), 0.9, 1.0, 0.0], [*centred(DOG), 0.9, 0.01, 1]], 20)
    finished = padded([[*PERSON, 0.9, 0], [*DOG, 0.8, 16]], 10)
    queries = padded([list(centred(PERSON) / unit), list(centred(DOG) / unit)], 5)
    labels = padded([[-9, logit(0.9), -9], [-9, -9, logit(0.8)]], 5)
    labels[2:] = -9
    corners = np.stack([person / unit, dog / unit])[:, [1, 0, 3, 2]].astype(np.float32)
    return {
        "Ultralytics YOLO": ((1, 3, 48, 64), tensors.FLOAT, {"output0": yolo.T[None]}),
        "YOLOv5": ((1, 3, 48, 64), tensors.FLOAT, {"output": yolo5[None]}),
        "boxes, score, class (YOLO end to end)": (
            (1, 3, 48, 64), tensors.FLOAT, {"output0": finished[None]},
        ),
        "DETR (RF-DETR)": (
            (1, 3, 48, 64), tensors.FLOAT, {"dets": queries[None], "labels": labels[None]},
        ),
        "TensorFlow detection API": (
            (1, 48, 64, 3), tensors.UINT8,
            {
                "num_detections": np.array([2], np.float32),
                "detection_scores": np.array([[0.9, 0.8]], np.float32),
                "detection_boxes": corners[None],
                "detection_classes": np.array([[1, 18]], np.float32),
            },
        ),
        "torchvision": (
            (3, 48, 64), tensors.FLOAT,
            {
                "boxes": np.stack([person, dog]).astype(np.float32),
                "labels": np.array([1, 18], np.int64),
                "scores": np.array([0.9, 0.8], np.float32),
            },
        ),
    }  # fmt: skip


@pytest.mark.parametrize("family", families())
def test_every_family_gives_the_person_alone(tmp_path: Path, family: str) -> None:
    picture, kind, named = families()[family]
    found = OnnxDetector(detector(tmp_path / "d.onnx", picture, kind, named))
    assert found.layout.name == family
    assert "d.onnx does not name its classes" in found.assumed[0]
    # Twice the size: what the network says of its own picture is scaled back.
    seen = found.detect(np.zeros((96, 128, 3), np.uint8))
    sure = seen.pick(seen.scores > 0.5)
    np.testing.assert_allclose(sure.boxes, [np.array(PERSON) * 2], atol=1e-3)
    np.testing.assert_allclose(sure.scores, [0.9], atol=1e-5)
    if found.layout.letterbox:  # a wider frame is filled up above and below: 8 rows of 48 each
        seen = found.detect(np.zeros((96, 192, 3), np.uint8))
        sure = seen.pick(seen.scores > 0.5)
        wanted = (np.array(PERSON) - [0, 8, 0, 8]) * 3
        np.testing.assert_allclose(sure.boxes, [wanted.clip(0, 192)], atol=1e-3)


def test_frames_that_would_be_squeezed_are_looked_at_in_parts(tmp_path: Path) -> None:
    """Each part has the network's proportions; the detector answers the same to each."""
    picture, kind, named = families()["TensorFlow detection API"]
    path = detector(tmp_path / "d.onnx", picture, kind, named)

    def lefts(width: int, height: int, **how: tuple) -> list[tuple[float, float]]:
        found = OnnxDetector(path, **how).detect(np.zeros((height, width, 3), np.uint8))
        sure = found.pick(found.scores > 0.85)
        return sorted((round(float(x)), round(float(y))) for x, y in sure.boxes[:, :2])

    # 256x96 is twice as wide as 64x48: the whole, and parts of 128 columns at 0, 64 and 128.
    assert lefts(256, 96) == [(20, 16), (40, 16), (84, 16), (148, 16)]
    assert lefts(256, 96, tiles=(1, 1)) == [(40, 16)]
    # 64x96: parts of 48 rows at 0, 24 and 48; the middle one's lies within the whole's.
    assert lefts(64, 96) == [(10, 8), (10, 16), (10, 56)]
    assert lefts(128, 72) == [(20, 12)]  # squeezed by a third
    picture, kind, named = families()["Ultralytics YOLO"]  # filled up, never squeezed
    path = detector(tmp_path / "y.onnx", picture, kind, named)
    assert len(lefts(256, 96)) == 1
    assert OnnxDetector(path).describe()["tiles"] is None


def test_classes_origin_and_licence_are_the_files_own(tmp_path: Path) -> None:
    picture, kind, named = families()["Ultralytics YOLO"]
    metadata = {"names": "{0: 'dog', 1: 'person'}", "author": "Somebody", "license": "AGPL-3.0"}
    path = detector(tmp_path / "d.onnx", picture, kind, named, metadata)
    found = OnnxDetector(path)
    assert (found.person, found.assumed) == (1, ())
    told = found.describe()
    assert (told["origin"], told["licence"]) == ("Somebody", "AGPL-3.0")
    (box,) = found.detect(np.zeros((48, 64, 3), np.uint8)).pick(np.array([0])).boxes
    np.testing.assert_allclose(box, DOG, atol=1e-3)
    tiled = OnnxDetector(path, tiles=(2, 2), person=1)
    assert tiled.describe()["tiles"] == [2, 2]
    assert len(tiled.detect(np.zeros((96, 128, 3), np.uint8))) >= 2


def test_what_is_no_detector(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(InputError, match="not an ONNX model"):
        OnnxDetector(tmp_path / "text.onnx")
    with pytest.raises(InputError, match="no such file"):
        OnnxDetector(tmp_path / "missing.onnx")
    path = detector(
        tmp_path / "d.onnx", (1, 3, 8, 8), tensors.FLOAT, {"class": np.zeros((1, 1000), np.float32)}
    )
    with pytest.raises(InputError, match="not a detector's of a known family"):
        OnnxDetector(path)


def test_doubles_are_suppressed() -> None:
    boxes = np.array([[0, 0, 10, 20], [1, 1, 11, 21], [30, 0, 40, 20], [2, 2, 8, 8]], float)
    found = Detections(boxes, np.array([0.5, 0.9, 0.4, 0.3]))
    assert without_doubles(found, most_overlap=0.6).scores.tolist() == [0.9, 0.4, 0.3]
    whole = without_doubles(found, most_overlap=0.6, most_inside=0.75)
    assert whole.scores.tolist() == [0.9, 0.4]
    assert overlaps(boxes[:1], boxes[:2]).round(3).tolist() == [[1.0, 0.747]]


def walkers(frames: int) -> list[Detections]:
    """Two persons who cross, one of whom is hardly seen for a while and then not at all."""
    found = []
    for k in range(frames):
        boxes, scores = [[5 * k, 10, 5 * k + 20, 70]], [0.9]
        if not 12 <= k < 16:
            boxes.append([200 - 5 * k, 14, 222 - 5 * k, 78])
            scores.append(0.25 if 8 <= k < 12 else 0.8)
        boxes.append([300, 100, 310, 120])  # unsure alone: never a track
        scores.append(0.3)
        found.append(Detections(np.array(boxes, float), np.array(scores)))
    return found


def test_tracks_outlive_doubt_and_absence() -> None:
    tracker = ByteTrack(10, ByteTrackSettings(sure=0.5, unsure=0.1, begin=0.6))
    for found in walkers(40):
        tracker.add(found)
    one, other = tracker.finish()
    assert one[0].tolist() == list(range(40))
    assert other[0].tolist() == [*range(12), *range(16, 40)]
    np.testing.assert_allclose(one[1][:, 0], 5 * np.arange(40))
    np.testing.assert_allclose(other[1][:, 0], 200 - 5 * other[0])
    # Out of sight for longer than a track is kept: a new one.
    tracker = ByteTrack(10, ByteTrackSettings(sure=0.5, unsure=0.1, begin=0.6, lost_s=0.2))
    for found in walkers(40):
        tracker.add(found)
    assert len(tracker.finish()) == 3
    with pytest.raises(InputError, match="ascending order"):
        ByteTrackSettings(sure=0.9, begin=0.5)


def track(identity: int, frames: range, left: float) -> Track:
    boxes = np.tile([left, 0.0, 10.0, 20.0], (len(frames), 1))
    return Track(identity, np.array(frames), boxes)


def test_the_score_counts_by_hand() -> None:
    given = [track(1, range(10), 0), track(2, range(10), 50)]
    found = [track(7, range(4), 0), track(8, range(4, 10), 0), track(9, range(5), 90)]
    score = score_tracks(given, found)
    assert (score.recall, score.precision, score.switches) == (0.5, 10 / 15, 1)
    assert score.fragments == 2
    assert score_tracks(given, given).to_dict() == {
        "recall": 1.0, "precision": 1.0, "switches": 0, "fragments": 1.0, "given": 20, "found": 20,
    }  # fmt: skip
    assert score_tracks(given, found, frames=[0, 1]).recall == 0.5


class Beginning(Video):
    """The first frames of a video."""

    def __iter__(self) -> Iterator:
        return islice(super().__iter__(), 195)


@pytest.mark.parametrize("kind", [Beginning, pytest.param(Video, marks=pytest.mark.slow)])
def test_persons_of_the_packaged_clip_without_a_network(kind: type[Video]) -> None:
    """Background subtraction and ByteTrack find them, each under one number."""
    video, given = kind(clip_path()), read_mot(tracks_path())
    if kind is Beginning:
        given = given[:2]
    detected = detect_tracks(video, BackgroundDetector(video, video.count))
    score = score_tracks(given, detected.tracks)
    assert score.recall > 0.9
    assert score.precision > 0.6
    assert score.switches <= 3
    assert detected.frames == (195 if kind is Beginning else 605)
    assert "background subtraction" in str(detected)
