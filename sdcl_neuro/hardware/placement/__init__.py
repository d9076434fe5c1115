"""Does it fit? Layers over a chip's cores, under every limit of its profile.

Usable before training: only shapes are looked at, never weights (but for their width).
"""

from .findings import Broken, Unchecked
from .fitting import fit
from .result import Fit, LayerFit, Load, Placement

__all__ = ["Broken", "Fit", "LayerFit", "Load", "Placement", "Unchecked", "fit"]
