"""Compare those just inside and just outside an eligibility line, by local lines or by rdrobust."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.errors import InputError, UsageError
from medfloor.evaluation.fixed_effects import FEW_CLUSTERS, interval_told
from medfloor.evaluation.result import Drop, Fit, estimates, inference, number_text
from medfloor.evaluation.robust_line import Robust, robust
from medfloor.evaluation.sample import Sample, take
from medfloor.words import Phrase

if TYPE_CHECKING:
    from medfloor.measures.boundary import Half, Kernel, Line, Polynomial, Side
    from medfloor.measures.design import Design
    from medfloor.measures.result import Result

Floats: TypeAlias = NDArray[np.float64]
Engine = Literal["plain", "rdrobust"]
_FEW_ROWS = 30
"""Fewer rows than this on a side of the line, within the bandwidth, say little."""
_FARTHEST = 1e20
"""A row farther from the line than this, or all nearer than its inverse, cannot be meant."""
_WEAK = 10.0
"""Below this F of the jump in treatment, the ratio of jumps cannot be trusted (Staiger and Stock 1997)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Be what was asked of a line, and the rows it is asked of, under plain names."""

    sample: Sample
    line: Line
    kernel: Kernel
    order: int
    design: Design
    donut: float
    bandwidth: float
    level: float

    def jump(
        self, *, outcome: str = "y", frame: pl.DataFrame | None = None, at: float | None = None, **more: Any
    ) -> Result:
        """Measure the jump of a column, by the measure of the cliff."""
        from medfloor.measures.cliff import cliff

        given = {"received": None, "sensitivity": False, "density": False, "bandwidth": self.bandwidth, **more}
        return cliff(
            self.sample.frame if frame is None else frame, outcome=outcome, running="s",
            cutoff=self.line.value if at is None else at, sign=self.line.sign, kernel=self.kernel, order=self.order,
            design=self.design, donut=self.donut if at is None else 0.0, **given,
        )  # fmt: skip


def discontinuity(
    table: pl.DataFrame,
    *,
    outcome: str,
    running: str,
    cutoff: float = 0.0,
    sign: Side = "<",
    treatment: str | None = None,
    covariates: Sequence[str] = (),
    kernel: Kernel = "triangular",
    bandwidth: float | str | None = None,
    bias_bandwidth: float | None = None,
    order: int = 1,
    donut: float = 0.0,
    cluster: str | None = None,
    weight: str | None = None,
    engine: Engine = "plain",
    errors: str | None = None,
    level: float = 0.95,
) -> Fit:
    """Estimate the jump of an outcome at an eligibility line: a regression discontinuity.

    Whoever has `running` `sign` `cutoff` is eligible ("<" below the line, ">=" at or above it). `jump` is the limit of
    the outcome from the eligible side less that from the other, by a polynomial of `order` on each side with `kernel`
    weights within `bandwidth`, in the unit of the running variable. With `treatment` (0 or 1: has it in fact), also
    `first_stage`, its jump, and `wald`, the ratio of both: the effect on those whom the line moves (fuzzy design).
    Rows nearer to the line than `donut` are left out.

    `engine` "plain": the bandwidth is a number, "ik" (Imbens and Kalyanaraman 2012; the default), "rot" (Fan and
    Gijbels 1996) or "all" rows; errors are HC1, or CR1 by `cluster`, and do not know the polynomial's bias. "rdrobust"
    (extra `discontinuity`, GPL-3): bandwidths "mserd" (the default), "cerrd" and its other rules, or a number with
    `bias_bandwidth`; `jump` is conventional, `jump_robust` bias-corrected with a robust interval (Calonico, Cattaneo
    and Titiunik 2014); `errors` "nn" (the default), "hc0" to "hc3".

    `tables`: `choices` (other bandwidths, kernels, orders), `placebo_lines` (jumps where there is no line: quartiles of
    each side, rows of that side only), `covariate_jumps` (of columns that the line cannot have moved). The facts
    `density_jump` and `density_p` are McCrary's (2008) test. `curves["bins"]` (side, x, y, n) has means,
    `curves["line"]` (side, x, y, low, high) the fitted polynomials. Rows that lack a column are left out and counted.

    Raises UsageError: what `take` raises, bad_choice, bad_sign, bad_cutoff, bad_bandwidth, bad_order, bad_donut,
    bad_errors, not_binary, no_rdrobust, not_estimable, extreme_numbers, one_cluster; InputError one_side, no_bandwidth.

    Source: Hahn, Todd and van der Klaauw (2001, Econometrica 69, 201-209); Imbens and Lemieux (2008, Journal of
    Econometrics 142, 615-635).

    >>> homes = pl.DataFrame({"income": range(1000, 5000, 20)})
    >>> homes = homes.with_columns(share=0.65 + 0.25 * (pl.col("income") < 3000) + pl.col("income") * 1e-5)
    >>> fit = discontinuity(homes, outcome="share", running="income", cutoff=3000, bandwidth=800)
    >>> round(fit.value("jump"), 6)
    0.25
    """
    from medfloor.measures.boundary import Line
    from medfloor.measures.design import Design

    _check(engine, errors, order, bias_bandwidth)
    line = Line(float(cutoff), sign)
    numbers = {"y": outcome, "s": running} | ({"d": treatment} if treatment else {})
    labels = {"cluster": cluster} if cluster else {}
    sample = take(table, numbers=numbers, labels=labels, covariates=covariates, weight=weight)
    if treatment and not sample.frame["d"].is_in([0.0, 1.0]).all():
        raise UsageError("not_binary", f"{treatment!r} is not 0 or 1 in all rows; say who has the status in fact")
    _refuse_extreme(sample, line, bandwidth)
    design = Design(weight="w" if weight else None, psu="cluster" if cluster else None, level=level)
    given: float | str | None = bandwidth
    found: Robust | None = None
    if engine == "rdrobust":
        found = robust(
            sample.frame, line, kernel=kernel, bandwidth=bandwidth if bandwidth is not None else "mserd",
            bias_bandwidth=bias_bandwidth, order=order, donut=donut, errors=errors or "nn", level=level,
        )  # fmt: skip
        given = found.bandwidth
    rule = _rule(given)
    asked = _Asked(sample, line, kernel, order, design, donut, math.nan, level)
    inside = line.below(sample.frame["s"].to_numpy())
    for side in (inside, ~inside):
        if 0 < sample.frame["s"].filter(pl.Series(side)).n_unique() <= order:
            raise UsageError("not_estimable", f"{running!r} has too few values on a side for order {order}; lower it")
    result = asked.jump(received="d" if treatment else None, sensitivity=True, density=True, bandwidth=rule)
    width = float(result.pick("jump").rows["bandwidth"][0])
    asked = _Asked(sample, line, kernel, order, design, donut, width, level)
    return _fit(asked, result, found, given if given is not None else "ik")


def _check(engine: str, errors: str | None, order: int, bias_bandwidth: float | None) -> None:
    if engine not in ("plain", "rdrobust"):
        raise UsageError("bad_choice", f"engine {engine!r} is none of plain, rdrobust")
    if engine == "plain" and (errors not in (None, "hc1") or bias_bandwidth is not None):
        raise UsageError(
            "bad_choice",
            "errors and bias_bandwidth are for engine 'rdrobust'; the plain one has HC1, or CR1 by cluster",
        )
    if errors not in (None, "nn", "hc0", "hc1", "hc2", "hc3"):
        raise UsageError("bad_errors", f"there are no errors {errors!r}; use nn, hc0, hc1, hc2 or hc3")
    if engine == "rdrobust" and order == 0:
        raise UsageError("bad_order", "rdrobust corrects lines and curves, not means; use order 1 to 3")


def _refuse_extreme(sample: Sample, line: Line, bandwidth: float | str | None) -> None:
    """Refuse distances whose powers a double cannot hold, a bandwidth that is none beside them, and one cluster."""
    farthest = float(np.abs(sample.frame["s"].to_numpy() - line.value).max())
    if farthest and not 1 / _FARTHEST < farthest < _FARTHEST:
        raise UsageError(
            "extreme_numbers",
            f"{sample.names['s']!r} lies up to {farthest:.0e} from the line {line.value:g}, too far or too near to fit "
            "curves; give it in another unit, or mend the column or the cutoff",
        )
    if isinstance(bandwidth, (int, float)) and 0 < bandwidth < farthest / _FARTHEST:
        raise UsageError(
            "bad_bandwidth", f"bandwidth {bandwidth:g} is nothing beside {sample.names['s']!r}; give it in its unit"
        )
    if "cluster" in sample.frame.columns and sample.frame["cluster"].n_unique() < 2:
        raise UsageError(
            "one_cluster",
            f"{sample.names['cluster']!r} has one value in all rows; errors need many, so name another cluster",
        )


def _rule(asked: float | str | None) -> float | Any:
    """Give the bandwidth as the measure of the cliff knows it: None is all rows there."""
    if asked is None:
        return "ik"
    return None if asked == "all" else asked


def _fit(asked: _Asked, result: Result, found: Robust | None, given: float | str) -> Fit:
    names, sample = asked.sample.names, asked.sample
    rows = found.rows(names["y"]) if found else _rows(result, names)
    tables = {"choices": _choices(result), "placebo_lines": _placebos(asked)}
    if sample.covariates:
        tables["covariate_jumps"] = _covariates(asked)
    facts = _facts(asked, result, found)
    curve = result.curves["cliff"]
    inside = int((sample.frame["s"] - asked.line.value).abs().lt(asked.donut).sum()) if asked.donut else 0
    drops = (*sample.drops, Drop("in_donut", inside, None, f"{asked.donut:g}")) if inside else sample.drops
    return Fit(
        method="discontinuity",
        rows=estimates(rows),
        equation=Phrase.of(
            "discontinuity.equation", outcome=names["y"], running=names["s"], sign=asked.line.sign,
            cutoff=f"{asked.line.value:g}", order=asked.order, kernel=Phrase.of(f"kernel.{asked.kernel}"),
            bandwidth=f"{asked.bandwidth:.6g}", rule=_rule_told(given, found),
        ),
        errors=found.errors_told if found else _errors_told(asked),
        drops=drops,
        facts=facts,
        tables={name: table for name, table in tables.items() if table.height},
        curves={
            "bins": curve.filter(pl.col("series") == "bin").select("side", "x", "y", "n"),
            "line": _lines(asked),
        },
        shows=_shows(asked, rows, facts),
        not_shown=_not_shown(asked, found),
        warnings=_warnings(asked, facts, tables),
        notes=found.notes if found else (Phrase.of("discontinuity.not_corrected"),),
        sources=_SOURCES if not found else (*_SOURCES[:1], *found.sources),
        level=asked.level,
    )  # fmt: skip


_SOURCES = ("Hahn, Todd and van der Klaauw (2001)", "Imbens and Kalyanaraman (2012)", "McCrary (2008)")
_TERMS = {"jump": "jump", "jump_received": "first_stage", "jump_per_received": "wald"}


def _rows(result: Result, names: Any) -> list[dict[str, object]]:
    rows = []
    for statistic, term in _TERMS.items():
        for one in result.rows.filter(pl.col("statistic") == statistic).iter_rows(named=True):
            statistic_value = one["estimate"] / one["se"] if one["se"] and one["estimate"] is not None else None
            rows.append(
                {
                    "model": "local_linear", "outcome": names["d" if term == "first_stage" else "y"], "term": term,
                    "statistic": statistic_value, "rows": one["n"],
                    **{name: one[name] for name in ("estimate", "se", "df", "p", "low", "high")},
                }
            )  # fmt: skip
    return rows


def _choices(result: Result) -> pl.DataFrame:
    """Give the jump under half, the same and twice the bandwidth, two kernels and two orders."""
    kept = ["bandwidth", "kernel", "order", "estimate", "se", "low", "high", "p", "n"]
    return result.rows.filter(pl.col("statistic") == "sensitivity").select(kept).rename({"n": "rows"})


def _placebos(asked: _Asked) -> pl.DataFrame:
    """Measure jumps at the quartiles of each side, with the rows of that side only, where there is no line."""
    frame = asked.sample.frame
    below = asked.line.below(frame["s"].to_numpy())
    found = []
    for side, rows in (("below", below), ("above", ~below)):
        part = frame.filter(pl.Series(rows))
        for share in (0.25, 0.5, 0.75):
            at = float(part["s"].quantile(share, "linear") or 0.0)
            try:
                row = asked.jump(frame=part, at=at).pick("jump").rows.row(0, named=True)
            except (InputError, UsageError):
                continue
            if row["se"]:
                found.append({"side": side, "cutoff": at, **{name: row[name] for name in ("estimate", "se", "p", "n")}})
    frame = pl.DataFrame(found, infer_schema_length=None)
    return frame.rename({"n": "rows"}) if found else frame


def _covariates(asked: _Asked) -> pl.DataFrame:
    """Measure jumps of columns that were settled before the line could matter."""
    found = []
    for name in asked.sample.covariates:
        row = asked.jump(outcome=name).pick("jump").rows.row(0, named=True)
        kept = {one: row[one] for one in ("estimate", "se", "p", "n")}
        found.append({"covariate": asked.sample.names[name], **kept})
    return pl.DataFrame(found, infer_schema_length=None).rename({"n": "rows"})


def _facts(asked: _Asked, result: Result, found: Robust | None) -> dict[str, float | int | str]:
    frame = asked.sample.frame
    distance = frame["s"].to_numpy() - asked.line.value
    near = (np.abs(distance) <= asked.bandwidth) & (np.abs(distance) >= asked.donut)
    below = asked.line.below(frame["s"].to_numpy())
    facts: dict[str, float | int | str] = {
        "rows": frame.height, "cutoff": asked.line.value, "bandwidth": asked.bandwidth,
        "rows_below": int((near & below).sum()), "rows_above": int((near & ~below).sum()),
    }  # fmt: skip
    if found:
        facts |= found.facts
    if "cluster" in frame.columns:
        facts["clusters"] = frame["cluster"].n_unique()
    for name in ("level_eligible", "level_ineligible"):
        value = result.pick(name).rows["estimate"][0]
        if value is not None:
            facts[name] = float(value)
    for row in result.rows.filter(pl.col("statistic") == "density_jump").iter_rows(named=True):
        facts |= {"density_jump": _number(row["estimate"]), "density_p": _number(row["p"])}
    for row in result.rows.filter(pl.col("statistic") == "jump_received").iter_rows(named=True):
        if row["se"]:
            facts["f_first_stage"] = float((row["estimate"] / row["se"]) ** 2)
    return facts


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _lines(asked: _Asked) -> pl.DataFrame:
    """Give the fitted polynomials of both sides with a band, at points within the bandwidth.

    The band is that of the fitted polynomial at each point: the errors of its coefficients, HC1 or by cluster.
    """
    from medfloor.measures.boundary import Window
    from medfloor.measures.sample import take as sample_of

    frame = asked.sample.frame.filter((pl.col("s") - asked.line.value).abs() >= asked.donut)
    whole = sample_of(frame, {"y": "y", "s": "s"}, unit="household", design=asked.design)
    distance = whole["s"] - asked.line.value
    below = asked.line.below(whole["s"])
    window = Window.of(distance, below, kernel=asked.kernel, bandwidth=asked.bandwidth, order=asked.order)
    fitted = window.fit(whole.weight, whole["y"], whole.structure)
    codes = frame["cluster"].to_numpy() if "cluster" in frame.columns else None
    frames = []
    for side, half, polynomial in (("below", window.below, fitted.below), ("above", window.above, fitted.above)):
        if not len(half.rows) or polynomial.inverse is None:
            continue
        t = np.linspace(0.0, float(np.abs(half.t).max()), 41) * (-1 if side == "below" else 1)
        powers = np.vander(t, asked.order + 1, increasing=True)
        variance = np.einsum("ij,jk,ik->i", powers, _covariance(polynomial, half, whole.weight, codes), powers)
        at = powers @ polynomial.beta
        # The factors of the jump's own error: see `measures.boundary`.
        groups = whole.structure.size
        wide = float(inference(0.0, 1.0, df=groups - 1, level=asked.level)["high"] or 0.0)
        reach = wide * fitted.correction * np.sqrt(np.maximum(variance, 0) * groups / (groups - 1))
        made = {"x": t * window.scale + asked.line.value, "y": at, "low": at - reach, "high": at + reach}
        frames.append(pl.DataFrame(made).select(side=pl.lit(side), x="x", y="y", low="low", high="high"))
    empty = {"side": pl.String(), **dict.fromkeys(("x", "y", "low", "high"), pl.Float64())}
    return pl.concat(frames).with_columns(pl.col(pl.Float64).fill_nan(None)) if frames else pl.DataFrame(schema=empty)


def _covariance(polynomial: Polynomial, half: Half, weight: Floats, codes: NDArray[np.int64] | None) -> Floats:
    """Give the robust covariance of a side's coefficients, in scaled distance."""
    powers = np.vander(half.t, len(polynomial.beta), increasing=True)
    residual = polynomial.values[half.rows] - powers @ polynomial.beta
    scores = (weight[half.rows] * half.kernel * residual)[:, None] * powers
    if codes is not None:
        place = np.unique(codes[half.rows], return_inverse=True)[1]
        scores = np.column_stack([np.bincount(place, one) for one in scores.T])
    assert polynomial.inverse is not None
    return np.asarray(polynomial.inverse @ (scores.T @ scores) @ polynomial.inverse)


# Words


def _rule_told(given: float | str, found: Robust | None) -> Phrase:
    if found:
        return found.rule_told
    return Phrase.of(f"discontinuity.rule_{given if isinstance(given, str) else 'given'}")


def _errors_told(asked: _Asked) -> Phrase:
    frame = asked.sample.frame
    if "cluster" in frame.columns:
        return Phrase.of(
            "discontinuity.errors_cluster",
            by=asked.sample.names["cluster"],
            clusters=f"{frame['cluster'].n_unique():,}",
        )
    return Phrase.of("discontinuity.errors_hc1")


def _shows(asked: _Asked, rows: Sequence[dict[str, Any]], facts: dict[str, float | int | str]) -> tuple[Phrase, ...]:
    names = asked.sample.names
    binary = bool(asked.sample.frame["y"].is_in([0.0, 1.0]).all())
    phrases: list[Phrase] = []
    for row in rows:
        if row["estimate"] is None or row["term"] not in ("jump", "jump_robust", "wald"):
            continue
        estimate, other = float(row["estimate"]), facts.get("level_ineligible")
        size = number_text(100 * abs(estimate) if binary else abs(estimate))
        share = f"{100 * abs(estimate / other):.1f} %" if isinstance(other, float) and other else "-"
        phrases.append(
            Phrase.of(
                f"discontinuity.shows_{row['term']}", outcome=names["y"], treatment=names.get("d", ""),
                size=Phrase.of("discontinuity.points", size=size) if binary else size, share=share,
                direction=Phrase.of("discontinuity.more" if estimate >= 0 else "discontinuity.less"),
                level=number_text(other) if isinstance(other, float) else "-",
            )
        )  # fmt: skip
        phrases += interval_told({**row, "term": Phrase.of(f"term.{row['term']}")}, asked.level)
    return tuple(phrases)


def _not_shown(asked: _Asked, found: Robust | None) -> tuple[Phrase, ...]:
    phrases = [Phrase.of("discontinuity.local", cutoff=f"{asked.line.value:g}", running=asked.sample.names["s"])]
    phrases.append(Phrase.of("discontinuity.continuity"))
    if "d" in asked.sample.frame.columns:
        phrases.append(Phrase.of("discontinuity.compliers"))
    if not found:
        phrases.append(Phrase.of("discontinuity.bias"))
    return tuple(phrases)


def _warnings(
    asked: _Asked, facts: dict[str, float | int | str], tables: dict[str, pl.DataFrame]
) -> tuple[Phrase, ...]:
    phrases = []
    p = facts.get("density_p")
    if isinstance(p, float) and p < 0.05:
        phrases.append(Phrase.of("discontinuity.sorting", p=f"{p:.4f}"))
    for name in ("placebo_lines", "covariate_jumps"):
        table = tables.get(name)
        if table is None or not table.height:
            continue
        # Several looks: the smallest p is held against its share of five percent (Bonferroni).
        found = table.filter(pl.col("p") < 0.05 / table.height).sort("p")
        if found.height:
            what = found["covariate"][0] if name == "covariate_jumps" else f"{found['cutoff'][0]:.6g}"
            phrases.append(Phrase.of(f"discontinuity.{name}", what=what, p=f"{found['p'][0]:.4f}"))
    few = min(int(facts["rows_below"]), int(facts["rows_above"]))
    if few < _FEW_ROWS:
        phrases.append(Phrase.of("discontinuity.few_rows", rows=few, few=_FEW_ROWS))
    strength = facts.get("f_first_stage")
    if isinstance(strength, float) and strength < _WEAK:
        phrases.append(Phrase.of("discontinuity.weak", f=f"{strength:.1f}", weak=f"{_WEAK:g}"))
    clusters = facts.get("clusters")
    if isinstance(clusters, int) and clusters < FEW_CLUSTERS:
        phrases.append(Phrase.of("discontinuity.few_clusters", clusters=clusters, few=FEW_CLUSTERS))
    return tuple(phrases)
