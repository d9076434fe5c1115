"""Docstrings of functions begin with a verb: those of properties, which are values, do not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

NO_VERB = {
    *(
        "A",
        "All",
        "An",
        "As",
        "Both",
        "By",
        "Each",
        "Every",
        "For",
        "From",
        "How",
        "In",
        "Its",
        "No",
    ),
    *(
        "None",
        "Of",
        "On",
        "One",
        "Only",
        "Some",
        "That",
        "The",
        "These",
        "This",
        "Those",
        "Through",
    ),
    *("Two", "What", "When", "Where", "Whether", "Which", "While", "Who", "Whose", "Why", "With"),
    "Without",
}
VALUES = {"property", "cached_property"}


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {
                getattr(one, "attr", getattr(one, "id", "")) for one in node.decorator_list
            }
            if not decorators & VALUES:
                yield node


def _without_verb(path: Path) -> list[str]:
    found = []
    for function in _functions(ast.parse(path.read_text("utf-8"))):
        words = (ast.get_docstring(function) or "Do").split()
        first = words[0].rstrip(",.;:")
        if first in NO_VERB or not first[0].isupper():
            found.append(f"{path}:{function.lineno}: {' '.join(words[:6])}")
    return found


@pytest.mark.parametrize("room", ["sdcl_neuro", "conversion", "hw_profiles"])
def test_a_functions_docstring_begins_with_a_verb(root: Path, room: str) -> None:
    files = sorted((root / room).rglob("*.py"))
    assert not [line for path in files for line in _without_verb(path)]


def test_a_noun_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text('def f():\n    """The sum."""\n\n\ndef g():\n    """Return the sum."""\n')
    assert [line.rpartition(": ")[2] for line in _without_verb(path)] == ["The sum."]
