"""What netx and Lava's dense synapse make of a weight matrix, and whether anything is lost.

netx looks for an exponent: it shifts the matrix left as far as 8 bits allow, and Lava shifts the
sum of what arrives right again. Between the two, Lava clips and truncates in silence. The steps
here follow lava-dl 0.6.0 `netx/utils.py` (optimize_weight_bits) and lava-nc 0.10.0
`utils/weightutils.py` (determine_sign_mode, clip_weights, truncate_weights).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]
WIDTH = 8  # bits of a Loihi weight


@dataclass(frozen=True)
class Packing:
    """How netx packs a matrix.

    Attributes:
        low, high: least and greatest weight after netx has clipped them.
        shift: weights are stored shifted left by this many bits (netx's minus weight_exponent).
        bits: netx's num_weight_bits; for odd weights beside large ones of the other sign it asks
            for 9, which Lava's simulation grants and no chip has.
    """

    low: int
    high: int
    shift: int
    bits: int


def packing(weight: Integers) -> Packing | None:
    """Return what netx chooses for `weight`; None if it breaks, which it does on a matrix of zeros.

    Args:
        weight: ``[N_out, N_in]``, for a recurrent layer both matrices side by side.
    """
    weight = _clipped(weight, low=int(weight.min()), high=int(weight.max()))
    low, high = int(weight.min()), int(weight.max())
    if low == high == 0:
        return None
    # netx calls a matrix mixed unless all weights are negative or none is.
    mixed = low < 0 <= high
    scales = [(127 if mixed else 255) / high] if high > 0 else []
    scales += [(128 if mixed else 256) / -low] if low < 0 else []
    shift = int(np.floor(np.log2(min(scales)))) + mixed
    precision = max(n for n in range(WIDTH + 1) if not (weight % 2**n).any()) - mixed
    return Packing(low, high, shift, WIDTH - shift - precision)


def delivered(weight: Integers, how: Packing) -> Integers:
    """Return what each synapse adds to the sum in Lava, in units of one, as int64 ``[N_out,
    N_in]``.

    A weight that comes out otherwise than it went in is lost.
    """
    weight = np.clip(weight.astype(np.int64), how.low, how.high)
    inhibitory = bool(weight.max() <= 0) and bool(weight.min() < 0)
    mixed = bool(weight.min() < 0 < weight.max())
    drop = WIDTH - how.bits + mixed
    if how.shift < 0 or drop < 0:  # numpy shifts by a negative count: nothing is left
        return np.zeros(weight.shape, np.int64)
    stored = np.abs(weight) if inhibitory else weight
    stored = np.clip(stored << how.shift, -(2**WIDTH) if mixed else 0, 2**WIDTH - 1)
    stored = stored >> drop << drop
    # The sum is shifted back, not its terms: only whole multiples come out as they went in.
    whole = np.where(stored % 2**how.shift == 0, stored >> how.shift, 0)
    return -whole if inhibitory else whole


def lost_weights(weight: Integers, recurrent: Integers | None = None) -> tuple[str, str] | None:
    """Return why Lava would not compute with these weights as they are, and the mend; None if it
    would.

    A recurrent layer's two matrices share one exponent.
    """
    parts = [weight] if recurrent is None else [weight, recurrent]
    how = packing(np.hstack(parts))
    if how is None:
        return "all weights are zero, on which netx breaks", "remove the layer or train it"
    chip = replace(how, bits=min(how.bits, WIDTH))
    for part in parts:
        wrong = (part != delivered(part, how)) | (part != delivered(part, chip))
        if wrong.any():
            return (
                f"a weight of {int(part[wrong][0])} that no weight exponent represents with "
                f"the largest, {_largest(parts)}",
                "use even weights in -256 to 254 (all positive: up to 255, all negative: "
                "down to -255)",
            )
    return None


def _clipped(weight: Integers, *, low: int, high: int) -> Integers:
    """Clip as netx does where both signs occur and one is out of range."""
    if (high > 254 and low < 0) or (low < -256 and high > 0):
        return np.clip(weight, -256, 254)
    return weight


def _largest(parts: list[Integers]) -> int:
    return max((int(end) for part in parts for end in (part.min(), part.max())), key=abs)
