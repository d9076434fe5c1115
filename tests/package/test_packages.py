"""What is installed is what is here: every package is listed, every data file has a pattern."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOMS = ("sdcl_neuro", "conversion", "hw_profiles")


def _setuptools(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "setuptools"
    ]


def test_every_package_is_listed(root: Path) -> None:
    found = set()
    for room in ROOMS:
        for path in (root / room).rglob("__init__.py"):
            parts = path.parent.relative_to(root).parts
            if parts[:2] in {("sdcl_neuro", "conversion"), ("sdcl_neuro", "hw_profiles")}:
                continue  # the links: the same files a second time
            found.add(".".join(parts if parts[0] == "sdcl_neuro" else ("sdcl_neuro", *parts)))
    listed = _setuptools(root)["packages"]
    assert sorted(set(listed)) == sorted(listed)
    assert set(listed) == found


def test_every_data_file_is_shipped(root: Path) -> None:
    patterns = _setuptools(root)["package-data"]
    shipped = set()
    for package, globs in patterns.items():
        folder = root / package.replace(".", "/")
        for pattern in globs:
            matched = [path.resolve() for path in folder.glob(pattern)]
            assert matched, (package, pattern)
            shipped.update(matched)
    here = {
        path.resolve()
        for room in ROOMS
        for path in (root / room).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc", ".nbc", ".nbi"}
    }
    assert here - shipped == set()
