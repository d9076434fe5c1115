"""Memory in which the server builds an HNSW index.

pgvector builds the graph in ``maintenance_work_mem``. A graph that outgrows it is written out, and
every later entry is inserted on disk, several times slower (pgvector README, "Index Build Time";
docs/growth.md). The server's default is 64 MiB, which holds some 50,000 entries of 128 numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .schema import HNSW_M

CEILING = 2047 << 20
"""Bytes asked for at most. The memory of the server's machine is not known here, and where ``long``
has 32 bits it takes no more (PostgreSQL manual, "Resource Consumption")."""
NAME = "maintenance_work_mem"
ASK = (
    f"SELECT source, pg_size_bytes(current_setting('{NAME}')) FROM pg_settings "
    f"WHERE name = '{NAME}'"
)
"""Who set it, and its bytes."""
_UNCHOSEN = ("default", "configuration file", "command line", "environment variable")
"""Sources (``pg_settings.source``) that hold for every session; any other one was chosen for this
account, database or address."""
# pgvector 0.8, src/hnsw.h: an element, its tuple's and its lists' heads and their allocations; a
# neighbour is a pointer, a distance and a flag, and the lowest layer has 2 m of them. Measured: of
# 128 numbers 13,690 entries in 16 MiB, 1,225 bytes each, where this says 1,284.
_ELEMENT, _NEIGHBOUR = 260, 16
_MARGIN = 1.1
_APART = 8 << 20  # of a parallel build 3 MiB go to other things, and memory comes in blocks

Settings = Mapping[str, str]


def graph_bytes(entries: int, dimension: int) -> int:
    """Estimate the bytes of a graph with a margin; it does not depend on what is in the vectors."""
    each = 4 * dimension + _NEIGHBOUR * 2 * HNSW_M + _ELEMENT
    return int(_MARGIN * entries * each) + _APART


def settings_to_try(asked: tuple[str, int], entries: int, dimension: int) -> tuple[Settings, ...]:
    """Return settings for one build, best first; the last changes nothing.

    Args:
        asked: the answer to `ASK`.
        entries: in the table.
        dimension: of their vectors.
    """
    source, held = asked
    wanted = min(graph_bytes(entries, dimension), CEILING)
    if source not in _UNCHOSEN or wanted <= held:
        return ({},)
    memory = {NAME: f"{-(-wanted >> 10)}kB"}
    # The graph of a parallel build lies in shared memory, of which a container may have little.
    return (memory, {**memory, "max_parallel_maintenance_workers": "0"}, {})


def refused(error: Any, errors: Any) -> bool:
    """Return whether a server does not take settings, or lacks the memory for them.

    Args:
        error: of psycopg.
        errors: ``psycopg.errors``.
    """
    settings = (errors.InvalidParameterValue, errors.UndefinedObject, errors.CantChangeRuntimeParam)
    means = (errors.InsufficientPrivilege, errors.OutOfMemory, errors.DiskFull)
    return isinstance(error, settings + means)
