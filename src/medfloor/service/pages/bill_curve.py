"""Draw what a bill costs as it grows: who pays which part of it, what one more yuan costs, and where it jumps.

Only the places of points and words are worked out here; the template draws them, without a style attribute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from medfloor.service.pages.shown import colour_of
from medfloor.words import say

if TYPE_CHECKING:
    from medfloor.simulation import HouseholdCurve
    from medfloor.simulation.household import FamilyCliff

WIDE, HIGH = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 34
RATIO_HIGH = 130
TABLE_ROWS = 11
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Tick:
    """Be a mark on an axis: where, and what it says."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Shape:
    """Be a drawn part: its class (a colour), what it is, and the path."""

    kind: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Row:
    """Be a row of the table: the bill, what each head pays (fen), the own part and its share of one more yuan."""

    bill: int
    paid: tuple[int, ...]
    own: int
    marginal: float | None
    other_own: int | None
    other_marginal: float | None


@dataclass(frozen=True, slots=True)
class Figure:
    """Be a curve ready to be drawn, with its table."""

    areas: tuple[Shape, ...]
    lines: tuple[Shape, ...]
    ratios: tuple[Shape, ...]
    cliffs: tuple[tuple[float, FamilyCliff, bool], ...]
    """Where each stands, the cliff, and whether it is one of the second law."""

    across: tuple[Tick, ...]
    upright: tuple[Tick, ...]
    shares: tuple[Tick, ...]
    heads: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]


def figure_of(
    curve: HouseholdCurve, names: dict[str, str], lang: str, *, other: HouseholdCurve | None = None
) -> Figure:
    """Lay out a curve: the first law's payers as areas, and the own part of a second law as a line beside it.

    The second law is the curve's second scenario, or the first of `other`. `names` are those of the tiers.
    """
    laws = _laws(curve) + (_laws(other)[:1] if other is not None else [])
    first, second = laws[0], laws[1] if len(laws) > 1 else None
    high = float(first[-1]["amount"])
    steps = _ticks(high)

    def x(amount: float) -> float:
        return LEFT + (WIDE - LEFT - RIGHT) * amount / high

    def y(amount: float) -> float:
        return HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * amount / high

    def ratio_y(share: float) -> float:
        return RATIO_HIGH - BOTTOM - (RATIO_HIGH - TOP - BOTTOM) * min(1.0, max(0.0, share))

    tiers = [one for one in curve.tiers if any(row[f"pay_{one}"] for row in first)]
    lines = [Shape("own-line", "own", _line(_own(first, _cliffs(curve, None), False, x, y)))]
    ratios = [Shape("own-line", "own", _stairs(first, x, ratio_y))]
    if second is not None:
        lines.append(Shape("other-line", "other", _line(_own(second, _cliffs(curve, other), True, x, y))))
        ratios.append(Shape("other-line", "other", _stairs(second, x, ratio_y)))
    return Figure(
        areas=tuple(_areas(first, tiers, names, lang, x, y)),
        lines=tuple(lines),
        ratios=tuple(ratios),
        cliffs=tuple((round(x(one.at_fen / 100), 1), one, later) for one, later in _cliffs(curve, other)),
        across=tuple(Tick(round(x(step), 1), _amount(step, lang)) for step in steps),
        upright=tuple(Tick(round(y(step), 1), _amount(step, lang)) for step in steps),
        shares=tuple(Tick(round(ratio_y(share), 1), f"{100 * share:.0f} %") for share in (0, 0.5, 1)),
        heads=tuple((colour_of(one), names.get(one, one)) for one in tiers),
        rows=tuple(_rows(first, second, tiers)),
    )


def _laws(curve: HouseholdCurve) -> list[list[dict[str, Any]]]:
    rows = curve.rows.to_dicts()
    return [[row for row in rows if row["scenario"] == one.name] for one in curve.scenarios]


def _cliffs(curve: HouseholdCurve, other: HouseholdCurve | None) -> list[tuple[FamilyCliff, bool]]:
    own = [(one, one.scenario != curve.scenarios[0].name) for one in curve.cliffs]
    return [*own, *((one, True) for one in (other.cliffs if other is not None else ()))]


def _areas(
    rows: Sequence[dict[str, Any]], tiers: Sequence[str], names: dict[str, str], lang: str, x: Any, y: Any
) -> Iterable[Shape]:
    """Stack the payers from below, the person's own part on top: together they are the bill."""
    base = [0.0] * len(rows)
    own = say("policy_page.own", lang)
    for tier, name in [*((one, names.get(one, one)) for one in tiers), ("own", own)]:
        key = "own" if tier == "own" else f"pay_{tier}"
        top = [low + row[key] for low, row in zip(base, rows, strict=True)]
        upper = [(x(row["amount"]), y(value)) for row, value in zip(rows, top, strict=True)]
        lower = [(x(row["amount"]), y(value)) for row, value in zip(rows, base, strict=True)]
        path = _line([*upper, *reversed(lower)]) + "Z"
        yield Shape("tier-self" if tier == "own" else colour_of(tier), name, path)
        base = top


def _line(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in points)


def _own(
    rows: Sequence[dict[str, Any]], cliffs: Sequence[tuple[FamilyCliff, bool]], later: bool, x: Any, y: Any
) -> list[tuple[float, float]]:
    """Give the points of an own part; at a cliff it falls or rises upright."""
    points = [(row["amount"], 1, row["own"]) for row in rows]
    for one, of_second in cliffs:
        if of_second == later:
            at = one.at_fen / 100
            points += [(at, 2, one.before_fen / 100), (at, 3, one.after_fen / 100)]
    return [(x(amount), y(own)) for amount, _, own in sorted(points)]


def _stairs(rows: Sequence[dict[str, Any]], x: Any, y: Any) -> str:
    """Draw the share of one more yuan as steps; at a jump there is none, and the line is broken."""
    parts: list[str] = []
    for here, following in pairwise(rows):
        if here["marginal"] is not None:
            level = y(here["marginal"])
            parts.append(f"M{x(here['amount']):.1f} {level:.1f}H{x(following['amount']):.1f}")
    return "".join(parts)


def _ticks(high: float) -> list[float]:
    """Give about five round amounts up to the highest.

    >>> _ticks(300_000)
    [0.0, 100000.0, 200000.0, 300000.0]
    """
    rough = high / 4
    power = 10.0 ** (len(str(int(rough))) - 1) if rough >= 1 else 1.0
    step = next(one * power for one in _STEPS if one * power >= rough)
    return [step * number for number in range(int(high / step + 1e-9) + 1)]


def _amount(yuan: float, lang: str) -> str:
    """Say an amount on an axis.

    >>> _amount(150_000, "zh"), _amount(150_000, "en"), _amount(0, "zh")
    ('15万', '150k', '0')
    """
    if lang == "zh" and yuan >= 10_000:
        return f"{yuan / 10_000:g}万"
    return f"{yuan / 1_000:,g}k" if lang == "en" and yuan >= 10_000 else f"{yuan:,.0f}"


def _rows(
    first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]] | None, tiers: Sequence[str]
) -> Iterable[Row]:
    step = max(1, (len(first) - 1) // (TABLE_ROWS - 1))
    for place in range(0, len(first), step):
        row = first[place]
        other = second[place] if second is not None else None
        yield Row(
            round(row["amount"] * 100),
            tuple(round(row[f"pay_{one}"] * 100) for one in tiers),
            round(row["own"] * 100),
            row["marginal"],
            None if other is None else round(other["own"] * 100),
            None if other is None else other["marginal"],
        )
