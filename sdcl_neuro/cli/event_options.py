"""Options on how to read an event file, the same in every verb that takes one."""

from __future__ import annotations

import argparse
from pathlib import Path

from sdcl_neuro.events import MENDS, Denoise
from sdcl_neuro.events.options import ReadingOptions

from .event_values import pair, time_span, time_unit


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
        help=sensor_help or "width x height, if the file does not state it, for example 640x480",
    )
    parser.add_argument(
        "--mend",
        metavar="NAME,...",
        default="",
        help="repair, and count what was repaired: "
        + "; ".join(f"{name}: {text}" for name, text in MENDS.items()),
    )
    parser.add_argument(
        "--columns",
        metavar="ORDER",
        help="order of the columns of text and N x 4 files, for example xytp",
    )
    parser.add_argument(
        "--time-unit",
        metavar="UNIT",
        help="time unit of files that do not state it: ns, us, 100us, ms or s",
    )
    parser.add_argument(
        "--stream",
        metavar="NAME",
        help="which recording of a file that holds several (AEDAT 4, ROS bags, HDF5): its number, "
        "name, camera or camera/name, as `events info` lists them",
    )
    parser.add_argument(
        "--between",
        metavar="START,END",
        help="take only the events of this time span, in the file's clock: 1.5s,2s or 0,40ms; a "
        "number without a unit is microseconds",
    )
    parser.add_argument(
        "--denoise",
        metavar="FILTER,...",
        help="remove noise and count it: background[=US] (no event at the eight neighbours "
        "within that time before it; 10000), refractory[=US] (too soon after its pixel's last; "
        "500), hot[=FACTOR] (pixels that fire this many times as often as their neighbours; 10)",
    )
    parser.add_argument(
        "--rectify",
        metavar="MAP",
        type=Path,
        help="move events by a rectification map such as DSEC's rectify_map.h5",
    )


def reading_of(args: argparse.Namespace) -> ReadingOptions:
    """Return what the command line says about the event file.

    Raises:
        InputError: a value that cannot be read.
    """
    return ReadingOptions(
        sensor=pair(args.sensor, "--sensor"),
        mend=tuple(name for name in args.mend.split(",") if name),
        columns=args.columns,
        time_unit_us=time_unit(args.time_unit),
        stream=args.stream,
        between_us=time_span(args.between),
        denoise=None if args.denoise is None else Denoise.parse(args.denoise),
        rectify=args.rectify,
    )


def reading_overrides(args: argparse.Namespace) -> list[str]:
    """Return the same as ``KEY=VALUE`` of a configuration's ``[data.reading]``."""
    options = reading_of(args)  # a value that cannot be read is told in the option's name
    given = {
        "sensor": None if options.sensor is None else list(options.sensor),
        "mend": list(options.mend) or None,
        "columns": options.columns,
        "time_unit": args.time_unit,
        "stream": args.stream and f'"{args.stream}"',
        "between_us": None if options.between_us is None else list(options.between_us),
        "denoise": args.denoise,
        "rectify": None if options.rectify is None else str(options.rectify.resolve()),
    }
    return [f"data.reading.{name}={value}" for name, value in given.items() if value is not None]
