"""Similarity above which two tracks are one person, from a checkpoint's validation persons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.sdcl_checkpoint import SdclCheckpoint

from ..metrics.verification import USUAL_RATE, Verification

PROVENANCE_KEY = "verification"
UNKNOWN = "unknown person"
NO_CURVE = (
    "no one is called an unknown person: the checkpoint holds no error curve of validation "
    "persons, so no threshold is known (train with training.validation_persons)"
)


@dataclass(frozen=True, eq=False)
class Recognition:
    """A threshold at a stated false match rate.

    Attributes:
        verification: the error curve of the checkpoint's validation persons.
        rate: false match rate, of one comparison of two tracklets.
        threshold: cosine from which two are taken for the same person.
        assumed: whether no one stated the rate.
    """

    verification: Verification
    rate: float
    threshold: float
    assumed: bool

    def line(self) -> str:
        """Return a line for the terminal and the report."""
        curve = self.verification
        return (
            f"the same person from a cosine of {self.threshold:.3f}: false match rate "
            f"{self.rate:g} a comparison, misses {curve.missed(self.threshold):.0%} of right pairs "
            f"({curve.persons} validation persons)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "false_match_rate": self.rate,
            "threshold": self.threshold,
            "false_non_match_rate": self.verification.missed(self.threshold),
            "curve": self.verification.to_dict(),
        }


def recognition_of(checkpoint: SdclCheckpoint, rate: float | None) -> Recognition | None:
    """Return the threshold of a checkpoint; None if it holds no error curve and none was asked for.

    Args:
        checkpoint: as loaded.
        rate: false match rate; None takes `USUAL_RATE`, or what the validation pairs can tell.

    Raises:
        InputError: a rate was asked for and the checkpoint cannot tell it.
    """
    stored = checkpoint.provenance.get(PROVENANCE_KEY)
    if stored is None:
        if rate is None:
            return None
        raise InputError(
            "the checkpoint holds no error curve: it was trained without validation persons",
            where="--false-match-rate",
            hint="train with training.validation_persons, or leave it out",
        )
    curve = Verification.from_dict(stored)
    taken = rate
    if taken is None:
        taken = max(USUAL_RATE, 1.0 / curve.wrong_pairs)
        if taken >= 1:
            return None
    return Recognition(curve, taken, curve.threshold(taken), rate is None)
