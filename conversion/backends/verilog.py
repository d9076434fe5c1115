"""The backend ``verilog``: the design is written, built by Verilator and simulated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdcl_neuro import __version__
from sdcl_neuro.engine.check import check_input, check_layers, check_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.files import scratch_folder
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

from ..targets.verilog.design import TOP, files
from ..targets.verilog.simulate import build, find_verilator, programs, simulate
from ..targets.verilog.writer import refuse_size

if TYPE_CHECKING:
    from ..model import Model


def run(
    model: Model | IntNetwork,
    spikes: object,
    *,
    layers: Sequence[int] | None = None,
    device: str = "cpu",
) -> Record:
    """Run a network as SystemVerilog in Verilator; every sample starts from a clean state.

    Args:
        model: a model with an integer network, or the network.
        spikes: uint8 ``[T, B, *input_shape]``; counts only if the network has message bits.
        layers: layers whose spikes to keep; None keeps all.
        device: ``cpu``: the simulator runs there.

    Raises:
        EnvironmentFault: Verilator is not installed, or failed.
    """
    if device != "cpu":
        raise InputError(f"device {device!r}", where="verilog", hint="use cpu")
    find_verilator()
    net = model if isinstance(model, IntNetwork) else model.need_integer()
    check_network(net)
    refuse_size(net)
    values = check_input(net, spikes)
    keep = check_layers(net, layers)
    with scratch_folder("sdcl_neuro_verilog") as folder:
        for file, text in files(net, TOP).items():
            (folder / file).write_text(text, encoding="utf-8")
        done = simulate(net, folder, build(folder), values)
    return Record(
        backend="verilog",
        steps=values.shape[0],
        samples=values.shape[1],
        input_shape=net.input_shape,
        spikes={index: done.spikes[index] for index in keep},
        elapsed_s=done.elapsed_s,
        versions={"sdcl-neuro": __version__} | programs(),
    )
