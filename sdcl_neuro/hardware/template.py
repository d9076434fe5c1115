"""A profile to fill in: every key of the schema, its unit and meaning; valid as printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .vocabulary import CHIP, ENERGY, GROUP, KINDS, LIMITS, POWER, TIME

UNKNOWN = "not filled in yet"
# What a cost or a fit asks for first: in the template as unknown, the rest as comments.
_ASKED = {
    "chip": ("chips", "cores"),
    "limits": ("neurons_per_core", "synapse_memory_per_core", "axons_in_per_core", "weight_bits"),
    "power": ("static",),
    "energy": ("synop", "neuron_update", "synchronisation"),
    "time": ("synop", "neuron_update", "barrier"),
}
_HEAD = """schema = 1
name = "{name}"
title = "{name}"
family = "neuromorphic"          # or "dense": it multiplies and accumulates
summary = "What it is, in a sentence."
notes = ["What to know before believing a figure."]

# A figure is one of:  value = 3  |  low = 3, high = 4  |  high = 4  |  low = 3
#                      values = [1, 2, 4]  |  text = "words"  |  unknown = "why no one knows"
# with its unit as below, a kind ({kinds}),
# a source (a key of [sources]) and, if wanted, a note. An own measurement looks like this:
#   synop = {{ low = 8.1, high = 8.8, unit = "pJ", kind = "own measurement", source = "mine" }}
# Every line that is commented out may be left out.

[sources]
paper = "Author et al., Title, Journal, year"
mine = "Measured by me: board, instrument, date"
"""


def template(name: str = "mychip") -> str:
    """Return a profile in TOML in which every figure is unknown or commented out.

    Args:
        name: what the chip is to be called.
    """
    lines = [_HEAD.format(name=name, kinds=", ".join(KINDS)).rstrip("\n")]
    for section, words in (("chip", CHIP), ("limits", LIMITS), ("power", POWER)):
        lines += ["", f"[{section}]", *_entries(words, _ASKED[section])]
    lines += ["", "# For chips whose cores differ, once for each kind of core:"]
    lines += ["# [[core_groups]]", "# cores = [0, 1, 2]", *_entries(GROUP, ())]
    lines += ["", "# One set of constants that belong together; add more where sources disagree."]
    lines += ["[variants.paper]", 'title = "The paper\'s own"']
    for section, words in (("energy", ENERGY), ("time", TIME)):
        lines += ["", f"[variants.paper.{section}]", *_entries(words, _ASKED[section])]
    return "\n".join(lines) + "\n"


def _entries(words: Mapping[str, tuple[str, str]], asked: tuple[str, ...]) -> Iterator[str]:
    """Yield keys that are asked for first, then the others as comments."""
    for key in asked:
        unit, meaning = words[key]
        yield f'{key} = {{ unknown = "{UNKNOWN}", unit = "{unit}" }}  # {meaning}'
    for key, (unit, meaning) in words.items():
        if key in asked:
            continue
        if unit:
            yield f'# {key} = {{ value = 0, unit = "{unit}", kind = "", source = "" }}  # {meaning}'
        else:
            yield f'# {key} = {{ text = "", kind = "", source = "" }}  # {meaning}'
