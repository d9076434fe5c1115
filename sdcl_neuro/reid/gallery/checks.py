"""Checks of what a gallery is given: its model, queries, ages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import kind_of, on_host

from .entries import LARGEST, METRICS


def check_model(address: str, found: tuple[str, int], asked: tuple[str | None, int | None]) -> None:
    """See that a gallery holds the embeddings that are asked for.

    Args:
        address: of the gallery.
        found: its model and dimension.
        asked: the same, as wanted; None where any will do.

    Raises:
        InputError: it does not, or holds none.
    """
    wanted = tuple(f if a is None else a for f, a in zip(found, asked, strict=True))
    if found[1] < 1 or found != wanted:
        raise InputError(
            f"embeddings of model {found[0][:12]} in {found[1]} dimensions; this model is "
            f"{str(wanted[0])[:12]} in {wanted[1]}",
            where=address,
            hint="use the model that made the gallery, or another gallery",
        )


def checked_queries(
    queries: ArrayLike, k: int, metric: str, *, dimension: int
) -> NDArray[np.float32]:
    """Return queries as float32 ``[Q, D]``.

    Args:
        queries: as the user gave them.
        k: how many hits are wanted of each.
        metric: one of `METRICS`.
        dimension: D of the gallery.

    Raises:
        InputError: queries of another size or not finite, k below 1, another metric.
    """
    vectors = np.asarray(on_host(queries))
    if vectors.ndim != 2 or vectors.shape[1] != dimension or vectors.dtype.kind != "f":
        raise InputError(
            f"queries {vectors.dtype} {vectors.shape}",
            where="Gallery.search",
            hint=f"give floats [Q, {dimension}]",
        )
    with np.errstate(over="ignore"):
        single: NDArray[Any] = vectors.astype(np.float32)
    if not (np.abs(single) <= LARGEST).all():
        raise InputError("queries that are not finite, or past 1e15", where="Gallery.search")
    if not isinstance(k, int) or k < 1:
        raise InputError(f"k is {k!r}", where="Gallery.search", hint="give 1 or more")
    if metric not in METRICS:
        raise InputError(f"metric {metric!r}", hint=f"choose {' or '.join(METRICS)}")
    return single


def checked_ids(ids: object) -> list[int]:
    """Return ids of entries as Python's numbers.

    Raises:
        InputError: something else.
    """
    hint = "give a list of ids, such as [3, 7]"
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise InputError(f"expected ids of entries, got {kind_of(ids)}", hint=hint)
    found = list(ids)
    for one in found:
        if isinstance(one, bool) or not isinstance(one, int | np.integer):
            raise InputError(f"expected ids of entries, got {one!r} among them", hint=hint)
    return [int(one) for one in found]


def checked_label(label: object) -> str | None:
    """Return a label.

    Raises:
        InputError: something else than a text.
    """
    if label is None or isinstance(label, str):
        return label
    raise InputError(f"expected a label, got {kind_of(label)}", hint="give a text")


def microseconds(span: timedelta | None) -> int:
    """Return a time span in microseconds; None is 0.

    Raises:
        InputError: a negative one, or something else.
    """
    if span is not None and not isinstance(span, timedelta):
        raise InputError(
            f"expected a time span, got {kind_of(span)}", hint="give a datetime.timedelta(days=30)"
        )
    value = 0 if span is None else span // timedelta(microseconds=1)
    if value < 0:
        raise InputError(f"an age of {span}", hint="give 0 or more")
    return value
