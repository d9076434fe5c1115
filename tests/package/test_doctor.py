"""`sdcl-neuro doctor`: what is there, what is missing, and for what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdcl_neuro.cli import doctor_findings, main
from sdcl_neuro.conversion.backends.lava import installation
from sdcl_neuro.conversion.backends.table import BACKENDS
from sdcl_neuro.extras import ROWS


def test_every_backend_extra_and_requirement_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--json", str(tmp_path / "d.json")]) == 0
    text = capsys.readouterr().out
    told = json.loads((tmp_path / "d.json").read_text())
    names = {key: [one["name"] for one in found] for key, found in told["sections"].items()}
    assert names["Backends"] == list(BACKENDS)
    extras = dict.fromkeys(extra for row in ROWS for extra in row.extras)
    assert set(names["Extras"]) == {f"[{extra}]" for extra in extras}
    assert {"sdcl-neuro", "Python", "torch", "jinja2", "h5py"} <= set(names["This installation"])
    assert names["Caches"] == ["certificates", "kernels"]
    for found in told["sections"].values():
        for one in found:
            assert f"{'ok' if one['here'] else 'no'}   {one['name']} " in text


def test_what_is_missing_is_named_with_its_use_and_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installation, "_exists", lambda name: not name.startswith("lava"))
    monkeypatch.setattr(doctor_findings, "installed", lambda module: module != "faiss")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["doctor", "--json", str(tmp_path / "d.json")]) == 0  # no fault of anybody's
    missing = {one["name"]: one for one in json.loads((tmp_path / "d.json").read_text())["missing"]}
    assert "lava install" in missing["lava"]["remedy"]
    assert missing["[gallery]"]["remedy"].endswith("pip install 'sdcl-neuro[gallery]'")
    assert missing["[gallery]"]["serves"] == "faster search in large galleries"
    assert {"c", "verilog", "cc", "verilator"} <= missing.keys()
    said = " ".join(capsys.readouterr().out.split())
    assert "faiss-cpu missing, for faster search in large galleries:" in said


def test_a_cache_that_cannot_be_written_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "one.json").write_bytes(bytes(2**20))
    found = doctor_findings._folder("certificates", tmp_path / "kept")
    assert (found.here, found.detail) == (True, f"{tmp_path / 'kept'}: 1 file, 1.0 MiB")
    monkeypatch.setattr(doctor_findings.os, "access", lambda path, mode: False)
    found = doctor_findings._folder("certificates", tmp_path / "nowhere" / "kept")
    assert not found.here
    assert "not writable" in str(found)
