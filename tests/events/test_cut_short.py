"""Files cut short: read up to there with `drop-tail`, or an error that says why that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, read_events, write_events


def write_hdf5(path: Path, events: Events) -> None:
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = events.array[name]


def write_mat(path: Path, events: Events) -> None:
    fields = {"t": "timestamp", "x": "x", "y": "y", "p": "polarity"}
    scipy.io.savemat(
        path,
        {
            f"section_event_{word}": events.array[name].astype(np.int64) + (name in "xy")
            for name, word in fields.items()
        },
    )


@pytest.mark.parametrize(
    ("name", "write", "why"),
    [
        ("a.h5", write_hdf5, "opens none that is shorter than it says (`h5clear"),
        ("a.mat", write_mat, "what is cut off are whole fields"),
        ("a.npz", write_events, "what is cut off are whole fields"),
    ],
)
def test_where_drop_tail_cannot_help_the_error_says_why(
    tmp_path: Path, sample: Events, name: str, write: Callable[..., None], why: str
) -> None:
    path = tmp_path / name
    write(path, sample)
    whole = path.read_bytes()
    assert len(read_events(path, sensor=(60, 40), mend=["drop-tail"])) == len(sample)
    path.write_bytes(whole[: len(whole) * 8 // 10])
    with pytest.raises(InputError) as caught:
        read_events(path, sensor=(60, 40))
    assert "drop-tail" not in str(caught.value)
    with pytest.raises(InputError, match="copy it again; drop-tail cannot help: ") as caught:
        read_events(path, sensor=(60, 40), mend=["drop-tail"])
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bag_cut_short(tmp_path: Path) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed: run make again")
    path = tmp_path / "a.bag"
    path.write_bytes(b"#ROSBAG V2.0\n" + bytes(100))
    with pytest.raises(InputError, match=r"drop-tail cannot help: a bag's index.*rosbag reindex"):
        read_events(path, sensor=(60, 40), mend=["drop-tail"])


def test_fields_of_the_cut_sample_are_otherwise_whole(tmp_path: Path, sample: Events) -> None:
    """What is checked here is the cut alone: the whole .npy can be cut and read."""
    np.save(tmp_path / "a.npy", sample.array)
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:-3])
    found = read_events(tmp_path / "a.npy", sensor=(60, 40), mend=["drop-tail"])
    np.testing.assert_array_equal(found.array, sample.array[:-1])
