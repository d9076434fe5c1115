"""The direction of imports, read from the source: lower rooms never know the ones above them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

# From the bottom up; a module may import its own layer and those below. The longest prefix wins.
LAYERS: list[set[str]] = [
    {"errors", "_moved"},
    {"files", "compiling", "devices"},
    {"network", "events", "hardware", "hw_profiles"},
    {"testing"},
    {"engine", "snn"},
    {"hardware.placement"},
    {"profiling"},
    {"hybrid.frame_branch", "hybrid.bridge"},
    {"hybrid.model", "hybrid.voxels"},
    {"hybrid"},
    {"hybrid.live"},
    {"conversion.lowering"},
    {"conversion.layer_modules", "conversion.graph_modules", "conversion.targets"},
    {"conversion.approximation", "conversion.quantisation"},
    {"conversion.sources"},
    {"conversion.model"},
    {"conversion.backends"},
    {"conversion.quantisation.report", "conversion.parity"},
    {"conversion"},
    {"reid"},
    {"reid.configuration"},
    {"reid.evaluation", "reid.pipeline"},
    {"demo"},
    {"cli", "__main__"},
]
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


def _imports(name: str, path: Path, modules: set[str]) -> set[str]:
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
