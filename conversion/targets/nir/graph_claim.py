"""A graph in full precision, as the metadata of a NIR file; and the way back.

The nodes of NIR are float32 and say some things in a roundabout way. The metadata holds each node
of the graph with its arrays as they are, so that the file gives back the very same graph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import Convolution

from ...lowering.graph import nodes as kinds
from ...lowering.graph.nodes import FloatGraph, Node
from .claim import KEY, VERSION, meta_without_step

ARITHMETIC = "graph"
_NODES: Mapping[str, type[Node]] = {
    kind.__name__: kind
    for kind in vars(kinds).values()
    if isinstance(kind, type) and issubclass(kind, Node) and kind is not Node
}


def graph_claim(graph: FloatGraph, *, dt: float) -> dict[str, Any]:
    """Return the metadata of a graph; InputError if its meta is not plain JSON."""
    claim: dict[str, Any] = {"dt": float(dt)}
    entries = []
    for index, node in enumerate(graph.nodes):
        plain: dict[str, Any] = {}
        arrays = []
        for each in fields(node):
            value = getattr(node, each.name)
            if isinstance(value, np.ndarray | np.generic):
                value = np.asarray(value, np.float64)
                claim[f"{KEY}_graph_{index}_{each.name}"] = value.reshape(-1)
                arrays.append([each.name, list(value.shape)])
            elif isinstance(value, Convolution):
                plain[each.name] = [
                    list(value.stride), list(value.padding), list(value.dilation), value.groups
                ]  # fmt: skip
            else:
                plain[each.name] = list(value) if isinstance(value, tuple) else value
        entries.append({"kind": type(node).__name__, "fields": plain, "arrays": arrays})
    body = {
        "version": VERSION,
        "arithmetic": ARITHMETIC,
        "reader": None,
        "nodes": entries,
        "outputs": list(graph.outputs),
        "meta": meta_without_step(graph.meta),
    }
    try:
        claim[KEY] = json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the graph's meta is not plain JSON ({error})") from error
    return claim


def claimed_graph(body: Mapping[str, Any], metadata: Mapping[str, Any]) -> FloatGraph:
    """Return the graph of a file's metadata.

    Args:
        body: what the text says.
        metadata: with the arrays.

    Raises:
        KeyError, TypeError, ValueError: the metadata is damaged.
    """
    if body["version"] != VERSION:
        raise ValueError(f"its version is {body['version']}, not {VERSION}")
    made = []
    for index, entry in enumerate(body["nodes"]):
        values: dict[str, Any] = {
            name: _plain(name, value) for name, value in entry["fields"].items()
        }
        for name, shape in entry["arrays"]:
            array = np.asarray(metadata[f"{KEY}_graph_{index}_{name}"])
            if array.dtype != np.float64:
                raise ValueError(f"{name} of node {index} is {array.dtype}, not float64")
            values[name] = array.reshape([int(n) for n in shape])
        kind = _NODES[entry["kind"]]
        if set(values) != {each.name for each in fields(kind)}:
            raise ValueError(f"node {index} has the fields {sorted(values)}")
        made.append(kind(**values))
    outputs = tuple(str(name) for name in body["outputs"])
    return FloatGraph(tuple(made), outputs, dict(body["meta"]))


def _plain(name: str, value: Any) -> Any:
    if name == "geometry":
        stride, padding, dilation, groups = value
        one, two, three = ((int(pair[0]), int(pair[1])) for pair in (stride, padding, dilation))
        return Convolution(one, two, three, int(groups))
    return tuple(value) if isinstance(value, list) else value
