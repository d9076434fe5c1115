"""Compiled code on disk is used only while every source that it was made from is the same."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from numba.core.registry import CPUDispatcher

from sdcl_neuro import compiling
from sdcl_neuro.compiling import cache
from sdcl_neuro.compiling.cache import PACKAGE, sources_of, stamp

ENGINE = """
import json, sys
import numpy as np
from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.event import kernels
from sdcl_neuro.network.spec import IntLayer, IntNetwork, IntNeuron

weight = np.array([[2]], np.int32)
layer = IntLayer("one", "dense", weight, IntNeuron(4096, 0, 4), (1,), (1,))
record = run_network(IntNetwork((1,), (layer,)), np.ones((6, 1, 1), np.uint8), path="event")
hits = sum(kernels.advance.stats.cache_hits.values())
print(json.dumps([record.spikes[0].ravel().tolist(), hits]))
"""
SMALL = """
import json
from sdcl_neuro.small import double
print(json.dumps([double(21), sum(double.stats.cache_hits.values())]))
"""


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The package as a wheel has it, with what was compiled of it so far."""
    place = tmp_path / "copy" / "sdcl_neuro"
    return Path(shutil.copytree(root / "sdcl_neuro", place))


@pytest.fixture
def reread() -> Iterator[Callable[[], None]]:
    """Forget what was read of sources."""
    yield cache._read.cache_clear
    cache._read.cache_clear()


def _run(copy: Path, code: str, **environment: str) -> list[Any]:
    """What a new process prints that has this copy of the package."""
    inherited = {key: value for key, value in os.environ.items() if "NUMBA" not in key}
    # Python itself takes an edit of the same size in the same second for no edit.
    own = {"PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    settings = {**inherited, **own, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=settings, cwd=copy.parent, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _edit(path: Path, old: str, new: str, *, places: int = 1) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == places, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_engine_follows_an_edit_with_a_warm_cache(copy: Path) -> None:
    strict = [0, 0, 1, 0, 0, 1]  # 2, 4, 6 > 4
    assert _run(copy, ENGINE)[0] == strict
    assert _run(copy, ENGINE) == [strict, 1]
    step = copy / "engine" / "event" / "neuron_step.py"
    for tested, places in {"after": 1, "before": 2}.items():
        _edit(
            step,
            f'icmp_signed(">", {tested}, threshold)',
            f'icmp_signed(">=", {tested}, threshold)',
            places=places,
        )
    assert _run(copy, ENGINE) == [[0, 1, 0, 1, 0, 1], 0]
    assert _run(copy, ENGINE) == [[0, 1, 0, 1, 0, 1], 1]


def test_a_constant_from_another_file_is_followed(copy: Path, tmp_path: Path) -> None:
    (copy / "factor.py").write_text("FACTOR = 2\n")
    (copy / "middle.py").write_text(
        "from .compiling import inlined\nfrom .factor import FACTOR\n\n\n"
        "@inlined\ndef times(value):\n    return value * FACTOR\n"
    )
    (copy / "small.py").write_text(
        "from .compiling import compiled\nfrom .middle import times\n\n\n"
        "@compiled\ndef double(value):\n    return times(value)\n"
    )
    assert [_run(copy, SMALL) for _ in range(2)] == [[42, 0], [42, 1]]
    (copy / "factor.py").write_text("FACTOR = 3\n")
    assert _run(copy, SMALL) == [63, 0]
    _edit(copy / "middle.py", "value * FACTOR", "value + FACTOR")
    assert _run(copy, SMALL) == [24, 0]
    (copy / "middle.py").touch()  # the same bytes
    assert _run(copy, SMALL) == [24, 1]
    # Where nothing can be written beside the sources, the user's own folder is taken.
    shutil.rmtree(copy / "__pycache__")
    (copy / "__pycache__").write_text("no folder")
    (copy / "small.py").touch()
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "own")}
    assert [_run(copy, SMALL, **elsewhere) for _ in range(2)] == [[24, 0], [24, 1]]
    assert list((tmp_path / "own" / "numba").rglob("small.double-*.nbc"))


def test_a_source_newer_than_the_process_is_not_trusted(copy: Path) -> None:
    (copy / "small.py").write_text(
        "from .compiling import compiled\nfrom .network.fixed_point import DECAY_UNITY\n\n\n"
        "@compiled\ndef double(value):\n    return value * DECAY_UNITY\n"
    )
    edit = (
        "import sdcl_neuro.network.fixed_point as f, pathlib, time\n"
        "place = pathlib.Path(f.__file__)\n"
        "text = place.read_text()\n"
        "time.sleep(0.05)\n"
        "place.write_text(text.replace('DECAY_UNITY = 1 <<', 'DECAY_UNITY = 3 <<'))\n"
    )
    # The process has the old constant in memory; had it kept its code, the next would take it.
    assert _run(copy, edit + SMALL) == [21 * 4096, 0]
    assert _run(copy, SMALL) == [3 * 21 * 4096, 0]
    assert _run(copy, SMALL) == [3 * 21 * 4096, 1]


def _kernels() -> dict[str, CPUDispatcher]:
    """Every compiled function of the package that is kept on disk."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "compiling import" not in path.read_text(encoding="utf-8"):
            continue
        name = ".".join(("sdcl_neuro", *path.relative_to(PACKAGE).with_suffix("").parts))
        for key, value in vars(importlib.import_module(name)).items():
            if isinstance(value, CPUDispatcher) and value.py_func.__module__ == name:
                found[f"{name}.{key}"] = value
    return found


def test_what_a_kernel_takes_from_the_package_is_among_its_sources() -> None:
    kernels = _kernels()
    assert len(kernels) > 20
    for name, kernel in kernels.items():
        sources = sources_of(Path(kernel.py_func.__code__.co_filename))
        for used in kernel.py_func.__code__.co_names:
            value = kernel.py_func.__globals__.get(used)
            module = getattr(getattr(value, "py_func", value), "__module__", None) or ""
            if module.startswith("sdcl_neuro."):
                file = Path(str(sys.modules[module].__file__))
                assert file in sources, (name, used)


def test_the_main_engine_stands_on_these_sources() -> None:
    engine = importlib.import_module("sdcl_neuro.engine.event.kernels")
    names = {path.name for path in sources_of(Path(str(engine.__file__)))}
    assert {"kernels.py", "neuron_step.py", "vectors.py", "llvm.py", "cache.py"} <= names
    assert {"bit_words.py", "window_kernels.py", "fixed_point.py", "spec.py"} <= names


def test_each_source_changes_the_stamp(copy: Path, reread: Callable[[], None]) -> None:
    kernel = copy / "engine" / "event" / "kernels.py"
    stamps, sources = [stamp(kernel, {}, package=copy)], sources_of(kernel, package=copy)
    assert len(sources) > 8
    for source in sources:
        assert copy in source.parents
        content, written = source.read_bytes(), source.stat().st_mtime_ns
        source.write_bytes(content + b"\n")
        os.utime(source, ns=(written, written))
        reread()
        stamps.append(stamp(kernel, {}, package=copy))
        source.write_bytes(content)
        os.utime(source, ns=(written, written))
    reread()
    assert len(set(stamps)) == len(stamps)
    assert stamp(kernel, {}, package=copy) == stamps[0]


def test_options_libraries_and_settings_change_the_stamp(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = root / "sdcl_neuro" / "engine" / "event" / "kernels.py"
    stamps = [stamp(kernel, {}), stamp(kernel, {"_nrt": False}), stamp(kernel, {"_nrt": True})]
    for module in ("numba", "llvmlite", "np"):
        with monkeypatch.context() as changed:
            changed.setattr(getattr(cache, module), "__version__", "0.0.1")
            stamps.append(stamp(kernel, {}))
    monkeypatch.setattr(cache.numba.config, "BOUNDSCHECK", 1)
    stamps.append(stamp(kernel, {}))
    assert len(set(stamps)) == len(stamps)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from sdcl_neuro.network.fixed_point import DECAY_BITS", {"fixed_point.py", "spec.py"}),
        ("import sdcl_neuro.engine.event.vectors as v", {"vectors.py", "llvm.py"}),
        ("from sdcl_neuro.engine.event import vectors", {"vectors.py"}),
        ("def f():\n    from sdcl_neuro.network.spec import IntNeuron", {"spec.py"}),
        ("from . import beside", {"beside.py"}),
        ("from .beside import (\n    a,\n    b,\n)", {"beside.py"}),
        ("if TYPE_CHECKING:\n    from .beside import a", set()),
        ("import numpy.linalg\nfrom torch import nn", set()),
    ],
)
def test_imports_in_every_form_are_followed(
    line: str, found: set[str], tmp_path: Path, reread: Callable[[], None]
) -> None:
    reread()
    file = tmp_path / "own.py"
    file.write_text(line + "\n")
    (tmp_path / "beside.py").write_text("a = b = 1\n")
    names = {path.name for path in sources_of(file)}
    assert found <= names
    assert found or names == {"own.py"}


def test_a_source_that_cannot_be_read_leaves_the_kernel_uncached(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="cannot be read"):
        sources_of(tmp_path / "gone.py")
    made: dict[str, Any] = {}
    exec(compile("def add(a, b):\n    return a + b\n", str(tmp_path / "gone.py"), "exec"), made)
    assert compiling.compiled(made["add"])(2, 3) == 5
