"""The page of growth.py: its tables, and what a thousand cameras would need by these costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Book = dict[str, Any]
BUSY = 0.34
"""Processors' worth of other work from which a measurement counts as taken on a busy machine."""
STORES = {"sqlite": "SQLite and FAISS", "postgres": "PostgreSQL and pgvector"}
HEAD = (
    *("entries", "enrolled a second", "search, recall 1", "one camera of 20", "search by index"),
    *("its recall", "index built", "memory", "disk", "one person forgotten"),
)
DAY_S, DAY_H = 86_400, 24
MIB = 2**20


@dataclass(frozen=True)
class Site:
    """Assumptions about a site; every figure of the extrapolation is proportional to them.

    Attributes:
        cameras: how many.
        visits: of persons to one camera on a day.
        rows: entries kept of a visit.
        days: that an entry is kept.
        peak: visits of the busiest hour, as a multiple of the mean hour.
        tracklets: cut of a visit and embedded.
        embedded_per_s: tracklets that one machine embeds in a second: `infer` from file to report
            on two cores (docs/bench.md).
        row_bytes: of an entry on its way: 128 float32, and some 200 bytes of who, where and when.
        wait_ms: that a search may take.
    """

    cameras: int = 1_000
    visits: int = 1_000
    rows: int = 4
    days: int = 30
    peak: float = 5.0
    tracklets: int = 4
    embedded_per_s: float = 19.7
    row_bytes: int = 712
    wait_ms: float = 100.0

    @property
    def entries(self) -> int:
        """Entries held."""
        return self.cameras * self.visits * self.rows * self.days

    @property
    def visits_per_s(self) -> float:
        """Visits in a second of the busiest hour."""
        return self.peak * self.cameras * self.visits / DAY_S


def page(book: Book, site: Site | None = None) -> str:
    """All tables as Markdown."""
    results, here = book["results"], book["machine"]
    parts = [_store(title, results[kind]) for kind, title in STORES.items() if results.get(kind)]
    if results.get("ranking"):
        parts.append(_ranking(results["ranking"]))
    told = f"{here['processor']}, {here['cores']} cores, {here['memory_gib']} GiB."
    if any(one["others"] > BUSY for rows in results.values() for one in rows.values()):
        told += (
            " Rows marked busy were taken while other work ran: disk and recall are as they are, "
            "times are too long, and only disk is extrapolated from them."
        )
    parts.append(told + "\n")
    parts.append(extrapolated(book, site or Site()))
    return "\n".join(parts)


def _store(title: str, rows: dict[str, Any]) -> str:
    return _table(title, HEAD, [_cells(size, rows[size]) for size in sorted(rows, key=int)])


def _ranking(rows: dict[str, Any]) -> str:
    lines = [
        [_size(size, rows[size]), f"{rows[size]['s']:.1f}", f"{rows[size]['grown_mib']:.0f} MiB"]
        for size in sorted(rows, key=int)
    ]
    head = ("entries", "seconds", "memory beyond the embeddings")
    return _table("Ranking of 1,000 queries in blocks, with mAP and CMC", head, lines)


def _table(title: str, head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [
        f"{title}:",
        "",
        *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head))),
    ]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)]) + "\n"


def _size(size: str, one: dict[str, Any]) -> str:
    return f"{int(size):,}" + (" (busy)" if one["others"] > BUSY else "")


def _cells(size: str, one: dict[str, Any]) -> list[str]:
    memory = f"{one['memory_mib']:.0f} MiB"
    if one["server_mib"] is not None:
        memory = f"server {one['server_mib']:.0f} MiB"
    indexed = "approximate" in one
    return [
        _size(size, one),
        f"{one['enrolled_per_s']:,.0f}",
        f"{one['exact']['median_ms']:.1f} ms",
        f"{one['one_camera']['median_ms']:.1f} ms",
        f"{one['approximate']['median_ms']:.1f} ms" if indexed else "-",
        f"{one['recall']:.3f}" if indexed else "-",
        f"{one['index_s']:.0f} s" if indexed else "-",
        memory,
        f"{one['disk_indexed_mib'] if indexed else one['disk_mib']:.0f} MiB",
        f"{one['forget_s']:.1f} s",
    ]


def extrapolated(book: Book, site: Site) -> str:
    """The needs of a site: disk by the largest measured size of each store, with its index where
    it has one; times by the sizes that were measured on a quiet machine.
    """
    rows = []
    for kind, title in STORES.items():
        known = book["results"].get(kind, {})
        if known:
            rows += _needs(title, {int(size): one for size, one in known.items()}, site)
    return _table(
        f"{site.cameras:,} cameras, {site.entries:,} entries",
        ("what", "needed", "from"),
        [*rows, *_common(site)],
    )


def _slope_ms(known: dict[int, dict[str, Any]]) -> float:
    """Milliseconds of an exact search for each entry; the audit's line, one a search, is not."""
    few, many = min(known), max(known)
    took = known[many]["exact"]["median_ms"]
    if few == many:
        return float(took / many)
    return float(max(took - known[few]["exact"]["median_ms"], 0.01 * took) / (many - few))


def _needs(title: str, known: dict[int, dict[str, Any]], site: Site) -> list[list[str]]:
    size = max([size for size, row in known.items() if "approximate" in row] or known)
    one = known[size]
    disk = one.get("disk_indexed_mib", one["disk_mib"]) / size * site.entries / 1024
    kept = [
        f"{title}: disk",
        f"{disk:,.0f} GiB",
        f"{one.get('disk_indexed_mib', one['disk_mib']) * MIB / size:,.0f} bytes an entry",
    ]
    quiet = {size: row for size, row in known.items() if row["others"] <= BUSY}
    if not quiet:
        return [kept, [f"{title}: searches and writers", "-", "not measured on a quiet machine"]]
    return [kept, *_times(title, quiet, site)]


def _times(title: str, known: dict[int, dict[str, Any]], site: Site) -> list[list[str]]:
    """The needs that follow from times: shards, cores that search, writers."""
    size, each_ms = max(known), _slope_ms(known)
    one = known[size]
    fits = int(site.wait_ms / each_ms)
    day = site.entries // site.days
    found = [
        [
            f"{title}: entries that one search compares in {site.wait_ms:.0f} ms",
            f"{fits:,}: {-(-site.entries // fits):,} shards for all, {-(-day // fits):,} for a day",
            f"{1e6 * each_ms:.0f} ms for a million",
        ],
        [
            f"{title}: cores busy with exact searches in the busiest hour",
            f"{site.visits_per_s * each_ms * site.entries / 1e3:,.0f} over all entries, "
            f"{site.visits_per_s * each_ms * day / 1e3:,.0f} over the last day's",
            f"one search a visit, {site.visits_per_s:.0f} a second",
        ],
        [
            f"{title}: writers in the busiest hour",
            f"{site.visits_per_s * site.rows / one['enrolled_per_s']:.2f}",
            f"{site.visits_per_s * site.rows:.0f} entries a second, {one['enrolled_per_s']:,.0f} "
            "in calls of 1,000",
        ],
    ]
    indexed = {size: row for size, row in known.items() if "approximate" in row}
    if indexed:
        size, one = max(indexed), indexed[max(indexed)]
        ms = one["approximate"]["median_ms"]
        found.append(
            [
                f"{title}: cores busy with searches by index",
                f"{site.visits_per_s * ms / 1e3:.1f}",
                f"{ms:.1f} ms at {size:,}, recall {one['recall']:.3f}; grows with the logarithm",
            ]
        )
    return found


def _common(site: Site) -> list[list[str]]:
    tracklets = site.visits_per_s * site.tracklets
    return [
        [
            "machines of two cores that embed, in the busiest hour",
            f"{tracklets / site.embedded_per_s:.0f}",
            f"{tracklets:.0f} tracklets a second, {site.embedded_per_s} a machine",
        ],
        [
            "network, entries to the database, in the busiest hour",
            f"{8 * site.visits_per_s * site.rows * site.row_bytes / 1e6:.1f} Mbit/s",
            f"{site.row_bytes} bytes an entry; embedded where the cameras are",
        ],
        [
            "network, where video travels instead",
            f"{2 * site.cameras / 1e3:.0f} Gbit/s",
            "2 Mbit/s a camera, without events",
        ],
    ]
