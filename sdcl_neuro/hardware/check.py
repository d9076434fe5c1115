"""Finds every fault of a hardware profile at once, each with its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from .vocabulary import CHIP, ENERGY, FAMILIES, FORMS, GROUP, KINDS, LIMITS, POWER, TOP, VARIANT


class ProfileFaults(list[str]):
    """Collects what is wrong with a profile, each with its place."""

    def add(self, place: str, what: str) -> None:
        """Note one fault."""
        self.append(f"{place}: {what}")

    def unknown_keys(self, place: str, found: Mapping[str, Any], known: Any) -> None:
        """Note every key of `found` that is not in `known`, with the nearest one that is."""
        for key in found:
            if key not in known:
                near = get_close_matches(key, list(known), n=1)
                hint = f", did you mean '{near[0]}'" if near else ""
                self.add(f"{place}.{key}" if place else key, f"unknown key{hint}")


def check(raw: Mapping[str, Any]) -> ProfileFaults:
    """Return every fault in a profile's raw table; an empty list if there is none."""
    faults = ProfileFaults()
    faults.unknown_keys("", raw, TOP)
    if raw.get("schema") != 1:
        faults.add("schema", f"must be 1, is {raw.get('schema')!r}")
    for key in ("name", "title", "summary"):
        if not isinstance(raw.get(key), str) or not raw[key].strip():
            faults.add(key, "must be a text that says something")
    if raw.get("family") not in FAMILIES:
        faults.add("family", f"must be one of {', '.join(FAMILIES)}, is {raw.get('family')!r}")
    notes = raw.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        faults.add("notes", "must be a list of texts")
    sources = _check_sources(raw.get("sources", {}), faults)
    for section, words in (("chip", CHIP), ("limits", LIMITS), ("power", POWER)):
        _check_table(section, raw.get(section, {}), words, sources, faults)
    _check_table("bounds", raw.get("bounds", {}), ENERGY, sources, faults)
    _check_variants(raw.get("variants", {}), sources, faults)
    _check_groups(raw.get("core_groups", []), sources, faults)
    return faults


def _check_sources(sources: Any, faults: ProfileFaults) -> set[str]:
    if not isinstance(sources, dict):
        faults.add("sources", "must be a table")
        return set()
    for key, source in sources.items():
        if not isinstance(source, str) or not source.strip():
            faults.add(f"sources.{key}", "must be a citation")
    return set(sources)


def _check_variants(variants: Any, sources: set[str], faults: ProfileFaults) -> None:
    if not isinstance(variants, dict) or not variants:
        faults.add("variants", "must be a table with at least one set of constants")
        return
    for name, variant in variants.items():
        place = f"variants.{name}"
        if not isinstance(variant, dict):
            faults.add(place, "must be a table")
            continue
        faults.unknown_keys(place, variant, ("title", *VARIANT))
        if not isinstance(variant.get("title"), str):
            faults.add(f"{place}.title", "must be a text")
        for section, words in VARIANT.items():
            _check_table(f"{place}.{section}", variant.get(section, {}), words, sources, faults)


def _check_groups(groups: Any, sources: set[str], faults: ProfileFaults) -> None:
    if not isinstance(groups, list):
        faults.add("core_groups", "must be a list of tables")
        return
    for index, group in enumerate(groups):
        place = f"core_groups[{index}]"
        if not isinstance(group, dict) or not isinstance(group.get("cores"), list):
            faults.add(place, "must be a table with 'cores', a list of core numbers")
            continue
        quantities = {key: value for key, value in group.items() if key != "cores"}
        _check_table(place, quantities, GROUP, sources, faults)


def _check_table(
    place: str,
    table: Any,
    words: Mapping[str, tuple[str, str]],
    sources: set[str],
    faults: ProfileFaults,
) -> None:
    if not isinstance(table, dict):
        faults.add(place, "must be a table")
        return
    faults.unknown_keys(place, table, words)
    for key, quantity in table.items():
        if key in words:
            check_quantity(f"{place}.{key}", quantity, words[key][0], sources, faults)


def check_quantity(
    place: str, raw: Any, unit: str, sources: set[str], faults: ProfileFaults
) -> None:
    """Note what is wrong with one quantity: its form, unit, kind and source."""
    if not isinstance(raw, dict):
        faults.add(place, "must be a table with value, unit, kind and source")
        return
    faults.unknown_keys(place, raw, (*FORMS, "unit", "kind", "source", "note"))
    forms = {form for form in FORMS if form in raw}
    if len(forms) != 1 and forms != {"low", "high"}:
        faults.add(place, f"needs one of value, low/high, values, text, unknown; has {len(forms)}")
    # Words in the place of a number ("contained in ...") have no unit.
    if raw.get("unit", "") != unit and not (forms == {"text"} and "unit" not in raw):
        faults.add(place, f"unit must be '{unit}', is '{raw.get('unit', '')}'")
    _check_numbers(place, raw, faults)
    for form in forms & {"text", "unknown"}:
        if not isinstance(raw[form], str) or not raw[form].strip():
            faults.add(place, f"'{form}' must be a text that says something")
    if "unknown" in forms:
        return
    if raw.get("kind") not in KINDS:
        faults.add(place, f"kind must be one of {', '.join(KINDS)}, is {raw.get('kind')!r}")
    if raw.get("source") not in sources:
        faults.add(place, f"source {raw.get('source')!r} is not in [sources]")


def _check_numbers(place: str, raw: Mapping[str, Any], faults: ProfileFaults) -> None:
    numbers: list[Any] = [raw[form] for form in ("value", "low", "high") if form in raw]
    if "values" in raw:
        if not isinstance(raw["values"], list) or not raw["values"]:
            faults.add(place, "'values' must be a list with at least one number")
            return
        numbers += raw["values"]
    good = [
        isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
        for number in numbers
    ]
    if not all(good):
        faults.add(place, "every number must be finite")
    elif any(number < 0 for number in numbers):
        faults.add(place, "no quantity is negative")
    elif "low" in raw and "high" in raw and raw["low"] > raw["high"]:
        faults.add(place, f"low {raw['low']} is above high {raw['high']}")
