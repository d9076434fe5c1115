"""What hybrid inference needs before it begins: the two sides of a checkpoint, a backend."""

from __future__ import annotations

from pathlib import Path

from sdcl_neuro.conversion.backends.table import find_backend
from sdcl_neuro.conversion.model import Model, load_model
from sdcl_neuro.devices import named_device
from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.frame_branch.ahead import check_kind
from sdcl_neuro.hybrid.sdcl_checkpoint import SdclCheckpoint, is_sdcl_checkpoint, load_sdcl
from sdcl_neuro.snn.checkpoint import DOCUMENT as EVENT_DOCUMENT


def check_means(backend: str, device: str | None, frame_backend: str = "eager") -> None:
    """See that the event branch's backend, the device and the frame branch's backend are there.

    Raises:
        InputError: an unknown name, a frame backend for another device.
        EnvironmentFault: a backend that is not installed, a GPU that is not there.
    """
    find_backend(backend).require()
    check_kind(frame_backend, named_device(device or "cpu"))


def load_hybrid(folder: Path | str) -> tuple[SdclCheckpoint, Model]:
    """A checkpoint's dense side, and its event branch in the chip's integers.

    Raises:
        InputError: no whole SDCL, or one whose event branch was trained in float only.
    """
    folder = Path(folder)
    if folder.is_dir() and not is_sdcl_checkpoint(folder) and (folder / EVENT_DOCUMENT).is_file():
        raise InputError(
            "an event branch alone, without the frame branch and the bridge",
            where=str(folder),
            mend="give the folder of a whole SDCL, as training saves it",
        )
    if folder.is_file():
        raise InputError(
            "a file, where the folder of a whole SDCL is needed",
            where=str(folder),
            mend="give a checkpoint folder; `sdcl-neuro run` takes files",
        )
    loaded, events = load_sdcl(folder), load_model(folder)
    if events.integer is None:
        raise InputError(
            "its event branch was trained in float only, so there are no chip integers to run",
            where=str(folder),
            mend="train it on with a stage in mode 'int'",
        )
    return loaded, events
