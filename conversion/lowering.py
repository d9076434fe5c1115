"""A chain of torch and snnTorch modules lowered to layers, each step exact or refused.

Synapses wait until their neuron comes; batch norm and biases are folded into them on the way.
What each snnTorch neuron equals on the chip was found by comparing spike trains: `Leaky` with
reset to zero always, `Synaptic` and `RLeaky` only with an immediate reset, `RSynaptic` never.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import parametrize

from ..errors import NetworkRefused, Refusal
from ..spec import FloatLayer, FloatNetwork, FloatNeuron, Shape
from .snntorch_neurons import NEURONS, Population, Unfit, read_neuron
from .synapses import Synapse, fold_norm, read_convolution, read_dense

_POOL_MEND = "use a strided convolution"
_MAX_POOL = ("max pooling has no spiking equivalent on the chip", _POOL_MEND)
_AVERAGE_POOL = ("this pooling is not folded into the next layer yet", _POOL_MEND)
_ACTIVATION = ("the neuron is the only non-linearity", "remove it")
_NORM = ("it normalises by the data at hand", "use BatchNorm, which folds")
# Type's name: why not, and what instead.
REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("MaxPool1d", "MaxPool2d", "AdaptiveMaxPool2d"), _MAX_POOL),
    **dict.fromkeys(("AvgPool1d", "AvgPool2d", "LPPool2d", "AdaptiveAvgPool2d"), _AVERAGE_POOL),
    **dict.fromkeys(("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "GELU", "SiLU"), _ACTIVATION),
    **dict.fromkeys(("LayerNorm", "GroupNorm", "InstanceNorm2d"), _NORM),
    **dict.fromkeys(
        ("BatchNormTT1d", "BatchNormTT2d"),
        ("its statistics differ from step to step, which no weight can hold", "use BatchNorm"),
    ),
    "ConvTranspose2d": ("netx has no transposed convolution", "use a convolution"),
}
_SYNAPSES = (nn.Conv2d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
_PLAIN = (*_SYNAPSES, *_NORMS, *_DROPOUTS, nn.Identity, nn.Flatten)


@dataclass
class _Chain:
    """What has been lowered so far.

    Attributes:
        shape: of what the next module receives.
        source: the same before it was flattened.
        waiting: a synapse whose neuron has not come yet.
        known: False after a refusal that leaves `shape` unknown.
    """

    shape: Shape
    source: Shape
    layers: list[FloatLayer] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    waiting: Synapse | None = None
    known: bool = True


def lower_chain(steps: Sequence[tuple[str, nn.Module]], input_shape: Shape) -> FloatNetwork:
    """Lower modules, applied one after another, to a float description.

    Args:
        steps: names and modules in order, none of them a container.
        input_shape: of one time step, ``(C, H, W)`` or ``(N,)``.

    Returns:
        The description, as the modules compute in ``eval()``; ``meta["lowered"]`` says what was
        folded or left out.

    Raises:
        NetworkRefused: with every reason why it cannot be described.
    """
    chain = _Chain(tuple(input_shape), tuple(input_shape))
    for index, (name, module) in enumerate(steps):
        where = f"module {index} ({name}, {type(module).__name__})"
        try:
            if any(module is earlier for _, earlier in steps[:index]):
                raise Unfit([("is used twice, with one state or weight", "give each its own")])
            _add(chain, name, module)
        except Unfit as unfit:
            chain.refusals += [Refusal(where, what, mend) for what, mend in unfit.reasons]
            if not isinstance(module, (*NEURONS, *_NORMS)):
                # What it would have handed on is unknown: later shapes cannot be judged.
                chain.known, chain.waiting = False, None
    if chain.waiting is not None:
        what = f"ends with the synapse {chain.waiting.name!r}, whose sums no neuron receives"
        chain.refusals.append(Refusal("network", what, "put a Leaky behind it"))
    if not chain.layers and not chain.refusals:
        chain.refusals.append(Refusal("network", "no layer with neurons", "add synapse and Leaky"))
    if chain.refusals:
        raise NetworkRefused(chain.refusals)
    return FloatNetwork(tuple(input_shape), tuple(chain.layers), {"lowered": chain.notes})


def _add(chain: _Chain, name: str, module: nn.Module) -> None:
    _expect_plain(module)
    if isinstance(module, _SYNAPSES):
        _open(chain, name, module)
    elif isinstance(module, _NORMS):
        _normalise(chain, name, module)
    elif isinstance(module, nn.Flatten):
        _flatten(chain, module)
    elif isinstance(module, _DROPOUTS):
        chain.notes.append(f"{name}: dropout, which does nothing outside training")
    elif isinstance(module, NEURONS):
        _close(chain, module)


def _expect_plain(module: nn.Module) -> None:
    """Only torch's own classes are known to compute what their parameters say."""
    kind: type = type(module)
    if parametrize.is_parametrized(module):
        kind = kind.__bases__[0]  # the parametrised weight is read as it stands
    if not isinstance(module, NEURONS) and kind not in _PLAIN:
        default = ("is not among the modules that can be lowered", "replace it")
        raise Unfit([REFUSED.get(kind.__name__, default)])
    if module._forward_hooks or module._forward_pre_hooks:
        raise Unfit([("has hooks, which may change what it computes", "remove its hooks")])


def _open(chain: _Chain, name: str, module: nn.Conv2d | nn.Linear) -> None:
    if chain.waiting is not None:
        what = f"follows the synapse {chain.waiting.name!r} without a neuron between"
        raise Unfit([(what, "put a Leaky between them, or merge them")])
    if not chain.known:
        return
    if isinstance(module, nn.Conv2d):
        chain.waiting = read_convolution(name, module, chain.shape)
    else:
        chain.waiting = read_dense(name, module, chain.shape, source=chain.source)
    chain.shape = chain.waiting.out_shape


def _normalise(chain: _Chain, name: str, module: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    if chain.waiting is not None:
        chain.waiting = fold_norm(chain.waiting, module)
        chain.notes.append(f"{name}: batch norm folded, with its running statistics")
    elif chain.known:
        mend = "put it between a synapse and its neuron"
        raise Unfit([("normalises spikes, which cannot be folded", mend)])


def _flatten(chain: _Chain, module: nn.Flatten) -> None:
    if chain.waiting is not None and len(chain.shape) != 1:
        what = f"stands between the synapse {chain.waiting.name!r} and its neuron"
        raise Unfit([(what, "put it behind the neuron")])
    if module.start_dim != 1 or module.end_dim not in (-1, len(chain.shape)):
        what = f"flattens axes {module.start_dim} to {module.end_dim}"
        raise Unfit([(what, "flatten all axes behind the batch")])
    chain.shape = (prod(chain.shape),)


def _close(chain: _Chain, module: nn.Module) -> None:
    """End a layer: the synapse that waits, and this neuron."""
    synapse, chain.waiting = chain.waiting, None
    reasons = []
    if synapse is None and chain.known:
        reasons.append(("has no synapse before it", "put a Conv2d or Linear before it"))
    elif synapse is not None:
        chain.source = synapse.out_shape
    try:
        population = read_neuron(module)
    except Unfit as unfit:
        raise Unfit([*reasons, *unfit.reasons]) from None
    if synapse is not None:
        reasons += _mismatches(synapse, population)
    if reasons:
        raise Unfit(reasons)
    if synapse is not None:
        chain.layers.append(_layer(synapse, population))


def _layer(synapse: Synapse, population: Population) -> FloatLayer:
    bias, recurrent = synapse.bias, population.recurrent_weight
    if population.recurrent_bias is not None:
        bias = population.recurrent_bias + (0.0 if bias is None else bias)
    return FloatLayer(
        name=synapse.name,
        kind=synapse.kind if recurrent is None else "dense_rec",
        weight=_single(synapse.weight),
        neuron=FloatNeuron(population.beta, population.threshold, population.alpha),
        in_shape=synapse.in_shape,
        out_shape=synapse.out_shape,
        bias=None if bias is None or not bias.any() else _single(bias),
        convolution=synapse.convolution,
        recurrent_weight=None if recurrent is None else _single(recurrent),
        scale=population.scale,
    )


def _mismatches(synapse: Synapse, population: Population) -> list[tuple[str, str]]:
    """Why this neuron cannot stand behind this synapse."""
    reasons = []
    if population.alpha > 0 and synapse.bias is not None and synapse.bias.any():
        what = f"the bias of {synapse.name!r} would pass through the current's decay"
        reasons.append((what, "use bias=False before a Synaptic"))
    if population.recurrent_weight is not None:
        features = len(population.recurrent_weight)
        if synapse.kind != "dense":
            reasons.append(("a recurrence behind a convolution", "use it behind a Linear"))
        elif (features,) != synapse.out_shape:
            what = f"a recurrence of {features} neurons behind {synapse.out_shape[0]}"
            reasons.append((what, "make the shapes chain"))
    return reasons


def _single(array: NDArray[np.float64]) -> NDArray[np.float32]:
    return array.astype(np.float32)
