"""Variations of the deployed event branch: weight bits, time bins, threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.fixed_point import THRESHOLD_MAX, WEIGHT_MAX, WEIGHT_MIN
from sdcl_neuro.network.spec import FloatLayer, FloatNetwork, IntLayer, IntNetwork

FULL_BITS = 8
"""Weight bits of a mixed-sign synapse: even integers from -256 to 254."""
FEWEST_BITS = 2


@dataclass(frozen=True)
class Setting:
    """One way to deploy.

    Attributes:
        bits: of the integer weights, 2 to 8; fewer take a coarser grid over the same range, as
            4 bits are the multiples of 32 from -256 to 224. The float branch has no bits.
        bins: time steps per frame; None as trained.
        threshold: factor on every neuron's threshold, float and integer.
    """

    bits: int = FULL_BITS
    bins: int | None = None
    threshold: float = 1.0

    def __post_init__(self) -> None:
        if not FEWEST_BITS <= self.bits <= FULL_BITS:
            raise InputError(f"{self.bits} bits", hint=f"give {FEWEST_BITS} to {FULL_BITS}")
        if self.bins is not None and self.bins < 1:
            raise InputError(f"{self.bins} bins", hint="give at least 1")
        if not (np.isfinite(self.threshold) and self.threshold > 0):
            raise InputError(f"threshold {self.threshold}", hint="give a positive factor")

    @property
    def trained(self) -> bool:
        """Whether nothing differs from training."""
        return self == Setting()

    def __str__(self) -> str:
        parts = [f"{self.bits} bits"] if self.bits != FULL_BITS else []
        parts += [f"{self.bins} bins"] if self.bins is not None else []
        parts += [f"threshold x {self.threshold:g}"] if self.threshold != 1.0 else []
        return ", ".join(parts) or "as trained"


@public
def parse_sweep(texts: Sequence[str], *, combined: bool = False) -> tuple[Setting, ...]:
    """Return settings of ``NAME=VALUE,VALUE,...``, the trained one first.

    Args:
        texts: one for each name, or several.
        combined: every combination of the values given, instead of one name varied at a time.

    Raises:
        InputError: another name, or values that are not numbers in range.
    """
    varied: dict[str, list[Any]] = {}
    if isinstance(texts, str):
        texts = (texts,)
    for text in texts:
        name, equals, values = text.partition("=")
        kinds = {"bits": int, "bins": int, "threshold": float}
        if not equals or name not in kinds:
            raise InputError(
                f"sweep {text!r}", hint="give bits=8,6,5,4, bins=2,4,8 or threshold=0.8,1,1.25"
            )
        for value in values.split(","):
            try:
                number = kinds[name](value)
            except ValueError:
                raise InputError(f"{name} {value!r} in a sweep", hint="give a number") from None
            varied.setdefault(name, []).append(number)
    if combined:
        chosen = [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
    else:
        chosen = [{name: value} for name, values in varied.items() for value in values]
    return tuple(dict.fromkeys([Setting(), *(Setting(**one) for one in chosen)]))


def apply_float(net: FloatNetwork, setting: Setting) -> FloatNetwork:
    """Return the float branch with the setting's threshold."""
    return replace(net, layers=tuple(_float_layer(layer, setting) for layer in net.layers))


def apply_integer(net: IntNetwork, floating: FloatNetwork | None, setting: Setting) -> IntNetwork:
    """Return the integer branch at the setting's bits and threshold.

    Args:
        net: as deployed, at 8 bits.
        floating: the weights before they were rounded, so that they are rounded once; without
            them, or where a layer has no scale, the 8-bit integers are rounded again.
        setting: as trained, it changes nothing.

    Raises:
        InputError: a threshold beyond the chip's 17 bits, or one that rounds to nothing.
    """
    layers = []
    for index, layer in enumerate(net.layers):
        before = None if floating is None else floating.layers[index]
        layers.append(_integer_layer(layer, before, setting))
    return replace(net, layers=tuple(layers))


def _float_layer(layer: FloatLayer, setting: Setting) -> FloatLayer:
    threshold = layer.neuron.threshold * setting.threshold
    return replace(layer, neuron=replace(layer.neuron, threshold=threshold))


def _integer_layer(layer: IntLayer, before: FloatLayer | None, setting: Setting) -> IntLayer:
    threshold = int(np.rint(layer.neuron.threshold * setting.threshold))
    if not 0 < threshold <= THRESHOLD_MAX:
        raise InputError(
            f"threshold {layer.neuron.threshold} times {setting.threshold:g} is {threshold}",
            where=layer.name,
            hint=f"give a factor that leaves it from 1 to {THRESHOLD_MAX}",
        )
    changed = replace(layer, neuron=replace(layer.neuron, threshold=threshold))
    if setting.bits == FULL_BITS:
        return changed
    scale = None if before is None else before.scale
    weight: NDArray[Any] = layer.weight
    recurrent: NDArray[Any] | None = layer.recurrent_weight
    if before is not None and scale is not None:
        weight = before.weight.astype(np.float64) * scale
        if before.recurrent_weight is not None:
            recurrent = before.recurrent_weight.astype(np.float64) * scale
    return replace(
        changed,
        weight=coarse(weight, setting.bits),
        recurrent_weight=None if recurrent is None else coarse(recurrent, setting.bits),
    )


def coarse(weight: NDArray[Any], bits: int) -> NDArray[np.int32]:
    """Return the nearest of the 2^bits multiples of 2^(9 - bits) from -256 up; half to even."""
    step = 2 ** (FULL_BITS + 1 - bits)
    rounded: NDArray[np.float64] = step * np.rint(np.asarray(weight, np.float64) / step)
    return np.clip(rounded, WEIGHT_MIN, WEIGHT_MAX + 2 - step).astype(np.int32)
