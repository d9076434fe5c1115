"""SANA-FE: what it is given, what it refuses, and, where it is installed, equal in every spike."""

from __future__ import annotations

import ast
import json
import stat
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch

from sdcl_neuro import run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.conversion.backends.sanafe import backend, interpreter, job, refusals
from sdcl_neuro.conversion.backends.sanafe.backend import simulate
from sdcl_neuro.conversion.backends.sanafe.job import place, recurrent_synapses, synapses, write_job
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import EnvironmentFault, InputError, NetworkRefused
from sdcl_neuro.network.activity import nonzero_fan_out
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.snn.event_branch import COMPACT, PAPER
from sdcl_neuro.testing import KINDS, random_network, random_spikes

from .conftest import branch, needs_sanafe, suited


@pytest.mark.parametrize("kind", ["conv", "dense", "dense_rec"])
def test_the_list_of_synapses_is_the_network(kind: str) -> None:
    for seed in range(8):
        for layer in suited(seed, kind).layers:
            listed = synapses(layer)
            matrix = np.zeros((layer.neurons, prod(layer.in_shape)), np.int64)
            np.add.at(matrix, (listed.after, listed.before), listed.weight)
            spikes = np.random.default_rng(seed).random((prod(layer.in_shape), 5)) < 0.4
            images = torch.from_numpy(spikes.T.astype(np.float64)).reshape(5, *layer.in_shape)
            weight = torch.from_numpy(layer.weight.astype(np.float64))
            if layer.convolution is None:
                expected = images.reshape(5, -1) @ weight.T
            else:
                c = layer.convolution
                expected = torch.nn.functional.conv2d(
                    images, weight, None, c.stride, c.padding, c.dilation, c.groups
                )
            assert np.array_equal(matrix @ spikes, expected.reshape(5, -1).numpy().T)
            counted = np.bincount(listed.before, minlength=prod(layer.in_shape))
            assert np.array_equal(counted, nonzero_fan_out(layer).reshape(-1))
            again = recurrent_synapses(layer)
            assert (again is None) == (layer.recurrent_weight is None)
            if again is not None:
                assert layer.recurrent_weight is not None
                found = layer.recurrent_weight[again.after, again.before]
                assert np.array_equal(found, again.weight)
                assert len(found) == np.count_nonzero(layer.recurrent_weight)


def test_neurons_sit_where_fit_places_them(tmp_path: Path) -> None:
    net = branch(COMPACT, (64, 32))
    spikes = (np.random.default_rng(0).random((4, 2, *net.input_shape)) < 0.02).astype(np.uint8)
    placed = place(net)
    write_job(net, spikes, placed, tmp_path)
    written = json.loads((tmp_path / "job.json").read_text())
    assert placed.placement is not None
    used: dict[int, set[int]] = {}
    for index, layer in enumerate(net.layers):
        cores = np.fromfile(tmp_path / f"cores_{index}.bin", np.intc).reshape(layer.out_shape)
        for tile in placed.placement.tiles:
            if tile.layer == index:
                (core,) = np.unique(cores[tile.slices])
                used.setdefault(int(core), set()).add(index)
    assert len(used) == len(placed.placement.tiles)  # one core a tile, none shared
    inputs = {core for core, _ in written["inputs"]}
    assert not inputs & used.keys()
    assert len(written["inputs"]) == int(spikes.any(axis=(0, 1)).sum())
    assert len(set(map(tuple, written["inputs"]))) == len(written["inputs"])
    assert max(unit for _, unit in written["inputs"]) < 1024
    seats = placed.placement.seats
    per_tile = written["cores_per_tile"]
    tiles = {(seat.column, seat.row): [] for seat in seats}
    for seat, tile in zip(seats, placed.placement.tiles, strict=True):
        cores = np.fromfile(tmp_path / f"cores_{tile.layer}.bin", np.intc)
        core = cores.reshape(net.layers[tile.layer].out_shape)[tile.slices].flat[0]
        tiles[seat.column, seat.row].append(int(core) // per_tile)
    for (column, row), numbers in tiles.items():
        assert set(numbers) == {column * written["rows"] + row}  # SANA-FE counts down the rows
    # The whole train of an input: silent while the last spikes pass through, then the next sample.
    trains = np.frombuffer((tmp_path / "inputs.bin").read_bytes(), np.uint8)
    trains = trains.reshape(len(written["inputs"]), 2, 4 + 2)
    assert trains[:, :, :4].sum() == spikes.sum()
    assert not trains[:, :, 4:].any()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"message_bits": 8}, r"input: counts of 8 bits"),
        ({"slow": True}, r"layer 1 \(dense_1\): a current that decays by 900 / 4096"),
        ({"delay": True}, r"layer 1 \(dense_1\): axonal delays up to 3 steps"),
    ],
)
def test_what_it_cannot_hold_is_refused_by_name(change: dict[str, object], reason: str) -> None:
    net = suited(3, "dense")
    layer = net.layers[1]
    if change.pop("slow", False):
        layer = replace(layer, neuron=replace(layer.neuron, current_decay=900))
    if change.pop("delay", False):
        layer = replace(layer, delay=np.full(layer.weight.shape, 3, np.int32))
    net = replace(net, layers=(net.layers[0], layer, net.layers[2]), **change)
    with pytest.raises(NetworkRefused, match=reason):
        run(net, random_spikes(net, 0), backend="sanafe")


def test_all_reasons_at_once() -> None:
    net = random_network(0, kind="delay", layers=2, message_bits=3, extreme=True)
    with pytest.raises(NetworkRefused) as caught:
        run(net, random_spikes(net, 0), backend="sanafe")
    assert {reason.where.split(" (")[0] for reason in caught.value.refusals} == {
        "input",
        "layer 0",
        "layer 1",
    }


def test_a_run_that_wraps_is_refused_and_another_input_is_not() -> None:
    net = suited(0, "dense", extreme=True)
    wide = replace(net.layers[0], weight=np.full_like(net.layers[0].weight, 60_000))
    net = replace(net, layers=(wide,))
    loud = np.ones((4, 1, *net.input_shape), np.uint8)
    with pytest.raises(NetworkRefused, match=r"layer 0 .*its current wraps around in \d+ neuron"):
        simulate(net, loud)
    refusals.check_run(net, run_network(net, np.zeros_like(loud)))


def test_a_network_too_large_for_its_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_SYNAPSES", 10)
    net = suited(1)
    with pytest.raises(NetworkRefused, match=r"[\d,]+ synapses; it holds at most 10"):
        simulate(net, random_spikes(net, 0))


def test_it_is_never_imported_by_this_package(root: Path) -> None:
    """SANA-FE is under the GPL: the one file that names it is run by another interpreter."""
    importing = []
    for path in [*(root / "conversion").rglob("*.py"), *(root / "sdcl_neuro").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += (
                [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            )
            if any(name.split(".")[0] == "sanafe" for name in names):
                importing.append(path.resolve())
    assert set(importing) == {(root / "conversion/backends/sanafe/driver.py").resolve()}


def _script(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_without_it_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = suited(1)
    monkeypatch.setenv("SDCL_NEURO_SANAFE", str(tmp_path / "none"))
    with pytest.raises(EnvironmentFault, match=r"pip install sanafe, then set SDCL_NEURO_SANAFE"):
        run(net, random_spikes(net, 0), backend="sanafe")
    with pytest.raises(InputError, match="none: not a Python interpreter that has the package"):
        run(net, random_spikes(net, 0), backend="sanafe", sanafe=tmp_path / "none")


def test_a_crash_and_a_hang_are_told(tmp_path: Path) -> None:
    answer = 'if [ "$1" = -c ]; then echo 9.9; exit 0; fi\n'
    crash = _script(tmp_path / "crash", answer + "echo 'RuntimeError: no room' >&2; exit 7\n")
    hang = _script(tmp_path / "hang", answer + "exec sleep 60\n")
    net = suited(1)
    spikes = random_spikes(net, 0)
    with pytest.raises(EnvironmentFault, match="sanafe: it ended with 7: RuntimeError: no room"):
        run(net, spikes, backend="sanafe", sanafe=crash)
    with pytest.raises(EnvironmentFault, match=r"no result after 0\.5 s; allow more time"):
        run(net, spikes, backend="sanafe", sanafe=hang, timeout_s=0.5)
    with pytest.raises(InputError, match="give seconds, above 0"):
        run(net, spikes, backend="sanafe", sanafe=hang, timeout_s=0)
    with pytest.raises(InputError, match="use cpu"):
        run(net, spikes, backend="sanafe", device="cuda")


def _equal(net: IntNetwork, spikes: np.ndarray) -> backend.Simulation:
    expected, found = run_network(net, spikes), simulate(net, spikes)
    for index, layer in expected.spikes.items():
        assert np.array_equal(layer, found.record.spikes[index]), net.layers[index].name
    return found


@needs_sanafe
@pytest.mark.parametrize("kind", ["conv", "dense", "dense_rec"])
@pytest.mark.parametrize("extreme", [False, True])
def test_random_networks(kind: str, extreme: bool) -> None:
    """Biases, recurrence, clipped membranes, three layers, two samples in one run."""
    net = suited(20 + extreme, kind, extreme=extreme)
    assert any(layer.bias is not None for layer in net.layers)
    _equal(net, random_spikes(net, 0, steps=10, samples=2))


@needs_sanafe
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_more_random_networks(seed: int) -> None:
    for kind in KINDS:
        net = suited(seed, kind, extreme=seed % 2 == 0)
        spikes = random_spikes(net, seed, steps=12, samples=2)
        if any(layer.wraps.any() for layer in run_network(net, spikes).activity):
            with pytest.raises(NetworkRefused, match="wraps around"):
                simulate(net, spikes)
            continue
        _equal(net, spikes)


@needs_sanafe
@pytest.mark.slow
def test_the_compact_network_and_its_certificate(tmp_path: Path) -> None:
    net = branch(COMPACT, (64, 32))
    spikes = (np.random.default_rng(1).random((16, 1, *net.input_shape)) < 0.1).astype(np.uint8)
    found = _equal(net, spikes)
    counted = run_network(net, spikes).activity
    performance = found.performance[0]
    assert sum(performance.synops) == sum(int(layer.accumulates.sum()) for layer in counted)
    assert len(performance.time_s) == 16 + 2
    certificate = verify(net, spikes=spikes, against=["sanafe"], cache=False)
    assert certificate.holds
    assert certificate.versions["sanafe"] == found.version


@needs_sanafe
@pytest.mark.slow
def test_the_papers_network_on_two_chips() -> None:
    """Seven gigabytes and some minutes."""
    net = branch(PAPER, (128, 64))
    spikes = (np.random.default_rng(1).random((4, 1, *net.input_shape)) < 0.1).astype(np.uint8)
    assert _equal(net, spikes).cores > 128


@needs_sanafe
def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = suited(21, "dense")
    to_netx(net, tmp_path / "m.net")
    write_spikes(tmp_path / "in.npz", random_spikes(net, 0))
    model, given, out = (str(tmp_path / name) for name in ("m.net", "in.npz", "out.npz"))
    python, _ = interpreter.find_interpreter()
    arguments = ["run", model, "--spikes", given, "--out", out, "--backend", "sanafe"]
    assert main([*arguments, "--sanafe", python, "--timeout", "300", "--quiet"]) == 0
    with np.load(out) as found:
        assert np.array_equal(found["layer_2"], run(net, random_spikes(net, 0)).spikes[2])
    assert main(["run", model, "--spikes", given, "--out", out, "--sanafe", python]) == 2
    assert "--sanafe is not an option of the backend loihi" in capsys.readouterr().err


@needs_sanafe
def test_performance_adds_up_and_grows_with_activity() -> None:
    net = suited(1, "conv")
    quiet, busy = (
        simulate(net, random_spikes(net, 0, steps=8, samples=1, rate=rate)).performance[0]
        for rate in (0.02, 0.5)
    )
    assert busy.total_j > quiet.total_j
    assert busy.total_s > quiet.total_s
    value = busy.to_json()
    assert value["total_us"] == pytest.approx(sum(value["time_us"]))
    assert value["total_uj"] == pytest.approx(sum(map(sum, value["energy_uj"].values())))
    assert len(value["messages"]) == 8 + 3


def test_the_profile_that_places_has_what_is_asked_of_it() -> None:
    net = suited(1)
    assert place(net).hw == job.PROFILE == "loihi1"
    assert backend.DRIVER.is_file()
