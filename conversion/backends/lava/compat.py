"""Five patches that let lava-nc 0.10.0 and lava-dl 0.6.0 run on a current Python and numpy.

Only a child process applies them (`worker`), before its first import of Lava; the user's
process is never patched. None touches arithmetic: each only lets code run that would raise.
Both packages are archived upstream, so the list is final.
"""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np


def apply(*, slayer: bool = False) -> None:
    """Mend Lava in this process; call it before anything of Lava is imported.

    Args:
        slayer: also make ``lava.lib.dl.slayer`` importable (it needs torch). Without it a stand-in
            takes its place, because netx wants only one function of it, for neurons refused
            here anyway: that saves the import of torch.
    """
    _free_start_method()
    with _hashable_dataclasses():
        import_module("lava.magma.compiler.var_model")
    if slayer:
        _stand_in("lava.lib.dl.slayer.object_detection")
    else:
        _lean_netx()
    _mend_reshape()
    _mend_convolution_sizes()


def _free_start_method() -> None:
    """Mend 5: Lava sets the start method at import, which raises where one is set already."""
    if multiprocessing.get_start_method(allow_none=True) is not None:
        multiprocessing.set_start_method(None, force=True)


@contextmanager
def _hashable_dataclasses() -> Iterator[None]:
    """Mend 1: dataclasses whose default is an instance of another dataclass.

    Python >= 3.11 takes an unhashable default for a mutable one and refuses it; hashing by
    identity, as before the decorator, satisfies it.
    """
    original: Callable[..., Any] = dataclasses.dataclass

    @functools.wraps(original)
    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        if cls is None:
            return lambda decorated: dataclass(decorated, **options)
        made = original(cls, **options)
        if made.__hash__ is None:
            made.__hash__ = object.__hash__
        return made

    setattr(dataclasses, "dataclass", dataclass)  # noqa: B010 - mypy knows the overloads
    try:
        yield
    finally:
        setattr(dataclasses, "dataclass", original)  # noqa: B010


def _stand_in(name: str, **members: Any) -> None:
    """Put a module of these members where an import of `name` will find it."""
    module = types.ModuleType(name)
    module.__path__ = []  # a package, so that imports below it are looked up here and fail clearly
    vars(module).update(members)
    sys.modules[name] = module


def _lean_netx() -> None:
    """Mend 2: netx without slayer, whose object_detection imports torchvision and cv2.

    netx's own package imports torch for modules that are not used here, so it is entered
    without running its ``__init__``.
    """

    def neuron_params(_: Any) -> Any:
        raise NotImplementedError("resonate-and-fire neurons")

    spec = find_spec("lava.lib.dl")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'lava.lib.dl'", name="lava.lib.dl")
    _stand_in("lava.lib.dl.slayer")
    _stand_in("lava.lib.dl.slayer.neuron")
    _stand_in("lava.lib.dl.slayer.neuron.rf", neuron_params=neuron_params)
    _stand_in("lava.lib.dl.netx")
    folders = [str(Path(root) / "netx") for root in spec.submodule_search_locations]
    sys.modules["lava.lib.dl.netx"].__path__ = folders


def _mend_reshape() -> None:
    """Mend 3: ``np.reshape(..., newshape=)``, a keyword that numpy 2.4 removed."""
    ports = import_module("lava.magma.core.process.ports.ports")

    def forward(self: Any) -> Callable[[Any], Any]:
        return functools.partial(np.reshape, shape=self.shape)

    def backward(self: Any) -> Callable[[Any], Any]:
        return functools.partial(np.reshape, shape=self.old_shape)

    ports.ReshapePort.get_transform_func_fwd = forward
    ports.ReshapePort.get_transform_func_bwd = backward


def _mend_convolution_sizes() -> None:
    """Mend 4: sizes held in int8, which numpy 2 no longer promotes when a Python int is added.

    They overflow from 128 pixels or channels upward; as Python ints they are what was meant.
    """
    utils = import_module("lava.proc.conv.utils")
    original = utils.conv

    def conv(
        spikes: Any, weight: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: Any
    ) -> Any:
        pairs = [tuple(int(n) for n in pair) for pair in (kernel, stride, padding, dilation)]
        return original(spikes, weight, *pairs, int(groups))

    shape = utils.output_shape

    def output_shape(*sizes: Any) -> Any:
        # Here, too, callers hand over int8 arrays; channels come second, as one number.
        whole = [n if np.isscalar(n) else tuple(int(m) for m in n) for n in sizes]
        return shape(*whole)

    vars(utils).update(conv=conv, output_shape=output_shape)
