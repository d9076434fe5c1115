"""A graph as an SVG picture: one row a node, lines for what it sends, as narrow as a phone.

Nodes stand one below the other in the order in which they compute. Each value runs down a lane of
its own until the last node that reads it, so that a skip is seen as a line beside the others. The
picture brings its own colours, for light and dark screens, and needs no other program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import prod
from pathlib import Path
from typing import Any, Literal

from sdcl_neuro.files import atomic_path

Family = Literal["input", "synapse", "neurons", "readout", "pool", "join"]

WIDTH = 400.0
_ROW, _LANE, _MARGIN, _HEAD, _MARK = 42.0, 18.0, 20.0, 46.0, 6.5
_NAME_WIDTH, _NOTE_WIDTH = 7.4, 6.2  # of a character at the sizes below, in a sans-serif
_TEXT_LEAST = 250.0
_FAMILIES: Mapping[str, Family] = {
    "input": "input",
    "convolution": "synapse",
    "transposed convolution": "synapse",
    "dense": "synapse",
    "population": "neurons",
    "readout": "readout",
    "max pool": "pool",
    "average pool": "pool",
    "sum pool": "pool",
}
_STYLE = """
.graph-picture { --paper: #fbfbf9; --ink: #1b2026; --soft: #545e69; --line: #a9b2ba;
  --neurons: #22788a; --synapse: #5a7fc2; --readout: #b14a68; --pool: #d98032; }
@media (prefers-color-scheme: dark) {
  .graph-picture { --paper: #14171a; --ink: #e8eaec; --soft: #aab3bc; --line: #5d6872;
    --neurons: #4fb0c1; --synapse: #88a8e2; --readout: #dd7f9a; --pool: #eda15c; }
}
.graph-picture { display: block; width: 100%; font-family: "Inter", "Segoe UI", "Helvetica Neue",
  Arial, "Liberation Sans", sans-serif; }
.graph-picture .paper { fill: var(--paper); }
.graph-picture text { fill: var(--ink); font-size: 13px; font-weight: 600; }
.graph-picture text.note { fill: var(--soft); font-size: 11.5px; font-weight: 400; }
.graph-picture .lane { fill: none; stroke: var(--line); stroke-width: 2; }
.graph-picture .mark { stroke: var(--paper); stroke-width: 1.5; fill: var(--soft); }
.graph-picture .mark.input { fill: var(--paper); stroke: var(--ink); stroke-width: 2; }
.graph-picture .mark.neurons { fill: var(--neurons); }
.graph-picture .mark.synapse { fill: var(--synapse); }
.graph-picture .mark.readout { fill: var(--readout); }
.graph-picture .mark.pool { fill: var(--pool); }
"""


@dataclass(frozen=True)
class PictureNode:
    """A node as the picture shows it.

    Attributes:
        name: unique in the graph.
        kind: in a word or two, as in the graph's table.
        inputs: names of the nodes it reads.
        shape: of one step of what it gives.
        note: what else its second line says, such as where it lies on the chip.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    note: str = ""

    @property
    def family(self) -> Family:
        """What its mark looks like."""
        return _FAMILIES.get(self.kind, "join")

    @property
    def text(self) -> str:
        """The second line."""
        parts = [self.kind, "x".join(map(str, self.shape))]
        if self.family in ("neurons", "readout"):
            parts.append(f"{prod(self.shape):,} neurons")
        return " · ".join([*parts, self.note] if self.note else parts)


def graph_svg(
    nodes: Sequence[PictureNode], *, title: str = "", path: Path | str | None = None
) -> str:
    """Draw a graph.

    Args:
        nodes: each after those it reads.
        title: a line above; empty counts the nodes.
        path: file that the picture is written to as well; None writes none.

    Returns:
        The picture as one ``<svg>`` element, which is also a whole file.
    """
    lanes, last = _lanes(nodes)
    count = max(lanes.values(), default=0) + 1
    left = _MARGIN + count * _LANE
    width = max(WIDTH, left + _TEXT_LEAST)
    height = _HEAD + _ROW * len(nodes) + 10
    said = title or _title(nodes)
    rows = {node.name: index for index, node in enumerate(nodes)}
    marks = [*_lines(nodes, lanes, last, rows)]
    marks += [_node(node, rows[node.name], lanes[node.name], left, width) for node in nodes]
    head = f'<text x="{_MARGIN - 6:g}" y="24">{escape(_cut(said, width - 20, _NAME_WIDTH))}</text>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph-picture" role="img" '
        f'viewBox="0 0 {width:g} {height:g}" style="max-width:{width * 1.3:g}px">\n'
        f"<title>{escape(said)}</title>\n<desc>{escape(_described(nodes))}</desc>\n"
        f"<style>{_STYLE}</style>\n"
        f'<rect class="paper" width="{width:g}" height="{height:g}" rx="10"/>\n'
        + "\n".join([head, *marks])
        + "\n</svg>\n"
    )
    if path is not None:
        with atomic_path(Path(path)) as temporary:
            temporary.write_text(svg, encoding="utf-8")
    return svg


def _title(nodes: Sequence[PictureNode]) -> str:
    neurons = sum(node.family == "neurons" for node in nodes)
    readouts = sum(node.family == "readout" for node in nodes)
    parts = [f"{len(nodes)} nodes", f"{neurons} spiking layer{'s' * (neurons != 1)}"]
    if readouts:
        parts.append(f"{readouts} read-out{'s' * (readouts != 1)}")
    return "Graph: " + ", ".join(parts)


def _described(nodes: Sequence[PictureNode]) -> str:
    """Return the whole graph in words, for who cannot see it."""
    return "; ".join(
        f"{node.name} ({node.text})" + (f" reads {', '.join(node.inputs)}" if node.inputs else "")
        for node in nodes
    )


def _lanes(nodes: Sequence[PictureNode]) -> tuple[dict[str, int], dict[str, int]]:
    """Return each node's lane, which its value keeps, and the row of the last node that reads
    it.
    """
    last = {name: row for row, node in enumerate(nodes) for name in node.inputs}
    lanes: dict[str, int] = {}
    taken: dict[int, str] = {}
    for row, node in enumerate(nodes):
        ending = [lane for lane, name in taken.items() if last[name] == row]
        first = next((lanes[n] for n in node.inputs if lanes[n] in ending), None)
        for lane in ending:
            del taken[lane]
        lane = first if first is not None else next(n for n in range(len(nodes)) if n not in taken)
        lanes[node.name] = lane
        if node.name in last:
            taken[lane] = node.name
    return lanes, last


def _lines(
    nodes: Sequence[PictureNode],
    lanes: Mapping[str, int],
    last: Mapping[str, int],
    rows: Mapping[str, int],
) -> list[str]:
    """Return what each node sends, down its lane and over to those that read it."""
    found = []
    for node in nodes:
        if node.name not in last:
            continue
        x, start = _x(lanes[node.name]), _y(rows[node.name])
        readers = [other for other in nodes if node.name in other.inputs]
        straight = [rows[o.name] for o in readers if lanes[o.name] == lanes[node.name]]
        aside = [o for o in readers if lanes[o.name] != lanes[node.name]]
        stop = max([*(_y(row) for row in straight), *(_turn(rows[o.name]) for o in aside)])
        path = f"M{x:g} {start:g}V{stop:g}"
        for other in aside:
            target, end, turn = _x(lanes[other.name]), _y(rows[other.name]), _turn(rows[other.name])
            path += f"M{x:g} {turn:g}C{x:g} {end - 6:g} {target:g} {turn:g} {target:g} {end:g}"
        found.append(f'<path class="lane" d="{path}"/>')
    return found


def _node(node: PictureNode, row: int, lane: int, left: float, width: float) -> str:
    x, y = _x(lane), _y(row)
    tip = f"{node.name}: {node.text}"
    if node.inputs:
        tip += f"; reads {', '.join(node.inputs)}"
    room = width - left - 8
    return (
        f"<g><title>{escape(tip)}</title>{_mark(node.family, x, y)}"
        f'<text x="{left:g}" y="{y - 3:g}">{escape(_cut(node.name, room, _NAME_WIDTH))}</text>'
        f'<text class="note" x="{left:g}" y="{y + 12:g}">'
        f"{escape(_cut(node.text, room, _NOTE_WIDTH))}</text></g>"
    )


def _mark(family: Family, x: float, y: float) -> str:
    """Return circles for neurons and inputs, squares for synapses, diamonds, triangles, dots."""
    r, kind = _MARK, f'class="mark {family}"'
    if family == "synapse":
        side = f'width="{2 * r:g}" height="{2 * r:g}"'
        return f'<rect {kind} x="{x - r:g}" y="{y - r:g}" {side} rx="2"/>'
    if family == "readout":
        d = r + 1
        corners = f"l{d:g} {d:g}l{-d:g} {d:g}l{-d:g} {-d:g}z"
        return f'<path {kind} d="M{x:g} {y - d:g}{corners}"/>'
    if family == "pool":
        return f'<path {kind} d="M{x - r:g} {y - r + 1:g}h{2 * r:g}l{-r:g} {2 * r - 1:g}z"/>'
    radius = {"join": 4.5, "input": r - 1}.get(family, r)
    return f'<circle {kind} cx="{x:g}" cy="{y:g}" r="{radius:g}"/>'


def _x(lane: int) -> float:
    return _MARGIN + lane * _LANE


def _y(row: int) -> float:
    return _HEAD + _ROW * (row + 0.5)


def _turn(row: int) -> float:
    """Return where a line leaves its lane for a node of this row."""
    return _y(row) - 0.6 * _ROW


def _cut(text: str, room: float, character: float) -> str:
    """Return the text, shortened to the room that there is."""
    fits = max(4, int(room / character))
    return text if len(text) <= fits else text[: fits - 1] + "…"


def stored_nodes(meta: Mapping[str, Any]) -> tuple[PictureNode, ...]:
    """Return the nodes of the graph that a chain came from, with where each lies in the chain.

    Args:
        meta: of the chain. Nothing is found in that of a network that is not a graph's, of one
            that an earlier release wrote, or of one that is damaged.
    """
    account = meta.get("graph")
    if not isinstance(account, Mapping):
        return ()
    try:
        places = {
            str(entry["name"]): _place(kind, number, entry)
            for kind in ("layers", "readouts")
            for number, entry in enumerate(account[kind])
        }
        nodes = tuple(
            PictureNode(
                str(entry["name"]),
                str(entry["kind"]),
                tuple(map(str, entry["inputs"])),
                tuple(int(n) for n in entry["shape"]),
                places.get(str(entry["name"]), ""),
            )
            for entry in account["nodes"]
        )
    except (KeyError, TypeError, ValueError):
        return ()
    known: set[str] = set()
    for node in nodes:
        if not known.issuperset(node.inputs):
            return ()
        known.add(node.name)
    return nodes


def _place(kind: str, number: int, entry: Mapping[str, Any]) -> str:
    """Return ``layer_0 (chain 1, 2)``: its number, and the layers of the chain that hold it."""
    layers = sorted({int(part["layer"]) for part in entry["parts"]})
    own = f"{kind.removesuffix('s')}_{number}"
    return f"{own} (chain {', '.join(map(str, layers))})"


def stored(nodes: Sequence[PictureNode]) -> list[dict[str, Any]]:
    """Return nodes as plain JSON, which `stored_nodes` reads."""
    return [
        {
            "name": node.name,
            "kind": node.kind,
            "inputs": list(node.inputs),
            "shape": list(node.shape),
        }
        for node in nodes
    ]


__all__ = ["PictureNode", "graph_svg", "stored", "stored_nodes"]
