"""The site, built strictly by both generators that read mkdocs.yml, and looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Site = Callable[[str], ModuleType]


def _copy(root: Path, folder: Path) -> None:
    """What the site is made of; the generators write beside their configuration."""
    ignored = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc")
    for name in ("docs", "sdcl_neuro", "conversion", "hw_profiles"):
        shutil.copytree(root / name, folder / name, symlinks=True, ignore=ignored)
    for name in ("mkdocs.yml", *(path.name for path in root.glob("*.md")), "LICENSE"):
        shutil.copy(root / name, folder / name)


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["mkdocs", "zensical"])
def test_the_site_builds_strictly_and_is_whole(
    root: Path, site: Site, tmp_path: Path, generator: str
) -> None:
    named = os.environ.get("SDCL_NEURO_SITE_BIN")
    program = (Path(named) if named else root / ".venv-docs" / "bin") / generator
    if not program.exists():
        pytest.skip(f"{program} is not installed: make site sets it up")
    _copy(root, tmp_path)
    subprocess.run([sys.executable, "docs/site/prepare.py"], cwd=tmp_path, check=True)
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [str(program), "build", "--strict"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    built = tmp_path / "build" / "site" / "html"
    assert site("check").faults(built) == []
    api = (built / "api" / "conversion.html").read_text("utf-8")
    assert "from_snntorch" in api
    assert "calibration" in api  # an argument, from its docstring
    assert (built / "search").is_dir() or list(built.rglob("search*.json"))


def test_a_fault_of_a_built_site_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<link rel="stylesheet" href="https://fonts.example/a.css">'
        '<h1 id="here">x</h1><a href="#here">y</a><a href="#there">y</a><a href="b.html">z</a>'
    )
    (tmp_path / "a.css").write_text("@import '//fonts.example/b.css';")
    assert sorted(site("check").faults(tmp_path)) == [
        "a.css fetches from another host",
        "index.html fetches https://fonts.example/a.css",
        "index.html: #there leads to no heading",
        "index.html: b.html leads to no file",
    ]
