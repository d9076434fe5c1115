"""One job of Table 1: a row on one seed, trained, judged, counted and priced."""

from __future__ import annotations

import datetime
import json
import os
import statistics
import subprocess
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from generated import FLOAT, INTEGER, KEPT, steps_told

from sdcl_neuro.files import atomic_path
from sdcl_neuro.hybrid.model_table import describe_model
from sdcl_neuro.profiling import profile
from sdcl_neuro.reid.configuration import Configuration, build_data, load_configuration
from sdcl_neuro.reid.datasets import DataSet, labels
from sdcl_neuro.reid.evaluation import Condition, FeatureStore, evaluate, open_trained
from sdcl_neuro.reid.evaluation.extraction import Extraction
from sdcl_neuro.reid.evaluation.result import EvaluationRow
from sdcl_neuro.reid.evaluation.trained import Trained
from sdcl_neuro.reid.pipeline.training_run import run_training
from sdcl_neuro.snn.event_branch import EventBranch

CONFIGURATION = "generated-table"
SCHEMA = {"name": "sdcl_neuro.table1_job", "version": 1}
# Fixed before anything was trained; those of generated.py.
CONDITIONS = (Condition(), Condition("blur", 3), Condition("occlusion", 3))
HARDWARE = ("loihi1", "loihi2")
COUNTED = 16
"""Test tracklets whose spikes are counted and priced, and on which one tracklet is timed."""


@dataclass(frozen=True)
class Job:
    """One row on one seed.

    Attributes:
        method: a model's kind.
        inputs: ``v``, ``e`` or ``v+e``.
        seed: of its training.
        variant: title of an ablation of SDCL; empty for the row itself.
        overrides: what that ablation changes in the configuration.
    """

    method: str
    inputs: str
    seed: int
    variant: str = ""
    overrides: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of its folder and of its result file."""
        words = [self.method, self.inputs.replace("+", ""), *self.variant.split(), str(self.seed)]
        return "-".join(words)

    def configuration(self, data: str, overrides: Sequence[str] = ()) -> Configuration:
        """Return the configuration to train: `data` with a user's `overrides` on top."""
        aligned = self.method == "sdcl" and self.inputs == "v+e"
        return load_configuration(
            data,
            [
                *([KEPT] if data == CONFIGURATION else []),
                *overrides,
                *([] if self.method == "sdcl" else [f"model={self.method}"]),
                f"bridge.inputs={self.inputs}",
                *([] if aligned else ["bridge.fusion=none"]),
                f"training.seed={self.seed}",
                *self.overrides,
            ],
        )


def run_job(job: Job, args: Namespace) -> dict[str, Any]:
    """Train, judge, count, price; what was done before in the job's folder is not done again."""
    folder, configuration = args.out / job.name, job.configuration(args.data, args.overrides)
    root = args.root or args.out
    cpu = time.process_time()
    trained = run_training(configuration, folder / "training", root=root, progress=steps_told)
    if trained is None:
        raise SystemExit("table1.py trains in one process: start it without torchrun")
    whole = trained.done_now == sum(stage.steps for stage in trained.stages)
    trained_cpu_s = time.process_time() - cpu
    opened, data = open_trained(folder / "training"), build_data(configuration, root)
    integer = opened.events is not None and opened.events.integer is not None
    judged = evaluate(
        opened,
        data,
        backends=[] if opened.events is None else [INTEGER if integer else FLOAT],
        conditions=CONDITIONS[:1] if job.inputs == "e" else CONDITIONS,
        how=Extraction(device="cpu", store=FeatureStore(folder / "features")),
        progress=steps_told,
    )
    assert judged is not None  # one process
    persons = labels(data, "query").persons
    return {
        "schema": SCHEMA,
        "method": job.method,
        "inputs": job.inputs,
        "seed": job.seed,
        "variant": job.variant,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "data": str(data),
        "queries": len(data.query),
        "gallery": len(data.gallery),
        "rows": [judged_row(row, persons) for row in judged.rows],
        # Of a training that was interrupted, only the last part would be known.
        "training_cpu_s": round(trained_cpu_s, 1) if whole else None,
        "all_cpu_s": round(time.process_time() - cpu, 1) if whole else None,
        **costs(opened, data, configuration),
        "configuration": configuration.to_toml(),
    }


def judged_row(row: EvaluationRow, persons: np.ndarray) -> dict[str, Any]:
    """Figures of one condition, and each test person's mean AP, of which intervals are drawn."""
    precisions = np.asarray(row.ranking.precisions, np.float64)
    judged = ~np.isnan(precisions)
    known = sorted(set(persons[judged].tolist()))
    return {
        "condition": row.condition,
        "backend": row.backend,
        "mAP": row.metrics.mean_ap,
        "rank1": row.metrics.cmc[1],
        "persons": {
            str(one): [
                round(float(precisions[judged & (persons == one)].mean()), 4),
                int((judged & (persons == one)).sum()),
            ]
            for one in known
        },
    }


def costs(opened: Trained, data: DataSet, configuration: Configuration) -> dict[str, Any]:
    """Parameters, MACs, time of a tracklet, and what the event branch's spikes cost."""
    model, clip = opened.checkpoint.model, configuration.clip
    shown = [data.load(position, opened.clip) for position in data.gallery[:COUNTED]]
    spikes = np.stack([one.spikes for one in shown], axis=1)
    counted = describe_model(model, bins=clip.bins, size=clip.size, spikes=spikes)
    found: dict[str, Any] = {
        "parameters": counted.parameters,
        "macs_frame": counted.macs / clip.frames,
        "tracklet_cpu_ms": round(tracklet_cpu_ms(opened, data), 2),
        "load_average": round(os.getloadavg()[0], 1),
        "firing_rates": None,
        "spikes": None,
        "synops": None if counted.synops is None else counted.synops.count,
        "energy_uj": None,
    }
    if counted.synops is not None:
        found["firing_rates"] = [round(rate, 5) for rate in counted.synops.rates]
    if isinstance(model.event_branch, EventBranch) and opened.events is not None:
        integer = opened.events.integer
        if integer is not None:
            priced = profile(integer, spikes, hw=list(HARDWARE)).to_dict()
            found["spikes"] = sum(layer["spikes_out"] for layer in priced["layers"]) / len(shown)
            found["energy_uj"] = {
                name: [priced["energy"][name][f"{end}_uj"] for end in ("low", "high")]
                for name in HARDWARE
            }
    return found


def tracklet_cpu_ms(opened: Trained, data: DataSet) -> float:
    """Median processor time of one tracklet alone through the whole model, event branch in torch.

    With one thread on an idle core it is the latency; unlike that, other processes leave it nearly
    as it is.
    """
    import torch

    from sdcl_neuro.hybrid.frame_branch import normalise

    model = opened.checkpoint.model.eval()
    config, times = model.bridge.config, []
    for position in data.gallery[:COUNTED]:
        one = data.load(position, opened.clip)
        frames = normalise(one.frames)[None] if config.uses_frames else None
        spikes = torch.from_numpy(one.spikes[:, None]) if config.uses_events else None
        begun = time.process_time()
        with torch.inference_mode():
            model(frames, spikes)
        times.append(1e3 * (time.process_time() - begun))
    return statistics.median(times)


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write a job's result, whole or not at all: a line for each key, so that it stays small."""
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in result.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        text = ",\n".join(lines)
        temporary.write_text(f"{{\n{text}\n}}\n", encoding="utf-8")


def commit() -> str | None:
    """The commit of the source, with ``+`` if files of it are changed; None outside git."""
    here = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        found = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True
        )
        return found.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD")[:12] + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
