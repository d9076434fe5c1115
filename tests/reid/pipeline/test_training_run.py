"""A training in a folder: killed at any moment, gone on with, found finished, refused."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion.model_reading import load
from sdcl_neuro.hybrid.sdcl_checkpoint import load_sdcl
from sdcl_neuro.reid.metrics.verification import Verification

HERE = Path(__file__).parent
TINY = HERE / "tiny.toml"
SHORT = ["training.float_stage.steps=2", "training.int_stage.steps=1"]


def train(out: Path, *more: str, expect: int = 0) -> None:
    assert main(["train", str(TINY), "--out", str(out), *more, *SHORT]) == expect


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("training") / "run"
    train(out, "--quiet")
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished training."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def steps(out: Path) -> list[int]:
    return [int(row["step"]) for row in csv.DictReader(io.StringIO((out / "log.csv").read_text()))]


@pytest.mark.parametrize(("kills", "in_time"), [(3, 2), pytest.param(9, 3, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_comes_to_the_same(
    tmp_path: Path, kills: int, in_time: int
) -> None:
    """Weights, state and log are those of a training that was never killed, to the bit."""
    ran = subprocess.run(
        [sys.executable, str(HERE / "killed_training.py"), str(tmp_path), "1", str(kills)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    codes = json.loads(ran.stdout)["codes"]
    assert codes[0] == codes[-1] == 0, ran.stderr
    assert codes.count(-9) >= in_time
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert steps(killed) == list(range(12))
    files = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    boards = {path for path in files if path.parts[0] == "tensorboard"}
    same = files - boards
    left = {path.relative_to(killed) for path in killed.rglob("*") if path.is_file()}
    assert {path for path in left if path.parts[0] != "tensorboard"} == same
    for path in same:
        assert (killed / path).read_bytes() == (whole / path).read_bytes(), path


def test_the_model_is_read_back_and_converts(finished: Path, tmp_path: Path) -> None:
    loaded = load_sdcl(finished / "model")
    assert loaded.provenance["steps"] == 3
    assert loaded.frame_branch == "osnet_x0_25"
    assert loaded.model.event_branch.mode == "int"
    assert main(["convert", str(finished / "model"), str(tmp_path / "x.net"), "--quiet"]) == 0
    assert len(load(tmp_path / "x.net").need_integer().layers) == 2


def test_a_finished_training_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run / "model").rglob("*")}
    train(run, "--json", str(tmp_path / "result.json"))
    said = capsys.readouterr()
    assert "holds the finished training" in said.err
    assert said.out.startswith("3 steps, 0 of them now\nfloat  2 steps")
    assert {path: path.stat().st_mtime_ns for path in (run / "model").rglob("*")} == before
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["schema"] == {"name": "sdcl_neuro.training", "version": 1}
    assert [(stage["mode"], stage["steps"]) for stage in result["stages"]] == [
        ("float", 2),
        ("int", 1),
    ]


def test_a_model_that_is_gone_is_written_again(run: Path) -> None:
    before = (run / "model" / "dense.safetensors").read_bytes()
    shutil.rmtree(run / "model")
    train(run, "--quiet")
    assert (run / "model" / "dense.safetensors").read_bytes() == before
    assert steps(run) == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("training.seed=7", "holds a training with training.seed=0, not 7; give another folder"),
        ("bridge.channels=8", "holds a training with bridge.channels=16, not 8"),
    ],
)
def test_another_configuration_is_refused(
    run: Path, change: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train(run, change, expect=2)
    shown = capsys.readouterr().err
    assert said in shown
    assert len(shown.strip().splitlines()) == 1


def test_what_changes_the_speed_only_is_taken(run: Path) -> None:
    train(run, "training.workers=1", "training.cache_mib=1", "training.checkpoint_every=9")


def test_a_folder_of_other_things_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    train(tmp_path, expect=2)
    assert "holds files that no training wrote" in capsys.readouterr().err
    train(tmp_path / "letter.txt", expect=2)
    assert "letter.txt: is not a folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: next((run / "state").glob("*.safetensors")).write_bytes(b"x"), "the hash"),
        (lambda run: (run / "state" / "state.json").write_text("{"), "damaged"),
        (lambda run: (run / "log.csv").write_text("step\n"), "has 5 bytes, and the state"),
    ],
)
def test_a_spoilt_folder_is_named_in_one_line(
    run: Path, spoil, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "model")
    spoil(run)
    train(run, "--quiet", expect=2)
    shown = capsys.readouterr().err
    assert said in shown
    assert len(shown.strip().splitlines()) == 1


def test_two_trainings_do_not_write_to_one_folder(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    shutil.rmtree(run / "model")
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        train(run, "--quiet", expect=2)
    assert "another process trains here" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.json"
    train(tmp_path / "run", "--dry-run", "--json", str(plan))
    text = capsys.readouterr().out
    assert "4 tracklets of 2 persons to learn" in text
    assert "MACs/tracklet" in text
    assert not (tmp_path / "run").exists()
    found = json.loads(plan.read_text())
    assert found["stages"][0] == {"mode": "float", "steps": 2}
    assert found["model"]["parameters"] == sum(found["parameters"].values())


def test_a_dry_run_refuses_what_the_real_run_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").touch()
    said = []
    for more in ((), ("--dry-run",)):
        train(tmp_path / "run", "--quiet", *more, expect=2)
        said.append(capsys.readouterr().err)
    assert said[0] == said[1]
    assert "holds files that no training wrote" in said[0]


@pytest.mark.parametrize("fault", ["no GPU", "a file above", "a file"])
def test_a_dry_run_refuses_places_and_devices_as_the_real_run_does(
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (tmp_path / "letter").touch()
    out = {"no GPU": "run", "a file above": "letter/run", "a file": "letter"}[fault]
    device = "cuda" if fault == "no GPU" else "cpu"
    said = []
    for more in ((), ("--dry-run",)):
        words = ["train", str(TINY), "--out", str(tmp_path / out), "--quiet", *more]
        code = main([*words, *SHORT, f"training.device={device}"])
        said.append((code, capsys.readouterr().err))
    assert said[0] == said[1]
    assert said[0][0] == (3 if fault == "no GPU" else 2)
    assert [one.name for one in tmp_path.iterdir()] == ["letter"]


def test_a_dry_run_says_that_a_training_is_finished(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(run, "--dry-run", "--quiet")
    assert f"{run} holds the finished training" in capsys.readouterr().out
    shutil.rmtree(run / "model")
    train(run, "--dry-run", "--quiet")
    assert f"{run} holds this training, unfinished" in capsys.readouterr().out


def test_the_board_shows_every_step_once(finished: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(finished / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss")] == [0, 1, 2]


def test_without_tensorboard_there_is_the_csv_and_a_word(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sdcl_neuro.reid.training.logs.installed", lambda module: False)
    shutil.rmtree(run / "model")
    shutil.rmtree(run / "tensorboard", ignore_errors=True)  # of a run that could write it
    train(run)
    assert "no TensorBoard files: tensorboard is not installed" in capsys.readouterr().err
    assert not (run / "tensorboard").exists()
    assert steps(run) == [0, 1, 2]


def test_validation_persons_leave_an_error_curve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], finished: Path
) -> None:
    out = tmp_path / "run"
    more = ("data.generated.persons=6", "data.generated.train_persons=5")
    train(out, *more, "training.validation_persons=3")
    assert "3 validation persons, 3 right and 12 wrong pairs" in capsys.readouterr().err
    curve = Verification.from_dict(load_sdcl(out / "model").provenance["verification"])
    assert curve.false_match[0] == 1
    assert curve.false_match[-1] == 0
    assert "verification" not in load_sdcl(finished / "model").provenance
