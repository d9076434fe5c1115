"""A user's own module that goes on training in the chip's integers, in the user's own loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.spike_file import SpikesLike
from sdcl_neuro.snn.chip_neuron import ChipNeuron, Mode
from sdcl_neuro.snn.chip_ops import chip_bias, chip_weight
from sdcl_neuro.snn.event_branch import QUANTISATION_MARGIN

from ...lowering.graph.prices import Cure
from ...lowering.pooling import Pool
from ...quantisation.rounding import choose_layer_scale
from .chain import Lowered, lower_chain
from .graph_training import prepare_graph
from .integer_hooks import bare_readouts, trains_as_graph
from .running import as_deployed, module_input, need_module, need_sample
from .source import chain_of, graph_alone, input_shape
from .tracing import Steps

Pairs = list[tuple[str, nn.Module, ChipNeuron]]


@public
def prepare_quantization(
    module: nn.Module,
    sample: SpikesLike | Mapping[str, SpikesLike],
    *,
    margin: float = QUANTISATION_MARGIN,
    relays: Cure = "auto",
) -> nn.Module:
    """Choose a weight scale for every layer and switch to integers, in place.

    Weights and biases stay what they are. In a plain chain a parametrisation hands the forward
    pass the chip's integers divided by the scale, with straight-through gradients, and the
    neurons multiply by it again. In a graph (skips, branches, read-outs, decays per channel,
    batch norm or pooling between synapse and neuron) each neuron takes the integers that the
    chip's synapses deliver, with the gradient of the module's own operations; batch norm keeps
    its running statistics from here on, and goes on learning gain and shift. `quantize` then
    gives the very integers that were trained.

    Args:
        module: one that `from_snntorch` can describe, its neurons from `make_deployable`.
        sample: one input ``[T, B, ...]``, for `from_snntorch`; of a forward with several inputs,
            ``{argument: input}``.
        margin: room for weights to grow in the training that follows.
        relays: for a graph only; see `quantize`.

    Returns:
        `module`. An optimiser built before stays valid: no parameter is replaced.

    Raises:
        NetworkRefused: with every reason why it cannot be trained so.

    Examples:
        >>> import snntorch, torch
        >>> from sdcl_neuro import conversion
        >>> neuron = {"reset_mechanism": "zero", "init_hidden": True}
        >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4), snntorch.Leaky(0.9, **neuron))
        >>> sample = torch.ones(8, 1, 6)  # [T, B, N]
        >>> module = conversion.make_deployable(module)
        >>> module = conversion.prepare_quantization(module, sample)  # now train on
        >>> net = conversion.from_snntorch(module, sample)
        >>> conversion.quantize(net, check=False).meta["quantisation"][0]["scale_from"]
        'training'
    """
    module = need_module(module, "prepare_quantization")
    chain = None
    if not isinstance(sample, Mapping):
        sample = need_sample(sample, "prepare_quantization")
        chain = _chain_pairs(module, sample)
    if chain is None:
        prepare_graph(module, sample, margin=margin, relays=relays)
        set_mode(module, "int")
        return module
    pairs, lowered = chain
    shares = _shares(lowered.pools)
    for layer, share, (_, synapse, neuron) in zip(lowered.net.layers, shares, pairs, strict=True):
        neuron.scale.fill_(choose_layer_scale(layer, margin=margin))
        for name, grid in (("weight", _ChipWeight(neuron, share)), ("bias", _ChipBias(neuron))):
            known = parametrize.is_parametrized(synapse, name)
            if getattr(synapse, name) is not None and not known:
                parametrize.register_parametrization(synapse, name, grid)
    set_mode(module, "int")
    return module


def set_mode(module: nn.Module, mode: Mode) -> None:
    """Let every chip-exact neuron in `module` compute in float, or in integers, from now on.

    Raises:
        InputError: for integers where a neuron has no scale yet, or for another mode.
    """
    if mode not in ("float", "int"):
        raise InputError(f"mode {mode!r}", where="set_mode", hint="use 'float' or 'int'")
    neurons = [child for child in module.modules() if isinstance(child, ChipNeuron)]
    if mode == "int":
        for neuron in neurons:
            if neuron.circuit is None:
                neuron.integer_neuron()
    for neuron in neurons:
        neuron.mode = mode
    for end in bare_readouts(module):
        end.mode = mode


def _chain_pairs(module: nn.Module, sample: Tensor | NDArray[Any]) -> tuple[Pairs, Lowered] | None:
    """Return synapses with their neurons and their description; None for what trains as a graph."""
    if sample.ndim == 4 or trains_as_graph(module):
        return None
    shape = input_shape(sample)
    try:
        with as_deployed(module) as held:
            steps = chain_of(held, module_input(held.module, sample)).steps
            lowered = lower_chain(steps, shape)
    except NetworkRefused:
        return None  # the graph's reasons tell more
    if graph_alone(steps, lowered.pools):
        return None
    return list(_pairs(steps)), lowered


class _OnGrid(nn.Module):
    """A parametrisation that follows the mode and scale of the neuron behind the synapse."""

    def __init__(self, neuron: ChipNeuron, share: float = 1.0) -> None:
        super().__init__()
        # In a tuple, so that the neuron does not become a part of the synapse.
        self._owner = (neuron,)
        # Average pooling before the synapse becomes a factor of the weights that are stored.
        self._share = share

    def forward(self, value: Tensor) -> Tensor:
        """Return the value itself in float mode; in integers its place on the chip's grid."""
        (neuron,) = self._owner
        if neuron.mode == "float":
            return value
        scale = float(neuron.scale) * self._share
        return self.integers(value, scale) / scale

    def integers(self, value: Tensor, scale: float) -> Tensor:
        """Return what the chip stores."""
        raise NotImplementedError


class _ChipWeight(_OnGrid):
    def integers(self, value: Tensor, scale: float) -> Tensor:
        return chip_weight(value, scale)


class _ChipBias(_OnGrid):
    def integers(self, value: Tensor, scale: float) -> Tensor:
        return chip_bias(value, scale)


def _shares(pools: Sequence[Pool | None]) -> list[float]:
    """Return, per layer, the factor that pooling before it puts into its weights."""
    shares = [1.0 if pool is None else pool.share for pool in pools]
    return [share for share in shares if share is not None]


def _pairs(steps: Steps) -> Iterator[tuple[str, nn.Module, ChipNeuron]]:
    """Yield each synapse with the neuron behind it; what cannot train so is refused at once."""
    refusals, found = [], []
    waiting: tuple[str, nn.Module] | None = None
    for index, (name, child) in enumerate(steps):
        where = f"module {index} ({name}, {type(child).__name__})"
        if isinstance(child, nn.Conv2d | nn.Linear):
            waiting = name, child
        elif isinstance(child, ChipNeuron) and waiting is not None:
            found.append((*waiting, child))
            waiting = None
        elif isinstance(getattr(child, "threshold", None), Tensor):
            hint = "call conversion.make_deployable(module) first"
            refusals.append(Refusal(where, "this neuron has no integer form", hint))
    if refusals:
        raise NetworkRefused(refusals)
    yield from cast(Pairs, found)
