"""The results of races: one JSON file, and the tables of docs/bench.md made from it.

    python bench/results.py [RESULTS.json] [PAGE.md]

A page marks where a table goes::

    <!-- bench:engine -->
    <!-- /bench:engine -->

Everything between the two is replaced; ``<!-- bench:engine memory -->`` shows peak memory instead
of times. A table has one row a case: its keys, the median of each tool, and how many times faster
the first tool is than the peers that `columns` names (median of the rounds' ratios).
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil
from columns import columns_of

from sdcl_neuro.files import atomic_path, write_json

if TYPE_CHECKING:
    from harness import Outcome

HERE = Path(__file__).resolve().parent
LATEST = HERE / "results" / "latest.json"
PAGE = HERE.parent / "docs" / "bench.md"
SCHEMA = {"name": "sdcl_neuro.bench", "version": 1}
LIBRARIES = (
    "sdcl-neuro", "numpy", "numba", "torch", "snntorch", "norse", "spikingjelly", "sinabs",
    "lava-nc", "lava-dl", "tonic", "onnxruntime", "h5py", "triton", "cupy-cuda12x", "cupy-cuda13x",
)  # fmt: skip
CORES = len(os.sched_getaffinity(0))
"""At the start: some benches bind themselves to one."""
MARK = re.compile(r"(<!-- bench:(\w+)( memory|) -->\n).*?(<!-- /bench:\2\3 -->)", re.DOTALL)


def machine() -> dict[str, Any]:
    """The machine and the libraries, without any name of a host."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": CORES,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        **_gpu(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "libraries": found,
    }


def _gpu() -> dict[str, Any]:
    """The GPU, where a process that uses one asks."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {}
    memory = torch.cuda.get_device_properties(0).total_memory
    return {
        "gpu": torch.cuda.get_device_name(0),
        "gpu_memory_gib": round(memory / 2**30),
        "cuda": str(torch.version.cuda),
    }


@dataclass
class Book:
    """Rows gathered in a session; `save` merges them into a results file, as often as called."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, outcome: Outcome, **notes: Any) -> None:
        """Enter a race; `notes` are plain JSON values that belong to it."""
        self.rows.append({**outcome.row(), "notes": {**outcome.notes, **notes}, "when": _now()})

    def note(self, table: str, lines: list[dict[str, Any]]) -> None:
        """Enter measurements that are no race: all lines of a table, keys as its head."""
        for line in lines:
            self.rows.append({"table": table, "case": line, "rounds": {}, "when": _now()})

    def save(self, path: Path = LATEST) -> None:
        """Replace the rows of the same table and case; rows of another machine are dropped.

        A table that is no race is replaced as a whole.
        """
        if not self.rows:
            return
        kept: list[dict[str, Any]] = []
        here = machine()
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            kept = before["rows"] if before["machine"] == here else []
        new = {key_of(row) for row in self.rows}
        whole = {row["table"] for row in self.rows if not row["rounds"]}
        kept = [row for row in kept if key_of(row) not in new and row["table"] not in whole]
        rows = kept + self.rows
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"schema": SCHEMA, "machine": here, "rows": rows})


def load(path: Path) -> dict[str, Any]:
    """Read a results file, or end with one line that says what is wrong."""
    try:
        book: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}") from None
    if book.get("schema") != SCHEMA:
        raise SystemExit(f"{path}: no results of this version's benches; run `make bench`")
    return book


def refresh(page: str, book: Mapping[str, Any]) -> str:
    """The page with its tables replaced; a table without rows is left as it is."""

    def table(match: re.Match[str]) -> str:
        rows = [row for row in book["rows"] if row["table"] == match[2]]
        if not rows:
            return match[0]
        return match[1] + markdown(rows, memory=bool(match[3])) + match[4]

    return MARK.sub(table, page)


def markdown(rows: list[dict[str, Any]], *, memory: bool = False) -> str:
    """Rows of one table as Markdown."""
    keys = _union(row["case"] for row in rows)
    if not any(row["rounds"] for row in rows):
        return _table(keys, [[str(row["case"].get(key, "")) for key in keys] for row in rows])
    tools = _union(row["rounds"] for row in rows)
    columns = [
        column
        for column in columns_of(rows[0]["table"])
        if any(column.names(row["rounds"]) for row in rows)
    ]
    unit = "peak MiB" if memory else rows[0]["unit"]
    head = [*keys, *(f"{tool}, {unit}" if i == 0 else tool for i, tool in enumerate(tools))]
    lines = [[str(row["case"].get(key, "")) for key in keys] for row in rows]
    for row, line in zip(rows, lines, strict=True):
        if memory:
            line += [str(row["peak_mib"].get(tool, "-")) for tool in tools]
            continue
        line += [_number(row["rounds"].get(tool)) for tool in tools]
        line += [column.cell(row["rounds"]) for column in columns]
    if not memory:
        head += [column.head for column in columns]
    return _table(head, lines)


def _table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows) + "\n"


def _number(values: list[float] | None) -> str:
    return "-" if not values else f"{median(values):.3g}"


def _union(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Keys in the order they are first seen."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def key_of(row: Mapping[str, Any]) -> str:
    """What two results files know a race by: its table and its case."""
    return json.dumps([row["table"], row["case"]], sort_keys=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="minutes")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def main(arguments: list[str]) -> int:
    """Refresh a page."""
    source = Path(arguments[0]) if arguments else LATEST
    page = Path(arguments[1]) if len(arguments) > 1 else PAGE
    text = refresh(page.read_text(encoding="utf-8"), load(source))
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
