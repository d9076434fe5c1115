"""Training a model on tracklets in stages: in float first, then in the chip's integers.

Everything that is drawn follows from the seed and the number of the step, so a training that was
killed goes on, from its last state, to what it would have become.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, distributed

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.network.arguments import public
from sdcl_neuro.snn.event_branch import EventBranch

from ..datasets import Clip, DataSet
from .devices import choose_device
from .distributed import ALONE, Group, joint_batch_norms
from .loading import Loader, Store
from .logs import TrainingStep
from .objective import fast_layout
from .records import Records, find_state
from .samples import Drawing, Request
from .schedule import TrainingSchedule, make_schedule
from .settings import Settings
from .stage import StageRun
from .state import SavedState, restore_model
from .stopping import Stop, stop_on_signals
from .validation import validate

_CALIBRATED = 32
"""Tracklets on which firing rates are found."""
_STRONGEST = 16.0
"""Largest weight over threshold to begin with: integer thresholds then have 4 bits or more."""
_LOWEST = 1e-4
"""Firing rate below which no lower one is tried."""


@public
def train(
    model: Sdcl,
    data: DataSet,
    clip: Clip,
    settings: Settings | None = None,
    *,
    folder: Path | None = None,
    group: Group = ALONE,
    on_step: Callable[[TrainingStep], None] = lambda step: None,
    say: Callable[[str], None] = lambda line: None,
) -> list[TrainingStep]:
    """Train `model` in place, stage after stage; it is in evaluation mode afterwards.

    Args:
        model: its bridge has one class for each of `training_persons`.
        data: its `train` positions are learnt.
        clip: what the tracklets look like.
        settings: see `Settings`.
        folder: of state and logs; a training found there goes on. None keeps nothing.
        group: of processes, each of which calls this with the same arguments.
        on_step: called after every step, in the group's first process.
        say: told in one line what a user may want to know.

    Returns:
        The steps that were done now.

    Raises:
        InputError: data or a model that do not fit the settings, or a folder with another
            training.
        KeyboardInterrupt: Ctrl-C; with a folder, after the step that runs, which is saved. SIGTERM
            ends the process in the same way, by SystemExit.
        CheckFailed: the loss is not a number any more.
    """
    settings = settings or Settings()
    schedule = make_schedule(data, settings)
    _check(model, schedule)
    group.share(settings.persons * settings.tracklets)
    about = _about(model, data, clip, settings, schedule)
    state = None if folder is None else find_state(folder, about)
    model.to(choose_device(settings, group))
    drawing = _drawing(model, data, clip, settings)
    if state is not None:
        restore_model(model, state)
    elif settings.firing_rate and drawing.events:
        _calibrate(model, drawing, schedule, say=say if group.leads else _silent)
    done: list[TrainingStep] = []
    with ExitStack() as opened:
        if group.size > 1:  # every process has read the state before one may replace it
            distributed.barrier()
        records = None
        if folder is not None and group.leads:
            records = Records(
                folder, layers=_spiking_layers(model), about=about, state=state, say=say
            )
            opened.enter_context(records)
        loader = Loader(drawing, Store(settings.cache_mib << 20))
        opened.callback(loader.close)
        opened.enter_context(fast_layout(model))
        opened.enter_context(joint_batch_norms(model, group))
        stop = opened.enter_context(stop_on_signals(say, wanted=records is not None))
        for step in _steps(model, schedule, loader, state, stop, group=group, records=records):
            done.append(step)
            if group.leads:
                on_step(step)
    model.eval()
    return done


def _steps(
    model: Sdcl,
    schedule: TrainingSchedule,
    loader: Loader,
    state: SavedState | None,
    stop: Stop,
    *,
    group: Group,
    records: Records | None,
) -> Iterator[TrainingStep]:
    """Yield all steps that are left, recorded; the state is saved whenever `stop` says so, too."""
    settings, data, clip = loader.drawing.settings, loader.drawing.data, loader.drawing.clip
    for span in schedule.spans:
        if state is not None and state.step >= span.last:
            continue
        inside = state if state is not None and state.step > span.first else None
        run = StageRun(model, schedule, span, settings, group=group, state=inside)
        if not run.frozen:
            loader.store.clear()  # it may hold maps in place of frames
        for step in run.steps(loader):
            done = step.step + 1
            if settings.validate_every and done % settings.validate_every == 0:
                judged = validate(run.objective, data, clip, schedule.held_out, group=group)
                step = replace(step, validation=judged)
            saved = False
            if records is not None:
                records.write(step)
                if done == span.last or done % settings.checkpoint_every == 0 or stop.due():
                    records.save(model, run.optimiser, run.learning, step=done)
                    stop.saved()
                    saved = True
            yield step
            if saved:  # one who asks after that waits for the next step
                stop.leave_if_asked()


def _check(model: Sdcl, schedule: TrainingSchedule) -> None:
    classes = model.bridge.config.identities
    if len(schedule.persons) > classes:
        raise InputError(
            f"{len(schedule.persons)} persons for {classes} classes",
            where="train",
            hint=f"build the bridge with identities={len(schedule.persons)}",
        )
    if len(schedule.persons) < 2:
        raise InputError("a single person to train on", where="train", hint="give two or more")


def _drawing(model: Sdcl, data: DataSet, clip: Clip, settings: Settings) -> Drawing:
    config = model.bridge.config
    return Drawing(data, clip, settings, frames=config.uses_frames, events=config.uses_events)


def _spiking_layers(model: Sdcl) -> int:
    branch = model.event_branch
    return len(branch.neurons) if isinstance(branch, EventBranch) else 0


def _calibrate(
    model: Sdcl, drawing: Drawing, schedule: TrainingSchedule, *, say: Callable[[str], None]
) -> None:
    """Bring the event branch to its firing rate on tracklets spread over the training ones.

    Where events are so few that only huge weights would reach it, to a lower one.
    """
    branch = model.event_branch
    if not isinstance(branch, EventBranch):
        return
    count = min(_CALIBRATED, len(schedule.positions))
    chosen = np.linspace(0, len(schedule.positions) - 1, count).round().astype(int)
    draw = (0,) if drawing.settings.variants else (0, 0)
    spikes = [drawing.draw(Request(schedule.positions[n], draw, kept=False)).spikes for n in chosen]
    given = torch.from_numpy(np.stack([one for one in spikes if one is not None], axis=1))
    device = next(model.parameters()).device
    if not given.any():
        say(
            "no events in the training tracklets that were looked at: firing rates stay as they are"
        )
        return
    rate, begun = drawing.settings.firing_rate, copy.deepcopy(branch.state_dict())
    branch.calibrate_rates(given.to(device).float(), rate=rate)
    while _strength(branch) > _STRONGEST and rate > _LOWEST:
        rate /= 2
        branch.load_state_dict(begun)
        branch.calibrate_rates(given.to(device).float(), rate=rate)
    if rate < drawing.settings.firing_rate:
        say(f"few events: the event branch begins at {rate:.2%} firing, not at firing_rate")


def _strength(branch: EventBranch) -> float:
    """Return largest weight over its layer's threshold."""
    weights = (cast(Tensor, synapse.weight) for synapse in branch.synapses)
    return max(
        float(weight.detach().abs().amax()) / branch.description.threshold for weight in weights
    )


def _silent(line: str) -> None:
    """Say nothing."""


def _about(
    model: Sdcl, data: DataSet, clip: Clip, settings: Settings, schedule: TrainingSchedule
) -> dict[str, Any]:
    """Return what decides the result, as plain JSON values; how fast it comes is left out."""
    decisive = replace(settings, workers=0, cache_mib=0, checkpoint_every=1)
    named = [[data.entries[p].name, data.entries[p].person] for p in schedule.positions]
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    parts = {
        "settings": asdict(decisive),
        "clip": asdict(clip),
        "model": {"bridge": model.bridge.config.to_dict(), "tensors_sha256": _digest(shapes)},
        "tracklets_sha256": _digest(named),
    }
    plain: dict[str, Any] = json.loads(json.dumps(parts))
    return plain


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
