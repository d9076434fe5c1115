"""How well a trained model re-identifies, in float, in integers and as deployed."""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sdcl_neuro.conversion.backends.table import help_line
from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import LABORATORY
from sdcl_neuro.processors import telling

from . import threads_argument
from .alignment_options import add_alignment_arguments, alignment_overrides
from .evaluation_jobs import cache_of, in_jobs
from .evaluation_task import EvaluationTask
from .event_options import add_reading_arguments, reading_overrides
from .hardware_names import hardware_names
from .job_options import add_job_arguments, threads_of
from .renamed import add_renamed

if TYPE_CHECKING:
    from sdcl_neuro.reid.evaluation import Condition, EvaluationSettings
    from sdcl_neuro.reid.evaluation.data import Chosen


EXTRA = LABORATORY
FIRST = "loading libraries and the model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        type=Path,
        help="the folder of a training run or of a whole model",
    )
    parser.add_argument(
        "--backend",
        metavar="NAMES",
        help=f"backends of the event branch, separated by commas, the "
        f"reference first: {help_line(None)}",
    )
    parser.add_argument(
        "--data",
        metavar="NAME",
        help="prid2011, ilidsvid, mars, event-reid, generated, mot, or a configuration; the "
        "training run's own if left out",
    )
    parser.add_argument("--root", metavar="DIR", type=Path, help="folder of the data set")
    windows = {"metavar": "FILE", "type": Path}
    add_renamed(
        parser, "--query-list", "--query", **windows, help="Event-ReId: list of query windows"
    )
    add_renamed(parser, "--gallery-list", "--gallery", **windows, help="list of gallery windows")
    add_reading_arguments(parser.add_argument_group("the event file of a video (mot)"))
    add_alignment_arguments(parser)
    parser.add_argument(
        "--distance",
        choices=("cosine", "euclidean"),
        help="distance between embeddings (default: the configuration's)",
    )
    parser.add_argument(
        "--rerank", action="store_true", help="also rank with k-reciprocal re-ranking"
    )
    parser.add_argument(
        "--degrade",
        metavar="KIND:SEVERITY,...",
        help="also evaluate on degraded frames: blur, occlusion, low-light, noise; 1 to 5",
    )
    parser.add_argument(
        "--sweep",
        metavar="NAME=VALUES",
        action="append",
        default=[],
        help="vary one thing at a time: bits=8,6,5,4, bins=2,4,8 or threshold=0.8,1,1.25",
    )
    parser.add_argument(
        "--combine",
        action="store_true",
        help="for --sweep: every combination of the values, instead of one thing at a time",
    )
    parser.add_argument(
        "--hw",
        metavar="NAMES",
        help="also price the event branch of every row in integers on these hardware profiles, "
        "names or .toml paths, separated by commas (hw list names them)",
    )
    parser.add_argument(
        "--picture", metavar="FILE.png", type=Path, help="picture of the first row's ranked lists"
    )
    threads_argument(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="all figures, as JSON")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="one line for each row")
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help="keep embeddings here; an interrupted evaluation resumes",
    )
    add_job_arguments(parser, workers=None)
    parser.add_argument(
        "--part",
        metavar="I/N",
        help="embed every N-th batch from the I-th on into --cache, and rank nothing: what each "
        "of --workers does",
    )
    parser.add_argument(
        "--stage",
        choices=("embeddings", "neighbours", "lists"),
        help="for --part: what to compute of it, in this order, each when all parts of the one "
        "before are done (default: embeddings); neighbours are for --rerank",
    )
    parser.add_argument("--batch", metavar="N", type=int, help="tracklets per batch")
    parser.add_argument(
        "--device", help="device, as torch names it (default: a GPU if there is one)"
    )
    parser.add_argument(
        "overrides",
        metavar="KEY=VALUE",
        nargs="*",
        help="change a value of the configuration, for example data.split=3 or evaluation.k1=10",
    )


def execute(args: argparse.Namespace) -> int:
    """Evaluate, print the table, and write what was asked for."""
    from sdcl_neuro.reid.evaluation import Extraction, FeatureStore, open_trained, parse_sweep
    from sdcl_neuro.reid.evaluation.data import choose_data
    from sdcl_neuro.reid.evaluation.request import EvaluationRequest

    if args.picture is not None and args.picture.suffix != ".png":
        raise InputError(
            f"{args.picture} does not end in .png", where="--picture", hint="name it so"
        )
    if args.stage is not None and args.part is None:
        raise InputError("--stage without --part", where="--stage", hint="add --part I/N")
    if args.combine and not args.sweep:
        raise InputError("--combine without --sweep", where="--combine", hint="add --sweep")
    settings, hardware = parse_sweep(args.sweep, combined=args.combine), _hardware(args.hw)
    conditions = _conditions(args.degrade)
    threads = threads_of(args) if in_jobs(args) else None
    trained = open_trained(args.checkpoint)
    chosen = choose_data(
        trained,
        name=args.data,
        root=args.root,
        query=args.query_list,
        gallery=args.gallery_list,
        overrides=[*reading_overrides(args), *alignment_overrides(args), *args.overrides],
    )
    # A video is cut when it is opened: once for figures and picture.
    opened = cache(chosen.open if args.degrade is None else chosen.undegraded())
    with cache_of(args) as folder, telling(threads):
        batch = chosen.configuration.evaluation.batch if args.batch is None else args.batch
        request = EvaluationRequest(
            trained,
            opened,
            backends=args.backend.split(",") if args.backend else (),
            settings=settings,
            conditions=conditions,
            hardware=hardware,
            judging=_judging(args, chosen),
            how=Extraction(device=args.device, batch=batch, store=FeatureStore(folder)),
        )
        task = EvaluationTask(args, request)
        return task.do_part() if args.part is not None else task.evaluate()


def _judging(args: argparse.Namespace, chosen: Chosen) -> EvaluationSettings:
    """Return the settings of the command line, else those of the configuration."""
    from sdcl_neuro.reid.evaluation import EvaluationSettings
    from sdcl_neuro.reid.metrics import ReRanking

    table = chosen.configuration.evaluation
    wanted = args.rerank or table.rerank
    return EvaluationSettings(
        args.distance or table.distance,
        table.ranks,
        ReRanking(table.k1, table.k2, table.lambda_value) if wanted else None,
    )


def _hardware(text: str | None) -> tuple[str, ...]:
    """Return the names of `--hw`, each of which is a profile; none where nothing is priced."""
    from sdcl_neuro.hardware import load_profile

    names = () if text is None else tuple(hardware_names(text))
    for name in names:
        load_profile(name)
    return names


def _conditions(text: str | None) -> tuple[Condition, ...]:
    """Clean, then each ``KIND:SEVERITY``."""
    from sdcl_neuro.reid.datasets.degradations import KINDS, SEVERITIES
    from sdcl_neuro.reid.evaluation import Condition

    found = [Condition()]
    for one in text.split(",") if text else ():
        kind, _, severity = one.partition(":")
        if kind not in KINDS or severity not in map(str, SEVERITIES):
            raise InputError(
                f"degradation {one!r}",
                where="--degrade",
                hint=f"give KIND:SEVERITY, a kind of {', '.join(KINDS)}, 1 to 5",
            )
        found.append(Condition(kind, int(severity)))
    return tuple(found)
