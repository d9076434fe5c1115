"""Whether the events of a stream are on the frames' clock: looked at until one event has fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sdcl_neuro.errors import InputError

WATCHED_US = 1_000_000
"""A stream whose clock is another one is told of within this much of the frames' time."""
ANOTHER_CLOCK_US = 60_000_000
"""No camera's events are so far from its frames: the clocks are different ones."""
ADVICE = "give --event-clock first or unix, or --event-offset US"


@dataclass
class ClockWatch:
    """Looks at each interval's events until one interval has some.

    Attributes:
        where: name of the stream.
        say: told in one line what was found, once.
        used: events that fell into a frame's interval.
        notes: what was said.
    """

    where: str
    say: Callable[[str], None]
    used: int = 0
    notes: list[str] = field(default_factory=list)
    _first_frame_us: int | None = None

    def look(self, time_us: int, used: int, seen: tuple[int, int] | None) -> None:
        """Take an interval into account.

        Args:
            time_us: of the frame that ends it.
            used: events in it.
            seen: first and last time of all events so far, on the frames' clock; None without any.

        Raises:
            InputError: a second of frames has passed, and the events are on another clock.
        """
        self.used += used
        if self._first_frame_us is None:
            self._first_frame_us = time_us
        if self.used:
            return
        passed = time_us - self._first_frame_us
        far = seen is not None and self._gap(time_us, seen) > ANOTHER_CLOCK_US
        if seen is not None and far:
            what = (
                f"events from {seen[0]} to {seen[1]} us, frames from {self._first_frame_us} to "
                f"{time_us} us: another clock"
            )
            if passed >= WATCHED_US:
                raise InputError(what, where=self.where, hint=ADVICE)
            self._tell(f"{self.where}: {what}, no event is used; {ADVICE}")
        elif passed >= WATCHED_US:
            came = "none has come" if seen is None else f"they are from {seen[0]} to {seen[1]} us"
            self._tell(
                f"{self.where}: no event in the frames' first {passed / 1e6:.1f} s "
                f"({self._first_frame_us} to {time_us} us): {came}; if the clock is another one, "
                f"{ADVICE}"
            )

    def _gap(self, time_us: int, seen: tuple[int, int]) -> int:
        """Return time between the frames so far and the events so far."""
        first = time_us if self._first_frame_us is None else self._first_frame_us
        return max(seen[0] - time_us, first - seen[1], 0)

    def _tell(self, line: str) -> None:
        if not self.notes:
            self.notes.append(line)
            self.say(line)
