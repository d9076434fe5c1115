"""Hardware profiles: what a chip can hold, and what its operations cost, each with its source.

A profile is a TOML file (`hw_profiles/README.md` is the schema). Nothing here computes a cost:
`sdcl_neuro.profiling` does.
"""

from .read import list_profiles, load_profile
from .types import CoreGroup, HardwareProfile, Quantities, Quantity, Variant

__all__ = [
    "CoreGroup",
    "HardwareProfile",
    "Quantities",
    "Quantity",
    "Variant",
    "list_profiles",
    "load_profile",
]
