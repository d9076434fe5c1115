"""The model's figures for every chip step of every sample, to compare with a simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.hardware.placement import Fit

from .energy import spike_energy
from .interval import Interval
from .simulated import ModelledSample
from .step_time import StepModel, step_model
from .steps import LayerLoads, in_chip_steps
from .workload import Workload

Floats = NDArray[np.floating[Any]]
US_PER_NS = 1e-3


def step_costs(
    work: Workload,
    hw: HardwareProfile,
    fit: Fit,
    loads: Sequence[LayerLoads],
    entered: Floats,
) -> tuple[ModelledSample, ...]:
    """Return time, energy and messages of every chip step, one entry a sample.

    Args:
        work: counts of one sample; only what follows from the network is used.
        hw: the target's profile.
        fit: of the network there, with a placement.
        loads: what every core did in every step (`steps.layer_loads`).
        entered: input spikes of every step, ``[T, B]``.

    Raises:
        InputError: a profile that prices no steps.
    """
    chip = list(in_chip_steps(loads, stream=False))
    low, high = _times(work, hw, fit, chip)
    steps, samples = low.shape
    inputs = np.zeros((steps, samples))
    inputs[: len(entered)] = entered
    heard, arriving = (
        sum((getattr(load, name) + load.own_heard).sum(axis=2) for load in chip)
        for name in ("heard", "arriving")
    )
    return tuple(
        ModelledSample(
            time_us=tuple(Interval(low[t, b], high[t, b]) for t in range(steps)),
            energy_uj=tuple(
                spike_energy(_one_step(work, chip, inputs, t, b), hw, fit) for t in range(steps)
            ),
            messages=tuple(Interval(heard[t, b], arriving[t, b]) for t in range(steps)),
        )
        for b in range(samples)
    )


def _times(
    work: Workload, hw: HardwareProfile, fit: Fit, chip: Sequence[LayerLoads]
) -> tuple[Floats, Floats]:
    """Return shortest and longest time of every step in microseconds, each ``[steps, B]``."""
    kinds = [layer.kind for layer in work.layers]
    models = [step_model(v, hw, kinds, chips=fit.chips or 1) for v in hw.variants.values()]
    found = [model.step(kinds, chip) for model in models if isinstance(model, StepModel)]
    if not found:
        raise InputError("the profile prices no steps", where=hw.name, hint="use loihi1")
    low = np.minimum.reduce([times[0] for times in found])
    high = np.maximum.reduce([times[1] for times in found])
    return US_PER_NS * low, US_PER_NS * high


def _one_step(
    work: Workload, chip: Sequence[LayerLoads], inputs: Floats, step: int, sample: int
) -> Workload:
    """Return the work of one chip step of one sample."""
    at = step, sample
    received = [float(inputs[at]), *(float(load.fired[at].sum()) for load in chip)]
    layers = tuple(
        replace(
            layer,
            spikes_in=received[index],
            spikes_out=received[index + 1],
            synops=float(load.synops[at].sum() + load.own_synops[at].sum()),
            synops_nonzero=None,
            updates=float(load.neurons.sum()),
        )
        for index, (layer, load) in enumerate(zip(work.layers, chip, strict=True))
    )
    return replace(work, layers=layers, steps=1, lasting=1)
