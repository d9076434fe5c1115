"""The two ONNX models of a network: one step, and a sequence of steps by ``Scan``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sdcl_neuro import __version__
from sdcl_neuro.engine.check import largest_input
from sdcl_neuro.extras import need
from sdcl_neuro.network.identity import network_sha256
from sdcl_neuro.network.spec import IntNetwork

from .builder import BATCH, UINT8, Builder, value
from .step import SPIKES, outputs, states, step_graph

if TYPE_CHECKING:
    import onnx
    from onnx import helper
else:
    onnx, helper = need("onnx", "writing ONNX"), need("onnx.helper", "writing ONNX")

OPSET = 18
IR_VERSION = 9
"""ONNX 1.14's, which has operator set 18: a later one is refused by older runtimes."""
STEPS = "steps"


def step_model(net: IntNetwork) -> onnx.ModelProto:
    """Build the model of one step: feed each ``NAME_next`` back as ``NAME``, zeros at first."""
    return _model(net, step_graph(net), "step")


def sequence_model(net: IntNetwork) -> onnx.ModelProto:
    """Build the model of whole samples: ``spikes`` ``[T, B, ...]`` to ``layer_K`` ``[T, B, ...]``.

    States start at zero and are kept inside.
    """
    builder, held = Builder(), states(net)
    shape = builder.add("Shape", SPIKES, start=1, end=2)
    first = []
    for state in held:
        rest = builder.vector(state.shape, f"shape_of_{state.name}")
        whole = builder.add("Concat", shape, rest, axis=0)
        zero = helper.make_tensor("zero", state.kind, [1], [0])
        first.append(builder.add("ConstantOfShape", whole, value=zero))
    made = [f"layer_{index}" for index in range(len(net.layers))]
    scan = helper.make_node(
        "Scan",
        [*first, SPIKES],
        [*(f"final_{state.name}" for state in held), *made],
        name="run",
        body=step_graph(net),
        num_scan_inputs=1,
    )
    builder.nodes.append(scan)
    given = [value(SPIKES, UINT8, (STEPS, BATCH, *net.input_shape))]
    graph = builder.graph("sequence", given, outputs(net, STEPS, BATCH))
    return _model(net, graph, "sequence")


def facts(net: IntNetwork, form: str) -> dict[str, Any]:
    """Return what a user of the file has to know, plain JSON values; also the file's metadata."""
    return {
        "part": "event",
        "form": form,
        "network_sha256": network_sha256(None, net),
        "sdcl_neuro": __version__,
        "largest_input": largest_input(net),
        "layers": [
            {"name": layer.name, "kind": layer.kind, "shape": list(layer.out_shape)}
            for layer in net.layers
        ],
        "states": [state.name for state in states(net)] if form == "step" else [],
        "layout": "step, batch, channel, row, column; polarity 0 is OFF, 1 is ON",
    }


def _model(net: IntNetwork, graph: onnx.GraphProto, form: str) -> onnx.ModelProto:
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sdcl-neuro",
        producer_version=__version__,
    )
    for name, fact in facts(net, form).items():
        entry = model.metadata_props.add()
        entry.key = name
        entry.value = fact if isinstance(fact, str) else json.dumps(fact)
    onnx.checker.check_model(model)
    return model
