"""Controls on the generated walkers: what of V+E's gain is worth the right events.

Networks are trained with other persons' events everywhere, and without any event; the network that
was trained with the right events is judged with the events of others, late by a frame, reversed,
of swapped polarity, and without any. The folder is that of table1.py, whose trainings of SDCL with
V+E, and results with V, these are compared with. One job is one training or one judgement; its
result is one JSON file in ``--results``, and whatever is there is not done again.

    python bench/controls.py --out DIR [--seeds 0,1,2] [--jobs N] [--until HH:MM]
        [--write docs/results.md]
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from generated import FLOAT, INTEGER, KEPT, same_configuration, steps_told, write_between
from table1 import RESULTS as TABLE
from table1 import late
from table1_job import CONDITIONS, CONFIGURATION, Job, commit, judged_row, write_result

from sdcl_neuro.reid.configuration import build_data, load_configuration
from sdcl_neuro.reid.datasets import labels
from sdcl_neuro.reid.evaluation import FeatureStore, evaluate, open_trained
from sdcl_neuro.reid.evaluation.extraction import Extraction
from sdcl_neuro.reid.pipeline.training_run import run_training

BEGIN, END = "<!-- controls.py: begin -->", "<!-- controls.py: end -->"
RESULTS = Path(__file__).resolve().parent / "results" / "controls"
TRAINED = {
    "right": (),
    "others": ("data.control.events=others", "data.control.part=all"),
    "none": ("data.control.events=none", "data.control.part=all"),
}
NAMES = {
    "right": "the right events",
    "late": "late by a frame",
    "reversed": "reversed in time",
    "swapped": "of swapped polarity",
    "others": "of other persons",
    "none": "none",
}
# Trained with, tested with; those that need a training of their own first.
ROWS = (
    ("right", "right"),
    ("others", "others"),
    ("none", "none"),
    ("right", "others"),
    ("right", "none"),
    ("right", "late"),
    ("right", "reversed"),
    ("right", "swapped"),
)
Control = tuple[int, str, str]
Result = dict[str, Any]


def job_folder(out: Path, seed: int, trained: str) -> Path:
    """Folder of a training; with the right events it is the one of table1.py."""
    if trained == "right":
        return out / Job("sdcl", "v+e", seed).name
    return out / f"sdcl-ve-{trained}-{seed}"


def kept(path: Path, configuration: Any) -> Result | None:
    """A finished job's result; None if it is not finished."""
    if not path.is_file():
        return None
    found: Result = json.loads(path.read_text(encoding="utf-8"))
    if not same_configuration(found["configuration"], configuration):
        raise SystemExit(f"{path} is of another configuration: give another --results")
    return found


def run_control(job: Control, args: argparse.Namespace, *, begin: bool = True) -> Result | None:
    """Train if it is not done, judge if it is not done, or read what came out.

    Args:
        job: seed, trained with, tested with.
        args: the command line.
        begin: whether a job that is not finished may be done.
    """
    seed, trained, tested = job
    path = args.results / f"{trained}-{tested}-{seed}.json"
    own = (KEPT, *args.overrides, "bridge.inputs=v+e", f"training.seed={seed}")
    configuration = load_configuration(CONFIGURATION, [*own, *TRAINED[trained]])
    found = kept(path, configuration)
    if found is not None or not begin:
        return found
    print(f"seed {seed}, trained with {trained}, tested with {tested}", flush=True)
    folder = job_folder(args.out, seed, trained)
    run_training(configuration, folder / "training", root=args.out, progress=steps_told)
    tests = (f"data.control.events={tested}",) if tested != "right" else ()
    data = build_data(load_configuration(CONFIGURATION, [*own, *tests]), args.out)
    judged = evaluate(
        open_trained(folder / "training"),
        data,
        # Without an integer stage nothing is exact to run.
        backends=[INTEGER if configuration.training.int_stage.steps else FLOAT],
        conditions=CONDITIONS,
        how=Extraction(device="cpu", store=FeatureStore(folder / "features")),
        progress=steps_told,
    )
    assert judged is not None  # one process
    persons = labels(data, "query").persons
    result = {
        "schema": {"name": "sdcl_neuro.control_run", "version": 2},
        "seed": seed,
        "trained": trained,
        "tested": tested,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "data": str(data),
        "rows": [judged_row(row, persons) for row in judged.rows],
        "configuration": configuration.to_toml(),
    }
    write_result(path, result)
    return result


def frames_alone(args: argparse.Namespace) -> list[Result]:
    """V, as far as table1.py has it."""
    found = []
    for seed in args.seeds:
        job = Job("sdcl", "v", seed)
        configuration = job.configuration(CONFIGURATION, args.overrides)
        found.append(kept(args.table / f"{job.name}.json", configuration))
    return [one for one in found if one is not None]


def cells(done: Sequence[Result]) -> Iterator[str]:
    """Number of seeds, then mAP in percent for each condition."""
    yield ", ".join(str(one["seed"]) for one in done) or "not run"
    for condition in map(str, CONDITIONS):
        values = [
            100 * row["mAP"] for one in done for row in one["rows"] if row["condition"] == condition
        ]
        if not values:
            yield ""
        elif len(values) == 1:
            yield f"{values[0]:.1f}"
        else:
            yield f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def table(done: Sequence[Result], alone: Sequence[Result]) -> str:
    """All rows as Markdown, with the seeds that each was run on."""
    conditions = " | ".join(str(one).replace(":", ", level ") for one in CONDITIONS)
    lines = [
        "mAP in percent, mean over the seeds that were run (lowest to highest).",
        "",
        f"| network | trained with events | tested with events | seeds run | {conditions} |",
        "|---|---|---|---|" + "---:|" * len(CONDITIONS),
        f"| V | | | {' | '.join(cells(alone))} |",
    ]
    for trained, tested in ROWS:
        found = [run for run in done if (run["trained"], run["tested"]) == (trained, tested)]
        names = f"{NAMES[trained]} | {NAMES[tested]}"
        lines.append(f"| V+E | {names} | {' | '.join(cells(found))} |")
    return "\n".join(lines)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration")
    parser.add_argument("--out", type=Path, required=True, help="the folder of table1.py")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of finished jobs")
    parser.add_argument("--table", type=Path, default=TABLE, help="the --results of table1.py")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--jobs", type=int, help="do so many that are not done, then stop")
    parser.add_argument("--until", metavar="HH:MM", help="begin no job after this time of day")
    parser.add_argument("--write", type=Path, help="a page with the script's two marks")
    args = parser.parse_args(arguments)
    args.seeds = [int(seed) for seed in args.seeds.split(",")]
    return args


def main() -> None:
    """Do the next jobs, print the table of all that are done."""
    args = parsed()
    left = args.jobs
    done: list[Result] = []
    for seed in args.seeds:
        for trained, tested in ROWS:
            job = (seed, trained, tested)
            found = run_control(job, args, begin=False)
            if found is None and left != 0 and not late(args.until):
                found = run_control(job, args)
                left = None if left is None else left - 1
            if found is not None:
                done.append(found)
    text = table(done, frames_alone(args))
    print(text)
    if args.write is not None:
        write_between(args.write, text, marks=(BEGIN, END))


if __name__ == "__main__":
    main()
