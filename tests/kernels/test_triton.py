"""The Triton kernels without a GPU: run by its interpreter, and compiled for GPUs.

Each file of parts/ is a process of its own: whether the interpreter is used is decided when a
kernel is defined.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PARTS = Path(__file__).resolve().parent / "parts"

pytestmark = pytest.mark.skipif(
    find_spec("triton") is None, reason="Triton is not installed here; see make test-triton"
)


def _run(part: str, root: Path, **settings: str) -> None:
    searched = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": searched, "OMP_NUM_THREADS": "1", **settings}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
            *("-o", "addopts=--import-mode=importlib --strict-markers", "-o", "timeout=0"),
            *("-s", str(PARTS / f"{part}.py")),
        ],
        cwd=root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout


def test_neurons_in_the_interpreter(root: Path) -> None:
    _run("neurons", root, TRITON_INTERPRET="1", SDCL_NEURO_NETWORKS="0:40")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_neurons_of_many_networks_in_the_interpreter(root: Path) -> None:
    _run("neurons", root, TRITON_INTERPRET="1", SDCL_NEURO_NETWORKS="0:2000")


def test_scan_in_the_interpreter(root: Path) -> None:
    _run("scan", root, TRITON_INTERPRET="1")


def test_machine_code_for_gpus(root: Path, tmp_path: Path) -> None:
    _run("machine_code", root, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
