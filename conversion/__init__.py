"""Networks from their sources, to their targets; each name is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bundle.writer import to_bundle as to_bundle
    from .modules.deployable import make_deployable as make_deployable
    from .modules.quantisation_aware import prepare_quantization as prepare_quantization
    from .modules.source import from_snntorch as from_snntorch
    from .netx.file import from_netx as from_netx
    from .netx.file import to_netx as to_netx
    from .nir_format.graph import from_nir as from_nir
    from .nir_format.graph import to_nir as to_nir
    from .quantisation.report import quantization_report as quantization_report
    from .quantisation.rounding import quantize as quantize

# Name: module. The verbs of the Python interface; no module may have a verb's name, since
# importing it would put the module in the verb's place.
_LAZY = {
    "from_netx": "netx.file",
    "from_nir": "nir_format.graph",
    "from_snntorch": "modules.source",
    "make_deployable": "modules.deployable",
    "prepare_quantization": "modules.quantisation_aware",
    "quantization_report": "quantisation.report",
    "quantize": "quantisation.rounding",
    "to_bundle": "bundle.writer",
    "to_netx": "netx.file",
    "to_nir": "nir_format.graph",
}

__all__ = list(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
