"""The event branch of a hybrid network as a model that backends run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import need_path, public

from .backends.table import BASE
from .model_reading import load

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from sdcl_neuro.hybrid.runtime import EventBackend
    from sdcl_neuro.hybrid.sdcl_checkpoint import SdclCheckpoint
    from sdcl_neuro.network.record import Record

    from .model import Model, ModelLike


@public
def event_backend(model: ModelLike, name: str = BASE, *, device: str = "cpu") -> EventBackend:
    """Return the event branch on a backend, as `sdcl_neuro.hybrid.infer` takes it.

    All layers are kept where a backend counts nothing itself: the counts come from their spikes.

    Args:
        model: the event branch: a network, or the second of what `load_hybrid` returned.
        name: of the backend.
        device: of the backend.

    Returns:
        A function from spikes ``[T, B, 2, H, W]`` to the record of the run.

    Raises:
        InputError: a model or a name that cannot be used.

    Examples:
        >>> from sdcl_neuro import conversion
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> backend = conversion.event_backend(net, "loihi")
        >>> record = backend(random_spikes(net, 0))
        >>> record.backend
        'loihi'
    """
    from .backends.run import run_model
    from .backends.table import find_backend
    from .model_reading import as_model

    find_backend(name)
    found = as_model(model)
    network = found.integer or found.need_float()
    layers = [len(network.layers) - 1] if name == BASE else None

    def backend(spikes: NDArray[np.uint8]) -> Record:
        return run_model(found, spikes, backend=name, layers=layers, device=device)

    return backend


@public
def load_hybrid(folder: Path | str) -> tuple[SdclCheckpoint, Model]:
    """Read a checkpoint's dense side, and its event branch in the chip's integers.

    Args:
        folder: of a whole SDCL, as training saves it.

    Returns:
        The dense side, and the event branch as a model that `event_backend` takes.

    Raises:
        InputError: no whole SDCL, or one whose event branch was trained in float only.
    """
    from sdcl_neuro.hybrid.sdcl_checkpoint import is_sdcl_checkpoint, load_sdcl
    from sdcl_neuro.snn.checkpoint import DOCUMENT

    folder = need_path(folder, "load_hybrid", "give the folder of a whole SDCL")
    if folder.is_dir() and not is_sdcl_checkpoint(folder) and (folder / DOCUMENT).is_file():
        raise InputError(
            "an event branch alone, without the frame branch and the bridge",
            where=str(folder),
            hint="give the folder of a whole SDCL, as training saves it",
        )
    if folder.is_file():
        raise InputError(
            "a file, where the folder of a whole SDCL is needed",
            where=str(folder),
            hint="give a checkpoint folder; `sdcl-neuro run` takes files",
        )
    loaded, events = load_sdcl(folder), load(folder)
    if events.integer is None:
        raise InputError(
            "its event branch was trained in float only, so there are no chip integers to run",
            where=str(folder),
            hint="continue its training with a stage in mode 'int'",
        )
    return loaded, events
