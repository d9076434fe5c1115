"""The targets that change files, tried on a copy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def test_clean_removes_compiled_code_and_nothing_else(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "Makefile", tmp_path)
    kept = ["sdcl_neuro/engine/kernels.py", "docs/a.nbi.md", "notes/__pycache__.txt"]
    gone = [
        "sdcl_neuro/engine/__pycache__/kernels.advance-1.py311.nbi",
        "sdcl_neuro/engine/__pycache__/kernels.advance-1.py311.1.nbc",
        "sdcl_neuro/engine/__pycache__/kernels.cpython-311.pyc",
        "conversion/beside.1.nbc",
        "conversion/beside.nbi",
        ".venv/bin/python",
        "demo-out/report.html",
    ]
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"Makefile", *kept}
    assert not (tmp_path / "sdcl_neuro/engine/__pycache__").exists()


ROOMS = ("conversion/nir", "events", "profiling", "reid/gallery")


def _copy(root: Path, folder: Path) -> None:
    """Copy what `make` looks at before it installs anything."""
    names = ["Makefile", "constraints.txt", "pyproject.toml", "bench/peers.txt"]
    names += [f"tests/{room}/peers.txt" for room in ROOMS]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, folder / name)


def _old_python(folder: Path, version: tuple[int, int]) -> Path:
    """A stand-in for another Python: it answers which one it is, and fails at anything else."""
    program = folder / f"python{version[0]}.{version[1]}"
    good = version >= (3, 11)
    program.write_text(
        "#!/bin/sh\n"
        f'case "$2" in *print*) echo {version[0]}.{version[1]};; '
        f"*) exit {0 if good else 1};; esac\n"
    )
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("goal", ["demo", "dist"])
def test_a_python_that_is_too_old_is_one_clear_line(root: Path, tmp_path: Path, goal: str) -> None:
    _copy(root, tmp_path)
    python = _old_python(tmp_path, (3, 10))
    done = subprocess.run(
        ["make", goal, f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert first.startswith("make: expected Python 3.11 or later, got 3.10 from ")
    assert "make PYTHON=" in first
    assert not (tmp_path / ".venv").exists()


def test_an_environment_of_another_python_is_removed(root: Path, tmp_path: Path) -> None:
    _copy(root, tmp_path)
    stale = tmp_path / ".venv" / "bin"
    stale.mkdir(parents=True)
    _old_python(stale, (3, 12)).rename(stale / "python")
    (tmp_path / ".venv" / "installed-3.12").touch()
    # It stops at `-m venv`, which the stand-in cannot do: what comes before it is what is tried.
    python = _old_python(tmp_path, (3, 13))
    python.write_text(python.read_text().replace("*) exit 0", "*venv*) exit 1;; *) exit 0"))
    done = subprocess.run(
        ["make", "demo", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "removing .venv, which belongs to another Python" in done.stdout
    assert "installing into .venv for Python 3.13" in done.stdout
    assert "GB" in done.stdout
    assert not stale.exists()
