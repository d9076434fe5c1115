"""Models from wherever they are: checkpoint folders, ``.nir``, ``.net``, networks, modules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.sdcl_checkpoint import event_branch_folder, is_sdcl_checkpoint
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork, Shape
from sdcl_neuro.network.spec_convert import dequantize
from sdcl_neuro.snn.checkpoint import load_checkpoint

from .lowering.graph.nodes import FloatGraph
from .quantisation.rounding import quantize
from .sources.snntorch.source import from_snntorch

_WEIGHTS = (
    "a torch file holds weights, not a network: build the module in Python, load the weights, then "
    "conversion.to_netx(conversion.quantize(conversion.from_snntorch(module, sample)), 'm.net')"
)
_ADVICE = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin", ".safetensors"), _WEIGHTS),
    ".onnx": "export the network from its own library to NIR, and give the .nir",
    **dict.fromkeys((".h5", ".hdf5"), "a netx file ends in .net, a NIR file in .nir: rename it"),
    **dict.fromkeys((".npz", ".npy"), "these are spikes: give them as --spikes, the model first"),
}
"""What leads on from common first tries, by ending."""


@dataclass(frozen=True, repr=False)
class Model:
    """A network with the descriptions that are known of it, at least one.

    Attributes:
        path: the file or folder it was read from; None if it was given as an object.
        floating: the float description.
        integer: the chip's integers; None as long as nothing fixed them.
        graph: the float description of a network that is no chain; then there is no other.
    """

    path: Path | None = None
    floating: FloatNetwork | None = None
    integer: IntNetwork | None = None
    graph: FloatGraph | None = None

    def __repr__(self) -> str:
        return f"Model({self.where})"

    def __str__(self) -> str:
        place = "" if self.path is None else f"{self.path}\n"
        return f"{place}{self._known()}"

    def _repr_html_(self) -> str:
        known = self._known()
        return known._repr_html_() if hasattr(known, "_repr_html_") else f"<pre>{known}</pre>"

    def _known(self) -> FloatNetwork | IntNetwork | FloatGraph | str:
        return self.integer or self.floating or self.graph or "a model without a network"

    @property
    def where(self) -> str:
        """How to call it in a message."""
        return "model" if self.path is None else str(self.path)

    @property
    def input_shape(self) -> Shape:
        """Of one step's spikes."""
        known = self.integer or self.floating
        if known is None and self.graph is not None:
            if len(self.graph.inputs) == 1:
                return self.graph.inputs[0].shape
            names = ", ".join(node.name for node in self.graph.inputs)
            raise InputError(f"it has several inputs: {names}", where=self.where, mend="name them")
        if known is None:
            raise InputError("a model without a network", where=self.where)
        return known.input_shape

    def need_integer(self) -> IntNetwork:
        """The integers, or InputError where none are fixed."""
        if self.integer is None:
            raise InputError(
                "only a float network is known, no chip integers",
                where=self.where,
                mend="quantise it: sdcl-neuro convert MODEL OUT.net, or conversion.quantize",
            )
        return self.integer

    def need_float(self) -> FloatNetwork:
        """The float description; if there is none, the integers taken as floats."""
        if self.floating is not None:
            return self.floating
        return dequantize(self.need_integer())


def load_model(path: Path | str, *, approximate: object = None) -> Model:
    """Read a model; a folder is a checkpoint, a file is what its ending says.

    Args:
        path: of the model.
        approximate: calibration spikes; given, a ``.nir`` may hold what is only approximated.

    Raises:
        InputError: if it is none of these, or damaged.
    """
    path = Path(path)
    if path.is_dir():
        checkpoint = load_checkpoint(
            event_branch_folder(path) if is_sdcl_checkpoint(path) else path
        )
        channels, *size = checkpoint.input_shape
        if channels != checkpoint.module.description.in_channels:
            raise InputError(f"input shape {checkpoint.input_shape}", where=f"checkpoint {path}")
        floating = checkpoint.module.float_network((size[0], size[1]))
        return _with_integers(floating, path, trained=checkpoint.stage == "int")
    if not path.exists():
        raise InputError(
            "no such file or folder", where=str(path), mend="give a checkpoint, .nir or .net"
        )
    if path.suffix == ".net":
        from .targets.netx.file import from_netx

        return Model(path, integer=from_netx(path))
    if path.suffix == ".nir":
        from .sources.nir.graph import from_nir

        net = from_nir(path, approximate=approximate is not None, calibration=approximate)
        if isinstance(net, IntNetwork):
            return Model(path, integer=net)
        return _with_integers(net, path, trained=True)
    raise InputError(
        f"expected a checkpoint folder, .nir or .net, got a file ending in {path.suffix!r}",
        where=str(path),
        mend=_ADVICE.get(path.suffix.lower(), "give a checkpoint folder, .nir or .net"),
    )


ModelLike: TypeAlias = Model | FloatNetwork | IntNetwork | FloatGraph | nn.Module | str | Path
"""A network in any form that a verb takes."""


def as_model(thing: object, *, sample: Tensor | NDArray[Any] | None = None) -> Model:
    """Take a model in any of its forms.

    Args:
        thing: a `Model`, an integer or float network, a path, or a ``nn.Module``.
        sample: one input ``[T, B, ...]``, which a module needs.

    Raises:
        InputError: for anything else, or a module without a sample.
    """
    if isinstance(thing, Model):
        return thing
    if isinstance(thing, IntNetwork):
        return Model(integer=thing)
    if isinstance(thing, FloatNetwork | FloatGraph):
        return _with_integers(thing, None, trained=True)
    if isinstance(thing, str | Path):
        return load_model(thing)
    if not isinstance(thing, nn.Module):
        first = "the model comes first, the spikes second" if hasattr(thing, "shape") else (
            "give a path, a network, a torch module or what load returned"
        )  # fmt: skip
        raise InputError(
            f"expected a model, got a {type(thing).__name__}", where="model", mend=first
        )
    if sample is None:
        raise InputError(
            f"a {type(thing).__name__} does not know its input's size",
            where="model",
            mend="give spikes, or conversion.from_snntorch(module, sample)",
        )
    return _with_integers(from_snntorch(thing, sample), None, trained=True)


def _with_integers(net: FloatNetwork | FloatGraph, path: Path | None, *, trained: bool) -> Model:
    """Where training fixed every scale, the integers are known at once."""
    if isinstance(net, FloatGraph):
        scales = [node.scale for node in net.populations]
        scales += [node.scale for node in net.readouts]
        fixed = all(scale is not None for scale in scales)
        return Model(path, integer=quantize(net) if trained and fixed else None, graph=net)
    exact = trained and all(layer.scale is not None for layer in net.layers)
    return Model(path, net, quantize(net) if exact else None)
