"""Frames, events, and both, on the generated walkers: what events are worth on bad frames.

Every run is the packaged configuration ``generated-small``, trained in float, then in the chip's
integers, and judged on test persons with clean, blurred and occluded frames, by its event branch
in float (snnTorch) and in integers (engine, from the ``.net`` file). Runs differ in input and seed
alone. As a control, the inputs with events are trained again with all steps in float. Killed and
started again, it goes on; finished runs are kept.

    python bench/generated.py --out DIR [--seeds 0,1,2] [--write docs/results.md] [KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdcl_neuro.files import atomic_path, write_json
from sdcl_neuro.reid.configuration import Configuration, build_data, load_configuration
from sdcl_neuro.reid.evaluation import Condition, FeatureStore, evaluate, open_trained
from sdcl_neuro.reid.evaluation.extraction import Extraction
from sdcl_neuro.reid.pipeline.training_run import run_training

CONFIGURATION = "generated-small"
INPUTS = {"v": "V", "e": "E", "v+e": "V+E"}
# Fixed before anything was trained.
CONDITIONS = (Condition(), Condition("blur", 3), Condition("occlusion", 3))
FLOAT, INTEGER = "snntorch", "loihi"
# The packaged float stage has fallen to the integer stage's rate when that one begins, so as many
# steps in float instead are the same schedule.
FLOAT_ALONE = ("training.float_stage.steps=250", "training.int_stage.steps=0")
KEPT = "data.cache=walks"
BEGIN, END = "<!-- generated.py: begin -->", "<!-- generated.py: end -->"

Run = dict[str, Any]


@contextmanager
def steps_told(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar for a log file: a line every fifty."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        if (done + count) // 50 > done // 50:
            print(f"  {title} {done + count} of {total}", flush=True)
        done += count

    yield advance


def same_configuration(text: str, configuration: Configuration) -> bool:
    """Whether a kept run's file says the same; keys that came later have their defaults."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return load_configuration(file.name) == configuration


def one_run(
    out: Path, inputs: str, seed: int, overrides: Sequence[str], *, control: bool = False
) -> Run:
    """Train and judge, or go on with it, or read what came out; a `control` is float alone."""
    folder = out / f"{inputs.replace('+', '')}-{'float-' if control else ''}{seed}"
    found = folder / "result.json"
    fusion = [] if inputs == "v+e" else ["bridge.fusion=none"]
    configuration = load_configuration(
        CONFIGURATION,
        [
            KEPT,
            *overrides,
            *(FLOAT_ALONE if control else ()),
            f"bridge.inputs={inputs}",
            *fusion,
            f"training.seed={seed}",
        ],
    )
    if found.is_file():
        kept: Run = json.loads(found.read_text(encoding="utf-8"))
        if same_configuration(kept["configuration"], configuration):
            return kept
        raise SystemExit(f"{found} is of another configuration: give another --out")
    print(f"{INPUTS[inputs]}, seed {seed}{', float alone' if control else ''}", flush=True)
    begun, cpu = time.perf_counter(), time.process_time()
    trained = run_training(configuration, folder / "training", root=out, progress=steps_told)
    assert trained is not None  # one process
    trained_s, trained_cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    spikes = [] if inputs == "v" else [FLOAT] if control else [FLOAT, INTEGER]
    judged = evaluate(
        open_trained(folder / "training"),
        build_data(configuration, out),
        backends=spikes,
        conditions=CONDITIONS[:1] if inputs == "e" else CONDITIONS,
        how=Extraction(device="cpu", store=FeatureStore(folder / "features")),
        progress=steps_told,
    )
    assert judged is not None
    print(judged, flush=True)
    stages = [vars(stage) for stage in trained.stages]
    whole = trained.done_now == sum(stage["steps"] for stage in stages)
    result = {
        "schema": {"name": "sdcl_neuro.generated_run", "version": 1},
        "inputs": inputs,
        "seed": seed,
        "control": control,
        "configuration": configuration.to_toml(),
        # Of a training that was killed, only the last part would be known.
        "training_s": trained_s if whole else None,
        "training_cpu_s": trained_cpu_s if whole else None,
        "all_cpu_s": time.process_time() - cpu if whole else None,
        "stages": stages,
        "evaluation": judged.to_dict(),
    }
    write_json(found, result)
    return result


def figures(
    runs: Sequence[Run], inputs: str, condition: str, backend: str, *, control: bool = False
) -> dict[int, dict[str, Any]]:
    """Of every seed."""
    return {
        run["seed"]: row["metrics"]
        for run in runs
        if run["inputs"] == inputs and run["control"] == control
        for row in run["evaluation"]["rows"]
        if row["condition"] == condition and row["backend"] in (backend, "frames alone")
    }


def spread(values: Sequence[float]) -> str:
    """Mean and range in percent."""
    low, high = min(values), max(values)
    return f"{100 * statistics.mean(values):.1f} ({100 * low:.1f} to {100 * high:.1f})"


# Input, arm of the evaluation, whether it is the control, what the table says.
ROWS = (
    ("v", "", False, "none"),
    ("e", FLOAT, True, "trained and run in float"),
    ("e", FLOAT, False, "trained in integers, run in float"),
    ("e", INTEGER, False, "trained and run in integers"),
    ("v+e", FLOAT, True, "trained and run in float"),
    ("v+e", FLOAT, False, "trained in integers, run in float"),
    ("v+e", INTEGER, False, "trained and run in integers"),
)


def table(runs: Sequence[Run]) -> str:
    """Figures of all seeds as Markdown."""
    judged = runs[0]["evaluation"]
    seeds = ", ".join(str(seed) for seed in sorted({run["seed"] for run in runs}))
    lines = [
        f"Percent, mean over seeds {seeds} (lowest to highest); {judged['queries']} queries, "
        f"{judged['gallery']} in the gallery.",
        "",
        "| frames | input | event branch | mAP | rank 1 | mINP |",
        "|---|---|---|---:|---:|---:|",
    ]
    for condition in map(str, CONDITIONS):
        for inputs, backend, control, kind in ROWS:
            found = figures(runs, inputs, condition, backend, control=control).values()
            if found:
                frames = "none" if inputs == "e" else condition.replace(":", ", level ")
                cells = [
                    spread([one["mAP"] for one in found]),
                    spread([one["cmc"]["1"] for one in found]),
                    spread([one["mINP"] for one in found]),
                ]
                lines.append(f"| {frames} | {INPUTS[inputs]} | {kind} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "| to be shown | came out |", "|---|---|", *verdicts(runs)])


def verdicts(runs: Sequence[Run]) -> Iterator[str]:
    """What was to be shown, with its figures."""
    for condition in map(str, CONDITIONS):
        frames = figures(runs, "v", condition, "")
        both = figures(runs, "v+e", condition, INTEGER)
        sides = [
            [100 * one[seed]["mAP"] for seed in frames if seed in both] for one in (frames, both)
        ]
        if not sides[0]:
            continue
        gains = ", ".join(f"{b - v:+.1f}" for v, b in zip(*sides, strict=True))
        wide = max(max(side) - min(side) for side in sides)
        yield (
            f"| V+E in integers against V, {condition.replace(':', ', level ')} | mAP {gains} "
            f"points by seed; the wider spread over seeds is {wide:.1f} |"
        )
    for inputs in ("e", "v+e"):
        for control, name in ((False, "the same weights in float"), (True, "trained in float")):
            gaps = []
            for condition in map(str, CONDITIONS):
                other = figures(runs, inputs, condition, FLOAT, control=control)
                own = figures(runs, inputs, condition, INTEGER)
                gaps += [100 * (own[s]["mAP"] - other[s]["mAP"]) for s in own if s in other]
            if gaps:
                yield (
                    f"| {INPUTS[inputs]} in integers against {name} | mAP "
                    f"{statistics.mean(gaps):+.2f} points in the mean over seeds and frames, "
                    f"{min(gaps):+.2f} to {max(gaps):+.2f} |"
                )
    spent = [run["all_cpu_s"] for run in runs if run["all_cpu_s"] is not None]
    if spent:
        yield (
            f"| at most 10 minutes a run | {min(spent) / 60:.1f} to {max(spent) / 60:.1f} minutes "
            "of one core, with evaluation |"
        )


def chance(out: Path, overrides: Sequence[str]) -> str:
    """What embeddings of noise reach on the same lists: mean mAP and rank 1 of ten draws."""
    import numpy as np

    from sdcl_neuro.reid.datasets import labels
    from sdcl_neuro.reid.metrics import distance_matrix, evaluate_ranking

    data = build_data(load_configuration(CONFIGURATION, [KEPT, *overrides]), out)
    query, gallery = labels(data, "query"), labels(data, "gallery")
    drawn = []
    for seed in range(10):
        generator = np.random.default_rng(seed)
        sides = (generator.normal(size=(len(one.persons), 96)) for one in (query, gallery))
        drawn.append(
            evaluate_ranking(
                distance_matrix(*sides),
                query.persons,
                gallery.persons,
                query.cameras,
                gallery.cameras,
            )
        )
    mean_ap = statistics.mean(one.mean_ap for one in drawn)
    rank1 = statistics.mean(one.cmc[1] for one in drawn)
    return f"Chance (random embeddings): mAP {100 * mean_ap:.1f}, rank 1 {100 * rank1:.1f}."


def write_between(path: Path, text: str, *, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Put the figures between the marks of a page."""
    begin, end = marks
    page = path.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"{path} lacks {begin} or {end}")
    with atomic_path(path) as temporary:
        temporary.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Run what is not done yet, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration")
    parser.add_argument("--out", type=Path, required=True, help="of runs and rendered walks")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--write", type=Path, help="a page with the script's two marks")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    plan = [(seed, inputs, False) for seed in seeds for inputs in INPUTS]
    plan += [(seed, inputs, True) for inputs in ("e", "v+e") for seed in seeds]
    runs: list[Run] = []
    for seed, inputs, control in plan:
        runs.append(one_run(args.out, inputs, seed, args.overrides, control=control))
        print(table(runs), flush=True)
    text = f"{table(runs)}\n\n{chance(args.out, args.overrides)}"
    print(text)
    if args.write is not None:
        write_between(args.write, text)


if __name__ == "__main__":
    main()
