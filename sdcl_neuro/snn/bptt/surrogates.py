"""Which surrogates have a step for their forward pass, and the slope of which is a formula here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .kernels import ATAN, FAST_SIGMOID, GIVEN, STRAIGHT

_BY_FORMULA = {
    "atan": (ATAN, "alpha"),
    "fast_sigmoid": (FAST_SIGMOID, "slope"),
    "straight_through_estimator": (STRAIGHT, None),
}
_BY_TORCH = ("triangular", "heaviside", "sigmoid", "spike_rate_escape", "SFS")
"""snnTorch's others that are steps, without chance, element by element. `LSO` calls `SSO`, which
draws; what a `custom_surrogate` does is unknown."""


@dataclass(frozen=True)
class Surrogate:
    """What the backward pass needs to know.

    Attributes:
        function: the surrogate.
        kind: one of the constants of `kernels`; GIVEN where torch has to compute the slope.
        sharpness: the formula's parameter.
    """

    function: Callable[[Tensor], Tensor]
    kind: int = GIVEN
    sharpness: float = 1.0

    def through(self, far: Tensor, gradient: Tensor) -> Tensor:
        """Return `gradient` times the slope at the distances `far`, by torch."""
        with torch.enable_grad():
            leaf = far.detach().requires_grad_()
            (found,) = torch.autograd.grad(self.function(leaf), leaf, gradient.float())
        return found


def recognise(function: Callable[[Tensor], Tensor]) -> Surrogate | None:
    """Return what is known of a surrogate; None if its forward pass may not be a step."""
    if getattr(function, "__module__", None) != "snntorch.surrogate":
        return None
    name = getattr(function, "__qualname__", "").partition(".")[0]
    if name in _BY_TORCH:
        return Surrogate(function)
    if name not in _BY_FORMULA:
        return None
    kind, parameter = _BY_FORMULA[name]
    if parameter is None:
        return Surrogate(function, kind)
    value = inspect.getclosurevars(function).nonlocals[parameter]
    if not isinstance(value, int | float):
        return None
    return Surrogate(function, kind, float(value))
