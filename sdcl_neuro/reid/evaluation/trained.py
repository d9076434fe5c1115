"""A trained model from wherever training or the demonstration left it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.model_reading import load
from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.sdcl_checkpoint import (
    DOCUMENT,
    SdclCheckpoint,
    is_sdcl_checkpoint,
    load_sdcl,
)
from sdcl_neuro.network.arguments import public
from sdcl_neuro.snn.checkpoint import inner_checkpoint
from sdcl_neuro.snn.event_branch import EventBranch

from ..datasets import Clip

MODEL, CONFIGURATION = "model", "configuration.toml"
"""What a training run's folder holds; see `sdcl_neuro.reid.training`."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A model that is to be judged.

    Attributes:
        folder: of the model.
        checkpoint: the whole model.
        events: its event branch in float and, where training fixed them, in integers; None for a
            model without spikes.
        configuration: the file that says how it was trained, where there is one.
    """

    folder: Path
    checkpoint: SdclCheckpoint
    events: Model | None
    configuration: Path | None

    @property
    def clip(self) -> Clip:
        """Clip format of the tracklets it was trained on."""
        own = self.checkpoint.clip
        return Clip(own.frames, own.bins, own.size)


@public
def open_trained(folder: Path | str) -> Trained:
    """Read a run's folder, or the folder of a model.

    Raises:
        InputError: there is no whole model in it, or it is damaged.
    """
    folder = Path(folder)
    model = folder if is_sdcl_checkpoint(folder) else folder / MODEL
    if not is_sdcl_checkpoint(model):
        unfinished = (folder / CONFIGURATION).is_file()
        inner = inner_checkpoint(folder)
        raise InputError(
            "a training that is not finished" if unfinished else f"neither {DOCUMENT} nor {MODEL}/",
            where=str(folder),
            hint="continue with the same command"
            if unfinished
            else "give the folder of a whole SDCL, or of a training run"
            if inner is None
            else f"its checkpoint is {inner}: give that",
        )
    checkpoint = load_sdcl(model)
    spiking = isinstance(checkpoint.model.event_branch, EventBranch)
    written = model.parent / CONFIGURATION
    return Trained(
        model,
        checkpoint,
        load(model) if spiking else None,
        written if model.name == MODEL and written.is_file() else None,
    )
