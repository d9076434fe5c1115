"""The folder of a training: its state, its log, its board; one process writes at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import install_command
from sdcl_neuro.hybrid.model import Sdcl

from .logs import Board, CsvLog, TrainingStep
from .state import Learning, SavedState, clean, read_state, write_state

LOG, BOARD, STATE, LOCK = "log.csv", "tensorboard", "state", "lock"
NO_BOARD = f"no TensorBoard files: tensorboard is not installed; {install_command('tensorboard')}"


def find_state(folder: Path, about: Mapping[str, Any]) -> SavedState | None:
    """Return what a training in `folder` has reached; None if nothing.

    Args:
        folder: of the training.
        about: as `write_state` is told now.

    Raises:
        InputError: the state is damaged, or another training's.
    """
    state = read_state(folder / STATE)
    if state is None:
        return None
    differing = [key for key, value in about.items() if state.about.get(key) != value]
    if differing:
        raise InputError(
            f"holds a training that differs in {', '.join(differing)}",
            where=str(folder),
            hint="give another folder, or what it was begun with",
        )
    return state


class Records:
    """Writes what a training says; a context manager.

    Args:
        folder: made if absent.
        layers: number of spiking layers.
        about: plain JSON values, see `find_state`.
        state: where the training goes on; None from the beginning.
        say: told once if there is no TensorBoard.

    Raises:
        InputError: another process trains there, or the log is shorter than the state says.
    """

    def __init__(
        self,
        folder: Path,
        *,
        layers: int,
        about: Mapping[str, Any],
        state: SavedState | None,
        say: Callable[[str], None],
    ) -> None:
        self.folder, self.about = folder, about
        with ExitStack() as opened:
            folder.mkdir(parents=True, exist_ok=True)
            self.lock = opened.enter_context((folder / LOCK).open("w"))
            _take(self.lock, folder)
            clean(folder / STATE, keep=_named(state))
            length = 0 if state is None else state.log_bytes
            self.log = CsvLog(folder / LOG, layers=layers, length=length)
            opened.callback(self.log.close)
            self.board = Board(folder / BOARD, first=0 if state is None else state.step)
            opened.callback(self.board.close)
            if self.board.missing:
                say(NO_BOARD)
            self.opened = opened.pop_all()

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *error: object) -> None:
        self.opened.close()

    def write(self, step: TrainingStep) -> None:
        """Write a line in the log, and on the board."""
        self.log.write(step)
        self.board.write(step)

    def save(
        self, model: Sdcl, optimiser: torch.optim.Optimizer, learning: Learning, *, step: int
    ) -> None:
        """Save the state after `step` steps, in place of the one before."""
        write_state(
            self.folder / STATE,
            model,
            optimiser,
            learning,
            step=step,
            log_bytes=self.log.length(),
            about=self.about,
        )


def _named(state: SavedState | None) -> str:
    return "" if state is None else f"step-{state.step:08d}.safetensors"


def _take(lock: Any, folder: Path) -> None:
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(
            "another process trains here", where=str(folder), hint="wait for it, or end it"
        ) from None
