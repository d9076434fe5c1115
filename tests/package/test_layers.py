"""The direction of imports, read from the source: lower rooms never know the ones above them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

# From the bottom up; a module may import its own layer and those below. The longest prefix wins.
LAYERS: list[set[str]] = [
    {"errors", "_moved"},
    {
        *("files", "compiling", "cuda_graphs", "devices", "extras", "gpu_kernels", "notices"),
        *("processors", "schemas"),
    },
    {"network", "events", "hardware", "hw_profiles", "jobs", "models"},
    {"testing"},
    {"engine", "snn"},
    {"hardware.placement"},
    {"profiling"},
    {"hybrid.frame_branch", "hybrid.bridge"},
    {"hybrid.methods"},
    {"hybrid.model", "hybrid.voxels"},
    {"hybrid"},
    {"hybrid.live"},
    {"conversion.lowering"},
    {"conversion.layer_modules", "conversion.graph_modules", "conversion.targets"},
    {
        *(
            "conversion.parity.certificate",
            "conversion.parity.certificate_text",
            "conversion.parity.judge",
        ),
        *("conversion.parity.rounding", "conversion.parity.source_check"),
    },
    {"conversion.approximation", "conversion.quantisation"},
    {"conversion.parity.source"},
    {"conversion.graph_approximation"},
    {"conversion.sources"},
    {"conversion.model", "conversion.model_reading"},
    {"conversion.backends"},
    {
        "conversion.quantisation.report",
        "conversion.quantisation.effect",
        "conversion.quantisation.checked",
        "conversion.parity",
    },
    {"conversion"},
    {"reid"},
    {"reid.configuration"},
    {"reid.evaluation", "reid.figures", "reid.pipeline"},
    {"reid.serve"},
    {"demo"},
    {"cli", "__main__"},
]
TITLES = {
    "errors": "errors of few classes, with what, where and what to do",
    "_moved": "old import paths, kept for one release",
    "files": "files that appear whole or not at all; files from strangers, within bounds",
    "compiling": "numba with a cache that knows all its sources; vectors, threads",
    "cuda_graphs": "work on a GPU recorded once and replayed",
    "devices": "devices by name",
    "gpu_kernels": "Triton kernels: where they run, how they are launched",
    "notices": "lines on what takes long, for whoever listens",
    "processors": "how many processors may be used, and how threads wait",
    "extras": "optional libraries, the extra that brings each; names imported on first use",
    "schemas": "schemas of the verbs' JSON, and their validator",
    "network": "networks as plain data: layers, fixed-point arithmetic, spikes, records",
    "events": "event files, simulation, encoding, and tracklets cut from videos",
    "hardware": "profiles of chips",
    "jobs": "commands of the package as resumable jobs, here or on a Ray cluster",
    "models": "models that come with the package, and public ones by address and hash",
    "hw_profiles": "the profiles themselves, one TOML file each",
    "testing": "random networks and spikes",
    "engine": "the integer engine: event-driven on a CPU, dense on any device",
    "snn": "chip-exact neurons, the event branch, training through time",
    "hardware.placement": "which layer lies on which core, and what does not fit",
    "profiling": "counts x prices: energy, time, reports",
    "hybrid": "frame branch, bridge and event branch as one network, run and live",
    "hybrid.bridge": "events mapped on frames, aligned, aggregated",
    "hybrid.methods": "the video networks that SDCL is compared with",
    "hybrid.frame_branch": "networks of the dense side, eager and ahead of time",
    "hybrid.model": "event branch, frame branch and bridge as one module",
    "hybrid.voxels": "a dense network on event voxels, for comparison",
    "hybrid.live": "a stream, as it comes",
    "conversion.lowering": "layers of any library to the chain that a chip runs",
    "conversion.targets": "files that are written: netx, ONNX and others",
    "conversion.layer_modules": "a description as snnTorch modules, in float or integers",
    "conversion.graph_modules": "the same of a graph",
    "conversion.approximation": "what no chip computes exactly, as the nearest that it does",
    "conversion.graph_approximation": "the same of a graph",
    "conversion.quantisation": "float to integers, and a report of the errors",
    "conversion.quantisation.report": "the report",
    "conversion.quantisation.effect": "spikes before and after rounding, and when to warn",
    "conversion.quantisation.checked": "rounding with that warning",
    "conversion.sources": "snnTorch modules and NIR files, read",
    "conversion.model": "a model in any form",
    "conversion.model_reading": "paths, networks and modules read as models",
    "conversion.backends": "what runs a network: the table",
    "conversion.parity.certificate": "certificates and their JSON",
    "conversion.parity.judge": "two sides' spikes, and what their difference is worth",
    "conversion.parity.rounding": "whether two float runs differ by more than rounding",
    "conversion.parity.source_check": "the comparison with its source that a network carries",
    "conversion.parity.source": "a source beside its description",
    "conversion.parity.certificate_text": "certificates as text",
    "conversion.parity": "backends compared, spike for spike, with the cause",
    "reid.configuration": "one TOML file for data, model and training",
    "reid.evaluation": "accuracy by backend, bits, steps and threshold",
    "reid.figures": "the poster's figures from one's own models",
    "reid.serve": "many cameras, a gallery and a page in one process",
    "reid.pipeline": "whole runs: training, inference on a video, a live stream",
    "conversion": "from a library's network to files, backends and certificates",
    "reid": "the laboratory: data sets, training, evaluation, gallery",
    "demo": "the demonstration",
    "cli": "the command line",
}
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def _rank(name: str) -> int | None:
    """Rank of a module by its longest listed prefix; None if no room of it is listed."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        rank = RANK.get(".".join(parts[:length]))
        if rank is not None:
            return rank
    return None


def _modules(root: Path) -> dict[str, Path]:
    """Every module of the package by dotted name below ``sdcl_neuro``, links followed once."""
    found = {}
    for base, prefix in ((root / "sdcl_neuro", ""), (root / "conversion", "conversion.")):
        for path in sorted(base.rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            if prefix == "" and parts[0] in {"conversion", "hw_profiles"}:
                continue
            name = prefix + ".".join(p for p in parts if p != "__init__")
            found[name.rstrip(".")] = path
    return found


def _lazy_names(tree: ast.Module) -> set[ast.AST]:
    """Return the imports that a package repeats for type checkers and does on first use."""
    return {
        node
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
    }


def _imports(name: str, path: Path, modules: set[str]) -> set[str]:
    """Dotted names below ``sdcl_neuro`` that a module imports, lazily or not."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [p for p in package if p]
    imported = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = _lazy_names(tree) if path.name == "__init__.py" else set()
    for node in ast.walk(tree):
        if node in lazy:
            continue
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                target = [*base, *(node.module.split(".") if node.module else [])]
            elif node.module and node.module.split(".")[0] == "sdcl_neuro":
                target = node.module.split(".")[1:]
            else:
                continue
            for alias in node.names:  # a module of a package, or a name in a module
                whole = ".".join([*target, alias.name])
                imported.add(whole if whole in modules else ".".join(target))
        elif isinstance(node, ast.Import):
            imported.update(
                alias.name.removeprefix("sdcl_neuro.")
                for alias in node.names
                if alias.name.startswith("sdcl_neuro.")
            )
    return imported


def _table() -> str:
    """Return the ranks as a table, the lowest first."""
    rows = ["| rank | room | what it holds |", "|---:|---|---|"]
    for rank, names in enumerate(LAYERS):
        for name in sorted(names - {"__main__"}):
            rows.append(f"| {rank} | `{name}` | {TITLES[name]} |")
    return "\n".join(rows) + "\n"


@pytest.mark.generated
def test_the_page_shows_the_ranks(
    root: Path, expect_sections: Callable[[Path, Mapping[str, str]], None]
) -> None:
    expect_sections(root / "ARCHITECTURE.md", {"ranks": _table()})


def test_every_module_has_a_layer(root: Path) -> None:
    assert [name for name in _modules(root) if name and _rank(name) is None] == []


def test_imports_point_downwards(root: Path) -> None:
    wrong = []
    modules = _modules(root)
    for name, path in modules.items():
        if not name:  # the package's top re-exports lazily
            continue
        rank = _rank(name)
        assert rank is not None, name
        for target in _imports(name, path, set(modules)):
            of_target = _rank(target)
            if of_target is not None and of_target > rank:
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_nothing_but_the_entrances_imports_the_laboratory(root: Path) -> None:
    modules = _modules(root)
    wrong = [
        f"{name} imports {target}"
        for name, path in modules.items()
        if name.split(".")[0] not in {"reid", "cli", "demo"}
        for target in _imports(name, path, set(modules))
        if target.split(".")[0] == "reid"
    ]
    assert wrong == []


def test_the_top_has_few_loose_files(root: Path) -> None:
    loose = [path.name for path in (root / "sdcl_neuro").iterdir() if path.is_file()]
    assert len([name for name in loose if name.endswith(".py")]) <= 8, loose


@pytest.mark.parametrize("link", ["conversion", "hw_profiles"])
def test_links_are_relative(root: Path, link: str) -> None:
    assert str((root / "sdcl_neuro" / link).readlink()) == f"../{link}"
