"""The demonstration, step by step: cut, train, convert, prove, infer, rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sdcl_neuro.conversion import to_netx, to_nir
from sdcl_neuro.conversion.backends.table import find_backend
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.model_reading import load
from sdcl_neuro.conversion.parity.verify import Certificate
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.bridge import Bridge
from sdcl_neuro.hybrid.frame_branch import load_weights, make_frame_branch
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.sdcl_checkpoint import is_sdcl_checkpoint, load_sdcl, save_sdcl
from sdcl_neuro.network.backend_names import label
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.reid.datasets import Clip, TrackletsInMemory
from sdcl_neuro.reid.metrics import RankedLists
from sdcl_neuro.reid.pipeline import Session, hold_session
from sdcl_neuro.reid.pipeline.origin import TRAINED_ON
from sdcl_neuro.reid.training import train
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

from .cutting import cut_clip, stack_spikes
from .parity import Prover, absent_backends, one_of_each_kind
from .settings import CLIP, FRAME_BRANCH, HARDWARE, DemoSettings

Advance = Callable[[int], None]
Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""Opens a progress bar, given a title and a total; the function it yields advances it."""


@dataclass(frozen=True, eq=False)
class DemoResult:
    """Everything the report tells.

    Attributes:
        settings: as chosen.
        tracklets: all of the clip's, in order.
        log: of training, as `Step`s in plain JSON values.
        network: the trained event branch, float and integer.
        files: what was written, by a word for it.
        certificates: parity, by what was compared.
        not_run: backends that cannot run here, each with its reason and remedy.
        session: hybrid inference over queries and gallery.
        queries, gallery: indices into the session's tracklets.
        ranked: the gallery ranked for each query.
    """

    settings: DemoSettings
    tracklets: tuple[Tracklet, ...]
    log: tuple[dict[str, Any], ...]
    network: Model
    files: dict[str, Path]
    certificates: dict[str, Certificate]
    not_run: dict[str, str]
    session: Session
    queries: NDArray[np.int64]
    gallery: NDArray[np.int64]
    ranked: RankedLists


def tell(settings: DemoSettings, *, progress: Progress, say: Callable[[str], None]) -> DemoResult:
    """Run the whole demonstration.

    Args:
        settings: see `DemoSettings`.
        progress: makes progress bars.
        say: prints one line about what begins.

    Raises:
        EnvironmentFault: the backend of `settings` cannot run here; found before any work.
    """
    find_backend(settings.backend).require()
    settings.out.mkdir(parents=True, exist_ok=True)
    not_run = absent_backends()
    for name, reason in not_run.items():
        say(f"not run: {name}, {reason}")
    prover = Prover(settings, not_run, say)
    # It needs no training, so the first result is there within a minute.
    paper = prover.paper()
    say("cutting tracklets of the clip's persons, simulating their events")
    tracklets = cut_clip()
    folder = settings.out / "checkpoint"
    _train_if_needed(settings, tracklets, folder, progress=progress, say=say)
    checkpoint = load_sdcl(folder)
    network = load(folder)
    files = {"checkpoint": folder, **_convert(settings.out, network, say)}
    files["spikes"] = settings.out / "spikes.npz"
    write_spikes(files["spikes"], stack_spikes(one_of_each_kind(tracklets)))
    # What is proved and run from here on was read back from the file that goes to the chip.
    deployed = replace(load(files["Lava-DL netx"]), floating=network.floating)
    certificates = prover.compact(deployed, tracklets) | paper
    say(f"hybrid inference, event branch on {label(settings.backend)}")
    chosen = [t for t in tracklets if t.segment in ("arriving", "leaving")]
    with progress("hybrid inference", len(chosen)) as advance:
        session = hold_session(
            checkpoint.model,
            deployed,
            chosen,
            backend=settings.backend,
            hardware=HARDWARE,
            on_batch=advance,
        )
    segments = np.array([tracklet.segment for tracklet in chosen])
    queries, gallery = (np.flatnonzero(segments == name) for name in ("arriving", "leaving"))
    return DemoResult(
        settings=settings,
        tracklets=tuple(tracklets),
        log=tuple(checkpoint.provenance["log"]),
        network=deployed,
        files=files,
        certificates=certificates,
        not_run=not_run,
        session=session,
        queries=queries,
        gallery=gallery,
        ranked=session.ranked(queries, gallery),
    )


def _train_if_needed(
    settings: DemoSettings,
    tracklets: Sequence[Tracklet],
    folder: Path,
    *,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    """Train and save, unless `folder` holds a finished training of the same settings."""
    fingerprint = settings.fingerprint()
    if not settings.retrain and is_sdcl_checkpoint(folder):
        try:
            if load_sdcl(folder).provenance.get("fingerprint") == fingerprint:
                say(f"taking the finished training in {folder} (--retrain trains again)")
                return
        except InputError as error:
            say(f"training again: {error}")
    standing = tuple(n for n, one in enumerate(tracklets) if one.segment == "standing")
    say(f"training on {len(standing)} tracklets of persons who stand, in snnTorch")
    model = _untrained(settings)
    with progress("training", sum(settings.steps)) as advance:
        log = train(
            model,
            TrackletsInMemory(tuple(tracklets), train=standing),
            Clip(CLIP.frames, CLIP.bins, CLIP.size),
            settings.training,
            on_step=lambda step: advance(1),
        )
    provenance = {
        "made_by": "sdcl-neuro demo",
        "seed": settings.seed,
        TRAINED_ON: "the demonstration's, trained on the six persons of the packaged clip, "
        f"{sum(settings.steps)} steps from random weights; of other persons it says little",
        "fingerprint": fingerprint,
        "log": [asdict(step) for step in log],
    }
    save_sdcl(folder, model, clip=CLIP, frame_branch=FRAME_BRANCH, provenance=provenance)


def _untrained(settings: DemoSettings) -> Sdcl:
    torch.manual_seed(settings.seed)
    dense = make_frame_branch(FRAME_BRANCH)
    if settings.frame_weights is not None:
        load_weights(dense, settings.frame_weights)
    return Sdcl(dense, EventBranch(COMPACT), bridge=Bridge(settings.bridge))


def _convert(out: Path, network: Model, say: Callable[[str], None]) -> dict[str, Path]:
    """Return the event branch for the chip and for every reader of NIR."""
    say("converting the event branch to Lava-DL netx and NIR")
    files = {"Lava-DL netx": out / "event_branch.net", "NIR": out / "event_branch.nir"}
    to_netx(network.need_integer(), files["Lava-DL netx"])
    to_nir(network.need_float(), files["NIR"])
    return files
