"""The public names: where they are, what the pages import, and how a type checker sees them."""

from __future__ import annotations

import ast
import inspect
import pydoc
import re
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

import sdcl_neuro

ROOMS = (
    *("", ".conversion", ".engine", ".events", ".hardware", ".hybrid", ".network", ".profiling"),
    *(".reid", ".reid.datasets", ".reid.training", ".snn"),
)
PUBLIC_ROOMS = {room for room in ROOMS if room.count(".") <= 1} | {".files", ".testing"}
FENCE = re.compile(r"^( *)```python\n(.*?)^ *```", re.S | re.M)
USE = """
from sdcl_neuro import Certificate, InputError, IntNetwork, Profile, Record, SpikesLike, load

integers: IntNetwork = chip
layer = record.spikes[0]
shape: tuple[int, ...] = layer.shape
certificate: Certificate = verify(module, spikes, against=["snntorch-int"])
code: int = certificate.exit_code
costs: Profile = profile("model.net", "spikes.npz", hw="loihi2")
again: Record = run(load("model.net"), spikes.tolist(), layers=[0], backend="lava", timeout_s=9)


def rate(given: SpikesLike) -> float:
    try:
        return float(run("model.net", given).spikes[0].mean())
    except InputError as error:
        raise SystemExit(error.hint) from error
"""
"""What a user's script goes on with after the README's example."""


def _pages(root: Path) -> list[Path]:
    top = [root / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
    return [*top, root / "hw_profiles" / "README.md", *sorted((root / "docs").rglob("*.md"))]


@pytest.mark.parametrize("room", ROOMS)
def test_type_checkers_see_the_names_that_are_imported_on_first_use(room: str) -> None:
    package = import_module(f"sdcl_neuro{room}")
    tree = ast.parse(Path(inspect.getfile(package)).read_text("utf-8"))
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        alias.asname or alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == set(package._PUBLIC)
    for name in package.__all__:
        assert getattr(package, name) is not None, name
        assert name in dir(package)


def test_help_shows_the_door_first() -> None:
    text = pydoc.plain(pydoc.render_doc(sdcl_neuro))
    door = [text.index(name) for name in ("load(path)", "conversion.quantize", "verify(model")]
    assert max(door) < text.index("PACKAGE CONTENTS")


def test_every_name_that_a_page_imports_is_public(root: Path) -> None:
    wrong = []
    for page in _pages(root):
        for _, code in FENCE.findall(page.read_text("utf-8")):
            for node in ast.walk(ast.parse(textwrap.dedent(code))):
                if isinstance(node, ast.Import):
                    wrong += [f"{page.name}: import {a.name}" for a in node.names if "." in a.name]
                    continue
                if not isinstance(node, ast.ImportFrom):
                    continue
                module = node.module or ""
                if module.partition(".")[0] != "sdcl_neuro":
                    continue
                room = module.removeprefix("sdcl_neuro")
                known = import_module(module).__all__ if room in PUBLIC_ROOMS else ()
                wrong += [
                    f"{page.name}: from {module} import {alias.name}"
                    for alias in node.names
                    if alias.name not in known
                ]
    assert wrong == []


@pytest.mark.parametrize(
    "address",
    [
        *("hybrid.infer", "hybrid.run_live", "reid.evaluate", "reid.train", "reid.Gallery"),
        *("reid.compare_tracks", "reid.watch", "events.read_events", "events.encode"),
        *("events.simulate", "hardware.fit", "snn.EventBranch", "network.Record"),
    ],
)
def test_what_the_command_line_does_has_an_address_two_levels_deep(address: str) -> None:
    room, name = address.split(".")
    assert callable(getattr(getattr(sdcl_neuro, room), name))


def test_a_script_like_the_readmes_types_strictly(root: Path, tmp_path: Path) -> None:
    text = (root / "README.md").read_text("utf-8")
    (code,) = (c for _, c in FENCE.findall(text) if "conversion.quantize" in c)
    script = tmp_path / "user.py"
    script.write_text(code + textwrap.dedent(USE))
    # The project's own settings are strict, and what `make check` has read of the package is kept.
    done = subprocess.run(
        [*(sys.executable, "-m", "mypy", "--config-file", root / "pyproject.toml", script)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_verb_takes_anything_at_all(root: Path) -> None:
    for name in ("run", "verify", "profile", "load"):
        hints = inspect.signature(getattr(sdcl_neuro, name)).parameters.values()
        loose = [str(each) for each in hints if str(each.annotation) in {"Any", "object"}]
        assert loose == [], name
    for name in sdcl_neuro.conversion.__all__:
        verb = getattr(sdcl_neuro.conversion, name)
        if inspect.isfunction(verb):
            annotations = map(str, inspect.get_annotations(verb).values())
            assert not [a for a in annotations if re.search(r"\b(Any|object)\b", a)], name
