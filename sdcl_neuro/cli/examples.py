"""What ``--help`` shows at its end: commands that lead to a result from an empty folder.

A test runs every verb's lines, in order, in a folder of their own.
"""

from __future__ import annotations

import argparse

_MODEL = "sdcl-neuro models get sdcl-small-walkers"
_NET = "sdcl-small-walkers/event_branch.net"
_SPIKES = "--spikes sdcl-small-walkers/spikes.npz"
_CLIP = "sdcl-neuro demo --clip ."
_VIDEO = "--video walk.mp4 --tracks walk.txt"
_ENROL = f"sdcl-neuro infer {_VIDEO} --gallery people.gallery --enrol"

# Verb: commands, as one types them in an empty folder.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": ("sdcl-neuro demo",),
    "train": (
        "sdcl-neuro train generated-small --out runs/small --dry-run",
        "sdcl-neuro train generated-small --out runs/small",
    ),
    "convert": (
        _MODEL,
        "sdcl-neuro convert sdcl-small-walkers/checkpoint branch.net",
        "sdcl-neuro convert branch.net branch.nir",
        "sdcl-neuro convert branch.net branch.c",
        "sdcl-neuro convert --diff branch.net branch.nir",
    ),
    "verify": (
        _MODEL,
        f"sdcl-neuro verify {_NET} {_SPIKES} --against snntorch-int --json certificate.json",
    ),
    "run": (_MODEL, f"sdcl-neuro run {_NET} {_SPIKES} --out layers.npz"),
    "profile": (
        _MODEL,
        f"sdcl-neuro profile {_NET} {_SPIKES} --hw loihi1,loihi2 --html profile.html",
    ),
    "hw": (
        "sdcl-neuro hw list",
        "sdcl-neuro hw show loihi2",
        _MODEL,
        f"sdcl-neuro hw fit {_NET} loihi2",
        "sdcl-neuro hw template mychip --out mychip.toml",
    ),
    "evaluate": (
        "sdcl-neuro train generated-small --out runs/small",
        "sdcl-neuro evaluate runs/small --backend snntorch,loihi",
    ),
    "figures": (
        "sdcl-neuro train generated-small --out runs/small",
        "sdcl-neuro figures runs/small --out figures",
    ),
    "infer": (_CLIP, f"sdcl-neuro infer {_VIDEO} --out infer-out"),
    "batch": (
        "sdcl-neuro demo --clip clips",
        _MODEL,
        "sdcl-neuro batch sdcl-small-walkers/checkpoint clips --out results",
    ),
    "live": (_CLIP, "sdcl-neuro live --frames walk.mp4 --tracks walk.txt"),
    "serve": ("sdcl-neuro serve --demo",),
    "gallery": (
        _CLIP,
        _ENROL,
        "sdcl-neuro gallery info people.gallery",
        'sdcl-neuro gallery search people.gallery --like "walk.mp4#3"',
    ),
    "events": (
        _CLIP,
        "sdcl-neuro events simulate walk.mp4 --out walk.npz --resize 72x128",
        "sdcl-neuro events info walk.npz",
        "sdcl-neuro events view walk.npz --out walk.html",
        "sdcl-neuro events encode walk.npz --out spikes.npz --fps 10 --bins 4 --size 64x32",
    ),
    "data": ("sdcl-neuro data check /data/prid_2011",),
    "models": ("sdcl-neuro models list", "sdcl-neuro models card sdcl-small-walkers", _MODEL),
    "weights": (
        "sdcl-neuro models get osnet-x0-25-msmt17",
        "sdcl-neuro weights convert osnet_x0_25_msmt17.onnx osnet.safetensors",
    ),
    "check": ("sdcl-neuro doctor --json doctor.json", "sdcl-neuro check doctor.json"),
    "doctor": ("sdcl-neuro doctor",),
    "lava": ("sdcl-neuro lava install", "sdcl-neuro lava status"),
}


EMPTY = "from an empty folder"
_GIVEN = {"data": "with a data set of yours"}


def begins(verb: str) -> str:
    """Return what a verb's examples take for granted."""
    return _GIVEN.get(verb, EMPTY)


class ExamplesLast(argparse.HelpFormatter):
    """Leaves the lines of the examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples"):
            return text
        return super()._fill_text(text, width, indent)


def show_examples(parser: argparse.ArgumentParser, verb: str) -> None:
    """Let ``--help`` of a verb, and of its actions, end with its examples."""
    lines = "".join(f"\n  {line}" for line in EXAMPLES[verb])
    own = parser.epilog
    for one in (parser, *_actions(parser)):
        one.epilog = f"examples, {begins(verb)}:{lines}"
        if own:
            one.epilog += f"\n\n{own}"
        one.formatter_class = ExamplesLast


def _actions(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found: list[argparse.ArgumentParser] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += action.choices.values()
    return found
