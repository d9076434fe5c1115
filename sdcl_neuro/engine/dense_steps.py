"""The dense path's neurons and counts by torch's operations, on any device.

Each step takes as few of them as there are; whatever needs no step of its own (the currents where
they are instantaneous, wrapping, all counts) is done for the whole chunk.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdcl_neuro.network.fixed_point import (
    CONVOLUTION_BITS,
    DECAY_UNITY,
    STATE_LIMIT,
    STATE_SHIFT,
)

from .dense_constants import Constants


def advance(
    sums: Tensor, states: Tensor, totals: Tensor, constants: Constants, *, fresh: bool
) -> Tensor:
    """Run the neurons of a chunk, `fixed_point.neuron_step`'s equations.

    Args:
        sums: float, summed weights ``[T, B, planes, N / planes]``, of any strides; a recurrent
            layer's own are not in them.
        states: int64 ``[3, B, N]``, currents, voltages and spikes of the step before; updated.
        totals: int64 ``[B, 9]``, added to.
        constants: of the layer.
        fresh: whether no step was run before.

    Returns:
        Spikes, uint8 ``[T, B, N]``.
    """
    chunk = _Chunk(sums, states, constants)
    if constants.recurrent is None:
        chunk.receive(slice(None))
        for t in range(len(chunk.sent)):
            chunk.fire(t)
    else:
        for t in range(len(chunk.sent)):
            before = chunk.sent[t - 1] if t else states[2]
            heard = before.to(constants.weight.dtype) @ constants.recurrent_weight
            chunk.activation[t] += heard.to(torch.int64)
            chunk.receive(slice(t, t + 1))
            chunk.fire(t)
    chunk.count(states, totals, fresh=fresh)
    states[0], states[1], states[2] = chunk.last_current, chunk.voltage, chunk.sent[-1]
    return chunk.sent.view(torch.uint8)


class _Chunk:
    """Tensors ``[T, B, N]`` of a chunk's steps; states before they wrap or are clipped."""

    def __init__(self, sums: Tensor, states: Tensor, constants: Constants) -> None:
        steps, samples = sums.shape[:2]
        self.constants = constants
        summed = torch.empty(sums.shape, dtype=torch.int64, device=sums.device).copy_(sums)
        self.activation = summed.view(steps, samples, -1)
        self.raw = torch.empty_like(self.activation)
        self.current = torch.empty_like(self.activation)
        self.target = torch.empty_like(self.activation)
        self.sent = torch.empty_like(self.activation, dtype=torch.bool)
        self.last_current, self.voltage = states[0], states[1]
        self._offset = None
        if constants.layer.bias is not None:
            self._offset = constants.bias.to(torch.int64) << STATE_SHIFT

    def receive(self, steps: slice) -> None:
        """Advance the currents, which know nothing of the membranes."""
        activation = self.activation[steps]
        if self.constants.wraps:
            half = 1 << (CONVOLUTION_BITS - 1)
            activation = ((activation + half) & (2 * half - 1)) - half
        arriving = self._register(activation << STATE_SHIFT)
        keep = DECAY_UNITY - self.constants.neuron.current_decay
        if keep:
            for t in range(len(arriving)):
                kept = _toward_zero(self.last_current, keep)
                self.raw[steps][t] = self._register(kept + arriving[t])
                self.last_current = self.current[steps][t] = self._wrapped(self.raw[steps][t])
        else:
            self.raw[steps] = arriving
            self.current[steps] = self._wrapped(arriving)
            self.last_current = self.current[steps][-1]
        if self._offset is not None:
            self.target[steps] = self.current[steps] + self._offset
        else:
            self.target[steps] = self.current[steps]

    def fire(self, t: int) -> None:
        """Advance the membranes by one step."""
        neuron, target = self.constants.neuron, self.target[t]
        target += _toward_zero(self.voltage, DECAY_UNITY - neuron.voltage_decay)
        if not self.constants.narrow:
            target.copy_(self._register(target))
        held = target.clamp(1 - STATE_LIMIT, STATE_LIMIT - 1)
        torch.gt(held, neuron.threshold << STATE_SHIFT, out=self.sent[t])
        self.voltage = held.masked_fill_(self.sent[t], 0)

    def count(self, states: Tensor, totals: Tensor, *, fresh: bool) -> None:
        """Add to spikes, saturations, wraps, updates, and what recurrent spikes reach."""
        sent, target = self.sent, self.target
        held = target.clamp(1 - STATE_LIMIT, STATE_LIMIT - 1)
        before = torch.cat([states[1][None], held[:-1]])
        fired = torch.cat([states[2][None] != 0, sent[:-1]])
        # After a spike the membrane is at zero, and the step counts whatever it does.
        moved = (held != before) | fired
        if fresh:
            moved[0] = True
        counted = torch.stack([sent, held != target, self.current != self.raw, moved])
        found = counted.sum(dim=(1, 3))
        totals[:, 1] += found[0]
        totals[:, 3:6] += found[1:].T
        used = self.constants.recurrent_used
        if used is not None:
            totals[:, 2] += found[0] * self.constants.recurrent_fan
            # The last step's spikes arrive after the end, but read their weights.
            totals[:, 6] += (fired * used).sum(dim=(0, 2))
            totals[:, 8] += (sent * used).sum(dim=(0, 2))

    def _wrapped(self, current: Tensor) -> Tensor:
        """Return the current's 24-bit register, wrapped once."""
        if not self.constants.wraps_current:
            return current
        above, below = current > STATE_LIMIT, current <= -STATE_LIMIT
        return current.add(above, alpha=-2 * STATE_LIMIT).add_(below, alpha=2 * STATE_LIMIT)

    def _register(self, value: Tensor) -> Tensor:
        """Return what a 32-bit register keeps of a value."""
        return value if self.constants.narrow else value.to(torch.int32).to(torch.int64)


def count_inputs(received: Tensor, totals: Tensor, constants: Constants) -> None:
    """Count what arrives in a chunk, uint8 ``[T, B, N_in]``, into `totals`, int64 ``[B, 9]``."""
    spiked = received != 0
    # Integer matrix products do not exist on GPUs; the sums are far below 2^53.
    fans = torch.stack([constants.fan, constants.fan_used]).T.to(torch.float64)
    reached = (spiked.to(torch.float64) @ fans).to(torch.int64)  # [T, B, 2]
    operations = reached[..., 1]
    totals[:, 0] += spiked.sum(dim=(0, 2))
    totals[:, 2] += reached[..., 0].sum(dim=0)
    totals[:, 8] += operations.sum(dim=0)
    if constants.graded:
        graded = (received > 1).any(dim=2)
        totals[:, 6] += (operations * ~graded).sum(dim=0)
        totals[:, 7] += (operations * graded).sum(dim=0)
    else:
        totals[:, 6] += operations.sum(dim=0)


def _toward_zero(state: Tensor, keep: int) -> Tensor:
    """Return ``state keep / 4096``, rounded towards zero."""
    return torch.div(state * keep, DECAY_UNITY, rounding_mode="trunc")
