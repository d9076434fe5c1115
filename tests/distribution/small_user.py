"""Does what the package promises without any extra; run by `check_distribution.py`.

It runs in an environment that holds the package and its required dependencies only, in a folder of
its own.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from snntorch import Leaky
from torch import nn

import sdcl_neuro
from sdcl_neuro import conversion, load, profile, run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion.event_side import event_backend
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.extras import ROWS
from sdcl_neuro.hybrid.bridge import BridgeConfig
from sdcl_neuro.hybrid.composition import compose
from sdcl_neuro.hybrid.runtime import infer
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

FRAMES, BINS, TRACKLETS = 2, 3, 3


def deploy() -> None:
    """Convert, write, read, prove, run and price a network from snnTorch."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        Leaky(0.9, threshold=0.3, init_hidden=True, reset_mechanism="zero"),
        nn.Flatten(),
        nn.Linear(4 * 8 * 8, 10, bias=False),
        Leaky(0.9, threshold=0.3, init_hidden=True, reset_mechanism="zero"),
    )
    spikes = (torch.rand(8, 2, 2, 8, 8) < 0.2).byte().numpy()
    np.savez("spikes.npz", spikes=spikes)
    net = conversion.from_snntorch(module, spikes)
    chip = conversion.quantize(net, calibration=spikes)
    conversion.to_netx(chip, "model.net")
    conversion.to_nir(net, "model.nir")
    record = run("model.net", spikes)
    assert record.spikes[1].any()
    certificate = verify(chip, spikes=spikes, against=["snntorch-int"], cache=False)
    assert certificate.holds
    costs = profile(chip, spikes, hw=["loihi1", "loihi2"])
    costs.to_html("profile.html")
    assert load("model.nir") is not None
    print(certificate, costs, sep="\n")


def infer_hybrid() -> None:
    """Embed tracklets with both branches, the event branch in chip integers."""
    rng = np.random.default_rng(0)
    tracklets = [
        Tracklet(
            name=f"t{n}",
            person=n,
            camera=0,
            frames=rng.integers(0, 256, (FRAMES, 256, 128, 3), dtype=np.uint8),
            spikes=(rng.random((FRAMES * BINS, 2, 64, 32)) < 0.05).astype(np.uint8),
            times_us=np.arange(1, FRAMES + 1) * 1000,
            boxes=np.tile(np.array([0, 0, 10, 20]), (FRAMES, 1)),
        )
        for n in range(TRACKLETS)
    ]
    given = torch.from_numpy(np.stack([t.spikes for t in tracklets], axis=1)).float()
    branch = EventBranch(COMPACT)
    branch.calibrate_rates(given, rate=0.1)
    branch.prepare_quantization()
    config = BridgeConfig(channels=16, frames=FRAMES, heads=2, points=2)
    model = compose("sdcl", config, frame_branch="osnet_x0_25", event_branch=branch).eval()
    chip = conversion.from_snntorch(model.event_branch, given)
    found = infer(model, tracklets, event_backend(chip, "loihi"), device="cpu")
    assert found.embeddings.shape[0] == TRACKLETS
    assert np.isfinite(found.embeddings).all()
    print(found.ledger)


def ask_verbs() -> None:
    """Run the verbs of deployment; the others name the extra that they need."""
    given = ["--spikes", "spikes.npz"]
    assert main(["run", "model.net", *given, "--out", "out.npz", "--quiet"]) == 0
    assert main(["verify", "model.net", *given, "--against", "snntorch-int", "--quiet"]) == 0
    assert main(["profile", "model.net", *given, "--html", "costs.html", "--quiet"]) == 0
    assert main(["convert", "model.nir", "again.net", "--calibrate", "spikes.npz", "--quiet"]) == 0
    assert main(["hw", "fit", "model.net", "loihi2", "--quiet"]) == 0
    Path("walk.mp4").write_bytes(b"a video")
    Path("walk.txt").write_text("1,1,0,0,9,9,1,-1,-1,-1\n")
    for line in (
        "train generated-small --out runs",
        "evaluate runs",
        "infer runs --video walk.mp4 --tracks walk.txt",
        "data check runs",
        "live runs --frames walk.mp4 --tracks walk.txt",
        "demo --out demo",
        "events simulate walk.mp4 --out walk.npz",
        "verify model.net --spikes spikes.npz --against lava",
        "verify model.net --spikes spikes.npz --against norse",
        "convert runs out.onnx --part bridge",
    ):
        assert main([*line.split(), "--quiet"]) == 3, line


def main_of_user() -> None:
    """Run all three; nothing of an extra may be there."""
    here = [row.module for row in ROWS if find_spec(row.module) is not None]
    assert here == [], f"not a small installation: {here}"
    print("package:", Path(sdcl_neuro.__file__).parent)
    deploy()
    infer_hybrid()
    ask_verbs()
    loaded = {row.module for row in ROWS} & {name.partition(".")[0] for name in sys.modules}
    assert loaded == set(), loaded


if __name__ == "__main__":
    main_of_user()
