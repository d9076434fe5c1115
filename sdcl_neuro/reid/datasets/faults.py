"""Everything that is wrong with a data set's folder, in one error."""

from __future__ import annotations

from pathlib import Path

from sdcl_neuro.errors import InputError, number_of

# So many are named in the message, each with at most so many characters; the others are counted.
SHOWN, LONGEST = 12, 200
KEPT = 10_000


class FaultyData(InputError):
    """A folder with faults: the first are in the message, all of them in `faults`."""

    def __init__(self, what: str, *, where: str, hint: str, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__(what, where=where, hint=hint)


class Faults:
    """Collects faults while a folder is read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: list[str] = []
        self.count = 0

    def add(self, what: str) -> None:
        """Add one more; only the first thousands are kept as text."""
        self.count += 1
        if self.count <= KEPT:
            line = " ".join(what.split())
            self.found.append(line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}...")

    def missing(self, what: str, names: list[str]) -> None:
        """Add absent files of one kind, as one fault."""
        if names:
            more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
            self.add(f"{what}: {names[0]}{more} missing")

    def check(self, hint: str) -> None:
        """Raise InputError with all of them, if there are any."""
        if not self.count:
            return
        more = f" | and {self.count - SHOWN:,} more" if self.count > SHOWN else ""
        many = number_of(self.count, "fault")
        raise FaultyData(
            f"{many}: {' | '.join(self.found[:SHOWN])}{more}",
            where=str(self.root),
            hint=hint,
            faults=tuple(self.found),
        )
