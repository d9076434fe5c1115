"""Loihi's integer neuron and the rounding that leads to it, in plain numpy.

One step of a neuron, with ``a`` the summed weights of the synapses that fired::

    u'  = toward_zero(u (4096 - iDecay) / 4096) + a 2^6       wrapped once: above 2^23 minus 2^24,
                                                              at or below -2^23 plus 2^24
    v'  = clip(toward_zero(v (4096 - vDecay) / 4096) + u' + b 2^6, -(2^23 - 1), 2^23 - 1)
    s   = v' > vThMant 2^6                                    strictly
    v   = 0 where s                                           u is not reset

Source: lava-nc 0.10.0, ``lava/proc/lif/models.py``, ``AbstractPyLifModelFixed.subthr_dynamics``
and ``PyLifModelBitAcc``; lava-dl 0.6.0, ``netx/hdf5.py`` for ``du = iDecay - 1``, ``dv = vDecay``,
``bias_exp = 6``. Lava keeps both states in 32-bit registers and wraps the current only once, so
an input beyond 2^24 leaves a current beyond 24 bits; the functions here do the same.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError

from .spec import IntNeuron

DECAY_BITS = 12
"""Fraction bits of both decays (`AbstractPyLifModelFixed.decay_shift`)."""
DECAY_UNITY = 1 << DECAY_BITS
STATE_SHIFT = 6
"""Input, bias and threshold stand 6 bits further left (``act_shift``, ``vth_shift``)."""
STATE_LIMIT = 1 << 23
"""States have 24 bits with their sign (``max_uv_val``)."""
CONVOLUTION_BITS = 24
"""A convolution's sum wraps to so many bits (`PyConvModelFixed.clamp_precision`)."""
THRESHOLD_MAX = (1 << 17) - 1
"""Largest ``vth``, 17 bits unsigned (docstring of `PyLifModelBitAcc`)."""
BIAS_MIN, BIAS_MAX = -(1 << 12), (1 << 12) - 1
"""Range of ``bias_mant``, 13 bits signed (docstring of `PyLifModelBitAcc`)."""
WEIGHT_MIN, WEIGHT_MAX = -256, 254
"""Range of an even 8-bit weight of mixed sign (``lava/utils/weightutils.py``)."""
DELAY_MAX = 62
"""Longest axonal delay that netx takes, in steps (``netx/hdf5.py``, ``create_dense``)."""


class NeuronState(NamedTuple):
    """State after one step; all arrays have the population's shape.

    Attributes:
        current, voltage: int64, the states after the step.
        spikes: bool.
        wrapped: bool, where the current wrapped around.
        saturated: bool, where the membrane was clipped.
    """

    current: NDArray[np.int64]
    voltage: NDArray[np.int64]
    spikes: NDArray[np.bool_]
    wrapped: NDArray[np.bool_]
    saturated: NDArray[np.bool_]


def voltage_decay(beta: float) -> int:
    """Return ``vDecay`` = round(4096 (1 - beta)), half to even, for a membrane decay in [0, 1]."""
    return _decay("beta", beta)


def current_decay(alpha: float) -> int:
    """Return ``iDecay`` = round(4096 (1 - alpha)), half to even, for a current decay in [0, 1]."""
    return _decay("alpha", alpha)


def quantize_weight(weight: ArrayLike, scale: float) -> NDArray[np.int32]:
    """Round weights to the even integers a mixed-sign synapse stores.

    Args:
        weight: float, any shape.
        scale: integer weight per unit of float weight.

    Returns:
        int32, 2 round(weight scale / 2), half to even, clipped to [-256, 254].
    """
    halves = np.rint(_scaled("weight", weight, scale) / 2)
    even: NDArray[np.float64] = np.clip(2 * halves, WEIGHT_MIN, WEIGHT_MAX)
    return even.astype(np.int32)


def quantize_threshold(threshold: float, scale: float) -> int:
    """Return ``vThMant`` = round(threshold scale), half to even; its range is not checked here."""
    return int(np.rint(_scaled("threshold", threshold, scale)))


def quantize_bias(bias: ArrayLike, scale: float) -> NDArray[np.int32]:
    """Return ``bias_mant`` = round(bias scale), half to even, int32; 13 bits are not checked."""
    rounded = np.rint(_scaled("bias", bias, scale))
    if np.abs(rounded).max(initial=0) > np.iinfo(np.int32).max:
        raise InputError("a bias exceeds 32 bits", hint="lower the bias or the scale")
    return rounded.astype(np.int32)


def decay_towards_zero(state: NDArray[np.int64], decay: int) -> NDArray[np.int64]:
    """Return ``state (4096 - decay) / 4096`` rounded towards zero, exactly."""
    kept = np.asarray(state, dtype=np.int64) * (DECAY_UNITY - decay)
    decayed: NDArray[np.int64] = np.sign(kept) * (np.abs(kept) >> DECAY_BITS)
    return decayed


def wrap_current(current: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Wrap a current that left 24 bits around, once; also return where it did."""
    above, below = current > STATE_LIMIT, current <= -STATE_LIMIT
    return current + 2 * STATE_LIMIT * (below.astype(np.int64) - above), above | below


def wrap_convolution(total: NDArray[np.int64]) -> NDArray[np.int64]:
    """Wrap a convolution's sums to 24 bits with sign (``lava/proc/conv/utils.signed_clamp``)."""
    half = 1 << (CONVOLUTION_BITS - 1)
    return (total + half) % (2 * half) - half


def neuron_step(
    current: NDArray[np.int64],
    voltage: NDArray[np.int64],
    activation: NDArray[np.int64],
    *,
    neuron: IntNeuron,
    bias: NDArray[np.int64] | int = 0,
) -> NeuronState:
    """Advance a population by one step; the equations are those at the head of this module.

    Args:
        current, voltage: int64, the states before the step, of one shape.
        activation: int64, the weights received in this step, summed.
        neuron: decays and threshold.
        bias: the bias mantissa, broadcast against the states.
    """
    received = _int32(np.asarray(activation, dtype=np.int64) << STATE_SHIFT)
    current, wrapped = wrap_current(
        _int32(decay_towards_zero(current, neuron.current_decay) + received)
    )
    offset = np.asarray(bias, dtype=np.int64) << STATE_SHIFT
    target = _int32(decay_towards_zero(voltage, neuron.voltage_decay) + current + offset)
    limited = np.clip(target, 1 - STATE_LIMIT, STATE_LIMIT - 1)
    spikes = limited > (neuron.threshold << STATE_SHIFT)
    return NeuronState(current, np.where(spikes, 0, limited), spikes, wrapped, limited != target)


def _decay(name: str, kept: float) -> int:
    if not 0.0 <= kept <= 1.0:
        raise InputError(f"{name} is {kept}, not in [0, 1]", hint="give the decay per step")
    return int(np.rint(DECAY_UNITY * (1.0 - np.float64(kept))))


def _scaled(name: str, value: ArrayLike, scale: float) -> NDArray[np.float64]:
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"the scale {scale} of a {name} is not a positive number")
    product = np.asarray(value, dtype=np.float64) * np.float64(scale)
    if not np.isfinite(product).all():
        raise InputError(f"a {name} is not finite", hint="train it again or remove it")
    return product


def _int32(value: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what a 32-bit register keeps of a value."""
    return value.astype(np.int32).astype(np.int64)
