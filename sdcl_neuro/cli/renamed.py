"""Options that were renamed: the old name works for one release, with a warning."""

from __future__ import annotations

import argparse
import sys
from typing import Any


class _Renamed(argparse.Action):
    """Stores the value under the new name, and says on standard error what that is."""

    def __init__(self, *args: Any, new: str, convert: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.new, self.convert = new, convert

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        verb = parser.prog.partition(" ")[2]
        print(
            f"sdcl-neuro: {option_string} of {verb} is now {self.new}; the old name goes with the "
            "next release",
            file=sys.stderr,
        )
        try:
            setattr(namespace, self.dest, self.convert(values))
        except ValueError:
            raise argparse.ArgumentError(self, f"invalid value: {values!r}") from None


def add_renamed(parser: Any, new: str, old: str, **options: Any) -> None:
    """Declare an option under its new name, and under its old one, which `--help` does not show.

    Args:
        parser: or a group of it.
        new, old: as they are typed.
        options: as for ``add_argument``.
    """
    action = parser.add_argument(new, **options)
    parser.add_argument(
        old,
        action=_Renamed,
        new=new,
        convert=options.get("type", str),
        dest=action.dest,
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
    )
