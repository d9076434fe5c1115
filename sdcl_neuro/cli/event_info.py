"""What an event file holds, read part by part; what ``sdcl-neuro events info`` says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, StreamInfo, list_streams, open_frames, read_parts
from sdcl_neuro.events.options import ReadingOptions


def summary(events: Events) -> dict[str, Any]:
    """Return what is in them, as JSON values."""
    t = events.array["t"]
    on = int(np.count_nonzero(events.array["p"]))
    return {
        "format": events.source,
        "events": len(events),
        "on": on,
        "off": len(events) - on,
        "width": events.width,
        "height": events.height,
        "first_us": int(t[0]) if len(t) else None,
        "last_us": int(t[-1]) if len(t) else None,
        "mended": dict(events.mended),
        "removed": dict(events.removed),
        "assumed": list(events.notes),
    }


def joined(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of two parts that follow each other; the first may be empty of keys."""
    if not before:
        return after
    added = {key: before[key] + after[key] for key in ("events", "on", "off")}
    sums = {key: _sum(before[key], after[key]) for key in ("mended", "removed")}
    first = after["first_us"] if before["first_us"] is None else before["first_us"]
    last = before["last_us"] if after["last_us"] is None else after["last_us"]
    notes = list(dict.fromkeys([*before["assumed"], *after["assumed"]]))
    return {**before, **added, **sums, "assumed": notes, "first_us": first, "last_us": last}


def _sum(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    names = dict.fromkeys([*before, *after])
    return {name: before.get(name, 0) + after.get(name, 0) for name in names}


def described(found: dict[str, Any]) -> str:
    """Return a summary in one line."""
    text = f"{found['events']:,} events, {found['width']}x{found['height']}"
    if found["events"]:
        span = (found["last_us"] - found["first_us"]) / 1e6
        text += (
            f", {span:.6f} s (t {found['first_us']} to {found['last_us']} us), "
            f"{found['on']:,} ON, {found['off']:,} OFF"
        )
    for key in ("mended", "removed"):
        if found[key]:
            text += f"; {key}: " + ", ".join(f"{name} {n:,}" for name, n in found[key].items())
    return "; ".join([text, *found["assumed"]])


def look(path: Path, reading: ReadingOptions) -> tuple[str, dict[str, Any]]:
    """Say what a file holds: every stream of events and of frames, or the one that was chosen.

    Raises:
        InputError: see `read_events`.
    """
    streams = list_streams(path)
    several = [one for one in streams if one.holds == "events"] if reading.stream is None else []
    if len(several) > 1:
        return _several(path, reading, streams)
    lines, result = [], {}
    events = any(one.holds == "events" for one in streams)
    if events or not streams:
        result = _whole(read_parts(path, **reading.arguments()))
        lines.append(f"{path} ({result['format']}): {described(result)}")
    else:
        lines.append(f"{path}: no events")
    lines += _frames(path, reading, streams, result)
    if len(streams) > 1 or not events:
        lines += [f"  stream {one}" for one in streams]
    if streams:
        result["streams"] = [one.to_dict() for one in streams]
    return "\n".join(lines), result


def _several(
    path: Path, reading: ReadingOptions, streams: tuple[StreamInfo, ...]
) -> tuple[str, dict[str, Any]]:
    """Return each stream of events by itself."""
    many = [one for one in streams if one.holds == "events"]
    lines = [f"{path}: {len(many)} streams of events; choose one with --stream"]
    found = []
    for one in streams:
        plain: dict[str, Any] = one.to_dict()
        if one.holds == "events":
            own = {**reading.arguments(), "stream": str(one.number)}
            plain |= _whole(read_parts(path, **own))
            lines.append(f"  stream {one}: {described(plain)}")
        else:
            lines.append(f"  stream {one}")
        found.append(plain)
    return "\n".join(lines), {"streams": found}


def _whole(parts: Iterable[Events]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        found = joined(found, summary(part))
    return found


def _frames(
    path: Path,
    reading: ReadingOptions,
    streams: tuple[StreamInfo, ...],
    result: dict[str, Any],
) -> list[str]:
    """Return frames of the same camera, or the only ones; their count and times go into
    `result`.
    """
    if not any(one.holds == "frames" for one in streams):
        return []
    try:
        frames = open_frames(path, stream=reading.stream, mend=reading.mend)
    except InputError as error:
        return [f"  frames: {error.what}"]
    result["frames"] = {
        "count": frames.count,
        "width": frames.width,
        "height": frames.height,
        "first_us": int(frames.times_us[0]),
        "last_us": int(frames.times_us[-1]),
    }
    return [f"  {frames}, give the file as --video, too"]
