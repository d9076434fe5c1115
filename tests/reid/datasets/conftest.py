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
