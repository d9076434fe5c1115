"""Small made-up trees in each layout are trained on and evaluated with one command each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdcl_neuro.cli import main

LAYOUTS = {
    "prid": ["data.kind=prid2011"],
    "ilids": ["data.kind=ilidsvid"],
    "mars": ["data.kind=mars", "data.events=ev"],
}
SHORT = ["training.float_stage.steps=1", "training.int_stage.steps=1"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tree_trains_and_evaluates(
    layout: str, root: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    tree = request.getfixturevalue(layout)
    tiny, out = root / "tests" / "pipeline" / "tiny.toml", tmp_path / "run"
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
