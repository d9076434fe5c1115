"""The state of a training on disk: whole at every moment, and enough to go on to the same result.

``state.json`` names a safetensors file with the model's state and the optimiser's moments. It is
replaced in one step after the tensors are written, and the tensors it named before go last. Random
numbers need no state of their own: each follows from the seed and the number of its step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path, file_sha256, write_json
from sdcl_neuro.files.reading import read_json, reason_of
from sdcl_neuro.hybrid.frame_branch.weights import read_tensors
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.snn.event_branch import EventBranch

SCHEMA = {"name": "sdcl_neuro.training_state", "version": 1}
DOCUMENT = "state.json"
_MODEL, _OPTIMISER = "model.", "optimiser."
_MEND = "remove the folder to train again"


@dataclass(frozen=True)
class SavedState:
    """A state that was read.

    Attributes:
        step: steps done.
        mode: of the event branch.
        log_bytes: length of the log at that moment.
        about: what is trained on what, as it was told to `write_state`.
        tensors: as they were named in the file.
    """

    step: int
    mode: str
    log_bytes: int
    about: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


Learning = list[tuple[str, nn.Parameter]]
"""Names and parameters, in the optimiser's order."""


def write_state(
    folder: Path,
    model: Sdcl,
    optimiser: torch.optim.Optimizer,
    learning: Learning,
    *,
    step: int,
    log_bytes: int,
    about: Mapping[str, Any],
) -> None:
    """Replace the state in `folder`.

    Args:
        folder: made if absent.
        model, optimiser: what is saved.
        learning: the parameters that `optimiser` has.
        step: steps done.
        log_bytes: length of the log, all of which is on disk.
        about: plain JSON values; a training with others is another one.
    """
    tensors = {_MODEL + name: value for name, value in model.state_dict().items()}
    for name, parameter in learning:
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{_OPTIMISER}{key}.{name}"] = value
    path = folder / f"step-{step:08d}.safetensors"
    with atomic_path(path) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary)
    branch = model.event_branch
    document = {
        "schema": SCHEMA,
        "step": step,
        "mode": branch.mode if isinstance(branch, EventBranch) else "float",
        "log_bytes": log_bytes,
        "file": path.name,
        "sha256": file_sha256(path),
        "random": "every draw follows from about.settings.seed and the number of its step",
        "about": about,
        "versions": {"torch": torch.__version__},
    }
    write_json(folder / DOCUMENT, document)
    clean(folder, keep=path.name)


def clean(folder: Path, *, keep: str = "") -> None:
    """Remove tensors that `keep` is not, and what a killed process left half written."""
    for pattern in ("step-*.safetensors", ".step-*", f".{DOCUMENT}.*"):
        for path in folder.glob(pattern):
            if path.name != keep:
                path.unlink(missing_ok=True)


def read_state(folder: Path) -> SavedState | None:
    """Return the state in `folder`; None if there is none.

    Raises:
        InputError: it is damaged.
    """
    path = folder / DOCUMENT
    if not path.is_file():
        return None
    try:
        document = read_json(path, what="a training's state")
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema {document['schema']} where {SCHEMA} is read")
        file = folder / str(document["file"])
        if not file.is_file() or file_sha256(file) != document["sha256"]:
            raise ValueError(f"{file.name} is missing or does not have the hash named here")
        return SavedState(
            int(document["step"]),
            str(document["mode"]),
            int(document["log_bytes"]),
            dict(document["about"]),
            read_tensors(file),
        )
    except (InputError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"damaged: {reason_of(error)}", where=str(path), hint=_MEND) from None


def restore_model(model: Sdcl, state: SavedState) -> None:
    """Give `model` the weights, statistics and mode of a state.

    Raises:
        InputError: they are another model's.
    """
    given = {n.removeprefix(_MODEL): v for n, v in state.tensors.items() if n.startswith(_MODEL)}
    try:
        model.load_state_dict(given)
    except RuntimeError as error:
        line = " ".join(str(error).split())
        raise InputError(f"another model's state: {line}", where=DOCUMENT, hint=_MEND) from None
    if isinstance(model.event_branch, EventBranch):
        model.event_branch.set_mode("int" if state.mode == "int" else "float")


def restore_optimiser(
    optimiser: torch.optim.Optimizer, learning: Learning, state: SavedState
) -> None:
    """Give a fresh `optimiser` the moments of a state; parameters without any keep none."""
    for name, parameter in learning:
        moments: dict[str, Tensor] = {}
        for stored, value in state.tensors.items():
            key, _, owner = stored.removeprefix(_OPTIMISER).partition(".")
            if stored.startswith(_OPTIMISER) and owner == name:
                # Into fresh memory: arithmetic may depend on how a tensor is aligned.
                like = parameter if value.shape == parameter.shape else value
                fresh = torch.empty_like(like, dtype=value.dtype, device=parameter.device)
                moments[key] = fresh.copy_(value)
        if moments:
            optimiser.state[parameter] = moments
