"""Networks to and from NIR, the intermediate representation of Norse, Sinabs, snnTorch and others.

A layer becomes a synapse (Conv2d, or Affine behind a Flatten) and a population: LIF; IF where
nothing leaks; CubaLIF where the current lasts. All reset to ``v_reset`` = 0. For LIF::

    tau = dt / (1 - beta)      r = 1      weights and biases divided by 1 - beta

which readers that use r and readers that ignore it (Norse 1.1.0) both run as snnTorch does. A
recurrent layer is a cycle: its population feeds an Affine that feeds it. The step ``dt`` is
stored as metadata, for NIR itself has none.

Linear is never written: Norse 1.1.0 imports it without its weights.
"""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal
from sdcl_neuro.files import atomic_path, file_sha256
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntNetwork, Shape
from sdcl_neuro.network.spec_convert import dequantize

from .claim import KEY, check_claim, make_claim
from .dialects import translate
from .file import read_tree
from .lowering import plain_network
from .reader import read_raw
from .values import DEFAULT_DT, Array
from .weights import gain_of, spread, stored_weight


def to_nir(net: FloatNetwork | IntNetwork, path: Path | str, *, dt: float = DEFAULT_DT) -> str:
    """Write a network as a NIR file, whole or not at all.

    An integer network is written as the float network it means, with its integers as metadata.

    Args:
        net: the network.
        path: where to; an existing file is replaced.
        dt: length of one step in seconds.

    Returns:
        The file's SHA-256.

    Raises:
        NetworkRefused: NIR cannot say what the network means, every reason at once.
        InputError: `dt` is not positive.
    """
    import nir

    graph = build_graph(net, dt=dt)
    with atomic_path(path) as temporary:
        nir.write(str(temporary), graph)
    return file_sha256(path)


def from_nir(
    source: Any,
    *,
    dt: float | None = None,
    approximate: bool = False,
    calibration: object = None,
    writer: str = "nir",
) -> FloatNetwork | IntNetwork:
    """Read a network from a NIR file, ours or another writer's.

    A file that `to_nir` wrote gives back the same network. Any other gives the float network it
    means; ``meta`` says which step it was read for.

    Args:
        source: a path, or a ``nir.NIRGraph`` in memory.
        dt: length of one step in seconds; None takes the file's metadata ``dt``, else snnTorch's
            1e-4 where all constants follow its exporter, else 1e-3, as Norse does.
        approximate: take a reset to another potential than zero, and a bias before a synaptic
            current, as the nearest the chip has; ``meta["approximate"]`` says what that changed.
        calibration: spikes ``[T, B, *input_shape]``, for `approximate` only.
        writer: whose words a graph is in; see `dialects.WRITERS`.

    Raises:
        InputError: not a NIR file, damaged, too large, or graph and metadata disagree;
            `approximate` without calibration data, or the other way round.
        NetworkRefused: the graph cannot be lowered, with every reason at once.
    """
    if approximate != (calibration is not None):
        mend = "give both approximate=True and calibration=spikes, or neither"
        raise InputError("one of approximate and calibration", where="from_nir", mend=mend)
    in_file = isinstance(source, str | Path)
    where = str(source) if in_file else "NIR graph"
    tree = read_tree(source) if in_file else source.to_dict()
    metadata = tree.get("metadata")
    if isinstance(metadata, dict) and KEY in metadata:
        return check_claim(read_raw(tree, dt=None, where=where), metadata)
    if writer != "nir":
        dt = DEFAULT_DT if dt is None else dt
        tree = translate(tree, writer, dt=dt)
    raw = read_raw(tree, dt=dt, where=where, any_reset=approximate)
    return plain_network(raw, where=where, calibration=calibration)


def build_graph(
    net: FloatNetwork | IntNetwork, *, dt: float = DEFAULT_DT, batched: bool = False
) -> Any:
    """The ``nir.NIRGraph`` of a network; errors as in `to_nir`.

    Args:
        net: the network.
        dt: length of one step in seconds.
        batched: for an importer that hands whole batches to torch's own Flatten (Norse 1.1.0):
            it then starts behind the batch axis. Such a graph is not for files.
    """
    import nir

    if not (isfinite(dt) and dt > 0):
        raise InputError(f"dt is {dt} s", mend="give a positive step in seconds")
    exact = dequantize(net) if isinstance(net, IntNetwork) else net
    problems = _refusals(exact)
    if problems:
        raise NetworkRefused(problems)
    nodes: dict[str, Any] = {"input": nir.Input(np.array(net.input_shape))}
    edges: list[tuple[str, str]] = []
    last = "input"
    for index, layer in enumerate(exact.layers):
        chain = _layer_nodes(layer, index, dt=dt, batched=batched)
        nodes |= chain
        for name in chain:
            edges.append((last, name))
            last = name
        if layer.recurrent_weight is not None:
            name = f"recurrent_{index}"
            nodes[name] = _affine(layer.recurrent_weight, None, gain_of(layer.neuron))
            edges += [(last, name), (name, last)]
    nodes["output"] = nir.Output(np.array(exact.layers[-1].out_shape))
    edges.append((last, "output"))
    metadata = make_claim(net, dt=dt)
    # NIR 1.0.8 computes shapes of kernels that are not square wrongly; ours are checked above.
    return nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False)


def _refusals(net: FloatNetwork) -> list[Refusal]:
    """Why a network cannot be said in NIR."""
    found: list[Refusal] = []
    if not net.layers:
        found.append(Refusal("network", "it has no layers", "give it one"))
    for index, layer in enumerate(net.layers):
        where = f"layer {index} ({layer.name})"
        neuron = layer.neuron
        if not (0 <= neuron.beta <= 1 and 0 <= neuron.alpha < 1):
            what = f"beta {neuron.beta} or alpha {neuron.alpha} is no decay per step"
            found.append(Refusal(where, what, "give decays in [0, 1], alpha below 1"))
        elif not _finite(layer):
            what = "a weight or the threshold is not finite, or beyond float32"
            found.append(Refusal(where, what, "train the network again"))
        elif neuron.beta == 1 and neuron.alpha > 0:
            what = "NIR has no integrator (beta 1) behind a synaptic current"
            found.append(Refusal(where, what, "use beta < 1, or alpha 0"))
    return found


def _finite(layer: FloatLayer) -> bool:
    arrays = (layer.weight, layer.bias, layer.recurrent_weight)
    with np.errstate(over="ignore"):
        stored = [stored_weight(a, gain_of(layer.neuron)) for a in arrays if a is not None]
    return isfinite(layer.neuron.threshold) and all(np.isfinite(a).all() for a in stored)


def _layer_nodes(layer: FloatLayer, index: int, *, dt: float, batched: bool) -> dict[str, Any]:
    """A layer's nodes in order, without its recurrence."""
    import nir

    gain, nodes = gain_of(layer.neuron), {}
    # Behind a synaptic current a bias goes straight to the membrane, which NIR calls v_leak.
    bias = layer.bias if layer.neuron.alpha == 0 else None
    if layer.kind == "conv":
        nodes[f"synapse_{index}"] = _conv(layer, bias, gain)
    else:
        if len(layer.in_shape) > 1:
            start = 1 if batched else 0
            shape = None if batched else np.array(layer.in_shape)
            nodes[f"flatten_{index}"] = nir.Flatten(shape, start_dim=start, end_dim=-1)
        nodes[f"synapse_{index}"] = _affine(layer.weight, bias, gain)
    nodes[f"neurons_{index}"] = _population(layer, dt)
    return nodes


def _affine(weight: Array, bias: Array | None, gain: float) -> Any:
    import nir

    offset = np.zeros(len(weight), np.float32) if bias is None else bias
    return nir.Affine(stored_weight(weight, gain), stored_weight(offset, gain))


def _conv(layer: FloatLayer, bias: Array | None, gain: float) -> Any:
    """A convolution; groups are spread over all channels, because readers stumble over them.

    NIR 1.0.8's own check takes a kernel's channels for the input's, Norse 1.1.0 too.
    """
    import nir

    geometry, weight = layer.convolution, layer.weight
    if geometry is None:
        raise InputError("a convolution has no geometry", where=layer.name, mend="give one")
    if geometry.groups > 1:
        weight = spread(weight, geometry.groups)
    offset = np.zeros(len(weight), np.float32) if bias is None else bias
    return nir.Conv2d(
        input_shape=tuple(layer.in_shape[1:]),
        weight=stored_weight(weight, gain),
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
        groups=1,
        bias=stored_weight(offset, gain),
    )


def _population(layer: FloatLayer, dt: float) -> Any:
    import nir

    def each(value: float) -> Array:
        return _constant(value, layer.out_shape)

    neuron = layer.neuron
    common = {"v_threshold": each(neuron.threshold), "v_reset": each(0.0)}
    if neuron.beta == 1:
        return nir.IF(r=each(1 / dt), **common)
    tau = dt / (1 - neuron.beta)
    if neuron.alpha == 0:
        return nir.LIF(tau=each(tau), r=each(1.0), v_leak=each(0.0), **common)
    leak = each(0.0)
    if layer.bias is not None:
        drive = layer.bias.astype(np.float64) / (1 - neuron.beta)
        leak = leak + drive.reshape(-1, *[1] * (len(layer.out_shape) - 1)).astype(np.float32)
    return nir.CubaLIF(
        tau_syn=each(dt / (1 - neuron.alpha)),
        tau_mem=each(tau),
        r=each(1 / (1 - neuron.beta)),
        v_leak=leak,
        w_in=each(1 / (1 - neuron.alpha)),
        **common,
    )


def _constant(value: float, shape: Shape) -> Array:
    return np.full(shape, value, np.float32)
