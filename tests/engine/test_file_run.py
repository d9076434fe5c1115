"""Files through a network in pieces: the results of a run at once, in memory that does not grow."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest

from sdcl_neuro import engine
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.engine import run_file, run_network
from sdcl_neuro.engine.totals import COUNTED
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.testing import KINDS, random_network, random_spikes


def layers_of(path):
    with h5py.File(path, "r") as file:
        return {int(name.removeprefix("layer_")): file[name][()] for name in file}


def assert_same(record, spikes, whole):
    assert sorted(spikes) == sorted(whole.spikes)
    for index, values in whole.spikes.items():
        np.testing.assert_array_equal(spikes[index], values)
        assert spikes[index].dtype == np.uint8
    assert (record.steps, record.samples) == (whole.steps, whole.samples)
    for own, other in zip(record.activity, whole.activity, strict=True):
        for name in COUNTED:
            np.testing.assert_array_equal(getattr(own, name), getattr(other, name))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece_bytes", [1, 600, 1 << 20])
def test_pieces_give_the_run_at_once(tmp_path, kind, piece_bytes):
    net = random_network(8, kind=kind, layers=2, message_bits=2)
    spikes = random_spikes(net, 8, steps=13, samples=7)
    write_spikes(tmp_path / "in.h5", spikes)
    record = run_file(net, tmp_path / "in.h5", tmp_path / "out.h5", piece_bytes=piece_bytes)
    assert_same(record, layers_of(tmp_path / "out.h5"), run_network(net, spikes))
    assert record.spikes == {}


def test_the_dense_path_in_pieces(tmp_path, monkeypatch):
    net = random_network(9, kind="any", layers=3)
    spikes = random_spikes(net, 9, steps=9, samples=3)
    write_spikes(tmp_path / "in.h5", spikes)
    from sdcl_neuro.devices import named_device
    from sdcl_neuro.engine import file_run
    from sdcl_neuro.engine.dense import ReferenceStream

    def dense(net, entry, samples, *, keep, device):
        return ReferenceStream(net, samples, keep=keep, device=named_device(device))

    monkeypatch.setattr(file_run, "_stream", dense)
    record = run_file(net, tmp_path / "in.h5", tmp_path / "out.h5", layers=[2], piece_bytes=100)
    whole = run_network(net, spikes, layers=[2])
    assert_same(record, layers_of(tmp_path / "out.h5"), whole)


def test_the_verb_takes_pieces_from_h5_to_h5(tmp_path, monkeypatch, capsys):
    net = replace(random_network(3, kind="conv", layers=2), message_bits=0)
    spikes = random_spikes(net, 3, steps=11, samples=2)
    to_netx(net, tmp_path / "net.net")
    write_spikes(tmp_path / "in.h5", spikes)
    write_spikes(tmp_path / "in.npz", spikes)
    used = []
    original = engine.run_file
    monkeypatch.setattr(engine, "run_file", lambda *a, **k: used.append(1) or original(*a, **k))
    for ending in ("h5", "npz"):
        files = ["--spikes", str(tmp_path / f"in.{ending}"), "--out", str(tmp_path / "out.h5")]
        arguments = ["run", str(tmp_path / "net.net"), *files, "--layers", "1", "--quiet"]
        assert main([*arguments, "--json", str(tmp_path / f"{ending}.json")]) == 0
        np.testing.assert_array_equal(
            layers_of(tmp_path / "out.h5")[1], run_network(net, spikes).spikes[1]
        )
    assert used == [1]

    one, other = (json.loads((tmp_path / f"{e}.json").read_text()) for e in ("h5", "npz"))
    for key in ("steps", "samples", "layers_kept", "activity", "backend"):
        assert one[key] == other[key]
    assert "layers_kept" in one
    capsys.readouterr()


@pytest.mark.parametrize("what", ["steps", "samples"])
def test_memory_grows_neither_with_steps_nor_with_samples(tmp_path, what):
    net = random_network(5, kind="conv", layers=2)
    small, peaks = {"steps": 200, "samples": 8}, []
    for times in (1, 8):
        size = {**small, what: small[what] * times}
        write(tmp_path / "in.h5", random_spikes(net, 5, **size), chunks=(50, 1, *net.input_shape))
        tracemalloc.start()
        run_file(net, tmp_path / "in.h5", tmp_path / "out.h5", piece_bytes=20_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    per_step = int(np.prod(net.input_shape)) + sum(layer.neurons for layer in net.layers)
    assert peaks[1] - peaks[0] < 0.15 * 7 * 200 * 8 * per_step


def write(path, values, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("spikes", data=values, **options)


def test_what_cannot_be_run_leaves_no_file(tmp_path):
    net = random_network(4, kind="dense", layers=1)
    size = net.input_shape
    source, target = tmp_path / "in.h5", tmp_path / "out.h5"
    with pytest.raises(InputError, match="no such file"):
        run_file(net, source, target)
    source.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="readable"):
        run_file(net, source, target)
    last_too_large = np.zeros((50, 1, *size), np.uint8)
    last_too_large[-1] = 2
    cases = [
        (np.zeros((5, 1, *size), "S1"), "not numbers"),
        (np.zeros((5, *size), np.uint8), "rank 3|rank 5|shape"),
        (np.zeros((5, 0, *size), np.uint8), "none of them 0"),
        (np.zeros((5, 1, size[0] + 1), np.uint8), "encode them"),
        (last_too_large, "a count of 2"),
        (np.full((5, 1, *size), 0.5), "whole numbers"),
    ]
    for values, words in cases:
        write(source, values)
        with pytest.raises(InputError, match=words) as caught:
            run_file(net, source, target, piece_bytes=64)
        assert str(source) in str(caught.value)
    with h5py.File(source, "w") as file:
        file["other"] = np.zeros(3)
    with pytest.raises(InputError, match="no array 'spikes'"):
        run_file(net, source, target)
    assert [path.name for path in tmp_path.iterdir()] == ["in.h5"]


def test_chunks_that_do_not_fit_are_refused(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("spikes", (1 << 20, 1, 1000), "u1", chunks=(1 << 19, 1, 1000))
    net = random_network(4, kind="dense", layers=1)
    with pytest.raises(InputError, match="chunks of 500 MiB"):
        run_file(net, tmp_path / "in.h5", tmp_path / "out.h5")
