"""Annotations compared with arguments: what fits, and that only failed calls are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.argument_types import fits, in_words
from sdcl_neuro.network.arguments import public, public_class


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, True), (np.int64(3), int, True), (True, int, False), (3.0, int, False),
        (3, float, True), (np.float32(3), float, True), ("3", float, False),
        (None, int | None, True), ("a", int | None, False), ("cpu", Literal["cpu", "gpu"], True),
        ("tpu", Literal["cpu", "gpu"], False), ([1, 2], tuple[int, int], True),
        ("12", tuple[int, int], False), ("a", Sequence[str], False), (["a"], Sequence[str], True),
        ({"a": 1}, Mapping[str, int], True), ([1], Mapping[str, int], False),
        (np.zeros(2), np.ndarray[Any, Any], True), ([0.0], np.ndarray[Any, Any], False),
        (Path("a"), Path | str, True), (3, Path | str, False), (len, Callable[[], int], True),
        (3, Any, True), (3, object, True),
    ],
)  # fmt: skip
def test_what_fits(value: object, hint: Any, expected: bool) -> None:
    assert fits(value, hint) is expected


def test_in_words() -> None:
    assert in_words(int | None) == "a whole number or None"
    assert in_words(Literal["a", "b"]) == "'a' or 'b'"
    assert in_words(np.ndarray[Any, Any]) == "an array"


@public
def halved(values: Sequence[float], by: int = 2) -> list[float]:
    """Divide; fails over anything but numbers."""
    return [value / by for value in values]


def test_a_call_that_works_is_not_looked_at() -> None:
    assert halved(np.ones(2)) == [0.5, 0.5]  # type: ignore[arg-type]
    assert halved([1], by=0.5) == [2.0]  # type: ignore[arg-type]


def test_a_wrong_argument_of_a_failed_call_is_the_answer() -> None:
    with pytest.raises(InputError, match="halved: expected a whole number as by, got a str; help"):
        halved([1.0], by="2")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"expected a Sequence\[float\] as values, got"):
        halved(None)  # type: ignore[arg-type]


def test_an_error_over_good_arguments_is_left_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        halved([1.0], by=0)


@public_class
@dataclass(frozen=True)
class _Kept:
    """Only keeps what it is given."""

    path: Path
    sizes: tuple[int, ...] = ()
    other: Path | None = None


def test_a_dataclass_compares_what_it_keeps() -> None:
    assert _Kept("a/b", [1, 2], other="c") == _Kept(Path("a/b"), [1, 2], Path("c"))  # type: ignore[arg-type]
    assert _Kept(path="a").path == Path("a")  # type: ignore[arg-type]
    for call, message in (
        (lambda: _Kept(3), "expected a Path as path, got an int"),  # type: ignore[arg-type]
        (lambda: _Kept("a", "12"), "expected a tuple[int] as sizes, got a str"),  # type: ignore[arg-type]
        (lambda: _Kept(), "_Kept: path missing; call _Kept(path, sizes, other)"),  # type: ignore[call-arg]
        (lambda: _Kept("a", (), None, 4), "takes 3 arguments by position"),  # type: ignore[call-arg, arg-type]
        (lambda: _Kept("a", size=3), "unknown keyword 'size'; did you mean sizes?"),  # type: ignore[call-arg, arg-type]
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)
