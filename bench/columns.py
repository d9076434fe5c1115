"""What the last columns of each table say: which tool is beside which.

A race has tools that are no peers: further ways of our own, a floor that nothing can pass, the
parts of a whole. So a table names the peers that its issue asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Column:
    """A ratio of two tools' times: the median of the rounds' ratios.

    Attributes:
        head: of the column.
        peers: the fastest of these is taken, by its median; none for all but the first tool.
        of: the tool beside them; None for the first.
        inverse: False for how many times as fast as the peer it is, True for its time in units of
            the peer's.
    """

    head: str
    peers: tuple[str, ...] = ()
    of: str | None = None
    inverse: bool = False

    def names(self, rounds: Mapping[str, list[float]]) -> tuple[str, str] | None:
        """Tool and peer, where a race has both."""
        own = self.of or next(iter(rounds))
        found = [name for name in self.peers or rounds if name in rounds and name != own]
        if own not in rounds or not found:
            return None
        return own, min(found, key=lambda name: median(rounds[name]))

    def ratio(self, rounds: Mapping[str, list[float]]) -> float | None:
        """None where a race lacks the one or the other."""
        names = self.names(rounds)
        if names is None:
            return None
        own, peer = (rounds[name] for name in (reversed(names) if self.inverse else names))
        return median(theirs / ours for ours, theirs in zip(own, peer, strict=True))

    def cell(self, rounds: Mapping[str, list[float]]) -> str:
        """As a table shows it: with the peer's name where there was a choice."""
        names, ratio = self.names(rounds), self.ratio(rounds)
        if names is None or ratio is None:
            return "-"
        return f"{ratio:.3g}" if len(self.peers) == 1 else f"{ratio:.3g} ({names[1]})"


BEST = (Column("times the best other"),)
TRAINING = ("snnTorch loop", "SpikingJelly", "SpikingJelly, a step at a time", "Norse", "Sinabs")
SPIKINGJELLY_ON_A_GPU = tuple(
    f"SpikingJelly {backend}" for backend in ("torch", "cupy", "triton", "cuda")
)
LIBRARIES = ("snnTorch", "Norse", "SpikingJelly multi", "SpikingJelly single", "Sinabs")
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "engine": (
        Column("times snnTorch", ("snnTorch",)),
        Column("times the best library", LIBRARIES),
        Column("times dense", ("dense",)),
    ),
    "graphs": (
        Column("times snnTorch", ("snnTorch",)),
        Column("in units of the dense graph's time", ("dense",), inverse=True),
    ),
    "recordings": (
        Column("times snnTorch", ("snnTorch",)),
        Column("times the best library", LIBRARIES),
        Column("times dense", ("dense",)),
    ),
    "rates": (Column("times dense", ("dense",)),),
    "active_area": (Column("times dense", ("dense",)),),
    "avx2": (Column("times dense", ("dense",)),),
    "persons": (Column("times eager", ("eager",)),),
    "windows": (Column("times delivering only", ("delivering only",)),),
    "scaling": (Column("times dense", ("dense",)),),
    "lava": (Column("times Lava", ("Lava netx",)),),
    "c": (
        Column("times gcc", ("gcc -O2",)),
        Column("times clang", ("clang -O2",)),
    ),
    "training": (
        Column("times the best library", TRAINING),
        Column("in integers, times the best library", TRAINING, of="in integers"),
    ),
    "engine_gpu": (
        Column("times snnTorch", ("snnTorch loop",)),
        Column("times SpikingJelly", SPIKINGJELLY_ON_A_GPU),
    ),
    "training_gpu": (
        Column("times snnTorch", ("snnTorch loop",)),
        Column("times SpikingJelly", SPIKINGJELLY_ON_A_GPU),
    ),
    "hybrid_gpu": (
        Column("times without CUDA graphs", ("without CUDA graphs",)),
        Column("times the CPU", ("on the CPU",)),
    ),
    "encoding": (Column("times tonic", ("tonic ToFrame",)),),
    "bandwidth": (Column("of the bandwidth", ("reading the events",)),),
    "simulation": (Column("times the plain loop", ("plain numba loop, unordered",)),),
    "mapping": (
        Column("times as published", ("as published",)),
        Column("in plain convolutions", ("plain 3x3 convolution",), inverse=True),
    ),
    "frame_branch": tuple(
        Column(f"{kind}, times eager", ("eager",), of=kind)
        for kind in ("folded", "bf16", "compiled", "onnx", "onnx-int8")
    ),
    "dense_side": tuple(
        Column(f"{kind}, times eager", ("eager",), of=kind)
        for kind in ("folded", "bf16", "compiled", "onnx", "onnx-int8")
    ),
    "neighbours": (
        Column(
            "beside 2, in quiet times",
            ("as decided, 0 neighbours",),
            of="as decided, 2 neighbours",
            inverse=True,
        ),
        Column(
            "beside 2, times spinning",
            ("all threads, spinning, 2 neighbours",),
            of="as decided, 2 neighbours",
        ),
    ),
    "hybrid": (
        Column("of the parts in turn", ("in turn",), inverse=True),
        Column("event branch, of the hybrid", ("hybrid",), of="event branch alone", inverse=True),
    ),
}
"""By table; `BEST` for all others."""


def columns_of(table: str) -> tuple[Column, ...]:
    """Those of one table."""
    return COLUMNS.get(table, BEST)


def peers_of(table: str, rounds: Mapping[str, list[float]]) -> list[str]:
    """The tools of a race that the first is beside."""
    others = list(rounds)[1:]
    named = {name for column in columns_of(table) if column.of is None for name in column.peers}
    return [name for name in others if not named or name in named]
