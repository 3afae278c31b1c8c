"""Carry a number together with its influence, so that every measure has a design-based error.

A survey estimate of a smooth measure has the design variance of the total of w_i u_i, where u_i is the derivative of
the estimate with respect to the weight of row i (Deville 1999; Binder and Kovacevic 1995). Totals have u = y. Sums,
products and ratios of quantities follow by the chain rule, so that a measure is written as its textbook formula and
its error comes along: C = 2 cov / mu, K = C - G, H (1 - C).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = Array | npt.NDArray[np.bool_] | float


_NOTHING = 1e-150


_ROUNDING = 1e-12
"""Two sums that agree to so many digits are the same: their difference is what rounding left, and nothing to test."""


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """Be one array of influences, made only when an error is asked for (a replicate asks for none)."""

    make: Callable[[], Values]


@dataclass(frozen=True, slots=True)
class Quantity:
    """Be a value and the terms of its influence: a coefficient for each base.

    Undefined values (a ratio with nothing below) are NaN and stay NaN.

    >>> w = np.array([1.0, 2.0, 1.0])
    >>> ratio = total(w, np.array([1.0, 2.0, 3.0])) / total(w, np.array([2.0, 2.0, 2.0]))
    >>> ratio.value, ratio.influence().tolist()
    (1.0, [-0.125, 0.0, 0.125])
    """

    value: float
    terms: tuple[tuple[float, Base], ...] = field(default=(), repr=False)

    def influence(self) -> Array | float:
        """Add up the influences of all rows: an array of as many values as rows, or one number for all of them."""
        whole: dict[int, tuple[float, Base]] = {}
        for scale, base in self.terms:
            known = whole.get(id(base))
            whole[id(base)] = (scale + known[0] if known else scale, base)
        out: Array | float = 0.0
        constant = 0.0
        for scale, base in whole.values():
            made = base.make()
            if isinstance(made, (int, float)):
                constant += scale * made
            elif isinstance(out, float):
                out = np.multiply(made, scale, dtype=np.float64)
            else:
                out += np.multiply(made, scale, dtype=np.float64)
        if isinstance(out, float):
            return constant
        if constant:
            out += constant
        return out

    def chain(self, value: float, slope: float) -> Quantity:
        """Give f(self), where `value` is f and `slope` its derivative here."""
        return Quantity(value, tuple((slope * scale, base) for scale, base in self.terms))

    def __add__(self, other: Quantity | float) -> Quantity:
        """Add a quantity or a plain number; what differs in its last digits only leaves nothing, not a rounding."""
        other = other if isinstance(other, Quantity) else Quantity(other)
        value = self.value + other.value
        if abs(value) < _ROUNDING * max(abs(self.value), abs(other.value)):
            value = 0.0
        return Quantity(value, self.terms + other.terms)

    __radd__ = __add__

    def __neg__(self) -> Quantity:
        """Turn the sign."""
        return self.chain(-self.value, -1.0)

    def __sub__(self, other: Quantity | float) -> Quantity:
        """Take off a quantity or a plain number."""
        return self + (-other)

    def __rsub__(self, other: float) -> Quantity:
        """Take this off a plain number."""
        return -self + other

    def __mul__(self, other: Quantity | float) -> Quantity:
        """Multiply with a quantity or a plain number."""
        other = other if isinstance(other, Quantity) else Quantity(other)
        scaled = self.chain(self.value, other.value).terms + other.chain(other.value, self.value).terms
        return Quantity(self.value * other.value, scaled)

    __rmul__ = __mul__

    def __truediv__(self, other: Quantity | float) -> Quantity:
        """Divide; nothing below gives NaN, and so does less than 1e-150, whose square no double holds."""
        other = other if isinstance(other, Quantity) else Quantity(other)
        if abs(other.value) < _NOTHING:
            return self * other.chain(math.nan, math.nan)
        return self * other.chain(1 / other.value, -1 / other.value**2)

    def __rtruediv__(self, other: float) -> Quantity:
        """Divide a plain number by this."""
        return Quantity(other) / self

    def __pow__(self, power: float) -> Quantity:
        """Raise to a plain power; NaN where that is not a real number."""
        if (self.value < 0 and not float(power).is_integer()) or (self.value == 0 and power < 0):
            return Quantity(math.nan)
        slope = power * self.value ** (power - 1) if self.value or power >= 1 else math.nan
        return self.chain(self.value**power, slope)

    def log(self) -> Quantity:
        """Take the natural logarithm; NaN at zero and below."""
        if not self.value > 0:
            return Quantity(math.nan)
        return self.chain(math.log(self.value), 1 / self.value)

    def exp(self) -> Quantity:
        """Take the exponential; NaN where no double holds it."""
        if self.value > 709:
            return Quantity(math.nan)
        value = math.exp(self.value)
        return self.chain(value, value)


def total(weight: Array, values: Values | Callable[[], Values], value: float | None = None) -> Quantity:
    """Estimate the total of a column: the sum of w y, with influence y.

    `values` may be a function that makes the influences when they are needed; then `value` gives the total itself.

    >>> total(np.array([1.0, 3.0]), np.array([2.0, 1.0])).value
    5.0
    """
    if callable(values):
        assert value is not None
        return Quantity(value, ((1.0, Base(values)),))
    if isinstance(values, (int, float)):
        return Quantity(float(weight.sum()) * values, ((1.0, Base(lambda: float(values))),))
    if value is None:
        value = float(weight[values].sum()) if values.dtype == np.bool_ else dot(weight, values)
    return Quantity(value, ((1.0, Base(lambda: values)),))


def dot(one: Array, other: Values) -> float:
    """Sum the products of two columns.

    Without BLAS, whose threads cost more than they save: where another program keeps a core busy they wait for each
    other, a hundred times longer than the sum takes, and they stand in each other's way when replicates run side by
    side.
    """
    return float(np.einsum("i,i->", one, other))


def count(weight: Array) -> Quantity:
    """Estimate the size of the population: the sum of the weights."""
    return total(weight, 1.0)


def mean(weight: Array, values: Values) -> Quantity:
    """Estimate a mean as a ratio of totals.

    >>> mean(np.array([1.0, 3.0]), np.array([2.0, 6.0])).value
    5.0
    """
    return total(weight, values) / count(weight)
