"""When two tracklets are the same person: error rates by threshold, from persons not trained on.

A right pair is one person seen by two cameras, a wrong pair two persons. At a threshold, the false
match rate is the part of wrong pairs at least so alike, the false non-match rate the part of right
pairs that are less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .distances import distance_matrix

SCHEMA = {"name": "sdcl_neuro.verification", "version": 1}
POINTS = 401
"""Thresholds kept of an error curve, cosines from -1 to 1."""
USUAL_RATE = 0.01


@dataclass(frozen=True, eq=False)
class Verification:
    """An error curve.

    Attributes:
        persons: whose pairs were compared.
        right_pairs, wrong_pairs: how many.
        cosines: float64 ``[P]``, thresholds, ascending.
        false_match, false_non_match: float64 ``[P]``, rates at them.
    """

    persons: int
    right_pairs: int
    wrong_pairs: int
    cosines: NDArray[np.float64]
    false_match: NDArray[np.float64]
    false_non_match: NDArray[np.float64]

    def threshold(self, rate: float) -> float:
        """Return the lowest threshold whose false match rate is at most `rate`.

        Raises:
            InputError: a rate out of range, or lower than so many wrong pairs can tell.
        """
        if not 0 < rate < 1:
            raise InputError(
                f"a false match rate of {rate:g}", where="--false-match-rate", hint="give 0 to 1"
            )
        if rate * self.wrong_pairs < 1:
            raise InputError(
                f"a false match rate of {rate:g} from {self.wrong_pairs:,} wrong pairs",
                where="--false-match-rate",
                hint=f"give {1 / max(1, self.wrong_pairs):.2g} or more, or train with more "
                "training.validation_persons",
            )
        return float(self.cosines[np.argmax(self.false_match <= rate)])

    def missed(self, threshold: float) -> float:
        """Return the false non-match rate at a threshold."""
        return float(np.interp(threshold, self.cosines, self.false_non_match))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": SCHEMA,
            "measure": "cosine",
            "persons": self.persons,
            "right_pairs": self.right_pairs,
            "wrong_pairs": self.wrong_pairs,
            "cosines": self.cosines.round(6).tolist(),
            "false_match": self.false_match.tolist(),
            "false_non_match": self.false_non_match.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verification:
        """Return the inverse of `to_dict`.

        Raises:
            InputError: it is not what `to_dict` gives.
        """
        try:
            curves = [
                np.array(values[name], np.float64)
                for name in ("cosines", "false_match", "false_non_match")
            ]
            good = values["schema"] == SCHEMA and all(c.shape == curves[0].shape for c in curves)
            counts = [int(values[name]) for name in ("persons", "right_pairs", "wrong_pairs")]
        except (KeyError, TypeError, ValueError):
            good, curves, counts = False, [], []
        if not good or curves[0].ndim != 1 or not len(curves[0]):
            raise InputError("a damaged error curve in the checkpoint", hint="train it again")
        return cls(counts[0], counts[1], counts[2], *curves)

    def __str__(self) -> str:
        rates = [rate for rate in (0.1, 0.01, 0.001) if rate * self.wrong_pairs >= 1]
        said = ", ".join(
            f"{self.threshold(rate):.3f} at a false match rate of {rate:g} (misses "
            f"{self.missed(self.threshold(rate)):.0%})"
            for rate in rates
        )
        return (
            f"same person from a cosine of: {said or 'unknown, too few pairs'}; "
            f"{self.persons} validation persons, {self.right_pairs:,} right and "
            f"{self.wrong_pairs:,} wrong pairs"
        )


def verification(
    embeddings: NDArray[np.float32], persons: NDArray[np.int64], cameras: NDArray[np.int64]
) -> Verification | None:
    """Return the error curve of tracklets; None where they give no right or no wrong pair.

    Args:
        embeddings: ``[N, D]``.
        persons, cameras: ``[N]``; a person's pairs within one camera are near copies, and left out.
    """
    cosine = 1.0 - distance_matrix(embeddings, embeddings)
    above = np.triu(np.ones(cosine.shape, bool), 1)
    same = persons[:, None] == persons[None]
    right = np.sort(cosine[above & same & (cameras[:, None] != cameras[None])])
    wrong = np.sort(cosine[above & ~same])
    if not len(right) or not len(wrong):
        return None
    grid = np.linspace(-1.0, 1.0, POINTS)
    grid = np.append(grid, np.nextafter(1.0, 2.0) + 1e-6)  # above every pair: nothing matches
    return Verification(
        len(np.unique(persons)),
        len(right),
        len(wrong),
        grid,
        1.0 - np.searchsorted(wrong, grid, "left") / len(wrong),
        np.searchsorted(right, grid, "left") / len(right),
    )
