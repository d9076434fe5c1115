"""One class, one name; no file name that says nothing; old public names lead to today's."""

from __future__ import annotations

import ast
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest

EMPTY_NAMES = {"held", "kept", "methods", "rules", "text"}
RENAMED = [
    ("reid", "Judging", "EvaluationSettings"),
    ("reid.datasets", "Held", "TrackletsInMemory"),
    ("reid.datasets", "Kept", "RenderedOnDisk"),
    ("reid.evaluation", "Arm", "FeatureSource"),
    ("reid.evaluation", "Judging", "EvaluationSettings"),
    ("reid.evaluation", "Row", "EvaluationRow"),
    ("reid.training", "Step", "TrainingStep"),
]


def _modules(root: Path) -> list[Path]:
    return [path for base in ("sdcl_neuro", "conversion") for path in (root / base).rglob("*.py")]


def test_no_class_name_stands_twice(root: Path) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for path in _modules(root):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].add(f"{path.resolve().relative_to(root.resolve())}:{node.lineno}")
    assert {name: sorted(places) for name, places in found.items() if len(places) > 1} == {}


def test_every_file_name_says_what_is_in_it(root: Path) -> None:
    files = [path for path in _modules(root) if path.stem in EMPTY_NAMES]
    assert [str(path.relative_to(root)) for path in files] == []


@pytest.mark.parametrize(("room", "old", "today"), RENAMED)
def test_an_old_public_name_leads_to_todays_and_warns(room: str, old: str, today: str) -> None:
    package = import_module(f"sdcl_neuro.{room}")
    with pytest.warns(DeprecationWarning, match=f"{old} is now {today}"):
        found = getattr(package, old)
    assert found is getattr(package, today)
    assert old not in dir(package)
