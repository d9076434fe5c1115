"""Event branches on disk: a folder with ``model.json`` and the weights it names, no pickle.

``model.json`` says what the weights are and holds their hash. It is replaced last and in one
step, and an older checkpoint's weights stay until then: whoever is killed while saving leaves
the older checkpoint whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path, file_sha256, write_json
from sdcl_neuro.files.reading import read_json, reason_of
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.identity import versions_of
from sdcl_neuro.network.spec import Pair, Shape

from .branch_description import BranchDescription
from .chip_neuron import Mode
from .event_branch import EventBranch

SCHEMA = {"name": "sdcl_neuro.checkpoint", "version": 1}
DOCUMENT = "model.json"
# Two names in turn, so that new weights never overwrite those the document still names.
WEIGHTS = ("model.safetensors", "model.next.safetensors")
_DOCUMENT_BYTES_MAX = 1 << 20
_LAYERS_MAX = 256
# What every event branch has alike, and what is not a chip's if it is negative.
_FIXED = (".reset_mechanism_val", ".graded_spikes_factor")
_POSITIVE = (".scale", ".threshold")
_MEND = "save it again, or give another checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        module: the branch, in its stage's mode, on the CPU.
        input_shape: of one step, ``(C, H, W)``.
        stage: ``float``, or ``int`` after quantisation-aware training.
        sha256: of the weights' file.
        provenance: what the saver said, and versions.
    """

    module: EventBranch
    input_shape: Shape
    stage: Mode
    sha256: str
    provenance: Mapping[str, Any] = field(default_factory=dict)


@public
def save_checkpoint(
    folder: Path | str,
    module: EventBranch,
    *,
    input_size: Pair,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write `module` to `folder`, whole or not at all; an older checkpoint there is replaced.

    Args:
        folder: made if absent.
        module: its mode becomes the checkpoint's stage.
        input_size: height and width it was trained for.
        provenance: plain JSON values on where it comes from.

    Returns:
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    module.float_network(input_size)  # refuses a size that the network cannot take
    name = WEIGHTS[1] if _present_weights(folder) == WEIGHTS[0] else WEIGHTS[0]
    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    with atomic_path(folder / name) as temporary:
        save_file(state, str(temporary))
    document = {
        "schema": SCHEMA,
        "stage": module.mode,
        "description": module.description.to_dict(),
        "input_shape": [module.description.in_channels, *input_size],
        "weights": {"file": name, "sha256": file_sha256(folder / name)},
        "provenance": {
            **(provenance or {}),
            "versions": versions_of("sdcl-neuro", "torch", "snntorch"),
        },
    }
    write_json(folder / DOCUMENT, document)
    for other in WEIGHTS:
        if other != name:
            (folder / other).unlink(missing_ok=True)
    return folder


@public
def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises:
        InputError: if anything is missing, damaged, or not what the document says.
    """
    folder = Path(folder)
    document = read_document(folder, DOCUMENT, mend="give a checkpoint folder")
    try:
        schema, stage = document["schema"], document["stage"]
        weights, shape = document["weights"], tuple(document["input_shape"])
        name, digest, provenance = weights["file"], weights["sha256"], document["provenance"]
    except (KeyError, TypeError) as error:
        raise broken(folder, f"{DOCUMENT} lacks {error}") from None
    if schema != SCHEMA:
        raise broken(folder, f"schema {schema} where {SCHEMA} is read")
    if stage not in ("float", "int") or name not in WEIGHTS or not isinstance(provenance, dict):
        raise broken(folder, f"stage {stage!r}, weights {name!r}")
    description = _description(folder, document)
    state = _read_weights(folder / name, digest)
    _check_state(folder, description, state)
    module = EventBranch(description)
    _load(folder, module, state, stage=stage)
    if len(shape) != 3 or any(type(n) is not int or n < 1 for n in shape):
        raise broken(folder, f"input shape {shape}")
    return Checkpoint(module, shape, stage, digest, provenance)


def _present_weights(folder: Path) -> str | None:
    """Return the weights that a readable document in `folder` names."""
    try:
        name = read_json(folder / DOCUMENT, largest=_DOCUMENT_BYTES_MAX)["weights"]["file"]
    except (OSError, InputError, LookupError, TypeError):
        return None
    return name if isinstance(name, str) else None


def read_document(folder: Path, name: str, *, mend: str) -> Any:
    """Return the JSON document that says what a checkpoint's folder holds.

    Args:
        folder: of the checkpoint.
        name: of the document in it.
        mend: what to do if there is none.

    Raises:
        InputError: it is absent, too large, or not JSON.
    """
    path = folder / name
    if not path.is_file():
        inner = inner_checkpoint(folder)
        hint = mend if inner is None else f"its checkpoint is {inner}: give that"
        raise InputError(f"no {name} in it", where=str(folder), hint=hint)
    try:
        return read_json(path, largest=_DOCUMENT_BYTES_MAX)
    except InputError as error:
        raise broken(folder, f"{name} is not JSON ({error.what})") from None


def inner_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint in the folder of a training run, a packaged model or the
    demonstration.
    """
    for name in ("model", "checkpoint"):
        if any((folder / name / document).is_file() for document in (DOCUMENT, "sdcl.json")):
            return folder / name
    return None


def _description(folder: Path, document: Any) -> BranchDescription:
    try:
        if len(document["description"]["layers"]) > _LAYERS_MAX:
            raise InputError(f"more than {_LAYERS_MAX} layers")
        return BranchDescription.from_dict(document["description"])
    except (InputError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise broken(folder, f"description: {reason_of(error)}") from None


def _read_weights(path: Path, digest: object) -> dict[str, Tensor]:
    if not path.is_file():
        raise broken(path.parent, f"{path.name} is missing")
    if file_sha256(path) != digest:
        raise broken(path.parent, f"{path.name} does not have the hash that {DOCUMENT} names")
    try:
        return load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise broken(path.parent, f"{path.name}: {error}") from None


def _check_state(folder: Path, description: BranchDescription, state: Mapping[str, Tensor]) -> None:
    """Compare weights with the description before anything is built from it."""
    channels = description.in_channels
    for index, layer in enumerate(description.layers):
        key = f"synapses.{index}.weight"
        expected = (layer.channels, channels, layer.kernel, layer.kernel)
        found = tuple(state[key].shape) if key in state else None
        if found != expected:
            raise broken(folder, f"{key} has shape {found}, not {expected}")
        channels = layer.channels
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise broken(folder, f"{key} holds values that are not finite")


def _load(folder: Path, module: EventBranch, state: dict[str, Tensor], *, stage: Mode) -> None:
    expected = module.state_dict()
    odd = sorted(set(expected) ^ set(state))
    odd += [k for k, v in expected.items() if k in state and v.shape != state[k].shape]
    if odd:
        raise broken(folder, f"unexpected, missing or misshapen {', '.join(odd[:4])}")
    for key, value in expected.items():
        if key.endswith(_FIXED) and not torch.equal(value, state[key]):
            raise broken(folder, f"{key} is {state[key].tolist()}, not {value.tolist()}")
    negative = [k for k in expected if k.endswith(_POSITIVE) and bool(state[k] < 0)]
    if negative:
        raise broken(folder, f"negative {', '.join(negative[:4])}")
    module.load_state_dict(state)
    try:
        module.set_mode(stage)
    except InputError as error:
        raise broken(folder, str(error)) from None


def broken(folder: Path, what: str) -> InputError:
    """Return an error that says what is wrong with a checkpoint, in one line."""
    return InputError(" ".join(what.split()), where=f"checkpoint {folder}", hint=_MEND)
