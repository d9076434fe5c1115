"""Every path on a pretended GPU: it runs, equals the CPU, and stays under its ceilings.

Each file of paths/ is a process of its own: the pretence must come before torch.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PATHS = sorted(path.stem for path in (HERE / "paths").glob("*.py"))


@pytest.mark.compiler
@pytest.mark.parametrize("path", PATHS)
def test_on_a_pretended_gpu(path: str, guard: Path, root: Path) -> None:
    already = os.environ.get("PYTHONPATH", "")
    environment = {
        **os.environ,
        "SDCL_NEURO_PRETENDED_GUARD": str(guard),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE / "pretended"), str(root), already])),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "plugin", "-p", "no:cacheprovider"),
            *("-p", "no:xdist", "-o", "addopts=--import-mode=importlib --strict-markers"),
            str(HERE / "paths" / f"{path}.py"),
        ],
        cwd=root, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
