"""Old import paths of the modules that moved in 0.2, kept for one release with a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Old name: new name, both below `sdcl_neuro`. A module below one that moved has moved along.
MOVED = {
    "activity": "network.activity",
    "atomic": "files",
    "bptt": "snn.bptt",
    "branch_description": "snn.branch_description",
    "bridge": "hybrid.bridge",
    "checkpoint": "snn.checkpoint",
    "chip_neuron": "snn.chip_neuron",
    "chip_ops": "snn.chip_ops",
    "cli.shown": "cli.printable",
    "compiling.words": "compiling.bit_words",
    "composition": "hybrid.composition",
    "configuration": "reid.configuration",
    "conversion.hdf5_guard": "files.hdf5_guard",
    "conversion.hdf5_heap": "files.hdf5_heap",
    "conversion.lava": "conversion.backends.lava",
    "conversion.loihi": "conversion.backends.loihi",
    "conversion.lowering.chain": "conversion.sources.snntorch.chain",
    "conversion.model_file": "conversion.model_reading",
    "conversion.modules": "conversion.sources.snntorch",
    "conversion.modules.approximation": "conversion.approximation",
    "conversion.modules.departures": "conversion.lowering.approximate",
    "conversion.modules.layers": "conversion.layer_modules",
    "conversion.netx": "conversion.targets.netx",
    "conversion.nir_format": "conversion.sources.nir",
    "conversion.nir_format.weights": "conversion.targets.nir.weights",
    "conversion.norse": "conversion.backends.norse",
    "conversion.onnx_export": "conversion.targets.onnx_export",
    "conversion.parity.identity": "network.identity",
    "conversion.parity.text": "conversion.parity.certificate_text",
    "conversion.snntorch_run": "conversion.backends.snntorch_run",
    "conversion.synapses": "conversion.lowering.synapses",
    "data": "events.tracklets",
    "datasets": "reid.datasets",
    "demo.story": "demo.demonstration",
    "engine.band": "engine.event.row_block",
    "engine.bits": "engine.event.bits",
    "engine.event.band": "engine.event.row_block",
    "engine.kernels": "engine.event.kernels",
    "engine.known": "engine.known_networks",
    "engine.layer": "engine.event.layer",
    "engine.listed": "engine.event.listed",
    "engine.listed_kernels": "engine.event.listed_kernels",
    "engine.listed_plan": "engine.event.listed_plan",
    "engine.machine": "engine.event.machine",
    "engine.neuron_step": "engine.event.neuron_step",
    "engine.plan": "engine.event.plan",
    "engine.population": "engine.event.population",
    "engine.reference": "engine.dense",
    "engine.synapses": "engine.event.synapses",
    "engine.threads": "engine.event.threads",
    "engine.vectors": "engine.event.vectors",
    "engine.window_kernels": "engine.event.window_kernels",
    "engine.windows": "engine.event.windows",
    "evaluation": "reid.evaluation",
    "event_branch": "snn.event_branch",
    "events.formats.text": "events.formats.text_columns",
    "firing_rates": "snn.firing_rates",
    "fixed_point": "network.fixed_point",
    "frame_branch": "hybrid.frame_branch",
    "gallery": "reid.gallery",
    "hardware.placement.methods": "hardware.placement.strategies",
    "hardware.placement.rules": "hardware.placement.limit_checks",
    "hardware.placement.text": "hardware.placement.fit_text",
    "hardware.words": "hardware.vocabulary",
    "live": "hybrid.live",
    "loihi_leaky": "snn.loihi_leaky",
    "mac_counts": "hybrid.mac_counts",
    "model": "hybrid.model",
    "model_table": "hybrid.model_table",
    "pipeline": "reid.pipeline",
    "placement": "hardware.placement",
    "profiling.text": "profiling.profile_text",
    "random_networks": "testing",
    "record": "network.record",
    "reid.datasets.around": "reid.datasets.wrapping",
    "reid.datasets.held": "reid.datasets.in_memory",
    "reid.datasets.kept": "reid.datasets.rendered_on_disk",
    "reid.evaluation.arms": "reid.evaluation.feature_sources",
    "runtime": "hybrid.runtime",
    "scales": "network.scales",
    "sdcl_checkpoint": "hybrid.sdcl_checkpoint",
    "spec": "network.spec",
    "spec_convert": "network.spec_convert",
    "spike_file": "network.spike_file",
    "spike_stream": "network.spike_stream",
    "spiking_layers": "snn.spiking_layers",
    "threads": "compiling.threads",
    "training": "reid.training",
    "voxel_branch": "hybrid.voxels",
}
_PREFIX = "sdcl_neuro."


class MovedFinder(MetaPathFinder, Loader):
    """Finds a module by its old name and gives the one that took its place."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for an old name; None for every other name."""
        del path, target
        if not fullname.startswith(_PREFIX) or new_name(fullname) is None:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Import the module of the new name and warn."""
        new = new_name(spec.name)
        assert new is not None  # `find_spec` has asked
        warnings.warn(
            f"{spec.name} is now {new}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,  # the import system's own frames are not counted
        )
        module = import_module(new)
        spec.loader_state = module.__spec__  # which the import system is about to replace
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module, which has been run under its new name, its own spec again."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def new_name(fullname: str) -> str | None:
    """Return today's name of a module of ours that has moved, else None."""
    parts = fullname.removeprefix(_PREFIX).split(".")
    for length in range(len(parts), 0, -1):
        new = MOVED.get(".".join(parts[:length]))
        if new is not None:
            return _PREFIX + ".".join([new, *parts[length:]])
    return None


def install() -> None:
    """Let old names be found; first in the row, or a file would be run under both names."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, MovedFinder())
