"""Hardware profiles: which there are, what is in one, what fits on one, and one to fill in."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path, write_json
from sdcl_neuro.files.reading import read_json
from sdcl_neuro.hardware import HardwareProfile, list_profiles, load_profile
from sdcl_neuro.network.spec import Pair
from sdcl_neuro.snn.branch_description import COMPACT, PAPER, BranchDescription

from . import common_arguments
from .model_options import (
    add_model_options,
    open_model,
    options_given,
    print_provenance,
    provenance_json,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sdcl_neuro.conversion.model import Model
    from sdcl_neuro.conversion.relaying import RelayCosts
    from sdcl_neuro.hardware.placement import Fit
    from sdcl_neuro.network.graph_picture import PictureNode

SCHEMA = {"name": "sdcl_neuro.hw_list", "version": 1}
BRANCHES = {"paper": PAPER, "compact": COMPACT}
"""Event branches that have a name, for a fit before there is a model."""
_LARGEST_DESCRIPTION = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summaries = {
        "list": "list every profile that comes with the package",
        "show": "print one profile with the source of every figure",
        "fit": "place a network, trained or not, on a chip under every limit",
        "template": "print a profile to fill in, for a chip of your own",
    }
    for name, summary in summaries.items():
        action = actions.add_parser(name, help=summary, description=summary)
        common_arguments(action)
        if name == "template":
            _template_arguments(action)
            continue
        action.add_argument("--json", metavar="FILE", type=Path, help="the same, as JSON")
        if name == "fit":
            _fit_arguments(action)
        if name != "list":
            action.add_argument("name", metavar="NAME", help="a profile's name, or a .toml file")


def _template_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        default="mychip",
        help="name of the chip (default: mychip)",
    )
    action.add_argument(
        "--out", metavar="FILE", type=Path, help="write to this file, which must not exist yet"
    )


def _fit_arguments(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "model",
        metavar="MODEL",
        help="a checkpoint folder, .nir or .net; or with --size: paper, compact, or the JSON of "
        "an event branch's description",
    )
    action.add_argument(
        "--size", metavar="HxW", help="size of the input, for a branch that is not built yet"
    )
    action.add_argument(
        "--unshared",
        action="store_true",
        help="store a convolution's weights for every neuron instead of once per core",
    )
    action.add_argument(
        "--spikes",
        metavar="IN",
        type=Path,
        help="input spikes, .npz or .h5, that give the input's shape "
        "where a .net does not state it",
    )
    action.add_argument("--html", metavar="FILE", type=Path, help="one page with the picture")
    add_model_options(action)


def execute(args: argparse.Namespace) -> int:
    """Print what was asked for; 0, or an error if a network does not fit."""
    if args.action == "fit":
        return _fit(args)
    if args.action == "template":
        return _template(args)
    if args.action == "show":
        profile = load_profile(args.name)
        print(profile)
        if args.json:
            write_json(args.json, profile.to_dict())
        return 0
    profiles = [load_profile(name) for name in list_profiles()]
    width = max(len(profile.name) for profile in profiles)
    for profile in profiles:
        print(f"{profile.name:<{width}}  {profile.family:<12}  {profile.title}")
    if args.json:
        write_json(args.json, {"schema": SCHEMA, "profiles": [_brief(p) for p in profiles]})
    return 0


def _template(args: argparse.Namespace) -> int:
    """Print a profile to fill in, or write it where nothing is yet."""
    from sdcl_neuro.hardware.template import template

    if not re.fullmatch(r"[A-Za-z0-9_.-]+", args.name):
        raise InputError(
            f"expected a name of letters, digits, '_', '-' and '.', got {args.name!r}",
            where="NAME",
            hint="give one such as mychip",
        )
    text = template(args.name)
    if args.out is None:
        print(text, end="")
        return 0
    if args.out.suffix != ".toml" or args.out.exists():
        raise InputError(
            "expected a .toml that does not exist yet", where=str(args.out), hint="name another"
        )
    with atomic_path(args.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    if not args.quiet:
        print(f"{args.out}: fill it in, then sdcl-neuro hw show {args.out}", file=sys.stderr)
    return 0


def _fit(args: argparse.Namespace) -> int:
    """Print and write the fit; CheckFailed afterwards if a limit is exceeded."""
    from sdcl_neuro.hardware.placement import fit

    network = _model(args)
    if getattr(network, "graph", None) is not None:
        network.need_integer()  # type: ignore[union-attr]  # a graph is placed as its chain
    shared = False if args.unshared else None
    found = fit(
        network,
        args.name,
        size=None if args.size is None else _size(args.size),
        shared_kernels=shared,
    )
    print(found)
    said: dict[str, Any] = {"step": None, "assumed": []}
    relays: RelayCosts | None = None
    nodes: tuple[PictureNode, ...] = ()
    if not isinstance(network, BranchDescription):
        print_provenance(network)
        said = provenance_json(network)
        relays, nodes = _relays(network, found, args.name, shared)
    if relays is not None:
        print(relays)
        said["relays"] = relays.to_json()
    if args.json:
        write_json(args.json, found.to_dict() | said)
    if args.html:
        from sdcl_neuro.profiling.report import fit_page

        more = "" if relays is None else str(relays)
        with atomic_path(args.html) as temporary:
            temporary.write_text(fit_page(found, graph=nodes, relays=more), encoding="utf-8")
    found.require()
    return 0


def _relays(
    model: Model, found: Fit, name: str, shared: bool | None
) -> tuple[RelayCosts | None, tuple[PictureNode, ...]]:
    """Return what the relays of a graph cost, and the nodes of its picture; nothing for a chain."""
    from sdcl_neuro.conversion.relaying import relay_costs
    from sdcl_neuro.network.graph_picture import stored_nodes

    if model.integer is None:
        return None, ()
    costs = relay_costs(model.integer, name, placed=found, shared_kernels=shared)
    return costs, stored_nodes(model.integer.meta)


def _model(args: argparse.Namespace) -> Model | BranchDescription:
    """Return a model's file, or with a size the description of a branch."""
    name = args.model
    if args.size is None:
        if name in BRANCHES:
            raise InputError(
                f"'{name}' is a branch without an input size", hint="add --size, such as 256x128"
            )
        return open_model(args, _sample(args.spikes))
    given = [*options_given(args), *(["--spikes"] if args.spikes is not None else [])]
    if given:
        what = f"{' and '.join(given)} for a branch that is not built yet"
        raise InputError(what, where=name, hint="leave them or --size out")
    if name in BRANCHES:
        return BRANCHES[name]
    path = Path(name)
    if path.suffix != ".json":
        raise InputError(
            "a model has its own input size",
            where="--size",
            hint=f"leave it out, or give {', '.join(BRANCHES)} or a description's .json",
        )
    content = read_json(path, what="a branch's description", largest=_LARGEST_DESCRIPTION)
    return BranchDescription.from_dict(content)


def _sample(path: Path | None) -> NDArray[np.uint8] | None:
    if path is None:
        return None
    from sdcl_neuro.network.spike_file import read_spikes

    return read_spikes(path)


def _size(text: str) -> Pair:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and 0 < len(part) < 6 for part in parts):
        raise InputError(f"size {text!r}", where="--size", hint="give HEIGHTxWIDTH, as 256x128")
    height, width = map(int, parts)
    if not height or not width:
        raise InputError(f"size {text!r}", where="--size", hint="give positive numbers")
    return height, width


def _brief(profile: HardwareProfile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "title": profile.title,
        "family": profile.family,
        "summary": profile.summary,
        "variants": list(profile.variants),
    }
