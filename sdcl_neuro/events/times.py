"""Frame times for encoding, evenly spaced over a recording."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

SECOND_US = 1_000_000
FPS_MAX = 1_000_000
MAX_FRAMES = 10_000_000


@public_class
@dataclass(frozen=True)
class EvenFrames:
    """Frames at a steady rate, laid from the first event on.

    Frame f is at ``start + round((f + 1) * 1e6 / fps)``, and start is 1 us before the first event:
    intervals are open on their left.

    Attributes:
        fps: frames a second.
        first_us: time of the first event; None as long as it is not known.

    Raises:
        InputError: a rate that is not positive, or above `FPS_MAX`.
    """

    fps: Fraction | int
    first_us: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.fps <= FPS_MAX:
            raise InputError(f"a rate of {self.fps} frames a second", hint=f"give 0 to {FPS_MAX}")
        object.__setattr__(self, "fps", Fraction(self.fps))  # times are exact

    def from_first(self, first_us: int) -> EvenFrames:
        """Return the same with its first event, unless that is known."""
        return self if self.first_us is not None else EvenFrames(self.fps, first_us)

    def start(self) -> int:
        """Return where the first frame's interval begins."""
        if self.first_us is None:
            raise InputError("no events to lay frames over", hint="give frame times")
        return self.first_us - 1

    def time(self, frame: int) -> int:
        """Return time of a frame, in us."""
        return self.start() + round((frame + 1) * SECOND_US / self.fps)

    def count(self, last_us: int) -> int:
        """Return frames that own every event up to `last_us`.

        Raises:
            InputError: too many.
        """
        span = last_us - self.start()
        # The last frame's exact time is span or more, so rounded it is no less.
        count = -(-span * self.fps.numerator // (self.fps.denominator * SECOND_US))
        if count > MAX_FRAMES:
            raise InputError(f"{count:,} frames", hint="lower the rate, or check the unit of time")
        return count
