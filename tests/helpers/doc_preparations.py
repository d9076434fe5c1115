"""What a page takes for granted: files in its folder, names in its Python.

A page that is not listed begins in an empty folder with no names.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from safetensors.torch import save_file
from snntorch import Leaky
from torch import nn

from helpers.doc_blocks import QUICK
from sdcl_neuro import conversion, demo, run
from sdcl_neuro.cli import main
from sdcl_neuro.hybrid import make_frame_branch
from sdcl_neuro.models import DEFAULT, model_folder
from sdcl_neuro.snn import COMPACT

Names = dict[str, Any]


def network(folder: Path, *, reset: str = "zero", size: tuple[int, int] = (32, 16)) -> Names:
    """A small network of the user's: module, descriptions and files."""
    torch.manual_seed(0)
    neuron = {"threshold": 0.3, "init_hidden": True, "reset_mechanism": reset}
    module = nn.Sequential(
        nn.Conv2d(2, 8, 5, stride=2, padding=2, bias=False),
        Leaky(0.9, **neuron),
        nn.Flatten(),
        nn.Linear(8 * size[0] // 2 * size[1] // 2, 10, bias=False),
        Leaky(0.9, **neuron),
    )
    sample = (torch.rand(16, 4, 2, *size) < 0.1).float()
    spikes = sample.byte().numpy()
    for name in ("spikes.npz", "in.npz"):
        np.savez(folder / name, spikes=spikes)
    names: Names = {"conversion": conversion, "module": module, "sample": sample, "spikes": spikes}
    if reset == "zero":
        net = conversion.from_snntorch(module, sample)
        chip = conversion.quantize(net, calibration=spikes)
        conversion.to_netx(chip, folder / "model.net")
        names |= {"net": net, "chip": chip}
    return names


def recorded(folder: Path) -> Names:
    """The network, and its spikes as a board's machine would send them back."""
    names = network(folder)
    record = run(names["chip"], names["spikes"])
    layers = {f"layer_{index}": spikes for index, spikes in record.spikes.items()}
    for name in ("board.npz", "recorded.npz"):
        np.savez(folder / name, spikes=names["spikes"], **layers)
    shutil.copy(folder / "model.net", folder / "OUT.net")
    return names


def nir_file(folder: Path) -> Names:
    """The network, and a grid of spikes in NIR's own format."""
    names = network(folder)
    conversion.to_nir(names["chip"], folder / "model.nir")
    spikes = names["spikes"]  # [T, B, ...]; NIR has bool [B, T, N]
    grid = spikes.reshape(*spikes.shape[:2], -1).swapaxes(0, 1).astype(bool)
    given = nir.NIRNodeData({"spikes": nir.TimeGriddedData(grid, 1e-3)})
    nir.write_data(folder / "in.nirdata", nir.NIRGraphData({"input": given}))
    _write_theirs(folder / "theirs.nir")
    return names


def _write_theirs(path: Path) -> None:
    """A file of another program, which does not state its step."""
    draw, size = np.random.default_rng(0), np.full(10, 1.0)
    nodes = {
        "input": nir.Input({"input": np.array([2, 32, 16])}),
        "flatten": nir.Flatten({"input": np.array([2, 32, 16])}, start_dim=0, end_dim=-1),
        "fc": nir.Affine(draw.normal(0, 0.5, (10, 1024)), np.zeros(10)),
        "lif": nir.LIF(
            tau=1e-3 * size, r=size, v_leak=0 * size, v_threshold=0.5 * size, v_reset=0 * size
        ),
        "output": nir.Output({"output": np.array([10])}),
    }
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(nodes))))


def subtracting(folder: Path) -> Names:
    """A network that resets as snnTorch does by default."""
    return network(folder, reset="subtract")


def branch(folder: Path) -> Names:
    """What the page on quantisation takes: spikes for the compact branch, and a module."""
    names = network(folder)
    spikes = (torch.rand(8, 1, 2, 64, 32) < 0.1).float()
    return {"module": names["module"], "sample": names["sample"], "spikes": spikes}


def checkpoint(folder: Path) -> Names:
    """The packaged model under the names that pages have for a checkpoint."""
    packaged = model_folder(DEFAULT) / "checkpoint"
    (folder / "demo-out").mkdir(exist_ok=True)
    for name in ("CHECKPOINT", "demo-out/checkpoint"):
        (folder / name).symlink_to(packaged)
    (folder / "MODEL").symlink_to(packaged / "event_branch")
    return {}


def clip(folder: Path) -> Names:
    """The packaged clip under the names that pages have for videos, and its events."""
    checkpoint(folder)
    for name in ("walk", "monday", "tuesday", "v", "clips/monday", "clips/tuesday"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(demo.clip_path(), folder / f"{name}.mp4")
        shutil.copy(demo.tracks_path(), folder / f"{name}.txt")
    shutil.copy(demo.tracks_path(), folder / "given.txt")
    with Path(folder / "tuesday.mp4").open("ab") as video:
        video.write(bytes(8))  # another file: entries of the same one are left out
    return {}


def events_of_clip(folder: Path) -> Names:
    """The clip with its events in a file of their own."""
    clip(folder)
    simulate = ["events", "simulate", "walk.mp4", "--out", "walk.npz", "--quiet"]
    assert main(simulate) == 0
    shutil.move(folder / "walk.npz", folder / "walk.raw")
    return {}


def recordings(folder: Path) -> Names:
    """Recordings as text, and what the pages on events have in memory."""
    shutil.copy(demo.clip_path(), folder / "v.mp4")
    draw = np.random.default_rng(0)
    times = np.sort(draw.integers(0, 400_000, 3_000))
    x, y, p = draw.integers(400, 512, 3_000), draw.integers(110, 350, 3_000), times % 2
    lines = "".join(f"{t} {a} {b} {c}\n" for t, a, b, c in zip(times, x, y, p, strict=True))
    for name in ("recording.raw", "long.raw"):
        (folder / name).write_text(lines)
    for name in ("rec.raw", "rec.aedat4"):
        (folder / name).write_text(f"1280 720\n{lines}")
    (folder / "a.toml").write_text("assume_same_view = true\n")
    frames = draw.integers(0, 255, (5, 24, 32), np.uint8)
    return {"frames": frames, "times_us": np.arange(1, 6) * 40_000}


def trained(folder: Path) -> Names:
    """A training of a few steps, in runs/small, and its data."""
    from sdcl_neuro.reid import build_data, load_configuration

    run_folder = ["train", "generated-small", "--out", "runs/small", "--quiet"]
    assert main([*run_folder, *QUICK["train"].split()]) == 0
    configuration = load_configuration("generated-small", QUICK["train"].split())
    return {"data": build_data(configuration)}


def chips(folder: Path) -> Names:
    """The network, a branch's description and a chip of the user's own."""
    import json

    names = network(folder)
    (folder / "branch.json").write_text(json.dumps(COMPACT.to_dict()))
    assert main(["hw", "template", "mychip", "--out", "mychip.toml", "--quiet"]) == 0
    return names


def weights(folder: Path) -> Names:
    """Weights of a frame branch in both formats, and frames."""
    state = make_frame_branch("osnet_x0_25").state_dict()
    save_file(state, folder / "osnet.safetensors")
    torch.save(state, folder / "weights.pth")
    return {"frames": np.zeros((2, 256, 128, 3), np.uint8)}


def enrolled(folder: Path) -> Names:
    """The clip, and embeddings in memory."""
    clip(folder)
    vectors = np.eye(128, dtype=np.float32)[:3]
    return {
        "model_hash": "0" * 64,
        "vectors": vectors[:1],
        "times": [0],
        "queries": vectors,
        "t0": 0,
    }


def homography(folder: Path) -> Names:
    """A calibration."""
    (folder / "homography.txt").write_text("1 0 0\n0 1 0\n0 0 1\n")
    return {}


def profiled(folder: Path) -> Names:
    """The network, and its profile as JSON."""
    names = network(folder)
    words = ["profile", "model.net", "--spikes", "in.npz", "--json", "profile.json", "--quiet"]
    assert main(words) == 0
    return names


PREPARED: dict[str, Callable[[Path], Names]] = {
    "alignment.md": homography,
    "approximate.md": subtracting,
    "bundle.md": recorded,
    "c.md": lambda folder: checkpoint(folder) | network(folder),
    "detection.md": clip,
    "energy.md": network,
    "engine.md": network,
    "evaluation.md": trained,
    "events.md": recordings,
    "fit.md": chips,
    "frame_branch.md": weights,
    "gallery.md": enrolled,
    "infer.md": events_of_clip,
    "lava.md": network,
    "live.md": clip,
    "nir.md": nir_file,
    "onnx.md": checkpoint,
    "quantisation.md": branch,
    "schemas.md": profiled,
    "tutorials/train-sdcl.md": clip,
    "speck.md": lambda folder: network(folder, size=(16, 16)),
    "verify.md": recorded,
    "verilog.md": checkpoint,
}
"""Page: what makes its folder and its names."""
