"""Draw relative poverty lines that a policy moves and lines that it cannot, and tell what the difference makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.evaluation.sample import take

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

LINES = ("moving", "base", "untreated")
"""Of all in each wave; of all in the base wave; the latter carried forward with those never under the policy."""
DRAWS = 200


@dataclass(frozen=True, slots=True, eq=False)
class _Cell:
    """Be the rows of one group and wave, from poor to rich."""

    group: str
    wave: float
    income: Floats
    mass: Floats
    never: NDArray[np.bool_]
    treated: NDArray[np.bool_]
    cluster: Ints


@dataclass(frozen=True, slots=True, eq=False)
class PovertyLines:
    """Be the lines, and what they were drawn of."""

    cells: tuple[_Cell, ...]
    share: float
    base: float
    apart: bool
    clusters: int

    def table(self) -> pl.DataFrame:
        """List the lines: one row a line, group (where there are any) and wave, with the share of all below it."""
        lines = self._lines(np.ones(self.clusters))
        rows = [
            {
                "line": name, "group": cell.group, "wave": cell.wave, "line_value": line[name],
                "poor": float(cell.mass[cell.income < line[name]].sum() / cell.mass.sum()),
            }
            for name in LINES
            for cell, line in zip(self.cells, lines, strict=True)
        ]  # fmt: skip
        found = pl.DataFrame(rows)
        return found if self.apart else found.drop("group")

    def adds(self, draws: int = DRAWS, seed: int = 0) -> dict[str, tuple[float, float]]:
        """Tell what the moving line adds to the share of poor among rows under the policy, against each other line.

        Each with its standard error by a bootstrap over clusters, in which all lines are drawn anew.
        """
        whole = self._adds(np.ones(self.clusters))
        rng = np.random.default_rng(seed)
        chance = np.full(self.clusters, 1 / self.clusters)
        found = [self._adds(rng.multinomial(self.clusters, chance).astype(float)) for _ in range(draws)]
        return {name: (whole[name], float(np.nanstd([one[name] for one in found], ddof=1))) for name in LINES[1:]}

    def _adds(self, times: Floats) -> dict[str, float]:
        total, above = 0.0, dict.fromkeys(LINES[1:], 0.0)
        for cell, line in zip(self.cells, self._lines(times), strict=True):
            mass = cell.mass * times[cell.cluster] * cell.treated
            total += float(mass.sum())
            for name in LINES[1:]:
                poor = (cell.income < line["moving"]).astype(float) - (cell.income < line[name])
                above[name] += float(mass @ poor)
        return {name: value / total if total else np.nan for name, value in above.items()}

    def _lines(self, times: Floats) -> list[dict[str, float]]:
        """Give the lines of each cell, each cluster counted `times`; NaN where nobody is left to draw one of."""
        medians = {(cell.group, cell.wave): _medians(cell, times) for cell in self.cells}
        lines = []
        for cell in self.cells:
            now = medians[cell.group, cell.wave]
            then = medians.get((cell.group, self.base), (np.nan, np.nan))
            carried = then[0] * now[1] / then[1] if then[1] > 0 else np.nan
            values = {"moving": now[0], "base": then[0], "untreated": carried}
            lines.append({name: self.share * value for name, value in values.items()})
        return lines


def draw_lines(
    panel: pl.DataFrame,
    *,
    income: str,
    start: str,
    unit: str,
    time: str,
    share: float,
    base: float | None,
    by: str | None,
    weight: str | None,
    cluster: str | None,
) -> PovertyLines:
    """Draw the lines of all rows with an income, before any is left out for an estimate.

    Raises UsageError: what `take` raises, bad_share, no_such_wave, no_never_treated.
    """
    if not 0 < share <= 1:
        raise UsageError("bad_share", f"share {share}: a line is a share of the median, above 0 and up to 1, as 0.5")
    named = {"c": cluster or unit} | ({"g": by} if by else {})
    sample = take(
        panel, numbers={"y": income, "start": start}, labels=named, unit=unit, time=time, weight=weight,
        where_missing_keep=("start",),
    )  # fmt: skip
    waves = np.array(sample.waves)
    base = float(waves[0]) if base is None else base
    if base not in sample.waves:
        known = ", ".join(f"{one:g}" for one in waves)
        raise UsageError("no_such_wave", f"base {base:g} is no wave of {time!r}; there are {known}")
    begins = sample.frame["start"].fill_null(np.inf).to_numpy()
    never = (begins == 0) | (begins > waves[-1])
    if not never.any():
        raise UsageError("no_never_treated", "nobody is never under the policy: there is no line of the untreated")
    wave = waves[sample.frame["period"].to_numpy() - 1]
    frame = sample.frame.with_columns(
        wave=wave, never=never, treated=~never & (begins <= wave), mass=pl.col("w") if weight else pl.lit(1.0),
        group=pl.col("g") if by else pl.lit(0, pl.Int64),
    )  # fmt: skip
    levels = sample.levels["g"] if by else ("",)
    cells = []
    for (group, at), part in sorted(frame.group_by("group", "wave"), key=lambda one: one[0]):
        rows = part.sort("y", "unit")
        columns = {name: rows[name].to_numpy() for name in ("y", "mass", "never", "treated", "c")}
        cells.append(_Cell(levels[group], float(at), *columns.values()))
    lines = PovertyLines(tuple(cells), share, base, by is not None, len(sample.levels["c"]))
    _check(lines, time)
    return lines


def _check(lines: PovertyLines, time: str) -> None:
    drawn = lines._lines(np.ones(lines.clusters))
    for cell, line in zip(lines.cells, drawn, strict=True):
        where = f"{time} {cell.wave:g} {cell.group}".strip()
        if any(value <= 0 for value in line.values()):
            raise UsageError("bad_share", f"half of the incomes in {where} are not above zero; check the column")
        if np.isnan(list(line.values())).any():
            raise UsageError(
                "no_such_wave",
                f"no line can be drawn for {where}: each group needs rows in each wave and in the base wave, also of "
                "those never under the policy",
            )


def _medians(cell: _Cell, times: Floats) -> tuple[float, float]:
    """Give the weighted median of all and of those never under the policy; NaN without rows."""
    mass: Any = cell.mass * times[cell.cluster]
    return _median(cell.income, mass), _median(cell.income, mass * cell.never)


def _median(income: Floats, mass: Floats) -> float:
    reached = np.cumsum(mass)
    if not len(reached) or reached[-1] <= 0:
        return float("nan")
    return float(income[np.searchsorted(reached, reached[-1] / 2)])
