"""A chain of torch and snnTorch modules lowered to layers, each step exact or refused.

Pooling waits for its synapse, synapses wait for their neuron; batch norm and biases are folded
into them on the way. What each snnTorch neuron equals on the chip was found by comparing spike
trains: `Leaky` with reset to zero always, `Synaptic` and `RLeaky` only with an immediate reset,
`RSynaptic` never.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

from torch import nn

from sdcl_neuro.errors import NetworkRefused, Refusal
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, Shape

from ...lowering.approximate import Approximation
from ...lowering.closing import close_layer
from ...lowering.folding import pool_behind
from ...lowering.pooling import Pool, compose
from ...lowering.populations import Reason, Unsupported
from ...lowering.synapses import Norm, Synapse, fold_norm, read_convolution, read_dense
from .effective import effective_module
from .inventory import DROPOUTS, NORMS, POOLS, SYNAPSES, read_pool
from .neurons import NEURONS, read_neuron


@dataclass(frozen=True)
class Lowered:
    """A description, and what of the original it does not show.

    Attributes:
        net: the description.
        departures: per layer, how the original departs from it; None where it does not.
        pools: per layer, the pooling that was folded into it from before.
        offset_sizes: per layer, see `Synapse.offset_size`.
    """

    net: FloatNetwork
    departures: tuple[Approximation | None, ...]
    pools: tuple[Pool | None, ...]
    offset_sizes: tuple[float, ...] = ()


@dataclass
class _Chain:
    """What has been lowered so far.

    Attributes:
        approximate: whether neurons that depart from the chip's are taken.
        shape: of what the next module receives.
        image: what the last layer sends, before pooling and flattening.
        sent: the same, as it is sent: flat behind an expanded convolution.
        pooled: the same, pooled, not flattened.
        pool: the pooling that waits for a synapse.
        waiting: a synapse whose neuron has not come yet.
        known: False after a refusal that leaves `shape` unknown.
        value: of the spikes that the next synapse receives.
    """

    approximate: bool
    shape: Shape
    image: Shape
    sent: Shape
    pooled: Shape
    pool: Pool | None = None
    waiting: Synapse | None = None
    known: bool = True
    value: float = 1.0
    layers: list[FloatLayer] = field(default_factory=list)
    departures: list[Approximation | None] = field(default_factory=list)
    pools: list[Pool | None] = field(default_factory=list)
    offset_sizes: list[float] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def lower_chain(
    steps: Sequence[tuple[str, nn.Module]], input_shape: Shape, *, approximate: bool = False
) -> Lowered:
    """Lower modules, applied one after another, to a float description.

    Args:
        steps: names and modules in order, none of them a container.
        input_shape: of one time step, ``(C, H, W)`` or ``(N,)``.
        approximate: take neurons that depart from the chip's, too.

    Returns:
        The description, as the modules compute in ``eval()``; ``meta["lowered"]`` says what was
        folded, expanded or left out.

    Raises:
        NetworkRefused: with every reason why it cannot be described.
    """
    shape = tuple(input_shape)
    chain = _Chain(approximate, shape, shape, shape, shape)
    for index, (name, module) in enumerate(steps):
        where = f"module {index} ({name}, {type(module).__name__})"
        try:
            if any(module is earlier for _, earlier in steps[:index]):
                raise Unsupported(
                    [("is used twice, with one state or weight", "give each its own")]
                )
            _add(chain, name, module)
        except Unsupported as unfit:
            chain.refusals += [Refusal(where, *reason) for reason in unfit.reasons]
            if not isinstance(module, (*NEURONS, *NORMS)):
                # What it would have handed on is unknown: later shapes cannot be judged.
                chain.known, chain.waiting, chain.pool = False, None, None
    _expect_end(chain)
    if chain.refusals:
        raise NetworkRefused(chain.refusals)
    net = FloatNetwork(shape, tuple(chain.layers), {"lowered": chain.notes})
    return Lowered(net, tuple(chain.departures), tuple(chain.pools), tuple(chain.offset_sizes))


def _expect_end(chain: _Chain) -> None:
    where = "network"
    if chain.waiting is not None:
        what = f"ends with the synapse {chain.waiting.name!r}, whose sums no neuron receives"
        chain.refusals.append(Refusal(where, what, "put a Leaky after it"))
    elif chain.pool is not None:
        what = f"ends with pooling ({chain.pool.text}), after which no synapse stands"
        hint = "leave it out and pool the spikes that are read, or put a Linear and Leaky after"
        chain.refusals.append(Refusal(where, what, hint))
    elif not chain.layers and not chain.refusals:
        chain.refusals.append(Refusal(where, "no layer with neurons", "add synapse and Leaky"))


def _add(chain: _Chain, name: str, module: nn.Module) -> None:
    if isinstance(module, NEURONS):
        _close(chain, module)
        return
    shape = chain.shape if chain.known else None
    module, note = effective_module(module, shape, spikes=chain.pool is None)
    if note is not None:
        chain.notes.append(f"{name}: {note}")
    if module.training and isinstance(module, (*NORMS, *DROPOUTS)):
        what = "stays in training mode after eval(), and computes otherwise from run to run"
        raise Unsupported([(what, "let eval() reach it")])
    if isinstance(module, SYNAPSES):
        _open(chain, name, module)
    elif isinstance(module, POOLS):
        _pool(chain, name, module)
    elif isinstance(module, NORMS):
        _normalise(chain, name, module)
    elif isinstance(module, nn.Flatten):
        _flatten(chain, module)
    elif isinstance(module, DROPOUTS):
        chain.notes.append(f"{name}: dropout, which does nothing outside training")


def _open(chain: _Chain, name: str, module: nn.Conv2d | nn.Linear) -> None:
    if chain.waiting is not None:
        what = f"follows the synapse {chain.waiting.name!r} without a neuron between"
        hint = "put a Leaky between them, or merge them"
        raise Unsupported([Reason(what, hint, of_chains=True)])
    if not chain.known:
        return
    if isinstance(module, nn.Conv2d):
        chain.waiting = read_convolution(name, module, chain.shape)
    else:
        chain.waiting = read_dense(name, module, chain.shape, source=chain.pooled)
    if chain.value != 1:
        what = f"{name}: its weights multiplied by {chain.value:g}, the value of its input's spikes"
        chain.notes.append(what)
        chain.waiting = replace(chain.waiting, weight=chain.waiting.weight * chain.value)
    chain.shape = chain.waiting.out_shape


def _pool(chain: _Chain, name: str, module: nn.Module) -> None:
    """Let pooling of spikes wait for a synapse, and join pooling of a convolution's sums to it."""
    if not chain.known:
        return
    pool = read_pool(name, module, chain.shape)
    synapse = chain.waiting
    if synapse is None:
        chain.pool = pool if chain.pool is None else compose(chain.pool, pool)
        chain.shape = chain.pooled = (chain.shape[0], *pool.size)
        return
    merged = pool_behind(synapse, pool)
    if merged is None:
        what = f"pools the sums of {synapse.name!r} with windows that differ at the border"
        hint = "use no padding and no ceil_mode, or put it after the neuron"
        raise Unsupported([Reason(what, hint, of_chains=True)])
    chain.notes.append(
        f"{pool.text} folded into {synapse.name} before it, {synapse.weight.size:,} weights to "
        f"{merged.weight.size:,}"
    )
    chain.waiting, chain.shape = merged, merged.out_shape


def _normalise(chain: _Chain, name: str, module: Norm) -> None:
    if chain.waiting is not None:
        chain.waiting = fold_norm(chain.waiting, module)
        chain.notes.append(f"{name}: batch norm folded, with its running statistics")
    elif chain.known:
        hint = "put it between a synapse and its neuron"
        raise Unsupported([("normalises spikes, which cannot be folded", hint)])


def _flatten(chain: _Chain, module: nn.Flatten) -> None:
    if chain.waiting is not None and len(chain.shape) != 1:
        what = f"stands between the synapse {chain.waiting.name!r} and its neuron"
        raise Unsupported([(what, "put it after the neuron")])
    if module.start_dim != 1 or module.end_dim not in (-1, len(chain.shape)):
        what = f"flattens axes {module.start_dim} to {module.end_dim}"
        raise Unsupported([(what, "flatten all axes after the batch")])
    chain.shape = (prod(chain.shape),)


def _close(chain: _Chain, module: nn.Module) -> None:
    """End a layer: the synapse that waits, and this neuron."""
    synapse, chain.waiting = chain.waiting, None
    pool, chain.pool = chain.pool, None
    image, sent = chain.image, chain.sent
    reasons = []
    if synapse is None and chain.known:
        reasons.append(("has no synapse before it", "put a Conv2d or Linear before it"))
    elif synapse is not None:
        chain.image = chain.sent = chain.pooled = synapse.out_shape
    try:
        shape = None if synapse is None else synapse.out_shape
        population = read_neuron(module, shape=shape, approximate=chain.approximate)
    except Unsupported as unfit:
        raise Unsupported([*reasons, *unfit.reasons]) from None
    if reasons:
        raise Unsupported(reasons)
    if synapse is None:
        return
    closed = close_layer(
        synapse,
        population,
        pool=pool,
        image=image,
        sent=sent,
        approximate=chain.approximate,
    )
    chain.value = population.sends
    chain.layers.append(closed.layer)
    chain.departures.append(closed.departure)
    chain.pools.append(pool)
    chain.offset_sizes.append(closed.offset_size)
    chain.notes += closed.notes
    chain.sent = closed.layer.out_shape
