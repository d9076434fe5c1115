"""The frame branch made ready ahead of time for inference, in ways that trade accuracy.

| name | what is done |
|---|---|
| eager | nothing |
| folded | batch norms folded into the convolutions, channels last in memory |
| bf16 | that, and computed in bfloat16: fast on a GPU and where a processor has AMX |
| compiled | that, and compiled by torch's inductor with frozen weights; needs a C++ compiler |
| compiled, on a GPU | in bfloat16 and compiled, replayed as a CUDA graph; needs Triton |
| onnx | run by ONNX Runtime in float32 |
| onnx-int8 | run by ONNX Runtime in 8 bits, a scale a channel: fast with VNNI or AMX |

``folded`` and those of ONNX Runtime are for a CPU.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sdcl_neuro.devices import device_fault
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.extras import need, require
from sdcl_neuro.files import scratch_folder
from sdcl_neuro.processors import processors

from .images import FRAME_SIZE

FRAME_BACKENDS = ("eager", "folded", "bf16", "compiled", "onnx", "onnx-int8")
GPU_BACKENDS = ("eager", "bf16", "compiled")
COMPILED_BATCH = 8
"""Frames at a time of the compiled network: another number would compile it again."""
CALIBRATION_BATCH = 8

Run = Callable[[Tensor], Tensor]


class AheadBranch(nn.Module):
    """A frame branch for inference alone; its weights are a copy.

    Attributes:
        kind: one of `FRAME_BACKENDS`.
        device: on which it computes; it cannot be moved.
    """

    def __init__(self, kind: str, run: Run, device: torch.device) -> None:
        super().__init__()
        self.kind, self.device, self._run = kind, device, run

    def forward(self, frames: Tensor) -> Tensor:
        """Map ``[N, 3, 256, 128]``, normalised, to float32 ``[N, C, h, w]``; no gradients."""
        with torch.no_grad():
            return self._run(frames)


def ahead_of_time(branch: nn.Module, kind: str, *, calibration: Tensor | None = None) -> nn.Module:
    """Make a frame branch ready.

    Args:
        branch: in evaluation or training, left as it is; what is made stays on its device.
        kind: one of `FRAME_BACKENDS`.
        calibration: normalised frames ``[N, 3, 256, 128]`` like those to come; ``onnx-int8`` takes
            the ranges of its 8-bit values from them.

    Raises:
        InputError: an unknown kind, one that is not for the branch's device, or no calibration for
            8 bits.
        EnvironmentFault: the extra ``onnx`` is not installed; for ``compiled``, with the first
            frames, a compiler is not.
    """
    device = next(branch.parameters()).device
    check_kind(kind, device)
    if kind == "eager":
        return branch
    folded = fold(branch)
    if kind.startswith("onnx"):
        return AheadBranch(kind, _onnx(folded, calibration, eight_bits=kind == "onnx-int8"), device)
    half = torch.float32 if kind == "folded" else torch.bfloat16
    network = folded.to(memory_format=torch.channels_last).to(half)  # type: ignore[call-overload]

    def run(frames: Tensor) -> Tensor:
        given = frames.to(half).contiguous(memory_format=torch.channels_last)
        maps: Tensor = network(given).float()
        return maps

    return AheadBranch(kind, _compiled(network, device) if kind == "compiled" else run, device)


def check_kind(kind: str, device: torch.device) -> None:
    """See that a frame branch can be made ready on a device; raises as `ahead_of_time`."""
    if kind not in FRAME_BACKENDS:
        raise InputError(f"unknown dense backend {kind!r}", hint=f"use {', '.join(FRAME_BACKENDS)}")
    if device.type != "cpu" and not (device.type == "cuda" and kind in GPU_BACKENDS):
        raise InputError(
            f"dense backend {kind!r} is for a CPU, not for {device}",
            hint=f"give the device cpu, or the dense backend {' or '.join(GPU_BACKENDS)}",
        )
    if kind.startswith("onnx"):
        require(("onnx", "onnxscript", "onnxruntime"), f"the dense backend {kind!r}")


def fold(branch: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode whose batch norms are parts of the convolutions before
    them.
    """
    graph = fx.symbolic_trace(copy.deepcopy(branch).eval())
    modules = dict(graph.named_modules())
    for node in list(graph.graph.nodes):
        source = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(source, fx.Node):
            continue
        norm, conv = modules[str(node.target)], modules.get(str(source.target))
        alone = source.op == "call_module" and len(source.users) == 1
        if alone and isinstance(norm, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d):
            graph.set_submodule(str(source.target), fuse_conv_bn_eval(conv, norm))
            node.replace_all_uses_with(source)
            graph.graph.erase_node(node)
    graph.recompile()
    graph.delete_all_unused_submodules()
    return graph


def _compiled(network: nn.Module, device: torch.device) -> Run:
    how: dict[str, Any] = {"options": {"freezing": True}}
    if device.type == "cuda":
        how = {"mode": "reduce-overhead"}  # CUDA graphs
    with warnings.catch_warnings():
        # torch's own use of its own deprecated name, when it first loads its compiler
        warnings.filterwarnings("ignore", message=r".torch\.jit\.", category=DeprecationWarning)
        compiled = torch.compile(network, dynamic=False, **how)

    def run(frames: Tensor) -> Tensor:
        given = frames.bfloat16().contiguous(memory_format=torch.channels_last)
        missing = -len(given) % COMPILED_BATCH
        padded = functional.pad(given, (0, 0, 0, 0, 0, 0, 0, missing))
        padded = padded.contiguous(memory_format=torch.channels_last)
        try:
            # A CUDA graph writes into the same memory every time: float() copies what it made.
            maps = [compiled(part).float() for part in padded.split(COMPILED_BATCH)]
        except Exception as error:
            if device_fault(error) or not _compilers(error):
                raise
            said = (str(error).splitlines() or [type(error).__name__])[0][:120]
            raise EnvironmentFault(
                f"torch could not compile the frame branch ({said})",
                hint="install a C++ compiler (on a GPU, Triton), or take another dense backend",
            ) from error
        return torch.cat(maps)[: len(frames)]

    return run


def _compilers(error: BaseException) -> bool:
    """Return whether an error comes from torch's compiler or one that it calls (Triton, C++)."""
    rooms = ("torch._dynamo", "torch._inductor", "triton")
    return any(kind.__module__.startswith(rooms) for kind in type(error).__mro__)


def _onnx(network: nn.Module, calibration: Tensor | None, *, eight_bits: bool) -> Run:
    if eight_bits and (calibration is None or not len(calibration)):
        raise InputError("8 bits need frames to take their ranges from", hint="give calibration")
    onnxruntime = need("onnxruntime", "the dense backend onnx")

    with scratch_folder("sdcl_neuro") as folder:
        path = folder / "frames.onnx"
        path.write_bytes(_exported(network))
        if eight_bits and calibration is not None:
            path = _quantised(path, calibration)
        options = onnxruntime.SessionOptions()
        # Sessions are made before the batch is known: all that may be used; they sleep when idle.
        options.intra_op_num_threads = processors()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def run(frames: Tensor) -> Tensor:
        (maps,) = session.run(None, {"frames": frames.float().numpy()})
        return torch.from_numpy(maps)

    return run


def _exported(network: nn.Module) -> bytes:
    free = ({0: torch.export.Dim("batch")},)
    # Two frames: torch.export takes a batch of one for a constant.
    given = (torch.zeros(2, 3, *FRAME_SIZE, device="cpu"),)  # whatever the default device is
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's own uses of its own deprecated names
        graph = torch.export.export(network, given, dynamic_shapes=free, strict=False)
        program = torch.onnx.export(
            graph, dynamo=True, input_names=["frames"], dynamic_shapes=free, verbose=False
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    data: bytes = program.model_proto.SerializeToString()
    return data


def _quantised(path: Path, calibration: Tensor) -> Path:
    purpose = "the dense backend onnx-int8"
    quantization = need("onnxruntime.quantization", purpose)
    shape_inference = need("onnxruntime.quantization.shape_inference", purpose)

    class CalibrationFrames(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        def __init__(self) -> None:
            self.parts: Iterator[Any] = iter(calibration.float().split(CALIBRATION_BATCH))

        def get_next(self) -> dict[str, Any] | None:
            part = next(self.parts, None)
            return None if part is None else {"frames": part.numpy()}

    ready, done = path.with_name("ready.onnx"), path.with_name("int8.onnx")
    shape_inference.quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(ready),
        str(done),
        CalibrationFrames(),
        per_channel=True,
        # What the instructions of x86 multiply: unsigned by signed bytes.
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return done
