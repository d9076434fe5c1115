"""A cache of compiled code on disk that knows every source the code was made from.

numba compares one file with the one it compiled: the file in which the kernel stands. What the
kernel takes from other files (functions that are compiled into it, LLVM instructions spelled out
elsewhere, constants) may change without its notice, and the old machine code runs on. The cache
here compares the bytes of all sources of the package that the kernel's file imports, directly or
through others, and the versions of the libraries that generate the code.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile

from .. import LOADED_AT
from ..notices import notice

PACKAGE = Path(__file__).parents[1]
COMPILING = "compiling, once on this machine (up to a minute)"
_SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
"""Switches of numba's, from its environment, that change the code and that its key leaves out."""


class SourceCache(FunctionCache):
    """numba's cache of one function, fresh only while all of its sources are.

    Raises:
        RuntimeError: there is no place to write to, or the sources cannot stand for the code.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=stamp(Path(inspect.getfile(function)), options),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load compiled code; where there is none, say that compiling takes a while."""
        found = super().load_overload(sig, target_context)
        if found is None:
            notice(COMPILING)
        return found


def stamp(file: Path, options: dict[str, Any], *, package: Path = PACKAGE) -> str:
    """Hash all that a kernel's machine code follows from, besides its arguments and processor.

    Args:
        file: where the kernel stands.
        options: of `numba.njit`.
        package: folder of the package, or of a copy in which the file stands.

    Raises:
        RuntimeError: a source cannot be read, or was written after this process loaded the
            package: it may then be newer than the code that runs.
    """
    digest = hashlib.sha256()
    settings = [getattr(numba.config, name, None) for name in _SETTINGS]
    versions = [numba.__version__, llvmlite.__version__, np.__version__]
    digest.update(repr([versions, settings, sorted(options.items())]).encode())
    for source in sources_of(file, package=package):
        content, written, _ = _read(source, package)
        if written > LOADED_AT:
            raise RuntimeError(f"{source} is newer than this process")
        digest.update(source.name.encode() + content)
    return digest.hexdigest()


def sources_of(file: Path, *, package: Path = PACKAGE) -> list[Path]:
    """List a file and the package's own sources that it imports, directly or through others.

    Args:
        file: a module's source, of this package or not.
        package: folder of the package, or of a copy in which the file stands.

    Raises:
        RuntimeError: a source cannot be read.
    """
    found, waiting = {file}, [file]
    while waiting:
        for source in _read(waiting.pop(), package)[2]:
            if source not in found:
                found.add(source)
                waiting.append(source)
    return sorted(found)


@cache
def _read(file: Path, package: Path) -> tuple[bytes, float, tuple[Path, ...]]:
    """Return hash of a source, when it was written, and the sources it names in imports."""
    try:
        written, content = file.stat().st_mtime, file.read_bytes()
        tree = ast.parse(content)
    except (OSError, SyntaxError) as error:
        raise RuntimeError(f"{file} cannot be read: {error}") from error
    imported = tuple(dict.fromkeys(_imported(file, tree, package)))
    return hashlib.sha256(content).digest(), written, imported


def _imported(file: Path, tree: ast.AST, package: Path) -> Iterator[Path]:
    """Yield sources of the package that a module's import statements name."""
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top, *parts = alias.name.split(".")
                if top == PACKAGE.name:
                    yield from _source(package.joinpath(*parts))
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            if node.level:
                base = file.parents[node.level - 1]
            elif parts and parts[0] == PACKAGE.name:
                base, parts = package, parts[1:]
            else:
                continue
            place = base.joinpath(*parts)
            yield from _source(place)
            for alias in node.names:
                yield from _source(place / alias.name)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement but those that only a type checker reads; expressions import
    nothing.
    """
    yield tree
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for node in getattr(tree, field, ()):
            only_types = isinstance(node, ast.If) and (
                isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            )
            if not only_types:
                yield from _executed(node)


def _source(place: Path) -> Iterator[Path]:
    """Yield the source of the module or package at a path without its ending, if there is one."""
    for source in (place.with_suffix(".py"), place / "__init__.py"):
        if source.is_file():
            yield source
