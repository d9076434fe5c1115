"""What reading a graph takes by default: everything its file does not say and someone decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sdcl_neuro.network.notes import Note

from .inline import StoredNode
from .step import StatedStep, values
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
_UNSTATED = "the file states none"


def assumptions(
    nodes: Mapping[str, StoredNode], row: Writer, step: StatedStep, *, writer: str | None
) -> tuple[Note, ...]:
    """List what a graph does not state and what was taken instead.

    Args:
        nodes: as stored.
        row: the writer's.
        step: the step that was found.
        writer: as given; None if no one was named.
    """
    return tuple(dict.fromkeys(_notes(list(nodes.values()), row, step, writer)))


def _notes(
    nodes: list[StoredNode], row: Writer, step: StatedStep, writer: str | None
) -> Iterator[Note]:
    neurons = [node for node in nodes if node.type in _NEURONS]
    if step.assumed is not None:
        yield step.assumed
    if writer is None and any(node.type != "IF" for node in neurons):
        what = "NIR's own words: forward Euler, an input counts r dt / tau, above v_threshold fires"
        yield Note(what, "no writer was named")
    if not step.whole and any(_is_one(node) for node in neurons):
        what = "inputs of integrate-and-fire neurons with r = 1: counted whole"
        yield Note(what, "as Norse, Sinabs and Spyx mean it; in NIR's words they count dt")
    yield from _resets(neurons, row)
    yield from _left_out(nodes, neurons, row)
    yield from _missing(nodes)
    for node in nodes:
        shape = values(node, "shape")
        if node.type == "Input" and len(shape) in (2, 4) and shape[0] == 1:
            yield Note(f"{node.where}: its first axis is the batch", "it has the size 1")
        if node.type == "Flatten" and (values(node, "start_dim") == 1).any():
            yield Note(f"{node.where}: all axes but the batch", "it starts at axis 1")


def _is_one(node: StoredNode) -> bool:
    return node.type == "IF" and bool((values(node, "r") == 1).all())


def _resets(neurons: list[StoredNode], row: Writer) -> Iterator[Note]:
    absent = [node.name for node in neurons if node.fields.get("v_reset") is None]
    if absent:
        yield Note(f"v_reset of {_names(absent)}: 0", _UNSTATED)
    if row.reset == "unsaid" and neurons:
        usual = "subtracts the threshold" if row.default_reset == "subtraction" else "is to zero"
        yield Note(
            f"the reset of {_names([node.name for node in neurons])}: to zero",
            f"{row.library} writes v_reset = 0 whatever its neurons do; their default {usual}",
        )
    if row.several and neurons and row.reset != "subtracts":
        why = f"{row.library} does not write how many its neurons may send; several by default"
        yield Note("spikes of a neuron in one step: at most one", why)
    yield from _starts(neurons, row)


def _starts(neurons: Iterable[StoredNode], row: Writer) -> Iterator[Note]:
    """Note membranes whose start is unsaid and matters: they rest or reset elsewhere."""
    for node in neurons:
        leak, reset = values(node, "v_leak"), values(node, "v_reset")
        if not (leak.any() or reset.any()) or row.start != "rest":
            continue
        same = leak.size in (1, reset.size) and bool((leak == reset).all())
        place = "v_leak, which is v_reset" if same else "0"
        yield Note(f"where the membranes of {node.name} start: {place}", "NIR does not state it")


def _left_out(nodes: list[StoredNode], neurons: list[StoredNode], row: Writer) -> Iterator[Note]:
    """Yield what the writer's files leave out, where it bears on this graph."""
    kinds = {node.type for node in nodes}
    for missing in row.unsaid if neurons else ():
        if missing.only is None or missing.only in kinds:
            yield Note(f"{missing.what}: {missing.taken}", f"{row.library} does not write it")


def _missing(nodes: list[StoredNode]) -> Iterator[Note]:
    bare = [n.name for n in nodes if n.type in _SYNAPSES and n.fields.get("bias") is None]
    if bare:
        yield Note(f"the bias of {_names(bare)}: 0", _UNSTATED)
    for node in nodes:
        for key, default in _GEOMETRY.get(node.type, ()):
            if node.fields.get(key) is None:
                yield Note(f"{key} of {node.name}: {default}", _UNSTATED)


def _names(names: list[str]) -> str:
    more = "" if len(names) <= 6 else f" and {len(names) - 6} more"
    return ", ".join(names[:6]) + more
