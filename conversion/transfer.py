"""A model from one file format to another, with an account of what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, NetworkRefused, spelled
from sdcl_neuro.files import write_json
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.hardware.placement import fit
from sdcl_neuro.network.identity import path_sha256
from sdcl_neuro.network.notes import NOT_CHECKED, Note, notes_of
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntNetwork, Shape
from sdcl_neuro.network.spike_file import InputSpikes
from sdcl_neuro.network.step import Step

from .backends.graph_run import pack
from .graph_transfer import graph_options, prepare_graph
from .lowering.graph.nodes import FloatGraph
from .lowering.graph.prices import Cure
from .model import Model
from .model_reading import load
from .parity.first_link import with_first_link
from .parity.source_check import checks_of
from .quantisation.effect import effect_of, measure_effect
from .quantisation.graphs import graph_of
from .quantisation.report import quantization_report
from .quantisation.rounding import layer_refusals, quantize
from .targets.nir.forms import ASSUMED_STEP, FORMS, form_of
from .targets.nir.writer import written_step
from .targets.place import check_place, refuse_foreign, report_path, staged
from .targets.table import Target, find_target
from .transfer_result import Transfer


def transfer(
    source: Path | str,
    out: Path | str,
    *,
    calibration: InputSpikes | None = None,
    approximate: bool = False,
    hw: HardwareProfile | None = None,
    dt: float | None = None,
    writer: str | None = None,
    input_shape: Shape | None = None,
    skip_input: bool = False,
    reader: str | None = None,
    target: str | None = None,
    vectors: InputSpikes | None = None,
    relays: Cure | None = None,
    growth: float | None = None,
) -> Transfer:
    """Convert a model file.

    Both the output and its account beside it are written, or neither; a network that is refused
    leaves only the account, which then holds the reasons.

    Args:
        source: a checkpoint folder, ``.nir`` or ``.net``.
        out: its ending says the target (`targets.table`): ``.net``, ``.nir``, ``.c``, ``.onnx``.
        calibration: spikes ``[T, B, *input_shape]`` that choose the scales of a float network; of
            a network with several inputs, ``{name: spikes}``.
        approximate: take what is listed as approximate, set and measured on `calibration`.
        hw: a target whose limits the network must keep, else nothing is written.
        dt, writer, input_shape, skip_input: how to read `source`; see `load`.
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
        model = load(
            source,
            approximate=known,
            dt=dt,
            writer=writer,
            input_shape=input_shape,
            skip_input=skip_input,
            sample_shape=tuple(getattr(at_hand, "shape", ())[2:]) or None,
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
            if isinstance(net, FloatGraph):
                what = "a graph is placed as the chain that it becomes, and a .nir holds none"
                where = spelled(python="hw", command="--hw")
                raise InputError(what, where=where, hint="write OUT.net")
            done = replace(done, fit=fit(net, hw).require())
        if "reader" in row.options:
            done = _written(done, net, reader)
        options = {"reader": reader} if "reader" in row.options else {}
        return _write(net, done, row, spikes=_as_chain(net, vectors), **options)
    except NetworkRefused as error:
        error = _with_limits(error, row)
        refused = Transfer(
            source, out, path_sha256(source), refused=error.refusals, target=row.name
        )
        if row.ending or not out.exists():
            write_json(refused.report_path, refused.to_json())
        raise error from None


def _as_chain(
    net: FloatNetwork | IntNetwork | FloatGraph, vectors: InputSpikes | None
) -> InputSpikes | None:
    """Return the input of test vectors as what is written receives it."""
    account = graph_of(net) if isinstance(net, IntNetwork) else None
    if vectors is None or account is None or not isinstance(net, IntNetwork):
        return vectors
    return pack(account, vectors, net)


def _first_link(model: Model) -> dict[str, Any]:
    """Return what the source's comparison with its description gave, and what it leaves open."""
    known = model.graph or model.floating or model.integer
    checks, missing = checks_of(model.graph, model.floating, model.integer)
    noted = () if known is None else notes_of(known.meta, NOT_CHECKED)
    return {
        "source": tuple(check.pair for check in checks),
        "not_checked": tuple(dict.fromkeys([*missing, *noted])),
    }


def _write(
    net: FloatNetwork | IntNetwork | FloatGraph, done: Transfer, row: Target, **options: Any
) -> Transfer:
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


def _written(
    done: Transfer, net: FloatNetwork | IntNetwork | FloatGraph, reader: str | None
) -> Transfer:
    """Return the account of a ``.nir``, with the step that it was written for."""
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
    calibration: InputSpikes | None,
    target: Target,
    wanted: Mapping[str, Any],
) -> tuple[FloatNetwork | IntNetwork | FloatGraph, Transfer]:
    """Return the network to write, and the account of how it came about."""
    if model.graph is not None:
        chain, changes = prepare_graph(model, model.graph, calibration, target, wanted)
        return chain, replace(done, **changes)
    if isinstance(calibration, Mapping):
        what = "inputs by name for a network of one input"
        raise InputError(what, where="--calibrate", hint="give one array, named spikes")
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
