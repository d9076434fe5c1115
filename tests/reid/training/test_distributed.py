"""Two processes that train together do what one does with the joint batch."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.training.distributed import Group

HERE = Path(__file__).parent


def start(rank: int, size: int, port: int, *arguments: object) -> subprocess.Popen[str]:
    """One process with the environment that torchrun gives it."""
    given = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    environment |= {name: str(value) for name, value in given.items()}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_two_processes_give_the_gradients_of_one(tmp_path: Path) -> None:
    """Loss, gradients of every parameter, and every running statistic."""
    port = free_port()
    processes = [start(rank, 2, port, HERE / "in_group.py", tmp_path) for rank in range(2)]
    for process in processes:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said
    alone = runpy.run_path(str(HERE / "in_group.py"))["learn"](Group())
    first, second = (load_file(tmp_path / f"{rank}-of-2.safetensors") for rank in range(2))
    assert set(alone) == set(first) == set(second)
    assert sum(name.startswith("gradient.model.") for name in alone) > 100
    for name, expected in alone.items():
        assert torch.equal(first[name], second[name]), name
        if name.startswith("gradient."):
            # STAM's gates are normed over few values of one step, which magnifies rounding.
            limit = 2e-2 if ".temporal." in name else 2e-3
            assert _apart(first[name], expected) < limit, name
        elif expected.numel():
            assert _apart(first[name], expected) < 1e-4, name


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference, over the largest value."""
    scale = other.double().abs().max().item() or 1.0
    return (one.double() - other.double()).abs().max().item() / scale


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(InputError, match="9 tracklets a batch cannot be shared among 2"):
        Group(0, 2).share(9)
