"""Hardware profiles: what a chip can hold, and what its operations cost, each with its source.

A profile is a TOML file (`hw_profiles/README.md` is the schema). `fit` says whether a network fits;
`sdcl_neuro.profile` says what it costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

if TYPE_CHECKING:
    from .placement import Fit as Fit
    from .placement import fit as fit
    from .read import list_profiles as list_profiles
    from .read import load_profile as load_profile
    from .types import CoreGroup as CoreGroup
    from .types import HardwareProfile as HardwareProfile
    from .types import Quantities as Quantities
    from .types import Quantity as Quantity
    from .types import Variant as Variant

_PUBLIC = {
    "CoreGroup": "types",
    "fit": "placement",
    "Fit": "placement",
    "HardwareProfile": "types",
    "list_profiles": "read",
    "load_profile": "read",
    "Quantities": "types",
    "Quantity": "types",
    "Variant": "types",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = attach(__name__, _PUBLIC)
