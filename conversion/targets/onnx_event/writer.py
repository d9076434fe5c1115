"""`to_onnx`: a network as two ONNX files that onnxruntime has run, equal in every spike."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.check import check_network
from sdcl_neuro.errors import CheckFailed, InputError
from sdcl_neuro.extras import need, require
from sdcl_neuro.files import atomic_path, file_sha256
from sdcl_neuro.network.arguments import need_integers, need_path, public
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes, SpikesLike

from ..vectors import sample_spikes
from ..written import Written

NEEDED = ("onnx", "onnxruntime")
MAX_WEIGHTS = 1 << 28
"""8-bit weights in one file; protobuf ends at 2 GiB."""


@public
def to_onnx(net: IntNetwork, out: Path | str, *, spikes: SpikesLike | None = None) -> Written:
    """Write ``OUT.onnx`` (a whole sequence) and ``OUT_step.onnx`` (one step), or neither.

    Both are first run by onnxruntime on test vectors and compared with the engine.

    Args:
        net: the network, in integers.
        out: ends in ``.onnx``.
        spikes: the test vectors, uint8 ``[T, B, *input_shape]``; None draws random ones.

    Returns:
        The files that were written, SHA-256 and sizes; prints itself.

    Raises:
        InputError: another ending, or more weights than a file holds.
        EnvironmentFault: the extra ``onnx`` is not installed.
        CheckFailed: a spike differs in onnxruntime.

    Examples:
        >>> from sdcl_neuro import conversion
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> written = conversion.to_onnx(net, "event.onnx")
        >>> [path.name for path in written.files]
        ['event.onnx', 'event_step.onnx']
    """
    net = need_integers(net, "to_onnx")
    out = need_path(out, "to_onnx", "name the file, OUT.onnx", to_write=True)
    if out.suffix != ".onnx":
        raise InputError("not the name of an ONNX file", where=out.name, hint="name it OUT.onnx")
    require_onnx()
    check_network(net)
    refuse_size(net)
    from .model import facts, sequence_model, step_model
    from .step import state_bytes

    values = sample_spikes(net, spikes)
    files = {out: sequence_model(net), out.with_name(f"{out.stem}_step.onnx"): step_model(net)}
    expected = run_network(net, values).spikes
    compared = sum(layer.size for layer in expected.values())
    with ExitStack() as stack:
        for path, model in files.items():
            data = model.SerializeToString()
            stack.enter_context(atomic_path(path)).write_bytes(data)
            found = run_sequence(data, values) if path == out else run_steps(data, net, values)
            wrong = sum(
                int(np.count_nonzero(expected[index] != spikes_found))
                for index, spikes_found in enumerate(found)
            )
            if wrong:
                raise CheckFailed(
                    f"{wrong:,} of {compared:,} neuron steps differ in onnxruntime",
                    where=path.name,
                    hint="report it with the network; nothing was written",
                )
    kinds = sorted(
        {node.op_type for node in files[out.with_name(f"{out.stem}_step.onnx")].graph.node}
    )
    return Written(
        target="onnx",
        out=out,
        sha256=file_sha256(out),
        files=tuple(files),
        facts={
            **facts(net, "sequence"),
            "operators": ["Scan", *kinds],
            "state_bytes": state_bytes(net),
            "compared": compared,
        },
        lines=(
            f"onnxruntime: 0 of {compared:,} neuron steps differ, as a sequence and step by step",
            f"operators: Scan, {', '.join(kinds)}",
        ),
    )


def require_onnx() -> None:
    """Raise EnvironmentFault where onnx or onnxruntime is missing."""
    require(NEEDED, "writing ONNX")


def refuse_size(net: IntNetwork) -> None:
    """Raise InputError where a file could not hold the weights."""
    total = 0
    for layer in net.layers:
        times = 1 if layer.delay is None else len(np.unique(layer.delay))
        total += times * layer.weight.size
        total += 0 if layer.recurrent_weight is None else layer.recurrent_weight.size
    if total > MAX_WEIGHTS:
        raise InputError(
            f"{total:,} weights, each delay with its own; an ONNX file holds {MAX_WEIGHTS:,}",
            where="onnx",
            hint="use fewer or smaller dense layers, or fewer different delays",
        )


def session(data: bytes) -> Any:
    """Return an onnxruntime session on the CPU, silent."""
    onnxruntime = need("onnxruntime", "running ONNX")

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run_sequence(data: bytes, spikes: Spikes) -> list[Spikes]:
    """Run a sequence model; every layer's spikes, uint8 ``[T, B, ...]``."""
    found: list[Spikes] = session(data).run(None, {"spikes": spikes})
    return found


def run_steps(data: bytes, net: IntNetwork, spikes: Spikes) -> list[Spikes]:
    """Run a step model over all steps, its states fed back; spikes as `run_sequence`."""
    from .builder import UINT8
    from .step import states

    one, samples = session(data), spikes.shape[1]
    held = {
        state.name: np.zeros((samples, *state.shape), np.uint8 if state.kind == UINT8 else np.int32)
        for state in states(net)
    }
    names = [*held, *range(len(net.layers))]
    fired = [np.empty((*spikes.shape[:2], *layer.out_shape), np.uint8) for layer in net.layers]
    for step, given in enumerate(spikes):
        found = dict(zip(names, one.run(None, {**held, "spikes": given}), strict=True))
        held = {name: found[name] for name in held}
        for index, layer in enumerate(fired):
            layer[step] = found[index]
    return fired
