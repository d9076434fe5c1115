"""A picture of a placement: cores on their chips, coloured by layer, and the traffic between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from markupsafe import Markup

from sdcl_neuro.errors import number_of
from sdcl_neuro.hardware.placement import Fit, Placement

from ..interval import figure
from .svg import ChartLayout, both, chart, colour, drawing, number, rectangle, text

_GAP, _HEAD = 26.0, 22.0
_CHIPS_DRAWN, _LINKS_DRAWN = 8, 400
_HEAD_WIDTH = 160.0
"""Room for a chip's heading, in pixels."""
Point = tuple[float, float]
_Sent = tuple[float, int, int]
"""Messages a step, from core, to core."""


@dataclass(frozen=True)
class _Plan:
    """Where things are drawn: chips in a grid, on each routers in a grid, in each cores."""

    chips: int
    across: int
    columns: int
    rows: int
    per_router: int
    room: float

    @property
    def side(self) -> float:
        """Side of a router's square in pixels."""
        return min(74.0, (self.room - _GAP * (self.across - 1)) / self.across / self.columns)

    @property
    def width(self) -> float:
        """What the chips take of the room."""
        chips = self.across * self.columns * self.side + _GAP * (self.across - 1)
        return min(self.room, max(chips, _HEAD_WIDTH))

    @property
    def height(self) -> float:
        return ceil(self.chips / self.across) * self._chip_height

    @property
    def _chip_height(self) -> float:
        return self.rows * self.side + _HEAD + _GAP

    def chip(self, index: int) -> Point:
        """Return upper left corner of a chip's routers."""
        row, column = divmod(index, self.across)
        return column * (self.columns * self.side + _GAP), row * self._chip_height + _HEAD

    def router(self, chip: int, column: int, row: int) -> Point:
        """Return upper left corner of a router's square; row 0 is below, in the south."""
        x, y = self.chip(chip)
        return x + column * self.side, y + (self.rows - 1 - row) * self.side

    def core(self, corner: Point, slot: int) -> tuple[float, float, float]:
        """Return corner and side of a core's square within its router's."""
        edge = ceil(sqrt(self.per_router))
        size = (self.side - 6) / edge
        row, column = divmod(slot, edge)
        return corner[0] + 3 + column * size, corner[1] + 3 + row * size, size - 2


def placement_chart(fit: Fit, *, rates: Sequence[float] | None = None, caption: str = "") -> Markup:
    """Return every core as a square in its layer's colour, and lines as wide as their traffic.

    Args:
        fit: with a placement; without one a line says why there is no picture.
        rates: spikes per neuron and step of each layer; None takes one spike of each neuron.
        caption: what is shown.
    """
    placement = fit.placement
    if placement is None:
        why = fit.reason or "the profile does not know its cores"
        words = [text(0, 15, "No picture: no core is known to take it.")]
        return chart(
            both(lambda layout: drawing(30, "no placement", words, layout=layout)),
            caption=f"{caption}: {why}" if caption else why,
        )
    links = _strongest(placement, rates or [1.0] * len(fit.layers))
    said = _said(fit, placement, len(links), measured=rates is not None)
    whole = f"{caption}: {said}" if caption else said

    def draw(layout: ChartLayout) -> Markup:
        plan = _plan(placement, layout)
        marks = _marks(fit, placement, plan, links)
        return drawing(plan.height, whole, marks, layout=layout, width=plan.width)

    return chart(
        both(draw),
        caption=whole,
        legend=[layer.name for layer in fit.layers],
        tag="modelled",
    )


def _marks(fit: Fit, placement: Placement, plan: _Plan, links: Sequence[_Sent]) -> list[Markup]:
    """Return chips, cores, and the traffic over them."""
    spots = [_spot(plan, placement, index) for index in range(len(placement.tiles))]
    marks = [_ground(plan, placement, chip) for chip in range(plan.chips)]
    for index, (tile, seat) in enumerate(zip(placement.tiles, placement.seats, strict=True)):
        if seat.chip < plan.chips:
            x, y, size = spots[index]
            layer = fit.layers[tile.layer]
            tip = (
                f"{layer.name}: {tile.neurons:,} neurons, chip {seat.chip}, core {seat.core}; "
                f"channels {tile.channels[0]} to {tile.channels[1] - 1}, "
                f"rows {tile.rows[0]} to {tile.rows[1] - 1}, "
                f"columns {tile.columns[0]} to {tile.columns[1] - 1}"
            )
            kind = f"f{colour(tile.layer)}"
            marks.append(rectangle(x, y, size, size, kind=kind, tip=tip, radius=2))
    return [*marks, *_traffic(links, spots)]


def _plan(placement: Placement, layout: ChartLayout) -> _Plan:
    chips, room = min(placement.chips, _CHIPS_DRAWN), layout.width
    across = 1 if chips == 1 or layout.label_height else 2
    cores = max(seat.core for seat in placement.seats) + 1
    if placement.mesh_known:
        columns = max(seat.column or 0 for seat in placement.seats) + 1
        rows = max(seat.row or 0 for seat in placement.seats) + 1
        routers: dict[tuple[int, int | None, int | None], int] = defaultdict(int)
        for seat in placement.seats:
            routers[seat.chip, seat.column, seat.row] += 1
        return _Plan(chips, across, columns, rows, max(routers.values()), room)
    columns = max(1, ceil(sqrt(2 * cores)))
    return _Plan(chips, across, columns, ceil(cores / columns), 1, room)


def _spot(plan: _Plan, placement: Placement, index: int) -> tuple[float, float, float]:
    seat = placement.seats[index]
    if seat.column is None or seat.row is None:
        row, column = divmod(seat.core, plan.columns)
        return plan.core(plan.router(seat.chip, column, plan.rows - 1 - row), 0)
    return plan.core(plan.router(seat.chip, seat.column, seat.row), seat.core % plan.per_router)


def _ground(plan: _Plan, placement: Placement, chip: int) -> Markup:
    x, y = plan.chip(chip)
    squares = [
        rectangle(*_inset(plan, chip, column, row), kind="track", radius=3)
        for row in range(plan.rows)
        for column in range(plan.columns)
    ]
    taken = sum(seat.chip == chip for seat in placement.seats)
    head = text(x + 2, y - 10, f"chip {chip}, {taken:,} cores", kind="tick")
    return Markup("\n").join([head, *squares])


def _inset(plan: _Plan, chip: int, column: int, row: int) -> tuple[float, float, float, float]:
    x, y = plan.router(chip, column, row)
    return x + 1, y + 1, plan.side - 2, plan.side - 2


def _strongest(placement: Placement, rates: Sequence[float]) -> list[_Sent]:
    """Return the links between cores of the chips drawn that send most, the strongest first."""
    sent = [
        (messages, link.source, link.target)
        for link, messages in placement.messages(rates)
        if link.source != link.target
        and messages > 0
        and max(placement.seats[end].chip for end in (link.source, link.target)) < _CHIPS_DRAWN
    ]
    return sorted(sent, key=lambda one: (-one[0], *one[1:]))[:_LINKS_DRAWN]


def _traffic(links: Sequence[_Sent], spots: Sequence[tuple[float, float, float]]) -> list[Markup]:
    """Return links as lines from core to core, wide where much is sent."""
    most = links[0][0] if links else 1.0
    marks = []
    for messages, source, target in links:
        (x1, y1, size), (x2, y2, _) = spots[source], spots[target]
        half = size / 2
        marks.append(
            Markup(
                '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="currentColor" stroke-width="{}" '
                'stroke-opacity="0.5" stroke-linecap="round"><title>{}</title></line>'
            ).format(
                number(x1 + half),
                number(y1 + half),
                number(x2 + half),
                number(y2 + half),
                number(max(0.3, 3.5 * messages / most)),
                f"core {source} to core {target}: {figure(messages)} messages a step",
            )
        )
    return marks


def _said(fit: Fit, placement: Placement, drawn: int, *, measured: bool) -> str:
    total = sum(link.source != link.target for link in placement.links)
    cores, chips = number_of(len(placement.tiles), "core"), number_of(placement.chips, "chip")
    parts = [f"{cores} on {chips} of {fit.hw}"]
    if placement.chips > _CHIPS_DRAWN:
        parts.append(f"the first {_CHIPS_DRAWN} are drawn")
    how = "at the rates that were counted" if measured else "if every neuron spikes once"
    if total:
        few = f"the {drawn:,} strongest of {total:,} links" if drawn < total else "lines"
        parts.append(f"{few} as wide as their messages {how}")
    if not placement.mesh_known:
        parts.append("where cores lie on the chip is not known")
    return ", ".join(parts)
