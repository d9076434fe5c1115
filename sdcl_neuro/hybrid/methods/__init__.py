"""The video networks that SDCL is compared with, behind one skeleton: backbone, fusion, head."""

from .backbone import BackbonePlan, ClipBackbone, map_channels
from .bridge import MethodBridge
from .head import LossPlan, MethodHead, Shape
from .table import METHODS, Method, check_frames

__all__ = [
    "METHODS",
    "BackbonePlan",
    "ClipBackbone",
    "LossPlan",
    "Method",
    "MethodBridge",
    "MethodHead",
    "Shape",
    "check_frames",
    "map_channels",
]
