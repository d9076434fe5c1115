"""The first pair of a certificate: the network's source compared with its description.

A source that is at hand, a checkpoint's module or a ``.nir``, is run again on the certificate's own
input. Of a ``.net``, or a network in memory, it is not at hand: what goes with it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.hybrid.sdcl_checkpoint import event_branch_folder, is_sdcl_checkpoint
from sdcl_neuro.network.notes import (
    ASSUMED,
    NOT_CHECKED,
    SOURCE_CHECKS,
    Note,
    notes_of,
    with_notes,
)
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spike_file import InputSpikes
from sdcl_neuro.snn.checkpoint import load_checkpoint

from ..lowering.graph.nodes import FloatGraph
from ..model import Model
from ..sources.nir.check import RANDOM, check_nir
from ..sources.snntorch.source import from_snntorch
from .certificate import PairParity
from .source_check import bound_to, checks_of

Spikes = NDArray[np.uint8]


def first_links(
    model: Model, values: Spikes, *, dt: float | None = None, writer: str | None = None
) -> tuple[list[PairParity], list[Note]]:
    """Compare a model's source with its description, or show what was compared before.

    Args:
        model: the model.
        values: the certificate's input, uint8 ``[T, B, *input_shape]``.
        dt, writer: as a ``.nir`` was read.

    Returns:
        The pairs, and what stays unchecked.
    """
    known = with_first_link(model, values, dt=dt, writer=writer)
    checks, missing = checks_of(known.graph, known.floating, known.integer)
    missing += [note for note in _notes(known) if note not in _notes(model)]
    return [check.pair for check in checks], missing


def with_first_link(
    model: Model,
    values: InputSpikes | None,
    *,
    dt: float | None = None,
    writer: str | None = None,
) -> Model:
    """Return the model, its source compared with its description where the source is at hand.

    Args:
        model: the model.
        values: uint8 ``[T, B, *input_shape]``, of several inputs by name; None draws random ones.
        dt, writer: as a ``.nir`` was read.
    """
    path = model.path
    if path is None or not (path.is_dir() or path.suffix == ".nir"):
        return model
    net = model.graph or model.floating or model.integer
    if net is None:
        return model
    if path.is_dir():
        folder = event_branch_folder(path) if is_sdcl_checkpoint(path) else path
        given = RANDOM.draw(model.input_shape) if values is None else values
        found = from_snntorch(load_checkpoint(folder).module, given)
        meta = {**net.meta, SOURCE_CHECKS: found.meta[SOURCE_CHECKS]}
        for key in (ASSUMED, NOT_CHECKED):
            meta = with_notes(meta, key, notes_of(found.meta, key))
    else:
        meta = dict(check_nir(net, path, values, dt=dt, writer=writer).meta)
    return _with_meta(model, meta)


def _with_meta(model: Model, meta: Mapping[str, Any]) -> Model:
    """Return the model with another meta of what was read, and its integers bound to the same
    checks.
    """
    if model.graph is not None:
        graph = replace(model.graph, meta=meta)
        return replace(model, graph=graph, integer=_bound(model.integer, graph))
    if model.floating is not None:
        floating = replace(model.floating, meta=meta)
        return replace(model, floating=floating, integer=_bound(model.integer, floating))
    if model.integer is not None:
        return replace(model, integer=replace(model.integer, meta=meta))
    return model


def _bound(integer: IntNetwork | None, before: FloatNetwork | FloatGraph) -> IntNetwork | None:
    if integer is None:
        return None
    meta = bound_to({**integer.meta, **before.meta}, before, integer)
    return replace(integer, meta={**meta, **_only_of(integer)})


def _only_of(integer: IntNetwork) -> dict[str, Any]:
    """Return what rounding noted, which the description's meta must not replace."""
    kept = {SOURCE_CHECKS, ASSUMED, NOT_CHECKED}
    return {key: value for key, value in integer.meta.items() if key not in kept}


def _notes(model: Model) -> list[Note]:
    return [
        note
        for net in (model.graph, model.floating, model.integer)
        if net is not None
        for note in notes_of(net.meta, NOT_CHECKED)
    ]
