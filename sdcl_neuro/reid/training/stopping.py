"""Ctrl-C and SIGTERM in a training: the step that runs is finished and saved, then it ends."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SAVE_EVERY_S = 300.0
"""A state is saved at least so often, however long the steps take."""
TERMINATED = 128 + signal.SIGTERM
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether a training was asked to end, and when its state was saved last."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked: signal.Signals | None = None
        self._say, self._saved_s = say, time.monotonic()

    def due(self) -> bool:
        """Return whether the state is to be saved after this step."""
        return self.asked is not None or time.monotonic() - self._saved_s >= SAVE_EVERY_S

    def saved(self) -> None:
        """Note that the state was saved now."""
        self._saved_s = time.monotonic()

    def leave_if_asked(self) -> None:
        """End the training after a saved step.

        Raises:
            KeyboardInterrupt: Ctrl-C asked for it.
            SystemExit: SIGTERM did, with a shell's code for that.
        """
        if self.asked is None:
            return
        self._say("the state is saved; the same command resumes from here")
        if self.asked == signal.SIGTERM:
            sys.exit(TERMINATED)
        raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:  # asked twice: at once, as without this class
            raise KeyboardInterrupt
        self.asked = signal.Signals(number)
        self._say("stopping after this step; once more stops at once, without saving")


@contextmanager
def stop_on_signals(say: Callable[[str], None], *, wanted: bool) -> Iterator[Stop]:
    """Yield what the signals ask for in the body; the handlers before are put back.

    Args:
        say: told in one line what happens.
        wanted: whether to listen; otherwise, and outside of the main thread, signals do what
            they did.
    """
    stop = Stop(say)
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop._receive) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
