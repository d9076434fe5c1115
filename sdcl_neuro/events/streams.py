"""Files that hold several recordings: what is in them, and which one is meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sdcl_neuro.errors import InputError

Size = tuple[int, int]


@dataclass(frozen=True)
class StreamInfo:
    """One recording within a file.

    Attributes:
        number: as the file counts it.
        name: as the file names it, for example ``events`` or ``/dvs/events``.
        holds: ``events``, ``frames``, or whatever else the file calls it.
        camera: the device it comes from; empty if the file does not say.
        size: width and height in pixels, if the file says.
    """

    number: int
    name: str
    holds: str
    camera: str = ""
    size: Size | None = None

    def __str__(self) -> str:
        size = f", {self.size[0]}x{self.size[1]}" if self.size else ""
        camera = f" of camera {self.camera}" if self.camera else ""
        holds = "" if self.holds == self.name else f" ({self.holds})"
        return f"{self.number}: {self.name}{holds}{camera}{size}"

    def matches(self, wanted: str) -> bool:
        """Return whether its number, name, camera or ``camera/name`` is `wanted`."""
        names = {str(self.number), self.name, self.camera, f"{self.camera}/{self.name}"}
        return bool(wanted) and wanted in names

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "number": self.number,
            "name": self.name,
            "holds": self.holds,
            "camera": self.camera or None,
            "size": list(self.size) if self.size else None,
        }


def choose_stream(streams: Sequence[StreamInfo], wanted: str | None, holds: str) -> StreamInfo:
    """Return the one stream that holds `holds` and is meant.

    Args:
        streams: all of the file's.
        wanted: number, name, camera, or camera/name; None if there can be only one. Where it names
            a stream of another kind, the stream of the same camera is taken.
        holds: ``events`` or ``frames``.

    Raises:
        InputError: there is none, there are several, or none is called `wanted`; all are named.
    """
    candidates = [one for one in streams if one.holds == holds]
    if not candidates:
        listed = f"it holds {named(streams)}" if streams else "it holds no stream at all"
        raise InputError(f"no {holds} in the file: {listed}", hint=f"give a recording with {holds}")
    if wanted is None:
        chosen = candidates
    else:
        chosen = [one for one in candidates if one.matches(wanted)]
        cameras = {one.camera for one in streams if one.matches(wanted)} - {""}
        chosen = chosen or [one for one in candidates if one.camera in cameras]
        if not chosen:
            raise InputError(
                f"no stream {wanted!r} of {holds}; the file has {named(candidates)}",
                hint="give stream=, or --stream, one of their numbers, names or cameras",
            )
    if len(chosen) > 1:
        raise InputError(
            f"{len(chosen)} streams of {holds}: {named(chosen)}",
            hint="choose one with stream=, or --stream, by number, name, camera or camera/name",
        )
    return chosen[0]


def named(streams: Iterable[StreamInfo]) -> str:
    """Return all of them in words."""
    return "; ".join(f"stream {one}" for one in streams)
