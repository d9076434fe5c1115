"""Table 1 as Markdown: what was measured here, and the published figures apart from it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from table1_job import CONDITIONS, HARDWARE, Job

from sdcl_neuro.hybrid.methods import METHODS
from sdcl_neuro.reid.figures import CostPoint
from sdcl_neuro.reid.metrics.intervals import bootstrap_interval

Result = dict[str, Any]
INPUTS = ("v", "e", "v+e")
# mAP / rank 1 on MARS, percent, as SDCL's Table 1 lists them (Cao et al., CVPR 2023).
PUBLISHED = {
    ("grl", "v"): "82.2 / 88.3",
    ("osnet", "v"): "81.4 / 87.3",
    ("srs", "v"): "82.9 / 88.1",
    ("stmn", "v"): "81.8 / 88.3",
    ("ctl", "v"): "82.7 / 89.3",
    ("psta", "v"): "83.1 / 89.2",
    ("stgcn", "v"): "83.7 / 90.0",
    ("sinet", "v"): "86.2 / 91.0",
    ("rafa", "v"): "85.9 / 88.8",
    ("mgh", "v"): "85.8 / 90.0",
    ("tclnet", "v"): "85.1 / 89.8",
    ("strf", "v"): "86.1 / 90.3",
    ("grl", "e"): "27.7 / 16.7",
    ("osnet", "e"): "30.9 / 19.3",
    ("srs", "e"): "20.9 / 10.0",
    ("stmn", "e"): "22.4 / 10.0",
    ("ctl", "e"): "25.6 / 12.7",
    ("psta", "e"): "22.7 / 12.0",
    ("grl", "v+e"): "82.8 / 88.7",
    ("osnet", "v+e"): "81.9 / 87.7",
    ("srs", "v+e"): "83.8 / 89.3",
    ("stmn", "v+e"): "83.4 / 89.0",
    ("ctl", "v+e"): "85.3 / 89.6",
    ("psta", "v+e"): "85.1 / 89.9",
    ("sdcl", "v+e"): "86.5 / 91.1",
}
NOT_RUN = "not run"
ACCURACY = " | ".join(f"mAP {name} | R1 {name}" for name in ("clean", "blurred", "occluded"))


def page(done: Sequence[Result], plan: Sequence[Job]) -> str:
    """All tables.

    Args:
        done: finished jobs of the plan.
        plan: all jobs that the table asks for; rows of which none is finished say so.
    """
    found = grouped(done)
    rows = list(dict.fromkeys((job.method, job.inputs, job.variant) for job in plan))
    main, ablations = [row for row in rows if not row[2]], [row for row in rows if row[2]]
    parts = ["\n".join(head(done, plan)), "\n".join(accuracy(main, found))]
    if gains := list(gained(main, found)):
        parts.append("\n".join(gains))
    if any(row in found for row in main):
        parts.append("\n".join(priced(main, found)))
    if any(row in found for row in ablations):
        parts.append("\n".join(ablated(ablations, found)))
    return "\n\n".join([*parts, "\n".join(published())])


def head(done: Sequence[Result], plan: Sequence[Job]) -> Iterator[str]:
    """Say how many jobs were run, on which data, and when."""
    ran = f"{len(done)} of {len(plan)} jobs are finished"
    if not done:
        yield f"{ran}."
        return
    days = sorted({one["date"][:10] for one in done})
    commits = sorted({str(one["commit"]) for one in done})
    yield f"Data: {done[0]['data']}."
    yield f"{ran}, {' to '.join(dict.fromkeys((days[0], days[-1])))}, at {', '.join(commits)}."
    spent = [one["all_cpu_s"] for one in done if one["all_cpu_s"] is not None]
    if spent:
        yield f"A job took {min(spent) / 60:.1f} to {max(spent) / 60:.1f} minutes of one core,"
        yield f"evaluation included, {sum(spent) / 3600:.1f} hours in all."


def accuracy(rows: Sequence[tuple[str, str, str]], found: dict[Any, list[Result]]) -> Iterator[str]:
    """mAP and rank 1 of every row under every condition."""
    yield "Percent, mean over the seeds that were run; in brackets the 95 % interval over test"
    yield "persons, a query counting with its mean over seeds; in parentheses the lowest and"
    yield "highest seed. * a reconstruction, see [methods.md](methods.md)."
    yield ""
    yield f"| method | input | seeds run | {ACCURACY} |"
    yield "|---|---|---|" + "---:|" * (2 * len(CONDITIONS))
    for method, inputs, _ in rows:
        cells = " | ".join(accuracy_cells(found.get((method, inputs, ""), [])))
        yield f"| {title(method)} | {inputs.upper()} | {cells} |"


def accuracy_cells(done: Sequence[Result]) -> Iterator[str]:
    """Which seeds, then mAP and rank 1 for each condition."""
    yield ", ".join(str(one["seed"]) for one in done) or NOT_RUN
    for condition in map(str, CONDITIONS):
        rows = [row for one in done for row in one["rows"] if row["condition"] == condition]
        if not rows:
            yield from ("", "")
            continue
        low, high = bootstrap_interval(*precisions(rows))
        cell = f"{100 * statistics.mean(row['mAP'] for row in rows):.1f}"
        yield f"{cell} [{100 * low:.0f}, {100 * high:.0f}]{spread([row['mAP'] for row in rows])}"
        ranks = [row["rank1"] for row in rows]
        yield f"{100 * statistics.mean(ranks):.1f}{spread(ranks)}"


def precisions(rows: Sequence[Result]) -> tuple[np.ndarray, np.ndarray]:
    """AP of each query, the mean over seeds and its person's queries, and its person."""
    persons = {name: count for name, (_, count) in rows[0]["persons"].items()}
    means = {name: statistics.mean(row["persons"][name][0] for row in rows) for name in persons}
    values = np.concatenate([np.full(count, means[name]) for name, count in persons.items()])
    groups = np.concatenate([np.full(count, int(name)) for name, count in persons.items()])
    return values, groups


def spread(values: Sequence[float]) -> str:
    """Lowest to highest, where there are several."""
    if len(values) < 2:
        return ""
    return f" ({100 * min(values):.1f} to {100 * max(values):.1f})"


def gained(rows: Sequence[tuple[str, str, str]], found: dict[Any, list[Result]]) -> Iterator[str]:
    """V+E minus V on the same seeds, for each method; nothing where no seed has both."""
    lines = list(gain_rows(rows, found))
    if not lines:
        return
    yield "What events add to each method: mAP of V+E minus V, points, on the seeds that both were"
    yield "run on, with the 95 % interval over test persons (paired)."
    yield ""
    yield "| method | seeds | clean | blurred | occluded |"
    yield "|---|---|---:|---:|---:|"
    yield from lines


def gain_rows(
    rows: Sequence[tuple[str, str, str]], found: dict[Any, list[Result]]
) -> Iterator[str]:
    """A line for each method that has both on some seed."""
    for method in dict.fromkeys(row[0] for row in rows):
        sides = [
            {one["seed"]: one for one in found.get((method, inputs, ""), [])}
            for inputs in ("v", "v+e")
        ]
        seeds = sorted(sides[0].keys() & sides[1].keys())
        if seeds:
            cells = [gain_cell(str(one), seeds, sides) for one in CONDITIONS]
            yield f"| {title(method)} | {', '.join(map(str, seeds))} | {' | '.join(cells)} |"


def gain_cell(condition: str, seeds: Sequence[int], sides: Sequence[dict[int, Result]]) -> str:
    """Mean difference and its interval."""
    rows = [
        [row for seed in seeds for row in side[seed]["rows"] if row["condition"] == condition]
        for side in sides
    ]
    (before, persons), (after, _) = precisions(rows[0]), precisions(rows[1])
    low, high = bootstrap_interval(after - before, persons)
    return f"{100 * (after - before).mean():+.1f} [{100 * low:+.0f}, {100 * high:+.0f}]"


def priced(rows: Sequence[tuple[str, str, str]], found: dict[Any, list[Result]]) -> Iterator[str]:
    """Make the table of what each row costs."""
    yield "Counted: parameters with the classifiers of training, MACs a frame (events as a dense"
    yield "machine would compute them). Measured: processor time of one tracklet on one core, event"
    yield "branch in torch (its latency on an idle core). Emulated: spikes and synaptic operations"
    yield "of the event branch a tracklet. Modelled: energy of the event branch a tracklet. Means"
    yield "over the seeds that were run; an E row without spikes runs a dense network on voxels."
    yield ""
    columns = (
        "parameters | MACs a frame | ms a tracklet | spikes | synops | Loihi 1, µJ | Loihi 2, µJ"
    )
    yield f"| method | input | {columns} |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for method, inputs, _ in rows:
        done = found.get((method, inputs, ""), [])
        if done:
            cells = " | ".join(cost_cells(done))
            yield f"| {title(method)} | {inputs.upper()} | {cells} |"


def cost_cells(done: Sequence[Result]) -> Iterator[str]:
    """Counts of the first seed, which hold for all; means of what depends on the weights."""
    yield f"{done[0]['parameters'] / 1e6:.2f} M"
    yield f"{done[0]['macs_frame'] / 1e6:,.0f} M"
    yield f"{statistics.mean(one['tracklet_cpu_ms'] for one in done):.0f}"
    for name in ("spikes", "synops"):
        values = [one[name] for one in done if one[name] is not None]
        yield f"{statistics.mean(values):,.0f}" if values else ""
    for hardware in HARDWARE:
        priced = [one["energy_uj"] for one in done if one["energy_uj"] is not None]
        yield energy_cell([one[hardware] for one in priced])


def energy_cell(pairs: Sequence[Sequence[float | None]]) -> str:
    """The interval that holds those of all seeds; some chips have no known upper end."""
    lows = [low for low, _ in pairs if low is not None]
    highs = [high for _, high in pairs if high is not None]
    if not pairs or len(lows) < len(pairs):
        return ""
    if len(highs) < len(pairs):
        return f"{min(lows):.0f} or more"
    return f"{min(lows):.0f} to {max(highs):.0f}"


def ablated(rows: Sequence[tuple[str, str, str]], found: dict[Any, list[Result]]) -> Iterator[str]:
    """SDCL's switches, and the row that they change."""
    yield "Ablations of SDCL, V+E; the first row is SDCL as it is."
    yield ""
    yield f"| | seeds run | {ACCURACY} |"
    yield "|---|---|" + "---:|" * (2 * len(CONDITIONS))
    yield f"| SDCL | {' | '.join(accuracy_cells(found.get(('sdcl', 'v+e', ''), [])))} |"
    for row in rows:
        yield f"| {row[2]} | {' | '.join(accuracy_cells(found.get(row, [])))} |"


def points(done: Sequence[Result]) -> list[CostPoint]:
    """The rows of figure 5: mAP on clean frames, the mean over the seeds that were run."""
    return [
        CostPoint(
            title(method).rstrip("*"),
            inputs,
            found[0]["parameters"],
            2 * found[0]["macs_frame"],
            statistics.mean(one["rows"][0]["mAP"] for one in found),
        )
        for (method, inputs, variant), found in grouped(done).items()
        if not variant
    ]


def published() -> Iterator[str]:
    """The paper's own figures, apart from ours."""
    yield "**As published**, not ours and not on this data: mAP / rank 1 on MARS in SDCL's Table 1."
    yield "GRL, SRS-Net, STMN and CTL in it were probably stand-ins, see [methods.md](methods.md)."
    yield ""
    yield "| method | V | E | V+E |"
    yield "|---|---:|---:|---:|"
    for method in dict.fromkeys(method for method, _ in PUBLISHED):
        cells = [PUBLISHED.get((method, inputs), "") for inputs in INPUTS]
        yield f"| {title(method).rstrip('*')} | {' | '.join(cells)} |"


def grouped(done: Sequence[Result]) -> dict[tuple[str, str, str], list[Result]]:
    """Finished jobs by row, in the order of their seeds."""
    found: dict[tuple[str, str, str], list[Result]] = {}
    for one in sorted(done, key=lambda each: each["seed"]):
        found.setdefault((one["method"], one["inputs"], one["variant"]), []).append(one)
    return found


def title(method: str) -> str:
    """A method's name; a reconstruction is marked."""
    if method not in METHODS:
        return method.upper()
    return METHODS[method].title + ("*" if METHODS[method].source == "reconstruction" else "")
