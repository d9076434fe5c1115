"""Reads profiles: packaged by name, a user's by path; one may extend another."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.files.reading import read_text, reason_of
from sdcl_neuro.network.arguments import public

from .check import check
from .types import CoreGroup, HardwareProfile, Quantity, Variant
from .vocabulary import FORMS

_LARGEST_FILE = 1 << 20
_LONGEST_CHAIN = 8


def list_profiles() -> tuple[str, ...]:
    """Return names of the profiles that come with the package."""
    folder = files("sdcl_neuro.hw_profiles")
    return tuple(
        sorted(entry.name[: -len(".toml")] for entry in folder.iterdir() if _is_profile(entry.name))
    )


@public
def load_profile(name_or_path: str | Path) -> HardwareProfile:
    """Read and check a profile.

    Args:
        name_or_path: a packaged name (`list_profiles`), or the path of a TOML file.

    Raises:
        InputError: no such profile, not TOML, or faults; all faults stand in the one message.
    """
    raw = _read(name_or_path, seen=())
    faults = check(raw)
    if faults:
        raise InputError(
            f"{number_of(len(faults), 'fault')}: " + " | ".join(faults),
            where=str(name_or_path),
            hint="correct them all (hw_profiles/README.md is the schema)",
        )
    return _build(raw)


def _is_profile(name: str) -> bool:
    return name.endswith(".toml")


def _read(name_or_path: str | Path, *, seen: tuple[str, ...]) -> dict[str, Any]:
    """Return the raw table, with the profile it extends beneath it."""
    label = str(name_or_path)
    place = str(Path(label).resolve()) if _is_path(label) else label
    if place in seen:
        raise InputError(
            f"profile extends itself through {' -> '.join(Path(one).name for one in seen)}",
            where=label,
            hint="let the last of them extend a packaged profile, or none",
        )
    if len(seen) >= _LONGEST_CHAIN:
        raise InputError(
            f"extends more than {_LONGEST_CHAIN} profiles, one through another",
            where=label,
            hint="extend the last of them directly",
        )
    text = _text(label)
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for numbers without end
        what = f"not TOML: {reason_of(error)}"
        raise InputError(what, where=label, hint="correct the file") from error
    if "extends" not in raw:
        return raw
    if not isinstance(raw["extends"], str):
        raise InputError("'extends' must be a profile's name", where=label)
    return _merge(_read(raw["extends"], seen=(*seen, place)), raw)


def _is_path(label: str) -> bool:
    return _is_profile(label) or Path(label).parent != Path()


def _text(label: str) -> str:
    is_path = _is_path(label)
    if not is_path and label not in list_profiles():
        near = get_close_matches(label, list_profiles(), n=1)
        hint = f"did you mean '{near[0]}'" if near else "give one of these, or a path to a .toml"
        raise InputError(
            f"no hardware profile '{label}' among {', '.join(list_profiles())}", hint=hint
        )
    if is_path:
        return read_text(label, what="a hardware profile", largest=_LARGEST_FILE)
    return (files("sdcl_neuro.hw_profiles") / f"{label}.toml").read_text(encoding="utf-8")


def _build(raw: Mapping[str, Any]) -> HardwareProfile:
    citations: Mapping[str, str] = raw.get("sources", {})

    def table(section: Mapping[str, Any]) -> dict[str, Quantity]:
        return {key: _quantity(value, citations) for key, value in section.items()}

    groups = raw.get("core_groups", [])
    return HardwareProfile(
        name=raw["name"],
        title=raw["title"],
        family=raw["family"],
        summary=" ".join(raw["summary"].split()),
        notes=tuple(" ".join(note.split()) for note in raw.get("notes", [])),
        chip=table(raw.get("chip", {})),
        limits=table(raw.get("limits", {})),
        power=table(raw.get("power", {})),
        bounds=table(raw.get("bounds", {})),
        variants={
            key: Variant(
                key, value["title"], table(value.get("energy", {})), table(value.get("time", {}))
            )
            for key, value in raw["variants"].items()
        },
        core_groups=tuple(
            CoreGroup(
                tuple(group["cores"]), table({k: v for k, v in group.items() if k != "cores"})
            )
            for group in groups
        ),
    )


def _quantity(raw: Mapping[str, Any], citations: Mapping[str, str]) -> Quantity:
    value = raw.get("value")
    return Quantity(
        unit=raw.get("unit", ""),
        low=raw.get("low", value),
        high=raw.get("high", value),
        kind=raw.get("kind", ""),
        source=citations.get(raw.get("source", ""), ""),
        values=tuple(raw.get("values", ())),
        text=raw.get("text", ""),
        unknown=raw.get("unknown", ""),
        note=raw.get("note", ""),
    )


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the keys of `over` laid on it; tables merge, a quantity is replaced
    whole.
    """
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        if both and not any(form in value for form in FORMS):
            result[key] = _merge(old, value)  # type: ignore[arg-type]
        else:
            result[key] = value
    return result
