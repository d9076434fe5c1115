"""What a target's writer hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdcl_neuro.network.content import Result


@dataclass(frozen=True, eq=False)
class Written(Result):
    """Files of one network for one target.

    Attributes:
        target: its name, as a backend is called.
        out: the file that was asked for, or the folder.
        sha256: of `out`, a folder's files with their names.
        files: everything that was written, `out` first.
        facts: what the target needs to be judged, plain JSON values.
        lines: the same in words, a line each.
    """

    target: str
    out: Path
    sha256: str
    files: tuple[Path, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "target": self.target,
            "files": [path.name for path in self.files],
            "facts": dict(self.facts),
        }

    def __str__(self) -> str:
        names = ", ".join(path.name for path in self.files)
        return "\n".join([f"{self.target}: {names}", *(f"  {line}" for line in self.lines)])
