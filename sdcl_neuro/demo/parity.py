"""The demonstration's proofs: two networks, real events, every backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.model import Model, as_model
from sdcl_neuro.conversion.parity.verify import Certificate, verify
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.snn.event_branch import PAPER, EventBranch

from .cutting import cut_clip, stack_spikes
from .settings import PAPER_SIZE, RATE, DemoSettings

EXACT = ("snntorch-int",)
EVERYTHING = ("snntorch-int", "lava", "snntorch", "norse")


def prove(
    settings: DemoSettings,
    compact: Model,
    tracklets: Sequence[Tracklet],
    *,
    say: Callable[[str], None],
) -> dict[str, Certificate]:
    """Compare backends on the clip's own spikes.

    Args:
        settings: the seed is that of the paper's network, whose weights are calibrated on the
            clip and not trained: parity is about arithmetic.
        compact: the trained network, as read back from its ``.net`` file.
        tracklets: all of the clip's.
        say: prints one line about what begins.

    Returns:
        A certificate by what was compared: the compact network over all tracklets in snnTorch's
        integers and the engine; over one arriving, one standing and one leaving tracklet of each
        person in Lava too; the paper's network over one whole tracklet, in all of them.
    """
    say(f"proving parity: {len(tracklets)} tracklets in snnTorch's integers and the engine")
    every = verify(compact, spikes=stack_spikes(tracklets), against=EXACT)
    part = _one_of_each_kind(tracklets)
    say(f"proving parity: {len(part)} tracklets in Lava and Norse too")
    some = verify(compact, spikes=stack_spikes(part), against=EVERYTHING)
    say("proving parity: the paper's network over one tracklet, in Lava and Norse too")
    network, tracklet = _paper_network(settings)
    paper = verify(network, spikes=stack_spikes([tracklet]), against=EVERYTHING)
    return {
        f"compact network, all {len(tracklets)} tracklets": every,
        f"compact network, {len(part)} tracklets": some,
        "the paper's network, one tracklet": paper,
    }


def _one_of_each_kind(tracklets: Sequence[Tracklet]) -> list[Tracklet]:
    """The first tracklet of each person and segment."""
    first = {(tracklet.person, tracklet.segment): tracklet for tracklet in reversed(tracklets)}
    return [first[key] for key in sorted(first)]


def _paper_network(settings: DemoSettings) -> tuple[Model, Tracklet]:
    """The paper's two layers at 128x64, in the chip's integers, and one tracklet at that size."""
    tracklet, *_ = cut_clip(size=PAPER_SIZE, counts={"arriving": 1})
    torch.manual_seed(settings.seed)
    branch = EventBranch(PAPER)
    spikes = torch.from_numpy(stack_spikes([tracklet])).float()
    branch.calibrate_rates(spikes, rate=RATE)
    branch.prepare_quantization(spikes)
    return as_model(from_snntorch(branch, spikes)), tracklet
