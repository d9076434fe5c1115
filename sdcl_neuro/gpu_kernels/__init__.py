"""Kernels in Triton: where they can run, how they are launched, and what happens where one fails.

Triton comes with torch's CUDA builds. Its interpreter (``TRITON_INTERPRET=1``, set before the
first import) runs the same kernels on tensors of the CPU, one program after another: slow, and
exact, so that they can be tested without a GPU.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, TypeVar

import torch

from sdcl_neuro.devices import device_fault
from sdcl_neuro.extras import installed

T = TypeVar("T")

OLDEST = (7, 0)
"""Compute capability below which Triton has no code (torch's inductor asks for the same)."""
OPTIONS = {"enable_fp_fusion": False, "num_stages": 1}
"""Of every kernel. A product and a sum in one operation would round once, where a CPU rounds twice;
and no load may be moved before the barrier that it follows."""
_refused: list[str] = []


def usable(device: torch.device) -> bool:
    """Return whether kernels run on a device: Triton is installed, and none of them has failed."""
    if _refused or not _triton():
        return False
    if interpreted():
        return True
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= OLDEST


def interpreted() -> bool:
    """Return whether Triton's interpreter is asked for."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def either(kernels: Callable[[], T], operations: Callable[[], T], *, device: torch.device) -> T:
    """Compute by kernels where they run on `device`, else by torch's operations.

    Args:
        kernels: launches one kernel, before which it changes nothing.
        operations: has the same result.
        device: where the tensors are.
    """
    if not usable(device):
        return operations()
    try:
        return kernels()
    except Exception as error:  # whatever the compiler stumbles over, the result is the same
        if device_fault(error):  # more memory is what the other form needs
            raise
        _refused.append(type(error).__name__)
        what = f"a Triton kernel failed ({type(error).__name__}: {error}); going on without them"
        warnings.warn(what, stacklevel=2)
        return operations()


def launch(kernel: Any, programs: int, *arguments: Any, warps: int = 4, **constants: Any) -> None:
    """Launch a kernel on the device of its first argument.

    Args:
        kernel: a function under ``triton.jit``.
        programs: of one dimension; the others of CUDA's grids end at 65,535.
        arguments: tensors and numbers; a tensor is a pointer to the kernel.
        warps: of 32 threads, in each program.
        constants: fixed when the kernel is compiled.
    """
    with _on(arguments[0].device):
        kernel[(programs,)](*arguments, **constants, num_warps=warps, **OPTIONS)


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Make the tensors' GPU the current one, on which Triton launches."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@cache
def _triton() -> bool:
    return installed("triton")
