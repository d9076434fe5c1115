"""The demonstration's proofs: two networks, real events, every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.backends.table import BACKENDS
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.model_reading import as_model
from sdcl_neuro.conversion.parity.verify import Certificate, verify
from sdcl_neuro.errors import EnvironmentFault
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.network.backend_names import labels
from sdcl_neuro.snn.event_branch import PAPER, EventBranch

from .cutting import cut_clip, stack_spikes
from .settings import PAPER_SIZE, RATE, DemoSettings

KEPT = "kept from an earlier run of the same files (--prove-again computes it)"
EXACT = ("snntorch-int",)
EVERYTHING = ("snntorch-int", "lava", "snntorch", "norse")


def absent_backends() -> dict[str, str]:
    """Return which backends of the proofs cannot run here, each with its reason and remedy."""
    found = {}
    for name in EVERYTHING:
        try:
            BACKENDS[name].require()
        except EnvironmentFault as fault:
            found[name] = f"{fault.what}; {fault.hint}"
    return found


@dataclass(frozen=True)
class Prover:
    """Compares backends on the clip's own spikes.

    Attributes:
        settings: the seed is that of the paper's network, whose weights are calibrated on the
            clip and not trained: parity is about arithmetic.
        absent: backends to do without, see `absent_backends`.
        say: prints one line about what begins, and each outcome.
    """

    settings: DemoSettings
    absent: Mapping[str, str]
    say: Callable[[str], None]

    def paper(self) -> dict[str, Certificate]:
        """Compare the paper's network over one whole tracklet, in every backend."""
        self.say(f"proving parity: the paper's network over one tracklet, in {self._named()}")
        network, tracklet = _paper_network(self.settings)
        found = self._verify(network, [tracklet], EVERYTHING)
        return {"the paper's network, one tracklet": found}

    def compact(self, network: Model, tracklets: Sequence[Tracklet]) -> dict[str, Certificate]:
        """Compare the trained network, as read back from its ``.net`` file.

        Returns:
            A certificate by what was compared: all tracklets in snnTorch's integers and the
            engine; one arriving, one standing and one leaving tracklet of each person in every
            backend.
        """
        self.say(
            f"proving parity: {len(tracklets)} tracklets in snnTorch's integers and the engine"
        )
        every = self._verify(network, tracklets, EXACT)
        part = one_of_each_kind(tracklets)
        self.say(f"proving parity: {len(part)} tracklets in {self._named()}")
        some = self._verify(network, part, EVERYTHING)
        return {
            f"compact network, all {len(tracklets)} tracklets": every,
            f"compact network, {len(part)} tracklets": some,
        }

    def _verify(
        self, network: Model, tracklets: Sequence[Tracklet], wanted: Sequence[str]
    ) -> Certificate:
        against = [name for name in wanted if name not in self.absent]
        cache: Literal[False] | None = False if self.settings.prove_again else None
        found = verify(network, spikes=stack_spikes(tracklets), against=against, cache=cache)
        if found.cached:
            self.say(f"  {KEPT}")
        for pair in found.pairs:
            self.say(f"  {labels(pair.backends)}: {pair.verdict}")
        return found

    def _named(self) -> str:
        present = [BACKENDS[name].title for name in EVERYTHING if name not in self.absent]
        return f"{', '.join(present[:-1])} and {present[-1]}"


def one_of_each_kind(tracklets: Sequence[Tracklet]) -> list[Tracklet]:
    """Return the first tracklet of each person and segment."""
    first = {(tracklet.person, tracklet.segment): tracklet for tracklet in reversed(tracklets)}
    return [first[key] for key in sorted(first)]


def _paper_network(settings: DemoSettings) -> tuple[Model, Tracklet]:
    """Return the paper's two layers at 128x64, in the chip's integers, and one tracklet at that
    size.
    """
    tracklet, *_ = cut_clip(size=PAPER_SIZE, counts={"arriving": 1})
    torch.manual_seed(settings.seed)
    branch = EventBranch(PAPER)
    spikes = torch.from_numpy(stack_spikes([tracklet])).float()
    branch.calibrate_rates(spikes, rate=RATE)
    branch.prepare_quantization(spikes)
    return as_model(from_snntorch(branch, spikes)), tracklet
