"""A counter of what would be launched on a GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

VIEWS = {
    *("view", "_unsafe_view", "expand", "permute", "transpose", "t", "slice", "select"),
    *("unsqueeze", "squeeze", "detach", "alias", "as_strided", "split", "unbind", "unfold"),
    *("empty", "empty_like", "empty_strided", "new_empty", "_reshape_alias", "lift_fresh"),
}
"""Operations that launch nothing."""


class Launches(TorchDispatchMode):
    """Counts operations on tensors of the CPU that a GPU would launch a kernel for.

    Attributes:
        operations: of torch, by name.
        waits: for a value on the host.
        kernels: of this package, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.kernels: Counter[str] = Counter()
        self.waits = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.operations.total() + self.kernels.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[1]
        if name == "_local_scalar_dense":
            self.waits += 1
        elif name not in VIEWS:
            # Inference mode hands on whole what is made of others.
            with self:
                found = func.decompose(*args, **(kwargs or {}))
            if found is not NotImplemented:
                return found
            self.operations[name] += 1
        return func(*args, **(kwargs or {}))

    @contextmanager
    def of(self, monkeypatch: pytest.MonkeyPatch, *modules: Any) -> Iterator[Launches]:
        """Count while the body runs, with the kernels that `modules` launch."""
        with monkeypatch.context() as patch:
            for module in modules:
                patch.setattr(module, "launch", self._counting(module.launch))
            with self:
                yield self

    def _counting(self, launch: Any) -> Any:
        def counted(kernel: Any, *arguments: Any, **named: Any) -> None:
            self.kernels[kernel.__name__] += 1
            with _disable_current_modes():  # the interpreter's own copies
                launch(kernel, *arguments, **named)

        return counted
