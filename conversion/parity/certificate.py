"""The parity certificate: which backends agree on which network, spike for spike, and if not, why.

Its JSON is for others to read: ``schema`` names the shape, and a change of shape its version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import write_json
from sdcl_neuro.network.backend_names import labels
from sdcl_neuro.network.content import Result
from sdcl_neuro.network.display import table_html
from sdcl_neuro.network.notes import Note

SCHEMA = {"name": "sdcl_neuro.certificate", "version": 2}

PairKind = Literal["exact", "float", "agreement"]


@dataclass(frozen=True)
class FirstMismatch:
    """The first neuron step, in time, then sample, then neuron, at which two sides differ.

    Attributes:
        step, sample: indices from 0.
        neuron: ``(c, y, x)`` or ``(n,)``.
        values: what each side sent.
        cause: what was found by experiment (`cause.find_cause`), or ``unknown``.
        membranes: of each side as it is compared with the threshold, in the chip's units (a weight
            of one is 2^6); the other side's is what the cause found makes of it. None where it is
            not known, as in float.
    """

    step: int
    sample: int
    neuron: tuple[int, ...]
    values: tuple[int, int]
    cause: str
    membranes: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class LayerParity:
    """One layer of one pair.

    Attributes:
        index, name: of the layer.
        spikes: of each side, all samples.
        compared: neuron steps compared.
        mismatches: neuron steps that differ.
        first: None if nothing differs.
        rounding: for a float pair that differs: neurons within rounding of the threshold, what
            follows from them, what neither explains (`rounding.LayerRounding`).
        shift: steps by which the other side's spikes come later, already taken out; None where
            nothing was aligned.
    """

    index: int
    name: str
    spikes: tuple[int, int]
    compared: int
    mismatches: int
    first: FirstMismatch | None = None
    rounding: Mapping[str, float] | None = None
    shift: int | None = None


@dataclass(frozen=True)
class PairParity:
    """Two backends on the same network and spikes.

    Attributes:
        backends: the one compared with, then the other.
        kind: ``exact`` and ``float`` pairs have a verdict; ``agreement`` is a figure only.
        holds: the verdict; None for an agreement.
        verdict: the same in words.
        layers: one entry per layer compared.
        spikes: the input of a pair that was compared on another one than the certificate's, as the
            certificate has it; None where it is the same.
    """

    backends: tuple[str, str]
    kind: PairKind
    holds: bool | None
    verdict: str
    layers: tuple[LayerParity, ...]
    spikes: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Certificate(Result):
    """What `verify` returns.

    Attributes:
        model: ``name`` of the file if there is one, its ``sha256``, ``network_sha256``.
        spikes: ``sha256``, ``shape`` ``[T, B, ...]``, ``total`` and where they came from.
        versions: of all libraries; None for what is not installed.
        pairs: what was compared: first the source with its description, if that is known, then an
            entry per pair of backends.
        recorded: of spikes recorded elsewhere: ``name`` of the file if there is one, ``sha256``,
            and ``shift``, the steps that the user stated, by layer; None where none were compared.
        not_checked: what the verdicts do not cover, each with its reason; a reader or writer of
            networks adds to it through `network.notes`.
        assumed: what the source did not state and a default stands for, likewise.
        cached: whether it was read from the cache instead of computed.
    """

    LABELS = frozenset({"cached"})

    model: Mapping[str, Any]
    spikes: Mapping[str, Any]
    versions: Mapping[str, str | None]
    pairs: tuple[PairParity, ...]
    recorded: Mapping[str, Any] | None = None
    not_checked: tuple[Note, ...] = ()
    assumed: tuple[Note, ...] = ()
    cached: bool = False

    @property
    def holds(self) -> bool:
        """Return whether no pair with a verdict is broken."""
        return all(pair.holds is not False for pair in self.pairs)

    @property
    def complete(self) -> bool:
        """Return whether nothing is listed as not checked."""
        return not self.not_checked

    @property
    def exit_code(self) -> int:
        """0 if every verdict holds, else 1; what was not checked does not count."""
        return 0 if self.holds else 1

    def to_json(self, path: Path | str | None = None) -> dict[str, Any]:
        """Return plain values, and write them to a file if one is named."""
        values = {
            "schema": dict(SCHEMA),
            "holds": self.holds,
            "model": dict(self.model),
            "spikes": dict(self.spikes),
            "versions": dict(self.versions),
            "pairs": [pair_to_json(pair) for pair in self.pairs],
            "recorded": None if self.recorded is None else dict(self.recorded),
            "not_checked": [note.to_json() for note in self.not_checked],
            "assumed": [note.to_json() for note in self.assumed],
        }
        if path is not None:
            write_json(path, values)
        return values

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Certificate:
        """Return the certificate that `to_json` gave.

        Raises:
            InputError: another schema, or a part is missing.
        """
        try:
            if value["schema"] != SCHEMA:
                raise InputError(f"schema {value['schema']} is not {SCHEMA}", hint="verify again")
            pairs = tuple(pair_from_json(pair) for pair in value["pairs"])
            return cls(
                value["model"],
                value["spikes"],
                value["versions"],
                pairs,
                recorded=value["recorded"],
                not_checked=tuple(Note(**note) for note in value["not_checked"]),
                assumed=tuple(Note(**note) for note in value["assumed"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not a certificate ({error!r})", hint="verify again") from error

    def as_cached(self) -> Certificate:
        """Return the same, marked as read from the cache."""
        return replace(self, cached=True)

    def _repr_html_(self) -> str:
        head = ("pair", "kind", "verdict", "neuron steps", "differ", "first difference")
        rows: list[tuple[str, ...]] = []
        for pair in self.pairs:
            broken = next((layer for layer in pair.layers if layer.first is not None), None)
            place = ""
            if broken is not None and broken.first is not None:
                place = f"{broken.name}, step {broken.first.step}: {broken.first.cause}"
            compared = sum(layer.compared for layer in pair.layers)
            differ = sum(layer.mismatches for layer in pair.layers)
            names = labels(pair.backends)
            rows.append((names, pair.kind, pair.verdict, f"{compared:,}", f"{differ:,}", place))
        rows += [("not checked", "", str(note), "", "", "") for note in self.not_checked]
        rows += [("assumed", "", str(note), "", "", "") for note in self.assumed]
        verdict = "every verdict holds" if self.holds else "parity broken"
        return table_html(f"Parity certificate: {verdict}", head, rows)

    def __str__(self) -> str:
        from .certificate_text import render

        return render(self)


def pair_to_json(pair: PairParity) -> dict[str, Any]:
    """Return plain values of one pair."""
    layers = [_layer_json(pair.backends, layer) for layer in pair.layers]
    given = None if pair.spikes is None else dict(pair.spikes)
    return {**asdict(pair), "backends": list(pair.backends), "layers": layers, "spikes": given}


def _layer_json(backends: tuple[str, str], layer: LayerParity) -> dict[str, Any]:
    first = None
    if layer.first is not None:
        first = {
            **asdict(layer.first),
            "neuron": list(layer.first.neuron),
            "values": dict(zip(backends, layer.first.values, strict=True)),
            "membranes": dict(zip(backends, layer.first.membranes, strict=True)),
        }
    return {
        **asdict(layer),
        "spikes": dict(zip(backends, layer.spikes, strict=True)),
        "first": first,
        "rounding": None if layer.rounding is None else dict(layer.rounding),
    }


def pair_from_json(value: Mapping[str, Any]) -> PairParity:
    """Return the pair that `pair_to_json` gave; KeyError, TypeError or ValueError for anything
    else.
    """
    one, two = value["backends"]
    layers = []
    for layer in value["layers"]:
        first = layer["first"]
        if first is not None:
            values = (int(first["values"][one]), int(first["values"][two]))
            membranes = first.get("membranes", {})
            first = FirstMismatch(
                step=int(first["step"]),
                sample=int(first["sample"]),
                neuron=tuple(first["neuron"]),
                values=values,
                cause=str(first["cause"]),
                membranes=(membranes.get(one), membranes.get(two)),
            )
        spikes = (int(layer["spikes"][one]), int(layer["spikes"][two]))
        layers.append(LayerParity(**{**layer, "spikes": spikes, "first": first}))
    return PairParity(
        backends=(one, two),
        kind=value["kind"],
        holds=value["holds"],
        verdict=str(value["verdict"]),
        layers=tuple(layers),
        spikes=value.get("spikes"),
    )
