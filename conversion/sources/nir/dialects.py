"""Graphs of writers that mean something else than NIR's words, put into NIR's words.

A NIR file does not say who wrote it, so the reader has to be told. Sinabs (3.1.3, ``sinabs/nir.py``
and ``sinabs/layers/lif.py``): a LIF's tau counts steps, and its membrane keeps beta =
exp(-1 / tau) of itself, where NIR's equation stepped by Euler keeps 1 - dt / tau. It takes
1 - beta of its input, as r = 1 says in NIR, or, with ``norm_input=False``, the input whole: the
file does not tell these two apart either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sdcl_neuro.errors import InputError

from .file import Tree

WRITERS = ("nir", "sinabs", "sinabs-unnormed")
"""NIR's own words, as Norse, snnTorch and SpikingJelly write them; Sinabs with its layers' default
``norm_input=True``; and with False, as its own importer takes every file."""


def translate(tree: Tree, writer: str, *, dt: float) -> Tree:
    """A graph in NIR's words.

    Args:
        tree: a graph, as `file.read_tree` gives it.
        writer: one of `WRITERS`.
        dt: length of one step in seconds.

    Raises:
        InputError: there is no such writer, or a constant of it has no meaning.
    """
    if writer not in WRITERS:
        raise InputError(f"unknown writer {writer!r}", where="from_nir", mend=f"use {WRITERS}")
    if writer == "nir" or not isinstance(tree.get("nodes"), dict):
        return tree
    return {**tree, "nodes": {k: _node(v, writer, dt) for k, v in tree["nodes"].items()}}


def _node(node: Any, writer: str, dt: float) -> Any:
    if not isinstance(node, dict):
        return node
    if node.get("type") == "NIRGraph":
        return translate(node, writer, dt=dt)
    if node.get("type") != "LIF" or "tau" not in node:
        return node
    steps = np.asarray(node["tau"], dtype=np.float64)
    if not (steps > 0).all():
        mend = "give tau in steps, above zero"
        raise InputError("tau is no number of steps", where="sinabs LIF", mend=mend)
    tau = dt / -np.expm1(-1.0 / steps)
    return {**node, "tau": tau, "r": tau / dt if writer == "sinabs-unnormed" else node.get("r")}
