"""What each library's NIR exporter means: one row a library, a literal table.

A NIR file states neither who wrote it nor the step it is for, and writers differ in both. The
columns say how a file's constants become NIR's own words (forward Euler over one step), how its
neurons fire and reset, and what the file cannot say. ``tests/conversion/nir/test_writers.py``
runs every row marked ``run`` in its library; the others come from the published sources named.

A writer is added by one row here and one case there; `dialects` knows the values of the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tau = Literal["seconds", "steps", "seconds times the step"]
"""Unit of a time constant in the file."""
Decay = Literal["euler", "exponential"]
"""What a step keeps: ``1 - dt / tau`` or ``exp(-dt / tau)``."""
Gain = Literal["stored", "whole", "before decay"]
"""What a step adds of an input: ``r dt / tau`` (``w_in dt / tau_syn``) as stored; all of it; all
of it before the step's decay."""
Step = Literal["fixed", "default", "none", "in r", "unknown"]
"""Where the step comes from: the exporter always writes for one; its argument has a default; its
constants count steps; ``r`` holds it; the file and its writer say nothing."""
Start = Literal["rest", "v_reset", "v_leak"]
"""Where a membrane starts: at ``v_leak`` where that is ``v_reset``, else at zero; or as named."""
Reset = Literal["stored", "unsaid", "subtracts"]
"""``v_reset`` means what it says; the exporter writes zero whatever its neuron does; its neurons
always subtract the threshold."""


@dataclass(frozen=True)
class Unsaid:
    """Something that a writer's files leave out.

    Attributes:
        what: the thing.
        taken: what is taken for it.
        only: the NIR type of the nodes that it bears on; None for any.
    """

    what: str
    taken: str
    only: str | None = None


@dataclass(frozen=True)
class Writer:
    """One library's exporter.

    Attributes:
        library: name and version that the row was read from.
        exporter: the function.
        step, step_s: where the step comes from, and its length in seconds if it has a fixed or
            default one.
        tau, decay: how time constants are meant.
        gain, current_gain: what a membrane and a synaptic current take of their inputs.
        start: where membranes start.
        inclusive: whether a membrane that just reaches the threshold fires.
        reset, default_reset: what ``v_reset`` is worth, and what its neurons do by default.
        several: whether its neurons may send several spikes in a step, which a file cannot say.
        unsaid: what else its files leave out.
        proof: how the row is known.
        source: where to look.
    """

    library: str
    exporter: str
    step: Step
    step_s: float | None = None
    tau: Tau = "seconds"
    decay: Decay = "euler"
    gain: Gain = "stored"
    current_gain: Gain = "stored"
    start: Start = "rest"
    inclusive: bool = False
    reset: Reset = "stored"
    default_reset: Literal["zero", "subtraction"] = "zero"
    several: bool = False
    unsaid: tuple[Unsaid, ...] = ()
    proof: Literal["run", "published", "definition"] = "run"
    source: str = ""


OWN_WORDS = "nir"

WRITERS: dict[str, Writer] = {
    OWN_WORDS: Writer(
        "NIR 1.0.8",
        "by hand with nir",
        step="unknown",
        proof="definition",
        source="nir/ir/neuron.py: the equations, stepped by forward Euler",
    ),
    "snntorch": Writer(
        "snnTorch 1.0.0",
        "snntorch.export_nir.export_to_nir",
        step="fixed",
        step_s=1e-4,
        reset="unsaid",
        default_reset="subtraction",
        unsaid=(
            Unsaid("when CubaLIF neurons reset (reset_delay)", "at once", "CubaLIF"),
            Unsaid("the padding of AvgPool2d", "0", "AvgPool2d"),
        ),
        source="snntorch/export_nir.py: dt = 1e-4, r = tau / dt, v_reset = 0",
    ),
    "norse": Writer(
        "Norse 1.1.0",
        "norse.torch.utils.export_nir.to_nir",
        step="default",
        step_s=1e-3,
        tau="seconds times the step",
        start="v_leak",
        current_gain="whole",
        reset="unsaid",
        source="norse/torch/utils/export_nir.py: tau = dt / tau_mem_inv, v_reset left out",
    ),
    "spikingjelly": Writer(
        "SpikingJelly 2.0.0",
        "spikingjelly.activation_based.nir_exchange.export_to_nir",
        step="default",
        step_s=1e-4,
        start="v_reset",
        inclusive=True,
        source="spikingjelly/activation_based/nir_exchange/to_nir.py: tau dt, r = 1 or tau",
    ),
    "sinabs": Writer(
        "Sinabs 3.1.3",
        "sinabs.nir.to_nir, layers with norm_input=True",
        step="none",
        tau="steps",
        decay="exponential",
        inclusive=True,
        reset="unsaid",
        default_reset="subtraction",
        several=True,
        unsaid=(
            Unsaid("the lower bound of the membranes (min_v_mem)", "none"),
            Unsaid("a synaptic current (tau_syn)", "none", "LIF"),
        ),
        source="sinabs/nir.py, sinabs/layers/functional/lif.py: alpha = exp(-1 / tau)",
    ),
    "sinabs-unnormed": Writer(
        "Sinabs 3.1.3",
        "sinabs.nir.to_nir, layers with norm_input=False",
        step="none",
        tau="steps",
        decay="exponential",
        gain="whole",
        inclusive=True,
        reset="unsaid",
        default_reset="subtraction",
        several=True,
        unsaid=(
            Unsaid("the lower bound of the membranes (min_v_mem)", "none"),
            Unsaid("a synaptic current (tau_syn)", "none", "LIF"),
        ),
        source="sinabs/nir.py, sinabs/layers/functional/lif.py: alpha = exp(-1 / tau)",
    ),
    "rockpool": Writer(
        "Rockpool 3.1.0",
        "rockpool.nn.modules.torch.nir.to_nir",
        step="in r",
        decay="exponential",
        gain="whole",
        current_gain="before decay",
        inclusive=True,
        reset="subtracts",
        default_reset="subtraction",
        several=True,
        unsaid=(
            Unsaid("recurrent weights of LIFTorch", "none"),
            Unsaid("the bias of LIFTorch", "0"),
        ),
        proof="published",
        source="rockpool/nn/modules/torch/nir.py, lif_torch.py: r = tau exp(-dt / tau) / dt",
    ),
    "spyx": Writer(
        "Spyx 1.0.0",
        "spyx.nir.to_nir",
        step="default",
        step_s=1.0,
        gain="whole",
        current_gain="whole",
        reset="subtracts",
        default_reset="subtraction",
        unsaid=(Unsaid("when spikes are sent", "in the step of their input, not one later"),),
        proof="published",
        source="spyx/nir.py, spyx/nn.py: tau = dt / (1 - beta), r = beta, V = beta V + x - s th",
    ),
}
