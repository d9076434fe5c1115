"""SystemVerilog: simulated in Verilator, equal in every spike; read and mapped by yosys."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro import run
from sdcl_neuro.conversion import to_verilog
from sdcl_neuro.conversion.targets.verilog import design, simulate, writer
from sdcl_neuro.conversion.targets.verilog.synthesise import synthesise
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import CheckFailed, EnvironmentFault, InputError
from sdcl_neuro.network.activity import reach
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import KINDS, random_network, random_spikes

from .conftest import NETWORKS, random_input

verilator = pytest.mark.skipif(
    shutil.which("verilator") is None, reason="Verilator is not installed (Debian: verilator)"
)
yosys = pytest.mark.skipif(
    shutil.which("yosys") is None, reason="yosys is not installed (Debian: yosys)"
)


def _equal(net: IntNetwork, spikes: np.ndarray) -> int:
    expected, found = run_network(net, spikes), run(net, spikes, backend="verilog")
    for index, layer in expected.spikes.items():
        assert np.array_equal(layer, found.spikes[index]), net.layers[index].name
    return sum(int(layer.sum()) for layer in expected.spikes.values())


@verilator
def test_all_features_at_once(everything: IntNetwork) -> None:
    """Building takes some 7 s, so the other networks are among the slow tests."""
    assert _equal(everything, random_input(everything, steps=16)) > 100


@verilator
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_named_networks(networks: dict[str, IntNetwork], name: str) -> None:
    assert _equal(networks[name], random_input(networks[name])) > 100


@verilator
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60, 66))
@pytest.mark.parametrize("kind", KINDS)
def test_random_networks(kind: str, seed: int) -> None:
    bits = (0, 3, 8)[seed % 3]
    net = random_network(seed, kind=kind, extreme=seed % 2 == 0, message_bits=bits)
    _equal(net, random_spikes(net, seed, steps=20, samples=3))


GEOMETRIES = [
    (size, kernel, stride, padding, dilation)
    for size in (1, 5, 12)
    for kernel in (1, 2, 5)
    for stride in (1, 2, 3)
    for padding in (0, 1, 4)
    for dilation in (1, 2, 3)
    if size + 2 * padding >= dilation * (kernel - 1) + 1
]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), GEOMETRIES)
def test_the_walk_reaches_exactly_the_synapses(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    geometry = Convolution((stride, 1), (padding, 0), (dilation, 1))
    rows, _ = geometry.output_size((size, 1), (kernel, 1))
    layer = IntLayer(
        "a",
        "conv",
        np.ones((1, 1, kernel, 1), np.int32),
        IntNeuron(4096, 1, 1),
        (1, size, 1),
        (1, rows, 1),
        None,
        geometry,
    )
    (out_step, tap_step), _ = design.steps_of(layer)
    table, _ = design.tables(layer)
    walked = [
        (row, first + step * out_step, tap - step * tap_step)
        for row, (count, first, tap) in enumerate(table.tolist())
        for step in range(count)
    ]
    assert walked == [tuple(p) for p in reach(size, kernel, axis=0, convolution=geometry).tolist()]


def test_memories_are_what_readmemh_takes(everything: IntNetwork) -> None:
    texts = design.files(everything, design.TOP)
    top, total = texts["sdcl_network.sv"], 0
    for name, text in texts.items():
        if not name.endswith(".hex"):
            continue
        assert text.endswith("\n")
        assert re.fullmatch(r"([0-9a-f]+\n)+", text)
        module = re.search(rf"module {design.TOP}_{name[:-4]} .*?memory \[0:(\d+)\]", top, re.S)
        assert module is not None
        assert int(module.group(1)) == text.count("\n") - 1
        total += 1
    assert total == 10  # weights, delays, recurrence, biases, tables of rows, columns and groups
    weights = [int(word, 16) for word in texts["weight_2.hex"].split()]
    width = 7 if max(weights) < 128 else 8
    signed = np.array([w - (1 << width) * (w >> (width - 1)) for w in weights])
    assert np.array_equal(2 * signed.reshape(7, 5).T, everything.layers[2].weight)


@pytest.mark.skipif(shutil.which("yosys") is None, reason="yosys is not installed (Debian: yosys)")
def test_yosys_reads_it(everything: IntNetwork, tmp_path: Path) -> None:
    for name, text in design.files(everything, design.TOP).items():
        (tmp_path / name).write_text(text)
    sources = " ".join(p.name for p in tmp_path.glob("*.sv") if p.name != "testbench.sv")
    script = (
        f"read_verilog -sv {sources}; hierarchy -check -top sdcl_network; proc; flatten; opt; "
        "check -assert; memory -nomap; opt; stat"
    )
    done = subprocess.run(
        ["yosys", "-p", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Warning" not in done.stdout + done.stderr
    counted = re.search(r"\$mem_v2\s+(\d+)", done.stdout)
    # Ten memories of constants; sums, membranes and currents of three layers, one list of spikes.
    assert counted is not None
    assert int(counted.group(1)) == 10 + 3 + 3 + 2 + 1
    assert "$dlatch" not in done.stdout


@yosys
@verilator
@pytest.mark.slow
def test_a_design_and_its_report(networks: dict[str, IntNetwork], tmp_path: Path) -> None:
    written = to_verilog(networks["compact"], tmp_path / "hdl")
    facts = written.facts
    assert facts["cycles"] > facts["synops"]
    assert facts["cycles"] < 1.5 * facts["synops"] + 2 * facts["updates"]
    cells = facts["yosys"]["cells"]
    assert cells["DP16KD"] > 0
    assert 500 < cells["LUT4"] < 5000
    assert cells == synthesise(tmp_path / "hdl").cells
    done = subprocess.run(
        ["make", "check"], cwd=tmp_path / "hdl", capture_output=True, text=True, check=True
    )
    assert "sdcl_network: 0 events differ" in done.stdout
    # One wrong weight is seen.
    weights = (tmp_path / "hdl" / "weight_0.hex").read_text().splitlines()
    weights[7:40] = ["7f"] * 33
    (tmp_path / "hdl" / "weight_0.hex").write_text("\n".join(weights) + "\n")
    done = subprocess.run(
        ["./obj_dir/Vtestbench"], cwd=tmp_path / "hdl", capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert re.search(r"layer 0, step \d+: saw \d+, expected \d+", done.stdout)


@verilator
def test_a_wrong_design_is_not_kept(
    networks: dict[str, IntNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = random_network(5, kind="dense_rec", layers=1)
    spikes = random_spikes(net, 0, samples=1)
    texts = design.files(net, design.TOP)
    expected = {0: 1 - run_network(net, spikes).spikes[0]}

    def built(folder: Path) -> Path:
        return folder / "program"

    def simulated(*_: object) -> simulate.Simulated:
        return simulate.Simulated(dict(run_network(net, spikes).spikes), 1, 0.0)

    monkeypatch.setattr(writer, "build", built)
    monkeypatch.setattr(writer, "simulate", simulated)
    with pytest.raises(CheckFailed, match="neuron steps differ in Verilator"):
        writer.simulated_cycles(net, texts, spikes, expected)


def test_without_the_programs_it_says_so(
    everything: IntNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="verilator is not installed; install it"):
        run(everything, random_input(everything), backend="verilog")
    with pytest.raises(EnvironmentFault, match="yosys is not installed; install it"):
        synthesise(tmp_path)
    facts = to_verilog(everything, tmp_path / "hdl").facts
    assert (facts["cycles"], facts["yosys"]) == (None, None)
    assert facts["cycles_reason"] == "verilator is not installed"


def test_what_is_refused(
    everything: IntNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="use cpu"):
        run(everything, random_input(everything), backend="verilog", device="cuda")
    monkeypatch.setattr(writer, "MAX_WEIGHTS", 10)
    with pytest.raises(InputError, match="memories of a design hold at most 10"):
        to_verilog(everything, tmp_path / "hdl")
    assert list(tmp_path.iterdir()) == []
