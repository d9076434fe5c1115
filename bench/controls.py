"""Controls on the generated walkers: what of V+E's gain is worth the right events.

Networks are trained with other persons' events everywhere, and without any event; the network that
was trained with the right events is judged with the events of others, late by a frame, reversed,
of swapped polarity, and without any. Every run is the packaged ``generated-small`` as in
generated.py, whose folder is taken: its V and V+E runs are what these are compared with. One job
is one training or one judgement, each kept when it is finished, so that any number of calls
complete the table.

    python bench/controls.py --out DIR [--seeds 0,1,2] [--jobs N] [--write docs/results.md]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generated
from generated import CONDITIONS, CONFIGURATION, FLOAT, INTEGER, KEPT, steps_told

from sdcl_neuro.files import write_json
from sdcl_neuro.reid.configuration import build_data, load_configuration
from sdcl_neuro.reid.evaluation import FeatureStore, evaluate, open_trained
from sdcl_neuro.reid.evaluation.extraction import Extraction
from sdcl_neuro.reid.pipeline.training_run import run_training

BEGIN, END = "<!-- controls.py: begin -->", "<!-- controls.py: end -->"
TRAINED = {
    "right": (),
    "others": ("data.control.events=others", "data.control.part=all"),
    "none": ("data.control.events=none", "data.control.part=all"),
}
# Trained with, tested with, what the table says.
ROWS = (
    ("right", "right", "the right events"),
    ("right", "late", "late by a frame"),
    ("right", "reversed", "reversed in time"),
    ("right", "swapped", "of swapped polarity"),
    ("right", "others", "of other persons"),
    ("right", "none", "none"),
    ("others", "others", "of other persons"),
    ("none", "none", "none"),
)
Job = tuple[int, str, str]


def job_folder(out: Path, seed: int, trained: str) -> Path:
    """Folder of a training; with the right events it is the one of generated.py."""
    return out / (f"ve-{seed}" if trained == "right" else f"ve-{trained}-{seed}")


def run_job(out: Path, job: Job, overrides: Sequence[str]) -> dict[str, Any]:
    """Train if it is not done, judge if it is not done, or read what came out."""
    seed, trained, tested = job
    folder = job_folder(out, seed, trained)
    found = folder / f"controls-{tested}.json"
    if trained == "right":
        generated.one_run(out, "v+e", seed, overrides)
    own = (KEPT, *overrides, "bridge.inputs=v+e", f"training.seed={seed}")
    configuration = load_configuration(CONFIGURATION, [*own, *TRAINED[trained]])
    if found.is_file():
        kept: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
        if generated.same_configuration(kept["configuration"], configuration):
            return kept
        raise SystemExit(f"{found} is of another configuration: give another --out")
    print(f"seed {seed}, trained with {trained}, tested with {tested}", flush=True)
    run_training(configuration, folder / "training", root=out, progress=steps_told)
    tests = (f"data.control.events={tested}",) if tested != "right" else ()
    data = build_data(load_configuration(CONFIGURATION, [*own, *tests]), out)
    judged = evaluate(
        open_trained(folder / "training"),
        data,
        # Without an integer stage nothing is exact to run.
        backends=[INTEGER if configuration.training.int_stage.steps else FLOAT],
        conditions=CONDITIONS,
        how=Extraction(device="cpu", store=FeatureStore(folder / "features")),
        progress=steps_told,
    )
    assert judged is not None
    result = {
        "schema": {"name": "sdcl_neuro.control_run", "version": 1},
        "seed": seed,
        "trained": trained,
        "tested": tested,
        "configuration": configuration.to_toml(),
        "evaluation": judged.to_dict(),
    }
    write_json(found, result)
    return result


def figures(done: Sequence[dict[str, Any]], trained: str, tested: str) -> dict[str, list[float]]:
    """mAP in percent of all seeds by condition."""
    found: dict[str, list[float]] = {str(one): [] for one in CONDITIONS}
    for run in done:
        if (run["trained"], run["tested"]) == (trained, tested):
            for row in run["evaluation"]["rows"]:
                found[row["condition"]].append(100 * row["metrics"]["mAP"])
    return found


def frames_alone(out: Path, seeds: Sequence[int]) -> dict[str, list[float]]:
    """mAP of V, as far as generated.py has it."""
    found: dict[str, list[float]] = {str(one): [] for one in CONDITIONS}
    for seed in seeds:
        path = out / f"v-{seed}" / "result.json"
        if path.is_file():
            for row in json.loads(path.read_text(encoding="utf-8"))["evaluation"]["rows"]:
                found[row["condition"]].append(100 * row["metrics"]["mAP"])
    return found


def cells(found: dict[str, list[float]]) -> Iterator[str]:
    """A cell for each condition."""
    for values in found.values():
        if not values:
            yield "not run yet"
        elif len(values) == 1:
            yield f"{values[0]:.1f}"
        else:
            yield f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def table(done: Sequence[dict[str, Any]], out: Path, seeds: Sequence[int]) -> str:
    """All rows as Markdown, with how many seeds each was run on."""
    lines = [
        "mAP in percent, mean over the seeds that were run (lowest to highest).",
        "",
        "| network | trained with events | tested with events | seeds | "
        + " | ".join(str(one).replace(":", ", level ") for one in CONDITIONS)
        + " |",
        "|---|---|---|---:|" + "---:|" * len(CONDITIONS),
    ]
    alone = frames_alone(out, seeds)
    lines.append(f"| V | | | {_count(alone)} | {' | '.join(cells(alone))} |")
    names = {"right": "the right events", "others": "of other persons", "none": "none"}
    for trained, tested, said in ROWS:
        found = figures(done, trained, tested)
        row = f"| V+E | {names[trained]} | {said} | {_count(found)} |"
        lines.append(f"{row} {' | '.join(cells(found))} |")
    return "\n".join(lines)


def _count(found: dict[str, list[float]]) -> int:
    return max(len(values) for values in found.values())


def main() -> None:
    """Do the next jobs, print the table of all that are done."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration")
    parser.add_argument("--out", type=Path, required=True, help="the folder of generated.py")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--jobs", type=int, help="do so many that are not done, then stop")
    parser.add_argument("--write", type=Path, help="a page with the script's two marks")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    left = args.jobs
    done: list[dict[str, Any]] = []
    for seed in seeds:
        for trained, tested, _ in ROWS:
            finished = (job_folder(args.out, seed, trained) / f"controls-{tested}.json").is_file()
            if not finished and left == 0:
                continue
            left = left if finished or left is None else left - 1
            done.append(run_job(args.out, (seed, trained, tested), args.overrides))
            print(table(done, args.out, seeds), flush=True)
    text = table(done, args.out, seeds)
    print(text)
    if args.write is not None:
        generated.write_between(args.write, text, marks=(BEGIN, END))


if __name__ == "__main__":
    main()
