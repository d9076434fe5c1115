"""Max pooling of spikes: one neuron a window, which fires where any spike in the window does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import spelled
from sdcl_neuro.network.spec import FloatNeuron

from ..pooling import window_axis
from .forms import Form, Term
from .lattice import common_lattice
from .nodes import PoolNode
from .shapes import Misfit
from .units import Afferent, Unit

Array = NDArray[np.float64]


def _after() -> str:
    return (
        "pool after the neuron: synapse, neuron, MaxPool; or use average pooling; or let it be "
        "moved there and measured: "
    ) + spelled(
        python="approximate=True with calibration data", command="--approximate --calibrate SPIKES"
    )


def windows_of(node: PoolNode, shape: tuple[int, int, int]) -> tuple[Array, Array]:
    """Return what each window reads along each axis, ``[outputs, taps, inputs]`` of 0 and 1."""
    tables = []
    for axis in range(2):
        size = shape[1 + axis]
        if node.size is not None:
            table = _adaptive(size, node.size[axis])
        else:
            kernel, stride = node.kernel[axis], node.stride[axis]
            dilation, padding = node.dilation[axis], node.padding[axis]
            span = dilation * (kernel - 1) + 1
            count = len(
                window_axis(
                    size, kernel=span, stride=stride, padding=padding, ceil=node.ceil, divide="none"
                ).matrix
            )
            where = stride * np.arange(count)[:, None] - padding + dilation * np.arange(kernel)
            table = (where[:, :, None] == np.arange(size)).astype(np.float64)
        tables.append(table)
    return tables[0], tables[1]


def _adaptive(size: int, wanted: int) -> Array:
    """Return windows from ``floor(i size / wanted)`` to ``ceil((i + 1) size / wanted)``."""
    table = np.zeros((wanted, size, size))
    for index in range(wanted):
        start, stop = index * size // wanted, -(-(index + 1) * size // wanted)
        table[index, np.arange(stop - start), np.arange(start, stop)] = 1.0
    return table


def any_of(node: PoolNode, form: Form, windows: tuple[Array, Array]) -> Unit:
    """Return the unit of a max pooling over `form`, which has to be spikes and nothing else."""
    _expect_spikes(form)
    rows, columns = windows
    channels = form.shape[0]
    afferents = []
    for source in dict.fromkeys(term.source for term in form.terms):
        terms = [term for term in form.terms if term.source == source]
        of = np.unique(np.concatenate([term.of for term in terms]))
        tables = [
            tuple(
                np.einsum("njm,mh->njh", window, table[:, 0])
                for window, table in ((rows, term.rows), (columns, term.columns))
            )
            for term in terms
        ]
        lattices = [common_lattice([each[axis] for each in tables]) for axis in range(2)]
        shape = (channels, len(of), lattices[0].hits.shape[1], lattices[1].hits.shape[1])
        weight = np.zeros(shape)
        for index, term in enumerate(terms):
            taps = np.outer(lattices[0].spreads[index].any(0), lattices[1].spreads[index].any(0))
            weight[term.into, np.searchsorted(of, term.of)] += taps
        afferents.append(
            Afferent(source, of, (weight > 0).astype(float), lattices[0].hits, lattices[1].hits)
        )
    return Unit(
        name=node.name,
        node=node.name,
        kind="or",
        channels=np.arange(channels),
        size=(len(rows), len(columns)),
        afferents=tuple(afferents),
        neuron=FloatNeuron(0.0, 0.0),
    )


def _expect_spikes(form: Form) -> None:
    """Check that each channel is one channel's spikes, at places that may be chosen or repeated."""
    receives = np.zeros(form.shape[0], dtype=np.int64)
    for term in form.terms:
        receives[term.into] += 1
        if not _picks(term):
            raise Misfit("takes the maximum of weighted sums, not of spikes", _after())
    if form.bias is not None:
        raise Misfit("takes the maximum of sums with a bias, not of spikes", _after())
    if (receives > 1).any():
        remedy = "pool each summand, which is no longer the same, or pool before the sum"
        raise Misfit("takes the maximum of a sum of spikes, which may count beyond one", remedy)


def _picks(term: Term) -> bool:
    """Return whether every output is one input's spike, or silence."""
    if term.weight.ndim != 1 or (term.weight != 1).any():
        return False
    return all(
        table.shape[1] == 1 and np.isin(table, (0, 1)).all() and (table.sum((1, 2)) <= 1).all()
        for table in (term.rows, term.columns)
    )
