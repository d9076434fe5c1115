"""Every path on a pretended GPU: it runs, equals the CPU, and stays under its ceilings.

The pretence must come before torch, so that the tests in paths/ have processes of their own: one
for all that are quick, and one a file for those marked slow.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PATHS = sorted((HERE / "paths").glob("*.py"))
SLOW = [path for path in PATHS if "@pytest.mark.slow" in path.read_text(encoding="utf-8")]


def run(paths: list[Path], marked: str, guard: Path, root: Path) -> None:
    """Run test files in a process whose torch has a pretended GPU."""
    already = os.environ.get("PYTHONPATH", "")
    folders = filter(None, [str(HERE / "pretended"), str(root), already])
    environment = {
        **os.environ,
        "SDCL_NEURO_PRETENDED_GUARD": str(guard),
        "PYTHONPATH": os.pathsep.join(folders),
        "OMP_NUM_THREADS": "1",
    }
    options = "addopts=--import-mode=importlib --strict-markers"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--tb=short", "-o", options),
            *("-p", "plugin", "-p", "no:cacheprovider", "-p", "no:xdist"),
            *("-m", marked, *map(str, paths)),
        ],
        cwd=root, env=environment, capture_output=True, text=True, timeout=290, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.compiler
def test_on_a_pretended_gpu(guard: Path, root: Path) -> None:
    run(PATHS, "not slow", guard, root)


@pytest.mark.slow
@pytest.mark.compiler
@pytest.mark.parametrize("path", SLOW, ids=lambda path: path.stem)
def test_all_of_it_on_a_pretended_gpu(path: Path, guard: Path, root: Path) -> None:
    run([path], "slow", guard, root)
