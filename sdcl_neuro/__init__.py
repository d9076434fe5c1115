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
    from sdcl_neuro.conversion.costs import profile as profile
    from sdcl_neuro.conversion.model import load_model
    from sdcl_neuro.conversion.parity.verify import verify as verify
    from sdcl_neuro.errors import CheckFailed as CheckFailed
    from sdcl_neuro.errors import EnvironmentFault as EnvironmentFault
    from sdcl_neuro.errors import InputError as InputError
    from sdcl_neuro.errors import NetworkRefused as NetworkRefused
    from sdcl_neuro.errors import SdclNeuroError as SdclNeuroError
    from sdcl_neuro.network.record import Record as Record
    from sdcl_neuro.network.spec import FloatNetwork as FloatNetwork
    from sdcl_neuro.network.spec import IntNetwork as IntNetwork

    load = load_model

from . import _moved

__version__ = "0.1.0"
LOADED_AT = time.time()
"""When this process began to load the package, in seconds since 1970: a source written later may
differ from the code that runs."""

_moved.install()

_ERRORS = ("SdclNeuroError", "InputError", "NetworkRefused", "CheckFailed", "EnvironmentFault")
_LAZY = {
    "load": ("sdcl_neuro.conversion.model", "load_model"),
    "run": ("sdcl_neuro.conversion.backends.run", "run"),
    "verify": ("sdcl_neuro.conversion.parity.verify", "verify"),
    "profile": ("sdcl_neuro.conversion.costs", "profile"),
    "conversion": ("sdcl_neuro.conversion", None),
    "FloatNetwork": ("sdcl_neuro.network.spec", "FloatNetwork"),
    "IntNetwork": ("sdcl_neuro.network.spec", "IntNetwork"),
    "Record": ("sdcl_neuro.network.record", "Record"),
    **{name: ("sdcl_neuro.errors", name) for name in _ERRORS},
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
