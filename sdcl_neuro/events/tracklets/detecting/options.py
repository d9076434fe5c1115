"""How persons are to be found in a video: which detector, and from which score on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sdcl_neuro.errors import InputError

from ..video import Video
from .bytetrack import ByteTrackSettings
from .detections import Detector
from .onnx_detector import OnnxDetector
from .subtraction import BackgroundDetector

# Sure scores: of networks, and of background subtraction, which has no opinion below.
NETWORK_SCORE, BACKGROUND_SCORE = 0.3, 0.5
UNSURE_SCORE = 0.1


@dataclass(frozen=True)
class DetectionOptions:
    """What a user says about finding persons.

    Attributes:
        detector: an ONNX file; None subtracts the background, for a camera that stands still.
        score: from which a detection is sure; the detector's usual one if None.
        person: class of a person in the detector; told by the file or its family if None.
        tiles: columns and rows of tiles that the detector looks at besides the whole frame; None
            takes parts where it would squeeze the frame.
    """

    detector: Path | None = None
    score: float | None = None
    person: int | None = None
    tiles: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.score is not None and not 0 < self.score <= 1:
            raise InputError(f"{self.score:g}", where="--detector-score", hint="give 0 to 1")
        if self.detector is None and (self.person is not None or self.tiles is not None):
            raise InputError(
                "--person-class and --tiles are of a network", hint="give --detector FILE.onnx"
            )

    def open(self, video: Video) -> tuple[Detector, tuple[str, ...]]:
        """Return the detector, made ready for a video, and what it assumes.

        Raises:
            InputError: not a detector.
            EnvironmentFault: onnxruntime is not installed.
        """
        if self.detector is None:
            assumed = (
                "no --detector: persons are what differs from the empty scene of a camera that "
                "stands still",
            )
            return BackgroundDetector(video, video.length), assumed
        network = OnnxDetector(self.detector, person=self.person, tiles=self.tiles)
        return network, network.assumed

    def settings(self) -> ByteTrackSettings:
        """Return thresholds of the tracker."""
        usual = BACKGROUND_SCORE if self.detector is None else NETWORK_SCORE
        sure = usual if self.score is None else self.score
        return ByteTrackSettings(
            sure=sure, unsure=min(UNSURE_SCORE, sure), begin=min(1.0, sure + 0.1)
        )
