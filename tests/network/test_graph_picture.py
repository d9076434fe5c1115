"""Graphs as pictures: lanes that do not collide, texts that cannot break out, files that parse."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.network.graph_picture import (
    PictureNode,
    _lanes,
    graph_svg,
    stored,
    stored_nodes,
)

SVG = "{http://www.w3.org/2000/svg}"


def random_nodes(seed: int) -> list[PictureNode]:
    """A random acyclic graph of 3 to 30 nodes with up to three inputs each."""
    rng = np.random.default_rng(seed)
    nodes = [PictureNode("in", "input", (), (2, 8, 8))]
    for index in range(1, int(rng.integers(3, 31))):
        count = int(rng.integers(1, min(3, len(nodes)) + 1))
        picked = rng.choice(len(nodes), count, replace=False)
        read = tuple(nodes[int(k)].name for k in picked)
        kind = str(rng.choice(["convolution", "population", "add", "max pool", "readout"]))
        nodes.append(PictureNode(f"n{index}", kind, read, (4, 8, 8)))
    return nodes


@pytest.mark.parametrize("seed", range(60))
def test_no_two_values_share_a_lane(seed: int) -> None:
    nodes = random_nodes(seed)
    lanes, last = _lanes(nodes)
    rows = {node.name: row for row, node in enumerate(nodes)}
    for row, node in enumerate(nodes):
        passing = [n for n in rows if rows[n] < row < last.get(n, -1)]
        taken = [lanes[name] for name in passing]
        assert len(set(taken)) == len(taken)
        # A line that is still needed below does not run through another node's mark.
        assert lanes[node.name] not in taken


@pytest.mark.parametrize("seed", range(5))
def test_every_node_and_edge_is_drawn(seed: int) -> None:
    nodes = random_nodes(seed)
    root = ElementTree.fromstring(graph_svg(nodes))
    groups = root.findall(f"{SVG}g")
    assert [g.findtext(f"{SVG}text") for g in groups] == [node.name for node in nodes]
    lanes, last = _lanes(nodes)
    aside = sum(lanes[name] != lanes[node.name] for node in nodes for name in set(node.inputs))
    paths = [p for p in root.findall(f"{SVG}path") if p.get("class") == "lane"]
    assert len(paths) == len(last)
    assert sum(str(path.get("d")).count("C") for path in paths) == aside


def test_names_are_escaped_and_long_ones_shortened() -> None:
    name = '<script>alert("1")</script>&' + "x" * 80
    svg = graph_svg([PictureNode(name, "input", (), (3,), note="</title>")])
    root = ElementTree.fromstring(svg)
    (group,) = root.findall(f"{SVG}g")
    assert group.findtext(f"{SVG}title", "").startswith(name)
    shown = group.findtext(f"{SVG}text", "")
    assert shown.endswith("…")
    assert name.startswith(shown[:-1])
    assert not list(root.iter(f"{SVG}script"))


def test_it_is_as_wide_as_a_phone_and_has_colours_for_both_screens(tmp_path: Path) -> None:
    nodes = random_nodes(3)[:12]
    svg = graph_svg(nodes, path=tmp_path / "g.svg")
    assert (tmp_path / "g.svg").read_text(encoding="utf-8") == svg
    root = ElementTree.fromstring(svg)
    width = float(str(root.get("viewBox")).split()[2])
    assert 400 <= width <= 500
    style = root.findtext(f"{SVG}style", "")
    assert "prefers-color-scheme: dark" in style
    assert style.count("--ink:") == 2
    assert root.findtext(f"{SVG}title", "").startswith(f"Graph: {len(nodes)} nodes")


def test_nodes_are_stored_with_their_places_and_damage_gives_no_picture() -> None:
    nodes = [PictureNode("in", "input", (), (2,)), PictureNode("lif", "population", ("in",), (3,))]
    entry = {"name": "lif", "parts": [{"layer": 2}, {"layer": 1}]}
    account = {"nodes": stored(nodes), "layers": [entry], "readouts": []}
    found = stored_nodes({"graph": account})
    assert [node.name for node in found] == ["in", "lif"]
    assert found[1].note == "layer_0 (chain 1, 2)"
    assert stored_nodes({}) == ()
    assert stored_nodes({"graph": {**account, "nodes": "x"}}) == ()
    assert stored_nodes({"graph": {**account, "nodes": stored(nodes)[::-1]}}) == ()
