"""Weight files: safetensors and nothing else.

A ``.pth`` file is a pickle, which can run code when it is opened, so none is read here. Convert it
once where you trust it: see ``docs/frame_branch.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load, save_file
from torch import Tensor, nn

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path
from sdcl_neuro.files.reading import reading, regular_file
from sdcl_neuro.network.arguments import public

_WRAPPER = "module."  # what torch.nn.DataParallel puts before every name
_COUNTER = "num_batches_tracked"  # absent from files older than PyTorch 0.4.1; never used here
_LISTED = 5


@public
def load_weights(module: nn.Module, path: Path | str) -> None:
    """Load a safetensors file into `module` by name, strictly, all or nothing.

    Names may all begin with ``module.``. Entries under a prefix in ``module.ignored`` (a
    classifier) are passed over. Values are converted to the module's own type.

    Raises:
        InputError: the file is not a safetensors file, names are missing or unexpected, shapes
            differ, or a value is not finite: all are listed in one message, and the module is
            left unchanged.
    """
    path = Path(path)
    given = read_tensors(path)
    if given and all(name.startswith(_WRAPPER) for name in given):
        given = {name.removeprefix(_WRAPPER): value for name, value in given.items()}
    ignored = tuple(getattr(module, "ignored", ()))
    given = {name: value for name, value in given.items() if not name.startswith(ignored)}
    wanted = module.state_dict()
    wrong = faults(wanted, given)
    if wrong:
        raise InputError(
            "; ".join(wrong),
            where=str(path),
            hint=f"give weights of {type(module).__name__} under its usual names",
        )
    module.load_state_dict({**wanted, **given})


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return all tensors of a safetensors file.

    Raises:
        InputError: it is none.
    """
    if path.is_file() and path.suffix.lower() in (".pth", ".pt", ".tar", ".bin", ".pkl"):
        raise InputError(
            "pickled weights can run code and are not read",
            where=str(path),
            hint="convert the file once with safetensors.torch.save_file (docs/frame_branch.md)",
        )
    regular_file(path, what="a safetensors file")
    hint = "convert the weights with safetensors.torch.save_file (docs/frame_branch.md)"
    with reading(path, "a safetensors file", hint=hint):
        # Not load_file: it maps the file, and a file cut short meanwhile would kill the process.
        return load(path.read_bytes())


def save_weights(module: nn.Module, path: Path | str) -> None:
    """Write all of a module's parameters and buffers to a safetensors file."""
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)


def faults(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Return what is wrong with tensors `given` for a state dict `wanted`, one entry for each
    kind.
    """
    missing = [n for n in wanted if n not in given and not n.endswith(_COUNTER)]
    unexpected = [n for n in given if n not in wanted]
    common = [n for n in given if n in wanted]
    shapes = [
        f"{n} {tuple(given[n].shape)} for {tuple(wanted[n].shape)}"
        for n in common
        if given[n].shape != wanted[n].shape
    ]
    broken = [n for n in common if not bool(torch.isfinite(given[n].float()).all())]
    listed = {
        "missing": missing,
        "unexpected": unexpected,
        "wrong shape": shapes,
        "not finite": broken,
    }
    return [f"{len(names)} {what}: {_shortened(names)}" for what, names in listed.items() if names]


def _shortened(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
