"""What a node gives, as a sum of linear maps of spikes: exact, in float64.

Between two populations everything is linear: convolutions, batch norm, sums, channels joined and
taken apart, average pooling, upsampling. So what a node gives is a sum of *terms*, one for each
way from some earlier spikes to it, and a constant. Every term is separable along the two axes::

    y[into[o], i, k] += sum_{c, j, l, h, w} weight[o, c, j, l] rows[i, j, h] columns[k, l, w]
                                            x[of[c], h, w]

A convolution's `rows` says which input row tap j of output row i reads; pooling before or behind
it multiplies such a table by the pooling's own matrix, borders included, so nothing has to be
assumed about sizes. Flat values are a ``(N, 1, 1)``, or pieces ``(C, H, W)`` not yet flattened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..folding import EXPANSION_MAX, TABLE_MAX
from .shapes import Misfit

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Size = tuple[int, int, int]


@dataclass(frozen=True)
class Term:
    """One linear map of some spikes.

    Attributes:
        source: the node that sends the spikes.
        of: its channels that are read, ``[C_in]``.
        into: the channels that are added to, ``[C_out]``, each once.
        weight: ``[C_out, C_in, J, L]``; or ``[C_out]``, channel by channel, with one tap.
        rows, columns: ``[H_out, J, H]`` and ``[W_out, L, W]``.
    """

    source: str
    of: Indices
    into: Indices
    weight: Array
    rows: Array
    columns: Array

    @property
    def full_weight(self) -> Array:
        """The weight with four axes."""
        if self.weight.ndim == 4:
            return self.weight
        expect_small(len(self.weight) ** 2, "channels read one by one")
        return np.diag(self.weight)[:, :, None, None]


@dataclass(frozen=True)
class Form:
    """A sum of terms and a constant, of shape ``(C, H, W)``.

    Attributes:
        bias: broadcasts to the shape, ``(C, 1, 1)`` or all of it; None is zero.
    """

    shape: Size
    terms: tuple[Term, ...]
    bias: Array | None = None


@dataclass(frozen=True)
class Flat:
    """Forms flattened in (c, y, x) order, one after another."""

    pieces: tuple[Form, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return sum(prod(piece.shape) for piece in self.pieces)


Value = Form | Flat


def expect_small(weights: int, what: str) -> None:
    """Raise `Misfit` beyond `EXPANSION_MAX` weights."""
    if weights > EXPANSION_MAX:
        remedy = "use sizes that strides and pooling divide, or smaller layers"
        raise Misfit(f"{what} take {weights:,} weights, the limit is {EXPANSION_MAX:,}", remedy)


def spikes_of(source: str, shape: Size) -> Form:
    """Return the spikes of a node themselves."""
    channels = np.arange(shape[0])
    term = Term(
        source,
        channels,
        channels,
        np.ones(shape[0]),
        np.eye(shape[1])[:, None],
        np.eye(shape[2])[:, None],
    )
    return Form(shape, (term,))


def add(forms: Sequence[Form]) -> Form:
    """Return the sum of forms of one shape."""
    biases = [form.bias for form in forms if form.bias is not None]
    terms = tuple(term for form in forms for term in form.terms)
    return Form(forms[0].shape, terms, sum(biases[1:], biases[0]) if biases else None)


def concat(forms: Sequence[Form]) -> Form:
    """Return channels one after another."""
    size = forms[0].shape[1:]
    terms, start = [], 0
    for form in forms:
        terms += [replace(term, into=term.into + start) for term in form.terms]
        start += form.shape[0]
    return Form((start, *size), tuple(terms), _concat_bias(forms, (start, *size)))


def _concat_bias(forms: Sequence[Form], shape: Size) -> Array | None:
    if all(form.bias is None for form in forms):
        return None
    whole = any(form.bias is not None and form.bias.shape[1:] != (1, 1) for form in forms)
    parts = []
    for form in forms:
        wanted = (form.shape[0], *(shape[1:] if whole else (1, 1)))
        parts.append(np.broadcast_to(0.0 if form.bias is None else form.bias, wanted))
    return np.concatenate(parts)


def select(form: Form, channels: Sequence[int]) -> Form:
    """Return some channels, in the order given."""
    wanted = np.asarray(channels)
    terms = []
    for term in form.terms:
        place = np.full(form.shape[0], -1)
        place[term.into] = np.arange(len(term.into))
        (kept,) = np.nonzero(place[wanted] >= 0)
        rows = place[wanted[kept]]
        if not len(rows):
            continue
        single = term.weight.ndim == 1
        of = term.of[rows] if single else term.of
        terms.append(replace(term, of=of, into=kept, weight=term.weight[rows]))
    bias = None if form.bias is None else form.bias[wanted]
    return Form((len(wanted), *form.shape[1:]), tuple(terms), bias)


def scale(form: Form, gain: Array, shift: Array) -> Form:
    """Return ``gain[c] x + shift[c]``; both ``[C]`` or ``[1]``."""
    every = np.broadcast_to(gain, form.shape[:1])
    terms = []
    for term in form.terms:
        each = every[term.into]
        shaped = each.reshape(-1, *[1] * (term.weight.ndim - 1))
        terms.append(replace(term, weight=term.weight * shaped))
    bias = np.broadcast_to(shift, form.shape[:1]).reshape(-1, 1, 1)
    if form.bias is not None:
        bias = bias + form.bias * every.reshape(-1, 1, 1)
    return Form(form.shape, tuple(terms), bias if bias.any() else None)


def along_axes(form: Form, rows: Array, columns: Array) -> Form:
    """Return channel by channel, a matrix along each axis: pooling, upsampling."""
    terms = tuple(
        replace(
            term,
            rows=np.einsum("nm,mjh->njh", rows, term.rows),
            columns=np.einsum("nm,mjh->njh", columns, term.columns),
        )
        for term in form.terms
    )
    bias = None
    if form.bias is not None:
        whole = np.broadcast_to(form.bias, form.shape)
        bias = _narrow(np.einsum("yh,xw,chw->cyx", rows, columns, whole, optimize=True))
    return Form((form.shape[0], len(rows), len(columns)), terms, bias)


def apply(form: Form, weight: Array, bias: Array | None, rows: Array, columns: Array) -> Form:
    """Return a linear map on top, such as a convolution.

    Args:
        form: what it reads.
        weight: ``[C_out, C, J, L]``.
        bias: ``[C_out]`` or None.
        rows, columns: ``[H_out, J, H]`` and ``[W_out, L, W]``.
    """
    outputs = len(weight)
    terms = tuple(_compose(weight[:, term.into], term, rows, columns) for term in form.terms)
    offset: Array | None = None if bias is None else bias.reshape(-1, 1, 1)
    if form.bias is not None:
        whole = np.broadcast_to(form.bias, form.shape)
        passed = np.einsum("ocjl,yjh,xlw,chw->oyx", weight, rows, columns, whole, optimize=True)
        offset = _narrow(passed if offset is None else passed + offset)
    return Form((outputs, len(rows), len(columns)), terms, offset)


def _compose(weight: Array, term: Term, rows: Array, columns: Array) -> Term:
    """Return one term behind another: taps of both, in all pairs."""
    for first, second in ((rows, term.rows), (columns, term.columns)):
        entries = first.shape[0] * first.shape[1] * second.shape[1] * second.shape[2]
        if entries > TABLE_MAX:
            remedy = "put a population between the two, or shrink the kernels"
            raise Misfit(f"{entries:,} taps of kernels in series", remedy)
    both_rows = np.einsum("yJm,mjh->yJjh", rows, term.rows, optimize=True)
    both_columns = np.einsum("xLm,mlw->xLlw", columns, term.columns, optimize=True)
    if term.weight.ndim == 1:
        joined = weight * term.weight[:, None, None]
    else:
        taps = weight.shape[2] * weight.shape[3] * prod(term.weight.shape[2:])
        expect_small(len(weight) * term.weight.shape[1] * taps, "kernels in series")
        joined = np.einsum("ocJL,cijl->oiJjLl", weight, term.weight, optimize=True)
        joined = joined.reshape(
            len(weight), term.weight.shape[1], both_rows.shape[1] * both_rows.shape[2], -1
        )
    return Term(
        source=term.source,
        of=term.of,
        into=np.arange(len(weight)),
        weight=joined,
        rows=both_rows.reshape(len(rows), -1, term.rows.shape[2]),
        columns=both_columns.reshape(len(columns), -1, term.columns.shape[2]),
    )


def apply_dense(value: Flat, weight: Array, bias: Array | None) -> Form:
    """Return a dense matrix ``[N_out, N_in]`` on flat values."""
    forms, start = [], 0
    for piece in value.pieces:
        count = prod(piece.shape)
        part = weight[:, start : start + count].reshape(len(weight), *piece.shape)
        start += count
        forms.append(
            apply(piece, part, None, np.eye(piece.shape[1])[None], np.eye(piece.shape[2])[None])
        )
    whole = add(forms)
    return whole if bias is None else add([whole, Form(whole.shape, (), bias.reshape(-1, 1, 1))])


def flatten(value: Value) -> Flat:
    """Return the value as flat."""
    return value if isinstance(value, Flat) else Flat((value,))


def line(value: Flat) -> Form:
    """Return flat values as channels ``(N, 1, 1)``; expanded where a piece has positions."""
    return concat([_as_channels(piece) for piece in value.pieces])


def _as_channels(form: Form) -> Form:
    if form.shape[1:] == (1, 1):
        return form
    count, terms = prod(form.shape), []
    for term in form.terms:
        weight = term.full_weight
        size = term.rows.shape[2], term.columns.shape[2]
        expect_small(len(weight) * count // form.shape[0] * len(term.of) * prod(size), "positions")
        whole = np.zeros((*form.shape, len(term.of), *size))
        whole[term.into] = np.einsum(
            "ocjl,yjh,xlw->oyxchw", weight, term.rows, term.columns, optimize=True
        )
        each = np.arange(count)
        rows, columns = np.eye(size[0])[None], np.eye(size[1])[None]
        flat = whole.reshape(count, len(term.of), *size)
        terms.append(Term(term.source, term.of, each, flat, rows, columns))
    bias = None
    if form.bias is not None:
        bias = np.broadcast_to(form.bias, form.shape).reshape(-1, 1, 1)
    return Form((count, 1, 1), tuple(terms), bias)


def _narrow(bias: Array) -> Array:
    """Return one constant a channel where all its positions have the same."""
    first = bias[:, :1, :1]
    return first if np.allclose(bias, first, rtol=1e-12, atol=0) else bias
