"""Intervals of costs: what is known is a low and a high end, and arithmetic keeps both."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A cost between `low` and `high`, neither negative; an open upper end is infinite."""

    low: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __mul__(self, other: Interval) -> Interval:
        return Interval(_product(self.low, other.low), _product(self.high, other.high))

    def scaled(self, factor: float) -> Interval:
        """Return both ends times one factor, which is not negative."""
        return self * Interval(factor, factor)

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"at least {figure(self.low)}"
        low, high = figure(self.low), figure(self.high)
        return low if low == high else f"{low} to {high}"


ZERO = Interval(0.0, 0.0)
ONE = Interval(1.0, 1.0)


def total(intervals: Iterable[Interval]) -> Interval:
    """Return sum of intervals; nothing sums to zero."""
    return sum(intervals, ZERO)


def hull(intervals: Iterable[Interval]) -> Interval:
    """Return the smallest interval that holds all of them; at least one is needed."""
    listed = list(intervals)
    return Interval(min(i.low for i in listed), max(i.high for i in listed))


def finite(value: float) -> float | None:
    """Return a number for JSON: null for an open end."""
    return None if math.isinf(value) else value


def figure(value: float) -> str:
    """Return three significant digits, thousands separated, no exponent for everyday sizes."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e15 or size < 1e-4:
        return f"{value:.3g}"
    decimals = max(0, 2 - math.floor(math.log10(size)))
    return f"{round(value, decimals):,.{decimals}f}"


def _product(a: float, b: float) -> float:
    # Nothing done at an unbounded price still costs nothing.
    return 0.0 if a == 0 or b == 0 else a * b
