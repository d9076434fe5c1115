"""A model from one file format to another, with an account of what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, NetworkRefused, Refusal, hint_json, spelled
from sdcl_neuro.files import write_json
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.hardware.placement.fit_text import verdict
from sdcl_neuro.network.identity import path_sha256, versions
from sdcl_neuro.network.notes import NOT_CHECKED, Note, notes_of
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntNetwork, Shape
from sdcl_neuro.network.spike_file import Spikes
from sdcl_neuro.network.step import Step

from .approximation import describe
from .graph_transfer import graph_options, prepare_graph
from .lowering.graph.prices import Cure
from .model import Model, load_model
from .parity.certificate import PairParity, pair_to_json
from .parity.first_link import with_first_link
from .parity.source_check import checks_of
from .quantisation.effect import Effect, effect_of, measure_effect
from .quantisation.report import QuantizationReport, quantization_report
from .quantisation.rounding import layer_refusals, quantize
from .targets.nir.forms import ASSUMED_STEP, FORMS, form_of
from .targets.nir.writer import written_step
from .targets.place import check_place, refuse_foreign, report_path, staged
from .targets.table import Target, find_target
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
        """What of the outcome calls for attention, and what to do about it."""
        if self.effect is None:
            return self.cheaper
        remedy = "give --calibrate SPIKES" if self.effect.random else "train on in integers"
        complaints = tuple(f"{complaint}; {remedy}" for complaint in self.effect.warnings)
        return (*complaints, *self.cheaper)

    @property
    def report_path(self) -> Path:
        """Where the account is stored: beside the output, or in its folder."""
        return report_path(self.out, find_target(self.out, self.target))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
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
            lines.append(f"  source   {' and '.join(pair.backends)}: {pair.verdict}")
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
    target: str | None = None,
    vectors: Spikes | None = None,
    relays: Cure | None = None,
    growth: float | None = None,
) -> Transfer:
    """Convert a model file.

    Both the output and its account beside it are written, or neither; a network that is refused
    leaves only the account, which then holds the reasons.

    Args:
        source: a checkpoint folder, ``.nir`` or ``.net``.
        out: its ending says the target (`targets.table`): ``.net``, ``.nir``, ``.c``, ``.onnx``.
        calibration: spikes ``[T, B, *input_shape]`` that choose the scales of a float network.
        approximate: take what is listed as approximate, set and measured on `calibration`.
        hw: a target whose limits the network must keep, else nothing is written.
        dt, writer, input_shape, skip_input: how to read `source`; see `model.load_model`.
        reader: the library that is to read the ``.nir`` that is written; see `conversion.to_nir`.
        target: name of the target; None takes it from the ending. ``verilog`` fills a folder.
        vectors: spikes ``[T, B, *input_shape]`` of the test vectors, for targets that have them;
            None draws random ones. They also say the input's shape where a ``.net`` does not.
        relays, growth: for a graph only; see `quantize`. None takes the defaults.

    Raises:
        CheckFailed: a limit of `hw` is exceeded, every one in the message.
        InputError: another ending, a damaged file, calibration where nothing is left to scale.
        NetworkRefused: the network cannot be said in that format, every reason at once.
    """
    source, out = Path(source), Path(out)
    row = find_target(out, target)
    check_place(out, row, source)
    if reader is not None and "reader" not in row.options:
        where = spelled(python="reader", command="--for")
        raise InputError(f"{reader} reads NIR", where=where, hint="name the output OUT.nir")
    if vectors is not None and not row.vectors and source.suffix != ".net":
        what = f"{row.name} holds no test vectors"
        remedy = spelled(
            python="leave them out, or call to_bundle",
            command="leave them out, or add --bundle DIR",
        )
        raise InputError(what, where=spelled(python="vectors", command="--spikes"), hint=remedy)
    if approximate and calibration is None:
        what = "an approximation is set and measured on data, and there is none"
        raise InputError(what, where="--approximate", hint="give --calibrate SPIKES")
    try:
        known = calibration if approximate else None
        at_hand = vectors if calibration is None else calibration
        model = load_model(
            source,
            approximate=known,
            dt=dt,
            writer=writer,
            input_shape=input_shape,
            skip_input=skip_input,
            sample_shape=None if at_hand is None else tuple(at_hand.shape[2:]),
        )
        model = with_first_link(model, calibration, dt=dt, writer=writer)
        done = Transfer(
            source,
            out,
            path_sha256(source),
            step=model.step,
            assumed=model.assumed,
            target=row.name,
            **_first_link(model),
        )
        wanted = graph_options(model, relays, growth)
        net, done = _prepare(model, done, calibration, row, wanted)
        if hw is not None:
            done = replace(done, fit=fit(net, hw).require())
        if "reader" in row.options:
            done = _written(done, net, reader)
        options = {"reader": reader} if "reader" in row.options else {}
        return _write(net, done, row, spikes=vectors, **options)
    except NetworkRefused as error:
        error = _with_limits(error, row)
        refused = Transfer(
            source, out, path_sha256(source), refused=error.refusals, target=row.name
        )
        if row.ending or not out.exists():
            write_json(refused.report_path, refused.to_json())
        raise error from None


def _first_link(model: Model) -> dict[str, Any]:
    """What the source's comparison with its description gave, and what it leaves open."""
    known = model.graph or model.floating or model.integer
    checks, missing = checks_of(model.graph, model.floating, model.integer)
    noted = () if known is None else notes_of(known.meta, NOT_CHECKED)
    return {
        "source": tuple(check.pair for check in checks),
        "not_checked": tuple(dict.fromkeys([*missing, *noted])),
    }


def _write(net: FloatNetwork | IntNetwork, done: Transfer, row: Target, **options: Any) -> Transfer:
    """Write the output, its companions and the account: all of them, or none."""
    kind = "integer" if isinstance(net, IntNetwork) else "float"
    with staged(done.out, row) as place:
        written = row.write()(net, place, **options)
        names = tuple(path.name for path in written.files)
        if row.ending:
            refuse_foreign(done.out, names, row)
        folder = done.out.parent if row.ending else done.out
        written = replace(written, out=done.out, files=tuple(folder / name for name in names))
        done = replace(done, out_sha256=written.sha256, kind=kind, written=written)
        write_json(report_path(place, row), done.to_json())
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


def _with_limits(error: NetworkRefused, target: Target) -> NetworkRefused:
    """Add what the chip's integers would refuse of the layers that could be read."""
    known = [layer for layer in error.layers if isinstance(layer, FloatLayer)]
    if not target.integer or not known:
        return error
    more = [reason for layer in known for reason in layer_refusals(f"layer {layer.name}", layer)]
    if not more:
        return error
    return NetworkRefused([*error.refusals, *more], where=error.where)


def _prepare(
    model: Model,
    done: Transfer,
    calibration: Spikes | None,
    target: Target,
    wanted: Mapping[str, Any],
) -> tuple[FloatNetwork | IntNetwork, Transfer]:
    """The network to write, and the account of how it came about."""
    if model.graph is not None:
        chain, changes = prepare_graph(model, model.graph, calibration, target, wanted)
        return chain, replace(done, **changes)
    floating, integer = model.floating, model.integer
    notes = () if floating is None else tuple(floating.meta.get("approximate", ()))
    done = replace(done, approximated=notes)
    scaled = floating is not None and target.integer
    if calibration is not None and not scaled and not notes:
        what = "there is nothing to calibrate, only a float network going to integers is scaled"
        raise InputError(what, where="--calibrate", hint="leave it out")
    folded = () if floating is None else tuple(map(str, floating.meta.get("lowered", ())))
    done = replace(done, folded=folded)
    if not target.integer and floating is not None:
        # Scales that training has not fixed are not part of the network.
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
