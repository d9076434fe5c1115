"""Where training computes, and how precisely."""

from __future__ import annotations

import os

import torch

from sdcl_neuro.devices import named_device
from sdcl_neuro.errors import EnvironmentFault

from .distributed import Group
from .settings import Settings


def choose_device(settings: Settings, group: Group) -> torch.device:
    """Return the device of this process.

    Raises:
        InputError: a name that torch does not know.
        EnvironmentFault: a GPU is asked for and there is none, or not as many.
    """
    if settings.device == "cpu" or (settings.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise EnvironmentFault(
            f"device is {settings.device!r}, and torch finds no GPU",
            where="training.device",
            hint="install a CUDA build of torch, or set it to auto",
        )
    if group.size > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cuda") if settings.device == "auto" else named_device(settings.device)


def choose_precision(settings: Settings, device: torch.device) -> torch.dtype:
    """Choose the dense parts' type: bfloat16 where it is asked for, or where a GPU has it."""
    if settings.precision == "auto":
        reduced = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if reduced else torch.float32
    return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
