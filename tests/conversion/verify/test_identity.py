"""What a certificate is bound to: every source file, and every library that computes."""

from __future__ import annotations

import ast
import importlib.metadata
import shutil
import sys
from pathlib import Path

import pytest

from sdcl_neuro.network import identity
from sdcl_neuro.network.identity import (
    LIBRARIES,
    edited_sources,
    source_hashes,
    sources_sha256,
    versions,
)

NO_ARITHMETIC = {
    "psutil": "memory and processes",
    "rich": "terminal",
    "jinja2": "reports",
    "markupsafe": "reports",
    "matplotlib": "pictures",
    "onnx": "named by onnx_export itself",
    "onnxruntime": "named by onnx_export itself",
    "onnxscript": "named by onnx_export itself",
    "google": "protobuf, of onnx",
    "tensorboard": "logs",
}
"""Third-party modules that `verify` may import without computing a spike with them."""
ROOMS_OF_A_RUN = ("conversion", "engine", "bptt", "compiling", "snn", "network")


@pytest.fixture(scope="module")
def copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as a wheel has it: links are folders."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "*.nbi", "*.nbc")
    place = tmp_path_factory.mktemp("copy") / "sdcl_neuro"
    return Path(shutil.copytree(root / "sdcl_neuro", place, ignore=ignored))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_each_file_of_the_package_is_hashed(copy: Path) -> None:
    before = source_hashes(copy)
    files = _files(copy)
    assert set(before) == {path.relative_to(copy).as_posix() for path in files}
    wanted = {
        "snn/bptt/kernels.py", "compiling/__init__.py", "engine/event/neuron_step.py",
        "network/identity.py", "hw_profiles/loihi2.toml", "py.typed",
    }  # fmt: skip
    assert wanted <= set(before)
    kept = {path: path.read_bytes() for path in files}
    for path in files:
        path.write_bytes(kept[path] + b"\n")
    after = source_hashes(copy)
    for path in files:
        path.write_bytes(kept[path])
    assert [name for name, value in before.items() if after[name] == value] == []
    assert source_hashes(copy) == before


def test_one_file_of_each_folder_changes_the_hash(copy: Path) -> None:
    hashes = [sources_sha256(copy)]
    for folder in sorted({path.parent for path in _files(copy)}):
        file = next(path for path in _files(folder) if path.parent == folder)
        kept = file.read_bytes()
        file.write_bytes(kept + b"\n")
        hashes.append(sources_sha256(copy))
        file.write_bytes(kept)
    assert len(set(hashes)) == len(hashes) > 20
    assert sources_sha256(copy) == hashes[0]


def test_a_new_file_and_a_new_name_change_the_hash(copy: Path) -> None:
    before = sources_sha256(copy)
    (copy / "engine" / "more.py").write_bytes(b"")
    with_new = sources_sha256(copy)
    (copy / "engine" / "more.py").rename(copy / "engine" / "other.py")
    renamed = sources_sha256(copy)
    (copy / "engine" / "other.py").unlink()
    assert len({before, with_new, renamed}) == 3
    assert sources_sha256(copy) == before


def test_a_checkout_and_a_wheel_have_one_hash(root: Path, copy: Path) -> None:
    assert sources_sha256(root / "sdcl_neuro") == sources_sha256(copy)


def test_compiled_files_are_left_out(copy: Path) -> None:
    before = sources_sha256(copy)
    compiled = copy / "engine" / "__pycache__"
    compiled.mkdir()
    (compiled / "kernels.cpython-311.pyc").write_bytes(b"1")
    (copy / "engine" / "kernels.py311.nbi").write_bytes(b"1")
    assert sources_sha256(copy) == before
    shutil.rmtree(compiled)


def test_a_folder_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("a = 1\n")
    (tmp_path / "room" / "again").symlink_to("..")
    assert list(source_hashes(tmp_path)) == ["room/a.py"]


def test_sources_edited_while_the_process_runs_are_found(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = (copy / "network" / "spec.py").stat().st_mtime + 1e6
    assert edited_sources(copy, since=later) == ()
    assert "network/spec.py" in edited_sources(copy, since=0.0)
    monkeypatch.setattr(identity, "edited_sources", lambda: ("network/spec.py",))
    assert str(versions()["sdcl-neuro-sources"]).startswith("edited after they were loaded at 1")


def test_every_library_that_a_run_imports_is_named(root: Path) -> None:
    providers = importlib.metadata.packages_distributions()
    imported = set()
    for room in ROOMS_OF_A_RUN:
        for path in (root / "sdcl_neuro" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    imported.add(node.module.split(".")[0])
    others = imported - set(sys.stdlib_module_names) - {"sdcl_neuro", *NO_ARITHMETIC}
    unnamed = {name for name in others if not set(providers.get(name, [name])) & set(LIBRARIES)}
    assert unnamed == set()
    assert {"numba", "llvmlite", "scipy", "h5py", "python"} <= set(versions())


def test_other_libraries_can_be_named() -> None:
    found = versions(["pytest", "not-there-at-all"])
    assert found["pytest"] == pytest.__version__
    assert found["not-there-at-all"] is None
