"""Where training computes: refused before a folder is claimed, one GPU a process, shared work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, distributed

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.reid.configuration import load_configuration
from sdcl_neuro.reid.pipeline.training_run import run_training
from sdcl_neuro.reid.training import Settings, validation
from sdcl_neuro.reid.training.devices import choose_device
from sdcl_neuro.reid.training.distributed import ALONE, Group, process_group
from sdcl_neuro.reid.training.objective import Objective


def launched(monkeypatch: pytest.MonkeyPatch, rank: int, size: int, *, gpus: int) -> mock.Mock:
    """The environment that torchrun gives, on a machine with so many GPUs; returns the start."""
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(size))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    started = mock.Mock()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(distributed, "init_process_group", started)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: None)
    monkeypatch.setattr(distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(distributed, "get_world_size", lambda: size)
    return started


@pytest.mark.parametrize(
    ("device", "gpus", "backend"),
    [
        ("cpu", 2, "gloo"),
        ("auto", 0, "gloo"),
        ("auto", 2, "cpu:gloo,cuda:nccl"),
        ("cuda", 2, "cpu:gloo,cuda:nccl"),
    ],
)
def test_tensors_go_through_the_backend_of_their_device(
    monkeypatch: pytest.MonkeyPatch, device: str, gpus: int, backend: str
) -> None:
    started = launched(monkeypatch, 1, 2, gpus=gpus)
    with process_group(device) as group:
        assert group == Group(1, 2)
    assert started.call_args.args == (backend,)
    assert started.call_args.kwargs["timeout"].total_seconds() >= 3600


def test_more_processes_than_gpus_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, 3, 4, gpus=1)
    wanted = r"4 processes on a machine with 1 GPU,.*--nproc-per-node 1 at most"
    with pytest.raises(EnvironmentFault, match=wanted), process_group():
        pass
    with process_group("cpu") as group:  # which needs none
        assert group.rank == 3


def test_a_gpu_that_cannot_be_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, 0, 2, gpus=2)

    def refuse(index: int) -> None:
        raise RuntimeError("CUDA error: invalid device ordinal\nand more")

    monkeypatch.setattr(torch.cuda, "set_device", refuse)
    with pytest.raises(EnvironmentFault, match="GPU 0 cannot be used"), process_group():
        pass


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device(Settings(device="cuda:0"), ALONE) == torch.device("cuda", 0)
    with pytest.raises(EnvironmentFault, match="no GPU for device 'cuda:7'"):
        choose_device(Settings(device="cuda:7"), ALONE)
    with pytest.raises(InputError, match="unknown device 'cuda:x'"):
        choose_device(Settings(device="cuda:x"), ALONE)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_refused_device_leaves_no_folder_behind(tmp_path: Path, device: str) -> None:
    overrides = [f"training.device={device}"]
    configuration = load_configuration("generated-small", overrides)
    with pytest.raises(EnvironmentFault, match="torch finds no GPU"):
        run_training(configuration, tmp_path / "out", progress=None)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_validation(tiny, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """What each process computes is recorded first, then handed to all as an exchange would."""
    from .conftest import tracklet

    held = tiny.held([tracklet(person, number) for person in range(3) for number in range(7)])
    objective = Objective(tiny.model(), tiny.settings)
    positions = list(range(21))  # two whole batches and one of five
    alone = validation.embed(objective, held, tiny.clip, positions)
    parts: list[list[Tensor]] = []

    def record(part: Tensor, group: Group) -> Tensor:
        parts[group.rank].append(part)
        return part

    def exchange(rounds: list[int]) -> Callable[[Tensor, Group], Tensor]:
        def joint(part: Tensor, group: Group) -> Tensor:
            rounds.append(len(rounds))
            return torch.cat([one[rounds[-1]] for one in parts])

        return joint

    monkeypatch.setattr(validation, "gathered", record)
    for rank in range(size):
        parts.append([])
        validation.embed(objective, held, tiny.clip, positions, group=Group(rank, size))
    assert len({len(one) for one in parts}) == 1  # none waits for another
    for rank in range(size):
        monkeypatch.setattr(validation, "gathered", exchange([]))
        found = validation.embed(objective, held, tiny.clip, positions, group=Group(rank, size))
        np.testing.assert_array_equal(found, alone)
