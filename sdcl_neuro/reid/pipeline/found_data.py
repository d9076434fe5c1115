"""From a folder to what can be trained on it: which data set it is, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..configuration import Configuration, load_configuration
from ..datasets.checking import count
from ..datasets.table import KINDS, Choices, recognise

CACHE = "simulated-events"


def configuration_of(
    folder: Path,
    overrides: Sequence[str],
    out: Path,
    say: Callable[[str], None] = lambda line: None,
) -> Configuration:
    """Return the packaged configuration for the data set that a folder holds.

    Events are simulated into `out` where the folder has frames and no events, and no override says
    otherwise.

    Args:
        folder: the data set's root.
        overrides: ``KEY=VALUE`` on top.
        out: of the training.
        say: prints one line about what was found.

    Raises:
        InputError: it looks like no data set, or overrides with faults.
    """
    name = recognise(folder)
    kind = KINDS[name]
    say(f"{folder}: {kind.text} ({name}), with the configuration {kind.configuration!r}")
    said = {override.partition("=")[0].strip() for override in overrides}
    extra = list(overrides)
    if name == "folder" and not said & {"data.events", "data.cache"}:
        data = kind.open_data(folder, Choices())
        found = count(data)
        say("found: " + ", ".join(f"{number:,} {what}" for what, number in found.items()))
        for note in getattr(data, "notes", ()):
            say(f"assumed: {note}")
        if not getattr(data, "has_events", True):
            cache = (out.parent / f"{out.name}-{CACHE}").resolve()
            extra.append(f'data.cache="{cache}"')
            say(f"events are simulated from the frames, into {cache}")
    return load_configuration(kind.configuration, extra)
