"""Networks from NIR, the intermediate representation of Norse, Sinabs, snnTorch and others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError, NetworkRefused, spelled
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork
from sdcl_neuro.network.spike_checks import check_spikes
from sdcl_neuro.network.spike_file import SpikesLike

from ...lowering.graph.nodes import FloatGraph
from ...targets.nir.claim import KEY
from .claim import read_claim
from .file import Tree, read_tree
from .graph_reading import graph_instead
from .lowering import plain_network
from .memory import NirGraphLike, tree_of
from .reader import read_raw
from .step import check_step, same_step, stored_step
from .writers import OWN_WORDS


@public
def from_nir(
    source: Path | str | NirGraphLike,
    *,
    dt: float | None = None,
    writer: str | None = None,
    approximate: bool = False,
    calibration: SpikesLike | Mapping[str, SpikesLike] | None = None,
    spikes: SpikesLike | Mapping[str, SpikesLike] | None = None,
    compare: bool = True,
) -> FloatNetwork | IntNetwork | FloatGraph:
    """Read a network from a NIR file or graph, ours or another writer's, and compare the two.

    The graph is run by its own words in float64 beside the description;
    ``meta["source_checks"]`` holds the outcome, which `verify` shows, also of files written from
    it.

    A file that `to_nir` wrote gives back the same network. Any other gives the float network it
    means (a `FloatGraph` where it is not a chain) at the step that is given, or that its metadata
    or its writer states; without one it is refused, unless nothing in it depends on the step.
    ``meta`` says which step that was
    (``dt_s``, None if none was needed), where it came from (``dt_source``), and what was taken
    by default (``assumed``).

    Args:
        source: a path, or a ``nir.NIRGraph`` in memory.
        dt: length of one step in seconds.
        writer: whose exporter wrote it, a name in `writers.WRITERS`: the step, decays, gains and
            resets are read as that library means them. None reads NIR's own words.
        approximate: take a reset by subtraction or to another potential than zero, and a bias
            before a synaptic current, as the nearest the chip has; in a graph, decays of too many
            values. ``meta["approximate"]`` says what that changed.
        calibration: spikes ``[T, B, *input_shape]``, of several inputs ``{name: spikes}``, for
            `approximate` only.
        spikes: uint8 ``[T, B, *input_shape]`` to compare on; None takes `calibration`, else random
            ones.
        compare: False leaves the comparison out; a certificate then names the source as not
            checked.

    Returns:
        The float network, as a graph where it is not a chain; the integer network of our own files.

    Raises:
        InputError: not a NIR file, damaged, too large, or graph and metadata disagree; a step or
            writer that contradicts the file; `approximate` without calibration data, or the other
            way round.
        NetworkRefused: the graph cannot be lowered, with every reason at once.

    Examples:
        >>> import snntorch, torch
        >>> from sdcl_neuro import conversion
        >>> neuron = {"reset_mechanism": "zero", "init_hidden": True}
        >>> module = torch.nn.Sequential(torch.nn.Linear(6, 4), snntorch.Leaky(0.9, **neuron))
        >>> sample = torch.ones(8, 1, 6)  # [T, B, N]
        >>> net = conversion.from_snntorch(module, sample)
        >>> _ = conversion.to_nir(net, "model.nir")
        >>> conversion.from_nir("model.nir").layers[0].out_shape
        (4,)
    """
    if approximate != (calibration is not None):
        hint = "give both approximate=True and calibration=spikes, or neither"
        raise InputError("one of approximate and calibration", where="from_nir", hint=hint)
    net = _read(source, dt=dt, writer=writer, approximate=approximate, calibration=calibration)
    if not compare:
        return net
    from .check import check_nir  # which reads graphs by this module

    given = calibration if spikes is None else spikes
    values: Any = given
    if given is not None and not isinstance(given, Mapping):
        values = check_spikes(given)
    return check_nir(net, source, values, dt=dt, writer=writer)


def _read(
    source: Any,
    *,
    dt: float | None,
    writer: str | None,
    approximate: bool,
    calibration: object,
) -> FloatNetwork | IntNetwork | FloatGraph:
    tree, where = open_tree(source)
    if is_ours(tree):
        _check_ours(tree, dt, writer, where)
        return read_claim(tree, where=where)
    raw = read_raw(tree, dt=dt, writer=writer, where=where)
    try:
        return plain_network(raw, where=where, calibration=calibration)
    except NetworkRefused as refused:
        return graph_instead(
            tree, refused, dt=dt, writer=writer, where=where, calibration=calibration
        )


def open_tree(source: Any) -> tuple[Tree, str]:
    """Read a path or a graph in memory as a tree; also return how to call it in messages."""
    if isinstance(source, str | Path):
        return read_tree(source), str(source)
    return tree_of(source), "NIR graph"


def is_ours(tree: Tree) -> bool:
    """Tell whether a tree has our metadata, which states its step and all else."""
    metadata = tree.get("metadata")
    return isinstance(metadata, dict) and KEY in metadata


def states_its_step(path: Path | str) -> bool:
    """Tell whether a file is one of ours, which needs neither step nor writer."""
    return is_ours(read_tree(path))


def _check_ours(tree: Tree, dt: float | None, writer: str | None, where: str) -> None:
    """Refuse options that contradict a file that states everything."""
    stored = stored_step(tree["metadata"])
    if dt is not None:
        check_step(dt, "the step that was given")
    if dt is not None and (stored is None or not same_step(dt, stored)):
        said = "states none" if stored is None else f"states {stored:g} s"
        option = spelled(python="dt", command="--dt")
        what = f"a step of {dt:g} s for a file of ours that {said}"
        raise InputError(what, where=where, hint=f"leave {option} out")
    if writer not in (None, OWN_WORDS):
        option = spelled(python="writer", command="--writer")
        what = f"written by sdcl_neuro, not by {writer}"
        raise InputError(what, where=where, hint=f"leave {option} out")
