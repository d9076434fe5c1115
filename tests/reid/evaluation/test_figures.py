"""The poster's figures: their numbers against the model's own parts, and the files of the verb."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from sdcl_neuro.cli import main
from sdcl_neuro.hybrid.frame_branch import normalise
from sdcl_neuro.hybrid.model import event_counts, event_features
from sdcl_neuro.reid.datasets import Clip
from sdcl_neuro.reid.evaluation import open_trained
from sdcl_neuro.reid.figures import depth_figure, feature_maps, maps_figure, spikes_by_depth
from sdcl_neuro.reid.figures.cost import CostPoint, cost_figure
from sdcl_neuro.reid.figures.drawing import figure_bytes, new_figure
from sdcl_neuro.snn.event_branch import BranchDescription, ConvolutionSpec, EventBranch

CLIP = Clip(2, 2, (64, 32))
SMALL = [
    *("data.generated.persons=4", "data.generated.train_persons=2"),
    *("data.generated.walks=1", "data.generated.cameras=2", "data.generated.substeps=2"),
]


def lengths(maps: torch.Tensor) -> np.ndarray:
    found = maps.square().sum(1).sqrt()
    return (found / found.max()).numpy()


def test_maps_are_those_of_the_models_parts(checkpoint, noise_data):
    model = open_trained(checkpoint("v+e")).checkpoint.model
    tracklet = noise_data().load(1, CLIP)
    found = feature_maps(model, tracklet)
    spikes = torch.from_numpy(tracklet.spikes[:, None]).float()
    with torch.inference_mode():
        frames = model.frame_maps(normalise(tracklet.frames)[None])
        events = event_features(model.event_branch(spikes)[-1], frames=2)
        counts = event_counts(spikes, frames=2)
        own = model.bridge._enter_frames(frames).flatten(0, 1)
        other = model.bridge._enter_events(events, counts).flatten(0, 1)
        both = model.bridge.fusion(own, other)
    expected = [events[0], frames[0], *both]
    assert len(found.rows) == len(expected)
    for (_, heat), maps in zip(found.rows, expected, strict=True):
        np.testing.assert_allclose(heat, lengths(maps), rtol=1e-5, atol=1e-7)
    bins = tracklet.spikes.reshape(2, 2, 2, 64, 32)
    np.testing.assert_array_equal(found.events, bins.sum(1))
    np.testing.assert_array_equal(found.frames, tracklet.frames)


@pytest.mark.parametrize(("inputs", "rows"), [("v", 1), ("e", 1)])
def test_a_model_of_one_input_has_its_own_rows_only(checkpoint, noise_data, inputs, rows):
    model = open_trained(checkpoint(inputs)).checkpoint.model
    found = feature_maps(model, noise_data().load(0, CLIP))
    assert len(found.rows) == rows
    assert (found.frames is None) == (inputs == "e")
    assert (found.events is None) == (inputs == "v")


def test_the_models_own_layers_fire_as_they_do_in_it(checkpoint, noise_data):
    branch = open_trained(checkpoint("e")).checkpoint.model.event_branch
    tracklets = [noise_data().load(k, CLIP) for k in range(3)]
    curve = spikes_by_depth(branch, tracklets, depth=4)
    own = len(branch.synapses)
    assert curve.trained == own
    assert len(curve.rates["plain"]) == len(curve.cells["deformable"]) == 4
    spikes = torch.from_numpy(np.stack([one.spikes for one in tracklets], 1)).float()
    branch.set_mode("float")
    with torch.inference_mode():
        layers = branch(spikes)
    branch.set_mode("int")
    for layer, rate in zip(layers, curve.rates["plain"], strict=False):
        assert float(layer.mean()) == pytest.approx(rate, rel=1e-6)
    for layer, share in zip(layers, curve.cells["plain"], strict=False):
        seen = layer.unflatten(0, (2, 2)).amax((1, 3)) > 0
        assert float(seen.float().mean()) == pytest.approx(share, rel=1e-6)
    again = spikes_by_depth(branch, tracklets, depth=4)
    assert again.rates == curve.rates  # fresh weights are drawn from a seed


def one_layer(stride: int) -> EventBranch:
    torch.manual_seed(3)
    branch = EventBranch(BranchDescription((ConvolutionSpec(3, 3, stride, 1),)))
    with torch.no_grad():
        branch.synapses[0].weight.abs_()
    return branch


@pytest.mark.parametrize("stride", [1, 2])
def test_taps_at_the_nearest_spikes_by_brute_force(stride: int) -> None:
    from sdcl_neuro.reid.figures.depth import _at_events

    spikes = (torch.rand(4, 1, 2, 6, 4, generator=torch.manual_seed(0)) < 0.12).float()
    branch = one_layer(stride)
    weight = branch.synapses[0].weight.detach()
    with torch.inference_mode():
        found = _at_events(branch.synapses[0], spikes, 2)
    for step in range(4):
        frame = step // 2
        held = spikes[2 * frame : 2 * frame + 2, 0].amax((0, 1)) > 0
        cells = [tuple(cell) for cell in held.nonzero().tolist()]
        for row in range(0, 6, stride):
            for column in range(0, 4, stride):
                taps = [(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
                near = sorted(
                    (p for p in cells if abs(p[0] - row) + abs(p[1] - column) <= 8),
                    key=lambda p: (
                        abs(p[0] - row) + abs(p[1] - column),
                        (p[0] - row) ** 2 + (p[1] - column) ** 2,
                        p,
                    ),
                )
                if (row, column) in cells and len(near) >= 9:
                    taps = sorted(near[:9])
                expected = torch.zeros(3)
                for tap, (y, x) in enumerate(taps):
                    if 0 <= y < 6 and 0 <= x < 4:
                        expected += weight[:, :, tap // 3, tap % 3] @ spikes[step, 0, :, y, x]
                got = found[step, 0, :, row // stride, column // stride]
                torch.testing.assert_close(got, expected)


def test_frames_and_layers_are_numbered(checkpoint, noise_data) -> None:
    model = open_trained(checkpoint("v+e")).checkpoint.model
    tracklets = [noise_data().load(k, CLIP) for k in range(2)]
    drawn = maps_figure(feature_maps(model, tracklets[0]))
    titles = [ax.get_title() for ax in drawn.axes]
    assert [one for one in titles if one] == ["frame 1", "frame 2"]
    assert len(drawn.axes) == 2 * (2 + 4)
    curve = spikes_by_depth(model.event_branch, tracklets, depth=3)
    drawn = depth_figure(curve)
    titles = [ax.get_title() for ax in drawn.axes]
    assert titles[:3] == ["layer 1", "layer 2", "layer 3\n(fresh weights)"]
    shown = drawn.axes[-2].get_lines()
    for line, way in zip(shown, ("plain", "deformable"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), [100 * one for one in curve.rates[way]])


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_an_svg_does_not_show_the_last_bits_of_its_layout() -> None:
    files = []
    for left in (0.1, float(np.nextafter(0.1, 1))):
        figure = new_figure(2, 1)
        for bottom in (0.1, 0.6):
            figure.add_axes((left, bottom, 0.8, 0.3)).imshow(np.eye(3))
        figure.set_layout_engine("none")
        files.append(figure_bytes(figure, "svg"))
    assert files[0] == files[1]
    root = ElementTree.fromstring(files[0].decode())
    named = {one.get("id") for one in root.iter("{http://www.w3.org/2000/svg}clipPath")}
    used = {one.get("clip-path") for one in root.iter()} - {None}
    assert len(named) == 2
    assert used == {f"url(#{name})" for name in named}


def test_the_verb_writes_all_figures_of_two_models(
    checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [str(checkpoint("v+e")), str(checkpoint("v"))]
    command = ["figures", *models, "--data", "generated", *SMALL, "--depth", "3"]
    out = tmp_path / "out"
    assert main([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    names = {path.name for path in out.iterdir()}
    both, frames = checkpoint("v+e").name, checkpoint("v").name
    pictures = {f"figure2-{both}", f"figure2-{frames}", f"figure4-{both}", "figure5"}
    endings = {f"{one}.{ending}" for one in pictures for ending in ("png", "svg")}
    assert names == endings | {"figures.json", "report.html"}
    for name in names:
        if name.endswith(".png"):
            assert (out / name).read_bytes().startswith(b"\x89PNG")
        if name.endswith(".svg"):
            ElementTree.fromstring((out / name).read_text(encoding="utf-8"))
    assert main(["check", str(out / "figures.json")]) == 0
    numbers = json.loads((out / "figures.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in numbers["cost"]] == [both, frames]
    assert numbers["models"][frames]["no_figure_4"]
    assert "mAP" in said
    # What the figure shows is what evaluate says.
    evaluated = tmp_path / "evaluation.json"
    judge = ["evaluate", models[1], "--data", "generated", *SMALL, "--json", str(evaluated)]
    assert main(judge) == 0
    row = json.loads(evaluated.read_text(encoding="utf-8"))["rows"][0]
    assert numbers["cost"][1]["mean_ap"] == row["metrics"]["mAP"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml;base64,") == 4
    before = written(out)
    assert main([*command, "--out", str(out)]) == 0
    assert written(out) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "3"], "figures 3"),
        (["--tracklet", "nobody", "--only", "2"], "no tracklet 'nobody'"),
        (["--depth", "0"], "0 layers"),
    ],
)
def test_wrong_calls_end_in_one_line(checkpoint, tmp_path, capsys, options, message):
    command = ["figures", str(checkpoint("e")), "--data", "generated", *SMALL]
    assert main([*command, "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_kept(checkpoint, tmp_path, capsys) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    command: list[Any] = ["figures", str(checkpoint("e")), "--data", "generated", *SMALL]
    assert main([*command, "--out", str(tmp_path)]) == 2
    assert "thesis.tex" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_names_cover_neither_each_other_nor_points() -> None:
    rng = np.random.default_rng(0)
    points = [
        CostPoint(f"Net {n}", "v", int(3e5 + 2e4 * x), 6e7 + 4e6 * y, 0.2 + 0.03 * z)
        for n, (x, y, z) in enumerate(rng.standard_normal((14, 3)))
    ]
    figure = cost_figure(points)
    figure.draw_without_rendering()
    for ax in figure.axes:
        boxes = [text.get_window_extent() for text in ax.texts]
        assert [text.get_text() for text in ax.texts] != []
        for k, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:k])
        places = ax.collections[0].get_offsets()
        for x, y in ax.transData.transform(places):
            assert not any(box.contains(x, y) for box in boxes)
