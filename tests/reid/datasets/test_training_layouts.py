"""Small made-up trees in each layout are trained on and evaluated with one command each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sdcl_neuro.cli import main

EVENTS = ['bridge.inputs="e"', 'bridge.fusion="none"']
LAYOUTS = {
    "prid": ["data.kind=prid2011"],
    "ilids": ["data.kind=ilidsvid"],
    "mars": ["data.kind=mars", "data.events=ev"],
    "evreid": ["data.kind=evreid", "clip.bins=1"],
    "mars_star": ["data.kind=mars-star", "clip.bins=1"],
    "event_reid_v2": ["data.kind=event-reid-v2", *EVENTS],
    "gesture": ["data.kind=dvs-gesture", *EVENTS],
    "own": ["data.kind=folder"],
}
FAST = ("prid", "evreid")
SHORT = ["training.float_stage.steps=1", "training.int_stage.steps=1"]
SMALL = ["clip.frames=2", "clip.bins=2", "training.persons=2", "training.tracklets=2", *SHORT]


@pytest.mark.parametrize(
    "layout",
    [one if one in FAST else pytest.param(one, marks=pytest.mark.slow) for one in LAYOUTS],
)
def test_a_tree_trains_and_evaluates(
    layout: str, root: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    tree = request.getfixturevalue(layout)
    tiny, out = root / "tests" / "reid" / "pipeline" / "tiny.toml", tmp_path / "run"
    command = ["train", str(tiny), *LAYOUTS[layout], *SHORT, "--root", str(tree), "--quiet"]
    assert main([*command, "--out", str(out), "--json", str(tmp_path / "trained.json")]) == 0
    trained = json.loads((tmp_path / "trained.json").read_text())
    assert [(stage["mode"], stage["steps"]) for stage in trained["stages"]] == [
        ("float", 1),
        ("int", 1),
    ]
    assert all(0 < rate < 1 for stage in trained["stages"] for rate in stage["rates"])
    judged = tmp_path / "judged.json"
    command = ["evaluate", str(out), "--root", str(tree), "--quiet", "--json", str(judged)]
    assert main(command) == 0
    assert "mAP" in judged.read_text()


def test_a_folder_is_trained_by_its_name(
    own: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is in it is found and said, also that events will be simulated."""
    out = tmp_path_factory.mktemp("run") / "run"
    assert main(["train", str(own), *SMALL, "--out", str(out), "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert "a folder of one's own (folder), with the configuration 'folder'" in said
    assert "4 persons" in said
    assert "assumed: one event file a tracklet" in said
    shutil.rmtree(own / "events")
    assert main(["train", str(own), *SMALL, "--out", str(out), "--dry-run"]) == 0
    assert "events are simulated from the frames" in capsys.readouterr().err


@pytest.mark.slow
def test_a_folder_without_events_trains_on_simulated_ones(
    own: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("run") / "run"
    shutil.rmtree(own / "events")
    assert main(["train", str(own), *SMALL, "--out", str(out), "--json", str(own / "t.json")]) == 0
    assert len(list((out.parent / "run-simulated-events").glob("*.h5"))) == 8
    trained = json.loads((own / "t.json").read_text())
    assert [stage["steps"] for stage in trained["stages"]] == [1, 1]
