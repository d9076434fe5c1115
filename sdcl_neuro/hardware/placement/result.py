"""The result of `fit`: layers on cores, every limit broken; it prints and saves itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdcl_neuro.errors import CheckFailed, number_of
from sdcl_neuro.files import write_json
from sdcl_neuro.network.content import Result
from sdcl_neuro.network.display import table_html

from .findings import Broken, Unchecked
from .links import CoreLink
from .mesh import Flow, Seat
from .tiles import Tile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA = {"name": "sdcl_neuro.fit", "version": 1}


@dataclass(frozen=True)
class Load:
    """How much of one resource a layer's cores take.

    Attributes:
        most: of the core that takes most.
        total: of all the layer's cores together.
        limit: what one core has; None if it is unknown.
        unit: of all three.
    """

    most: float
    total: float
    limit: float | None
    unit: str

    @property
    def share(self) -> float | None:
        """`most` over `limit`, None if that is unknown."""
        return None if self.limit is None or not self.limit else self.most / self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "most": self.most,
            "total": self.total,
            "limit": self.limit,
            "share": self.share,
            "unit": self.unit,
        }


@dataclass(frozen=True)
class LayerFit:
    """One layer on the chip.

    Attributes:
        cores: that it takes; None where cores are unknown.
        parts: cuts along channels, rows, columns; None where it was not cut.
        largest: extent of its largest tile, ``(C, H, W)``; None likewise.
        loads: resource to what it takes; a resource that cannot be counted is absent.
        core_range: fewest and most cores, where a figure behind them is an interval; None where
            cores are unknown.
        own_pooling: side of the window that the chip itself sums before this layer; 1 for none.
    """

    name: str
    kind: str
    neurons: int
    synapses: int
    cores: int | None
    parts: tuple[int, int, int] | None
    largest: tuple[int, int, int] | None
    loads: Mapping[str, Load]
    core_range: tuple[int, int] | None = None
    own_pooling: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "neurons": self.neurons,
            "synapses": self.synapses,
            "cores": self.cores,
            **_range_dict(self.core_range),
            **({"own_pooling": self.own_pooling} if self.own_pooling > 1 else {}),
            "parts": None if self.parts is None else list(self.parts),
            "largest_tile": None if self.largest is None else list(self.largest),
            "utilisation": {name: load.to_dict() for name, load in self.loads.items()},
        }


@dataclass(frozen=True)
class Placement:
    """Every core with its tile, its seat and its messages.

    Attributes:
        tiles, seats: core by core, layer after layer.
        synapses: of each core, recurrent ones included.
        links: who sends to whom.
        arrivals: inputs of the network that reach each core.
        flows: per spike, of the input (first) and of each layer.
        mesh_known: whether seats have routers.
    """

    tiles: tuple[Tile, ...]
    seats: tuple[Seat, ...]
    synapses: tuple[int, ...]
    links: tuple[CoreLink, ...]
    arrivals: tuple[int, ...]
    flows: tuple[Flow, ...]
    mesh_known: bool

    @property
    def chips(self) -> int:
        """Chips that cores sit on."""
        return max(seat.chip for seat in self.seats) + 1

    def messages(self, rates: Sequence[float]) -> list[tuple[CoreLink, float]]:
        """Return expected messages of every link in a step.

        Args:
            rates: spikes per neuron and step, one a layer; even over a layer's neurons.
        """
        return [(link, link.neurons * rates[self.tiles[link.source].layer]) for link in self.links]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON; a link is ``[source core, target core, neurons that send]``."""
        return {
            "cores": [
                {
                    "layer": tile.layer,
                    "channels": list(tile.channels),
                    "rows": list(tile.rows),
                    "columns": list(tile.columns),
                    "neurons": tile.neurons,
                    "synapses": synapses,
                    "inputs": arriving,
                    "chip": seat.chip,
                    "core": seat.core,
                    "router": None if seat.column is None else [seat.column, seat.row],
                }
                for tile, seat, synapses, arriving in zip(
                    self.tiles, self.seats, self.synapses, self.arrivals, strict=True
                )
            ],
            "links": [[link.source, link.target, link.neurons] for link in self.links],
            "flows": [_flow(flow) for flow in self.flows],
        }


@dataclass(frozen=True, eq=False)
class Fit(Result):
    """Whether a network fits on a chip, how it is placed, and what prevents it.

    Attributes:
        hw, title: the profile's name and title.
        fits: False if a limit is broken; None if none is, but one that decides is unknown.
        input_shape: of one step.
        layers: in order.
        cores, chips: taken; None where the profile does not know its cores.
        chips_available: of the system that the profile describes.
        shared_kernels: whether a kernel is stored once in a core.
        broken: every limit exceeded.
        unchecked: limits that are unknown, with the reason.
        notes: limits that are words, and how it was counted.
        placement: None where the profile does not know its cores.
    """

    hw: str
    title: str
    fits: bool | None
    input_shape: tuple[int, ...]
    layers: tuple[LayerFit, ...]
    cores: int | None
    chips: int | None
    chips_available: int
    shared_kernels: bool
    broken: tuple[Broken, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    notes: tuple[str, ...] = ()
    placement: Placement | None = None

    @property
    def core_range(self) -> tuple[int, int] | None:
        """Fewest and most cores of all layers; None where cores are unknown."""
        if self.cores is None:
            return None
        ranges = [layer.core_range or (layer.cores or 0,) * 2 for layer in self.layers]
        return sum(low for low, _ in ranges), sum(high for _, high in ranges)

    @property
    def reason(self) -> str:
        """Why it does not fit, or why no one knows; empty if it fits."""
        if self.broken:
            return " | ".join(map(str, self.broken))
        if self.fits is None:
            open_ = [entry for entry in self.unchecked if entry.decides]
            return "no known limit is exceeded; unknown: " + " | ".join(
                f"{entry.limit}: {entry.reason}" for entry in open_
            )
        return ""

    def require(self) -> Fit:
        """Return itself, unless a limit is broken.

        Raises:
            CheckFailed: with every broken limit in one line.
        """
        if self.fits is False:
            raise CheckFailed(
                f"{number_of(len(self.broken), 'limit')} exceeded: {self.reason}", where=self.hw
            )
        return self

    def summary(self) -> dict[str, Any]:
        """Return the verdict in plain JSON, without layers and placement."""
        found: dict[str, Any] = {
            "fits": self.fits,
            "cores": self.cores,
            **_range_dict(self.core_range),
            "chips": self.chips,
            "chips_available": self.chips_available,
            "broken": [entry.to_dict() for entry in self.broken],
            "unchecked": [entry.to_dict() for entry in self.unchecked],
        }
        return found | ({"reason": self.reason} if self.reason else {})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "schema": SCHEMA,
            "hw": self.hw,
            "title": self.title,
            "input_shape": list(self.input_shape),
            **self.summary(),
            "shared_kernels": self.shared_kernels,
            "layers": [layer.to_dict() for layer in self.layers],
            "notes": list(self.notes),
            "placement": None if self.placement is None else self.placement.to_dict(),
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the fit as JSON text, also written to `path` if given."""
        import json

        value = self.to_dict()
        if path is not None:
            write_json(path, value)
        return json.dumps(value, indent=2, allow_nan=False)

    def plot_placement(self, ax: Axes | None = None) -> Axes:
        """Draw every core on its chip, in the colour of its layer (extra ``plot``).

        Args:
            ax: matplotlib axes to draw on; None makes a figure.

        Returns:
            The axes.

        Raises:
            InputError: the profile does not know its cores.
            EnvironmentFault: matplotlib is not installed.
        """
        from .pictures import placement

        return placement(self, ax)

    def _repr_html_(self) -> str:
        verdict = {True: "fits", False: "does not fit", None: "unknown whether it fits"}[self.fits]
        head = ("layer", "kind", "neurons", "synapses", "cores", "fullest core")
        rows = [
            (
                layer.name,
                layer.kind,
                f"{layer.neurons:,}",
                f"{layer.synapses:,}",
                "unknown" if layer.cores is None else str(layer.cores),
                _fullest(layer),
            )
            for layer in self.layers
        ]
        rows += [("", "", "", "", "", str(broken)) for broken in self.broken]
        return table_html(f"{self.title}: {verdict}", head, rows)

    def __str__(self) -> str:
        from .fit_text import fit_text

        return fit_text(self)


def _fullest(layer: LayerFit) -> str:
    """Return the resource of which a layer's fullest core uses most, with the share."""
    known = [(load.share, name) for name, load in layer.loads.items() if load.share is not None]
    if not known:
        return "no limit is known"
    share, name = max(known)
    return f"{100 * share:.0f} % of its {name.replace('_', ' ')}"


def _flow(flow: Flow) -> dict[str, Any]:
    ends = {
        name: None
        if (value := getattr(flow, name)) is None
        else {"least": value.least, "mean": value.mean, "most": value.most}
        for name in ("messages", "east_west", "north_south")
    }
    return {"layer": flow.layer, **ends, "between_chips": flow.between_chips}


def _range_dict(cores: tuple[int, int] | None) -> dict[str, int | None]:
    low, high = cores or (None, None)
    return {"cores_low": low, "cores_high": high}
