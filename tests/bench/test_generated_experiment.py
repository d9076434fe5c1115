"""What the generated walkers' script makes of its runs: rows, gains by seed, kept results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sdcl_neuro.reid.configuration import load_configuration


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "generated.py"
    spec = importlib.util.spec_from_file_location("generated_experiment", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(inputs: str, seed: int, *, control: bool = False, **by_arm: float) -> dict[str, Any]:
    rows = [
        {
            "condition": "clean",
            "backend": arm.replace("_", " "),
            "metrics": {"mAP": value, "cmc": {"1": value}, "mINP": value},
        }
        for arm, value in by_arm.items()
    ]
    judged = {"queries": 4, "gallery": 8, "rows": rows}
    return {
        "inputs": inputs, "seed": seed, "control": control, "all_cpu_s": 60.0, "evaluation": judged,
    }  # fmt: skip


def test_the_tables_by_hand(script: ModuleType) -> None:
    text = script.table(
        [
            run("v", 0, frames_alone=0.50),
            run("v+e", 0, snntorch=0.61, loihi=0.60),
            run("v", 1, frames_alone=0.54),
            run("v+e", 1, snntorch=0.57, loihi=0.58),
            run("v+e", 1, control=True, snntorch=0.60),
            run("v", 2, frames_alone=0.40),  # its V+E is not there yet
        ]
    )
    assert "mean over seeds 0, 1, 2" in text
    assert "| clean | V | none | 48.0 (40.0 to 54.0) |" in text
    assert "| clean | V+E | trained and run in integers | 59.0 (58.0 to 60.0) |" in text
    assert (
        "against V, clean | mAP +10.0, +4.0 points by seed; the wider spread over seeds is 4.0"
        in text
    )
    assert "the same weights in float | mAP +0.00 points" in text
    assert "-1.00 to +1.00" in text
    assert "trained in float | mAP -2.00 points" in text
    assert "1.0 to 1.0 minutes" in text


def test_the_control_is_the_same_schedule_all_in_float(script: ModuleType) -> None:
    usual = load_configuration(script.CONFIGURATION).training
    control = load_configuration(script.CONFIGURATION, script.FLOAT_ALONE).training
    assert control.float_stage.steps == usual.float_stage.steps + usual.int_stage.steps
    assert not control.int_stage.steps
    # One fall, before the integer stage, to that stage's rate; the next would come after the end.
    every = usual.float_stage.decay_every
    assert every < usual.float_stage.steps
    assert 2 * every >= control.float_stage.steps
    fallen = usual.float_stage.learning_rate * usual.float_stage.decay
    assert usual.int_stage.learning_rate == pytest.approx(fallen)


def test_a_finished_run_is_read_and_another_configuration_refused(
    script: ModuleType, tmp_path: Path
) -> None:
    overrides = ["data.cache=walks", "bridge.inputs=v", "bridge.fusion=none", "training.seed=3"]
    made = {"configuration": load_configuration(script.CONFIGURATION, overrides).to_toml()}
    (tmp_path / "v-3").mkdir()
    (tmp_path / "v-3" / "result.json").write_text(json.dumps(made), encoding="utf-8")
    assert script.one_run(tmp_path, "v", 3, []) == made
    with pytest.raises(SystemExit, match="another configuration"):
        script.one_run(tmp_path, "v", 3, ["training.persons=4"])


def test_the_page_is_written_between_the_marks(script: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n", encoding="utf-8")
    script.write_between(page, "new")
    assert page.read_text() == f"before\n{script.BEGIN}\nnew\n{script.END}\nafter\n"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(SystemExit, match="lacks"):
        script.write_between(page, "new")
