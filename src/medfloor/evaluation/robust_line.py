"""Ask rdrobust, where it is installed, for bias-corrected jumps with robust intervals."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.evaluation.heard import hearing
from medfloor.words import Phrase

if TYPE_CHECKING:
    from medfloor.measures.boundary import Kernel, Line

RULES = (
    "mserd", "msetwo", "msesum", "msecomb1", "msecomb2", "cerrd", "certwo", "cersum", "cercomb1", "cercomb2",
)  # fmt: skip
"""The bandwidth rules of rdrobust."""


@dataclass(frozen=True, slots=True, eq=False)
class Robust:
    """Be what rdrobust found: one row an estimate, the main bandwidth, what else it said."""

    found: tuple[dict[str, object], ...]
    bandwidth: float
    facts: dict[str, float | int | str]
    errors_told: Phrase
    rule_told: Phrase
    notes: tuple[Phrase, ...]
    sources: tuple[str, ...]

    def rows(self, outcome: str) -> list[dict[str, object]]:
        """Give the rows of a fit."""
        return [{"outcome": outcome, **row} for row in self.found]


def robust(
    frame: pl.DataFrame,
    line: Line,
    *,
    kernel: Kernel,
    bandwidth: float | str,
    bias_bandwidth: float | None,
    order: int,
    donut: float,
    errors: str,
    level: float,
) -> Robust:
    """Estimate the jump of y at a line in s (plain names; d, cluster and w where there are such columns) by rdrobust.

    The package is under the GPL-3 and imported here only; whoever installs the extra `discontinuity` has it.

    Raises UsageError no_rdrobust, bad_bandwidth, not_estimable; InputError one_side.
    """
    _check(bandwidth, bias_bandwidth)
    estimate, version = _rdrobust()
    kept = frame.filter((pl.col("s") - line.value).abs() >= donut) if donut else frame
    x, flip = _turned(kept["s"].to_numpy(), line)
    if not ((x < 0).any() and (x >= 0).any()):
        raise InputError(
            "one_side", "nobody stands on one side of the line; there is nothing to compare. Check the cutoff"
        )
    asked: dict[str, Any] = {
        "y": kept["y"].to_numpy().copy(), "x": x, "c": 0.0, "p": order, "kernel": kernel, "vce": errors,
        "level": 100 * level,
    }  # fmt: skip
    if isinstance(bandwidth, str):
        asked["bwselect"] = bandwidth
    else:
        asked |= {"h": float(bandwidth), "b": bias_bandwidth}
    if "cluster" in kept.columns:
        asked["cluster"] = kept["cluster"].to_numpy().copy()
    if "w" in kept.columns:
        asked["weights"] = kept["w"].to_numpy().copy()
    printed = io.StringIO()
    with hearing("rdrobust") as notes, contextlib.redirect_stdout(printed):
        sharp = estimate(**asked)
        fuzzy = estimate(**asked, fuzzy=kept["d"].to_numpy().copy()) if "d" in kept.columns else None
    rows = _rows(sharp, flip, ("jump", "jump_robust"))
    rows += _rows(fuzzy, 1.0, ("wald", "wald_robust")) if fuzzy is not None else []
    if "Mass points" in printed.getvalue():
        notes.append(Phrase.of("discontinuity.mass_points"))
    widths = np.asarray(sharp.bws, float)
    told = {"version": version, "h": f"{widths[0].mean():.6g}", "b": f"{widths[1].mean():.6g}"}
    by = "cluster" if "cluster" in kept.columns else errors
    return Robust(
        tuple(rows),
        float(widths[0].max()),
        _widths(widths, line),
        Phrase.of(f"discontinuity.rdrobust_{by}", **told),
        Phrase.of("discontinuity.rule_rdrobust", rule=bandwidth if isinstance(bandwidth, str) else "-"),
        tuple(notes),
        ("Calonico, Cattaneo and Titiunik (2014)", f"rdrobust {version}"),
    )  # fmt: skip


def _check(bandwidth: float | str, bias_bandwidth: float | None) -> None:
    if isinstance(bandwidth, str) and bandwidth not in RULES:
        raise UsageError("bad_bandwidth", f"bandwidth {bandwidth!r} is neither a number nor one of {', '.join(RULES)}")
    for one in (bandwidth, bias_bandwidth):
        if isinstance(one, (int, float)) and not 0 < one < float("inf"):
            raise UsageError(
                "bad_bandwidth", f"bandwidth {one} is not above zero; give it in the running variable's unit"
            )


def _rdrobust() -> tuple[Any, str]:
    """Import rdrobust, and say how to install it where it is not."""
    try:
        from importlib.metadata import version

        with hearing("rdrobust"):
            from rdrobust import rdrobust

            return rdrobust, version("rdrobust")
    except UsageError:
        raise UsageError(
            "no_rdrobust",
            "engine 'rdrobust' needs a package that is not installed, or cannot be imported: pip install "
            "'medfloor[discontinuity]' (it is under the GPL-3), or use engine 'plain'",
        ) from None


def _way(line: Line) -> float:
    """Say which way the running variable is turned: -1 where those exactly at the line must stand above it."""
    return -1.0 if line.sign in ("<=", ">") else 1.0


def _widths(widths: Any, line: Line) -> dict[str, float | int | str]:
    """Give the bandwidths of both sides, for the line (h) and for its bias (b)."""
    left, right = ("below", "above") if _way(line) > 0 else ("above", "below")
    return {
        f"{name}_{side}": float(widths[row][column])
        for row, name in enumerate(("h", "b"))
        for column, side in enumerate((left, right))
    }


def _turned(values: Any, line: Line) -> tuple[Any, float]:
    """Turn the running variable so that those at the line stand with those above, as rdrobust has it.

    Gives the distances, and 1 or -1 by which a jump must be multiplied to be eligible less ineligible.
    """
    distance = (values - line.value) * _way(line)
    eligible_above = line.helps_below == (_way(line) < 0)
    return distance, 1.0 if eligible_above else -1.0


def _rows(found: Any, flip: float, terms: tuple[str, str]) -> list[dict[str, object]]:
    """Read conventional and robust rows: the robust one is bias-corrected, with an error that counts the correction."""
    coef, se, pv = (np.asarray(one, float).ravel() for one in (found.coef, found.se, found.pv))
    ci = np.asarray(found.ci, float)
    rows = int(sum(int(one) for one in found.N_h))
    read = []
    for term, place in zip(terms, (0, 2), strict=True):
        low, high = sorted((flip * ci[place, 0], flip * ci[place, 1]))
        read.append(
            {
                "model": "rdrobust", "term": term, "estimate": flip * coef[place], "se": se[place],
                "statistic": flip * coef[place] / se[place] if se[place] > 0 else None, "p": pv[place], "low": low,
                "high": high, "rows": rows,
            }
        )  # fmt: skip
    return read
