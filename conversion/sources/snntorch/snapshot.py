"""Keep what a run changes in a module besides its parameters: attributes, buffers, modes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_TORCH_OWN = frozenset(nn.Module().__dict__)
"""What torch keeps in every module: parameters, buffers, children, hooks, the mode."""
_CONTAINERS = (list, dict, deque)
_COMPUTED = ("_orig", "_g")
"""Pruning, and torch's older weight norm, compute ``weight`` from ``weight_orig`` or ``weight_g``
and ``weight_v`` in every call: such an attribute is not a state."""

Place = tuple[nn.Module, str]


class Snapshot:
    """The attributes and buffers of all modules inside a module, at one moment."""

    def __init__(self, module: nn.Module) -> None:
        self._names = {child: name for name, child in module.named_modules()}
        self._attributes = {child: dict(child.__dict__) for child in self._names}
        self._buffers = {child: dict(child._buffers) for child in self._names}
        held: dict[int, Tensor] = {}
        self._contents: list[tuple[Any, Any]] = []
        for child in self._names:
            for value in (*child._buffers.values(), *_own(child).values()):
                held.update((id(tensor), tensor) for tensor in tensors_in(value))
                self._contents += [(each, each.copy()) for each in _containers_in(value)]
        self._values = [(each, each.detach().clone()) for each in held.values() if _known(each)]

    def restore(self) -> None:
        """Put everything back, tensors that were written to included."""
        for child, attributes in self._attributes.items():
            child.__dict__.clear()
            child.__dict__.update(attributes)
        for child, buffers in self._buffers.items():
            child._buffers.clear()
            child._buffers.update(buffers)
        for container, content in self._contents:
            _refill(container, content)
        for tensor, value in self._values:
            if not torch.equal(tensor, value):
                tensor.copy_(value)

    def changed(self) -> Iterator[tuple[nn.Module, str, Any]]:
        """Yield module, name and former value of every attribute or buffer that holds something
        else now.

        The former value of a container is its former content; a name that did not exist comes
        with `MISSING`.
        """
        content = {id(container): copy for container, copy in self._contents}
        clones = {id(tensor): clone for tensor, clone in self._values}
        for child in self._names:
            before = {**_own_of(self._attributes[child]), **self._buffers[child]}
            present = {**_own(child), **child._buffers}
            for name in present.keys() | before.keys():
                if _computed(child, name):
                    continue
                old = before.get(name, MISSING)
                old = content.get(id(old), old)
                if not _same(present.get(name, MISSING), old, clones):
                    yield child, name, old

    def name_of(self, child: nn.Module, name: str) -> str:
        """Return an attribute's dotted name."""
        place = self._names[child]
        return f"{place}.{name}" if place else name


class _Missing:
    """Stands for an attribute that does not exist."""


MISSING = _Missing()


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors that a value is, or holds as list, tuple or dictionary; none that are
    learnt.
    """
    if isinstance(value, Tensor):
        if not isinstance(value, nn.Parameter):
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors_in(each)
    elif isinstance(value, list | tuple | deque):
        for each in value:
            yield from tensors_in(each)


def zeroed(value: Any) -> Any:
    """Return the same value with every tensor in it all zero."""
    if isinstance(value, Tensor):
        return torch.zeros_like(value)
    if isinstance(value, dict):
        return {key: zeroed(each) for key, each in value.items()}
    if isinstance(value, list | deque) or type(value) is tuple:
        return type(value)(zeroed(each) for each in value)
    return value


def put(child: nn.Module, name: str, value: Any) -> None:
    """Set an attribute or buffer; a container keeps its identity, `MISSING` deletes."""
    present = child.__dict__.get(name)
    if isinstance(value, _Missing):
        delattr(child, name)
    elif isinstance(present, _CONTAINERS) and type(present) is type(value):
        _refill(present, value)
    else:
        setattr(child, name, value)


def _own(child: nn.Module) -> dict[str, Any]:
    return _own_of(child.__dict__)


def _own_of(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in attributes.items()
        if name not in _TORCH_OWN and not isinstance(value, nn.Module)
    }


def _computed(child: nn.Module, name: str) -> bool:
    return any(f"{name}{ending}" in child._parameters for ending in _COMPUTED)


def _containers_in(value: Any) -> Iterator[Any]:
    if isinstance(value, _CONTAINERS):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _containers_in(each)


def _refill(container: Any, content: Any) -> None:
    if isinstance(container, list):
        container[:] = content
        return
    container.clear()
    container.update(content) if isinstance(container, dict) else container.extend(content)


def _known(tensor: Tensor) -> bool:
    return not tensor.is_meta and tensor.layout is torch.strided


def _same(present: Any, old: Any, clones: dict[int, Tensor]) -> bool:
    if isinstance(old, Tensor):
        former = clones.get(id(old), old)
        if not isinstance(present, Tensor) or present.shape != former.shape:
            return False
        return former.is_meta or bool(torch.equal(present.to(former), former))
    if isinstance(old, list | tuple | deque) and type(present) is type(old):
        pairs = zip(present, old, strict=False)
        return len(present) == len(old) and all(_same(p, o, clones) for p, o in pairs)
    if isinstance(old, dict) and isinstance(present, dict):
        keys = old.keys() == present.keys()
        return keys and all(_same(present[key], old[key], clones) for key in old)
    if isinstance(present, Tensor):
        return False
    if isinstance(old, bool | int | float | str | None):
        return bool(present == old) if type(present) is type(old) else False
    return present is old
