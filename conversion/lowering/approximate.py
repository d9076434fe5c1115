"""How a population may differ from the chip's neuron and still be converted, approximately."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Approximation:
    """What an approximation leaves out.

    Attributes:
        subtracts: the reset takes the threshold off the membrane, instead of zeroing it.
        late: the reset comes with the next step (snnTorch's ``reset_delay``).
        rest: what a spike sets the membrane to, in units of the weights; the description counts
            from there, and so starts there, not at zero.
        filters_bias: the bias goes through the current's decay; the description's is what it
            comes to in the end, ``bias / (1 - alpha)``.
    """

    subtracts: bool = False
    late: bool = False
    filters_bias: bool = False
    rest: float = 0.0

    @property
    def words(self) -> tuple[str, ...]:
        """Each thing left out, in words."""
        return tuple(self._words())

    def _words(self) -> Iterator[str]:
        if self.subtracts:
            yield "reset by subtraction became reset to zero"
        elif self.late:
            yield "a reset one step late, which swallows that step's input, became immediate"
        if self.rest:
            yield f"a reset to {self.rest:g} became the zero that is counted from; it starts there"
        if self.filters_bias:
            yield "a bias after the current's decay became the constant it tends to"
