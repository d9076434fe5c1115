"""Times the stages of a run, nested or on several threads at once, on a CPU's or a GPU's clock."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .ledger_rows import LedgerStage, Passage

if TYPE_CHECKING:
    from .device_clock import DeviceClock


class _Pending(NamedTuple):
    """A passage whose moments may be a GPU's, and still to come."""

    name: str
    start: Any
    end: Any
    parent: str
    thread: int


@dataclass
class _StageSum:
    """The running sum behind a `LedgerStage`; `first` orders stages by first appearance."""

    calls: int = 0
    total_s: float = 0.0
    least_s: float = math.inf
    most_s: float = 0.0
    first: tuple[float, float] = (math.inf, 0.0)

    def add(self, span: Passage) -> None:
        self.calls += 1
        self.total_s += span.seconds
        self.least_s = min(self.least_s, span.seconds)
        self.most_s = max(self.most_s, span.seconds)
        self.first = min(self.first, (span.start_s, -span.end_s))


class StageClock:
    """Times stages; safe to use from several threads. For the arguments see `Ledger`."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        synchronise: Callable[[], object] | None,
        device_clock: DeviceClock | None,
        keep: int | None,
    ) -> None:
        self._clock, self._synchronise = clock, synchronise
        self._device_clock = device_clock
        self._pending: deque[_Pending] = deque()
        self._lock, self._local = threading.Lock(), threading.local()
        self._threads: dict[int, int] = {}
        self._spans: deque[Passage] = deque(maxlen=keep)
        self._stages: dict[tuple[str, str], _StageSum] = {}
        self._origin = clock()

    @contextmanager
    def stage(self, name: str, *, synchronise: bool) -> Iterator[None]:
        """Time the block; a stage inside another is its child. Failed blocks are entered too."""
        stack: list[str] = self._local.__dict__.setdefault("stack", [])
        parent = stack[-1] if stack else ""
        stack.append(name)
        start = self._moment(synchronise)
        try:
            yield
        finally:
            end = self._moment(synchronise)
            stack.pop()
            with self._lock:
                thread = self._threads.setdefault(threading.get_ident(), len(self._threads))
                self._pending.append(_Pending(name, start, end, parent, thread))
                self._settle(wait=False)

    @property
    def spans(self) -> tuple[Passage, ...]:
        """Every passage through a stage that is kept, by start."""
        with self._lock:
            self._settle(wait=True)
            return tuple(sorted(self._spans, key=lambda span: (span.start_s, -span.end_s)))

    @property
    def stages(self) -> tuple[LedgerStage, ...]:
        """Stages in order of first appearance, passages summed."""
        with self._lock:
            self._settle(wait=True)
            ordered = sorted(self._stages.items(), key=lambda item: item[1].first)
            return tuple(
                LedgerStage(name, parent, one.calls, one.total_s, one.least_s, one.most_s)
                for (parent, name), one in ordered
            )

    def _moment(self, synchronise: bool) -> Any:
        """Return now, in seconds; on a GPU an event, unless there is nothing to wait for."""
        if synchronise and self._device_clock is not None:
            return self._device_clock.mark()
        if synchronise and self._synchronise is not None:
            self._synchronise()
        return self._clock() - self._origin

    def _settle(self, *, wait: bool) -> None:
        """Enter the passages whose moments are known; with `wait`, all. The lock is held."""
        while self._pending:
            one = self._pending[0]
            if not wait and not self._passed(one.end):
                return
            self._pending.popleft()
            start, end = self._seconds(one.start), self._seconds(one.end)
            span = Passage(one.name, start, end, one.parent, one.thread)
            self._spans.append(span)
            self._stages.setdefault((one.parent, one.name), _StageSum()).add(span)

    def _passed(self, moment: Any) -> bool:
        clock = self._device_clock
        return clock is None or isinstance(moment, float) or clock.passed(moment)

    def _seconds(self, moment: Any) -> float:
        if self._device_clock is None or isinstance(moment, float):
            return float(moment)
        return self._device_clock.seconds(moment)
