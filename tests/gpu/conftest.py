"""The pretended GPU's guard, built once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "pretended" / "guard.cpp"


@pytest.fixture(scope="session")
def guard(root: Path) -> Path:
    """The compiled guard; it is kept in build/ for the torch and the source that it belongs to."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler: install g++ to build the pretended GPU")
    spec = find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    torch = Path(spec.origin).parent
    version = (torch / "version.py").read_bytes()
    stamp = hashlib.sha256(SOURCE.read_bytes() + version + str(torch).encode()).hexdigest()[:16]
    library = root / "build" / "pretended_gpu" / f"guard-{stamp}.so"
    if not library.is_file():
        library.parent.mkdir(parents=True, exist_ok=True)
        unfinished = library.with_suffix(f".{os.getpid()}")
        flags = ["-std=c++20", "-O0", "-fPIC", "-shared", f"-I{torch}/include"]
        linked = [f"-L{torch}/lib", "-lc10", "-ltorch_cpu", f"-Wl,-rpath,{torch}/lib"]
        subprocess.run([compiler, *flags, str(SOURCE), "-o", str(unfinished), *linked], check=True)
        unfinished.replace(library)
    return library
