"""Train a configuration; the same command again resumes it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdcl_neuro.extras import LABORATORY
from sdcl_neuro.files import check_place, write_json

from . import threads_argument
from .alignment_options import add_alignment_arguments, alignment_overrides
from .event_options import add_reading_arguments, reading_overrides
from .progress import progress_bars

EXTRA = LABORATORY
FIRST = "loading libraries"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "configuration",
        metavar="CONFIG",
        help="a packaged configuration's name (generated-small, prid2011, ...), a .toml file, or "
        "the folder of a data set: its kind is detected and reported",
    )
    parser.add_argument(
        "overrides",
        metavar="KEY=VALUE",
        nargs="*",
        help="change a value of the configuration, for example training.float_stage.epochs=3",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder for the state, the log and the model",
    )
    parser.add_argument("--root", metavar="DIR", type=Path, help="folder of the data set")
    add_reading_arguments(parser.add_argument_group("the event file of a video (mot)"))
    add_alignment_arguments(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="check and print what would be trained, then stop"
    )
    threads_argument(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="the result, as JSON")


def execute(args: argparse.Namespace) -> int:
    """Train, print the result."""
    from sdcl_neuro.reid.configuration import load_configuration
    from sdcl_neuro.reid.pipeline.found_data import configuration_of
    from sdcl_neuro.reid.pipeline.training_run import plan_training, run_training, what_is_there

    def say(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr, flush=True)

    overrides = [*reading_overrides(args), *alignment_overrides(args), *args.overrides]
    if _is_folder(args.configuration):
        args.root = args.root or Path(args.configuration)
        configuration = configuration_of(args.root, overrides, args.out, say)
    else:
        configuration = load_configuration(args.configuration, overrides)
    if args.dry_run:
        _check_later_place(args.out)
        plan = plan_training(configuration, args.root, folder=args.out)
        if args.json is not None:
            write_json(args.json, plan.to_dict())
        print(plan)
        if found := what_is_there(args.out):
            print(found)
        return 0
    check_place(args.out)
    result = run_training(
        configuration,
        args.out,
        root=args.root,
        progress=progress_bars(quiet=args.quiet),
        say=say,
    )
    if result is None:  # another process of this training tells it
        return 0
    if args.json is not None:
        write_json(args.json, result.to_dict())
    print(result)
    return 0


def _check_later_place(out: Path) -> None:
    """See, without writing anything, that a training could write there."""
    there = next(one for one in (out, *out.absolute().parents) if one.exists())
    check_place(there if there.is_dir() else out)


def _is_folder(name: str) -> bool:
    """Return whether a folder is meant, not the configuration of that name."""
    from sdcl_neuro.reid.configuration import list_configurations

    return Path(name).is_dir() and name not in list_configurations()
