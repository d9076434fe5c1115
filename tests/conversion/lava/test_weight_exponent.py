"""What we say netx and Lava make of a dense matrix is what they make of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sdcl_neuro.conversion.targets.netx.weight_exponent import delivered, lost_weights, packing

RECURRENT = 4  # the last columns of a recurrent case


def _cases() -> dict[str, NDArray[np.int64]]:
    """Matrices of all signs, sizes and parities, at and around every limit."""
    rng = np.random.default_rng(7)
    cases = {}
    edges = [1, 2, 3, 63, 64, 100, 126, 127, 128, 129, 200, 253, 254, 255, 256, 257, 300]
    for index in range(1200):
        low, high = -int(rng.choice([0, *edges])), int(rng.choice([0, *edges]))
        step = int(rng.choice([1, 1, 2, 2, 4, 8]))
        matrix = rng.integers(low, high + 1, (4, 8)) // step * step
        if rng.random() < 0.5:  # the limits themselves
            matrix.flat[:2] = low, high
        if matrix.any():
            cases[f"{'rec' if index % 3 == 0 else 'dense'}_{index}"] = matrix
    return cases


@pytest.mark.lava
def test_same_as_netx_and_lava(tmp_path: Path, in_lava: Callable[..., None]) -> None:
    cases = _cases()
    np.savez(tmp_path / "in.npz", **cases)
    in_lava("weights", tmp_path / "in.npz", tmp_path / "out.npz")
    exact = 0
    with np.load(tmp_path / "out.npz") as found:
        for name, matrix in cases.items():
            split = [matrix[:, :-RECURRENT], matrix[:, -RECURRENT:]]
            parts = split if name.startswith("rec") else [matrix]
            how = packing(matrix)
            assert how is not None
            ours = np.hstack([delivered(part, how) for part in parts])
            theirs = found[name]
            # Where something is lost, only that matters, not what is left of it.
            assert np.array_equal(ours == matrix, theirs == matrix), (matrix, how, theirs)
            lost = lost_weights(*parts)
            if lost is None:
                exact += 1
                assert np.array_equal(theirs, matrix)
            elif np.array_equal(theirs, matrix):
                assert how.bits > 8  # Lava's simulation is more generous than the chip
    assert 300 < exact < len(cases) - 300


def test_eight_bits_hold_only_even_weights_of_both_signs() -> None:
    odd = np.array([[200, -3], [7, 5]])
    lost = lost_weights(odd)
    assert lost is not None
    assert "a weight of -3 that no weight exponent represents with the largest, 200" in lost[0]
    assert lost_weights(odd * 2 // 4 * 2) is None
