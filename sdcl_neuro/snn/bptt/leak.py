"""A leaky population: its numbers, and its way through the steps and back, on any device.

On the CPU the loops are numba's (`kernels`). On a GPU they are one Triton kernel each way
(`scan_kernels`), or torch's operations (`steps`) where there is no Triton.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdcl_neuro.devices import host_value
from sdcl_neuro.gpu_kernels import either, usable
from sdcl_neuro.network.fixed_point import DECAY_UNITY
from sdcl_neuro.network.spec import IntNeuron

from ..chip_ops import STATE_MAX, UNIT
from . import kernels, steps
from .surrogates import Surrogate, recognise
from .workers import share


@dataclass(frozen=True)
class Leak:
    """A population that resets to zero when the step after a spike begins.

    Attributes:
        surrogate: of the step.
        threshold: in the membrane's unit; of a float population on a GPU the parameter itself.
        beta: what a membrane keeps of itself from step to step, in [0, 1]; on a GPU likewise the
            parameter, which may be beyond.
        keep: the same in 4096ths where membranes are the chip's integers; else None.
        unit: of the membrane for 1 of the input.
        norm: the surrogate sees (membrane - threshold) / norm.
        largest: magnitude of a membrane.
    """

    surrogate: Surrogate
    threshold: float | Tensor
    beta: float | Tensor
    keep: int | None = None
    unit: float = 1.0
    norm: float = 1.0
    largest: float = float("inf")

    def run(self, sums: Tensor, membranes: Tensor, spikes: Tensor, offset: Tensor | None) -> None:
        """Compute steps ``[T, N]`` from rest: `membranes` and `spikes` are written."""

        def kernel() -> None:
            from . import scan_kernels

            scan_kernels.forward(self, sums, membranes, spikes, offset)

        def operations() -> None:
            self.forward(sums, membranes, spikes, torch.zeros_like(sums[0]), offset)

        either(kernel, operations, device=sums.device)

    def return_from(
        self, membranes: Tensor, gradient: Tensor, result: Tensor, *, learns: bool
    ) -> Tensor:
        """Go back through all steps ``[T, N]``: `result` becomes the gradient of the input.

        Args:
            membranes: as `run` wrote them.
            gradient: of the spikes.
            result: written.
            learns: whether beta or threshold do.

        Returns:
            `collected` sums.
        """
        slope = self._slope(membranes, gradient)

        def kernel() -> Tensor:
            from . import scan_kernels

            return scan_kernels.backward(self, membranes, slope, result, learns=learns)

        def operations() -> Tensor:
            sums = collected(membranes[0], learns=learns)
            self._backward(membranes, slope, result, torch.zeros_like(membranes[0]), sums)
            return sums

        return either(kernel, operations, device=membranes.device)

    def forward(
        self, sums: Tensor, membranes: Tensor, spikes: Tensor, state: Tensor, offset: Tensor | None
    ) -> None:
        """Compute steps ``[T, N]`` from `sums`; others are written. `membranes` may be `sums`."""
        if sums.device.type != "cpu":
            self._forward_steps(sums, membranes, spikes, state, offset)
            return
        drive, after, fired, held = (_array(each) for each in (sums, membranes, spikes, state))
        kind = drive.dtype.type
        if self.keep is None:
            share(
                kernels.leak_float, drive.shape[1], drive, after, fired, held,
                kind(float(self._kept())), kind(float(self.threshold)), kind(1), kind(0),
                work=drive.size,
            )  # fmt: skip
            return
        extra = np.empty(0, kind) if offset is None else _array(offset)
        share(
            kernels.leak_int, drive.shape[1], drive, after, extra, fired, held,
            np.int32(self.keep), kind(self.threshold), kind(self.unit), kind(self.largest),
            work=drive.size,
        )  # fmt: skip

    def backward(
        self, membranes: Tensor, gradient: Tensor, result: Tensor, carry: Tensor, sums: Tensor
    ) -> None:
        """Turn `result` ``[T, N]`` into the gradient of the input; see `leak_backward`."""
        self._backward(membranes, self._slope(membranes, gradient), result, carry, sums)

    def _slope(self, membranes: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient, times the surrogate's slope where that has no formula."""
        if self.surrogate.kind != kernels.GIVEN:
            return gradient
        far = (membranes.clamp(-self.largest, self.largest) - self.threshold) / self.norm
        return self.surrogate.through(far, gradient).to(membranes.dtype)

    def _backward(
        self, membranes: Tensor, slope: Tensor, result: Tensor, carry: Tensor, sums: Tensor
    ) -> None:
        if membranes.device.type != "cpu":
            self._backward_steps(membranes, slope, result, carry, sums)
            return
        arrays = [_array(tensor) for tensor in (membranes, slope, result, carry)]
        one = arrays[0].dtype.type
        share(
            kernels.leak_backward, arrays[0].shape[1], *arrays, one(self.beta),
            one(self.threshold), one(self.norm), one(self.largest), one(self.unit),
            self.surrogate.kind, one(self.surrogate.sharpness), _array(sums), work=arrays[0].size,
        )  # fmt: skip

    def _forward_steps(
        self, sums: Tensor, membranes: Tensor, spikes: Tensor, state: Tensor, offset: Tensor | None
    ) -> None:
        if self.keep is None:
            found = steps.run(steps.leak_float, sums, state, self._kept(), self.threshold)
        else:
            found = steps.run(
                steps.leak_int, sums, state, offset, float(self.keep), self.threshold, self.unit,
                self.largest,
            )  # fmt: skip
        membranes.copy_(found[0])
        spikes.copy_(found[1])
        state.copy_(found[0][-1].clamp(-self.largest, self.largest))

    def _backward_steps(
        self, membranes: Tensor, slope: Tensor, result: Tensor, carry: Tensor, sums: Tensor
    ) -> None:
        kept = self._kept()
        found = steps.run(
            steps.leak_backward, membranes, slope, carry, kept, self.threshold, self.norm,
            self.largest, self.unit, self.surrogate.kind, self.surrogate.sharpness,
        )  # fmt: skip
        result.copy_(found[0])
        carry.copy_(found[3])
        if sums.shape[1]:
            # A beta beyond its clamp has no gradient.
            sums[0] += found[1] if kept is self.beta else found[1] * (kept == self.beta)
            sums[1] += found[2]

    def _kept(self) -> float | Tensor:
        return self.beta.clamp(0, 1) if isinstance(self.beta, Tensor) else self.beta


@dataclass(frozen=True)
class Wanted:
    """Factors that turn the sums of a backward pass into gradients of two parameters.

    Attributes:
        beta: 0 where the parameter is beyond its clamp.
        threshold: of the parameter, for 1 of the membrane's unit.
    """

    beta: float = 1.0
    threshold: float = 1.0


def float_leak(
    beta: Tensor, threshold: Tensor, spike_grad: Callable[[Tensor], Tensor], sums: Tensor
) -> tuple[Leak, Wanted] | None:
    """Return a ``snn.Leaky`` with reset to zero; None where torch would compute otherwise than
    here.
    """
    surrogate = recognise(spike_grad)
    if surrogate is None or not _computes(sums, (torch.float32, torch.float64)):
        return None
    if any(value.ndim and value.dtype != sums.dtype for value in (beta, threshold)):
        return None  # torch would promote the membrane
    if sums.device.type != "cpu" or usable(sums.device):  # a value on the host would cost a wait
        return Leak(surrogate, threshold.detach(), beta.detach()), Wanted()
    kept = host_value(beta)
    clamped = min(max(kept, 0.0), 1.0)
    return Leak(surrogate, host_value(threshold), clamped), Wanted(beta=float(kept == clamped))


def int_leak(
    neuron: IntNeuron, scale: float, spike_grad: Callable[[Tensor], Tensor], sums: Tensor
) -> tuple[Leak, Wanted] | None:
    """Return Loihi's neuron with an instantaneous current, trained straight through its
    rounding.
    """
    surrogate = recognise(spike_grad)
    instantaneous = neuron.current_decay == DECAY_UNITY
    if surrogate is None or not instantaneous or not _computes(sums, (torch.float32,)):
        return None
    limit, keep = neuron.threshold * UNIT, DECAY_UNITY - neuron.voltage_decay
    leak = Leak(
        surrogate, limit, keep / DECAY_UNITY, keep, UNIT, norm=max(limit, UNIT), largest=STATE_MAX
    )
    return leak, Wanted(threshold=scale * UNIT)


def _computes(sums: Tensor, types: tuple[torch.dtype, ...]) -> bool:
    return sums.dtype in types and sums.device.type in ("cpu", "cuda") and sums.numel() > 0


def collected(step: Tensor, *, learns: bool) -> Tensor:
    """Return where a backward pass adds up what beta and threshold get, neuron by neuron."""
    count = step.numel() if learns else 0
    return torch.zeros(2, count, dtype=torch.float64, device=step.device)


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()
