"""OSNet's weights out of an ONNX file, once, into safetensors. Needs the extra ``onnx``.

An exported OSNet has its batch norms folded into the convolutions before them, and those
convolutions' initialisers have lost their names: the paths of the nodes still say whose they are.
The folded bias becomes the batch norm's bias; with weight 1, running mean 0 and running variance
1 - eps the batch norm then adds it and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import need
from sdcl_neuro.files import atomic_path, file_sha256
from sdcl_neuro.files.reading import reading, regular_file

from .osnet import CHANNELS, OSNet
from .weights import faults

_ANONYMOUS = "::"  # torch's exporter calls a folded initialiser onnx::Conv_1049


@dataclass(frozen=True)
class Converted:
    """What a conversion took from where to where.

    Attributes:
        source, target: the files.
        network: the frame branch the weights are for.
        tensors: how many were written.
        folded: batch norms that were found folded into a convolution.
        sha256: of the file written.
    """

    source: str
    target: str
    network: str
    tensors: int
    folded: int
    sha256: str

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.network}, {self.tensors} tensors "
            f"({self.folded} batch norms unfolded), sha256 {self.sha256}"
        )


def convert_onnx(source: Path | str, target: Path | str) -> Converted:
    """Convert an ONNX OSNet (x0.25 or x1.0, as torch exports torchreid's) to safetensors.

    Raises:
        InputError: the file is not an ONNX file or not such a network.
        EnvironmentFault: the package onnx is not installed.
    """
    tensors, folded = _tensors(_read(Path(source)), where=str(source))
    first = tensors.get("conv1.conv.weight", torch.empty(0)).shape[0]
    widths = {channels[0]: width for width, channels in CHANNELS.items()}
    if first not in widths:
        raise InputError(
            "no convolution /conv1/conv of an OSNet x0.25 or x1.0",
            where=str(source),
            hint="give torchreid's OSNet as torch exports it to ONNX",
        )
    module = OSNet(widths[first])  # type: ignore[arg-type]
    tensors = {n: v for n, v in tensors.items() if not n.startswith(module.ignored)}
    wanted = module.state_dict()
    wrong = faults(wanted, tensors | _neutral_norms(module, tensors))
    if wrong:
        raise InputError(
            "; ".join(wrong),
            where=str(source),
            hint="give torchreid's OSNet as torch exports it to ONNX",
        )
    complete = wanted | tensors | _neutral_norms(module, tensors)
    with atomic_path(target) as temporary:
        save_file({name: value.contiguous() for name, value in complete.items()}, temporary)
    return Converted(
        source=str(source),
        target=str(target),
        network=f"osnet_{module.width}",
        tensors=len(complete),
        folded=folded,
        sha256=file_sha256(target),
    )


def module_name(node: str) -> str:
    """Map a node's path as torch exports it, to the module's dotted name.

    ``/conv2/conv2.0/conv2b/conv2b.1/conv2/Conv`` is ``conv2.0.conv2b.1.conv2``: a child of a
    sequential repeats its parent's name.
    """
    parts: list[str] = []
    for part in node.strip("/").split("/")[:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts.pop()
        parts.append(part)
    return ".".join(parts)


def norm_behind(convolution: str) -> str:
    """Return the batch norm that follows a convolution: ``x.conv`` or ``x.conv2`` to ``x.bn``."""
    return convolution.rpartition(".")[0] + ".bn"


def _read(path: Path) -> Any:
    onnx = need("onnx", "reading an ONNX file")
    regular_file(path, what="an ONNX file")
    with reading(path, "an ONNX file", hint="give a .onnx file"):
        # External data would let a file name any other file of the machine.
        model = onnx.load(str(path), load_external_data=False)
    if any(tensor.external_data for tensor in model.graph.initializer):
        raise InputError(
            "weights lie outside the file", where=str(path), hint="export them inside one file"
        )
    if not all(isinstance(name, str) for name in _names(model.graph)):
        raise InputError(
            "a damaged ONNX file (a name that is not UTF-8)", where=str(path), hint="copy it again"
        )
    return model.graph


def _names(graph: Any) -> Iterator[object]:
    """Yield every name that is looked at; bytes where it is damaged."""
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from (node.name, node.op_type, *node.input, *node.output)


def _tensors(graph: Any, *, where: str) -> tuple[dict[str, Tensor], int]:
    """Return named initialisers as they are; anonymous ones by the path of the node that reads
    them.
    """
    numpy_helper = need("onnx.numpy_helper", "reading an ONNX file")

    with reading(where, "an ONNX file's initialiser", hint="export the network again"):
        values = {
            t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer
        }
    named = {name: value for name, value in values.items() if _ANONYMOUS not in name}
    folded = 0
    for node in graph.node:
        anonymous = [name for name in node.input if _ANONYMOUS in name and name in values]
        if node.op_type != "Conv" or len(anonymous) != 2:
            continue
        name = module_name(node.name)
        named[f"{name}.weight"], named[f"{norm_behind(name)}.bias"] = (
            values[key] for key in anonymous
        )
        folded += 1
    return named, folded


def _neutral_norms(module: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return statistics of the folded batch norms, those of which only the bias is known."""
    neutral: dict[str, Tensor] = {}
    for name, norm in module.named_modules():
        if not isinstance(norm, nn.BatchNorm2d) or f"{name}.running_var" in tensors:
            continue
        ones = torch.ones(norm.num_features)
        neutral[f"{name}.weight"] = ones
        neutral[f"{name}.running_mean"] = torch.zeros(norm.num_features)
        neutral[f"{name}.running_var"] = ones - norm.eps
    return neutral
