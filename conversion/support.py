"""Support matrix: which layers each source and target accepts, as one literal table.

Every entry is tried by ``tests/support``. Written as a page by::

    python -m sdcl_neuro.conversion.support > docs/support.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["exact", "approximate", "refused", "-"]
"""``-``: the source has no such thing, or nothing arrives that a target could hold."""


@dataclass(frozen=True)
class Support:
    """One row.

    Attributes:
        snntorch, nir: what reading it from there gives.
        netx, to_nir, engine: what writing or running what was read gives.
        remark: what becomes of it, or what to use instead.
    """

    snntorch: Verdict
    nir: Verdict
    netx: Verdict
    to_nir: Verdict
    engine: Verdict
    remark: str


def _graph(remark: str, *, nir: Verdict = "-") -> Support:
    """Return a row that a chain with relays carries."""
    return Support("exact", nir, "exact", "exact", "exact", remark)


def _all(snntorch: Verdict, nir: Verdict, remark: str) -> Support:
    """Return a row whose targets hold whatever was read, exactly if that was exact."""
    read: Verdict = "exact" if "exact" in (snntorch, nir) else "-"
    if read == "-" and "approximate" in (snntorch, nir):
        read = "approximate"
    return Support(snntorch, nir, read, read, read, remark)


LAYERS: dict[str, Support] = {
    "Conv2d: strides, padding, dilation, groups": _all("exact", "exact", "a convolution"),
    "Conv2d, padding 'same', even kernels": _all(
        "exact", "exact", "a zero row or column before the kernel"
    ),
    "Conv2d, padded otherwise than with zeros": _all("refused", "-", "pad with zeros"),
    "Linear; NIR's Affine": _all("exact", "exact", "a dense layer; its bias stays a bias"),
    "Conv1d, BatchNorm1d, pooling along a line": _graph(
        "with a height of one; spikes are [T, B, C, L]", nir="exact"
    ),
    "transposed convolution": _graph(
        "a convolution of phases (space to depth), or a matrix; to NIR, five convolutions"
    ),
    "nearest upsampling": _graph(
        "a convolution of phases (space to depth), or a matrix; to NIR, four convolutions"
    ),
    "batch norm between synapse and neuron": _all(
        "exact", "-", "folded, with its running statistics"
    ),
    "batch norm of spikes": _graph("folded into the weights and biases after it"),
    "LayerNorm, GroupNorm": _all("refused", "-", "use batch norm"),
    "Dropout, Identity": _all("exact", "-", "left out"),
    "Flatten": _all("exact", "exact", "nothing: matrices read in (c, y, x) order"),
    "average or sum pooling, windows divide the size": _all(
        "exact", "exact", "folded into the next kernel, which grows"
    ),
    "average or sum pooling, odd sizes under padding": _all(
        "exact", "exact", "the next layer is expanded into a matrix, up to 2^24 weights"
    ),
    "pooling before a Linear": _all("exact", "exact", "folded into its matrix"),
    "pooling between Conv2d and neuron": _all("exact", "exact", "folded into the kernel before it"),
    "AdaptiveAvgPool2d": _all("exact", "-", "as average pooling"),
    "pooling at the end": Support(
        "exact", "refused", "exact", "exact", "exact", "left to the reader of the spikes"
    ),
    "max pooling of spikes": _graph("neurons that fire where any spike in their window does"),
    "max pooling of sums": _all(
        "approximate", "-", "or pool after the neuron, or use average pooling"
    ),
    "ReLU and other activations": _all("refused", "-", "the neuron is the only non-linearity"),
    "skip connection, branch, sum, concat, slice of channels": _graph(
        "joined kernels; spikes are relayed past the layers between", nir="exact"
    ),
    "product of spikes or sums": _all("refused", "-", "use a sum (ADD), not a product"),
    "several synapses in series": _graph("multiplied into one", nir="exact"),
    "Scale": Support("-", "exact", "exact", "exact", "exact", "multiplied into the weights"),
    "Delay": _all("-", "refused", "remove it"),
}

NEURONS: dict[str, Support] = {
    "Leaky, reset to zero; LIF": _all("exact", "exact", "the chip's neuron"),
    "Leaky with beta 1; IF": _all("exact", "exact", "no decay"),
    "threshold per channel or row": _all("exact", "exact", "folded into weights and biases"),
    "thresholds within one channel": _graph(
        "folded into weights, expanded into a matrix", nir="exact"
    ),
    "decays that differ between channels": _graph(
        "one layer for each; the others are relayed past it", nir="exact"
    ),
    "decays of more than 16 values in a population": _all(
        "approximate", "approximate", "clustered; or train with fewer"
    ),
    "decays that differ in a recurrent population": _all(
        "refused", "refused", "give it one beta and one alpha"
    ),
    "reset by subtraction": _all(
        "approximate", "-", "or make_deployable and train a little more; NIR cannot say it"
    ),
    "reset to another potential": _all("-", "approximate", "counted from there; the start differs"),
    "rest and reset at another potential (v_leak = v_reset)": _all(
        "-", "exact", "counted from there"
    ),
    "a resting potential alone (v_leak), per channel": _all("-", "exact", "a bias"),
    "LIF with an infinite tau and r": _all("-", "exact", "no decay"),
    "read-out: no reset, LI, CubaLI, or a synapse without neurons": _graph(
        "the membrane is read, its threshold is out of reach", nir="exact"
    ),
    "Synaptic, reset to zero at once; CubaLIF": _all("exact", "exact", "a current that decays"),
    "Synaptic or RLeaky, delayed reset": _all("approximate", "-", "use reset_delay=False"),
    "bias before a current": _all("approximate", "approximate", "the constant it tends to"),
    "Synaptic with beta 1": Support(
        "exact", "-", "exact", "refused", "exact", "NIR has no integrator after a current"
    ),
    "RLeaky, dense recurrence; LIF in a cycle with Affine": _all("exact", "exact", "dense_rec"),
    "one-to-one recurrence": _all("exact", "refused", "dense_rec with a diagonal"),
    "convolutional recurrence": _all("exact", "refused", "dense_rec, expanded, up to 2^24 weights"),
    "recurrent CubaLIF": _all("-", "exact", "dense_rec with a current"),
    "RSynaptic": _all("refused", "-", "its immediate reset uses the spike before; use RLeaky"),
    "Lapicque, Alpha, SLSTM": _all("refused", "-", "use Leaky, Synaptic or RLeaky"),
    "graded spikes of one value": _all("exact", "-", "multiplied into the next weights"),
    "inhibition, state_quant": _all("refused", "-", "switch them off"),
}

TARGETS = ("netx", "sanafe", "onnx", "c", "verilog", "speck")
"""Targets of the chip's integers, by the name of the row or of the backend that runs it."""

_EVERYWHERE: dict[str, Verdict] = {**dict.fromkeys(TARGETS, "exact"), "speck": "approximate"}
_NOT_ON_SPECK: dict[str, Verdict] = {**_EVERYWHERE, "speck": "refused"}

INTEGERS: dict[str, tuple[dict[str, Verdict], str]] = {
    "convolution: strides, padding, dilation, groups": (
        _NOT_ON_SPECK,
        "Speck takes groups, square kernels and strides, no dilation",
    ),
    "dense": (_EVERYWHERE, ""),
    "recurrence": (_NOT_ON_SPECK, "a recurrent spike arrives one step later"),
    "bias": (_EVERYWHERE, "from a layer's first input on"),
    "membranes that clip": (_NOT_ON_SPECK, "at +-(2^23 - 1); Speck has 16 bits"),
    "axonal delays": (
        {**_NOT_ON_SPECK, "sanafe": "refused"},
        "dense layers, 0 to 62 steps; SANA-FE's Loihi does not deliver them",
    ),
    "slower current": (
        {**_NOT_ON_SPECK, "sanafe": "refused"},
        "SANA-FE does not round it towards zero",
    ),
    "input counts": (
        {**_NOT_ON_SPECK, "sanafe": "refused"},
        "`message_bits`; SANA-FE's input units send single spikes",
    ),
    "currents that wrap around": (
        {**_NOT_ON_SPECK, "sanafe": "refused"},
        "SANA-FE refuses the run, not the network",
    ),
    "odd or large weights in a convolution": (
        {**_EVERYWHERE, "netx": "refused"},
        "Loihi's 8 bits hold even weights in -256 to 254",
    ),
}
"""Feature: what each target makes of it, and a remark."""

_INTEGERS_HEAD = """## The chip's integers on each target

What is written and run there is equal to the engine in every spike of every layer, or refused
in one answer: [netx](lava.md), [SANA-FE](sanafe.md), [ONNX](onnx.md), [C99](c.md),
[SystemVerilog](verilog.md). On [Speck](speck.md) it is approximate: that chip has no leak and no
steps, and what it therefore does otherwise is measured and written with the network.
"""

_HEAD = """# What is converted, and what not

Generated from `conversion/support.py` (`python -m sdcl_neuro.conversion.support`); the tests try
every entry.

*exact*: the description computes what the source does; float weights that were multiplied are
rounded to float32 once. *approximate*: only with `approximate=True` and calibration data, listed
and measured ([approximate.md](approximate.md)). *refused*: by the layer's name, with what to
change, all refusals of a network in one answer. *-*: there is no such thing there.

What folding and expanding did, and how many weights it made, is in `meta["lowered"]` and in
`OUT.json`. Rounding to the chip's integers comes afterwards and is reported by itself
([quantisation.md](quantisation.md)).
"""


def page() -> str:
    """Return the table as Markdown."""
    parts = [_HEAD]
    for title, rows in (("Layers", LAYERS), ("Neurons", NEURONS)):
        parts.append(f"## {title}\n")
        parts.append(
            "| | from snnTorch | from NIR | to netx | to NIR | engine | what becomes of it |"
        )
        parts.append("|---|---|---|---|---|---|---|")
        for name, row in rows.items():
            cells = (row.snntorch, row.nir, row.netx, row.to_nir, row.engine, row.remark)
            parts.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append("")
    parts += [_INTEGERS_HEAD, "| | " + " | ".join(TARGETS) + " | |"]
    parts.append("|---|" + "---|" * (len(TARGETS) + 1))
    for name, (verdicts, remark) in INTEGERS.items():
        said = [*(verdicts[target] for target in TARGETS), remark]
        parts.append(f"| {name} | " + " | ".join(said) + " |")
    parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
