"""Streams, events and graphs of the pretended GPU: what is ordered after what.

Each stream has a clock, and knows how far it has waited for the others. A tensor that one stream
wrote may be read on another only when that one waits for it; else the read is refused, as no error
would be seen on a real GPU. A graph keeps the operations of its capture; a replay computes them
again into the same memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from device import PretendedGpu

MILLISECONDS = 1e-3
"""How long every operation takes in elapsed times: they grow, and mean nothing."""


class Timeline:
    """The streams of a pretended GPU."""

    def __init__(self, gpu: PretendedGpu) -> None:
        self.gpu = gpu
        self.numbers = itertools.count()
        self.default = Stream(self)
        self.stream = self.default
        self.capturing: Graph | None = None
        self.writes: dict[int, tuple[int, int]] = {}
        self.time = 0.0

    def patches(self) -> dict[str, Any]:
        """What stands in for names of ``torch.cuda``."""
        timeline = self

        class OwnStream(Stream):
            def __init__(self, device: Any = None, priority: int = 0) -> None:
                super().__init__(timeline)

        class OwnEvent(Event):
            def __init__(self, enable_timing: bool = False, **options: Any) -> None:
                super().__init__(timeline, timing=enable_timing)

        class OwnGraph(Graph):
            def __init__(self) -> None:
                super().__init__(timeline)

        return {
            "Stream": OwnStream,
            "Event": OwnEvent,
            "CUDAGraph": OwnGraph,
            "stream": self.on,
            "graph": self.capture,
            "current_stream": lambda device=None: self.stream,
            "default_stream": lambda device=None: self.default,
            "graph_pool_handle": lambda: (0, 1),
            "is_current_stream_capturing": lambda: self.capturing is not None,
        }

    @contextmanager
    def on(self, stream: Stream | None) -> Iterator[None]:
        """Queue what follows on a stream."""
        before = self.stream
        self.stream = stream or before
        try:
            yield
        finally:
            self.stream = before

    @contextmanager
    def capture(
        self, graph: Graph, pool: Any = None, stream: Any = None, **how: Any
    ) -> Iterator[None]:
        """Record what follows in a graph."""
        with self.on(stream or Stream(self)):
            self.stream.wait_stream(self.default)
            self.capturing = graph
            try:
                yield
            finally:
                self.capturing = None
                self.default.wait_stream(self.stream)

    def seen(
        self, name: str, read: Sequence[torch.Tensor], written: Sequence[torch.Tensor]
    ) -> None:
        """An operation was queued on the current stream."""
        stream = self.stream
        for tensor in read:
            writer, at = self.writes.get(_memory(tensor), (stream.number, 0))
            if stream.reached.get(writer, 0) < at and writer != stream.number:
                raise AssertionError(
                    f"{name} reads on stream {stream.number} what stream {writer} writes, "
                    "and nothing orders the two"
                )
        stream.clock += 1
        self.time += MILLISECONDS
        read_memory = {_memory(tensor) for tensor in read}
        for tensor in written:
            place = _memory(tensor)
            if place not in read_memory or name.endswith("_"):
                self.writes[place] = (stream.number, stream.clock)

    def captured(self, func: Any, args: Any, kwargs: Any, made: Any) -> None:
        """Keep an operation for replays, while a graph is captured."""
        if self.capturing is not None:
            self.capturing.operations.append((func, args, kwargs, made))


class Stream:
    """A queue of work; `reached` says how far it waits for each other one."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline, self.number = timeline, next(timeline.numbers)
        self.clock = 0
        self.reached: dict[int, int] = {}

    def wait_stream(self, other: Stream) -> None:
        """What is queued here from now on comes after what is queued there."""
        self._after({**other.reached, other.number: other.clock})

    def wait_event(self, event: Event) -> None:
        """What is queued here from now on comes after the event."""
        self._after(event.reached)

    def record_event(self, event: Event | None = None) -> Event:
        """Mark this moment of the stream."""
        event = event or Event(self.timeline)
        event.record(self)
        return event

    def synchronize(self) -> None:
        """The host waits."""
        self.timeline.gpu.wait("stream.synchronize")

    def query(self) -> bool:
        """Nothing is ever left to be done."""
        return True

    def _after(self, reached: dict[int, int]) -> None:
        for number, clock in reached.items():
            self.reached[number] = max(clock, self.reached.get(number, 0))


class Event:
    """A moment of a stream."""

    def __init__(self, timeline: Timeline, *, timing: bool = False) -> None:
        self.timeline, self.timing = timeline, timing
        self.reached: dict[int, int] = {}
        self.time = 0.0

    def record(self, stream: Stream | None = None) -> None:
        """Take the present moment of a stream."""
        stream = stream or self.timeline.stream
        self.reached = {**stream.reached, stream.number: stream.clock}
        self.time = self.timeline.time

    def wait(self, stream: Stream | None = None) -> None:
        """See `Stream.wait_event`."""
        (stream or self.timeline.stream).wait_event(self)

    def synchronize(self) -> None:
        """The host waits."""
        self.timeline.gpu.wait("event.synchronize")

    def query(self) -> bool:
        """Nothing is ever left to be done."""
        return True

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds that mean nothing, and grow."""
        if not (self.timing and end.timing):
            raise RuntimeError("Both events must be created with argument 'enable_timing=True'.")
        return end.time - self.time


class Graph:
    """What was queued during a capture."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def replay(self) -> None:
        """Compute everything again, into the memory of the capture; one launch."""
        self.timeline.gpu.launch("graph")
        for func, args, kwargs, made in self.operations:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old is not new:
                    old.copy_(new)
            for tensor in tree_leaves(made):
                if isinstance(tensor, torch.Tensor):
                    stream = self.timeline.stream
                    self.timeline.writes[_memory(tensor)] = (stream.number, stream.clock)

    def pool(self) -> tuple[int, int]:
        """The memory that further graphs may share."""
        return (0, 1)

    def reset(self) -> None:
        """Forget the capture."""
        self.operations.clear()


def _memory(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
