"""Cuts every layer so that each tile keeps all limits of a core, in as few tiles as possible.

From the last layer to the first, since a tile's output axons depend on how its readers are cut.
Along each axis the parts are equal but for the last; all combinations are tried in the order of
their number, then of the input axons they take together, then of how square they are. The first
that keeps every limit in every tile is taken: the same network gives the same cut, always.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from .geometry import Axis, LayerGeometry, touch
from .tiles import Cut, Range, channel_cuts, ranges, seen_columns, seen_rows, sizes
from .usage import Core, ReceivingLayer, Use, reader_of, use


@dataclass(frozen=True)
class LayerSplit:
    """How a layer was cut.

    Attributes:
        cut: its tiles.
        most: of every resource what the tile takes that takes most.
        broken: limit to the least that any cut takes of it, where no cut keeps it; the cut
            given keeps the other limits.
    """

    cut: Cut
    most: Use
    broken: dict[str, float] = field(default_factory=dict)


def split(populations: Sequence[LayerGeometry], core: Core) -> tuple[LayerSplit, ...]:
    """Cut every layer for cores of one kind."""
    found: list[LayerSplit] = []
    reader: ReceivingLayer | None = None
    for population in reversed(populations):
        done = split_layer(population, core, reader)
        reader = reader_of(population, core, done.cut)
        found.append(done)
    return tuple(reversed(found))


def split_layer(population: LayerGeometry, core: Core, reader: ReceivingLayer | None) -> LayerSplit:
    """Cut one layer whose readers are cut already."""
    best: tuple[tuple[int, float], dict[str, float]] | None = None
    for cut in _candidates(population, core):
        most = most_of(population, core, cut, reader)
        over = {
            name: most[name] for name, limit in core.limits.items() if most.get(name, 0) > limit
        }
        if not over:
            return LayerSplit(cut, most)
        # A limit of none at all cannot be kept by any cut: every excess over it is alike.
        worst = max(value / max(core.limits[name], 1e-9) for name, value in over.items())
        # As few limits as possible, then as little as possible.
        if best is None or (len(over), worst) < best[0]:
            best = (len(over), worst), over
    if best is None:  # fewer neurons than one: nothing can be placed
        return split_layer(population, core.without({"neurons"}), reader)
    relaxed = split_layer(population, core.without(set(best[1])), reader)
    return LayerSplit(relaxed.cut, relaxed.most, {**relaxed.broken, **best[1]})


def most_of(population: LayerGeometry, core: Core, cut: Cut, reader: ReceivingLayer | None) -> Use:
    """Return the most that any tile of a cut takes, resource by resource."""
    kinds = _kinds(population, cut, reader)
    uses = [
        use(population, core, *ranges_, reader=reader, own_tiles=cut.count)
        for ranges_ in product(*kinds)
    ]
    return {name: max(found[name] for found in uses) for name in uses[0]}


def _kinds(population: LayerGeometry, cut: Cut, reader: ReceivingLayer | None) -> list[list[Range]]:
    """Return one range for each kind of them along each axis: tiles of one kind take the same."""

    def sent(axis: int, part: Range) -> int:
        return 0 if reader is None else int(reader.targets[axis][slice(*part)].sum())

    channels = {
        (
            part[1] - part[0],
            population.input_channels(*part)[1] - population.input_channels(*part)[0],
            sent(0, part),
        ): part
        for part in cut.channels
    }
    found: list[list[Range]] = [list(channels.values())]
    for axis, (seen, parts) in enumerate(
        ((seen_rows, cut.rows), (seen_columns, cut.columns)), start=1
    ):
        kinds = {}
        for part in parts:
            touched = seen(population, part)
            key = (part[1] - part[0], touched.taps, touched.span, sent(axis, part))
            kinds[key] = part
        found.append(list(kinds.values()))
    return found


def _candidates(population: LayerGeometry, core: Core) -> Iterator[Cut]:
    """Yield every cut whose tiles hold few enough neurons, the most wanted first."""
    most = core.limits.get("neurons", float("inf"))
    channels = channel_cuts(population)
    bounds = [[population.input_channels(*part) for part in parts] for parts in channels]
    rows = [ranges(population.out_box[1], size) for size in sizes(population.out_box[1])]
    columns = [ranges(population.out_box[2], size) for size in sizes(population.out_box[2])]
    high = [_halo(population.rows, parts) for parts in rows]
    wide = [_halo(population.columns, parts) for parts in columns]
    wanted: list[tuple[tuple[int, int, int, int], Cut]] = []
    for deep, i, j in product(*(range(len(parts)) for parts in (channels, rows, columns))):
        cut = Cut(channels[deep], rows[i], columns[j])
        c, h, w = cut.largest
        if c * h * w <= most:
            arriving = high[i] * wide[j] * sum(stop - start for start, stop in bounds[deep])
            wanted.append(((cut.count, arriving, abs(h - w), len(wanted)), cut))
    for _, cut in sorted(wanted, key=lambda entry: entry[0]):
        yield cut


def _halo(axis: Axis, parts: tuple[Range, ...]) -> int:
    """Return input positions that all parts see together, one counted as often as it is seen."""
    return sum(len(touch(axis, *part).inputs) for part in parts)
