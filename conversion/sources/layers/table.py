"""The table of added layers: each is read as a layer of torch or NIR that computes the same.

To add one: a file beside this one with ``as_module(module, shape)`` for torch, ``as_node(fields)``
for NIR, or both, and a row here; docs/how-to/add-a-layer.md follows the steps. What a module is
read as is run against it on random values before it is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import nn

    from sdcl_neuro.network.spec import Shape


@dataclass(frozen=True)
class AddedLayer:
    """One kind of layer that neither torch nor snnTorch nor the NIR reader knows by itself.

    Attributes:
        name: in notes, such as ``weights on the diagonal``.
        module: name of its module in this package.
        torch: ``package.module.Class`` of the class that is read; empty for none. Its library is
            not imported: classes are compared by name.
        nir: type of the NIR node that is read; empty for none.
    """

    name: str
    module: str
    torch: str = ""
    nir: str = ""

    def as_module(self, module: nn.Module, shape: Shape) -> nn.Module:
        """Return torch's own layer that computes what `module` does on ``[B, *shape]``."""
        function = cast("Callable[[nn.Module, Shape], nn.Module]", self._member("as_module"))
        return function(module, shape)

    def as_node(self, fields: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Return type and fields of the NIR node that means what a node of type `nir` means."""
        function = cast("Callable[..., tuple[str, Mapping[str, Any]]]", self._member("as_node"))
        return function(fields)

    def _member(self, name: str) -> Any:
        return getattr(import_module(f".{self.module}", __package__), name)


LAYERS: list[AddedLayer] = []


def layer_of(kind: type) -> AddedLayer | None:
    """Return the row of a class of modules, or of one that it inherits from; None without one."""
    if not LAYERS:
        return None
    names = {f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__}
    return next((row for row in LAYERS if row.torch in names), None)


def layer_of_node(kind: str) -> AddedLayer | None:
    """Return the row of a type of NIR node; None without one."""
    return next((row for row in LAYERS if row.nir == kind), None)
