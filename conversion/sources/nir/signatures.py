"""What a writer's files look like, held against a file that is said to be one of them.

A file that cannot be of the writer named would be read as another network, with a green
certificate; so it is refused, and the refusal says what its constants imply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from sdcl_neuro.errors import Refusal, spelled

from .inline import StoredNode
from .step import StatedStep, values
from .values import Refuse
from .writers import WRITERS

Check = Callable[[StoredNode, float], bool]
_CLOSE = 1e-5


def check_signature(
    nodes: Iterable[StoredNode], writer: str | None, step: StatedStep, refuse: Refuse
) -> None:
    """Refuse each population that the named writer cannot have written for this step."""
    if writer not in _SIGNATURES:
        return
    words, check = _SIGNATURES[writer]
    for node in nodes:
        if node.type in ("LIF", "IF", "CubaLIF") and not check(node, step.nominal):
            what = f"{words}, as {WRITERS[writer].library} writes it, does not hold at a step of "
            what += f"{step.nominal:g} s{_implied(node)}"
            refuse(Refusal(node.where, what, _hint()))


def _hint() -> str:
    return spelled(
        python="give the writer and the step of this file, writer=NAME and dt=SECONDS",
        command="give the writer and the step of this file, --writer NAME and --dt SECONDS",
    )


def _implied(node: StoredNode) -> str:
    """Return the step at which r is tau / dt, or 1 / dt, if there is one."""
    r, tau = values(node, "r"), values(node, "tau_mem" if node.type == "CubaLIF" else "tau")
    top = np.ones_like(r) if node.type == "IF" else tau
    if not r.size or r.shape != top.shape or not (r > 0).all():
        return ""
    with np.errstate(all="ignore"):
        steps = top / r
    if not np.isfinite(steps).all() or np.ptp(steps) > _CLOSE * steps.max():
        return ""
    return f" (its r would be that of a step of {steps.max():g} s)"


def _like(node: StoredNode, key: str, wanted: np.ndarray | float) -> bool:
    """Return whether a field has the values wanted; a field that is missing is refused
    elsewhere.
    """
    found = values(node, key)
    if not found.size:
        return True
    wanted = np.asarray(wanted)
    return wanted.size in (1, found.size) and np.allclose(found, wanted, rtol=_CLOSE, atol=0)


def _snntorch(node: StoredNode, dt: float) -> bool:
    if node.type == "LIF":
        return _like(node, "r", values(node, "tau") / dt)
    return (
        node.type == "CubaLIF"
        and _like(node, "r", values(node, "tau_mem") / dt)
        and _like(node, "w_in", values(node, "tau_syn") / dt)
    )


def _spikingjelly(node: StoredNode, dt: float) -> bool:
    if node.type == "IF":
        return _like(node, "r", 1 / dt)
    if node.type == "CubaLIF":
        return _snntorch(node, dt)
    decayed = _like(node, "r", 1.0) or _like(node, "r", values(node, "tau") / dt)
    return decayed and _like(node, "v_leak", values(node, "v_reset"))


def _ones(node: StoredNode, dt: float) -> bool:
    return _like(node, "r", 1.0)


def _spyx(node: StoredNode, dt: float) -> bool:
    if node.type == "IF":
        return _like(node, "r", 1.0)
    tau = values(node, "tau" if node.type == "LIF" else "tau_mem")
    # The decay comes back from its time constant in float32.
    return bool(np.allclose(values(node, "r"), 1 - dt / tau, rtol=0, atol=1e-4))


_SIGNATURES: dict[str, tuple[str, Check]] = {
    "snntorch": ("r = tau / dt", _snntorch),
    "norse": ("r = 1", _ones),
    "spikingjelly": ("r = 1, tau / dt or (IF) 1 / dt, and v_leak = v_reset", _spikingjelly),
    "sinabs": ("r = 1", _ones),
    "sinabs-unnormed": ("r = 1", _ones),
    "spyx": ("r = 1 - dt / tau", _spyx),
}
"""By writer: what is checked, in words, and how. Rockpool's r holds its step; see `step`."""
