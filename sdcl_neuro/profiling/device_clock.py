"""Moments on a GPU's own clock, which can be read without waiting at each of them."""

from __future__ import annotations

from typing import Any

import torch

from sdcl_neuro.devices import wait_for


class DeviceClock:
    """A GPU's clock, by events in its queue; zero is the moment at which it is made.

    Args:
        device: a GPU; it is waited for, once.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        wait_for(device)
        self._known, self._known_s = self.mark(), 0.0

    def mark(self) -> Any:
        """Return an event: the moment at which all that is queued by now is done."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event

    def passed(self, event: Any) -> bool:
        """Return whether a moment has come."""
        return bool(event.query())

    def seconds(self, event: Any) -> float:
        """Return when it came, in seconds; waits for it if it has not.

        Taken from the moment that was read before: milliseconds since the beginning would lose
        digits in an event's float32.
        """
        if not event.query():
            event.synchronize()
        self._known_s += float(self._known.elapsed_time(event)) / 1e3
        self._known = event
        return self._known_s
