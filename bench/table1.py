"""SDCL's Table 1 on a data set of one's own: every method and input, on several seeds.

One row on one seed is one job: trained, judged on clean, blurred and occluded frames, counted and
priced, and kept when it is finished. So any number of calls, on one machine or on several with a
common folder, complete the table; a job that another process has begun is left to it.

    python bench/table1.py --out DIR [--data generated-small] [--root DIR] [--methods sdcl,grl]
        [--inputs v,e,v+e] [--seeds 0,1,2] [--jobs N] [--ablations] [--write docs/table1.md]
        [KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import fcntl
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from generated import same_configuration, steps_told, write_between

from sdcl_neuro.files import write_json
from sdcl_neuro.hybrid.composition import MODEL_KINDS
from sdcl_neuro.hybrid.methods import METHODS
from sdcl_neuro.hybrid.model_table import describe_model
from sdcl_neuro.profiling import profile
from sdcl_neuro.reid.configuration import Configuration, build_data, load_configuration
from sdcl_neuro.reid.datasets import DataSet, labels
from sdcl_neuro.reid.evaluation import Condition, FeatureStore, evaluate, open_trained
from sdcl_neuro.reid.evaluation.extraction import Extraction
from sdcl_neuro.reid.evaluation.trained import Trained
from sdcl_neuro.reid.metrics.intervals import bootstrap_interval
from sdcl_neuro.reid.pipeline.training_run import run_training
from sdcl_neuro.snn.event_branch import EventBranch

SCHEMA = {"name": "sdcl_neuro.table1_job", "version": 1}
BEGIN, END = "<!-- table1.py: begin -->", "<!-- table1.py: end -->"
CONDITIONS = (Condition(), Condition("blur", 3), Condition("occlusion", 3))
HARDWARE = ("loihi1", "loihi2")
INPUTS = ("v", "e", "v+e")
COUNTED = 16
"""Test tracklets whose spikes are counted and priced, and on which the latency is taken."""
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
ABLATIONS = {
    "1 spiking layer": ("event_branch.layers=1",),
    "3 spiking layers": ("event_branch.layers=3",),
    "no deformable layer": ("bridge.deformable_layers=0",),
    "1 deformable layer": ("bridge.deformable_layers=1",),
    "2 deformable layers": ("bridge.deformable_layers=2",),
    "4 deformable layers": ("bridge.deformable_layers=4",),
    "fusion by concatenation": ("bridge.fusion=concat",),
    "fusion by addition": ("bridge.fusion=add",),
    "fusion by attention": ("bridge.fusion=attention",),
    "alignment e2f": ("bridge.direction=e2f",),
    "alignment f2e": ("bridge.direction=f2e",),
    "no pyramid": ("bridge.pyramid=none",),
    "residual pyramid": ("bridge.pyramid=residual",),
}


@dataclass(frozen=True)
class Job:
    """One row on one seed.

    Attributes:
        method: a model's kind.
        inputs: of it.
        seed: of its training.
        variant: an ablation of SDCL by its title; empty for the row itself.
        overrides: of the configuration.
    """

    method: str
    inputs: str
    seed: int
    variant: str = ""
    overrides: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of its folder."""
        said = [self.method, self.inputs.replace("+", ""), *self.variant.split(), str(self.seed)]
        return "-".join(said)

    def configuration(self, args: argparse.Namespace) -> Configuration:
        """What is trained."""
        aligned = self.method == "sdcl" and self.inputs == "v+e"
        return load_configuration(
            args.data,
            [
                *(["data.cache=walks"] if args.data == "generated-small" else []),
                *args.overrides,
                f"model={self.method}",
                f"bridge.inputs={self.inputs}",
                *([] if aligned else ["bridge.fusion=none"]),
                f"training.seed={self.seed}",
                *self.overrides,
            ],
        )


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether a job is ours: no other process works in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "job.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def read(job: Job, args: argparse.Namespace) -> dict[str, Any] | None:
    """A finished job's result; None if it is not finished."""
    path = args.out / job.name / "result.json"
    if not path.is_file():
        return None
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not same_configuration(kept["configuration"], job.configuration(args)):
        raise SystemExit(f"{path} is of another configuration: give another --out")
    return kept


def run_job(job: Job, args: argparse.Namespace) -> dict[str, Any]:
    """Train, judge, count, price."""
    print(job.name, flush=True)
    folder, configuration = args.out / job.name, job.configuration(args)
    root = args.root or args.out
    cpu = time.process_time()
    trained = run_training(configuration, folder / "training", root=root, progress=steps_told)
    assert trained is not None  # one process
    training_cpu_s = time.process_time() - cpu if trained.done_now else None
    opened, data = open_trained(folder / "training"), build_data(configuration, root)
    integer = opened.events is not None and opened.events.integer is not None
    judged = evaluate(
        opened,
        data,
        backends=["loihi" if integer else "snntorch"] if opened.events is not None else [],
        conditions=CONDITIONS[:1] if job.inputs == "e" else CONDITIONS,
        how=Extraction(device="cpu", store=FeatureStore(folder / "features")),
        progress=steps_told,
    )
    assert judged is not None
    persons = labels(data, "query").persons
    rows = [
        {
            "condition": row.condition,
            "mAP": row.metrics.mean_ap,
            "rank1": row.metrics.cmc[1],
            "mAP_interval": list(bootstrap_interval(row.ranking.precisions, persons)),
        }
        for row in judged.rows
    ]
    result = {
        "schema": SCHEMA,
        "method": job.method,
        "inputs": job.inputs,
        "seed": job.seed,
        "variant": job.variant,
        "configuration": configuration.to_toml(),
        "data": str(data),
        "queries": len(data.query),
        "gallery": len(data.gallery),
        "rows": rows,
        "training_cpu_s": training_cpu_s,
        **costs(opened, data, configuration),
    }
    write_json(folder / "result.json", result)
    return result


def costs(opened: Trained, data: DataSet, configuration: Configuration) -> dict[str, Any]:
    """Parameters, MACs, latency a tracklet, and what the event branch's spikes cost."""
    model, clip = opened.checkpoint.model, configuration.clip
    shown = [data.load(position, opened.clip) for position in data.gallery[:COUNTED]]
    spikes = np.stack([one.spikes for one in shown], axis=1)
    counted = describe_model(model, bins=clip.bins, size=clip.size, spikes=spikes)
    found: dict[str, Any] = {
        "parameters": counted.parameters,
        "macs_frame": counted.macs / clip.frames,
        "latency_ms": latency_ms(opened, data),
        "synops": None if counted.synops is None else counted.synops.count,
        "spikes": None,
        "energy_uj": None,
    }
    if isinstance(model.event_branch, EventBranch) and opened.events is not None:
        rates = counted.synops.rates if counted.synops is not None else ()
        found["firing_rates"] = list(rates)
        if opened.events.integer is not None:
            priced = profile(opened.events.integer, spikes, hw=list(HARDWARE)).to_dict()
            found["spikes"] = sum(layer["spikes_out"] for layer in priced["layers"]) / len(shown)
            found["energy_uj"] = {
                name: [priced["energy"][name]["low_uj"], priced["energy"][name]["high_uj"]]
                for name in HARDWARE
            }
    return found


def latency_ms(opened: Trained, data: DataSet) -> float:
    """Median wall time of a tracklet alone through the whole model, as it is trained."""
    import torch

    from sdcl_neuro.hybrid.frame_branch import normalise

    model = opened.checkpoint.model.eval()
    config, times = model.bridge.config, []
    for position in data.gallery[:COUNTED]:
        one = data.load(position, opened.clip)
        frames = normalise(one.frames)[None] if config.uses_frames else None
        spikes = torch.from_numpy(one.spikes[:, None]) if config.uses_events else None
        begun = time.perf_counter()
        with torch.inference_mode():
            model(frames, spikes)
        times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times)


def plan(args: argparse.Namespace) -> list[Job]:
    """All jobs, seed by seed, so that an unfinished table has whole seeds."""
    jobs = [
        Job(method, inputs, seed)
        for seed in args.seeds
        for method in args.methods
        for inputs in args.inputs
    ]
    if args.ablations:
        jobs += [
            Job("sdcl", "v+e", seed, variant, overrides)
            for seed in args.seeds
            for variant, overrides in ABLATIONS.items()
        ]
    return jobs


def spread(values: Sequence[float], *, factor: float = 100) -> str:
    """Mean, and lowest to highest of several seeds."""
    if not values:
        return ""
    mean = factor * statistics.mean(values)
    if len(values) == 1:
        return f"{mean:.1f}"
    return f"{mean:.1f} ({factor * min(values):.1f} to {factor * max(values):.1f})"


def accuracy_cells(done: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Seeds, then mAP and rank 1 for each condition; of one seed with its interval."""
    yield str(len(done))
    for condition in map(str, CONDITIONS):
        rows = [row for one in done for row in one["rows"] if row["condition"] == condition]
        cell = spread([row["mAP"] for row in rows])
        if len(rows) == 1:
            low, high = rows[0]["mAP_interval"]
            cell += f" [{100 * low:.0f}, {100 * high:.0f}]"
        yield cell
        yield spread([row["rank1"] for row in rows])


def cost_cells(done: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Of the first seed: counts and modelled energy; the latency is the median over seeds."""
    one = done[0]
    yield f"{one['parameters'] / 1e6:.2f} M"
    yield f"{one['macs_frame'] / 1e6:,.0f} M"
    yield f"{statistics.median(each['latency_ms'] for each in done):.0f}"
    for name in ("spikes", "synops"):
        yield "" if one[name] is None else f"{one[name]:,.0f}"
    for hardware in HARDWARE:
        energy = one["energy_uj"]
        yield "" if energy is None else "{:.2f} to {:.2f}".format(*energy[hardware])


def grouped(done: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Finished jobs by row."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in done:
        found.setdefault((one["method"], one["inputs"], one["variant"]), []).append(one)
    return found


def title(method: str) -> str:
    """A method's name; a reconstruction is marked."""
    if method not in METHODS:
        return method.upper()
    return METHODS[method].title + ("*" if METHODS[method].source == "reconstruction" else "")


def page(done: Sequence[dict[str, Any]], args: argparse.Namespace) -> str:
    """All tables as Markdown."""
    if not done:
        return "No job is finished yet."
    rows = grouped(done)
    lines = [
        f"Data: {done[0]['data']}; {done[0]['queries']} queries, {done[0]['gallery']} in the "
        "gallery.",
        f"{len(done)} of {len(plan(args))} jobs are finished. Percent: mean over the seeds that "
        "were run (lowest to highest); of one seed, the 95 % interval over persons in brackets. "
        "* a reconstruction, see [methods.md](methods.md).",
        "",
        "| method | input | seeds | mAP clean | R1 clean | mAP blurred | R1 blurred | mAP "
        "occluded | R1 occluded |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (method, inputs, variant), found in rows.items():
        if not variant:
            cells = " | ".join(accuracy_cells(found))
            lines.append(f"| {title(method)} | {inputs.upper()} | {cells} |")
    lines += [
        "",
        "Counted: parameters, MACs a frame (events as a dense machine would compute them), spikes "
        "and synaptic operations of the event branch a tracklet (emulated). Measured: latency of "
        "one tracklet on one core, event branch in torch. Modelled: energy of the event branch.",
        "",
        "| method | input | parameters | MACs a frame | ms a tracklet | spikes | synops | Loihi 1, "
        "µJ | Loihi 2, µJ |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (method, inputs, variant), found in rows.items():
        if not variant:
            cells = " | ".join(cost_cells(found))
            lines.append(f"| {title(method)} | {inputs.upper()} | {cells} |")
    ablations = {key[2]: found for key, found in rows.items() if key[2]}
    if ablations:
        lines += [
            "",
            "Ablations of SDCL, V+E:",
            "",
            "| | seeds | mAP clean | R1 clean | mAP blurred | R1 blurred | mAP occluded | R1 "
            "occluded |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for variant, found in ablations.items():
            lines.append(f"| {variant} | {' | '.join(accuracy_cells(found))} |")
    return "\n".join([*lines, "", *published()])


def published() -> Iterator[str]:
    """The paper's own figures, apart from ours."""
    yield "**As published** (not ours, not on this data): mAP / rank 1 on MARS in SDCL's Table 1."
    yield ""
    yield "| method | V | E | V+E |"
    yield "|---|---:|---:|---:|"
    for method in dict.fromkeys(method for method, _ in PUBLISHED):
        cells = [PUBLISHED.get((method, inputs), "") for inputs in INPUTS]
        yield f"| {title(method).rstrip('*')} | {' | '.join(cells)} |"


def listed(text: str) -> list[str]:
    """A comma-separated option."""
    return [one.strip() for one in text.split(",") if one.strip()]


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the configuration")
    parser.add_argument("--out", type=Path, required=True, help="of the jobs")
    parser.add_argument("--data", default="generated-small", help="a configuration")
    parser.add_argument("--root", type=Path, help="of the data set")
    parser.add_argument("--methods", type=listed, default=list(MODEL_KINDS))
    parser.add_argument("--inputs", type=listed, default=list(INPUTS))
    parser.add_argument("--seeds", type=lambda text: [int(n) for n in listed(text)], default=[0])
    parser.add_argument("--ablations", action="store_true", help="of SDCL, too")
    parser.add_argument("--jobs", type=int, help="do so many that are not done, then stop")
    parser.add_argument("--write", type=Path, help="a page with the script's two marks")
    args = parser.parse_args()
    unknown = [one for one in args.methods if one not in MODEL_KINDS]
    unknown += [one for one in args.inputs if one not in INPUTS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)} (methods: {', '.join(MODEL_KINDS)})")
    return args


def main() -> None:
    """Do the next jobs, print the tables of all that are done."""
    args, done = parsed(), []
    left = args.jobs
    for job in plan(args):
        found = read(job, args)
        if found is None and left != 0:
            with claimed(args.out / job.name) as ours:
                if ours:
                    found = run_job(job, args)
                    left = None if left is None else left - 1
                else:
                    print(f"{job.name}: another process has it", flush=True)
        if found is not None:
            done.append(found)
    text = page(done, args)
    print(text)
    if args.write is not None:
        write_between(args.write, text, marks=(BEGIN, END))


if __name__ == "__main__":
    main()
