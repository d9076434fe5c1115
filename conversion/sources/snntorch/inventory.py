"""Which torch modules are steps of a chain that can be lowered, and why the others are not."""

from __future__ import annotations

from typing import Any

from torch import nn

from sdcl_neuro.network.spec import Shape

from ...lowering.pooling import Divide, Pool, adaptive_axis, window_axis
from ...lowering.populations import Reason, Unsupported

_POOL_MEND = "use nn.AvgPool2d, which is folded into the next layer, or a strided convolution"
_MAX_POOL = Reason("max pooling has no spiking equivalent on the chip", _POOL_MEND, of_chains=True)
_LINE_POOL = Reason(
    "pooling along a line is not folded",
    "give it a height of one and use AvgPool2d",
    of_chains=True,
)
_ACTIVATION = Reason("the neuron is the only non-linearity", "remove it")
_NORM = Reason("it normalises by the data at hand", "use BatchNorm, which folds")
_TRANSPOSED = Reason(
    "netx has no transposed convolution", "use a convolution, or a Linear", of_chains=True
)
_LINE = Reason(
    "convolutions along a line are not in netx", "use Conv2d with a height of one", of_chains=True
)
# By the type's name.
REFUSED: dict[str, Reason] = {
    **dict.fromkeys(
        ("MaxPool1d", "MaxPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "FractionalMaxPool2d"),
        _MAX_POOL,
    ),
    **dict.fromkeys(("AvgPool1d", "LPPool1d", "AdaptiveAvgPool1d"), _LINE_POOL),
    **dict.fromkeys(("ReLU", "LeakyReLU", "Sigmoid", "Tanh", "GELU", "SiLU"), _ACTIVATION),
    **dict.fromkeys(("LayerNorm", "GroupNorm", "InstanceNorm2d"), _NORM),
    **dict.fromkeys(
        ("BatchNormTT1d", "BatchNormTT2d"),
        Reason(
            "its statistics differ from step to step, which no weight can hold", "use BatchNorm"
        ),
    ),
    **dict.fromkeys(("ConvTranspose1d", "ConvTranspose2d"), _TRANSPOSED),
    "Conv1d": _LINE,
    **dict.fromkeys(
        ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell", "LeakyParallel"),
        Reason("it keeps states that no neuron of the chip has", "use Leaky, or RLeaky"),
    ),
    "Upsample": Reason("netx cannot enlarge", "use a Linear", of_chains=True),
}
QUANTISED = (
    "is quantised by torch, whose arithmetic is another than the chip's",
    "give the module before torch quantises it; conversion.quantize rounds it for the chip",
)
SYNAPSES = (nn.Conv2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)
DROPOUTS = (
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)
POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.LPPool2d)
PLAIN: tuple[type[Any], ...] = (*SYNAPSES, *NORMS, *DROPOUTS, *POOLS, nn.Identity, nn.Flatten)


def read_pool(name: str, module: nn.Module, shape: Shape) -> Pool:
    """Return the pooling that `module` is for an input of `shape`; `Unsupported` if it is none.

    ``AvgPool2d(divisor_override=1)`` and ``LPPool2d(1, ...)`` are sums.
    """
    if len(shape) != 3:
        raise Unsupported([(f"pools {list(shape)}", "put it before the Flatten")])
    size = shape[1:]
    if isinstance(module, nn.AdaptiveAvgPool2d):
        wanted = [old if new is None else new for old, new in zip(size, _pair(module), strict=True)]
        rows, columns = (adaptive_axis(old, new) for old, new in zip(size, wanted, strict=True))
        return Pool(rows, columns, f"{name}: average pooling to {wanted[0]}x{wanted[1]}")
    kernel, stride, padding, divide, divisor = _windows(module)
    axes = []
    for index in range(2):
        try:
            axes.append(
                window_axis(
                    size[index],
                    kernel=kernel[index],
                    stride=stride[index],
                    padding=padding[index],
                    ceil=bool(module.ceil_mode),
                    divide=divide,
                )
            )
        except ValueError as error:
            what = f"cannot pool {list(shape)}: {error}"
            raise Unsupported([(what, "use a smaller window")]) from None
    rows, columns = axes
    if divisor != 1:
        rows = type(rows)(rows.matrix / divisor, rows.stride, rows.padding, rows.template / divisor)
    summed = isinstance(module, nn.LPPool2d) or (divide == "none" and divisor == 1)
    kind = "sum" if summed else "average"
    return Pool(rows, columns, f"{name}: {kind} pooling {kernel[0]}x{kernel[1]}")


def _windows(module: Any) -> tuple[Any, Any, Any, Divide, float]:
    """Return kernel, stride, padding, what is divided by, and a divisor of its own."""
    kernel = _two(module.kernel_size)
    stride = _two(module.stride if module.stride is not None else module.kernel_size)
    if isinstance(module, nn.LPPool2d):
        if module.norm_type != 1:
            what = f"norm_type {module.norm_type:g} is not a sum"
            raise Unsupported([(what, "use norm_type=1, the sum, or AvgPool2d")])
        # torch takes the mean of each window, truncated ones too, times the whole window's size.
        return kernel, stride, (0, 0), "all", 1 / (kernel[0] * kernel[1])
    divide: Divide = "all" if module.count_include_pad else "inside"
    if module.divisor_override is not None:
        return kernel, stride, _two(module.padding), "none", float(module.divisor_override)
    return kernel, stride, _two(module.padding), divide, 1.0


def _pair(module: nn.AdaptiveAvgPool2d) -> Any:
    return module.output_size if isinstance(module.output_size, tuple) else _two(module.output_size)


def _two(value: Any) -> Any:
    return (value, value) if not isinstance(value, tuple | list) else tuple(value)
