"""`fit`: a network, trained or not, on the cores of a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntLayer, IntNetwork, Pair
from sdcl_neuro.snn.branch_description import BranchDescription

from .. import HardwareProfile, load_profile
from .chip import chip_of, shares_kernels
from .geometry import LayerGeometry
from .layers import described, populations
from .own_pooling import unfold
from .result import Fit
from .strategies import by_totals, in_classes, on_cores


class HasNetworks(Protocol):
    """Anything that carries networks, such as a loaded model file."""

    @property
    def integer(self) -> IntNetwork | None:
        """Size in a chip's integers, None if unknown."""

    @property
    def floating(self) -> FloatNetwork | None:
        """Size in float, None if unknown."""


Network = IntNetwork | FloatNetwork | HasNetworks | BranchDescription


@public
def fit(
    net: Network,
    hw: str | Path | HardwareProfile,
    *,
    size: Pair | None = None,
    shared_kernels: bool | None = None,
) -> Fit:
    """Place a network on a chip under every limit of its profile.

    Args:
        net: integer or float network, trained or not, a model with either, or the description of
            an event branch.
        hw: a profile, its name, or the path of a TOML file.
        size: height and width of the input, for a description only.
        shared_kernels: whether a convolution's kernel is stored once in a core; None does where
            the chip can.

    Raises:
        InputError: a dense reference, no network, a description without a size.
    """
    profile = hw if isinstance(hw, HardwareProfile) else load_profile(hw)
    if profile.family != "neuromorphic":
        raise InputError(
            f"'{profile.name}' is a dense reference and holds no neurons",
            hint="give a neuromorphic profile (sdcl-neuro hw list)",
        )
    layers, message_bits, weights = _layers(net, size)
    if shared_kernels and not shares_kernels(profile):
        raise InputError(
            f"'{profile.name}' does not share kernels by its profile",
            hint="leave shared_kernels out",
        )
    chip = chip_of(profile, shared_kernels=shared_kernels)
    if profile.core_groups:
        windows = profile.limits.get("pooling")
        own = unfold(weights, layers, windows.values) if windows and weights else None
        return in_classes(profile, chip, layers, message_bits, own=own)
    if "neurons" in chip.core.limits:
        return on_cores(profile, chip, layers, message_bits)
    return by_totals(profile, chip, layers, message_bits)


def _layers(
    net: Network, size: Pair | None
) -> tuple[tuple[LayerGeometry, ...], int, tuple[IntLayer | FloatLayer, ...]]:
    """Return the layers' shapes, the width of input counts, and the layers with their weights, if
    any.
    """
    if isinstance(net, BranchDescription):
        if size is None:
            raise InputError(
                "the description of an event branch without its input's size",
                hint="give size=(height, width)",
            )
        return described(net, size), 0, ()
    if size is not None:
        raise InputError("a network has its own input size", hint="leave the size out")
    found: object = net
    if not isinstance(net, IntNetwork | FloatNetwork):
        found = getattr(net, "integer", None) or getattr(net, "floating", None)
    if isinstance(found, IntNetwork):
        return populations(found), found.message_bits, found.layers
    if isinstance(found, FloatNetwork):
        return populations(found), int(found.meta.get("message_bits", 0)), found.layers
    raise InputError(
        f"a {type(net).__name__} is not a network",
        hint="give a network, a model, or an event branch's description with a size",
    )
