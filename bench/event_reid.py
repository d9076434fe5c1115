"""Real Event-ReId windows: events alone, persons left out, against chance and a histogram.

For each number of folds and each seed one small model a fold is trained with the packaged
configuration ``event-reid`` as it stands, on the persons that are not tested, and ranks the windows
of those that are. Nothing was tuned on these windows. Finished trainings and figures are kept, so
that the same command goes on where it was killed.

    OMP_NUM_THREADS=1 python bench/event_reid.py ROOT [--out DIR] [--folds 5 2] [--seeds 0 1 2]

ROOT is the folder that holds ``train/PERSON_cCAMERA_WINDOW.txt``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.files import write_json
from sdcl_neuro.reid.configuration import build_data, load_configuration
from sdcl_neuro.reid.datasets import DataSet, labels
from sdcl_neuro.reid.datasets.event_reid import person_box, read_window
from sdcl_neuro.reid.evaluation import evaluate, open_trained
from sdcl_neuro.reid.metrics import Ranking, bootstrap_interval, distance_blocks, rank_blocks
from sdcl_neuro.reid.pipeline.training_run import run_training

BACKENDS = ("snntorch", "loihi")
NAMES = {"snntorch": "SDCL, events alone, float", "loihi": "the same, from its .net file"}
GRID = (16, 8)  # rows and columns of the histogram, one for each polarity
CHANCE_DRAWS = 2000


def histogram(data: Any, position: int) -> NDArray[np.float64]:
    """How many events of each polarity on a grid over the person's box, as shares: ``[256]``."""
    events = read_window(data.entries[position].path)
    left, top, width, height = person_box(events)
    array = events.array
    rows = np.floor((array["y"] - top) / height * GRID[0]).astype(int)
    columns = np.floor((array["x"] - left) / width * GRID[1]).astype(int)
    inside = (rows >= 0) & (rows < GRID[0]) & (columns >= 0) & (columns < GRID[1])
    counts = np.zeros((2, *GRID))
    np.add.at(counts, (array["p"][inside], rows[inside], columns[inside]), 1)
    return np.asarray(counts.ravel() / max(1.0, counts.sum()))


def ranked(data: DataSet, query: NDArray[Any], gallery: NDArray[Any]) -> Ranking:
    who, where = labels(data, "query"), labels(data, "gallery")
    names = who.persons, where.persons, who.cameras, where.cameras
    return rank_blocks(distance_blocks(query, gallery), *names)


def by_histogram(data: DataSet) -> Ranking:
    features = {k: histogram(data, k) for k in {*data.query, *data.gallery}}
    return ranked(
        data, *(np.stack([features[k] for k in part]) for part in (data.query, data.gallery))
    )


def by_chance(data: DataSet, draws: int = CHANCE_DRAWS) -> NDArray[np.float64]:
    """Expected average precision and rank 1 of each query under random orders: ``[2, Q]``."""
    who, where = labels(data, "query"), labels(data, "gallery")
    names = who.persons, where.persons, who.cameras, where.cameras
    rng = np.random.default_rng(0)
    shape = (len(data.query), len(data.gallery))
    found = [figures(rank_blocks([rng.random(shape)], *names)) for _ in range(draws)]
    return np.mean(found, axis=0)


def figures(ranking: Ranking) -> NDArray[np.float64]:
    """Average precision and rank 1 of each query ``[2, Q]``, not-a-number without a match."""
    first = [np.nan if one is None else float(one.first == 1) for one in ranking.measures]
    return np.stack([ranking.precisions, first])


@contextmanager
def no_bar(title: str, total: int) -> Iterator[Any]:
    yield lambda count: None


def one_fold(root: Path, out: Path, *, folds: int, fold: int, seed: int) -> dict[str, Any]:
    """Train if need be, evaluate if need be, and give the figures of a fold's queries."""
    folder = out / f"folds{folds}-seed{seed}-fold{fold}"
    kept = folder.with_suffix(".json")
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    configuration = load_configuration(
        "event-reid",
        [f"data.event_reid.folds={folds}", f"data.split={fold}", f"training.seed={seed}"],
    )
    run_training(configuration, folder, root=root, progress=no_bar)
    data = build_data(configuration, root)
    found = evaluate(open_trained(folder), data, backends=BACKENDS)
    assert found is not None
    value: dict[str, Any] = {
        "persons": labels(data, "query").persons.tolist(),
        "changed": found.rows[1].changed.to_dict(),
        "chance": rounded(by_chance(data)),
        "histogram": rounded(figures(by_histogram(data))),
    }
    value |= {row.backend: rounded(figures(row.ranking)) for row in found.rows}
    write_json(kept, value)
    print(f"{folds} folds, seed {seed}, fold {fold}: {found.rows[0].metrics}", flush=True)
    return value


def rounded(values: NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if np.isnan(v) else round(float(v), 6) for v in row] for row in values]


def report(root: Path, out: Path, folds: int, seeds: list[int]) -> str:
    """A table in Markdown: the mean over seeds of each query's figures, persons drawn again."""
    names = ("chance", "histogram", *BACKENDS)
    runs = [
        [one_fold(root, out, folds=folds, fold=fold, seed=seed) for fold in range(folds)]
        for seed in seeds
    ]
    persons = np.concatenate([fold["persons"] for fold in runs[0]])
    values = {
        name: np.mean(
            [np.concatenate([np.array(f[name], float) for f in run], axis=1) for run in runs],
            axis=0,
        )
        for name in names
    }
    counted = ~np.isnan(values["chance"][0])
    lines = [
        f"{folds} folds, {len(seeds)} seeds: {counted.sum()} queries of "
        f"{len(set(persons[counted].tolist()))} persons have a match.",
        "",
        "| ranking | mAP | 95 % interval | rank 1 | 95 % interval |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        cells = [NAMES.get(name, name)]
        for row in values[name]:
            low, high = bootstrap_interval(row, persons)
            cells += [f"{np.nanmean(row):.1%}", f"{low:.1%} to {high:.1%}"]
        lines.append(f"| {' | '.join(cells)} |".replace("%", " %"))
    for name in BACKENDS[:1]:
        for peer in ("chance", "histogram"):
            apart = values[name][0] - values[peer][0]
            low, high = bootstrap_interval(apart, persons)
            lines.append(
                f"\nmAP, {NAMES[name]} minus {peer}: {np.nanmean(apart):+.1%} "
                f"({low:+.1%} to {high:+.1%})".replace("%", " %")
            )
    spread = [
        np.nanmean([v for f in run for v in f["snntorch"][0] if v is not None]) for run in runs
    ]
    lines.append(
        "\nmAP by seed: " + ", ".join(f"{value:.1%}" for value in spread).replace("%", " %")
    )
    changed = [fold["changed"] for run in runs for fold in run]
    total = {key: sum(one[key] for one in changed) for key in changed[0]}
    lines.append(
        f"\nRanked lists changed by the chip's integers: {total['whole']} of {total['queries']}, "
        f"{total['first']} in the first entry."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/event_reid"))
    parser.add_argument("--folds", type=int, nargs="+", default=[5, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    for folds in args.folds:
        print("\n" + report(args.root, args.out, folds, args.seeds), flush=True)


if __name__ == "__main__":
    main()
