"""The backend ``c``: the C files are written, compiled and run, and every spike is read back."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro import __version__
from sdcl_neuro.engine.check import check_input, check_layers, check_network
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.files import scratch_folder
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes

from ..targets.c.build import TIMEOUT_S, compile_c, find_compiler
from ..targets.c.source import check_program, header, source
from ..targets.c.writer import refuse_size

if TYPE_CHECKING:
    from ..model import Model

NAME = "event"


def run(
    model: Model | IntNetwork,
    spikes: object,
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
) -> Record:
    """Run a network as C; every sample starts from a clean state.

    Args:
        model: a model with an integer network, or the network.
        spikes: uint8 ``[T, B, *input_shape]``; counts only if the network has message bits.
        layers: layers whose spikes to keep; None keeps all.
        device: ``cpu``: the program is compiled for this machine.

    Raises:
        EnvironmentFault: there is no C compiler, or the program failed.
    """
    if device != "cpu":
        raise InputError(f"device {device!r}", where="c", hint="C runs on the CPU: use cpu")
    net = model if isinstance(model, IntNetwork) else model.need_integer()
    check_network(net)
    refuse_size(net)
    values = check_input(net, spikes)
    keep = check_layers(net, layers)
    with scratch_folder("sdcl_neuro_c") as folder:
        return run_program(build(net, folder), net, values, layers=keep)


def run_program(
    program: Path, net: IntNetwork, spikes: Spikes, *, layers: Sequence[int] | None = None
) -> Record:
    """Run what `build` made, on spikes that fit the network; `elapsed_s` is of the steps alone."""
    keep = range(len(net.layers)) if layers is None else layers
    output, elapsed_s = _execute(program, _packed(net, spikes), steps=len(spikes))
    return Record(
        backend="c",
        steps=spikes.shape[0],
        samples=spikes.shape[1],
        input_shape=net.input_shape,
        spikes=_unpacked(net, output, spikes.shape[:2], keep),
        elapsed_s=elapsed_s,
        versions={"sdcl-neuro": __version__} | programs(),
    )


def build(
    net: IntNetwork, folder: Path, *, options: Sequence[str] = ("-O2",), compiler: str = ""
) -> Path:
    """Write and compile a network and its runner in `folder`; return the program.

    Args:
        net: the network.
        folder: to write to.
        options: of the compiler.
        compiler: its name; empty takes the one that `find_compiler` finds.
    """
    (folder / f"{NAME}.c").write_text(source(net, NAME), encoding="utf-8")
    (folder / f"{NAME}.h").write_text(header(net, NAME), encoding="utf-8")
    runner = folder / f"{NAME}_check.c"
    runner.write_text(check_program(net, NAME), encoding="utf-8")
    compile_c([folder / f"{NAME}.c", runner], folder / NAME, options=options, compiler=compiler)
    return folder / NAME


def programs() -> dict[str, str]:
    """Return the compiler and what it says of itself, in its first line."""
    done = subprocess.run(
        [find_compiler(), "--version"], capture_output=True, text=True, check=False
    )
    return {"compiler": (done.stdout.splitlines() or ["unknown"])[0]}


def _execute(program: Path, given: bytes, *, steps: int) -> tuple[bytes, float]:
    try:
        done = subprocess.run(
            [str(program), str(steps)],
            input=given,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        what = f"the program took more than {TIMEOUT_S:g} s"
        raise EnvironmentFault(what, where="c", hint="give fewer samples at a time") from error
    if done.returncode != 0:
        raise EnvironmentFault(f"the program ended with {done.returncode}", where="c")
    return done.stdout, float(done.stderr.decode().split()[-1])


def _packed(net: IntNetwork, values: Spikes) -> bytes:
    """Return input of one step after another, samples one after another, as the program reads
    it.
    """
    steps, samples = values.shape[:2]
    rows = np.ascontiguousarray(values.swapaxes(0, 1)).reshape(samples * steps, -1)
    if net.message_bits:
        return rows.tobytes()
    return pack(rows).tobytes()


def pack(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pack ``[rows, N]`` into whole 32-bit words, lowest bit first, as bytes."""
    padded = np.zeros((len(rows), -(-rows.shape[1] // 32) * 32), np.uint8)
    padded[:, : rows.shape[1]] = rows
    words = np.packbits(padded, axis=1, bitorder="little").view("<u4")
    return np.ascontiguousarray(words.astype(np.uint32)).view(np.uint8)


def _unpacked(
    net: IntNetwork, output: bytes, leading: tuple[int, ...], keep: Sequence[int]
) -> dict[int, Spikes]:
    """Return the kept layers' spikes, uint8 ``[T, B, *out_shape]``, from packed words of every
    layer.
    """
    steps, samples = leading
    widths = [-(-layer.neurons // 32) for layer in net.layers]
    words = np.frombuffer(output, np.uint32)
    if words.size != steps * samples * sum(widths):
        raise EnvironmentFault(f"the program wrote {len(output)} bytes", where="c")
    rows = words.reshape(samples, steps, sum(widths)).swapaxes(0, 1)
    starts = np.concatenate([[0], np.cumsum(widths)])
    kept = {}
    for index in keep:
        part = np.ascontiguousarray(rows[..., starts[index] : starts[index + 1]]).astype("<u4")
        layer = net.layers[index]
        bits = np.unpackbits(part.view(np.uint8), axis=-1, count=layer.neurons, bitorder="little")
        kept[index] = bits.reshape(steps, samples, *layer.out_shape)
    return kept
