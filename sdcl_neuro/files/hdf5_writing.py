"""HDF5 files that are written through Python, so that a full disk ends in one line.

Where HDF5 (seen in 1.14 and 2.0) cannot write what it holds, it cannot close the file either,
and crashes at the end of the process. So it never learns: the first failure is kept, later writes
are taken and dropped, the file closes, and only then the failure is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any


class _Sink:
    """A binary file for h5py whose writes never fail."""

    def __init__(self, stream: FileIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def check(self) -> None:
        """Raise the first failure, if there was one."""
        if self.failure is not None:
            raise self.failure

    def write(self, data: Any) -> int:
        """Write what can be written; keep the first failure."""
        view = memoryview(data).cast("B")
        done = 0
        while self.failure is None and done < len(view):
            try:
                done += self._stream.write(view[done:]) or 0
            except OSError as error:
                self.failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size, as `write` does."""
        if self.failure is None:
            try:
                return self._stream.truncate(size)
            except OSError as error:
                self.failure = error
        return size or 0

    def read(self, count: int = -1) -> bytes:
        """Read bytes; h5py knows a file by this method."""
        return self._stream.read(count)

    def readinto(self, buffer: Any) -> int:
        """Read what was written; zeros beyond its end."""
        view = memoryview(buffer).cast("B")
        read = self._stream.readinto(view) or 0
        view[read:] = bytes(len(view) - read)
        return len(view)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._stream.tell()

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


@contextmanager
def hdf5_sink(path: Path) -> Iterator[_Sink]:
    """Open a new file that `h5py.File` takes in place of a path; raise at the end what failed."""
    with FileIO(path, "w+b") as stream:
        sink = _Sink(stream)
        try:
            yield sink
        finally:
            # What HDF5 says after a failure is its consequence.
            sink.check()


@contextmanager
def new_hdf5(path: Path, **options: Any) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Create an HDF5 file; yield it and a function that raises as soon as a write has failed.

    Args:
        path: of the new file, usually from `atomic_path`.
        options: of `h5py.File`, without its mode.

    Raises:
        OSError: the disk is full, or the file cannot be written; at the end at the latest.
    """
    import h5py

    with hdf5_sink(path) as sink, h5py.File(sink, "w", **options) as file:
        yield file, sink.check
