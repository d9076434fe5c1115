"""The packaged clip of six real persons: who leaves is asked of who arrived.

Six persons come in, stand and leave, one after another, before one camera. Those who arrive are the
queries, those who leave the gallery. Frames and events are real and simulated in turn: no event
camera was there. OSNet as trained on MSMT17 sees nothing of the clip before; the SDCL rows are
trained on the same six persons while they stand, so they are no open-set result.

    OMP_NUM_THREADS=1 python bench/real_clip.py [--weights osnet_x0_25_msmt17.onnx] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.demo.cutting import cut_clip
from sdcl_neuro.demo.settings import CLIP
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.files import write_json
from sdcl_neuro.hybrid.frame_branch import load_weights, make_frame_branch, normalise
from sdcl_neuro.hybrid.frame_branch.onnx_weights import convert_onnx
from sdcl_neuro.hybrid.sdcl_checkpoint import save_sdcl
from sdcl_neuro.reid.configuration import build_model, clip_format, load_configuration
from sdcl_neuro.reid.datasets import hold_segments
from sdcl_neuro.reid.datasets.in_memory import TrackletsInMemory
from sdcl_neuro.reid.evaluation import evaluate, open_trained
from sdcl_neuro.reid.metrics import Ranking, bootstrap_interval, distance_blocks, rank_blocks
from sdcl_neuro.reid.training import train

OSNET = "osnet_x0_25"
STEPS = (60, 20)
CONFIGURATION = """
[data]
kind = "generated"  # in name only: the clip's tracklets are given
[clip]
frames = 4
bins = 4
size = [64, 32]
[event_branch]
channels = [8, 16]
strides = [2]
[frame_branch]
name = "osnet_x0_25"
weights = "{weights}"
[bridge]
inputs = "{inputs}"
fusion = "{fusion}"
channels = 64
heads = 4
[training]
persons = 6
tracklets = 2
variants = 2
seed = {seed}
[training.float_stage]
epochs = 0
steps = {steps}
learning_rate = 1e-3
warm_up = 0
decay_every = 0
learns_frames = {learns}
[training.int_stage]
epochs = 0
steps = {int_steps}
learning_rate = 1e-4
learns_frames = {learns}
"""
GRID = (16, 8)
CHANCE_DRAWS = 2000


def held() -> TrackletsInMemory:
    """All tracklets; those of persons who stand are for training."""
    tracklets = cut_clip()
    standing = tuple(k for k, one in enumerate(tracklets) if one.segment == "standing")
    return replace(hold_segments(tracklets), train=standing)


def ranked(data: TrackletsInMemory, features: NDArray[Any]) -> Ranking:
    """By cosine; arriving and leaving count as two cameras."""
    who = np.array([tracklet.person for tracklet in data.entries])
    query, gallery = np.array(data.query), np.array(data.gallery)
    return rank_blocks(
        distance_blocks(features[query], features[gallery]), who[query], who[gallery]
    )


def histograms(tracklets: Sequence[Tracklet]) -> NDArray[np.float64]:
    """Events of each polarity on a grid, summed over the tracklet."""
    found = []
    for tracklet in tracklets:
        counts = tracklet.spikes.sum(0, dtype=np.float64)  # [2, h, w]
        rows, columns = (side // cells for side, cells in zip(counts.shape[1:], GRID, strict=True))
        found.append(counts.reshape(2, GRID[0], rows, GRID[1], columns).sum((2, 4)).ravel())
    return np.stack(found)


def colours(tracklets: Sequence[Tracklet]) -> NDArray[np.float64]:
    """Histograms of 4 x 4 x 4 colours in four bands of the body."""
    found = []
    for tracklet in tracklets:
        codes = (tracklet.frames // 64).astype(np.int64) @ np.array([16, 4, 1])
        bands = np.array_split(codes, 4, axis=1)
        found.append(np.concatenate([np.bincount(b.ravel(), minlength=64) for b in bands]))
    return np.stack(found).astype(np.float64)


def osnet(tracklets: Sequence[Tracklet], weights: Path) -> NDArray[np.float32]:
    """The pretrained network's maps, averaged over places and frames; nothing is trained."""
    network = make_frame_branch(OSNET)
    load_weights(network, weights)
    network.eval()
    with torch.inference_mode():
        maps = [network(normalise(tracklet.frames)).mean((0, 2, 3)) for tracklet in tracklets]
    return torch.stack(maps).numpy()


def trained(
    data: TrackletsInMemory, weights: Path | None, inputs: str, seed: int, out: Path
) -> dict[str, list[list[float]]]:
    """SDCL trained on standing persons, frame branch at rest where it is pretrained."""
    weights = None if inputs == "e" else weights  # it has no frame branch
    text = CONFIGURATION.format(
        inputs=inputs,
        fusion="alignment" if inputs == "v+e" else "none",
        weights=weights or "",
        learns="false" if weights is not None else "true",
        steps=STEPS[0],
        int_steps=STEPS[1] if inputs != "v" else 0,
        seed=seed,
    )
    (out / "clip.toml").write_text(text, encoding="utf-8")
    configuration = load_configuration(out / "clip.toml")
    torch.manual_seed(seed)
    model = build_model(configuration, 6)
    train(model, data, configuration.clip, configuration.training)
    name = OSNET if inputs != "e" else None
    folder = save_sdcl(
        out / "model", model.cpu(), clip=clip_format(configuration), frame_branch=name
    )
    backends = ("snntorch", "loihi") if inputs != "v" else ()
    found = evaluate(open_trained(folder), data, backends=backends)
    assert found is not None
    return {row.backend: figures(row.ranking) for row in found.rows}


def figures(ranking: Ranking) -> list[list[float]]:
    """Average precision and rank 1 of each query."""
    first = [0.0 if one is None else float(one.first == 1) for one in ranking.measures]
    return [ranking.precisions.tolist(), first]


def chance(data: TrackletsInMemory) -> list[list[float]]:
    rng = np.random.default_rng(0)
    who = np.array([tracklet.person for tracklet in data.entries])
    shape = (len(data.query), len(data.gallery))
    names = who[list(data.query)], who[list(data.gallery)]
    draws = [figures(rank_blocks([rng.random(shape)], *names)) for _ in range(CHANCE_DRAWS)]
    return np.mean(draws, axis=0).tolist()


def rows(
    data: TrackletsInMemory, weights: Path | None, seeds: Sequence[int], out: Path
) -> dict[str, Any]:
    """Figures of each query by row, `[2, Q]`; the mean over seeds of those that are trained."""
    found: dict[str, Any] = {
        "chance": chance(data),
        "event histogram": figures(ranked(data, histograms(data.entries))),
        "colour histogram": figures(ranked(data, colours(data.entries))),
    }
    if weights is not None:
        found["OSNet of MSMT17, as it is"] = figures(ranked(data, osnet(data.entries, weights)))
    for inputs in ("v", "e", "v+e"):
        by_seed = []
        for seed in seeds:
            kept = out / f"{inputs}-{seed}-{'pretrained' if weights else 'random'}.json"
            if not kept.is_file():
                with tempfile.TemporaryDirectory() as folder:
                    write_json(kept, trained(data, weights, inputs, seed, Path(folder)))
            by_seed.append(json.loads(kept.read_text(encoding="utf-8")))
        for backend in by_seed[0]:
            name = f"SDCL {inputs.upper()}, {backend}"
            found[name] = np.mean([one[backend] for one in by_seed], axis=0).tolist()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="of OSNet x0.25, .onnx or .safetensors")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("build/real_clip"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    weights = args.weights
    if weights is not None and weights.suffix == ".onnx":
        converted = args.out / f"{weights.stem}.safetensors"
        if not converted.is_file():
            convert_onnx(weights, converted)
        weights = converted
    data = held()
    persons = np.array([data.entries[k].person for k in data.query])
    print(f"{data}\n{len(set(persons.tolist()))} persons, tracklets of {CLIP.frames} frames\n")
    print("| ranking | mAP | 95 % interval | rank 1 | 95 % interval |\n|---|---|---|---|---|")
    for name, values in rows(data, weights, args.seeds, args.out).items():
        cells = [name]
        for row in values:
            low, high = bootstrap_interval(row, persons)
            cells += [f"{np.mean(row):.1%}", f"{low:.1%} to {high:.1%}"]
        print(f"| {' | '.join(cells)} |".replace("%", " %"), flush=True)


if __name__ == "__main__":
    main()
