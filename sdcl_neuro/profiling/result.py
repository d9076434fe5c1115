"""The result of `profile`: counts and what they cost; it prints and saves itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import number_of
from sdcl_neuro.files import atomic_path, write_json
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.hardware.placement import Fit
from sdcl_neuro.network.content import Result
from sdcl_neuro.network.display import table_html
from sdcl_neuro.network.graph_picture import PictureNode
from sdcl_neuro.network.notes import Note
from sdcl_neuro.network.record import LayerActivity
from sdcl_neuro.network.spec import IntLayer
from sdcl_neuro.network.step import Step

from .dense import DenseTwin
from .energy import Energy
from .latency import Latency
from .neurobench import NeuroBench
from .profile_plots import ProfilePlots
from .rate import NO_RATE, Power
from .simulated import SideBySide

SCHEMA = {"name": "sdcl_neuro.profile", "version": 2}
NO_FIT = "a dense reference holds no neurons"
COUNTS = ("neurons", "synapses", "spikes_in", "spikes_out", "synops", "synops_nonzero", "updates")
CONVENTIONS = {
    "synop": (
        "one spike delivered to one existing synapse; borders and strides of a convolution exact"
    ),
    "zero_weights": (
        "synops: counted, as Lava's dense and convolution processes store them; synops_nonzero: "
        "not, as a chip's compiler leaves them out; energy and time on hardware use the latter"
    ),
    "activation_sparsity": "1 - spikes_out / updates",
    "energy": (
        "per sample by itself, over its steps and those of the pipeline; stream: per sample of a "
        "stream whose pipeline is full. A part is a count times a constant, an interval over all "
        "sets of constants; the whole is the interval over each set's own sum"
    ),
    "tags": (
        "measured: a clock or a counter saw it; emulated: counted in the integer engine or Lava; "
        "modelled: counts times constants"
    ),
}


@dataclass(frozen=True)
class LayerFigures:
    """One layer's counts over the whole file, all samples together."""

    name: str
    kind: str
    neurons: int
    synapses: int
    spikes_in: int
    spikes_out: int
    synops: int
    synops_nonzero: int | None
    updates: int

    @property
    def activation_sparsity(self) -> float:
        """Part of all neuron steps without a spike."""
        return 1 - self.spikes_out / self.updates if self.updates else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        counts = {name: getattr(self, name) for name in COUNTS}
        sparsity = self.activation_sparsity
        return {
            "name": self.name, "kind": self.kind, **counts, "activation_sparsity": sparsity
        }  # fmt: skip


@dataclass(frozen=True)
class TargetCost:
    """What a sample costs on one piece of hardware; `fit` is None for a dense reference.

    `power` is None if no rate was asked for.
    """

    hw: HardwareProfile
    energy: Energy
    latency: Latency
    fit: Fit | None = None
    power: Power | None = None
    stream: Energy | None = None

    def energy_dict(self) -> dict[str, Any]:
        """Return the energy in plain JSON, that of a sample in a stream within it."""
        found = self.energy.to_dict()
        if self.stream is not None:
            whole = self.stream.to_dict()
            names = ("low_uj", "high_uj", "reason", "steps", "parts", "dynamic", "bounded")
            found["stream"] = {name: whole[name] for name in names if name in whole}
        return found

    def power_dict(self) -> dict[str, Any]:
        """Return the mean power in plain JSON; unknown is null with a reason."""
        if self.power is None:
            return {"low_uw": None, "high_uw": None, "reason": NO_RATE}
        return self.power.to_dict()

    def fit_dict(self) -> dict[str, Any]:
        """Return the verdict in plain JSON; unknown is null with a reason."""
        return {"fits": None, "reason": NO_FIT} if self.fit is None else self.fit.summary()


@dataclass(frozen=True, eq=False)
class Profile(ProfilePlots, Result):
    """Activity of a network over a file of spikes, and its modelled cost per sample.

    Attributes:
        backend: which backend counted.
        steps, samples: T and B.
        input_spikes: over the whole file.
        layers: counts over the whole file.
        targets: by name, in the order asked for.
        neurobench: NeuroBench's metrics of the same run.
        rate_hz: inferences a second for the mean power, None if not asked for.
        ann: the same topology as a quantised dense network.
        elapsed_s: measured seconds of the run, None if not measured.
        versions: of the libraries that took part.
        assumed: what was taken by default: by the model's source, and by the costs where the run
            does not say it.
        step: the length of a step and where it comes from; None if the network states none.
        simulated: another simulator's figures with the model's; None if none was asked.
        graph: nodes of the graph that the network came from, for the page; empty for a chain.
    """

    backend: str
    steps: int
    samples: int
    input_shape: tuple[int, ...]
    input_spikes: int
    layers: tuple[LayerFigures, ...]
    targets: Mapping[str, TargetCost]
    ann: DenseTwin
    neurobench: NeuroBench
    rate_hz: float | None = None
    elapsed_s: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    assumed: tuple[Note, ...] = ()
    step: Step | None = None
    simulated: SideBySide | None = None
    graph: tuple[PictureNode, ...] = ()

    @property
    def readout_names(self) -> tuple[str, ...]:
        """Names of the graph's read-outs, whose neurons never fire."""
        return tuple(node.name for node in self.graph if node.family == "readout")

    @property
    def totals(self) -> LayerFigures:
        """Sum of every column over the layers; None where a layer's count is unknown."""
        sums: dict[str, Any] = {}
        for name in COUNTS:
            column = [getattr(layer, name) for layer in self.layers]
            sums[name] = None if None in column else sum(column)
        return LayerFigures(name="total", kind="", **sums)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in the shape that `profile --json` promises."""
        totals = {k: v for k, v in self.totals.to_dict().items() if k not in ("name", "kind")}
        spikes = ("spikes_in", "spikes_out", "synops", "synops_nonzero", "updates")
        per_sample = totals | {
            name: None if totals[name] is None else totals[name] / self.samples for name in spikes
        }
        return {
            "schema": SCHEMA,
            "backend": self.backend,
            "steps": self.steps,
            "samples": self.samples,
            "input_shape": list(self.input_shape),
            "input_spikes": self.input_spikes,
            "counts_tag": "emulated",
            "run": self._run(),
            "layers": [layer.to_dict() for layer in self.layers],
            "totals": totals,
            "per_sample": per_sample,
            "energy": {name: target.energy_dict() for name, target in self.targets.items()},
            "latency": {name: target.latency.to_dict() for name, target in self.targets.items()},
            "rate_hz": self.rate_hz,
            "power": {name: target.power_dict() for name, target in self.targets.items()},
            "fit": {name: target.fit_dict() for name, target in self.targets.items()},
            "neurobench": self.neurobench.to_dict(),
            "ann": self.ann.to_dict(),
            "conventions": CONVENTIONS,
            "simulated": None if self.simulated is None else self.simulated.to_dict(),
            "step": None if self.step is None else self.step.to_json(),
            "assumed": [note.to_json() for note in self.assumed],
            "versions": dict(self.versions),
        }

    def _run(self) -> dict[str, Any]:
        if self.elapsed_s is None:
            return {"elapsed_s": None, "tag": "measured", "reason": "not measured"}
        return {"elapsed_s": self.elapsed_s, "tag": "measured"}

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the profile as JSON text, also written to `path` if given."""
        import json

        value = self.to_dict()
        if path is not None:
            write_json(path, value)
        return json.dumps(value, indent=2, allow_nan=False)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return every figure as a row (see `export.csv_rows`), also written to `path` if given."""
        from .export import csv_text

        return _saved(csv_text(self), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return one self-contained page, also written to `path` if given."""
        from .report import profile_page

        return _saved(profile_page(self), path)

    def _repr_html_(self) -> str:
        head = ("target", "energy a sample (µJ)", "latency (µs)", "samples a second", "fits")
        rows = []
        for name, target in self.targets.items():
            energy, latency = target.energy.bounded_uj, target.latency
            fits = None if target.fit is None else target.fit.fits
            rows.append(
                (
                    f"{name}{target.energy.left_out}",
                    f"unknown: {target.energy.reason}" if energy is None else str(energy),
                    f"unknown: {latency.reason}" if latency.us is None else str(latency.us),
                    "" if latency.throughput_hz is None else str(latency.throughput_hz),
                    {True: "yes", False: "no", None: "unknown"}[fits],
                )
            )
        title = (
            f"Profile, modelled from {self.totals.synops:,} synaptic operations counted over "
            f"{number_of(self.samples, 'sample')} of {number_of(self.steps, 'step')}"
        )
        return table_html(title, head, rows)

    def __str__(self) -> str:
        from .profile_text import profile_text

        return profile_text(self)


def figures(layer: IntLayer, activity: LayerActivity) -> LayerFigures:
    """Return a layer's counts, summed over the samples."""
    counted = activity.synops_nonzero
    weights = [layer.weight]
    if layer.recurrent_weight is not None:
        weights.append(layer.recurrent_weight)
    if counted is None and all(array.all() for array in weights):
        counted = activity.synops  # no weight is zero
    return LayerFigures(
        name=activity.name,
        kind=activity.kind,
        neurons=activity.neurons,
        synapses=activity.synapses,
        spikes_in=int(activity.spikes_in.sum()),
        spikes_out=int(activity.spikes_out.sum()),
        synops=int(activity.synops.sum()),
        synops_nonzero=None if counted is None else int(counted.sum()),
        updates=int(activity.updates.sum()),
    )


def _saved(text: str, path: str | Path | None) -> str:
    if path is not None:
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return text
