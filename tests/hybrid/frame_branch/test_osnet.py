"""OSNet against its ONNX export in onnxruntime, and against torchreid's names and sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.frame_branch import FRAME_BRANCHES, OSNet, make_frame_branch, normalise


@pytest.fixture(scope="module")
def session(onnx_file: Path) -> Any:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(
        str(onnx_file), sess_options=options, providers=["CPUExecutionProvider"]
    )


def both(trained: OSNet, session: Any, frame: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        ours = trained.embed(trained(frame)).numpy()
    return ours, session.run(None, {"images": frame.numpy()})[0]


@pytest.mark.parametrize("seed", range(3))
def test_random_input_equals_onnx(trained: OSNet, session: Any, seed: int) -> None:
    frame = torch.randn(1, 3, 256, 128, generator=torch.Generator().manual_seed(seed))
    ours, theirs = both(trained, session, frame)
    assert ours.shape == (1, 512)
    assert np.abs(ours - theirs).max() < 1e-4


def test_real_images_equal_onnx(trained: OSNet, session: Any, shared_data: Path) -> None:
    video = cv2.VideoCapture(str(shared_data / "video" / "one-by-one-person-detection.mp4"))
    crops = []
    for number in (200, 420, 800):
        video.set(cv2.CAP_PROP_POS_FRAMES, number)
        read, frame = video.read()
        assert read
        crops.append(cv2.cvtColor(frame[80:400, 250:410], cv2.COLOR_BGR2RGB))
    frames = normalise(np.stack(crops))
    for frame in frames:
        ours, theirs = both(trained, session, frame[None])
        assert theirs.max() > 0.1
        assert np.abs(ours - theirs).max() < 1e-4


def test_real_weights_forgive_a_shift(trained: OSNet) -> None:
    """A picture and the same moved by two pixels are closer than two different pictures."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2, 16, 8, 3), dtype=np.uint8)
    one, other = (cv2.resize(image, (128, 256)) for image in coarse)
    frames = normalise(np.stack([one, np.roll(one, 2, axis=1), other]))
    with torch.no_grad():
        unit = torch.nn.functional.normalize(trained.embed(trained(frames)))
    alike = unit @ unit.T
    assert alike[0, 1] > alike[0, 2] + 0.03


def test_parameter_counts() -> None:
    # Published with torchreid's model zoo: 0.2 M and 2.2 M; the exact sums follow from the shapes.
    counts = {w: sum(p.numel() for p in OSNet(w).parameters()) for w in ("x0_25", "x1_0")}
    assert counts == {"x0_25": 201_864, "x1_0": 2_169_508}


def test_torchreid_names() -> None:
    names = set(OSNet("x1_0").state_dict())
    unit = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "bn.num_batches_tracked")
    light = {f"{conv}.weight" for conv in ("conv1", "conv2")} | set(unit)
    full = {"conv.weight", *unit}
    expected = {f"{stem}.{n}" for stem in ("conv1", "conv5") for n in full}
    expected |= {f"conv{stage}.2.0.{n}" for stage in (2, 3) for n in full}
    for stage in (2, 3, 4):
        for block in (0, 1):
            path = f"conv{stage}.{block}"
            inner = ["conv1", "conv3"] + ["downsample"] * (block == 0)
            expected |= {f"{path}.{part}.{n}" for part in inner for n in full}
            chains = ["conv2a"] + [
                f"conv2{c}.{i}" for c, m in zip("bcd", (2, 3, 4), strict=True) for i in range(m)
            ]
            expected |= {f"{path}.{part}.{n}" for part in chains for n in light}
            expected |= {f"{path}.gate.fc{i}.{n}" for i in (1, 2) for n in ("weight", "bias")}
    expected |= {"fc.0.weight", "fc.0.bias"} | {n.replace("bn", "fc.1") for n in unit}
    assert names == expected


SHAPES = {
    "osnet_x0_25": (128, 16, 8),
    "osnet_x1_0": (512, 16, 8),
    "resnet50": (2048, 16, 8),
    "small": (128, 8, 4),
}


@pytest.mark.parametrize("name", FRAME_BRANCHES)
def test_shapes(name: str) -> None:
    channels, *size = SHAPES[name]
    module = make_frame_branch(name).eval()
    assert module.channels == channels
    with torch.no_grad():
        maps = module(torch.zeros(2, 3, 256, 128))
    assert maps.shape == (2, channels, *size)
    if isinstance(module, OSNet):
        assert module.embed(maps).shape == (2, 512)


def test_unknown_name() -> None:
    with pytest.raises(InputError, match="use osnet_x0_25, osnet_x1_0, resnet50"):
        make_frame_branch("resnet18")
