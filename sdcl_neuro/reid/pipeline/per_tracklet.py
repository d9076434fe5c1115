"""What each tracklet alone did and took: spikes, synaptic operations, sparsity, latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sdcl_neuro.profiling.ledger_rows import Passage

from .session import Session

STAGES = ("frame branch", "event branch", "bridge")


@dataclass(frozen=True)
class TrackletFigures:
    """Figures of one tracklet that went through the network by itself.

    Attributes:
        name: of the tracklet.
        input_spikes: spikes of its events.
        spikes: sent by all layers of the event branch.
        synops: spikes delivered to existing synapses.
        activation_sparsity: share of neuron steps without a spike.
        latency_ms: from the beginning of its first stage to the end of its last, by this machine's
            clock; waiting for the tracklet before it is part of it.
    """

    name: str
    input_spikes: int
    spikes: int
    synops: int
    activation_sparsity: float
    latency_ms: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def per_tracklet(session: Session) -> tuple[TrackletFigures, ...]:
    """Return the figures of every tracklet of a session with one tracklet a batch."""
    activity = session.result.record.activity
    spans = session.result.ledger.spans
    rows = []
    for n, tracklet in enumerate(session.tracklets):
        spikes = sum(int(layer.spikes_out[n]) for layer in activity)
        updates = sum(int(layer.updates[n]) for layer in activity)
        rows.append(
            TrackletFigures(
                tracklet.name,
                tracklet.input_spikes,
                spikes,
                sum(int(layer.synops[n]) for layer in activity),
                1 - spikes / updates if updates else 1.0,
                _latency_ms(spans, session.passage[n]),
            )
        )
    return tuple(rows)


def _latency_ms(spans: Sequence[Passage], n: int) -> float:
    """Return time of the n-th tracklet, to which the n-th passage of each stage belongs."""
    passages = [
        found[n]
        for stage in STAGES
        if (found := [span for span in spans if span.name == stage and not span.parent])
    ]
    return 1e3 * (max(one.end_s for one in passages) - min(one.start_s for one in passages))


def table_text(rows: Sequence[TrackletFigures]) -> str:
    """Return the figures as aligned columns, with their tags."""
    width = max([8, *(len(row.name) for row in rows)])
    lines = [
        f"{'tracklet':<{width}}  input spikes  spikes  synaptic operations  sparsity  latency",
        f"{'':<{width}}    [emulated]  [emul.]           [emulated]   [emul.]  [measured]",
    ]
    lines += [
        f"{row.name:<{width}}  {row.input_spikes:>12,}  {row.spikes:>6,}  {row.synops:>19,}  "
        f"{100 * row.activation_sparsity:>6.2f} %  {row.latency_ms:>7.1f} ms"
        for row in rows
    ]
    return "\n".join(lines)
