"""Convolutions that feed leaky populations, over all steps, in bounded memory.

A few steps go through all layers before the next few do, and back again the other way: what one
layer leaves, the next finds in a cache, and most of memory is used again. Between the layers
channels lie last. In float the sums are those of a loop over steps to the last bit; see `exact`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .population import LayerConstants, Parameters, Returning, RunningLayer

CALL_ELEMENTS = 1 << 21
"""Elements of the steps computed in one call: 8 MiB. With fewer, small layers' calls idle."""
EACH = 4
"""Parameters of a layer: weight, bias, beta, threshold."""


@dataclass(frozen=True)
class LayerChain:
    """Layers, each the next one's input.

    Attributes:
        layers: in order.
        learns: whether a backward pass will come.
        stretch: steps whose membranes are computed again in the backward pass, together; None
            keeps those of all steps.
    """

    layers: tuple[LayerConstants, ...]
    learns: bool = True
    stretch: int | None = None


class _Way:
    """A chain on its way through the steps, with the spikes of all its layers.

    Args:
        chain: which.
        spikes: its input.
        parameters: `EACH` a layer.
        outputs: the layers' spikes ``[T, B, Co, h, w]``; made here, to be written, if None.
    """

    def __init__(
        self, chain: LayerChain, spikes: Tensor, parameters: Sequence[Any],
        outputs: Sequence[Tensor] | None = None,
    ) -> None:  # fmt: skip
        self.chain, self.steps = chain, len(spikes)
        self.populations: list[RunningLayer] = []
        self.outputs: list[Tensor] = []
        for index, layer in enumerate(chain.layers):
            own = Parameters(*parameters[EACH * index : EACH * (index + 1)])
            # The last layer's spikes leave the chain in the layout that others expect.
            channels_last = index < len(chain.layers) - 1
            population = RunningLayer(layer, spikes, own, channels_last=channels_last)
            if outputs is None:
                spikes = population.outward(population.room(self.steps))
            else:
                spikes = outputs[index]
            self.populations.append(population)
            self.outputs.append(spikes)

    @property
    def stretch(self) -> int:
        """Steps between two at which the membranes are known."""
        return min(self.steps, self.chain.stretch or self.steps)

    @property
    def together(self) -> int:
        """Most steps that are worked on together."""
        inputs = self.populations[0].synapses.spikes[0].numel()
        largest = max(inputs, *(each.state.numel() for each in self.populations))
        return max(1, min(self.stretch, CALL_ELEMENTS // largest))

    def stretches(self) -> list[slice]:
        """Return all steps, a stretch at a time."""
        starts = range(0, self.steps, self.stretch)
        return [slice(first, min(first + self.stretch, self.steps)) for first in starts]

    def calls(self, stretch: slice) -> list[slice]:
        """Return a stretch, a few steps at a time: powers of two, so that `exact` has few to look
        at.
        """
        found, first = [], stretch.start
        while first < stretch.stop:
            few = min(self.together, stretch.stop - first)
            found.append(slice(first, first + (1 << few.bit_length() - 1)))
            first = found[-1].stop
        return found

    def rooms(self, steps: int) -> list[Tensor]:
        """Return memory for that many steps of every population."""
        return [each.room(steps) for each in self.populations]

    def forward(self, *, keep: bool) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Write the outputs.

        Args:
            keep: whether the membranes of all steps are wanted.

        Returns:
            The membranes of all steps, layer by layer, if they are to be kept (else of the last
            few); and the layers' states before each stretch, if there are stretches.
        """
        membranes = self.rooms(self.steps if keep else self.together)
        fired = [p.inward(out) for p, out in zip(self.populations, self.outputs, strict=True)]
        starts = []
        for stretch in self.stretches():
            if self.chain.stretch is not None:
                starts.append([each.state.clone() for each in self.populations])
            for call in self.calls(stretch):
                room = call if keep else slice(0, call.stop - call.start)
                for population, after, out in zip(self.populations, membranes, fired, strict=True):
                    population.fire(call, after[room], out[call])
        return membranes, starts

    def again(self, stretch: slice, starts: Sequence[Tensor], membranes: Sequence[Tensor]) -> None:
        """Compute the membranes of a stretch once more."""
        fired = self.rooms(self.together)
        for population, state in zip(self.populations, starts, strict=True):
            population.state.copy_(state)
        for call in self.calls(stretch):
            own = slice(call.start - stretch.start, call.stop - stretch.start)
            for population, after, out in zip(self.populations, membranes, fired, strict=True):
                population.fire(call, after[own], out[: call.stop - call.start])


class _SpikingChain(torch.autograd.Function):
    """Take spikes, a `LayerChain` and `EACH` parameters a layer; return all layers' spikes."""

    @staticmethod
    def forward(
        ctx: Any, spikes: Tensor, chain: LayerChain, *parameters: Any
    ) -> tuple[Tensor, ...]:
        way = _Way(chain, spikes, parameters)
        keep = chain.learns and chain.stretch is None
        membranes, starts = way.forward(keep=keep)
        if chain.learns:
            ctx.chain = chain
            if not keep:
                membranes = [torch.stack(each) for each in zip(*starts, strict=True)]
            ctx.save_for_backward(spikes, *parameters, *way.outputs, *membranes)
        ctx.set_materialize_grads(False)
        return tuple(way.outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        chain: LayerChain = ctx.chain
        spikes, *saved = ctx.saved_tensors
        count = len(chain.layers)
        parameters, outputs = saved[: EACH * count], saved[EACH * count : -count]
        way = _Way(chain, spikes, parameters, outputs)
        back = _Back(way, gradients, ctx.needs_input_grad)
        return back.through(saved[-count:])


class _Back:
    """The way back through those layers that a gradient reaches and that pass one on.

    Args:
        way: the way there.
        given: gradients of the layers' spikes, None where there is none.
        wanted: whether there is to be one, for each argument of `_SpikingChain`.
    """

    def __init__(self, way: _Way, given: Sequence[Tensor | None], wanted: Sequence[bool]) -> None:
        self.way, self.given = way, given
        self.of_layers = [
            tuple(wanted[2 + EACH * index : 2 + EACH * (index + 1)])
            for index in range(len(way.populations))
        ]
        below = [wanted[0], *(any(own) for own in self.of_layers)]
        last = max(index for index, gradient in enumerate(given) if gradient is not None)
        first = max(0, below.index(True) - 1)
        self.layers = {
            index: Returning(way.populations[index], way.together, self.of_layers[index])
            for index in range(last, first - 1, -1)
        }
        self.to_spikes = torch.empty_like(way.populations[0].synapses.spikes) if wanted[0] else None

    def through(self, kept: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Return all steps, from the last; `kept` as saved. Returns a gradient for each
        argument.
        """
        way = self.way
        again = way.chain.stretch is not None
        room = way.rooms(way.stretch) if again else kept
        for number, stretch in reversed(list(enumerate(way.stretches()))):
            if again:
                way.again(stretch, [each[number] for each in kept], room)
            for call in reversed(way.calls(stretch)):
                shift = stretch.start if again else 0
                self._call(call, [each[call.start - shift : call.stop - shift] for each in room])
        found: list[Tensor | None] = [self.to_spikes, None]
        for index in range(len(way.populations)):
            own = self.layers[index].found() if index in self.layers else (None,) * EACH
            found += own
        return tuple(found)

    def _call(self, call: slice, membranes: Sequence[Tensor]) -> None:
        """Compute a few steps through all layers."""
        passed: Tensor | None = None
        for index, layer in self.layers.items():
            gradient = self._gradient(index, call, passed)
            drive = layer.through(call, membranes[index], gradient)
            if index - 1 in self.layers or (index == 0 and self.to_spikes is not None):
                passed = layer.population.synapses.input_gradient(call, drive)
        if self.to_spikes is not None and passed is not None:
            self.to_spikes[call] = passed.view_as(self.to_spikes[call])

    def _gradient(self, index: int, call: slice, passed: Tensor | None) -> Tensor:
        """Return gradient of a layer's spikes: from the next layer and from outside the chain."""
        given, population = self.given[index], self.way.populations[index]
        parts = []
        if passed is not None:
            parts.append(population.inward(passed))
        if given is not None:
            parts.append(population.inward(given[call]))
        if len(parts) == 2:
            return parts[0].view_as(parts[1]).add_(parts[1])
        return parts[0]


def spiking_chain(
    spikes: Tensor, parameters: Sequence[Parameters], chain: LayerChain
) -> tuple[Tensor, ...]:
    """Map spikes ``[T, B, Ci, H, W]`` to those of every layer ``[T, B, Co, h, w]``, from a clean
    state.

    Args:
        spikes: float32.
        parameters: of each layer.
        chain: all else.

    Returns:
        Channels last in memory but for the last layer's, which are contiguous.
    """
    flat = [value for own in parameters for value in own]
    with torch.autocast(spikes.device.type, enabled=False):
        found = _SpikingChain.apply(spikes, chain, *flat)
    return cast(tuple[Tensor, ...], found)
