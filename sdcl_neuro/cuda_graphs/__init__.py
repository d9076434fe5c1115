"""Work on a GPU recorded once as a CUDA graph and replayed: one launch in place of hundreds.

A recording is replayed only after its first replay gave what the same work gives without it; where
that cannot be recorded, or differs, a warning says so and the work goes on as before. The variable
``SDCL_NEURO_CUDA_GRAPHS=off`` in the environment turns all recordings off.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from sdcl_neuro.devices import device_fault

VARIABLE = "SDCL_NEURO_CUDA_GRAPHS"
WARM_UP = 2
"""Calls before a recording, in which libraries choose their algorithms and fill their tables."""

Made = TypeVar("Made")


def graphs_wanted(device: torch.device) -> bool:
    """Return whether work on this device may be recorded: a GPU, and not turned off."""
    return device.type == "cuda" and os.environ.get(VARIABLE, "on").lower() not in ("off", "0")


class GpuRecording(Generic[Made]):
    """What a function did with tensors of one GPU.

    Args:
        function: launches the same work whatever the values are; it may not wait for the GPU.
        inputs: at least one tensor; copied, and None is handed on as it is.
        after: a recording that is always replayed before this one; the two share their memory.

    Attributes:
        inputs: memory that the work reads.
        made: what the function returned; each replay writes it again.

    Raises:
        RuntimeError: the work cannot be recorded.
    """

    def __init__(
        self,
        function: Callable[..., Made],
        *inputs: Tensor | None,
        after: GpuRecording[Any] | None = None,
    ) -> None:
        self.inputs = [None if one is None else one.detach().clone() for one in inputs]
        self.graph = torch.cuda.CUDAGraph()
        pool = None if after is None else after.graph.pool()
        device = next(one.device for one in self.inputs if one is not None)
        # One stream for both: gradients flow back on the stream that went forward.
        self.stream: torch.cuda.Stream = (
            torch.cuda.Stream(device) if after is None else after.stream
        )
        # Other threads go on copying and allocating meanwhile, which is no part of the work.
        capture = torch.cuda.graph(
            self.graph, pool=pool, stream=self.stream, capture_error_mode="thread_local"
        )
        with torch.cuda.device(device), capture:
            self.made = function(*self.inputs)

    def replay(self, *inputs: Tensor | None) -> Made:
        """Do the work with other values of the same shapes; returns `made`.

        What is in the host's memory is copied from pinned memory, without this thread waiting.
        """
        with torch.no_grad():
            for place, given in zip(self.inputs, inputs, strict=True):
                if place is not None and given is not None:
                    source = given.pin_memory() if given.device.type == "cpu" else given
                    place.copy_(source, non_blocking=True)
        self.graph.replay()
        return self.made


def attempted(what: str, record: Callable[[], Made]) -> Made | None:
    """Return what `record` returns; None, with a warning, where the work cannot be recorded.

    Args:
        what: the work, for the warning.
        record: makes recordings and compares their first replay; None says that it differs.
    """
    try:
        found = record()
    except RuntimeError as error:
        if device_fault(error) and "captur" not in str(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        found, said = None, f"{what} cannot be recorded as a CUDA graph ({reason})"
    else:
        said = f"{what} gives something else as a CUDA graph"
    if found is None:
        warnings.warn(f"{said}; it goes on without", stacklevel=2)
    return found


def close(found: Tensor, wanted: Tensor, *, within: float) -> bool:
    """Return whether two tensors differ by at most `within` of the second one's norm."""
    difference = (found.float() - wanted.float()).norm()
    return bool(difference <= within * wanted.float().norm() + 1e-12)
