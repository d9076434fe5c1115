"""The end of a layer: its synapse, the pooling before it and its population become one layer.

What netx has no words for is moved into weights, exactly in real arithmetic: pooling, a threshold
per channel or row, one-to-one and convolutional recurrence. Each leaves a note.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import spelled
from sdcl_neuro.network.spec import Convolution, FloatLayer, FloatNeuron, Shape

from .approximate import Approximation
from .folding import expand, pool_before, pool_into_dense
from .pooling import Pool
from .populations import Population, Reason, Recurrence, Unsupported
from .synapses import Synapse

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Closed:
    """A layer and how it came about.

    Attributes:
        layer: the layer.
        departure: how it departs from its original; None if it does not.
        notes: what was folded or expanded for it.
        offset_size: see `Synapse`, in units of the layer.
    """

    layer: FloatLayer
    departure: Approximation | None
    notes: tuple[str, ...]
    offset_size: float = 0.0


def close_layer(
    synapse: Synapse,
    population: Population,
    *,
    pool: Pool | None,
    image: Shape,
    sent: Shape,
    approximate: bool = False,
) -> Closed:
    """Make one layer of a synapse and the population it feeds.

    Args:
        synapse: reads what `pool` leaves of `image`.
        population: the neurons.
        pool: all the pooling before the synapse.
        image: what the layer before sends, ``(C, H, W)`` or ``(N,)``, before pooling.
        sent: the same as it is sent: flat behind a convolution that was expanded.
        approximate: let a bias before a current be approximated.

    Raises:
        Unsupported: with the reasons why this population cannot stand behind this synapse.
    """
    notes: list[str] = []
    shape, name = synapse.out_shape, synapse.name
    matrix, feedback = recurrent_matrix(population.recurrence, shape)
    whole = _with_pool(
        synapse, pool, image, notes, flat=sent != image, recurrent=matrix is not None
    )
    if whole.kind != "conv":
        whole = replace(whole, in_shape=sent)
    bias = whole.bias
    if feedback is not None:
        bias = feedback + (0.0 if bias is None else bias)
    if matrix is None and population.recurrence is not None:
        notes.append(f"{name}: its recurrence is all zero and left out")
    threshold, gains = _one_threshold(whole, shape, population.threshold, notes)
    weight = whole.weight * gains.reshape(-1, *[1] * (whole.weight.ndim - 1))
    bias = None if bias is None or not bias.any() else bias * gains
    departure, bias = _filtered(population, bias, name, approximate=approximate)
    bias = _driven(bias, _drive_per_row(whole, shape, population.drive), gains)
    recurrent = None if matrix is None else _single(matrix * gains[:, None])
    layer = FloatLayer(
        name=name,
        kind=whole.kind if recurrent is None else "dense_rec",
        weight=_single(weight),
        neuron=FloatNeuron(population.beta, threshold, population.alpha),
        in_shape=whole.in_shape,
        out_shape=whole.out_shape,
        bias=None if bias is None else _single(bias),
        convolution=whole.convolution,
        recurrent_weight=recurrent,
        scale=population.scale,
    )
    size = whole.offset_size * float(np.abs(gains).max())
    return Closed(layer, departure, tuple(notes), size)


def _with_pool(
    synapse: Synapse,
    pool: Pool | None,
    image: Shape,
    notes: list[str],
    *,
    flat: bool,
    recurrent: bool,
) -> Synapse:
    """Return the synapse with the pooling before it folded in, as a matrix where it has to be
    one.
    """
    if synapse.kind != "conv":
        if pool is None:
            return synapse
        whole = pool_into_dense(pool, synapse, source=image)
        notes.append(_growth(f"{pool.text} folded into it", synapse, whole))
        return whole
    why = "its input comes flat" if flat else "it is recurrent" if recurrent else ""
    if not why:
        if pool is None:
            return synapse
        folded = pool_before(pool, synapse, source=image)
        if folded is not None:
            notes.append(_growth(f"{pool.text} folded into it", synapse, folded))
            return folded
        why = f"{pool.text} and padding do not fold into one kernel"
    extra = prod(synapse.out_shape) ** 2 if recurrent else 0
    whole = expand(synapse, pool=pool, source=image, extra=extra)
    what = f"expanded into a matrix, since {why}; its spikes come flat"
    notes.append(_growth(what, synapse, whole))
    return whole


def _growth(what: str, before: Synapse, after: Synapse) -> str:
    shapes = ""
    if before.kind == after.kind == "conv":
        old, new = ("x".join(map(str, s.weight.shape[2:])) for s in (before, after))
        shapes = f", kernel {old} to {new}"
    grown = after.weight.size / before.weight.size
    return (
        f"{before.name}: {what}{shapes}, {before.weight.size:,} weights to "
        f"{after.weight.size:,} ({grown:.3g} times)"
    )


def recurrent_matrix(
    recurrence: Recurrence | None, shape: Shape
) -> tuple[Array | None, Array | None]:
    """Return a recurrence as a matrix ``[N, N]`` and what it adds in every step; None for zero."""
    if recurrence is None:
        return None, None
    neurons, weight, bias = prod(shape), recurrence.weight, recurrence.bias
    if recurrence.kind == "dense":
        if shape != (len(weight),):
            what = f"a recurrence of {len(weight)} neurons after {list(shape)}"
            raise Unsupported([(what, "make the shapes chain, a Linear before linear_features")])
        matrix = weight
    elif recurrence.kind == "diagonal":
        matrix = _diagonal(weight, shape, neurons)
    else:
        matrix, bias = _convolved(recurrence, shape)
    matrix = matrix if matrix.any() else None  # type: ignore[assignment]
    return matrix, bias


def _diagonal(weight: Array, shape: Shape, neurons: int) -> Array:
    try:
        return np.diag(np.broadcast_to(weight, shape).reshape(neurons))
    except ValueError:
        what = f"a one-to-one recurrence V of shape {list(weight.shape)} after {list(shape)}"
        raise Unsupported([(what, "make the shapes chain")]) from None


def _convolved(recurrence: Recurrence, shape: Shape) -> tuple[Array, Array | None]:
    weight, pads = recurrence.weight, recurrence.padding
    spans = [2 * pad - size + 1 for pad, size in zip(pads, weight.shape[2:], strict=True)]
    if len(shape) != 3 or shape[0] != len(weight) or any(spans):
        what = f"a convolutional recurrence {list(weight.shape)} after {list(shape)}"
        raise Unsupported([(what, "give it the convolution's channels and an odd kernel")])
    loop = Synapse("its recurrence", "conv", weight, shape, shape, None, Convolution(padding=pads))
    bias = recurrence.bias
    matrix = expand(loop, source=shape).weight
    return matrix, None if bias is None else np.repeat(bias, prod(shape[1:]))


def _one_threshold(
    whole: Synapse, shape: Shape, threshold: Array, notes: list[str]
) -> tuple[float, Array]:
    """Return one threshold, and what each channel or row has to be multiplied by for it.

    A population scaled as a whole fires the same spikes. The commonest threshold is taken, so
    that most weights stay what they are.
    """
    rows = len(whole.weight)
    if threshold.size == 1:
        return float(threshold.reshape(-1)[0]), np.ones(rows)
    per_row = _per_row(threshold, shape, rows)
    if (per_row == per_row[0]).all():
        return float(per_row[0]), np.ones(rows)
    if per_row.min() <= 0:
        raise Unsupported([("a threshold of zero among others", "use positive thresholds")])
    counts = Counter(per_row.tolist())
    common = max(counts, key=lambda value: (counts[value], value))
    gains = common / per_row
    notes.append(
        f"{whole.name}: thresholds from {per_row.min():g} to {per_row.max():g} became {common:g}; "
        f"the weights of {int((gains != 1).sum())} of {rows} rows were multiplied by "
        f"{gains.min():.3g} to {gains.max():.3g}"
    )
    return common, gains


def _per_row(values: Array, shape: Shape, rows: int, *, what: str = "threshold") -> Array:
    """Return constants ``[rows]``; a population of declared size is never laid out in memory."""
    padded = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    if any(have not in (1, want) for have, want in zip(padded.shape, shape, strict=False)) or (
        padded.ndim != len(shape)
    ):
        said = f"a {what} of shape {list(values.shape)} for neurons {list(shape)}"
        raise Unsupported([(said, "make the shapes chain")])
    if rows == prod(shape):
        return np.broadcast_to(padded, shape).reshape(rows)
    each = padded.reshape(len(padded), -1)
    if (each != each[:, :1]).any():
        said = f"{what} differs between neurons of one channel"
        hint = f"give one per channel, of shape [{rows}, 1, 1], or one in all"
        raise Unsupported([Reason(said, hint, of_chains=True)])
    return np.broadcast_to(each[:, 0], (rows,))


def _drive_per_row(whole: Synapse, shape: Shape, drive: Array | None) -> Array | None:
    """Return what each step adds to the membranes of a row or channel; None for nothing."""
    if drive is None or not drive.any():
        return None
    if drive.size == 1:
        return np.full(len(whole.weight), float(drive.reshape(-1)[0]))
    return _per_row(drive, shape, len(whole.weight), what="v_leak (or v_reset)")


def _driven(bias: Array | None, drive: Array | None, gains: Array) -> Array | None:
    """Return the bias with a drive that goes straight to the membrane."""
    if drive is None:
        return bias
    return (0.0 if bias is None else bias) + drive * gains


def _filtered(
    population: Population, bias: Array | None, name: str, *, approximate: bool
) -> tuple[Approximation | None, Array | None]:
    """Return the approximation and bias after a current, through whose decay snnTorch's biases
    pass.
    """
    departure = population.departure
    if bias is None or population.alpha == 0:
        return departure, bias
    if not approximate:
        what = f"the bias of {name!r} would pass through the current's decay"
        hint = spelled(
            python="use bias=False before a Synaptic, or convert with approximate=True",
            command="use bias=False before a Synaptic, or convert with --approximate --calibrate "
            "SPIKES",
        )
        raise Unsupported([(what, hint)])
    if population.alpha >= 1:
        raise Unsupported([("a bias after a current that never decays", "use alpha below 1")])
    departure = replace(departure or Approximation(), filters_bias=True)
    return departure, bias / (1 - population.alpha)


def _single(array: Array) -> NDArray[np.float32]:
    return array.astype(np.float32)
