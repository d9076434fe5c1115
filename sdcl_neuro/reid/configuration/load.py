"""Reads configuration files: packaged ones by name, a user's by path, with KEY=VALUE on top."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.files.reading import read_text, reason_of
from sdcl_neuro.network.arguments import public

from .checks import disagreements
from .reading import Fault, Reader
from .tables import Configuration

ENDING = ".toml"
_LARGEST_FILE = 1 << 20
_DEEPEST = 8
_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def list_configurations() -> tuple[str, ...]:
    """Return names of the configurations that come with the package."""
    folder = files(__package__)
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name[: -len(ENDING)] for name in names if name.endswith(ENDING)))


@public
def load_configuration(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Configuration:
    """Read and check a configuration.

    Args:
        name_or_path: a packaged name (`list_configurations`), or the path of a TOML file.
        overrides: ``KEY=VALUE``, KEY dotted, as ``training.persons=3``; VALUE as TOML writes it,
            where a bare word is a text.

    Raises:
        InputError: no such configuration, not TOML, or faults; all faults stand in the message.
    """
    label = str(name_or_path)
    try:
        raw = tomllib.loads(_text(label))
    except (ValueError, RecursionError) as error:  # ValueError also for numbers without end
        what = f"not TOML: {reason_of(error)}"
        raise InputError(what, where=label, hint="correct the file") from None
    reader = Reader(Configuration)
    faults = reader.faults
    for override in overrides:
        _lay_on(raw, override, faults)
    configuration: Configuration = reader.read(raw)
    if not faults:
        faults += disagreements(configuration)
    if faults:
        count = number_of(len(faults), "fault")
        raise InputError(
            f"{count}: " + " | ".join(map(str, faults)),
            where=f"{label} with {' '.join(overrides)}" if overrides else label,
            hint="correct them all (docs/configuration.md lists the keys)",
        )
    return configuration


def _text(label: str) -> str:
    path = Path(label)
    is_path = label.endswith(ENDING) or path.parent != Path()
    if not is_path and label not in list_configurations():
        near = get_close_matches(label, list_configurations(), n=1)
        hint = f"did you mean '{near[0]}'" if near else "give one of these, or a path to a .toml"
        raise InputError(
            f"no configuration '{label}' among {', '.join(list_configurations())}", hint=hint
        )
    if is_path:
        return read_text(path, what="a configuration", largest=_LARGEST_FILE)
    return (files(__package__) / f"{label}{ENDING}").read_text(encoding="utf-8")


def _lay_on(raw: dict[str, Any], override: str, faults: list[Fault]) -> None:
    """Set one ``KEY=VALUE`` in the tables as read."""
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not _KEY.fullmatch(key):
        faults.append(Fault(override, "is not KEY=VALUE", "write it as training.persons=3"))
        return
    *path, last = key.split(".")
    if len(path) >= _DEEPEST:
        faults.append(Fault(key[:80], f"has more than {_DEEPEST} parts", "give the key of a value"))
        return
    table: Any = raw
    for name in path:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            faults.append(Fault(key, f"{name} is not a table", "give the key of a value"))
            return
    if isinstance(table.get(last), Mapping):
        faults.append(Fault(key, "is a table", "give the key of one of its values"))
        return
    table[last] = parse_value(text.strip())


def parse_value(text: str) -> Any:
    """Return a value as TOML writes it; what is not TOML is a text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # ValueError also for numbers without end
        return text
    return parsed["value"] if len(parsed) == 1 else text
