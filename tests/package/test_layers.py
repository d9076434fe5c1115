"""The direction of imports, read from the source: lower rooms never know the ones above them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

# From the bottom up; a module may import its own layer and those below. Longest prefix wins.
LAYERS: list[set[str]] = [
    {
        "errors",
        "atomic",
        "spec",
        "record",
        "fixed_point",
        "events",
        "hardware",
        "spike_file",
        "spike_stream",
        "threads",
        "compiling",
        "devices",
    },
    {"hardware_schema", "scales", "branch_description", "random_networks", "spec_convert"},
    {
        "activity",
        "engine",
        "bptt",
        "chip_ops",
        "chip_neuron",
        "loihi_leaky",
        "firing_rates",
        "spiking_layers",
    },
    {
        "event_branch",
        "frame_branch",
        "voxel_branch",
        "data",
        "datasets",
        "reid",
        "placement",
        "gallery",
    },
    {"checkpoint", "bridge"},
    {"model", "composition", "mac_counts", "model_table", "profiling", "hw_profiles"},
    {"sdcl_checkpoint", "runtime", "training", "live"},
    {"configuration"},
    {"conversion"},
    {"pipeline", "evaluation"},
    {"demo"},
    {"cli", "__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


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


def _imports(name: str, path: Path) -> set[str]:
    """Dotted names below ``sdcl_neuro`` that a module imports, lazily or not."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [p for p in package if p]
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                target = [*base, *(node.module.split(".") if node.module else [])]
            elif node.module and node.module.split(".")[0] == "sdcl_neuro":
                target = node.module.split(".")[1:]
            else:
                continue
            if target:
                imported.add(".".join(target))
            else:
                imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            imported.update(
                alias.name.removeprefix("sdcl_neuro.")
                for alias in node.names
                if alias.name.startswith("sdcl_neuro.")
            )
    return imported


def test_every_module_has_a_layer(root: Path) -> None:
    rooms = {name.split(".")[0] for name in _modules(root)} - {""}
    assert rooms - set(RANK) == set()


def test_imports_point_downwards(root: Path) -> None:
    wrong = []
    for name, path in _modules(root).items():
        if not name:  # the package's top re-exports lazily
            continue
        rank = RANK[name.split(".")[0]]
        for target in _imports(name, path):
            room = target.split(".")[0]
            if room in RANK and RANK[room] > rank:
                wrong.append(f"{name} imports {target}")
    assert wrong == []


@pytest.mark.parametrize("link", ["conversion", "hw_profiles"])
def test_links_are_relative(root: Path, link: str) -> None:
    assert str((root / "sdcl_neuro" / link).readlink()) == f"../{link}"
