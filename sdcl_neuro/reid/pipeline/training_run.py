"""A configuration trained into a folder: begun, gone on with, or found finished.

The folder holds ``configuration.toml``, ``log.csv``, ``tensorboard/``, ``state/`` and, in the end,
``model/``: what `sdcl_checkpoint.load_sdcl` reads, and `conversion` too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed

from sdcl_neuro.devices import torch_threads
from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.sdcl_checkpoint import is_sdcl_checkpoint, save_sdcl

from ..configuration import (
    Configuration,
    build_data,
    build_model,
    clip_format,
    fill_cache,
    frame_branch_name,
    load_configuration,
)
from ..datasets import DataSet
from ..metrics.verification import Verification, verification
from ..training import TrainingStep, train
from ..training.devices import choose_device
from ..training.distributed import ALONE, Group, process_group
from ..training.objective import Objective
from ..training.schedule import TrainingSchedule, make_schedule
from ..training.validation import embed
from .recognition import PROVENANCE_KEY
from .training_result import TrainingPlan, TrainingResult, read_result
from .training_threads import training_threads

CONFIGURATION, MODEL = "configuration.toml", "model"

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar, given a title and a total; the function it yields advances it."""


def plan_training(
    configuration: Configuration, root: Path | None = None, *, folder: Path | None = None
) -> TrainingPlan:
    """Return what `run_training` would do; reads the data set's index, and writes nothing.

    Args:
        configuration: of everything.
        root: where the data set lies.
        folder: of the training; None leaves it unchecked.

    Raises:
        InputError: what `run_training` raises before its first step: data, model and settings that
            do not go together, a folder that holds another training or other things.
    """
    choose_device(configuration.training, ALONE)
    if folder is not None:
        _check_folder(folder, configuration)
    table = configuration.data
    if table.cache and not (Path(root or ".") / table.cache).exists():
        # It is filled when the training begins; who is seen where is known without.
        configuration = replace(configuration, data=replace(table, cache="", events="none"))
    data = build_data(configuration, root)
    schedule = make_schedule(data, configuration.training)
    model = _model(configuration, schedule)
    return TrainingPlan.of(configuration, data, schedule, model, counted=True)


def run_training(
    configuration: Configuration,
    folder: Path,
    *,
    root: Path | None = None,
    progress: Progress,
    say: Callable[[str], None] = lambda line: None,
) -> TrainingResult | None:
    """Train to the end, from wherever the folder stands.

    Started by ``torchrun``, the processes train together, and the first one writes.

    Args:
        configuration: of everything.
        folder: made if absent.
        root: where the data set lies.
        progress: makes progress bars.
        say: prints one line about what begins.

    Returns:
        What came out; None in all processes but the first.

    Raises:
        InputError: a folder that holds another training or other things, or data, model and
            settings that do not go together.
    """
    with process_group(configuration.training.device) as group:
        if not group.leads:
            say = _silent
        choose_device(configuration.training, group)  # a refusal leaves no folder behind
        _claim(folder, configuration, group)
        if is_sdcl_checkpoint(folder / MODEL):
            say(what_is_there(folder))
            return read_result(folder, done_now=0) if group.leads else None
        data = _data(configuration, root, group, progress)
        schedule = make_schedule(data, configuration.training)
        model = _model(configuration, schedule)
        say(str(TrainingPlan.of(configuration, data, schedule, model)))
        threads = training_threads(folder, group, say)
        say(str(threads))
        with torch_threads(threads.count):
            steps = _train(
                model, data, configuration, folder, group=group, progress=progress, say=say,
                total=schedule.steps,
            )  # fmt: skip
            if not group.leads:
                return None
            curve = _error_curve(model, data, configuration, schedule)
        if curve is not None:
            say(str(curve))
        _save(folder, model, configuration, schedule, curve)
        return read_result(folder, done_now=len(steps))


def _error_curve(
    model: Sdcl, data: DataSet, configuration: Configuration, schedule: TrainingSchedule
) -> Verification | None:
    """Return how alike right and wrong pairs of the validation persons are; None without any."""
    if not schedule.held_out:
        return None
    objective = Objective(model, configuration.training)
    embeddings = embed(objective, data, configuration.clip, schedule.held_out)
    entries = [data.entries[position] for position in schedule.held_out]
    return verification(
        embeddings,
        np.array([entry.person for entry in entries], np.int64),
        np.array([entry.camera for entry in entries], np.int64),
    )


def _save(
    folder: Path,
    model: Sdcl,
    configuration: Configuration,
    schedule: TrainingSchedule,
    curve: Verification | None = None,
) -> None:
    """Write the finished model; a folder with one is a finished training."""
    for half in (f".{MODEL}.*", f".{CONFIGURATION}.*"):
        _remove(folder, half)
    model.to("cpu")
    save_sdcl(
        folder / MODEL,
        model,
        clip=clip_format(configuration),
        frame_branch=frame_branch_name(configuration),
        provenance={
            "made_by": "sdcl-neuro train",
            "configuration": configuration.to_toml(),
            "persons": list(schedule.persons),
            "steps": schedule.steps,
            **({} if curve is None else {PROVENANCE_KEY: curve.to_dict()}),
        },
    )


def _train(
    model: Sdcl,
    data: DataSet,
    configuration: Configuration,
    folder: Path,
    *,
    group: Group,
    progress: Progress,
    say: Callable[[str], None],
    total: int,
) -> list[TrainingStep]:
    """Yield the remaining steps, with a progress bar that counts those done before."""
    seen = 0
    with progress("training", total) as advance:

        def on_step(step: TrainingStep) -> None:
            nonlocal seen
            advance(step.step + 1 - seen)
            seen = step.step + 1

        return train(
            model,
            data,
            configuration.clip,
            configuration.training,
            folder=folder,
            group=group,
            on_step=on_step,
            say=say,
        )


def _model(configuration: Configuration, schedule: TrainingSchedule) -> Sdcl:
    torch.manual_seed(configuration.training.seed)
    return build_model(configuration, len(schedule.persons))


def _data(
    configuration: Configuration, root: Path | None, group: Group, progress: Progress
) -> DataSet:
    """Return the data set, its events simulated first where the configuration names a cache of
    them.
    """
    if group.leads and root is not None:
        workers = configuration.training.workers
        fill_cache(configuration, root, workers=workers, progress=progress)
    _wait(group)
    return build_data(configuration, root)


def _claim(folder: Path, configuration: Configuration, group: Group) -> None:
    """Write the configuration into the folder, or check that it is the one there."""
    _wait(group)  # no process looks once the first one has written
    _check_folder(folder, configuration)
    _wait(group)
    if group.leads:
        with atomic_path(folder / CONFIGURATION) as temporary:
            temporary.write_text(configuration.to_toml(), encoding="utf-8")


def what_is_there(folder: Path) -> str:
    """Return what a folder holds of this training, in a line; empty if nothing."""
    if is_sdcl_checkpoint(folder / MODEL):
        return f"{folder} holds the finished training of this configuration"
    if (folder / CONFIGURATION).is_file():
        return f"{folder} holds this training, unfinished: the same command resumes it"
    return ""


def _check_folder(folder: Path, configuration: Configuration) -> None:
    """See that a folder can take a training, or holds this one."""
    path = folder / CONFIGURATION
    if folder.exists() and not folder.is_dir():
        raise InputError("is not a folder", where=str(folder), hint="give another folder for --out")
    if path.is_file():
        found = load_configuration(path)
        differing = list(_differences(_decisive(found), _decisive(configuration)))
        if differing:
            raise InputError(
                f"holds a training with {', '.join(differing[:3])}",
                where=str(folder),
                hint="give another folder, or the configuration it was begun with",
            )
    elif folder.is_dir() and any(not one.name.startswith(".") for one in folder.iterdir()):
        raise InputError(
            "holds files that no training wrote", where=str(folder), hint="give a new folder"
        )


def _remove(folder: Path, pattern: str) -> None:
    """Remove what a killed process left half written."""
    import shutil

    for path in folder.glob(pattern):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _decisive(configuration: Configuration) -> Configuration:
    """Leave out what changes the speed only."""
    same = replace(configuration.training, workers=0, cache_mib=0, checkpoint_every=1)
    return replace(configuration, training=same)


def _differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Yield each value of `one` that is not that of `other`, as ``key = value, not value``."""
    for field in fields(one):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if is_dataclass(first) and not isinstance(first, type):
            yield from _differences(first, second, f"{path}{field.name}.")
        elif first != second:
            yield f"{path}{field.name}={first!r}, not {second!r}"


def _wait(group: Group) -> None:
    if group.size > 1:
        distributed.barrier()


def _silent(line: str) -> None:
    """Say nothing."""
