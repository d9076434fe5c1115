"""Networks from their sources, to their targets; each name is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bundle import to_bundle as to_bundle
    from .deployable import make_deployable as make_deployable
    from .lava_netx import from_netx as from_netx
    from .lava_netx import to_netx as to_netx
    from .nir_graph import from_nir as from_nir
    from .nir_graph import to_nir as to_nir
    from .quantisation import quantize as quantize
    from .quantisation_aware import prepare_quantization as prepare_quantization
    from .quantisation_report import quantization_report as quantization_report
    from .snntorch_source import from_snntorch as from_snntorch

# Name: module. The verbs of the Python interface; no module may have a verb's name, since
# importing it would put the module in the verb's place.
_LAZY = {
    "from_netx": "lava_netx",
    "from_nir": "nir_graph",
    "from_snntorch": "snntorch_source",
    "make_deployable": "deployable",
    "prepare_quantization": "quantisation_aware",
    "quantization_report": "quantisation_report",
    "quantize": "quantisation",
    "to_bundle": "bundle",
    "to_netx": "lava_netx",
    "to_nir": "nir_graph",
}

__all__ = list(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
