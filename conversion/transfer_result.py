"""What a conversion did: the account that it prints and saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import Refusal, hint_json
from sdcl_neuro.hardware.placement import Fit
from sdcl_neuro.hardware.placement.fit_text import verdict
from sdcl_neuro.network.backend_names import labels
from sdcl_neuro.network.identity import versions
from sdcl_neuro.network.notes import Note
from sdcl_neuro.network.step import Step

from .approximation import describe
from .parity.certificate import PairParity, pair_to_json
from .quantisation.effect import Effect
from .quantisation.report import QuantizationReport
from .targets.place import report_path
from .targets.table import find_target
from .targets.written import Written

SCHEMA = {"name": "sdcl_neuro.convert", "version": 1}


@dataclass(frozen=True)
class Transfer:
    """What a conversion did.

    Attributes:
        model, out: the two paths.
        model_sha256, out_sha256: of the files; `out_sha256` is None if nothing was written.
        kind: ``integer`` or ``float``, what was written.
        folded: what was folded or left out before, in words.
        rounded: per layer, what rounding to integers did (``meta["quantisation"]``).
        approximated: per layer, what is not exact and what was measured of it
            (``meta["approximate"]``).
        refused: why nothing was written.
        measured: both networks' spikes on the calibration data, if it was given.
        effect: what each layer sends before and after rounding, on the calibration data or else on
            random spikes; None if nothing was written.
        fit: on the hardware asked for; None if none was.
        step: the length of a step that the model was read for, and its origin; None where nothing
            speaks of one.
        written_step: that of a ``.nir`` that was written.
        afterwards: what the reader of a ``.nir`` has to do once it has read it.
        assumed: what was taken by default, in reading and in writing.
        not_checked: what the comparison with the source leaves open, each with its reason.
        source: the source beside its description, as in a certificate.
        target: what was written for, by name.
        written: the files, and what the target says of them; None if nothing was written.
        cheaper: of a graph, forms of it that would take clearly less of the chip.
    """

    model: Path
    out: Path
    model_sha256: str
    out_sha256: str | None = None
    kind: str | None = None
    folded: tuple[str, ...] = ()
    rounded: tuple[Mapping[str, Any], ...] = ()
    approximated: tuple[Mapping[str, Any], ...] = ()
    refused: tuple[Refusal, ...] = ()
    measured: QuantizationReport | None = field(default=None, compare=False)
    effect: Effect | None = None
    fit: Fit | None = None
    step: Step | None = None
    written_step: Step | None = None
    afterwards: tuple[str, ...] = ()
    assumed: tuple[Note, ...] = ()
    not_checked: tuple[Note, ...] = ()
    source: tuple[PairParity, ...] = ()
    target: str = "netx"
    written: Written | None = None
    cheaper: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the outcome, each with what to do about it."""
        if self.effect is None:
            return self.cheaper
        remedy = "give --calibrate SPIKES" if self.effect.random else "train on in integers"
        complaints = tuple(f"{complaint}; {remedy}" for complaint in self.effect.warnings)
        return (*complaints, *self.cheaper)

    @property
    def report_path(self) -> Path:
        """Return where the report is stored: next to the output, or in its folder."""
        return report_path(self.out, find_target(self.out, self.target))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "schema": dict(SCHEMA),
            "model": {"name": self.model.name, "sha256": self.model_sha256},
            "out": {"name": self.out.name, "sha256": self.out_sha256, "kind": self.kind},
            "target": self.target,
            "files": [] if self.written is None else [path.name for path in self.written.files],
            "facts": {} if self.written is None else dict(self.written.facts),
            "step": None if self.step is None else self.step.to_json(),
            "written_step": None if self.written_step is None else self.written_step.to_json(),
            "afterwards": list(self.afterwards),
            "assumed": [note.to_json() for note in self.assumed],
            "not_checked": [note.to_json() for note in self.not_checked],
            "source": [pair_to_json(pair) for pair in self.source],
            "folded": list(self.folded),
            "rounded": [dict(entry) for entry in self.rounded],
            "approximate": [dict(entry) for entry in self.approximated],
            "refused": [
                {"where": reason.where, "what": reason.what, **hint_json(reason.hint)}
                for reason in self.refused
            ],
            "measured": None if self.measured is None else self.measured.to_dict(),
            "effect": None if self.effect is None else self.effect.to_json(),
            "warnings": list(self.warnings),
            "fit": None if self.fit is None else {"hw": self.fit.hw, **self.fit.summary()},
            "versions": versions(),
        }

    def __str__(self) -> str:
        lines = [
            f"{self.model} -> {self.out} ({self.kind}), sha256 {(self.out_sha256 or '-')[:16]}"
        ]
        lines += [] if self.step is None else [f"  step     {self.step}"]
        if self.written_step is not None:
            lines.append(f"  written for a step of {self.written_step}")
        lines += [f"  then     {text}" for text in self.afterwards]
        for pair in self.source:
            lines.append(f"  source   {labels(pair.backends, ' and ')}: {pair.verdict}")
        lines += [f"  not checked  {note}" for note in self.not_checked]
        lines += [f"  assumed  {note}" for note in self.assumed]
        lines += [f"  folded   {note}" for note in self.folded]
        lines += [f"  approximate  {line}" for line in describe(self.approximated)]
        for entry in self.rounded:
            lines.append(
                f"  rounded  {entry['name']}: scale {entry['scale']:.6g} ({entry['scale_from']}), "
                f"weights off by at most {entry['weight_error_max']:.3g}, "
                f"{entry['weights_clipped']} clipped, threshold {entry['threshold_error']:+.2g}, "
                f"beta {entry['beta_error']:+.2g}"
            )
            if entry["may_wrap"]:
                lines.append(
                    f"           {entry['name']}: some input could wrap its current around"
                )
        if not (self.folded or self.rounded or self.approximated):
            lines.append("  nothing was folded or rounded")
        if self.effect is not None:
            lines.append(f"  spikes   {self.effect}")
        lines += [f"  warning  {text}" for text in self.warnings]
        if self.fit is not None:
            lines.append(f"  {self.fit.hw}: {verdict(self.fit)}")
        if self.written is not None and len(self.written.files) > 1:
            lines.append(f"  files    {', '.join(path.name for path in self.written.files)}")
        if self.written is not None:
            lines += [f"  {line}" for line in self.written.lines]
        return "\n".join(lines if self.measured is None else [*lines, str(self.measured)])
