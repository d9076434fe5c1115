"""A graph in memory as the same plain tree that a file gives, whatever its values are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np

from sdcl_neuro.errors import InputError

from .file import MAX_DEPTH, Tree

_DERIVED = ("input_type", "output_type", "metadata")


class NirGraphLike(Protocol):
    """What is read of a ``nir.NIRGraph``."""

    nodes: dict[str, Any]
    edges: list[tuple[str, str]]


def tree_of(graph: object) -> Tree:
    """Take a ``nir.NIRGraph`` apart into dictionaries, numpy arrays and strings.

    Torch tensors and parameters are read, on any device and with any gradient; so is what numpy
    can read.

    Raises:
        InputError: not a graph, or a node or value that is none of NIR's.
    """
    if type(graph).__name__ != "NIRGraph" or not hasattr(graph, "nodes"):
        kind = f"{type(graph).__module__}.{type(graph).__name__}"
        what = f"expected the path of a .nir file or a nir.NIRGraph, got {kind}"
        raise InputError(what, where="from_nir", hint="give one of these")
    return _graph(graph, "graph", depth=0)


def _graph(graph: Any, where: str, *, depth: int) -> Tree:
    if depth > MAX_DEPTH:
        raise InputError(f"subgraphs nest deeper than {MAX_DEPTH}", where=where, hint="flatten it")
    if not isinstance(graph.nodes, Mapping):
        what = f"its nodes are a {type(graph.nodes).__name__}, not a dictionary"
        raise InputError(what, where=where, hint="build it as nir.NIRGraph(nodes, edges)")
    tree: Tree = {"type": "NIRGraph", "nodes": {}}
    tree["edges"] = np.array([tuple(edge) for edge in graph.edges or []], dtype=object)
    for name, node in graph.nodes.items():
        tree["nodes"][str(name)] = _node(node, f"node {name}", depth=depth)
    metadata = getattr(graph, "metadata", None)
    if isinstance(metadata, Mapping):
        tree["metadata"] = {str(k): _value(v, f"metadata {k}") for k, v in metadata.items()}
    return tree


def _node(node: Any, where: str, *, depth: int) -> Tree:
    kind = type(node).__name__
    if kind == "NIRGraph":
        return _graph(node, where, depth=depth + 1)
    if not (is_dataclass(node) and type(node).__module__.split(".")[0] == "nir"):
        what = f"expected a NIR node, got {type(node).__module__}.{kind}"
        hint = "export the module to NIR with its own library first"
        raise InputError(what, where=where, hint=hint)
    tree: Tree = {"type": kind}
    for field in fields(node):
        value = getattr(node, field.name, None)
        if field.name not in _DERIVED and value is not None:
            tree[field.name] = _value(value, f"{where} ({kind}): {field.name}")
    if kind in ("Input", "Output"):
        types = getattr(node, "input_type" if kind == "Input" else "output_type", None) or {}
        shapes = [_value(shape, f"{where} ({kind}): shape") for shape in types.values()]
        if len(shapes) == 1 and shapes[0] is not None:
            tree["shape"] = np.asarray(shapes[0])
    return tree


def _value(value: Any, where: str) -> Any:
    """Return a value as text, a number, or an array; None stays None."""
    if value is None or isinstance(value, str | bytes | bool | int | float | np.ndarray):
        return value
    if isinstance(value, Mapping):
        return {str(key): _value(item, f"{where}: {key}") for key, item in value.items()}
    try:
        if type(value).__module__.split(".")[0] == "torch":
            value = _detached(value)
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:120]
        what = f"a {type(value).__name__} that holds no plain numbers ({reason})"
        raise InputError(what, where=where, hint="give an array or a dense tensor") from error
    if array.dtype == object and not all(isinstance(item, str) for item in array.reshape(-1)):
        what = f"a {type(value).__name__} that holds no plain numbers"
        raise InputError(what, where=where, hint="give an array or a dense tensor")
    return array


def _detached(value: Any) -> Any:
    """Return a torch value as an array; bfloat16, which numpy does not have, in float32."""
    import torch

    if isinstance(value, torch.Size):
        return tuple(value)
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"a {type(value).__name__} is not a tensor")
    tensor = value.detach()
    if tensor.is_sparse or tensor.is_quantized or tensor.is_complex() or tensor.is_meta:
        raise TypeError("it is sparse, quantised, complex or without data")
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.cpu().numpy()
