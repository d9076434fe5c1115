"""A residual network as tools of a race: the chain in the engine, and its peers over the graph.

Two blocks of 8 channels on 128 x 64: a population's spikes are added to those of the one after the
next synapse (SEW's ADD), and the last convolution halves the image. Weights are even integers, and
every population is calibrated to fire at the input's rate, so that all tools compute the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from engine_case import use_cores
from engine_networks import DECAY, spikes_at
from engine_peers import scan

from sdcl_neuro.conversion.graph_modules import run_nodes
from sdcl_neuro.conversion.lowering.graph.nodes import (
    AddNode,
    ConvolutionNode,
    FloatGraph,
    Input,
    PopulationNode,
)
from sdcl_neuro.network.spec import Convolution

BETA = (4096 - DECAY) / 4096
CHANNELS, SIZE = 8, (128, 64)
LAYERS = (
    ("conv1", ("input",), 5, 1),
    ("conv2", ("lif1",), 3, 1),
    ("conv3", ("lif2", "lif1"), 3, 1),
    ("conv4", ("lif3",), 3, 1),
    ("conv5", ("lif4", "lif3"), 3, 2),
)
"""Name of each synapse, whose spikes it reads (added up), kernel and stride."""
LAST = "lif5"
Call = Callable[[], Any]


def graph(thresholds: Sequence[int] = ()) -> FloatGraph:
    """The network up to as many populations as there are thresholds; all of it without any."""
    rng = np.random.default_rng(0)
    nodes: list[Any] = [Input("input", (), (2, *SIZE))]
    for index, (name, reads, kernel, stride) in enumerate(LAYERS):
        inputs = 2 if reads == ("input",) else CHANNELS
        weight = 2 * np.rint(rng.normal(2, 20, (CHANNELS, inputs, kernel, kernel)))
        weight = np.clip(weight, -256, 254)
        if thresholds and index == len(thresholds):
            break
        if len(reads) > 1:
            nodes.append(AddNode(f"add{index + 1}", reads))
        geometry = Convolution(stride=(stride, stride), padding=(kernel // 2, kernel // 2))
        nodes.append(
            ConvolutionNode(name, (nodes[-1].name,), weight=weight, bias=None, geometry=geometry)
        )
        threshold = float(thresholds[index]) if thresholds else 1.0
        nodes.append(
            PopulationNode(
                f"lif{index + 1}",
                (name,),
                beta=np.array(BETA),
                threshold=np.array(threshold),
                scale=1.0,
            )
        )
    return FloatGraph(tuple(nodes), (nodes[-1].name,))


@lru_cache
def thresholds_at(rate: float) -> tuple[int, ...]:
    """Thresholds at which every population fires at about `rate`, found one after another."""
    import torch

    spikes = torch.from_numpy(spikes_at(rate, size=SIZE, steps=12)).float()
    found: list[int] = []
    for _ in LAYERS:
        low, high = 0, 1 << 12
        while high - low > 1:
            middle = (low + high) // 2
            sent = [gave for _, _, gave in run_nodes(graph([*found, middle]), {"input": spikes})]
            low, high = (middle, high) if float(sent[-1].mean()) > rate else (low, middle)
        found.append(high)
    return tuple(found)


def _case(
    rate: float, thresholds: Sequence[int], samples: int, cores: int, steps: int = 16
) -> tuple[FloatGraph, Any]:
    use_cores(cores)
    return graph(thresholds), spikes_at(rate, size=SIZE, steps=steps, samples=samples)


def ours(**case: Any) -> Call:
    """The chain in the engine, by its own choice of path."""
    from sdcl_neuro.conversion.quantisation.graphs import graph_of, quantize_graph
    from sdcl_neuro.engine import run_network

    description, spikes = _case(**case)
    chip = quantize_graph(description)
    account = graph_of(chip)
    assert account is not None
    last = next(tensor for tensor in account.layers if tensor.name == LAST)

    def call() -> Any:
        record = run_network(chip, spikes, layers=list(last.layers))
        return {LAST: np.ascontiguousarray(last.read(record.spikes))}

    return call


def unrelayed(**case: Any) -> Call:
    """Each population by itself, on the spikes that it reads: the same operations, no relays."""
    from sdcl_neuro.engine import run_network

    parts = _alone(*_case(**case))

    def call() -> Any:
        records = [run_network(chip, given) for chip, given in parts]
        return {LAST: np.ascontiguousarray(records[-1].spikes[0])}

    return call


def relayed_share(rate: float, thresholds: Sequence[int], samples: int) -> float:
    """The relays' share of the chain's synaptic operations at weights that are not zero."""
    from sdcl_neuro.conversion.quantisation.graphs import quantize_graph
    from sdcl_neuro.engine import run_network

    description, spikes = _case(rate, thresholds, samples, cores=1)
    parts = _alone(description, spikes)
    chain = _operations(run_network(quantize_graph(description), spikes))
    return 1 - sum(_operations(run_network(*part)) for part in parts) / chain


def _operations(record: Any) -> int:
    return sum(int(layer.synops_nonzero.sum()) for layer in record.activity)


def _alone(description: FloatGraph, spikes: Any) -> list[tuple[Any, Any]]:
    """One network of one layer for each population, and its input."""
    from sdcl_neuro.conversion.quantisation.graphs import graph_of, quantize_graph
    from sdcl_neuro.engine import run_network

    chip = quantize_graph(description)
    whole = graph_of(chip)
    assert whole is not None
    record = run_network(chip, spikes)
    sent = {"input": spikes} | {each.name: each.read(record.spikes) for each in whole.layers}
    parts = []
    for name, reads, _, _ in LAYERS:
        population = name.replace("conv", "lif")
        nodes: list[Any] = [Input(read, (), sent[read].shape[2:]) for read in reads]
        if len(reads) > 1:
            nodes.append(description[f"add{name[-1]}"])
        nodes += [description[name], description[population]]
        alone = quantize_graph(FloatGraph(tuple(nodes), (population,)))
        place = graph_of(alone)
        assert place is not None
        assert len(alone.layers) == 1
        parts.append((alone, place.pack({read: sent[read] for read in reads})))
    return parts


def dense(**case: Any) -> Call:
    """The dense path over the graph: a float32 convolution of all steps, and a fused neuron."""
    import torch
    from torch.nn import functional

    description, spikes = _case(**case)
    parts = []
    for name, reads, _, _ in LAYERS:
        node = description[name]
        assert isinstance(node, ConvolutionNode)
        weight = torch.from_numpy(node.weight).float().to(memory_format=torch.channels_last)
        population = description[name.replace("conv", "lif")]
        assert isinstance(population, PopulationNode)
        parts.append((reads, weight, node.geometry, np.int32(int(population.threshold) << 6)))

    def call() -> Any:
        steps, samples = spikes.shape[:2]
        given = torch.from_numpy(spikes).flatten(0, 1).float()
        sent = {"input": given.to(memory_format=torch.channels_last)}
        for index, (reads, weight, where, threshold) in enumerate(parts):
            read = sent[reads[0]] if len(reads) == 1 else sent[reads[0]] + sent[reads[1]]
            sums = functional.conv2d(read, weight, None, where.stride, where.padding)
            flat = sums.permute(0, 2, 3, 1).contiguous().numpy().reshape(steps, -1)
            scan(flat, np.int32(4096 - DECAY), threshold)
            fired = torch.from_numpy(flat.reshape(len(sums), *sums.shape[2:], CHANNELS))
            sent[f"lif{index + 1}"] = fired.permute(0, 3, 1, 2)
        last = sent[LAST].to(torch.uint8).contiguous().numpy()
        return {LAST: last.reshape(steps, samples, *last.shape[1:])}

    return call


def snntorch_loop(**case: Any) -> Call:
    """snnTorch's Leaky, reset to zero, over the graph in the loop of its tutorials."""
    import snntorch
    import torch
    from torch import nn

    description, spikes = _case(**case)
    modules, neurons = [], []
    for name, reads, kernel, stride in LAYERS:
        node = description[name]
        assert isinstance(node, ConvolutionNode)
        inputs = 2 if reads == ("input",) else CHANNELS
        module = nn.Conv2d(inputs, CHANNELS, kernel, stride, kernel // 2, bias=False)
        module.weight.copy_(torch.from_numpy(node.weight).float())
        modules.append(module)
        population = description[name.replace("conv", "lif")]
        assert isinstance(population, PopulationNode)
        threshold = float(population.threshold)
        neurons.append(snntorch.Leaky(beta=BETA, threshold=threshold, reset_mechanism="zero"))

    def call() -> Any:
        frames = torch.from_numpy(spikes).float()
        states = [neuron.init_leaky() for neuron in neurons]
        outputs = []
        for frame in frames.unbind(0):
            sent = {"input": frame}
            for k, (module, neuron) in enumerate(zip(modules, neurons, strict=True)):
                reads = LAYERS[k][1]
                read = sent[reads[0]] if len(reads) == 1 else sent[reads[0]] + sent[reads[1]]
                sent[f"lif{k + 1}"], states[k] = neuron(module(read), states[k])
            outputs.append(sent[LAST])
        return {LAST: torch.stack(outputs).to(torch.uint8).numpy()}

    return call
