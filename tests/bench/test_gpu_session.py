"""`make gpu`: its parts, limits, refusals and files, as far as they go without a GPU."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

MODULES = ("gpu_session", "results", "columns")


@pytest.fixture
def session(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(root / "bench"))
    yield importlib.import_module("gpu_session")
    for name in MODULES:
        sys.modules.pop(name, None)


def part(session: ModuleType, name: str, code: str, limit_s: float = 60.0):
    return session.Part(name, ("-c", code), limit_s)


def test_each_part_ends_at_its_limit_and_the_others_run(
    session: ModuleType, tmp_path: Path
) -> None:
    """A part's children end with it."""
    mark = tmp_path / "alive"
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(mark)!r}).touch()"
    slow = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    parts = [
        part(session, "slow", slow, 0.7),
        part(session, "broken", "raise SystemExit(4)"),
        part(session, "good", "pass"),
    ]
    done = session.run_parts(parts, dict(os.environ))
    assert [one.how for one in done] == ["ended at its limit", "failed", "passed"]
    assert done[0].seconds < 3
    time.sleep(3)
    assert not mark.exists()


def test_what_no_time_is_left_for_is_left_out(session: ModuleType) -> None:
    parts = [part(session, "long", "import time; time.sleep(60)"), part(session, "last", "pass")]
    done = session.run_parts(parts, dict(os.environ), limit_s=1.5)
    assert [one.how for one in done] == ["ended at its limit", "left out"]


def test_all_limits_fit_into_nine_minutes(session: ModuleType, root: Path) -> None:
    assert sum(one.limit_s for one in session.PARTS) <= session.LIMIT_S - 30
    assert session.LIMIT_S <= 540
    for one in session.PARTS:  # what is named is there
        for name in one.arguments:
            if "/" in name:
                assert (root / name).exists(), name


def test_every_test_of_a_gpu_is_in_a_room_that_runs(session: ModuleType, root: Path) -> None:
    rooms = tuple(name for name in session.PARTS[0].arguments if name.startswith("tests/"))
    for path in (root / "tests").rglob("test_*.py"):
        if "pytest.mark.gpu\n" in path.read_text(encoding="utf-8"):
            assert path.relative_to(root).as_posix().startswith(rooms), path


@pytest.mark.parametrize(
    ("gpu", "name"),
    [("NVIDIA H200", "nvidia-h200.json"), ("Tesla T4 (MIG 1g.5gb)", "tesla-t4-mig-1g-5gb.json")],
)
def test_results_are_named_after_the_gpu(session: ModuleType, gpu: str, name: str) -> None:
    assert session.file_name(gpu) == name


def test_missing_packages_are_one_line_with_the_command(
    session: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {"pytest_benchmark", "cv2", "spikingjelly"}
    monkeypatch.setattr(session, "find_spec", lambda name: None if name in gone else object())
    assert session.main([]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make gpu: missing: pytest_benchmark, cv2; install them: ")
    assert line.endswith(
        "-m pip install -c constraints.txt pytest-benchmark opencv-python-headless"
    )


def test_without_a_gpu_nothing_is_written(
    session: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    page = tmp_path / "gpu.md"
    assert session.main(["--results", str(tmp_path / "results"), "--page", str(page)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make gpu: torch ")
    assert line.endswith("finds no GPU; nothing was run or written")
    assert not list(tmp_path.iterdir())


def test_make_hands_on_the_interpreter_and_the_code(root: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU: this would run everything")
    done = subprocess.run(
        ["make", "gpu", f"PYTHON={sys.executable}"], cwd=root, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(root)}, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2  # make's own, for any failure
    assert "finds no GPU; nothing was run or written" in done.stderr
    assert "Error 3" in done.stderr


def test_a_whole_session_with_other_parts(
    session: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: Path
) -> None:
    """The parts here only leave rows; the files are the real ones."""
    rows = (
        "import sys; sys.path.insert(0, 'bench')\n"
        "import os, pathlib, results\n"
        "book = results.Book()\n"
        "book.rows = [{'table': 'training_gpu', 'case': {'network': 'paper'}, 'unit': 'ms',\n"
        "  'rounds': {'sdcl_neuro': [1.0], 'snnTorch loop': [4.0]}, 'when': 'now'}]\n"
        "book.save(pathlib.Path(os.environ['SDCL_NEURO_BENCH_RESULTS']))\n"
    )
    monkeypatch.setattr(session, "PARTS", (part(session, "rows", rows),))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda index=0: "NVIDIA H200")
    monkeypatch.setattr(
        "torch.cuda.get_device_properties",
        lambda index=0: SimpleNamespace(total_memory=141 << 30),
    )
    page = tmp_path / "gpu.md"
    page.write_text((root / "docs" / "gpu.md").read_text(encoding="utf-8"), encoding="utf-8")
    arguments = ["--results", str(tmp_path / "results"), "--page", str(page)]
    assert session.main(arguments) == 0
    book = json.loads((tmp_path / "results" / "nvidia-h200.json").read_text())
    assert [one["how"] for one in book["session"]] == ["passed"]
    assert book["rows"][0]["table"] == "training_gpu"
    assert "| paper | 1 | 4 | 4 |" in page.read_text(encoding="utf-8")
