"""`to_speck`: the chip's integers as JSON, and what the chip does otherwise, measured by sinabs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.check import check_network
from sdcl_neuro.extras import require
from sdcl_neuro.files import file_sha256, write_json
from sdcl_neuro.network.arguments import need_integers, need_path, public
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import Spikes, SpikesLike

from ..vectors import sample_spikes
from ..written import Written
from .layers import PROFILE, PURPOSE, SpeckLayer, speck_layers
from .module import SpeckModule, decays_of, run_events, run_steps

SCHEMA = {"name": "sdcl_neuro.speck", "version": 1}
WAYS = {
    "leak": "8-bit integers with our leak, step by step",
    "no leak": "without a leak, which the chip does not have, step by step",
    "events": "without a leak and without steps: event by event, as the chip runs",
}


@dataclass(frozen=True)
class Measured:
    """One way of running against the engine, over all layers together.

    Attributes:
        way: a key of `WAYS`.
        samples: compared; event by event only the first one.
        compared: neuron steps.
        differ: of them, those whose count of spikes differs.
        ours, theirs: spikes of the engine, and of that way.
        layers: neuron steps that differ in each layer.
    """

    way: str
    samples: int
    compared: int
    differ: int
    ours: int
    theirs: int
    layers: tuple[int, ...]

    def __str__(self) -> str:
        share = 100 * self.differ / max(1, self.compared)
        return (
            f"{WAYS[self.way]}: {self.differ:,} of {self.compared:,} neuron steps differ from the "
            f"engine ({share:.2g} %), {self.theirs:,} spikes against {self.ours:,}"
        )


@public
def to_speck(net: IntNetwork, out: Path | str, *, spikes: SpikesLike | None = None) -> Written:
    """Write the network in Speck's integers as ``OUT.speck``, JSON, with what differs there.

    Args:
        net: the network, in integers.
        out: ends in ``.speck``.
        spikes: on which the differences are measured; None draws random ones.

    Returns:
        The file that was written, its SHA-256, and what the chip does otherwise; prints itself.

    Raises:
        NetworkRefused: what the chip cannot hold, every reason at once.
        EnvironmentFault: sinabs is not installed.

    Examples:
        >>> import snntorch, torch
        >>> from sdcl_neuro import conversion
        >>> neuron = {"reset_mechanism": "zero", "init_hidden": True}
        >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4), snntorch.Leaky(0.9, **neuron))
        >>> sample = torch.ones(8, 1, 6)
        >>> net = conversion.quantize(conversion.from_snntorch(module, sample))
        >>> written = conversion.to_speck(net, "m.speck")
        >>> [one["way"] for one in written.facts["differences"]]
        ['leak', 'no leak', 'events']
    """
    net = need_integers(net, "to_speck")
    out = need_path(out, "to_speck", "name the file, OUT.speck", to_write=True)
    require(("sinabs",), PURPOSE)
    check_network(net)
    layers = speck_layers(net)
    values = sample_spikes(net, spikes)
    measured = measure(net, layers, values)
    value = {
        "schema": SCHEMA,
        "chip": PROFILE,
        "input_shape": list(net.input_shape),
        "layers": [layer.to_json() for layer in layers],
        "neuron": {
            "model": "integrate and fire, at or above the threshold, reset to zero",
            "spikes_per_event": 1,
            "leak_lost": [decay / 4096 for decay in decays_of(net)],
        },
        "differences": [_entry(one) for one in measured],
    }
    write_json(out, value)
    rounded = [layer.name for layer in layers if layer.rounded]
    exact = "no weight is rounded" if not rounded else f"rounded: {', '.join(rounded)}"
    return Written(
        target="speck",
        out=out,
        sha256=file_sha256(out),
        files=(out,),
        facts={"chip": PROFILE, "rounded": rounded, "differences": value["differences"]},
        lines=(f"8-bit weights: {exact}", *map(str, measured)),
    )


def measure(net: IntNetwork, layers: list[SpeckLayer], spikes: Spikes) -> list[Measured]:
    """Run the network in sinabs in every way, and count where its spikes are not the engine's."""
    ours = run_network(net, spikes).spikes
    first = spikes[:, :1]
    found = {
        "leak": run_steps(SpeckModule(layers, decays_of(net)), spikes),
        "no leak": run_steps(SpeckModule(layers), spikes),
        "events": run_events(SpeckModule(layers), first),
    }
    results = []
    for way, theirs in found.items():
        samples = theirs[0].shape[1]
        own = [ours[k][:, :samples].reshape(one.shape) for k, one in enumerate(theirs)]
        differ = tuple(int(np.count_nonzero(a != b)) for a, b in zip(own, theirs, strict=True))
        results.append(
            Measured(
                way=way,
                samples=samples,
                compared=sum(one.size for one in theirs),
                differ=sum(differ),
                ours=sum(int(one.sum()) for one in own),
                theirs=sum(int(one.sum()) for one in theirs),
                layers=differ,
            )
        )
    return results


def _entry(one: Measured) -> dict[str, Any]:
    return {**asdict(one), "layers": list(one.layers), "what": WAYS[one.way]}
