"""What a scenario of the kill harness is, and what all of them need."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Protocol

TESTS = Path(__file__).resolve().parent.parent
Say = Callable[[str], None]


class Scenario(Protocol):
    """One kind of work."""

    def prepare(self, folder: Path) -> None:
        """Make what the work reads, once, and whatever a whole run would come to."""

    def work(self, folder: Path, out: Path, say: Say) -> None:
        """Do the work to its end; `say` what is reported as done, as soon as it is."""

    def check(self, folder: Path, out: Path, said: list[str]) -> None:
        """After a kill: what was said is there, and nothing is half there."""

    def whole(self, folder: Path, out: Path) -> None:
        """After the next run came to its end: all is there, and no litter."""


def other(place: str) -> ModuleType:
    """A module of other tests, by its path below ``tests``."""
    spec = importlib.util.spec_from_file_location(f"killed_{Path(place).stem}", TESTS / place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def no_litter(folder: Path) -> None:
    """Nothing of a temporary name is left."""
    left = [path.name for path in folder.rglob("*") if ".part-" in path.name]
    assert not left, f"left behind: {left}"
