"""Every page under docs/how-to is followed with its toy thing, and no other file is touched."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from snntorch import Leaky
from torch import nn

from sdcl_neuro import conversion, run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion.sources.layers.table import LAYERS, AddedLayer
from sdcl_neuro.conversion.targets.table import ENDINGS, ROWS, TARGETS, Target
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.events import EVENT_DTYPE, Events, read_events, read_parts, write_events
from sdcl_neuro.events.formats.table import KINDS as FORMATS
from sdcl_neuro.events.formats.table import Kind
from sdcl_neuro.hybrid.frame_branch import table as frame_branches
from sdcl_neuro.hybrid.frame_branch.table import FRAME_BRANCHES, FrameBranch
from sdcl_neuro.reid.configuration import build_model, load_configuration
from sdcl_neuro.reid.datasets import Clip
from sdcl_neuro.reid.datasets.table import KINDS as DATA_SETS
from sdcl_neuro.reid.datasets.table import Choices, DataSetKind, recognise
from sdcl_neuro.testing import random_network

Follow = Callable[..., str]


def test_the_index_names_every_page(root: Path) -> None:
    folder = root / "docs" / "how-to"
    named = set(re.findall(r"\]\(([\w-]+\.md)\)", (folder / "README.md").read_text("utf-8")))
    assert named == {page.name for page in folder.glob("*.md")} - {"README.md"}


def test_an_event_format(
    follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    row = follow("add-an-event-format", "sdcl_neuro.events.formats.toy")
    kinds = {"toy": eval(row, {"Kind": Kind}), **FORMATS}
    for name in list(FORMATS):
        monkeypatch.delitem(FORMATS, name)
    for name, kind in kinds.items():
        monkeypatch.setitem(FORMATS, name, kind)
    path = tmp_path / "a.toy"
    events = [(5, 1, 2, 0), (9, 3, 0, 1), (12, 7, 5, 1)]
    path.write_bytes(
        b"TOY1" + struct.pack("<HH", 8, 6) + b"".join(struct.pack("<qHHB", *e) for e in events)
    )
    found = read_events(path)
    assert (found.width, found.height) == (8, 6)
    assert [tuple(int(e[n]) for n in "txyp") for e in found.array] == events
    parts = [part.array for part in read_parts(path, part_events=1)]
    assert np.array_equal(np.concatenate(parts), found.array)
    assert main(["events", "info", str(path)]) == 0
    assert "toy" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="ends within an event"):
        read_events(path)
    assert len(read_events(path, mend=["drop-tail"]).array) == 2


def test_a_data_set(
    follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    row = follow("add-a-data-set", "sdcl_neuro.reid.datasets.toy")
    monkeypatch.setitem(DATA_SETS, "toy", eval(row, {"DataSetKind": DataSetKind}))
    rng = np.random.default_rng(0)
    for name in ("train/p001_c1", "train/p002_c2", "test/p003_c1", "test/p003_c2"):
        array = np.zeros(400, EVENT_DTYPE)
        array["t"] = np.sort(rng.integers(0, 400_000, 400))
        array["x"], array["y"] = rng.integers(0, 32, 400), rng.integers(0, 64, 400)
        array["p"] = rng.integers(0, 2, 400)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_events(tmp_path / f"{name}.npz", Events(array, 32, 64, "made up"))
    assert recognise(tmp_path) == "toy"
    data = DATA_SETS["toy"].open_data(tmp_path, Choices())
    assert [entry.person for entry in data.entries] == [1, 2, 3, 3]
    tracklet = data.load(2, Clip(frames=2, bins=3, size=(64, 32)))
    assert tracklet.spikes.shape == (6, 2, 64, 32)
    assert tracklet.spikes.any()
    assert main(["data", "check", str(tmp_path)]) == 0
    assert "one interval is 50 ms" in capsys.readouterr().out
    (tmp_path / "test" / "stray.npz").write_bytes(b"")
    assert main(["data", "check", str(tmp_path)]) != 0


def test_a_frame_branch(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    row = follow("add-a-frame-branch", f"{frame_branches.__package__}.toy")
    monkeypatch.setitem(FRAME_BRANCHES, "toy", eval(row, {"FrameBranch": FrameBranch}))
    given = load_configuration("generated-small", ["frame_branch.name=toy"])
    model = build_model(given, 4).eval()
    clip = given.clip
    with torch.no_grad():
        maps = model.frame_branch(torch.rand(1, 3, 256, 128))
        output = model(
            torch.rand(1, clip.frames, 3, 256, 128),
            torch.zeros(clip.frames * clip.bins, 1, 2, *clip.size),
        )
    assert maps.shape == (1, 24, 16, 8)
    assert torch.isfinite(output.embedding).all()
    with pytest.raises(InputError, match=r"use osnet_x0_25, .*, toy, none"):
        load_configuration("generated-small", ["frame_branch.name=tyo"])


def test_a_target(follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = eval(follow("add-a-target", "sdcl_neuro.conversion.targets.toy"), {"Target": Target})
    monkeypatch.setitem(TARGETS, "toy", made)
    monkeypatch.setattr("sdcl_neuro.conversion.targets.table.ROWS", (*ROWS, made))
    monkeypatch.setattr("sdcl_neuro.conversion.targets.table.ENDINGS", (*ENDINGS, made.ending))
    net = random_network(3)
    conversion.to_netx(net, tmp_path / "m.net")
    out = tmp_path / "layers.toy"
    assert main(["convert", str(tmp_path / "m.net"), str(out), "--quiet"]) == 0
    lines = out.read_text().splitlines()
    assert [int(line.split()[-1]) for line in lines] == [layer.neurons for layer in net.layers]
    report = json.loads((tmp_path / "layers.toy.json").read_text())
    assert "layers.toy" in json.dumps(report)


class Diagonal(nn.Module):
    """As some library has it: one gain for each of the neurons."""

    def __init__(self, gain: torch.Tensor) -> None:
        super().__init__()
        self.gain = nn.Parameter(gain)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Multiply."""
        return values * self.gain


def _leaky() -> Leaky:
    return Leaky(0.5, threshold=0.5, init_hidden=True, reset_mechanism="zero")


@pytest.fixture
def added(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> AddedLayer:
    row = follow("add-a-layer", "sdcl_neuro.conversion.sources.layers.toy")
    made: AddedLayer = eval(row, {"AddedLayer": AddedLayer})
    monkeypatch.setattr(Diagonal, "__module__", "mylibrary")
    LAYERS.append(made)
    yield made
    LAYERS.remove(made)


def test_a_layer_of_a_module(added: AddedLayer) -> None:
    torch.manual_seed(0)
    gain = torch.rand(6) + 0.2
    dense = nn.Linear(6, 4, bias=False)
    nn.init.uniform_(dense.weight, -0.1, 0.6)  # so that its neurons fire
    module = nn.Sequential(Diagonal(gain), _leaky(), dense, _leaky())
    spikes = (np.random.default_rng(0).random((12, 3, 6)) < 0.4).astype(np.uint8)
    net = conversion.from_snntorch(module, spikes)
    assert np.allclose(net.layers[0].weight, np.diag(gain.numpy()))
    assert any(added.name in note for note in net.meta["lowered"])
    chip = conversion.quantize(net, calibration=spikes)
    assert run(chip, spikes).spikes[0].any()
    assert verify(chip, spikes=spikes, against=["snntorch-int"], cache=False).holds


def test_a_layer_that_is_read_wrongly_is_refused(added: AddedLayer) -> None:
    class Doubled(Diagonal):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(values)

    module = nn.Sequential(Doubled(torch.ones(6)), _leaky())
    spikes = np.ones((4, 1, 6), np.uint8)
    with pytest.raises(NetworkRefused, match="computes something other than the weights on the"):
        conversion.from_snntorch(module, spikes)


def test_a_layer_of_a_nir_graph(added: AddedLayer, tmp_path: Path) -> None:
    scale = np.array([0.5, 2.0, 1.5], np.float32)
    ones = np.ones(3, np.float32)
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input(input_type={"input": np.array([3])}),
            "gain": nir.Scale(scale=scale),
            "lif": nir.LIF(tau=2e-3 * ones, r=2 * ones, v_leak=0 * ones, v_threshold=ones),
            "output": nir.Output(output_type={"output": np.array([3])}),
        },
        edges=[("input", "gain"), ("gain", "lif"), ("lif", "output")],
    )
    nir.write(tmp_path / "g.nir", graph)
    net = conversion.from_nir(tmp_path / "g.nir", dt=1e-3)
    assert np.array_equal(net.layers[0].weight != 0, np.eye(3, dtype=bool))
    assert np.allclose(np.diag(net.layers[0].weight), scale)
