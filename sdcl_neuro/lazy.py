"""Names of a package that are imported on first use, so that importing the package stays quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def attach(
    package: str, members: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    The package imports the same names under ``if TYPE_CHECKING:``, for type checkers and editors; a
    test compares the two.

    Args:
        package: name of the package, its ``__name__``.
        members: public name to the module that holds it, relative to the package, with ``:name``
            where it has another name there. A module that is public itself stands for itself:
            ``{"conversion": "conversion"}``.
    """

    def getattribute(name: str) -> Any:
        if name not in members:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module_name, _, attribute = members[name].partition(":")
        module = import_module(f"{package}.{module_name}")
        return module if members[name] == name else getattr(module, attribute or name)

    def names() -> list[str]:
        loaded = vars(sys.modules[package])
        return sorted({*members, *loaded.get("__all__", ()), *_dunders(loaded)})

    return getattribute, names


def _dunders(loaded: Mapping[str, Any]) -> list[str]:
    return [name for name in loaded if name.startswith("__") and name.endswith("__")]
