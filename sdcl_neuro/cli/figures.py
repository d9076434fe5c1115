"""The poster's figures from one's own models and data."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import LABORATORY
from sdcl_neuro.files import write_json
from sdcl_neuro.processors import settle

from . import threads_argument
from .progress import progress_bars

EXTRA = LABORATORY
FIRST = "loading libraries and the models"
_OVERRIDE = re.compile(r"[A-Za-z0-9_.-]+=.*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="folders of training runs or whole models; KEY=VALUE among them, or at the end, "
        "changes the configuration of the data",
    )
    parser.set_defaults(overrides=[])  # those that stand after an option
    parser.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="PNG and SVG files, and a report"
    )
    parser.add_argument(
        "--only",
        metavar="NUMBERS",
        default="2,4,5",
        help="figures to draw, separated by commas: 2, 4, 5",
    )
    parser.add_argument(
        "--data",
        metavar="NAME",
        help="a data set or a configuration, as evaluate takes it; each run's own if left out",
    )
    parser.add_argument("--root", metavar="DIR", type=Path, help="folder of the data set")
    parser.add_argument(
        "--tracklet", metavar="NAME", default="", help="tracklet that figure 2 shows"
    )
    parser.add_argument("--depth", metavar="N", type=int, default=6, help="layers of figure 4 (6)")
    threads_argument(parser)
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, help="keep embeddings of figure 5 for the next call"
    )
    parser.add_argument(
        "--device", help="device, as torch names it (default: a GPU if there is one)"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="the numbers in the figures")


def execute(args: argparse.Namespace) -> int:
    """Draw the figures, print what was written."""
    from sdcl_neuro.devices import torch_threads
    from sdcl_neuro.reid.evaluation import Extraction, FeatureStore
    from sdcl_neuro.reid.figures.run import FigureRequest, draw_figures

    given = [*args.models, *args.overrides]
    overrides = [one for one in given if _OVERRIDE.fullmatch(one) and not Path(one).exists()]
    folders = [Path(one) for one in given if one not in overrides]
    if not folders:
        raise InputError("no model", where="figures", hint="give the folder of one or more")
    if not 1 <= args.depth <= 20:
        raise InputError(f"{args.depth} layers", where="--depth", hint="give 1 to 20")
    wanted = FigureRequest(
        figures=tuple(one.strip() for one in args.only.split(",") if one.strip()),
        data=args.data,
        root=args.root,
        tracklet=args.tracklet,
        depth=args.depth,
        overrides=tuple(overrides),
        how=Extraction(device=args.device, store=FeatureStore(args.cache)),
        progress=progress_bars(quiet=args.quiet),
    )
    with torch_threads(settle().count):
        drawn = draw_figures(folders, args.out, wanted)
    print(drawn)
    if args.json is not None:
        write_json(args.json, drawn.numbers)
    return 0
