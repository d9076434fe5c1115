"""To a device and back, so that copies hold up nobody and clocks read what they mean to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sdcl_neuro.errors import EnvironmentFault, InputError


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on a device; to a GPU through pinned memory, without this thread waiting for it.

    What is queued on the same stream afterwards sees the copy complete, and the pinned memory is
    not handed out again before that (torch's caching allocator for it waits for the stream).
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def wait_for(device: torch.device) -> None:
    """Return when all that was queued on a GPU is done; at once for any other device.

    Without it a clock read behind a kernel's launch has seen the launch alone.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def named_device(name: str) -> torch.device:
    """``cpu`` or a GPU that is there.

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


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """In this block torch's operations, called from this thread, use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
