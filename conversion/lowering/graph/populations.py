"""Populations as units: one for each pair of decays, thresholds made equal, taps merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import spelled
from sdcl_neuro.network.fixed_point import current_decay, voltage_decay
from sdcl_neuro.network.spec import FloatNeuron, Shape

from . import forms
from .forms import Form, Term
from .lattice import common_lattice
from .nodes import PopulationNode, ReadoutNode
from .shapes import Misfit
from .units import Afferent, Unit

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

DEPTH_MAX = 16
"""Pairs of decays, and so layers, that one population may take."""
READOUT_KEPT = 1 / 4096
"""Least that a membrane keeps: vDecay ends at 4095."""


def _fewer() -> str:
    return "train with fewer values, or cluster them: " + _approximately()


def _approximately() -> str:
    return spelled(
        python="approximate=True with calibration data", command="--approximate --calibrate SPIKES"
    )


def units_of_population(
    node: PopulationNode, form: Form, shape: Shape
) -> tuple[list[Unit], list[str]]:
    """Return the units of a population that receives `form`, and notes on how it was taken
    apart.
    """
    size = form.shape
    beta, alpha, threshold = (
        _per_channel(getattr(node, name), shape, size, name)
        for name in ("beta", "alpha", "threshold")
    )
    _expect_numbers(beta, alpha, threshold)
    if not form.terms:
        raise Misfit("receives no spikes", "put a synapse before it")
    # A neuron without spikes of the input may still have its bias.
    betas, alphas = beta.reshape(size[0], -1)[:, 0], alpha.reshape(size[0], -1)[:, 0]
    pairs = [(voltage_decay(b), current_decay(a)) for b, a in zip(betas, alphas, strict=True)]
    groups: dict[tuple[int, int], list[int]] = {}
    for channel, pair in enumerate(pairs):
        groups.setdefault(pair, []).append(channel)
    if len(groups) > 1 and node.recurrent is not None:
        what = f"recurrent neurons with {len(groups)} pairs of decays, which one layer has to hold"
        raise Misfit(what, "give a recurrent population one beta and one alpha")
    if len(groups) > DEPTH_MAX:
        what = f"{len(groups)} pairs of decays, each of which takes a layer, up to {DEPTH_MAX}"
        raise Misfit(what, _fewer())
    common = _commonest(threshold)
    gains = np.divide(common, threshold, out=np.ones_like(threshold), where=threshold > 0)
    notes = _notes(node, threshold, groups, common)
    units = []
    for number, channels in enumerate(groups.values()):
        picked = np.asarray(channels)
        name = node.name if len(groups) == 1 else f"{node.name}[{number}]"
        gain = np.broadcast_to(gains, size)[picked]
        part = forms.select(form, channels)
        units.append(
            Unit(
                name=name,
                node=node.name,
                kind="spiking",
                channels=picked,
                size=size[1:],
                afferents=_afferents(part, gain),
                neuron=FloatNeuron(float(betas[picked[0]]), common, float(alphas[picked[0]])),
                bias=_bias(part, _drive(node, shape, size, picked), gain, alphas[channels]),
                recurrent=_recurrent(node, gain),
                scale=node.scale,
                clips=node.clips,
            )
        )
    return units, notes


def units_of_readout(node: ReadoutNode, form: Form) -> Unit:
    """Return the unit of a read-out that receives `form`."""
    _expect_numbers(np.array(node.beta), np.array(node.alpha), np.array(0.0))
    if not form.terms:
        raise Misfit("receives no spikes", "put a synapse before it")
    ones = np.ones((form.shape[0], 1, 1))
    return Unit(
        name=node.name,
        node=node.name,
        kind="readout",
        channels=np.arange(form.shape[0]),
        size=form.shape[1:],
        afferents=_afferents(form, ones),
        neuron=FloatNeuron(max(node.beta, READOUT_KEPT), 0.0, node.alpha),
        bias=_bias(form, None, ones, np.full(form.shape[0], node.alpha)),
        scale=node.scale,
        clips=node.clips,
    )


def _per_channel(values: Array, shape: Shape, size: tuple[int, int, int], name: str) -> Array:
    """Return a parameter over ``(C, H, W)``; decays within one channel have to be equal."""
    whole = np.broadcast_to(values, shape).reshape(size)
    each = whole[:, :1, :1]
    if (whole == each).all():
        return np.ascontiguousarray(each)
    if name != "threshold":
        what = f"{name} differs within a channel, from {whole.min():g} to {whole.max():g}"
        raise Misfit(what, f"give one {name} per channel, of shape [{size[0]}, 1, 1]")
    return np.ascontiguousarray(whole)


def _expect_numbers(beta: Array, alpha: Array, threshold: Array) -> None:
    if not all(np.isfinite(values).all() for values in (beta, alpha, threshold)):
        raise Misfit("a decay or threshold is not finite", "train it again")
    if beta.min() < 0 or beta.max() > 1 or alpha.min() < 0 or alpha.max() >= 1:
        what = f"beta {beta.min():g} to {beta.max():g}, alpha {alpha.min():g} to {alpha.max():g}"
        raise Misfit(what, "give decays in [0, 1], alpha below 1")
    if threshold.min() < 0:
        raise Misfit(f"threshold {threshold.min():g}", "give 0 or more")
    if threshold.min() == 0 and threshold.max() > 0:
        raise Misfit("a threshold of zero among others", "use positive thresholds")


def _commonest(threshold: Array) -> float:
    counts = Counter(threshold.reshape(-1).tolist())
    return float(max(counts, key=lambda value: (counts[value], value)))


def _notes(
    node: PopulationNode, threshold: Array, groups: dict[tuple[int, int], list[int]], common: float
) -> list[str]:
    notes = []
    if threshold.min() != threshold.max():
        notes.append(
            f"{node.name}: thresholds from {threshold.min():g} to {threshold.max():g} became "
            f"{common:g}, the weights before it multiplied accordingly"
        )
    if len(groups) > 1:
        notes.append(f"{node.name}: {len(groups)} pairs of decays became a layer each")
    return notes


def _afferents(form: Form, gain: Array) -> tuple[Afferent, ...]:
    """Return terms by the node they read, their taps merged; gain ``[C, 1, 1]`` or ``[C, H,
    W]``.
    """
    found = []
    for source in dict.fromkeys(term.source for term in form.terms):
        terms = [term for term in form.terms if term.source == source]
        afferent = _merge(form.shape[0], terms)
        if gain.shape[1:] == (1, 1) or (gain == gain[:, :1, :1]).all():
            weight = afferent.weight * gain[:, :1, :1, None]
            found.append(_without_zeros(afferent, weight))
        else:
            found.append(_position_by_position(afferent, gain))
    return tuple(found)


def _merge(channels: int, terms: Sequence[Term]) -> Afferent:
    of = np.unique(np.concatenate([term.of for term in terms]))
    rows = common_lattice([term.rows for term in terms])
    columns = common_lattice([term.columns for term in terms])
    taps = rows.hits.shape[1], columns.hits.shape[1]
    forms.expect_small(channels * len(of) * prod(taps), "kernels that do not repeat")
    weight = np.zeros((channels, len(of), *taps))
    for index, term in enumerate(terms):
        part = np.einsum(
            "ocjl,jp,lq->ocpq",
            term.full_weight,
            rows.spreads[index],
            columns.spreads[index],
            optimize=True,
        )
        weight[np.ix_(term.into, np.searchsorted(of, term.of))] += part
    return Afferent(terms[0].source, of, weight, rows.hits, columns.hits)


def _without_zeros(afferent: Afferent, weight: Array) -> Afferent:
    """Return only source channels that some weight reads, but at least one."""
    used = np.flatnonzero(np.abs(weight).sum((0, 2, 3)))
    kept = used if len(used) else np.zeros(1, np.int64)
    return Afferent(
        afferent.source, afferent.of[kept], weight[:, kept], afferent.rows, afferent.columns
    )


def _position_by_position(afferent: Afferent, gain: Array) -> Afferent:
    """Return the same with a gain for every output, its taps taken apart output by output."""
    height, width = len(afferent.rows), len(afferent.columns)
    (rows, row_of), (columns, column_of) = _apart(afferent.rows), _apart(afferent.columns)
    taps = rows.shape[1], columns.shape[1]
    shape = (len(gain), len(afferent.of), *taps)
    forms.expect_small(prod(shape), "thresholds that differ within a channel")
    weight = afferent.weight[:, :, row_of % afferent.rows.shape[1]]
    weight = weight[:, :, :, column_of % afferent.columns.shape[1]]
    each = np.broadcast_to(gain, (len(gain), height, width))
    where = row_of // afferent.rows.shape[1], column_of // afferent.columns.shape[1]
    weight = weight * each[:, where[0]][:, :, where[1]][:, None]
    return Afferent(afferent.source, afferent.of, weight, rows, columns)


def _apart(hits: Indices) -> tuple[Indices, Indices]:
    """Return each tap of each output as a tap of its own; and ``output taps + tap``, which it
    was.
    """
    outputs, taps = hits.shape
    pairs = np.flatnonzero(hits.reshape(-1) >= 0)
    apart = np.full((outputs, len(pairs)), -1)
    apart[pairs // taps, np.arange(len(pairs))] = hits.reshape(-1)[pairs]
    return apart, pairs


def _drive(
    node: PopulationNode, shape: Shape, size: tuple[int, int, int], channels: Indices
) -> Array | None:
    if node.drive is None:
        return None
    drive: Array = np.broadcast_to(node.drive, shape).reshape(size)[channels]
    return drive


def _bias(form: Form, drive: Array | None, gain: Array, alpha: Array) -> Array | None:
    """Return what each step adds to the membranes, ``[C]``, or ``[C, H, W]`` where channels
    differ.
    """
    bias = form.bias
    if bias is not None and bias.any() and alpha.any():
        what = "a bias before it would pass through its current's decay"
        hint = "use bias=False before neurons with a current, alpha 0, or convert approximately: "
        raise Misfit(what, hint + _approximately())
    if drive is not None:
        bias = drive if bias is None else bias + drive
    if bias is None or not bias.any():
        return None
    whole = np.broadcast_to(bias * gain, form.shape)
    narrow = whole[:, :1, :1]
    return narrow.reshape(-1) if (whole == narrow).all() else np.ascontiguousarray(whole)


def _recurrent(node: PopulationNode, gain: Array) -> Array | None:
    if node.recurrent is None or not node.recurrent.any():
        return None
    each = np.repeat(gain.reshape(-1), len(node.recurrent) // gain.size)
    return node.recurrent * each[:, None]
