"""The chain of modules inside a user's own ``forward``, found by watching it run once.

Every module's first output is followed to the module that receives the very same memory,
unchanged. Whatever else the forward does between two modules shows there as memory that no module
gave, and is refused; what it does to a neuron's state shows in its spikes (`own_spikes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from sdcl_neuro.errors import NetworkRefused, Refusal

from .calls import Call
from .forms import CHAIN_MEND, ForwardForm, find_form
from .running import Deployed

Steps = list[tuple[str, nn.Module]]


@dataclass(frozen=True)
class TracedRun:
    """What a run showed.

    Attributes:
        steps: names and modules in order.
        form: how the module takes its input; None as long as it was not run.
        entry: what the first module received in the first step.
    """

    steps: Steps
    form: ForwardForm | None
    entry: Tensor


def trace_chain(held: Deployed, like: Tensor) -> TracedRun:
    """Run a module on random spikes and find its chain.

    Args:
        held: the module, held by `running.as_deployed`.
        like: a sample ``[T, B, ...]`` in the module's precision; only its shape counts.

    Raises:
        NetworkRefused: where something between the modules would be lost.
        InputError: where the forward does not run on such a sample.
    """
    found = find_form(held, like)
    first = found.passes[0]
    refusals = list(_links(first))
    order = [call.module for call in first]
    if any([call.module for call in each] != order for each in found.passes):
        what = "the order of its modules changes from step to step"
        refusals.append(Refusal(type(held.module).__name__, what, CHAIN_MEND))
    if refusals:
        raise NetworkRefused(refusals)
    return TracedRun(list(_with_flattening(first)), found.form, first[0].received)


def _links(calls: Sequence[Call]) -> Iterator[Refusal]:
    for before, call in pairwise(calls):
        if _same_memory(before, call):
            continue
        other = next((c.name for c in calls if c is not before and _same_memory(c, call)), None)
        what = f"an operation outside the modules changes what it receives from {before.name!r}"
        if other is not None:
            what = f"receives {other!r}, not {before.name!r} before it: a branch or skip"
        yield Refusal(call.name, what, CHAIN_MEND, of_chains=True)


def _same_memory(before: Call, call: Call) -> bool:
    gave, received = before.gave, call.received
    return (
        received.data_ptr() == gave.data_ptr()
        and call.received_version == before.gave_version
        and received.shape in (gave.shape, gave.flatten(1).shape)
        and (received.is_contiguous() or received.stride() == gave.stride())
    )


def _with_flattening(calls: Sequence[Call]) -> Iterator[tuple[str, nn.Module]]:
    for index, call in enumerate(calls):
        before = calls[index - 1].gave.ndim if index else call.received.ndim
        if call.received.ndim < before and not isinstance(call.module, nn.Flatten):
            yield f"{call.name} (flattened)", nn.Flatten()
        yield call.name, call.module
