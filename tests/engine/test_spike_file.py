"""Spike files: round trips, and everything that is not one."""

from __future__ import annotations

import io
import zipfile

import h5py
import numpy as np
import pytest

from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spike_file import read_spikes, write_spikes
from sdcl_neuro.testing import random_network, random_spikes

ENDINGS = (".npz", ".h5")
SPIKES = (np.random.default_rng(0).random((5, 2, 2, 4, 3)) < 0.3).astype(np.uint8)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("spikes", [SPIKES, SPIKES.reshape(5, 2, 24)])
def test_input_round_trip(tmp_path, ending, spikes):
    path = tmp_path / f"in{ending}"
    write_spikes(path, spikes)
    again = read_spikes(path)
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, spikes)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_layers_of_a_record(tmp_path, ending):
    net = random_network(3, layers=3)
    record = run_network(net, random_spikes(net, 3), layers=[0, 2])
    path = tmp_path / f"out{ending}"
    write_spikes(path, record)
    opened = np.load(path) if ending == ".npz" else h5py.File(path)
    with opened as file:
        assert sorted(file) == ["layer_0", "layer_2"]
        np.testing.assert_array_equal(file["layer_2"][()], record.spikes[2])


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32])
def test_other_number_types_are_taken(tmp_path, dtype):
    np.savez(tmp_path / "in.npz", spikes=SPIKES.astype(dtype))
    np.testing.assert_array_equal(read_spikes(tmp_path / "in.npz"), SPIKES)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (SPIKES[0, 0, 0], "got shape"),
        (SPIKES[:0], "empty"),
        (SPIKES.astype(np.int8) - 1, "from -1"),
        (SPIKES.astype(np.float64) + 0.5, "whole"),
        (np.full(SPIKES.shape, np.nan), "nan"),
        (SPIKES.astype(np.int64) * 256, "256"),
    ],
)
def test_wrong_values(tmp_path, ending, values, words):
    path = tmp_path / f"in{ending}"
    if ending == ".npz":
        np.savez(path, spikes=values)
    else:
        with h5py.File(path, "w") as file:
            file["spikes"] = values
    with pytest.raises(InputError, match=words) as caught:
        read_spikes(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_are_something_else(tmp_path, ending):
    path = tmp_path / f"in{ending}"
    with pytest.raises(InputError, match="no such file"):
        read_spikes(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="readable"):
        read_spikes(path)
    path.write_bytes(b"not what it says" * 100)
    with pytest.raises(InputError, match="readable"):
        read_spikes(path)
    write_spikes(path, SPIKES)
    whole = path.read_bytes()
    for length in (10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_spikes(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_array_of_another_name(tmp_path, ending):
    path = tmp_path / f"in{ending}"
    write_spikes(path, {0: SPIKES})
    with pytest.raises(InputError, match=r"no array 'spikes' among \['layer_0'\]"):
        read_spikes(path)


def test_pickled_objects_are_not_loaded(tmp_path):
    path = tmp_path / "in.npz"
    np.savez(path, spikes=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="readable"):
        read_spikes(path)


def test_a_declared_size_beyond_reason_is_refused_unread(tmp_path):
    header = io.BytesIO()
    shape = (1 << 40, 2, 3)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(tmp_path / "in.npz", "w") as archive:
        archive.writestr("spikes.npy", header.getvalue())
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("spikes", shape, "u1", chunks=(1 << 20, 1, 1))
    for ending in ENDINGS:
        with pytest.raises(InputError, match="declares"):
            read_spikes(tmp_path / f"in{ending}")


def test_other_endings(tmp_path):
    for function in (read_spikes, lambda path: write_spikes(path, SPIKES)):
        with pytest.raises(InputError, match="ending"):
            function(tmp_path / "spikes.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "in.npz"
    write_spikes(path, SPIKES)
    before = path.read_bytes()
    with pytest.raises(InputError):
        write_spikes(path, np.zeros((0, 1, 1), np.uint8))
    assert path.read_bytes() == before
