"""Shapes along a chain: a synapse's output, and whether a population has that shape."""

from __future__ import annotations

from math import prod

from sdcl_neuro.errors import Refusal
from sdcl_neuro.network.spec import Shape

from .chain import NirStage
from .neurons import Neurons
from .synapses import StoredSynapse
from .values import Refuse

MAX_NEURONS = 1 << 28
"""Elements of one layer's shape; a declared shape costs nothing to write and much to run."""


def out_shape(
    stage: NirStage, synapse: StoredSynapse, in_shape: Shape, refuse: Refuse
) -> Shape | None:
    """Return the shape of a synapse's output, or None after refusing what does not match."""
    weight, where = synapse.weight, stage.synapse.where
    shape: Shape | None
    if synapse.convolution is None:
        if len(in_shape) == 3 and not stage.flattened:
            what = f"no Flatten stands between the shape {list(in_shape)} and it"
            refuse(Refusal(where, what, "put a Flatten before it"))
            return None
        wanted, given, shape = weight.shape[1], prod(in_shape), weight.shape[:1]
    elif len(in_shape) != 3 or stage.flattened:
        refuse(Refusal(where, f"it reads the flat shape {list(in_shape)}", "give it (C, H, W)"))
        return None
    else:
        geometry = synapse.convolution
        wanted, given = weight.shape[1] * geometry.groups, in_shape[0]
        size = geometry.output_size(in_shape[1:], weight.shape[2:])
        shape = (weight.shape[0], *size)
    if wanted != given:
        what = f"it reads {wanted} inputs or channels, but {given} come, shape {list(in_shape)}"
        refuse(Refusal(where, what, "make the shapes follow one another"))
        return None
    if min(shape) < 1 or prod(shape) > MAX_NEURONS:
        refuse(Refusal(where, f"its output has the shape {list(shape)}", "change its geometry"))
        return None
    return shape


def fits(
    stage: NirStage,
    neurons: Neurons | None,
    recurrent: StoredSynapse | None,
    shape: Shape,
    refuse: Refuse,
) -> bool:
    """Tell whether constants and recurrence have the population's shape; else refuse them."""
    whole = True
    for stored in () if neurons is None else dict.fromkeys(neurons.shapes):
        if prod(stored) != 1 and not _broadcasts(stored, shape):
            what = f"a constant has the shape {list(stored)}, the population {list(shape)}"
            hint = "give one value, or one for each neuron"
            refuse(Refusal(stage.neurons.where, what, hint, of_chains=True))
            whole = False
    if recurrent is None or stage.recurrent is None:
        return whole and stage.recurrent is None
    if recurrent.convolution is not None or len(shape) != 1:
        what = "a convolution is recurrent"
        refuse(Refusal(stage.recurrent.where, what, "use a dense layer with a Linear recurrence"))
        return False
    if recurrent.weight.shape != (*shape, *shape):
        what = f"its weight is {list(recurrent.weight.shape)}, the population {list(shape)}"
        refuse(Refusal(stage.recurrent.where, what, "make it square"))
        return False
    return whole


def _broadcasts(stored: tuple[int, ...], shape: Shape) -> bool:
    return len(stored) <= len(shape) and all(
        a in (1, b) for a, b in zip(reversed(stored), reversed(shape), strict=False)
    )
