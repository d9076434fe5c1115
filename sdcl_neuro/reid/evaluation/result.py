"""What an evaluation says: one row for each data, setting and event branch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import number_of
from sdcl_neuro.files import atomic_path, write_json
from sdcl_neuro.network.backend_names import label

from ..metrics import Changed, Metrics, Ranking, ReRanking
from ..metrics.distances import Metric
from .deployment import Deployment
from .setting import Setting

SCHEMA = {"name": "sdcl_neuro.evaluation", "version": 1}


@dataclass(frozen=True, eq=False)
class EvaluationRow:
    """One ranking of the gallery, measured.

    Attributes:
        condition: of the frames: ``clean``, or a degradation as ``blur:3``.
        setting: what of the event branch differs from training.
        backend: of the event branch.
        metrics: by distance.
        ranking: the lists themselves.
        changed: lists that differ from those of the first row of the same condition; None there.
        reranked: after re-ranking, if it was asked for.
        deployment: what the event branch costs on chips, if any were named; None for floats.
    """

    condition: str
    setting: Setting
    backend: str
    metrics: Metrics
    ranking: Ranking
    changed: Changed | None = None
    reranked: Metrics | None = None
    deployment: Deployment | None = None

    def cells(self) -> dict[str, str]:
        """Return the cells of a table on the terminal."""
        found = {
            "frames": self.condition,
            "setting": str(self.setting),
            "event branch": label(self.backend),
            **_percentages(self.metrics),
        }
        if self.reranked is not None:
            found |= {"mAP, re-ranked": f"{self.reranked.mean_ap:.1%}"}
            found |= {"R1, re-ranked": f"{self.reranked.cmc[min(self.reranked.cmc)]:.1%}"}
        if self.changed is not None:
            changed = self.changed
            found["lists changed"] = f"{changed.whole:,}"
            found["in the first 10"] = f"{changed.near:,}"
            found["in the first"] = f"{changed.first:,}"
        return found if self.deployment is None else {**found, **self.deployment.cells()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "condition": self.condition,
            "setting": asdict(self.setting),
            "backend": self.backend,
            "metrics": self.metrics.to_dict(),
            "reranked": None if self.reranked is None else self.reranked.to_dict(),
            "changed_lists": None if self.changed is None else self.changed.to_dict(),
            "deployment": None if self.deployment is None else self.deployment.to_dict(),
        }

    def flat(self) -> dict[str, Any]:
        """Return the cells of a CSV file; empty where there is no value."""
        values: dict[str, Any] = {
            "condition": self.condition,
            "backend": self.backend,
            **asdict(self.setting),
        }
        for prefix, metrics in (("", self.metrics), ("reranked_", self.reranked)):
            if metrics is not None:
                plain = metrics.to_dict()
                ranks = {f"R{rank}": value for rank, value in plain.pop("cmc").items()}
                values |= {f"{prefix}{name}": value for name, value in {**plain, **ranks}.items()}
        if self.changed is not None:
            values |= {f"changed_{name}": n for name, n in self.changed.to_dict().items()}
        return values if self.deployment is None else {**values, **self.deployment.flat()}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All rows; prints itself.

    Attributes:
        model: the folder of the model.
        data: the data set, in one line.
        distance: between embeddings.
        rows: the first of each condition is what its others are compared with.
        reranking: its settings, if it was asked for.
        notes: what is to be known beside the figures, one line each.
        query, gallery: positions in the data set, in the rankings' order.
    """

    model: Path
    data: str
    distance: Metric
    rows: tuple[EvaluationRow, ...]
    reranking: ReRanking | None = None
    notes: tuple[str, ...] = ()
    query: tuple[int, ...] = field(default=(), repr=False)
    gallery: tuple[int, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        counted = self.rows[0].metrics
        skipped = f", {counted.skipped:,} more without a match" if counted.skipped else ""
        queries = number_of(counted.queries, "query")
        head = [self.data, f"{self.model}, by {self.distance} distance; {queries}{skipped}"]
        return "\n".join([*head, *table([row.cells() for row in self.rows]), *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": SCHEMA,
            "model": str(self.model),
            "data": self.data,
            "distance": self.distance,
            "reranking": None if self.reranking is None else asdict(self.reranking),
            "queries": len(self.query),
            "gallery": len(self.gallery),
            "rows": [row.to_dict() for row in self.rows],
            "notes": list(self.notes),
        }

    def to_json(self, path: Path | str | None = None) -> str:
        """Return all of it as JSON text, also written to `path` if given."""
        value = self.to_dict()
        if path is not None:
            write_json(path, value)
        return json.dumps(value, indent=2, allow_nan=False)

    def to_csv(self, path: Path | str | None = None) -> str:
        """Return one line for each row, also written to `path` if given."""
        flat = [row.flat() for row in self.rows]
        names = list(dict.fromkeys(name for row in flat for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        if path is not None:
            with atomic_path(path) as temporary:
                temporary.write_text(text.getvalue(), encoding="utf-8")
        return text.getvalue()


def table(rows: Sequence[dict[str, str]]) -> list[str]:
    """Return rows of named cells as lines; texts to the left, figures to the right.

    A column that says the same in every row and is a description, not a figure, is left out.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(rows) > 1:
        same = {name for name in ("frames", "setting") if len({row[name] for row in rows}) == 1}
        names = [name for name in names if name not in same]
    body = [[row.get(name, "") for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *body, strict=True)]
    left = ("frames", "setting", "event branch")
    lines = []
    for cells in [names, *body]:
        padded = [
            cell.ljust(width) if name in left else cell.rjust(width)
            for name, cell, width in zip(names, cells, widths, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def _percentages(metrics: Metrics) -> dict[str, str]:
    ranks = {f"R{rank}": f"{value:.1%}" for rank, value in metrics.cmc.items()}
    return {"mAP": f"{metrics.mean_ap:.1%}", **ranks, "mINP": f"{metrics.mean_inp:.1%}"}
