"""A model from one file format to another, with an account of what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal, spelled
from sdcl_neuro.files import atomic_path, keep_apart, write_json
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.hardware.placement.text import verdict
from sdcl_neuro.network.identity import path_sha256, versions
from sdcl_neuro.network.notes import Note
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntNetwork, Shape
from sdcl_neuro.network.spike_file import Spikes
from sdcl_neuro.network.step import Step

from .approximation import describe
from .model import Model, load_model
from .quantisation.effect import Effect, effect_of, measure_effect
from .quantisation.report import QuantizationReport, quantization_report
from .quantisation.rounding import layer_refusals, quantize
from .targets.netx.file import to_netx
from .targets.nir.forms import ASSUMED_STEP, FORMS, form_of
from .targets.nir.writer import to_nir, written_step

SCHEMA = {"name": "sdcl_neuro.convert", "version": 1}
ENDINGS = (".net", ".nir")


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

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the outcome calls for attention, and what to do about it."""
        if self.effect is None:
            return ()
        remedy = "give --calibrate SPIKES" if self.effect.random else "train on in integers"
        return tuple(f"{complaint}; {remedy}" for complaint in self.effect.warnings)

    @property
    def report_path(self) -> Path:
        """Where the account is stored: the output's name with ``.json`` behind it."""
        return self.out.with_name(self.out.name + ".json")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": dict(SCHEMA),
            "model": {"name": self.model.name, "sha256": self.model_sha256},
            "out": {"name": self.out.name, "sha256": self.out_sha256, "kind": self.kind},
            "step": None if self.step is None else self.step.to_json(),
            "written_step": None if self.written_step is None else self.written_step.to_json(),
            "afterwards": list(self.afterwards),
            "assumed": [note.to_json() for note in self.assumed],
            "folded": list(self.folded),
            "rounded": [dict(entry) for entry in self.rounded],
            "approximate": [dict(entry) for entry in self.approximated],
            "refused": [
                {"where": reason.where, "what": reason.what, "mend": reason.mend}
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
        return "\n".join(lines if self.measured is None else [*lines, str(self.measured)])


def transfer(
    source: Path | str,
    out: Path | str,
    *,
    calibration: Spikes | None = None,
    approximate: bool = False,
    hw: HardwareProfile | None = None,
    dt: float | None = None,
    writer: str | None = None,
    input_shape: Shape | None = None,
    skip_input: bool = False,
    reader: str | None = None,
) -> Transfer:
    """Convert a model file.

    Both the output and its account beside it are written, or neither; a network that is refused
    leaves only the account, which then holds the reasons.

    Args:
        source: a checkpoint folder, ``.nir`` or ``.net``.
        out: ends in ``.net`` (the chip's integers) or ``.nir``.
        calibration: spikes ``[T, B, *input_shape]`` that choose the scales of a float network.
        approximate: take what is listed as approximate, set and measured on `calibration`.
        hw: a target whose limits the network must keep, else nothing is written.
        dt, writer, input_shape, skip_input: how to read `source`; see `model.load_model`.
        reader: the library that is to read the ``.nir`` that is written; see `conversion.to_nir`.

    Raises:
        CheckFailed: a limit of `hw` is exceeded, every one in the message.
        InputError: another ending, a damaged file, calibration where nothing is left to scale.
        NetworkRefused: the network cannot be said in that format, every reason at once.
    """
    source, out = Path(source), Path(out)
    _check_paths(source, out)
    if reader is not None and out.suffix != ".nir":
        where = spelled(python="reader", command="--for")
        raise InputError(f"{reader} reads NIR", where=where, mend="name the output OUT.nir")
    if approximate and calibration is None:
        what = "an approximation is set and measured on data, and there is none"
        raise InputError(what, where="--approximate", mend="give --calibrate SPIKES")
    try:
        known = calibration if approximate else None
        model = load_model(
            source,
            approximate=known,
            dt=dt,
            writer=writer,
            input_shape=input_shape,
            skip_input=skip_input,
            sample_shape=None if calibration is None else tuple(calibration.shape[2:]),
        )
        done = Transfer(source, out, path_sha256(source), step=model.step, assumed=model.assumed)
        net, done = _prepare(model, done, calibration)
        if hw is not None:
            done = replace(done, fit=fit(net, hw).require())
        with atomic_path(out) as temporary:
            if isinstance(net, IntNetwork) and out.suffix == ".net":
                digest = to_netx(net, temporary)
            else:
                digest = to_nir(net, temporary, reader=reader)
                done = _written(done, net, reader)
            kind = "integer" if isinstance(net, IntNetwork) else "float"
            done = replace(done, out_sha256=digest, kind=kind)
            write_json(done.report_path, done.to_json())
    except NetworkRefused as error:
        error = _with_limits(error, out)
        refused = Transfer(source, out, path_sha256(source), refused=error.refusals)
        write_json(refused.report_path, refused.to_json())
        raise error from None
    return done


def _written(done: Transfer, net: FloatNetwork | IntNetwork, reader: str | None) -> Transfer:
    """The account of a ``.nir``, with the step that it was written for."""
    seconds, source = written_step(net, reader=reader)
    assumed = done.assumed
    if source == ASSUMED_STEP:
        known = ", ".join(FORMS)
        hint = spelled(python=f"give reader= one of {known}", command=f"give --for {known}")
        note = Note(f"the step that is written: {seconds:g} s", f"nothing states one; {hint}")
        assumed = (*assumed, note)
    return replace(
        done,
        written_step=Step(seconds, source),
        afterwards=form_of(reader).afterwards,
        assumed=assumed,
    )


def _with_limits(error: NetworkRefused, out: Path) -> NetworkRefused:
    """Add what the chip's integers would refuse of the layers that could be read."""
    known = [layer for layer in error.layers if isinstance(layer, FloatLayer)]
    if out.suffix != ".net" or not known:
        return error
    more = [reason for layer in known for reason in layer_refusals(f"layer {layer.name}", layer)]
    if not more:
        return error
    return NetworkRefused([*error.refusals, *more], where=error.where)


def _check_paths(source: Path, out: Path) -> None:
    if out.suffix not in ENDINGS:
        raise InputError(
            f"unknown ending {out.suffix!r} of an output",
            where=str(out),
            mend=f"use {' or '.join(ENDINGS)}",
        )
    if out.is_dir():
        raise InputError("the output is a folder", where=str(out), mend="give a file's name")
    keep_apart(out, source)


def _prepare(
    model: Model, done: Transfer, calibration: Spikes | None
) -> tuple[FloatNetwork | IntNetwork, Transfer]:
    """The network to write, and the account of how it came about."""
    floating, integer = model.floating, model.integer
    notes = () if floating is None else tuple(floating.meta.get("approximate", ()))
    done = replace(done, approximated=notes)
    scaled = floating is not None and done.out.suffix == ".net"
    if calibration is not None and not scaled and not notes:
        what = "there is nothing to calibrate, only a float network going to .net is scaled"
        raise InputError(what, where="--calibrate", mend="leave it out")
    folded = () if floating is None else tuple(map(str, floating.meta.get("lowered", ())))
    done = replace(done, folded=folded)
    if done.out.suffix == ".nir" and floating is not None:
        # Scales that training has not fixed are no part of the network.
        layers = floating.layers
        if integer is None:
            layers = tuple(replace(layer, scale=None) for layer in layers)
        written = replace(floating, layers=layers)
        return written, replace(done, effect=measure_effect(written, None, calibration))
    if floating is None:
        net = model.need_integer()
        return net, replace(done, effect=measure_effect(None, net))
    if integer is None:
        bits = int(floating.meta.get("message_bits", 0))
        # Float training's last scales are not binding, the data's are.
        plain = tuple(replace(layer, scale=None) for layer in floating.layers)
        floating = replace(floating, layers=plain)
        integer = quantize(floating, calibration=calibration, message_bits=bits)
    rounded = tuple(integer.meta.get("quantisation", ()))
    if calibration is None:
        effect = measure_effect(floating, integer)
        return integer, replace(done, rounded=rounded, effect=effect)
    measured = quantization_report(floating, integer, calibration)
    effect = effect_of(measured, integer)
    return integer, replace(done, rounded=rounded, measured=measured, effect=effect)
