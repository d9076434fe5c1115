"""The targets that change files, tried on a copy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


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
