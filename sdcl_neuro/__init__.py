"""SDCL's event branch on neuromorphic hardware, spike for spike, beside its dense frame branch.

The names below are imported on first use, so that ``import sdcl_neuro`` stays light.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdcl_neuro import conversion as conversion
    from sdcl_neuro.conversion.backends.run import run as run
    from sdcl_neuro.conversion.parity.verify import verify as verify
    from sdcl_neuro.profiling import profile as profile

from . import _moved

__version__ = "0.1.0"
LOADED_AT = time.time()
"""When this process began to load the package, in seconds since 1970: a source written later may
differ from the code that runs."""

_moved.install()

_LAZY = {
    "conversion": ("sdcl_neuro.conversion", None),
    "run": ("sdcl_neuro.conversion.backends.run", "run"),
    "verify": ("sdcl_neuro.conversion.parity.verify", "verify"),
    "profile": ("sdcl_neuro.profiling", "profile"),
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module_name, attribute = _LAZY[name]
    module = import_module(module_name)
    return module if attribute is None else getattr(module, attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
