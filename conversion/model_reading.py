"""Read models from wherever they are: checkpoint folders, ``.nir``, ``.net``, networks, modules."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from sdcl_neuro.errors import InputError, NetworkRefused, spelled
from sdcl_neuro.extras import attach
from sdcl_neuro.network.arguments import kind_of, need_path, public
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork, Shape
from sdcl_neuro.network.spike_file import SpikesLike

from .lowering.graph.nodes import FloatGraph
from .model import Model, ModelLike
from .quantisation.rounding import quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from .sources.nir.memory import NirGraphLike
else:
    __getattr__, _ = attach(__name__, {}, renamed={"load_model": "load"})

_WEIGHTS = (
    "a torch file holds weights, not a network: build the module in Python, load the weights, then "
    "conversion.to_netx(conversion.quantize(conversion.from_snntorch(module, sample)), 'm.net')"
)
_ADVICE = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".safetensors"), _WEIGHTS),
    ".py": "a program, not a model: in it, conversion.to_netx(conversion.quantize("
    "conversion.from_snntorch(module, sample)), 'm.net')",
    ".toml": "a configuration: sdcl-neuro train FILE.toml --out DIR makes a model of it, DIR/model",
    ".json": "what a verb wrote: give the model that it was made from",
    ".onnx": "export the network from its own library to NIR, and give the .nir",
    **dict.fromkeys((".h5", ".hdf5"), "a netx file ends in .net, a NIR file in .nir: rename it"),
    **dict.fromkeys((".npz", ".npy"), "these are spikes: give them as --spikes, the model first"),
}
"""What leads on from common first tries, by ending."""


@public
def load(
    path: Path | str,
    *,
    approximate: SpikesLike | Mapping[str, SpikesLike] | None = None,
    dt: float | None = None,
    writer: str | None = None,
    input_shape: Shape | None = None,
    skip_input: bool = False,
    sample_shape: Shape | None = None,
) -> Model:
    """Read a model; a folder is a checkpoint, a file is what its ending says.

    Args:
        path: of the model.
        approximate: calibration spikes, of several inputs by name; given, a ``.nir`` may hold what
            is only approximated.
        dt: length of a ``.nir``'s step in seconds, where it does not state it.
        writer: whose exporter wrote a ``.nir``; see `conversion.from_nir`.
        input_shape: of a ``.net`` that begins with a convolution and has no input layer.
        skip_input: start behind a ``.net``'s input neurons; see `conversion.from_netx`.
        sample_shape: shape of one step of the spikes at hand; taken where the file states none.

    Returns:
        The model, with its float description, its chip integers, or both; prints itself.

    Raises:
        InputError: if it is none of these, or damaged; a step or writer for anything but a
            ``.nir``; none for a ``.nir`` that needs one.

    Examples:
        >>> from sdcl_neuro import conversion
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> _ = conversion.to_netx(net, "model.net")
        >>> from sdcl_neuro import load
        >>> load("model.net").integer == net
        True
    """
    hint = "give the path of a checkpoint folder, .nir or .net"
    if isinstance(path, IntNetwork | FloatNetwork | FloatGraph) or is_module(path):
        hint = "it is a network already: use it as it is"
    elif isinstance(path, Mapping):
        hint = _WEIGHTS
    path = need_path(path, "load", hint)
    if path.suffix != ".nir" or path.is_dir():
        _no_step(dt, writer, str(path))
    if path.suffix != ".net" or path.is_dir():
        _no_shape(input_shape, skip_input, str(path))
    if path.is_dir():
        return _from_checkpoint(path)
    if not path.exists():
        raise InputError(
            "no such file or folder", where=str(path), hint="give a checkpoint, .nir or .net"
        )
    if path.suffix == ".net":
        from .targets.netx.file import from_netx

        taken = input_shape or sample_shape
        chip = from_netx(path, input_shape=taken, skip_input=skip_input)
        if input_shape is not None and chip.input_shape != tuple(input_shape):
            raise InputError(
                f"its input is {chip.input_shape}, not {tuple(input_shape)}",
                where=str(path),
                hint=f"leave {spelled(python='input_shape', command='--input-shape')} out",
            )
        return Model(path, integer=chip)
    if path.suffix == ".nir":
        from .sources.nir.graph import from_nir

        loose = approximate is not None
        try:
            net = from_nir(
                path,
                dt=dt,
                writer=writer,
                approximate=loose,
                calibration=approximate,
                compare=False,  # by `parity.first_link`, on the input at hand
            )
        except InputError as error:
            if isinstance(error, NetworkRefused) or str(path) in str(error):
                raise
            where = ", ".join(one for one in (str(path), error.where) if one)
            raise InputError(error.what, where=where, hint=error.hint) from error
        return _read(net, path)
    raise InputError(
        f"expected a checkpoint folder, .nir or .net, got a file ending in {path.suffix!r}",
        where=str(path),
        hint=_ADVICE.get(path.suffix.lower(), "give a checkpoint folder, .nir or .net"),
    )


def _from_checkpoint(path: Path) -> Model:
    """Return the event branch of a checkpoint folder, alone or of a whole SDCL."""
    from sdcl_neuro.hybrid.sdcl_checkpoint import event_branch_folder, is_sdcl_checkpoint
    from sdcl_neuro.snn.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(event_branch_folder(path) if is_sdcl_checkpoint(path) else path)
    channels, *size = checkpoint.input_shape
    if channels != checkpoint.module.description.in_channels:
        raise InputError(f"input shape {checkpoint.input_shape}", where=f"checkpoint {path}")
    floating = checkpoint.module.float_network((size[0], size[1]))
    return _with_integers(floating, path, trained=checkpoint.stage == "int")


def as_model(
    model: ModelLike,
    *,
    sample: Tensor | NDArray[Any] | Mapping[str, SpikesLike] | None = None,
    dt: float | None = None,
    writer: str | None = None,
    input_shape: Shape | None = None,
    skip_input: bool = False,
) -> Model:
    """Take a model in any of its forms.

    Args:
        model: a `Model`, an integer or float network, a path, a ``nir.NIRGraph``, or a
            ``nn.Module``.
        sample: one input ``[T, B, ...]``, which a module needs; by name if it takes several.
        dt, writer, input_shape, skip_input: as for `load`.

    Raises:
        InputError: for anything else, a module without a sample, or as `load` does.
    """
    if isinstance(model, str | Path):
        return load(
            model,
            dt=dt,
            writer=writer,
            input_shape=input_shape,
            skip_input=skip_input,
            sample_shape=tuple(getattr(sample, "shape", ())[2:]) or None,
        )
    _no_shape(input_shape, skip_input, f"a {type(model).__name__}")
    if type(model).__name__ == "NIRGraph":
        from .sources.nir.graph import from_nir

        return _read(from_nir(cast("NirGraphLike", model), dt=dt, writer=writer), None)
    _no_step(dt, writer, f"a {type(model).__name__}")
    if isinstance(model, Model):
        return model
    if isinstance(model, IntNetwork):
        return Model(integer=model)
    if isinstance(model, FloatNetwork | FloatGraph):
        return _with_integers(model, None, trained=True)
    if not is_module(model):
        raise InputError(
            f"expected a model, got {kind_of(model)}", where="model", hint=_first_hint(model)
        )
    if sample is None:
        raise InputError(
            f"a {type(model).__name__} does not know its input's size",
            where="model",
            hint="give spikes, or conversion.from_snntorch(module, sample)",
        )
    from .sources.snntorch.source import from_snntorch

    return _with_integers(from_snntorch(model, sample), None, trained=True)


def _first_hint(model: object) -> str:
    """Return what leads on from something that is given as a model and is none."""
    if isinstance(model, type):
        return f"make an instance of it: {model.__name__}()"
    if hasattr(model, "shape"):
        return "the model comes first, the spikes second"
    if isinstance(model, Mapping):
        return "these are weights: build the module and call module.load_state_dict(weights)"
    return "give a path, a network, a torch module or what load returned"


def is_module(thing: object) -> TypeGuard[nn.Module]:
    """Return whether this is a torch module; torch is not loaded to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _no_step(dt: float | None, writer: str | None, where: str) -> None:
    """Refuse options that only a NIR graph has a use for."""
    given = [
        spelled(python=name, command=f"--{name}")
        for name, value in (("dt", dt), ("writer", writer))
        if value is not None
    ]
    if given:
        what = f"{' and '.join(given)} for a model that is not a .nir file"
        raise InputError(what, where=where, hint="leave it out")


def _no_shape(input_shape: Shape | None, skip_input: bool, where: str) -> None:
    """Refuse options that only a ``.net`` has a use for."""
    given = [
        spelled(python=name, command=f"--{name.replace('_', '-')}")
        for name, value in (("input_shape", input_shape), ("skip_input", skip_input))
        if value
    ]
    if given:
        what = f"{' and '.join(given)} for a model that is not a .net file"
        raise InputError(what, where=where, hint="leave it out")


def _read(net: FloatNetwork | IntNetwork | FloatGraph, path: Path | None) -> Model:
    """Return what a NIR graph was found to be."""
    if isinstance(net, IntNetwork):
        return Model(path, integer=net)
    return _with_integers(net, path, trained=True)


def _with_integers(net: FloatNetwork | FloatGraph, path: Path | None, *, trained: bool) -> Model:
    """Return a model, with integers where training fixed every scale."""
    if isinstance(net, FloatGraph):
        scales = [node.scale for node in net.populations]
        scales += [node.scale for node in net.readouts]
        fixed = all(scale is not None for scale in scales)
        return Model(path, integer=quantize(net) if trained and fixed else None, graph=net)
    exact = trained and all(layer.scale is not None for layer in net.layers)
    return Model(path, net, quantize(net) if exact else None)
