"""The table of models: packaged folders, and public weights that are fetched only when asked."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.files import atomic_folder, atomic_path, file_sha256

DEFAULT = "sdcl-small-walkers"
"""What `infer` and `live` take when no checkpoint is named."""
CARD, NETWORK, CERTIFICATE = "card.json", "event_branch.net", "certificate.json"
CHECKPOINT, SPIKES = "checkpoint", "spikes.npz"
_CHUNK, _TIMEOUT_S = 2**16, 60.0


@dataclass(frozen=True)
class ModelRow:
    """One model.

    Attributes:
        name: on the command line; of a packaged one also its folder's name.
        title: what it is, in one line.
        address: where a public one lies; empty for a packaged one.
        sha256: of the file at the address.
        file: its name when it is fetched.
        note: licence and use, of a public one.
    """

    name: str
    title: str
    address: str = ""
    sha256: str = ""
    file: str = ""
    note: str = ""

    @property
    def packaged(self) -> bool:
        """Whether it comes with the package."""
        return not self.address


ROWS = (
    ModelRow(
        DEFAULT,
        "whole SDCL, frames and events, trained on rendered persons; not for real ones",
    ),
    ModelRow(
        "osnet-x0-25-msmt17",
        "frame branch OSNet x0.25, public weights trained on real persons",
        address="https://raw.githubusercontent.com/Smorodov/Multitarget-tracker/"
        "f0adc8ec8a4083b648f1c052b05773d21dafaf69/data/reid/osnet_x0_25_msmt17.onnx",
        sha256="bb2267b23a64675f67bffc3177b7319e3a08de56041d153562c0206699634bce",
        file="osnet_x0_25_msmt17.onnx",
        note="OSNet by Zhou et al. (MIT), in an Apache-2.0 repository, trained on MSMT17, whose "
        "data are for research: not part of this package. sdcl-neuro weights convert reads it.",
    ),
)
MODELS: dict[str, ModelRow] = {row.name: row for row in ROWS}


def find_model(name: str) -> ModelRow:
    """Return the row of a model; InputError if there is none."""
    if name not in MODELS:
        raise InputError(
            f"no model is called {name!r}", where="models", hint=f"use {', '.join(MODELS)}"
        )
    return MODELS[name]


def model_folder(name: str) -> Path:
    """Return the folder of a packaged model.

    Raises:
        InputError: no such model, or one that does not come with the package.
        EnvironmentFault: the installation lacks its files.
    """
    row = find_model(name)
    if not row.packaged:
        raise InputError(
            f"{name} does not come with the package",
            where="models",
            hint=f"fetch it: sdcl-neuro models get {name} --out DIR",
        )
    # Readers want real files; pip always unpacks wheels to some.
    folder = Path(str(files(__package__) / name))
    if not (folder / CARD).is_file():
        raise EnvironmentFault(
            f"the files of {name} are missing from {folder}",
            hint="install the package again, from its wheel or checkout",
        )
    return folder


def read_card(name: str) -> dict[str, Any]:
    """Return a packaged model's card: data, seeds, figures, limits, hashes."""
    card: dict[str, Any] = json.loads((model_folder(name) / CARD).read_text(encoding="utf-8"))
    return card


def take_checkpoint(checkpoint: Path | str | None) -> tuple[Path, tuple[str, ...]]:
    """Return the checkpoint to work with, and what was assumed where none is named.

    Args:
        checkpoint: a folder; None takes the packaged model.
    """
    if checkpoint is not None:
        return Path(checkpoint), ()
    note = f"the model is {DEFAULT}, which comes with the package: {find_model(DEFAULT).title}"
    return model_folder(DEFAULT) / CHECKPOINT, (f"{note} (name a CHECKPOINT for another)",)


def _open(address: str) -> Any:
    return urllib.request.urlopen(address, timeout=_TIMEOUT_S)


def get(name: str, out: Path, *, fetch: Callable[[str], Any] = _open) -> Path:
    """Copy a packaged model to a folder, or fetch a public one and check its hash.

    Args:
        name: of the model.
        out: the folder; made if absent, refused if the model is there already.
        fetch: opens an address, as a context that reads bytes.

    Returns:
        The folder of a packaged model, or the file of a public one.

    Raises:
        InputError: no such model, or files in the way.
        EnvironmentFault: the address cannot be reached, or holds another file than was named.
    """
    row = find_model(name)
    target = out / (row.file or row.name)
    if target.exists():
        raise InputError("exists already", where=str(target), hint="give another --out")
    out.mkdir(parents=True, exist_ok=True)
    if row.packaged:
        with atomic_folder(target) as temporary:
            shutil.copytree(model_folder(name), temporary, dirs_exist_ok=True)
        return target
    with atomic_path(target) as temporary:
        try:
            with fetch(row.address) as source, temporary.open("wb") as sink:
                shutil.copyfileobj(source, sink, _CHUNK)
        except OSError as error:
            raise EnvironmentFault(
                f"cannot be reached ({error})",
                where=row.address,
                hint=f"fetch it elsewhere; its SHA-256 is {row.sha256}",
            ) from error
        found = file_sha256(temporary)
        if found != row.sha256:
            raise EnvironmentFault(
                f"expected SHA-256 {row.sha256[:16]}..., got {found[:16]}...; nothing was kept",
                where=row.address,
                hint="it is not the file that this release was tried with; do not use it unseen",
            )
    return target
