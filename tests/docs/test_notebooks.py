"""The notebooks: kept with what they show, and run from the top by a kernel of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
SIZE_MAX = 400_000
"""Bytes of one notebook, pictures included."""


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_what_it_shows(path: Path) -> None:
    notebook = _read(path)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert "".join(notebook["cells"][0]["source"]).startswith("# ")
    assert all(cell["execution_count"] == number for number, cell in enumerate(code, 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not any(output["output_type"] == "error" for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs), "a warning is kept"
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < SIZE_MAX
    text = path.read_text("utf-8")
    assert str(ROOT) not in text
    assert "/tmp/" not in text


def test_there_is_one_for_each_task() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "deploy-your-network",
        "energy-and-fit",
        "hybrid-on-a-clip",
        "look-at-events",
        "nir-in-and-out",
        "reproduce-figure-4",
        "what-each-branch-sees",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "install the extra: pip install 'sdcl-neuro[notebooks]'"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    nbformat = pytest.importorskip("nbformat", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    notebook = nbformat.read(path, 4)
    # Equality, not pictures: what is printed and drawn depends on the machine in its last digits.
    client = nbclient.NotebookClient(
        notebook,
        timeout=280,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    assert all(cell.get("execution_count") for cell in notebook.cells if cell.cell_type == "code")
