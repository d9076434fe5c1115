"""From a network in snnTorch to its float description, or to every reason why there is none."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import InputError
from ..event_branch import EventBranch
from ..spec import FloatNetwork, Shape

__all__ = ["from_snntorch"]


def from_snntorch(module: nn.Module, sample: Tensor | NDArray[Any]) -> FloatNetwork:
    """Describe `module` in float.

    Args:
        module: an `EventBranch`.
        sample: one input ``[T, B, ...]``; only its shape counts.

    Raises:
        NetworkRefused: with every reason why the network cannot be described.
        InputError: for a sample of the wrong rank.
    """
    shape = _input_shape(sample)
    if isinstance(module, EventBranch):
        return _from_branch(module, shape)
    raise InputError(f"a {type(module).__name__} cannot be described yet", where="from_snntorch")


def _from_branch(branch: EventBranch, shape: Shape) -> FloatNetwork:
    channels = branch.description.in_channels
    if len(shape) != 3 or shape[0] != channels:
        raise InputError(
            f"a sample of shape {list(shape)} a step",
            where="from_snntorch",
            mend=f"give [T, B, {channels}, H, W]",
        )
    return branch.float_network((shape[1], shape[2]))


def _input_shape(sample: Tensor | NDArray[Any]) -> Shape:
    shape = tuple(int(size) for size in sample.shape)
    if len(shape) not in (3, 5) or min(shape) < 1:
        raise InputError(
            f"a sample of shape {list(shape)}",
            where="from_snntorch",
            mend="give [T, B, N] or [T, B, C, H, W]",
        )
    return shape[2:]
