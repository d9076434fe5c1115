"""The video networks that SDCL is compared with, behind one skeleton: backbone, fusion, head."""

from .backbone import BackbonePlan, ClipBackbone, map_channels
from .bridge import MethodBridge
from .head import LossPlan, MethodHead, Shape
from .stand_ins import STAND_INS, StandInBridge, stand_in_kind, stands_for
from .table import METHODS, Method, backbone_channels, check_frames, notes_on

__all__ = [
    "METHODS",
    "STAND_INS",
    "BackbonePlan",
    "ClipBackbone",
    "LossPlan",
    "Method",
    "MethodBridge",
    "MethodHead",
    "Shape",
    "StandInBridge",
    "backbone_channels",
    "check_frames",
    "map_channels",
    "notes_on",
    "stand_in_kind",
    "stands_for",
]
