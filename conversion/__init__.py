"""Networks from their sources, to their targets; each name is imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

if TYPE_CHECKING:
    from .backends.sanafe.backend import simulate as simulate_sanafe  # noqa: F401
    from .bundle.writer import Bundle as Bundle
    from .bundle.writer import to_bundle as to_bundle
    from .event_side import event_backend as event_backend
    from .event_side import load_hybrid as load_hybrid
    from .lowering.graph.nodes import FloatGraph as FloatGraph
    from .model import Model as Model
    from .parity.certificate import Certificate as Certificate
    from .parity.verify import RandomInput as RandomInput
    from .quantisation.checked import quantize as quantize
    from .quantisation.effect import QuantizationWarning as QuantizationWarning
    from .quantisation.report import QuantizationReport as QuantizationReport
    from .quantisation.report import quantization_report as quantization_report
    from .relaying import RelayCosts as RelayCosts
    from .relaying import relay_costs as relay_costs
    from .sources.nir.graph import from_nir as from_nir
    from .sources.nir.reference import reference_run as reference_run
    from .sources.snntorch.deployable import make_deployable as make_deployable
    from .sources.snntorch.quantisation_aware import prepare_quantization as prepare_quantization
    from .sources.snntorch.source import from_snntorch as from_snntorch
    from .targets.c.writer import to_c as to_c
    from .targets.netx.file import from_netx as from_netx
    from .targets.netx.file import to_netx as to_netx
    from .targets.nir.writer import to_nir as to_nir
    from .targets.onnx_event.writer import to_onnx as to_onnx
    from .targets.speck.layers import speck_layers as speck_layers
    from .targets.speck.module import SpeckModule as SpeckModule
    from .targets.speck.writer import to_speck as to_speck
    from .targets.verilog.writer import to_verilog as to_verilog
    from .targets.written import Written as Written

# Name: module. The verbs of the Python interface; no module may have a verb's name, since
# importing it would put the module in the verb's place.
_PUBLIC = {
    "reference_run": "sources.nir.reference",
    "Bundle": "bundle.writer",
    "Certificate": "parity.certificate",
    "FloatGraph": "lowering.graph.nodes",
    "Model": "model",
    "QuantizationReport": "quantisation.report",
    "RandomInput": "parity.verify",
    "RelayCosts": "relaying",
    "SpeckModule": "targets.speck.module",
    "simulate_sanafe": "backends.sanafe.backend:simulate",
    "Written": "targets.written",
    "event_backend": "event_side",
    "from_netx": "targets.netx.file",
    "from_nir": "sources.nir.graph",
    "from_snntorch": "sources.snntorch.source",
    "load_hybrid": "event_side",
    "make_deployable": "sources.snntorch.deployable",
    "prepare_quantization": "sources.snntorch.quantisation_aware",
    "quantization_report": "quantisation.report",
    "relay_costs": "relaying",
    "quantize": "quantisation.checked",
    "QuantizationWarning": "quantisation.effect",
    "speck_layers": "targets.speck.layers",
    "to_bundle": "bundle.writer",
    "to_c": "targets.c.writer",
    "to_netx": "targets.netx.file",
    "to_nir": "targets.nir.writer",
    "to_onnx": "targets.onnx_event.writer",
    "to_speck": "targets.speck.writer",
    "to_verilog": "targets.verilog.writer",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = attach(__name__, _PUBLIC)
