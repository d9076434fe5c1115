"""A network made ready for the event path, kept for the next run of the same network.

Layouts cost a few milliseconds and fresh memory is touched at a tenth of its speed, so both are
kept: by the network's content, a few networks at most, and only buffers of moderate size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes
from sdcl_neuro.processors import processors

from ..check import largest_input
from ..known_networks import Known
from . import listed_plan, threads
from .layer import AnyLayer, Layer, Share
from .listed import ListedLayer
from .plan import LayerPlan, plan_layer
from .row_block import RowBlock, shares

KEPT_BYTES = 96 << 20
"""Buffers beyond this are freed after a run."""
STRETCH_BYTES = 1 << 18
"""Bits of a layer's stretch of steps; they stay in the second cache until the next layer."""
STRETCH_MAX = 64
"""Steps worked on at a time; `bits.tally` counts to 255."""
WORTH_SPLITTING = 1 << 19
"""Neuron updates below which a second thread does not pay for one sample (about 0.15 ms)."""

Kept = Mapping[int, NDArray[np.uint8]]


class Workers:
    """Bands that run one sample together, and what comes after them."""

    def __init__(self, machine: Machine, count: int) -> None:
        split = machine.splittable if count > 1 else len(machine.plans)
        self._split, self._steps, self._warmed = split, machine.stretch, machine.warmed
        plans = machine.plans
        self.tail: RowBlock | None = None
        if count == 1:
            rows = machine.whole(0, split)
            self.bands = [RowBlock(machine.layers(0, rows), rows, steps=machine.stretch)]
            return
        tiled = [plan for plan in plans[:split] if isinstance(plan, LayerPlan)]
        self.bands = []
        for rows in shares(tiled, count):
            last = self.bands[0].last if self.bands else None
            layers = machine.layers(0, rows)
            self.bands.append(RowBlock(layers, rows, steps=machine.stretch, last=last))
        if split < len(plans):
            rows = machine.whole(split, len(plans))
            layers = machine.layers(split, rows)
            self.tail = RowBlock(layers, rows, steps=machine.stretch)

    def reset(self) -> None:
        """Return to a clean state."""
        for band in self._all():
            band.reset()

    def run(self, spikes: Spikes, sample: int, kept: Kept) -> None:
        """Run one sample of uint8 ``[T, B, C, H W]`` on; write the layers in `kept` likewise."""
        for start in range(0, len(spikes), self._steps):
            stretch = slice(start, start + self._steps)
            self._stretch(spikes[stretch], sample, {k: v[stretch] for k, v in kept.items()})

    def warm(self, spikes: Spikes, kept: Kept) -> None:
        """Load or compile the kernels, once for a network: run no steps at all."""
        if bool(kept) not in self._warmed:
            self._stretch(spikes[:0], 0, {k: v[:0] for k, v in kept.items()})
            self._warmed.add(bool(kept))

    def _stretch(self, spikes: Spikes, sample: int, kept: Kept) -> None:
        threads.together([(band.run, (spikes, sample, kept)) for band in self.bands])
        if self.tail is not None:
            later = {k - self._split: v for k, v in kept.items() if k >= self._split}
            self.tail.run(self.bands[0].last[: len(spikes)], sample, later)

    def counts(self) -> NDArray[np.int64]:
        """Return int64 ``[layers, 9]``, in the order of `totals.COUNTED`."""
        first, *others = self.bands
        counted = first.counts()
        for band in others:
            counted += band.counts()
        return counted if self.tail is None else np.concatenate([counted, self.tail.counts()])

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return sum(band.nbytes for band in self._all())

    def _all(self) -> list[RowBlock]:
        return [*self.bands, *([] if self.tail is None else [self.tail])]


class Machine:
    """Plans of a network's layers, and teams that wait for work.

    Attributes:
        plans: one a layer.
        splittable: how many layers, from the first, bands of rows can be cut through.
        stretch: steps worked on at a time.
        warmed: for runs that keep layers or do not, whether the kernels were loaded.
    """

    def __init__(self, net: IntNetwork) -> None:
        self._net = net
        sources = [net.input_shape, *(layer.out_shape for layer in net.layers)]
        largest = [largest_input(net)] + [1] * len(net.layers)
        self._graded = net.message_bits > 0
        self.plans: list[LayerPlan | listed_plan.ListedPlan] = []
        for index, layer in enumerate(net.layers):
            described = (layer, sources[index], largest[index])
            if layer.delay is not None or (index == 0 and self._graded):
                self.plans.append(listed_plan.plan_layer(*described))
            else:
                self.plans.append(plan_layer(*described))
        widest = max(prod(shape) for shape in sources)
        self.stretch = max(4, min(STRETCH_MAX, 8 * STRETCH_BYTES // widest))
        self.splittable = 0
        for plan in self.plans:
            if not isinstance(plan, LayerPlan) or plan.target.height < 2:
                break
            self.splittable += 1
        self.warmed: set[bool] = set()
        self._idle: dict[int, list[Workers]] = {}

    @property
    def neurons(self) -> int:
        """Number of neurons of all layers."""
        return sum(layer.neurons for layer in self._net.layers)

    def bands(self, samples: int, steps: int) -> int:
        """Return in how many row blocks to run each of so many samples."""
        if samples >= processors() or not self.splittable:
            return 1
        if self.neurons * min(steps, self.stretch) < WORTH_SPLITTING:
            return 1
        last = self.plans[self.splittable - 1]
        return min(processors(), last.target.height if isinstance(last, LayerPlan) else 1)

    def whole(self, first: int, last: int) -> list[Share]:
        """Return all rows of a range of layers and of its input."""
        shapes = [self._net.input_shape, *(layer.out_shape for layer in self._net.layers)]
        heights = [shape[1] if len(shape) == 3 else 1 for shape in shapes[first : last + 1]]
        return [Share((0, height), (0, height)) for height in heights]

    def layers(self, first: int, rows: Sequence[Share]) -> list[AnyLayer]:
        """Clean states for the rows of the layers from `first` on."""
        built: list[AnyLayer] = []
        shapes = [self._net.input_shape, *(layer.out_shape for layer in self._net.layers)]
        for place, (before, own) in enumerate(pairwise(rows)):
            index = first + place
            plan = self.plans[index]
            if isinstance(plan, LayerPlan):
                built.append(Layer(plan, before, own))
            else:
                graded = index == 0 and self._graded
                source, target = shapes[index : index + 2]
                built.append(ListedLayer(plan, source, target, graded=graded))
        return built

    def take(self, count: int) -> Workers:
        """Return a clean team of so many bands."""
        try:
            team = self._idle.setdefault(count, []).pop()
        except IndexError:
            return Workers(self, count)
        team.reset()
        return team

    def give(self, team: Workers) -> None:
        """Hand a team back."""
        idle = self._idle.setdefault(len(team.bands), [])
        if team.nbytes * (len(idle) + 1) <= KEPT_BYTES:
            idle.append(team)


def machine_of(net: IntNetwork, entry: Known) -> Machine:
    """Return the machine of a network of which `entry` is known; it may be changed afterwards."""
    if entry.machine is None:
        entry.machine = Machine(deepcopy(net))
    machine: Machine = entry.machine
    return machine
