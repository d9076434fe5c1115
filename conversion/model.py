"""A model: a network with the descriptions that are known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sdcl_neuro.errors import InputError, spelled
from sdcl_neuro.network.notes import ASSUMED, Note, notes_of
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork, Shape
from sdcl_neuro.network.spec_convert import dequantize
from sdcl_neuro.network.step import Step, step_of

from .lowering.graph.nodes import FloatGraph

if TYPE_CHECKING:
    from torch import nn

    from .sources.nir.memory import NirGraphLike

ModelLike: TypeAlias = (
    "Model | FloatNetwork | IntNetwork | FloatGraph | nn.Module | NirGraphLike | str | Path"
)
"""A network in any form that a verb takes: what `load` returned, a description in float or
integers, a graph, a torch module, a ``nir.NIRGraph``, or a path."""


@dataclass(frozen=True, repr=False)
class Model:
    """A network with the descriptions that are known of it, at least one.

    Attributes:
        path: the file or folder it was read from; None if it was given as an object.
        floating: the float description.
        integer: the chip's integers; None as long as nothing fixed them.
        graph: the float description of a network that is not a chain; then there is no other.
    """

    path: Path | None = None
    floating: FloatNetwork | None = None
    integer: IntNetwork | None = None
    graph: FloatGraph | None = None

    def __repr__(self) -> str:
        return f"Model({self.where})"

    def __str__(self) -> str:
        place = "" if self.path is None else f"{self.path}\n"
        return f"{place}{self._known()}"

    def _repr_html_(self) -> str:
        known = self._known()
        return known._repr_html_() if hasattr(known, "_repr_html_") else f"<pre>{known}</pre>"

    def _known(self) -> FloatNetwork | IntNetwork | FloatGraph | str:
        return self.integer or self.floating or self.graph or "a model without a network"

    @property
    def where(self) -> str:
        """Return how to call it in a message."""
        return "model" if self.path is None else str(self.path)

    @property
    def input_shape(self) -> Shape:
        """Shape of one time step of the input, ``(C, H, W)`` or ``(N,)``."""
        known = self.integer or self.floating
        if known is None and self.graph is not None:
            if len(self.graph.inputs) == 1:
                return self.graph.inputs[0].shape
            names = ", ".join(node.name for node in self.graph.inputs)
            raise InputError(f"it has several inputs: {names}", where=self.where, hint="name them")
        if known is None:
            raise InputError("a model without a network", where=self.where)
        return known.input_shape

    @property
    def step(self) -> Step | None:
        """The length of a step in seconds and its origin; None where nothing speaks of one."""
        return step_of(self._meta)

    @property
    def assumed(self) -> tuple[Note, ...]:
        """Return what its source did not state and a default stands for."""
        return notes_of(self._meta, ASSUMED)

    @property
    def _meta(self) -> Mapping[str, Any]:
        known = self.floating or self.integer or self.graph
        return {} if known is None else known.meta

    def need_integer(self) -> IntNetwork:
        """Return the integers, or InputError where none are fixed."""
        if self.integer is None:
            raise InputError(
                "only a float network is known, no chip integers",
                where=self.where,
                hint=spelled(
                    python="quantise it: conversion.quantize(net, calibration=spikes)",
                    command=f"quantise it: {self._convert()}, then give {self._named('.net')}",
                ),
            )
        return self.integer

    def _named(self, ending: str) -> str:
        return "OUT.net" if self.path is None else str(self.path.with_suffix(ending))

    def _convert(self) -> str:
        """Return the command that fixes the integers."""
        given = self.step is not None and self.step.source.startswith("given")
        step = f" --dt {self.step.seconds:g}" if given and self.step and self.step.seconds else ""
        model = "MODEL" if self.path is None else self.path
        return f"sdcl-neuro convert {model} {self._named('.net')} --calibrate SPIKES{step}"

    def need_float(self) -> FloatNetwork:
        """Return the float description; if there is none, the integers taken as floats."""
        if self.floating is not None:
            return self.floating
        return dequantize(self.need_integer())
