"""Small made-up trees in the layouts of the real data sets."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import scipy.io

WIDTH, HEIGHT = 16, 32


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def write_picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture(seed)[..., ::-1])


def write_mat(path, x, y, t, p):
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"x": x, "y": y, "timestamp": t, "polarity": p}
    content = {f"section_event_{name}": np.array([value]) for name, value in fields.items()}
    scipy.io.savemat(path, {"start_timestamp": np.array([[t[0]]]), **content})


def write_events(path, seed, count=40):
    generator = np.random.default_rng(seed)
    write_mat(
        path,
        generator.integers(1, WIDTH + 1, count),
        generator.integers(1, HEIGHT + 1, count),
        np.sort(generator.integers(0, 40_000, count)),
        generator.choice([-1, 1], count),
    )


@pytest.fixture(scope="session")
def make():
    """The writers, for tests that build their own."""

    class Make:
        width, height = WIDTH, HEIGHT

    Make.picture = staticmethod(picture)
    Make.write_picture = staticmethod(write_picture)
    Make.write_mat = staticmethod(write_mat)
    Make.write_events = staticmethod(write_events)
    return Make


def two_cameras(frames, events, cameras, names, count=5):
    for c, camera in enumerate(cameras):
        for n, name in enumerate(names):
            for f in range(count):
                seed = 1000 * c + 100 * n + f
                write_picture(frames / camera / name / f"{f + 1:04d}.png", seed)
                if f:  # one file per interval between frames
                    write_events(events / camera / name / f"{f:04d}.mat", seed)


@pytest.fixture
def prid(tmp_path):
    """Four persons, five frames each, two splits."""
    names = [f"person_{n:04d}" for n in (1, 3, 7, 9)]
    two_cameras(
        tmp_path / "prid_2011" / "multi_shot",
        tmp_path / "prid_event_divide" / "multi_shot",
        ("cam_a", "cam_b"),
        names,
    )
    splits = [{"train": names[:2], "test": names[2:]}, {"train": names[1:3], "test": names[::3]}]
    (tmp_path / "splits_prid2011.json").write_text(json.dumps(splits))
    return tmp_path


@pytest.fixture
def ilids(tmp_path):
    """Four persons, five frames each; persons 3 and 1 test in split 0."""
    two_cameras(
        tmp_path / "i-LIDS-VID" / "sequences",
        tmp_path / "i-LIDS-VID_mat_divide" / "sequences",
        ("cam1", "cam2"),
        [f"person{n:03d}" for n in (1, 2, 5, 8)],
    )
    folder = tmp_path / "train-test people splits"
    folder.mkdir()
    rows = np.array([[3, 1, 2, 4], [4, 2, 1, 3]], np.uint16)
    scipy.io.savemat(folder / "train_test_splits_ilidsvid.mat", {"ls_set": rows})
    return tmp_path


@pytest.fixture
def mars(tmp_path):
    """Train: 2 persons; test: 2 persons in 2 cameras, a distractor and junk; 4 frames each."""
    halves = {
        "train": [(1, 1), (1, 2), (4, 1), (4, 6)],
        "test": [(-1, 1), (0, 3), (2, 1), (2, 5), (6, 2), (6, 3)],
    }
    info = tmp_path / "info"
    info.mkdir()
    for half, tracklets in halves.items():
        names, rows = [], []
        for t, (person, camera) in enumerate(tracklets):
            folder = f"{person:04d}"
            stems = [f"{folder}C{camera}T0001F{f:03d}" for f in range(1, 5)]
            rows.append([len(names) + 1, len(names) + 4, person, camera])
            names += [f"{stem}.jpg" for stem in stems]
            for f, stem in enumerate(stems):
                write_picture(tmp_path / f"bbox_{half}" / folder / f"{stem}.jpg", 10 * t + f)
                write_events(tmp_path / "ev" / f"bbox_{half}" / folder / f"{stem}.mat", 10 * t + f)
        (info / f"{half}_name.txt").write_text("\n".join(names) + "\n")
        scipy.io.savemat(
            info / f"tracks_{half}_info.mat", {f"track_{half}_info": np.array(rows, np.int32)}
        )
    scipy.io.savemat(info / "query_IDX.mat", {"query_IDX": np.array([[3, 5]], np.uint16)})
    return tmp_path


@pytest.fixture
def evreid(tmp_path):
    """Persons 1 and 4 train; 2 and 6 test, with junk between; frames and event pictures."""
    halves = {
        "train": [(1, 1, 3), (1, 6, 2), (4, 2, 3)],
        "test": [(-1, 1, 2), (2, 1, 3), (2, 5, 1), (6, 2, 2), (6, 3, 2)],
    }
    info = tmp_path / "rgb_degrade" / "info"
    info.mkdir(parents=True)
    for half, tracks in halves.items():
        names, rows = [], []
        for person, camera, count in tracks:
            folder = "00-1" if person < 0 else f"{person:04d}"
            stems = [f"{folder}C{camera}T0001F{f:03d}" for f in range(1, count + 1)]
            rows.append((len(names), len(names) + count - 1, person, camera))
            names += [f"{stem}.jpg" for stem in stems]
            for f, stem in enumerate(stems):
                seed = 100 * len(rows) + f
                write_picture(tmp_path / "rgb_degrade" / half / folder / f"{stem}.jpg", seed)
                event_picture(tmp_path / "event" / half / folder / f"{stem}.jpg", f, person)
        (info / f"{half}_name.txt").write_text("\n".join(names) + "\n")
        variables = ("start_frame", "end_frame", "person_id", "cam_id")
        columns = np.array(rows, np.int32).T
        scipy.io.savemat(
            info / f"tracks_{half}_info.mat",
            {name: column[None] for name, column in zip(variables, columns, strict=True)},
        )
    # Rows 1 and 3 of the test half ask, counted from 0.
    scipy.io.savemat(info / "query_IDX.mat", {"query_IDX": np.array([[1, 3]], np.uint16)})
    return tmp_path


def event_picture(path, row, column):
    """White; a red block (ON) at a place that the arguments choose, a blue one (OFF) beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    image[8 * (row % 3) : 8 * (row % 3) + 8, :8] = (0, 0, 255)  # BGR
    image[8 * (row % 3) : 8 * (row % 3) + 8, 8:] = (255, 0, 0) if column > 0 else 255
    assert cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95])


@pytest.fixture
def mars_star(mars):
    """The tree `mars` moved to MARS*'s places, with event pictures."""
    for half in ("train", "test"):
        (mars / "rgb").mkdir(exist_ok=True)
        (mars / f"bbox_{half}").rename(mars / "rgb" / f"bbox_{half}")
        for path in (mars / "rgb" / f"bbox_{half}").rglob("*.jpg"):
            inner = path.relative_to(mars / "rgb")
            event_picture(mars / "event" / inner, int(path.stem[-3:]), 1)
    return mars


@pytest.fixture
def event_reid_v2(tmp_path):
    """Persons 1 to 6, two cameras, a second each in units of 100 us; 2 and 5 test."""
    rng = np.random.default_rng(0)
    for person in range(1, 7):
        for camera in (1, 2):
            folder = tmp_path / f"{person:03d}" / f"cam{camera:02d}"
            (folder / "labels").mkdir(parents=True)
            t = np.sort(rng.integers(0, 10_000, 3000))
            t[[0, -1]] = 0, 9999
            x, y = 300 + t // 100 + rng.integers(0, 20, 3000), 200 + rng.integers(0, 60, 3000)
            rows = np.stack([t, x, y, rng.integers(0, 2, 3000)], 1)
            lines = ["640 480", *(" ".join(map(str, row)) for row in rows.tolist())]
            (folder / "events.txt").write_text("\n".join(lines) + "\n")
            for k in range(30):
                left = 300 + int(100 * (k + 0.5) / 30)
                label = [[left, 200, left + 30, 260], 7 + k]
                (folder / "labels" / f"{k:04d}.json").write_text(json.dumps(label))
    return tmp_path


@pytest.fixture
def gesture(tmp_path):
    """Two users train and two test, under two lights, two gestures each, in milliseconds."""
    rng = np.random.default_rng(1)
    for user, half in ((1, "Train"), (2, "Train"), (24, "Test"), (25, "Test")):
        for light in ("fluorescent", "led"):
            folder = tmp_path / f"ibmGesture{half}" / f"user{user:02d}_{light}"
            folder.mkdir(parents=True)
            for k in (0, 10):
                t = np.sort(rng.uniform(0, 900, 2000))
                x, y = rng.integers(30, 90, 2000), rng.integers(10, 120, 2000)
                np.save(folder / f"{k}.npy", np.stack([x, y, rng.integers(0, 2, 2000), t], 1))
    return tmp_path


@pytest.fixture
def own(tmp_path):
    """Four persons by name, two cameras, six frames; one recording a tracklet beside them."""
    rng = np.random.default_rng(2)
    seen = {"train": ("anna", "bert"), "query": ("cleo", "dora"), "gallery": ("cleo", "dora")}
    for part, persons in seen.items():
        for p, person in enumerate(persons):
            for camera in (
                ("hall", "yard") if part == "train" else ({"query": "hall"}.get(part, "yard"),)
            ):
                inner = tmp_path / part / person / camera / "t1"
                for f in range(6):
                    write_picture(inner / f"frame{f + 8}.jpg", 10 * p + f)
                t = np.sort(rng.integers(-40_000, 200_000, 500))
                table = np.stack([t, rng.integers(0, WIDTH, 500), rng.integers(0, HEIGHT, 500),
                                  rng.integers(0, 2, 500)], 1)  # fmt: skip
                events = tmp_path / "events" / part / person / camera / "t1.txt"
                events.parent.mkdir(parents=True)
                np.savetxt(events, table, fmt="%d")
    return tmp_path
