"""The pretended GPU as a plugin of pytest: ``-p plugin``, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TRITON_INTERPRET", "1")  # its kernels run on what the tensors hold

import pytest
from device import PretendedGpu, PretendedTensor

KERNELS = all(importlib.util.find_spec(name) for name in ("triton", "sdcl_neuro.gpu_kernels"))
"""Whether Triton's kernels run here, in its interpreter."""
TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile knows no pretended GPU; without Triton the scans go operation by operation."""
    from sdcl_neuro.snn.bptt import steps

    if not KERNELS:
        every = {steps.leak_float, steps.leak_int, steps.leak_backward}
        monkeypatch.setattr(steps, "_refused", every)


@pytest.fixture
def gpu() -> Iterator[PretendedGpu]:
    """A machine with one GPU; the counts begin at zero."""
    with PretendedGpu() as found:
        yield found


@pytest.fixture
def outside() -> type[PretendedGpu]:
    """The class, for tests that compute on the CPU before they enter it."""
    return PretendedGpu


def other_conftest(room: str, name: str = "conftest") -> ModuleType:
    """The helpers of another room's tests."""
    path = TESTS / room / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"of_{room.replace('/', '_')}_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


def _count_kernels() -> None:
    """Let Triton's interpreter run on pretended tensors, one launch a kernel."""
    from sdcl_neuro import gpu_kernels

    real = gpu_kernels.launch

    def launch(kernel: Any, programs: int, *arguments: Any, **named: Any) -> None:
        there = [one for one in arguments if isinstance(one, PretendedTensor)]
        if not there:
            real(kernel, programs, *arguments, **named)
            return
        gpu = PretendedGpu.current()
        bare = [one.held if isinstance(one, PretendedTensor) else one for one in arguments]
        gpu.launch("triton")
        held = [one.held for one in there]

        def run() -> tuple[()]:
            with gpu.aside():
                real(kernel, programs, *bare, **named)
            return ()

        run()
        gpu.timeline.seen("kernel_", held, held)
        gpu.timeline.captured(run, (), {}, ())

    gpu_kernels.launch = launch


if importlib.util.find_spec("sdcl_neuro.gpu_kernels") is not None:
    _count_kernels()
