"""The length of a step: stated by the file or given, never assumed.

NIR has none. The same file means other networks at other steps, so that without a step a graph is
refused, unless nothing in it depends on one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from sdcl_neuro.errors import InputError, Refusal, spelled
from sdcl_neuro.network.notes import Note

from .dialects import step_in_r
from .inline import StoredNode
from .values import Array, Refuse
from .writers import OWN_WORDS, WRITERS, Writer

EXAMPLES = (1e-4, 1e-3)
"""Steps at which a refusal shows what a file would mean; the two that known exporters use."""
_SAME = 1e-4
_NO_STEP = "none needed, integrate-and-fire neurons only"


@dataclass(frozen=True)
class StatedStep:
    """A step and where it comes from.

    Attributes:
        seconds: its length; None where nothing depends on it.
        source: where it comes from, in words.
        assumed: what was taken by default; None if nothing was.
        whole: whether integrate-and-fire neurons take their input whole, whatever their r.
    """

    seconds: float | None
    source: str
    assumed: Note | None = None
    whole: bool = False

    @property
    def nominal(self) -> float:
        """The length to compute with; any will do where nothing depends on it."""
        return 1.0 if self.seconds is None else self.seconds


def find_step(
    nodes: Iterable[StoredNode],
    metadata: object,
    *,
    dt: float | None,
    writer: str | None,
    refuse: Refuse,
) -> StatedStep | None:
    """Find the step of a graph; None after refusing the graph for want of one.

    Args:
        nodes: all of the graph's, its subgraphs' too.
        metadata: the graph's; its ``dt`` states a step.
        dt: the step as given, in seconds.
        writer: a name in `WRITERS`, or None.
        refuse: takes the refusal.

    Raises:
        InputError: a step that is not positive, or two steps that contradict each other.
    """
    neurons = [node for node in nodes if node.type in ("LIF", "IF", "CubaLIF")]
    row = WRITERS[writer or OWN_WORDS]
    stored = stored_step(metadata)
    if dt is not None:
        check_step(dt, "the step that was given")
        if row.step == "fixed":
            _agree(dt, row, writer)
        said = (
            ""
            if stored is None or same_step(dt, stored)
            else f" (its metadata states {stored:g} s)"
        )
        return StatedStep(dt, f"given{said}")
    if stored is not None:
        check_step(stored, "the step in the file's metadata")
        if row.step == "fixed":
            _agree(stored, row, writer)
        return StatedStep(stored, "stated by the file's metadata")
    return _from_writer(neurons, row, refuse) if writer else _from_graph(neurons, refuse)


def _from_writer(neurons: Sequence[StoredNode], row: Writer, refuse: Refuse) -> StatedStep | None:
    if row.step == "fixed":
        return StatedStep(row.step_s, f"{row.library}, whose exporter always writes for it")
    if row.step == "default":
        why = f"the default of {row.exporter}, whose files do not state it; {_other_step()}"
        assumed = Note(f"the step: {row.step_s:g} s", why)
        return StatedStep(row.step_s, f"{row.library}'s default", assumed=assumed)
    if row.step == "none":
        return StatedStep(None, f"none needed, {row.library} counts time in steps", whole=True)
    if row.step == "in r":
        found = step_in_r(list(neurons))
        if found.size and np.isfinite(found).all() and np.ptp(found) <= _SAME * found.max():
            return StatedStep(
                float(np.median(found)), "stated by the file, r = tau exp(-dt / tau) / dt"
            )
        what = f"its r holds no one step, as a file of {row.library} does"
        refuse(Refusal("graph", what, _hint()))
        return None
    return _from_graph(neurons, refuse)


def _from_graph(neurons: Sequence[StoredNode], refuse: Refuse) -> StatedStep | None:
    """Return a step is needed, unless all neurons are integrators whose input counts whole."""
    leaky = [node for node in neurons if node.type != "IF" and not _endless(node)]
    plain = [node for node in neurons if node.type == "IF"]
    factors = np.unique(np.concatenate([values(node, "r") for node in plain] or [np.ones(1)]))
    if not leaky and (factors == 1).all():
        return StatedStep(None, _NO_STEP)
    if not leaky and len(factors) == 1:
        for step in EXAMPLES:
            if abs(factors[0] * step - 1) <= _SAME:
                why = f"r = {factors[0]:g} is 1 / dt at {step:g} s, as SpikingJelly writes it"
                assumed = Note("inputs of integrate-and-fire neurons: counted whole", why)
                return StatedStep(None, _NO_STEP, assumed, whole=True)
    what = "the file states no step, and what it computes depends on one: "
    refuse(Refusal("graph", what + _shown(leaky or plain) + _signed(leaky), _hint()))
    return None


def _shown(nodes: Sequence[StoredNode]) -> str:
    """Return what the fastest population would do in a step of either length."""
    if nodes[0].type == "IF":
        factor = float(values(nodes[0], "r").max(initial=1.0))
        counts = [f"{factor * step:.4g} times at {step:g} s" for step in EXAMPLES]
        return f"an input of {nodes[0].where} counts {' and '.join(counts)}"
    tau, node = min(((float(_tau(node).min(initial=np.inf)), node) for node in nodes), key=_first)
    if not tau > 0:
        return f"{node.where} has the time constant {tau:g} s"
    kept = [f"{max(0.0, 1 - step / tau):.4g} in a step of {step:g} s" for step in EXAMPLES]
    return f"the membrane of {node.where} keeps {' and '.join(kept)}"


def _first(pair: tuple[float, StoredNode]) -> float:
    return pair[0]


def _signed(nodes: Sequence[StoredNode]) -> str:
    """Return who writes files like this one, where its r tells."""
    for step in EXAMPLES:
        if nodes and all(_implies(node, step) for node in nodes):
            who = " (r is tau / 1e-4 throughout, as snnTorch writes it)"
            return (
                who if step == WRITERS["snntorch"].step_s else f" (r is tau / {step:g} throughout)"
            )
    return ""


def _implies(node: StoredNode, step: float) -> bool:
    r, tau = values(node, "r"), _tau(node)
    if not r.size or r.shape != tau.shape:
        return False
    return bool(np.allclose(r * step, tau, rtol=1e-5, atol=0))


def _other_step() -> str:
    return spelled(python="for another give dt=SECONDS", command="for another give --dt SECONDS")


def _hint() -> str:
    known = [name for name in WRITERS if name != OWN_WORDS]
    return spelled(
        python=f"give dt=SECONDS, or writer= one of {', '.join(known)}",
        command=f"give --dt SECONDS, or --writer {'|'.join(known)}",
    )


def _endless(node: StoredNode) -> bool:
    tau = _tau(node)
    return node.type == "LIF" and bool(tau.size) and bool(np.isposinf(tau).all())


def _tau(node: StoredNode) -> Array:
    return values(node, "tau_mem" if node.type == "CubaLIF" else "tau")


def values(node: StoredNode, key: str) -> Array:
    """Return a field as float64, flat; empty where it holds no numbers."""
    value = np.asarray(node.fields.get(key))
    return (value.astype(np.float64) if value.dtype.kind in "biuf" else np.zeros(0)).reshape(-1)


def stored_step(metadata: object) -> float | None:
    """Return the step in a graph's metadata; zero, which is refused, for what is not a number."""
    found: Any = metadata.get("dt") if isinstance(metadata, Mapping) else None
    if found is None:
        return None
    array = np.asarray(found)
    return float(array.reshape(-1)[0]) if array.dtype.kind in "iuf" and array.size else 0.0


def check_step(dt: object, what: str) -> None:
    """Raise InputError unless `dt` is a positive number of seconds."""
    if isinstance(dt, bool) or not isinstance(dt, int | float | np.number):
        raise InputError(f"{what} is {dt!r}", where="dt", hint="give a time in seconds")
    if not (isfinite(dt) and dt > 0):
        raise InputError(f"{what} is {dt:g} s", where="dt", hint="give a positive time in seconds")


def _agree(dt: float, row: Writer, writer: str | None) -> None:
    if row.step_s is not None and not same_step(dt, row.step_s):
        what = f"a step of {dt:g} s for {writer}, whose exporter always writes for {row.step_s:g} s"
        hint = "leave one of the two out"
        raise InputError(what, where=spelled(python="dt", command="--dt"), hint=hint)


def same_step(one: float, two: float) -> bool:
    """Tell whether two steps are the same but for rounding."""
    return abs(one - two) <= _SAME * max(abs(one), abs(two))
