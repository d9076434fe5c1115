"""Devices: full precision in both of torch's interfaces, and what a device's own errors are."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from sdcl_neuro import cli
from sdcl_neuro.cli import hw, main
from sdcl_neuro.devices import constant, device_fault, full_float32, gpu_uuid, host_value
from sdcl_neuro.snn.bptt import steps

PRECISIONS = """
import os, sys, traceback
import torch
from sdcl_neuro.devices import full_float32
def fast():
    backends = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    return [backend.fp32_precision == "tf32" for backend in backends]
def check(setting):
    exec(setting)
    before = fast()
    with full_float32():
        assert fast() == [False, False], fast()
        with full_float32():
            assert fast() == [False, False], fast()
        assert fast() == [False, False], fast()
    assert fast() == before, (before, fast())
for setting in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            check(setting)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"failed after: {setting}")
"""
SETTINGS = (
    "",
    "torch.set_float32_matmul_precision('high')",
    "torch.backends.cudnn.allow_tf32 = False",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "torch.backends.cudnn.conv.fp32_precision = 'tf32'",
    "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
    "torch.backends.fp32_precision = 'tf32'",
)


def test_full_float32_beside_either_interface_of_torch() -> None:
    """Each in a process of its own: torch lets no one mix the interfaces and go back."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRECISIONS, *SETTINGS],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_convolutions_of_the_event_branch_forbid_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    from sdcl_neuro.snn import spiking_layers
    from sdcl_neuro.snn.loihi_leaky import LoihiLeaky

    seen = []

    class Watched(torch.nn.Conv2d):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            seen.append(torch.backends.cudnn.allow_tf32)
            return super().forward(given)

    assert torch.backends.cudnn.allow_tf32  # torch's own default
    neuron = LoihiLeaky(beta=0.9)
    spiking_layers.synaptic_sums(Watched(1, 1, 1), neuron, torch.zeros(1, 1, 1, 2, 2))
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32
    with full_float32():
        assert not torch.backends.cudnn.allow_tf32


def test_what_is_the_devices_own_fault() -> None:
    full = torch.OutOfMemoryError("CUDA out of memory.")
    assert device_fault(full)
    assert device_fault(MemoryError())
    assert device_fault(RuntimeError("CUDA error: an illegal memory access was encountered"))
    wrapped = RuntimeError("backend 'inductor' raised")
    wrapped.inner_exception = full  # type: ignore[attr-defined]
    assert device_fault(wrapped)
    caused = ValueError("while compiling")
    caused.__cause__ = full
    assert device_fault(caused)
    assert not device_fault(RuntimeError("Triton is missing"))
    assert not device_fault(ValueError("CUDA error is not what this says"))


def test_out_of_memory_is_not_a_compilers_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(steps, "_compiled", lambda function: full)
    monkeypatch.setattr(steps, "variable", lambda value, device: value)
    drive = SimpleNamespace(device=torch.device("cuda"))
    with pytest.raises(torch.OutOfMemoryError):
        steps.run(steps.leak_float, drive, None, 0.9, 1.0)
    assert steps.leak_float not in steps._refused


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore lines"),
            "sdcl-neuro: CUDA out of memory. Tried to allocate 2 GiB.; give smaller batches",
        ),
        (
            getattr(torch, "AcceleratorError", torch.OutOfMemoryError)("CUDA error: launch failed"),
            "launch failed",
        ),
    ],
)
def test_a_devices_error_is_one_line_and_exit_3(
    error: RuntimeError,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(args: object) -> int:
        raise error

    monkeypatch.setattr(hw, "execute", fail)
    assert main(["hw", "list"]) == 3
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1


def test_other_errors_are_not_the_gpus(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: object) -> int:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(hw, "execute", fail)
    assert main(["hw", "list"]) == 3
    said = capsys.readouterr().err
    assert "unforeseen RuntimeError" in said
    assert "a mistake of ours" in said
    assert "GPU" not in said
    assert cli._device_trouble(RuntimeError("x")) is None


def test_a_gpus_uuid_is_spelled_as_nvml_spells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_uuid(torch.device("cpu")) is None
    known = SimpleNamespace(uuid="1f2e-33")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: known)
    assert gpu_uuid(torch.device("cuda", 1)) == "GPU-1f2e-33"


def test_numbers_of_the_cpu_are_read_where_they_lie() -> None:
    scalar = torch.tensor(0.5, requires_grad=True)
    assert host_value(scalar) == 0.5
    with torch.no_grad():
        scalar.fill_(0.25)
    assert host_value(scalar) == 0.25
    assert constant((1.0, 2.0), torch.zeros(1, dtype=torch.float64)).tolist() == [1, 2]
