"""Cameras of the command line and of a list, one line each."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sdcl_neuro.errors import InputError

from .live import add_source_arguments, source_of

if TYPE_CHECKING:
    from sdcl_neuro.reid.serve.settings import CameraSpec

LARGEST_LIST = 1 << 20


def cameras_of(args: argparse.Namespace) -> tuple[CameraSpec, ...]:
    """Return the cameras of the command line and of the file.

    Raises:
        InputError: a line that cannot be read.
    """
    lines = [(f"--camera {number}", text) for number, text in enumerate(args.camera, 1)]
    if args.cameras is not None:
        lines += _listed(args.cameras)
    if not lines:
        raise InputError("no camera", hint="give --camera, --cameras FILE or --demo")
    return tuple(_camera(where, text) for where, text in lines)


def _listed(path: Path) -> list[tuple[str, str]]:
    """Return lines of a file of cameras, each with its place."""
    from sdcl_neuro.files.reading import reading, regular_file

    what, hint = "a list of cameras", "write one camera a line: NAME and the options of live"
    if regular_file(path, what=what, hint=hint).stat().st_size > LARGEST_LIST:
        raise InputError("is too large for a list of cameras", where=str(path), hint=hint)
    with reading(path, what, hint=hint):
        text = path.read_text(encoding="utf-8")
    rows = enumerate(text.splitlines(), 1)
    return [
        (f"{path}, line {number}", line)
        for number, line in rows
        if line.strip() and not line.lstrip().startswith("#")
    ]


class _LineParser(argparse.ArgumentParser):
    """Reports a wrong line where it stands, instead of ending the process."""

    where = ""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, where=self.where, hint="give NAME and the options of live")


def _camera(where: str, text: str) -> CameraSpec:
    from sdcl_neuro.reid.serve.settings import CameraSpec

    parser = _LineParser(prog="camera", add_help=False, allow_abbrev=False)
    parser.where = where
    parser.add_argument("name")
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--delay", type=float, default=0.0)
    add_source_arguments(parser)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"{error}", where=where, hint="close every quotation mark") from None
    given = parser.parse_args(words)
    try:
        return CameraSpec(given.name, source_of(given), loop=given.loop, delay_s=given.delay)
    except InputError as error:
        place = f"{where}, {error.where}" if error.where else where
        raise InputError(error.what, where=place, hint=error.hint) from None
