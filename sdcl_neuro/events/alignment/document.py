"""`Alignment` to a TOML file and back: what `events align` writes and ``--alignment`` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping as Table
from dataclasses import replace
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path
from sdcl_neuro.files.reading import read_toml
from sdcl_neuro.network.arguments import need_path, public

from .alignment import Alignment
from .calibration import mapping_of

SCHEMA = {"name": "sdcl_neuro.alignment", "version": 1}
_VIEW = {"homography", "event_size", "frame_size"}
_KEYS = _VIEW | {
    "schema",
    "event_clock",
    "offset_us",
    "frame_times",
    "frame_time_unit_us",
    "fps",
    "start_us",
    "stamp",
    "exposure_us",
    "crop",
    "assume_same_view",
    "estimate",
}
_WHOLE = ("offset_us", "start_us", "exposure_us")


@public
def write_alignment(
    path: Path | str, alignment: Alignment, *, estimate: Table[str, Any] | None = None
) -> None:
    """Write an alignment, whole or not at all.

    Args:
        path: of the file.
        alignment: what to write; cameras with distortion are not kept.
        estimate: figures on where it comes from; not read back.

    Raises:
        InputError: a mapping with lens distortion, which a homography cannot say.
    """
    mapping = alignment.mapping
    if mapping is not None and (mapping.event_camera or mapping.frame_camera):
        raise InputError(
            "a calibration is kept in its own file", where=str(path), hint="give --homography to it"
        )
    values: dict[str, Any] = {"schema": SCHEMA, **alignment.to_dict()}
    lines = [f"{key} = {_value(value)}" for key, value in values.items()]
    if estimate:
        lines += ["", "[estimate]"]
        lines += [f"{key} = {_value(value)}" for key, value in estimate.items()]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    return repr(int(value) if isinstance(value, int) else float(value))


@public
def read_alignment(path: Path | str) -> Alignment:
    """Read what `write_alignment` wrote, or a hand-written file with any of its keys.

    A relative `frame_times` starts at the file's folder.

    Raises:
        InputError: no such file, not TOML, an unknown key, or a value outside its range.
    """
    path = need_path(path, "alignment", "give the path of a file")
    try:
        return _alignment(path)
    except InputError as error:
        raise InputError(error.what, where=str(path), hint=error.hint) from None


def _alignment(path: Path) -> Alignment:
    table = read_toml(path, what="an alignment, the TOML that `events align` wrote")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        near = get_close_matches(unknown[0], _KEYS, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"use {', '.join(sorted(_KEYS))}"
        raise InputError(f"unknown key {unknown[0]!r}", hint=advice)
    if table.get("schema", SCHEMA) != SCHEMA:
        raise InputError(f"schema {table['schema']}", hint=f"expected {SCHEMA}")
    found = Alignment()
    for name in _WHOLE:
        if name in table:
            if type(table[name]) is not int:
                raise InputError(f"{name} is {table[name]!r}", hint="give a whole number")
            found = replace(found, **{name: table[name]})
    for name in ("event_clock", "stamp"):
        if name in table:
            found = replace(found, **{name: str(table[name])})  # type: ignore[arg-type]
    if "frame_times" in table:
        unit = table.get("frame_time_unit_us")
        times = path.parent / str(table["frame_times"])
        found = replace(
            found,
            frame_times=times,
            frame_time_unit_us=None if unit is None else _number(unit, "frame_time_unit_us"),
        )
    if "fps" in table:
        found = replace(found, fps=_rate(table["fps"]))
    if "crop" in table:
        crop = table["crop"]
        if not isinstance(crop, list) or len(crop) != 4:
            raise InputError(f"crop is {crop!r}", hint="give [left, top, width, height]")
        left, top, width, height = (_number(value, "crop") for value in crop)
        found = replace(found, crop=(left, top, width, height))
    if table.get("assume_same_view"):
        found = replace(found, assume_same_view=True)
    if "homography" in table:
        found = replace(found, mapping=mapping_of({k: table[k] for k in _VIEW if k in table}))
    return found


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name} is {value!r}", hint="give a number")
    return float(value)


def _rate(value: Any) -> Fraction:
    try:
        rate = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1_000_000:
        raise InputError(f"fps is {value!r}", hint="give frames a second, as 25 or '30000/1001'")
    return rate
