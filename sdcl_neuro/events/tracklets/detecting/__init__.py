"""Persons found and followed in a video: a detector's boxes, linked to tracks by ByteTrack."""

from __future__ import annotations

from .bytetrack import ByteTrack, ByteTrackSettings
from .detections import Detections, Detector
from .onnx_detector import OnnxDetector
from .options import DetectionOptions
from .scoring import TrackScore, score_tracks
from .subtraction import BackgroundDetector
from .tracking import Detected, detect_tracks

__all__ = [
    "BackgroundDetector",
    "ByteTrack",
    "ByteTrackSettings",
    "Detected",
    "DetectionOptions",
    "Detections",
    "Detector",
    "OnnxDetector",
    "TrackScore",
    "detect_tracks",
    "score_tracks",
]
