"""A certificate as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sdcl_neuro.errors import number_of
from sdcl_neuro.network.backend_names import label
from sdcl_neuro.network.step import Step

if TYPE_CHECKING:
    from .certificate import Certificate, LayerParity, PairParity


def render(certificate: Certificate) -> str:
    """Return the certificate in lines of text: what was compared, a table per pair, the verdict."""
    model, spikes = certificate.model, certificate.spikes
    lines = [
        "Parity certificate" + (" (kept from an earlier run)" if certificate.cached else ""),
        f"  model   {model['name'] or 'network'}  sha256 {(model['sha256'] or '-')[:16]}"
        f"  network {model['network_sha256'][:16]}",
        *([] if not model.get("step") else [f"  step    {Step(**model['step'])}"]),
        f"  spikes  {_input(spikes)}",
        "  with    "
        + ", ".join(f"{key} {value}" for key, value in certificate.versions.items() if value),
    ]
    for pair in certificate.pairs:
        lines += ["", *_table(pair)]
    for title, notes in (
        ("not checked", certificate.not_checked),
        ("assumed", certificate.assumed),
    ):
        if notes:
            lines += ["", title, *(f"  {note}" for note in notes)]
    if any(pair.holds is not None for pair in certificate.pairs):
        lines += ["", _verdict(certificate)]
    return "\n".join(lines)


def _input(spikes: Mapping[str, Any]) -> str:
    steps, samples = spikes["shape"][:2]
    return (
        f"{number_of(steps, 'step')}, {number_of(samples, 'sample')}, "
        f"{spikes['total']:,} spikes, {spikes['source']}  sha256 {spikes['sha256'][:16]}"
    )


def _verdict(certificate: Certificate) -> str:
    if not certificate.holds:
        return "PARITY BROKEN"
    count = len(certificate.not_checked)
    return f"every verdict holds, {count} not checked" if count else "every verdict holds"


def _table(pair: PairParity) -> list[str]:
    one, two = map(label, pair.backends)
    width = max([5, *(len(layer.name) for layer in pair.layers)])
    columns = [max(12, len(one)), max(12, len(two))]
    lines = [
        f"{one} and {two}: {pair.verdict}",
        f"  {'layer':<{width}}  {one:>{columns[0]}}  {two:>{columns[1]}}"
        f"  {'compared':>14}  {'mismatches':>10}",
    ]
    if pair.spikes is not None:
        lines.insert(1, f"  on {_input(pair.spikes)}")
    for layer in pair.layers:
        lines.append(
            f"  {layer.name:<{width}}  {layer.spikes[0]:>{columns[0]},}"
            f"  {layer.spikes[1]:>{columns[1]},}  {layer.compared:>14,}  {layer.mismatches:>10,}"
        )
        lines += [f"  {'':<{width}}  {note}" for note in _notes(pair, layer)]
    return lines


def _notes(pair: PairParity, layer: LayerParity) -> list[str]:
    notes = []
    if layer.shift:
        late = f"{number_of(abs(layer.shift), 'step')} {'late' if layer.shift > 0 else 'early'}"
        notes.append(f"{label(pair.backends[1])} {late}, taken out")
    if layer.first is not None:
        first = layer.first
        values = ", ".join(
            f"{label(a)} {b}" for a, b in zip(pair.backends, first.values, strict=True)
        )
        notes.append(
            f"first at step {first.step}, sample {first.sample}, neuron {first.neuron}: {values}"
        )
        if pair.kind == "exact":
            notes.append(f"cause found by experiment: {first.cause}")
        known = [
            f"{label(name)} {membrane:,.10g}"
            for name, membrane in zip(pair.backends, first.membranes, strict=True)
            if membrane is not None
        ]
        if known:
            notes.append(f"membrane there, before its reset: {', '.join(known)}")
    if layer.rounding is not None:
        rounding = layer.rounding
        notes.append(
            f"{number_of(round(rounding['neurons']), 'neuron')} within rounding of the threshold, "
            f"{rounding['following']:.0f} mismatches following from them, "
            f"{rounding['unexplained']:.0f} unexplained"
        )
    return notes
