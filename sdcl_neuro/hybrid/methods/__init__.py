"""The video networks that SDCL is compared with, behind one skeleton: backbone, fusion, head."""

from .backbone import BackbonePlan, ClipBackbone, map_channels
from .bridge import MethodBridge
from .head import LossPlan, MethodHead, Shape
from .table import METHODS, Method, backbone_channels, check_frames, notes_on

__all__ = [
    "METHODS",
    "BackbonePlan",
    "ClipBackbone",
    "LossPlan",
    "Method",
    "MethodBridge",
    "MethodHead",
    "Shape",
    "backbone_channels",
    "check_frames",
    "map_channels",
    "notes_on",
]
