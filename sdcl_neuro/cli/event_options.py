"""Options on how to read an event file, the same in every verb that takes one."""

from __future__ import annotations

import argparse

from ..events import MENDS
from ..events.options import ReadingOptions
from .event_values import pair, time_unit


def add_reading_arguments(
    parser: argparse._ActionsContainer, *, sensor_help: str | None = None
) -> None:
    """Declare the options of `ReadingOptions`.

    Args:
        parser: a parser or an argument group.
        sensor_help: of ``--sensor``, where it means more than the file's own size.
    """
    parser.add_argument(
        "--sensor",
        metavar="WxH",
        help=sensor_help or "width x height, where the file does not say, as 640x480",
    )
    parser.add_argument(
        "--mend",
        metavar="NAME,...",
        default="",
        help="repair, and count what was repaired: "
        + "; ".join(f"{name}: {text}" for name, text in MENDS.items()),
    )
    parser.add_argument("--columns", metavar="ORDER", help="of text and N x 4 files, as xytp")
    parser.add_argument(
        "--time-unit", metavar="UNIT", help="of files that do not fix it, as us, 100us, ms or s"
    )


def reading_of(args: argparse.Namespace) -> ReadingOptions:
    """What the command line says about the event file.

    Raises:
        InputError: a value that cannot be read.
    """
    return ReadingOptions(
        sensor=pair(args.sensor, "--sensor"),
        mend=tuple(name for name in args.mend.split(",") if name),
        columns=args.columns,
        time_unit_us=time_unit(args.time_unit),
    )
