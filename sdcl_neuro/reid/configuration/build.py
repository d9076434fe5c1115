"""From a configuration to a model."""

from __future__ import annotations

import torch
from torch import nn

from sdcl_neuro.hybrid.composition import compose, needs_event_branch
from sdcl_neuro.hybrid.frame_branch import load_weights
from sdcl_neuro.hybrid.methods import ClipBackbone
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.voxels import VoxelBranch
from sdcl_neuro.network.arguments import public
from sdcl_neuro.snn.event_branch import EventBranch

from .checks import bridge_config, frame_branch_name
from .tables import Configuration


@public
def build_model(configuration: Configuration, identities: int = 0) -> Sdcl:
    """Return the model that a configuration describes, with random weights but those of its files.

    Torch's global generator draws them: seed it first.

    Args:
        configuration: of any kind of model; what comes back keeps `Sdcl`'s promises.
        identities: training persons, classes of the classifiers; 0 builds none.

    Raises:
        InputError: tables that do not go together, or a weight file that cannot be used.
        FileNotFoundError: a weight file that is not there.
    """
    config = bridge_config(configuration, identities=identities)
    kind = configuration.kind
    branch = None
    if needs_event_branch(kind, config):
        # Small, and snnTorch reads its values back, which the device meta does not do.
        with torch.device("cpu"):
            branch = EventBranch(configuration.event_branch.description())
    model = compose(
        kind,
        config,
        frame_branch=frame_branch_name(configuration),
        event_branch=branch,
        bins=configuration.clip.bins,
    )
    weights, network = configuration.frame_branch.weights, _frame_network(model)
    if weights and isinstance(network, ClipBackbone):
        network.load_pretrained(weights)
    elif weights and network is not None:
        load_weights(network, weights)
    return model


def _frame_network(model: Sdcl) -> nn.Module | None:
    """Return what sees frames, or event voxels in place of them; None if the model has no such
    network.
    """
    if isinstance(model.event_branch, VoxelBranch):
        return model.event_branch.network
    return model.frame_branch
