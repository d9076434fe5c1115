"""What reading a graph takes by default: everything its file does not say and someone decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from .inline import Node
from .step import Step, values
from .writers import Writer

_GEOMETRY = {
    "Conv2d": (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)),
    "SumPool2d": (("stride", 1), ("padding", 0)),
    "AvgPool2d": (("stride", 1), ("padding", 0)),
    "Flatten": (("start_dim", 0), ("end_dim", -1)),
    "CubaLIF": (("w_in", 1),),
}
_NEURONS = ("LIF", "IF", "CubaLIF")
_SYNAPSES = ("Linear", "Affine", "Conv2d")


def assumptions(
    nodes: Mapping[str, Node], row: Writer, step: Step, *, writer: str | None
) -> tuple[str, ...]:
    """List in words what a graph does not state and what was taken instead.

    Args:
        nodes: as stored.
        row: the writer's.
        step: the step that was found.
        writer: as given; None if nobody was named.
    """
    return tuple(_lines(list(nodes.values()), row, step, writer))


def _lines(nodes: list[Node], row: Writer, step: Step, writer: str | None) -> Iterator[str]:
    neurons = [node for node in nodes if node.type in _NEURONS]
    if step.assumed is not None:
        yield step.assumed
    if writer is None and any(node.type != "IF" for node in neurons):
        yield (
            "NIR's own words, since no writer was named: forward Euler, an input counts "
            "r dt / tau, a membrane above v_threshold fires"
        )
    if any(node.type == "IF" and (values(node, "r") == 1).all() for node in neurons):
        yield "an integrate-and-fire neuron with r = 1 takes its input whole"
    yield from _resets(neurons, row)
    yield from _unsaid(nodes, neurons, row)
    yield from _missing(nodes)
    for node in nodes:
        shape = values(node, "shape")
        if node.type == "Input" and len(shape) in (2, 4) and shape[0] == 1:
            yield f"{node.where}: its first axis, of size 1, is the batch"
        if node.type == "Flatten" and (values(node, "start_dim") == 1).any():
            yield f"{node.where}: its axis 0 is the batch, all others are flattened"


def _resets(neurons: list[Node], row: Writer) -> Iterator[str]:
    absent = [node.name for node in neurons if node.fields.get("v_reset") is None]
    if absent:
        yield f"a reset to 0: {_names(absent)} without v_reset"
    if row.reset == "unsaid" and neurons:
        does = "its neurons subtract the threshold by default" if row.default_reset != "zero" else (
            "its neurons reset to zero by default"
        )  # fmt: skip
        yield (
            f"a reset to zero: {row.library} writes v_reset = 0 whatever its neurons do ({does})"
        )
    if row.several and neurons and row.reset != "subtracts":
        yield (
            f"at most one spike a neuron and step: {row.library} does not write how many its "
            "neurons may send (several by default)"
        )
    yield from _starts(neurons, row)


def _starts(neurons: Iterable[Node], row: Writer) -> Iterator[str]:
    """Where a membrane starts matters, and is unsaid, where it rests or resets elsewhere."""
    for node in neurons:
        leak, reset = values(node, "v_leak"), values(node, "v_reset")
        if not (leak.any() or reset.any()) or row.start != "rest":
            continue
        same = leak.size and reset.size and np.array_equal(*np.broadcast_arrays(leak, reset))
        place = "v_leak, which is v_reset" if same else "0"
        yield f"{node.where}: its membranes start at {place}"


def _unsaid(nodes: list[Node], neurons: list[Node], row: Writer) -> Iterator[str]:
    """What the writer's files leave out, where it bears on this graph."""
    if not neurons:
        return
    kinds = {node.type for node in nodes}
    for what in row.unsaid:
        if "AvgPool2d" in what:
            if "AvgPool2d" in kinds:
                yield f"no padding of AvgPool2d, which {row.library} does not write"
        elif "reset_delay" in what:
            if "CubaLIF" in kinds:
                yield f"an immediate reset: {row.library} does not write {what}"
        else:
            yield f"none of what {row.library} does not write: {what}"


def _missing(nodes: list[Node]) -> Iterator[str]:
    bare = [n.name for n in nodes if n.type in _SYNAPSES and n.fields.get("bias") is None]
    if bare:
        yield f"a bias of 0: {_names(bare)} without one"
    for node in nodes:
        for key, default in _GEOMETRY.get(node.type, ()):
            if node.fields.get(key) is None:
                yield f"{node.where}: {key} = {default}, since it states none"


def _names(names: list[str]) -> str:
    more = "" if len(names) <= 6 else f" and {len(names) - 6} more"
    return ", ".join(names[:6]) + more
