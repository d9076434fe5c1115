"""What a certificate's verdicts do not cover, and what was assumed on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sdcl_neuro.network.backend_names import labels
from sdcl_neuro.network.identity import edited_sources
from sdcl_neuro.network.notes import ASSUMED, NOT_CHECKED, Note, notes_of

from ..model import Model
from .certificate import PairParity
from .compare import PairRuns
from .source_check import DESCRIPTION


def not_checked_before(model: Model, runs: PairRuns) -> tuple[Note, ...]:
    """Name what will not be checked, whatever the runs give."""
    left_out = [
        Note(f"layer {index} ({name})", "not among the layers that were asked for")
        for index, name in enumerate(runs.names)
        if index not in runs.layers
    ]
    return tuple(dict.fromkeys([*_notes(model, NOT_CHECKED), *left_out, *_edited()]))


def assumed_before(model: Model) -> tuple[Note, ...]:
    """Name what was assumed when the network was read or made."""
    return tuple(dict.fromkeys(_notes(model, ASSUMED)))


def not_checked_after(pairs: Iterable[PairParity]) -> Iterator[Note]:
    """Name what comparisons say nothing of: silent layers, and pairs without a verdict."""
    for pair in pairs:
        if pair.kind == "agreement":
            if pair.backends[1] == DESCRIPTION:
                continue  # the network's own notes say what was approximated
            what = labels(reversed(pair.backends), " against ")
            yield Note(what, "one computes in float, so that it is a figure and no verdict")
            continue
        for layer in pair.layers:
            if not any(layer.spikes):
                why = (
                    "no spikes on either side, so that equality proves little; give livelier input"
                )
                compared = f" of {pair.backends[0]}" if pair.backends[1] == DESCRIPTION else ""
                yield Note(f"layer {layer.index} ({layer.name}){compared}", why)


def _notes(model: Model, key: str) -> Iterator[Note]:
    for net in (model.floating, model.integer):
        if net is not None:
            yield from notes_of(net.meta, key)


def _edited() -> Iterator[Note]:
    edited = edited_sources()
    if edited:
        more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
        why = f"{edited[0]}{more} edited after this process loaded the package; start it again"
        yield Note("today's sources", why)
