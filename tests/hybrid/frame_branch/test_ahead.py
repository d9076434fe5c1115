"""Frame branches made ready ahead of time against the eager one."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.hybrid.frame_branch import SmallNet, ahead, make_frame_branch
from sdcl_neuro.hybrid.frame_branch.ahead import FRAME_BACKENDS, ahead_of_time

# Least cosine of the pooled maps with the eager ones'.
LEAST = {
    "folded": 0.999999,
    "bf16": 0.999,
    "compiled": 0.999,
    "onnx": 0.999999,
    "onnx-int8": 0.99,
}
COMPILER = [
    pytest.mark.compiler,
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler"),
]
KINDS = [
    pytest.param(kind, marks=COMPILER) if kind == "compiled" else kind for kind in sorted(LEAST)
]


@pytest.fixture(scope="module")
def branch() -> SmallNet:
    torch.manual_seed(0)
    made = make_frame_branch("small")
    assert isinstance(made, SmallNet)
    made.train()
    with torch.no_grad():  # batch norms that are worth folding
        made(torch.randn(8, 3, 256, 128) * 2 + 1)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_the_eager_one_says(branch: SmallNet, kind: str) -> None:
    torch.manual_seed(1)
    frames = torch.randn(3, 3, 256, 128)
    ready = ahead_of_time(branch, kind, calibration=torch.randn(8, 3, 256, 128))
    assert branch.training  # left as it was
    branch.eval()
    with torch.no_grad():
        wanted = branch(frames)
    branch.train()
    for part in (frames, frames[:1]):
        with torch.inference_mode():
            found = ready(part)
        assert found.dtype == torch.float32
        assert found.shape == (len(part), *wanted.shape[1:])
        likeness = functional.cosine_similarity(
            found.mean((2, 3)), wanted[: len(part)].mean((2, 3))
        )
        assert likeness.min() > LEAST[kind]


def test_what_cannot_be_done(branch: SmallNet) -> None:
    assert ahead_of_time(branch, "eager") is branch
    assert set(LEAST) | {"eager"} == set(FRAME_BACKENDS)
    with pytest.raises(InputError, match="unknown dense backend 'fast'"):
        ahead_of_time(branch, "fast")
    with pytest.raises(InputError, match="8 bits need frames"):
        ahead_of_time(branch, "onnx-int8")
    with pytest.raises(InputError, match="is for a CPU"):
        ahead_of_time(make_frame_branch("small").to("meta"), "bf16")
    with pytest.raises(InputError, match="is for a CPU"):
        ahead_of_time(make_frame_branch("small").to("meta"), "compiled")


@pytest.mark.compiler
def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Sigmoid()).eval()
    ready = ahead_of_time(network, "compiled")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, str(tmp_path / "g++")))
    with pytest.raises(EnvironmentFault, match=r"could not compile .*; install a C\+\+ compiler"):
        ready(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("kind", ["TritonMissing", "GPUTooOldForTriton"])
def test_without_triton_it_is_one_line(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """What a GPU's compiler raises is not one of torch's own compiler errors."""
    error = getattr(torch._inductor.exc, kind)

    def compiled(network: nn.Module, **how: object) -> object:
        def fail(given: torch.Tensor) -> torch.Tensor:
            raise error.__new__(error)

        return fail

    monkeypatch.setattr(torch, "compile", compiled)
    run = ahead._compiled(nn.Identity(), torch.device("cuda"))
    with pytest.raises(EnvironmentFault, match=r"could not compile .*Triton"):
        run(torch.zeros(1, 3, 8, 8))


def test_out_of_memory_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(given: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch, "compile", lambda network, **how: fail)
    run = ahead._compiled(nn.Identity(), torch.device("cuda"))
    with pytest.raises(torch.OutOfMemoryError):
        run(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize("kind", ["folded", "bf16", "onnx"])
def test_a_default_device_has_no_say(branch: SmallNet, kind: str) -> None:
    """The network stays where its weights are, whatever device torch makes new tensors on."""
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
    frames = torch.randn(2, 3, 256, 128)
    wanted = ahead_of_time(branch, kind)(frames)
    with torch.device("meta"):
        ready = ahead_of_time(branch, kind)
        found = ready(frames)
    assert found.device == torch.device("cpu")
    assert torch.equal(found, wanted)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu(branch: SmallNet) -> None:
    torch.manual_seed(1)
    frames = torch.randn(11, 3, 256, 128)
    there = copy.deepcopy(branch).cuda().eval()
    with torch.inference_mode():
        wanted = there(frames.cuda()).mean((2, 3))
        ready = ahead_of_time(there, "compiled")
        found = [ready(frames.cuda()) for _ in range(3)]  # a CUDA graph is replayed from the third
    for maps in found:  # none was written over by the next
        assert maps.dtype == torch.float32
        assert functional.cosine_similarity(maps.mean((2, 3)), wanted).min() > LEAST["compiled"]
    with pytest.raises(InputError, match="is for a CPU, not for cuda"):
        ahead_of_time(there, "folded")
