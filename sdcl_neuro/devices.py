"""Devices by name, copies to and from them, their precision, and what goes wrong on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import accumulate
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from sdcl_neuro.errors import EnvironmentFault, InputError

ALIGNMENT = 256
"""Bytes, of each array of several that are copied together; as torch's allocator for GPUs."""


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Return `tensor` on a device; to a GPU through pinned memory, without this thread waiting for
    it.

    What is queued on the same stream afterwards sees the copy complete, and the pinned memory is
    not handed out again before that (torch's caching allocator for it waits for the stream).
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def uploaded(arrays: Sequence[NDArray[Any]], device: torch.device) -> list[Tensor]:
    """Put arrays on a device as tensors, in one copy to a GPU.

    Args:
        arrays: of any types that torch has, together not empty.
        device: where to.
    """
    if device.type == "cpu" or not arrays:
        return [torch.from_numpy(each) for each in arrays]
    starts = [0, *accumulate(-(-each.nbytes // ALIGNMENT) * ALIGNMENT for each in arrays)]
    host = np.empty(starts[-1], dtype=np.uint8)
    for start, each in zip(starts, arrays, strict=False):
        host[start : start + each.nbytes] = np.ascontiguousarray(each).reshape(-1).view(np.uint8)
    there = moved(torch.from_numpy(host), device)
    return [
        there[start : start + each.nbytes].view(torch.from_numpy(each).dtype).view(each.shape)
        for start, each in zip(starts, arrays, strict=False)
    ]


def host_value(scalar: Tensor) -> float:
    """Return a tensor of one element as a float; a GPU is asked once for each value that it takes.

    Reading a GPU's memory waits for all that is queued. So what was read is kept until the tensor
    is written in place (its version counts that), moved, or given another type; what is written
    through ``tensor.data`` is not seen.
    """
    if scalar.device.type == "cpu" or scalar.is_inference():
        return float(scalar.detach())
    stamp = (scalar._version, scalar.device, scalar.dtype)
    known = _read.get(scalar)
    if known is None or known[0] != stamp:
        known = _read[scalar] = (stamp, float(scalar.detach()))
    return float(known[1])


_read: Any = WeakTensorKeyDictionary()


def constant(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Return a few numbers as a tensor ``[len(values)]`` of the device and type of another.

    A GPU gets them once: this thread would wait for every further copy.
    """
    if like.device.type == "cuda":
        return _constant(values, like.dtype, like.device)
    return torch.tensor(values, dtype=like.dtype, device=like.device)


@cache
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(mode=False):
        return torch.tensor(values, dtype=dtype, device=device)


def wait_for(device: torch.device) -> None:
    """Return when all that was queued on a GPU is done; at once for any other device.

    Without it a clock read behind a kernel's launch has seen the launch alone.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def named_device(name: str) -> torch.device:
    """Return ``cpu`` or a GPU that is there.

    Raises:
        InputError: another name.
        EnvironmentFault: there is no such GPU.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"unknown device {name!r}", hint="use cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name!r} is not supported", hint="use cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise EnvironmentFault(f"no GPU for device {name!r}", hint="use device cpu")
    return device


def device_or_default(name: str | None) -> torch.device:
    """Return the device of a name; without one, a GPU if there is one, else the CPU.

    Raises:
        InputError, EnvironmentFault: as `named_device`.
    """
    return named_device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch's operations, called from this thread in this block, use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute matrix products and convolutions of float32 in float32 while the body runs.

    On recent GPUs torch's default for convolutions is TF32, whose 10 bits behind the point move a
    membrane across its threshold now and then. Settings of both of torch's interfaces, the older
    one and ``fp32_precision``, are put back afterwards.
    """
    with ExitStack() as restored:
        restored.callback(_strict_products())
        restored.callback(_strict_convolutions())
        yield


def _strict_products() -> Callable[[], None]:
    """Forbid less than float32 in matrix products; return what allows it again."""
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # someone has used the newer interface, which the older one refuses
        backends: Any = torch.backends
        return _strict([backends.cuda.matmul, backends.mkldnn.matmul])
    torch.set_float32_matmul_precision("highest")
    return lambda: torch.set_float32_matmul_precision(before)


def _strict_convolutions() -> Callable[[], None]:
    """Forbid less than float32 in a GPU's convolutions; return what allows it again."""
    newer: Any = cast("Any", torch.backends.cudnn).conv
    try:
        before = torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return _strict([newer])
    torch.backends.cudnn.allow_tf32 = False
    # A setting for all backends still holds where the older interface has none of its own.
    also = _strict([newer]) if newer.fp32_precision == "tf32" else None

    def restore() -> None:
        if also is not None:
            also()
        torch.backends.cudnn.allow_tf32 = before

    return restore


def _strict(backends: list[Any]) -> Callable[[], None]:
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"

    def restore() -> None:
        for backend, value in zip(backends, before, strict=True):
            backend.fp32_precision = value

    return restore


def device_fault(error: BaseException) -> bool:
    """Return whether an error is the device's own: out of memory, or a GPU that failed.

    A compiler that ran on such an error wraps it; what it wraps is looked at, too.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        kinds = (torch.OutOfMemoryError, getattr(torch, "AcceleratorError", MemoryError))
        if isinstance(one, (MemoryError, *kinds)):
            return True
        if isinstance(one, RuntimeError) and str(one).startswith(("CUDA error", "CUDA out of")):
            return True
        waiting += [one.__cause__, getattr(one, "inner_exception", None)]
    return False


def gpu_uuid(device: torch.device) -> str | None:
    """Return the UUID of a GPU as NVML spells it; None for another device, or if torch has none.

    Numbers differ between torch and NVML where ``CUDA_VISIBLE_DEVICES`` hides or reorders GPUs.
    """
    if device.type != "cuda":
        return None
    index = torch.cuda.current_device() if device.index is None else device.index
    found = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    if found is None:
        return None
    text = str(found)
    return text if text.startswith(("GPU-", "MIG-")) else f"GPU-{text}"
