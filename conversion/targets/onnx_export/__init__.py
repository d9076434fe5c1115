"""The dense side as ONNX files: frame branch and bridge, each checked in onnxruntime."""

from __future__ import annotations

from .export import Exported, export_onnx
from .parts import PARTS

__all__ = ["PARTS", "Exported", "export_onnx"]
