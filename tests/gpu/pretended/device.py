"""A pretended GPU: tensors that say ``cuda:N`` and hold a CPU's data.

    with PretendedGpu() as gpu:
        model.to("cuda")
        ...
    gpu.launches, gpu.waits, gpu.copies

It refuses what CUDA refuses (operands on two devices, an integer matrix product, a device that is
not there, a read that no event orders after its write on another stream, a wait while a graph is
captured) and counts what a GPU would be asked: kernel launches, moments at which the host waits for
the device, and copies. Results are the CPU's, computed by the CPU's kernels.

Import it before torch: its hooks are looked up once. It does not run Triton's code by itself, nor
NCCL; and it cannot know how long anything takes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest import mock

assert "torch" not in sys.modules, "import the pretended GPU before torch"
ctypes.CDLL(os.environ["SDCL_NEURO_PRETENDED_GUARD"])

import torch  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves, tree_map  # noqa: E402

FREE = {
    *("view", "_unsafe_view", "_reshape_alias", "view_as_real", "as_strided", "alias", "detach"),
    *("expand", "permute", "transpose", "t", "movedim", "squeeze", "unsqueeze", "diagonal"),
    *("slice", "select", "narrow", "split", "split_with_sizes", "unbind", "unfold", "chunk"),
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "lift_fresh"),
    *("is_pinned", "set_", "resize_", "record_stream", "_has_same_storage_numel"),
}
"""Operations that launch nothing: views, and memory without values."""
WAITING = {
    *("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select"),
    *("unique_consecutive", "unique_dim", "_unique2"),
}
"""Operations whose result, or its size, the host needs."""
MIXED = {"copy_", "_to_copy", "index", "index_put_", "index_put", "_index_put_impl_"}
"""Operations that take tensors of a CPU and a GPU together."""
INTEGER_PRODUCTS = {"mm", "bmm", "addmm", "baddbmm", "dot", "mv"}

NAME, UUID = "pretended GPU", "00000000-0000-0000-0000-000000000000"


class PretendedTensor(torch.Tensor):
    """A tensor that says it is on a GPU; `held` has the data."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor, device: torch.device) -> PretendedTensor:
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, layout=held.layout, device=device, requires_grad=False,
        )  # fmt: skip
        made.held = held
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"PretendedTensor({self.held!r}, {self.device})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with PretendedGpu.current():
            return func(*args, **(kwargs or {}))


class _Devices(TorchFunctionMode):
    """What Python's side of torch would ask the missing CUDA runtime."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name in ("to", "cuda"):
            args = tuple(_numbered(value) for value in args)
        if "device" in kwargs:
            kwargs["device"] = _numbered(kwargs["device"])
        device = kwargs.get("device")
        if name in ("tensor", "as_tensor") and device is not None and _on_gpu(device):
            return func(*args, **{**kwargs, "device": "cpu"}).to(device)
        if name == "new_tensor" and args[0].device.type == "cuda":
            kwargs.pop("device", None)
            given = torch.tensor(args[1], dtype=kwargs.get("dtype") or args[0].dtype)
            return given.to(args[0].device)
        if name == "tolist" and isinstance(args[0], PretendedTensor):
            PretendedGpu.current().wait("tolist")
            return args[0].held.detach().tolist()
        if name == "numpy" and isinstance(args[0], PretendedTensor):
            raise TypeError(f"can't convert {args[0].device} device type tensor to numpy.")
        return func(*args, **kwargs)


def _kept(tensor: torch.Tensor, stream: Any) -> None:
    """Stands for ``Tensor.record_stream``."""


def _numbered(value: Any) -> Any:
    if isinstance(value, torch.device) and value.type == "cuda" and value.index is None:
        return torch.device("cuda", 0)
    return torch.device("cuda", 0) if isinstance(value, str) and value == "cuda" else value


def _on_gpu(device: Any) -> bool:
    return torch.device(device).type == "cuda"


def _shortened(value: Any) -> Any:
    """What a tensor core reads of a float32 as TF32: ten bits behind the point, to nearest."""
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
        return value
    bits = value.contiguous().view(torch.int32)
    short = (bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF
    return short.view(torch.float32).view_as(value)


def _place() -> str:
    """The line of the package that is at work."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        inside = _inside(frame.f_code.co_filename)
        if inside:
            return f"{inside}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"


@cache
def _inside(file: str) -> str:
    """A file's path in the package; empty for others."""
    for folder, shown in (("/sdcl_neuro/", ""), ("/conversion/", "conversion/")):
        _, found, rest = file.rpartition(folder)
        if found:
            return shown + rest
    return ""


class PretendedGpu(TorchDispatchMode):
    """A machine with pretended GPUs, while it is entered.

    Args:
        count: how many GPUs.
        tf32: shorten the operands of convolutions to TF32 where torch's settings allow it.

    Attributes:
        launches: kernels, by operation.
        places: kernels, by the package's line.
        waits: moments at which the host waited, by kind and line.
        copies: between host and device, by kind and line.
    """

    _entered: PretendedGpu | None = None

    def __init__(self, count: int = 1, *, tf32: bool = False) -> None:
        super().__init__()
        self.count, self.tf32 = count, tf32
        self.depth = 0
        self.reset()

    def reset(self) -> None:
        """Count from zero."""
        self.launches: Counter[str] = Counter()
        self.places: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()

    @classmethod
    def current(cls) -> PretendedGpu:
        """The one that is entered."""
        assert cls._entered is not None, "no pretended GPU is entered"
        return cls._entered

    def wait(self, kind: str) -> None:
        """The host waits for the device."""
        self._refuse_in_capture(kind)
        self.waits[f"{kind} @ {_place()}"] += 1

    def launch(self, name: str, count: int = 1) -> None:
        """Kernels of this name were launched."""
        self.launches[name] += count
        self.places[_place()] += count

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Work on CPU tensors that belongs to the pretence, and is not counted."""
        with torch.utils._python_dispatch._disable_current_modes():
            yield

    def _refuse_in_capture(self, kind: str) -> None:
        if self.timeline.capturing is not None:
            what = f"{kind} @ {_place()}"
            raise RuntimeError(
                f"CUDA error: operation not permitted when stream is capturing ({what})"
            )

    def __enter__(self) -> PretendedGpu:
        if self.depth == 0:
            from streams import Timeline

            PretendedGpu._entered = self
            self.timeline = Timeline(self)
            self.opened = contextlib.ExitStack()
            patched = {
                "is_available": lambda: True,
                "device_count": lambda: self.count,
                "_lazy_init": lambda: None,
                "current_device": lambda: 0,
                "is_initialized": lambda: True,
                "is_bf16_supported": lambda including_emulation=True: True,
                "synchronize": lambda device=None: self.wait("cuda.synchronize"),
                "set_device": self._device_of,
                "device": lambda device: contextlib.nullcontext(),
                "get_device_capability": lambda device=None: (9, 0),
                "get_device_name": lambda device=None: NAME,
                "get_device_properties": lambda device=None: SimpleNamespace(name=NAME, uuid=UUID),
                **self.timeline.patches(),
            }
            for name, value in patched.items():
                self.opened.enter_context(mock.patch.object(torch.cuda, name, value))
            # Inference tensors and tensors of a subclass exclude each other.
            plain = mock.patch(
                "torch.inference_mode",
                lambda mode=True: torch.no_grad() if mode else contextlib.nullcontext(),
            )
            self.opened.enter_context(plain)
            # How long memory stays taken is not pretended.
            kept = mock.patch.object(torch.Tensor, "record_stream", _kept)
            self.opened.enter_context(kept)
            self.opened.enter_context(torch.autograd.set_multithreading_enabled(False))
            torch.__future__.set_swap_module_params_on_conversion(True)
            self.opened.enter_context(_Devices())
        self.depth += 1
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.depth -= 1
        super().__exit__(*error)
        if self.depth == 0:
            self.opened.close()
            torch.__future__.set_swap_module_params_on_conversion(False)

    def _device_of(self, device: Any) -> torch.device:
        number = device if isinstance(device, int) else (torch.device(device).index or 0)
        if number >= self.count:
            raise RuntimeError("CUDA error: invalid device ordinal")
        return torch.device("cuda", number)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name.split("::")[1]
        leaves = tree_leaves((args, kwargs))
        there = [x for x in leaves if isinstance(x, PretendedTensor)]
        here = [
            x for x in leaves
            if isinstance(x, torch.Tensor) and not isinstance(x, PretendedTensor)
        ]  # fmt: skip
        composite = torch._C._dispatch_has_kernel_for_dispatch_key(
            func.name(), "CompositeImplicitAutograd"
        )
        if there and composite:  # inference mode hands composites over whole
            with self:
                made = func.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        target = self._target(name, there, kwargs)
        if name in ("_pin_memory", "pin_memory"):
            self.copies[f"pinned @ {_place()}"] += 1
            pinned = args[0].clone()
            pinned._pinned = True
            return pinned
        if name == "is_pinned":
            return getattr(args[0], "_pinned", False)
        if there or target is not None:
            self._check(name, args, there, here)
            self._count(name, args, kwargs, there, here, target)
        return self._computed(func, name, args, kwargs, there, target)

    def _target(
        self, name: str, there: list[PretendedTensor], kwargs: dict[str, Any]
    ) -> torch.device | None:
        """The GPU of the result; None where it is a CPU's."""
        wanted = kwargs.get("device")
        if wanted is None:
            return there[0].device if there else None
        kwargs["device"] = torch.device("cpu")
        return self._device_of(wanted) if _on_gpu(wanted) else None

    def _check(
        self, name: str, args: Any, there: list[PretendedTensor], here: list[torch.Tensor]
    ) -> None:
        """Refuse what CUDA refuses."""
        devices = {x.device for x in there}
        if len(devices) > 1 and name not in ("copy_", "_to_copy"):
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found {devices} ({name})"
            )
        large = [x for x in here if x.dim()]
        if there and large and name not in MIXED:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{there[0].device} and cpu! (aten::{name} at {_place()})"
            )
        if there and large and name.strip("_").startswith("index"):
            if not isinstance(args[0], PretendedTensor):
                raise RuntimeError(f"indices should be on cpu ({name} at {_place()})")
            self.wait("index from the host")
        if there and name in INTEGER_PRODUCTS and not there[0].dtype.is_floating_point:
            raise RuntimeError(f'"addmm_cuda" not implemented for {there[0].dtype} ({_place()})')

    def _count(
        self, name: str, args: Any, kwargs: dict[str, Any], there: list[PretendedTensor],
        here: list[torch.Tensor], target: torch.device | None,
    ) -> None:  # fmt: skip
        """Count launches, waits and copies of one operation."""
        if name in WAITING and there:
            self.wait("item" if name == "_local_scalar_dense" else name)
        masks = (torch.bool, torch.uint8)
        if name == "index" and any(
            isinstance(x, torch.Tensor) and x.dtype in masks for x in args[1] or []
        ):
            self.wait("index by a mask")
        pinned = bool(here) and all(getattr(x, "_pinned", False) for x in here if x.dim())
        if name == "_to_copy" and there and target is None:
            self.copies[f"to the host @ {_place()}"] += 1
            self.wait("copy to the host")
        if name == "_to_copy" and not there and target is not None:
            self.copies[f"to the device, {'pinned' if pinned else 'pageable'} @ {_place()}"] += 1
            if not (pinned and kwargs.get("non_blocking")):
                self.wait("pageable copy")
        if name == "copy_" and there and here and here[0].dim():
            self.copies[f"across @ {_place()}"] += 1
            asynchronous = pinned and (kwargs.get("non_blocking") or (len(args) > 2 and args[2]))
            if not asynchronous:
                self.wait("copy across")
        if name not in FREE and name != "_local_scalar_dense":
            self.launch(name)

    def _computed(
        self, func: Any, name: str, args: Any, kwargs: Any, there: list[PretendedTensor],
        target: torch.device | None,
    ) -> Any:  # fmt: skip
        bare_args, bare_kwargs = tree_map(_bare, args), tree_map(_bare, kwargs)
        if name.startswith("empty"):
            bare_kwargs.pop("pin_memory", None)
        shortened = self.tf32 and torch.backends.cudnn.allow_tf32
        if target is not None and shortened and name.startswith("convolution"):
            bare_args = tree_map(_shortened, bare_args)
        with torch.autocast("cuda", enabled=False):
            made = func(*bare_args, **bare_kwargs)
        if there or target is not None:
            written = _written(func, bare_args, bare_kwargs, made)
            self.timeline.seen(name, [x.held for x in there], written)
            if name not in FREE:
                self.timeline.captured(func, bare_args, bare_kwargs, made)
        if target is None:
            return made
        back = {id(x.held): x for x in there}

        def wrapped(value: Any) -> Any:
            if not isinstance(value, torch.Tensor) or isinstance(value, PretendedTensor):
                return value
            return back[id(value)] if id(value) in back else PretendedTensor(value, target)

        return tree_map(wrapped, made)


def _bare(value: Any) -> Any:
    return value.held if isinstance(value, PretendedTensor) else value


def _written(func: Any, args: Any, kwargs: Any, made: Any) -> list[torch.Tensor]:
    """The tensors that an operation has written: its results, and arguments marked as such."""
    found = [x for x in tree_leaves(made) if isinstance(x, torch.Tensor)]
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = kwargs.get(argument.name, args[number] if number < len(args) else None)
            found += [x for x in tree_leaves(value) if isinstance(x, torch.Tensor)]
    return found
