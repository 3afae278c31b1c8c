"""Use what moved the treatment by chance: instrumental variables with fixed effects, and tests for weak instruments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.absorbed import Regression, regress
from medfloor.evaluation.fixed_effects import (
    FEW_CLUSTERS,
    ROUNDING,
    Model,
    errors_told,
    interval_told,
    mean_of,
    model_of,
    refuse_constant,
    without_silent_rows,
)
from medfloor.evaluation.result import Fit, estimates, inference, number_text
from medfloor.evaluation.sample import Sample, check_columns
from medfloor.evaluation.winsor import Percentiles
from medfloor.sparing import ready
from medfloor.words import Chain, Phrase

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

WEAK = 10.0
"""An effective F below this: the instrument is weak (Staiger and Stock 1997)."""
STRONG = 23.1
"""With one instrument, an effective F above this bounds the worst bias at a tenth (Montiel Olea and Pflueger 2013)."""


def instrument(
    table: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    instruments: str | Sequence[str],
    unit: str | None = None,
    time: str | None = None,
    covariates: Sequence[str] = (),
    cluster: str | Sequence[str] | None = None,
    weight: str | None = None,
    effects: Sequence[str] | None = None,
    errors: str | None = None,
    small_sample: str = "fixest",
    winsorise: Percentiles | None = None,
    level: float = 0.95,
) -> Fit:
    """Estimate a treatment by two-stage least squares within units, with all that tells whether to believe it.

    One treatment, one instrument or several; `effects`, `cluster`, `errors` and `small_sample` as in
    `two_way_fixed_effects` (cr2 is not offered). Rows of the fit: model "iv" (the treatment and covariates), "ols" or
    "twfe" (the same without instruments, to compare), "first_stage" and "reduced_form" (one row an instrument). Facts:
    F of the first stage, the effective F of Montiel Olea and Pflueger, p of Wu-Hausman (is least squares off?), of
    Anderson-Rubin (is the treatment's effect zero? holds with weak instruments too), the Anderson-Rubin interval
    (possibly open or in pieces), and with more instruments than one Sargan's or Hansen's test of their agreement. All
    tests but Sargan's use the errors asked for.

    Raises UsageError: what `two_way_fixed_effects` raises; no_instruments, no_first_stage.

    Source: Montiel Olea and Pflueger (2013, Journal of Business and Economic Statistics 31, 358-369); Anderson and
    Rubin (1949, Annals of Mathematical Statistics 20, 46-63); Wooldridge (2010), sections 5.2, 6.3; pyfixest.

    >>> import numpy as np
    >>> rng = np.random.default_rng(3)
    >>> z, hidden = rng.normal(size=(2, 400))
    >>> d = z + hidden + rng.normal(size=400)
    >>> table = pl.DataFrame({"oop": 2 * d + 3 * hidden + rng.normal(size=400), "use": d, "distance": z})
    >>> fit = instrument(table, outcome="oop", treatment="use", instruments="distance")
    >>> round(fit.value("use", model="iv"), 1), round(fit.value("use", model="ols"), 1)
    (1.8, 2.9)
    """
    named = (instruments,) if isinstance(instruments, str) else tuple(instruments)
    if not named:
        raise UsageError("no_instruments", "name an instrument: a column that moves the treatment and nothing else")
    model = model_of(unit, time, effects, cluster, errors, small_sample, "linear")
    if model.errors == "cr2":
        raise UsageError("bad_errors", "errors 'cr2' are not known for instruments; use cluster, hc1 or iid")
    sample, notes = _sample_with(table, outcome, treatment, named, covariates, weight, model, winsorise)
    sample = without_silent_rows(sample, model.columns)
    refuse_constant(sample, ("d0",), model)
    stages = _stages(sample, model, [f"z{place}" for place in range(len(named))])
    tests = _tests(sample, model, stages, level)
    rows = _rows(sample, model, stages, level)
    return Fit(
        method="instrument",
        rows=estimates(rows),
        equation=_equation(sample, model, stages),
        errors=errors_told(model, stages.second),
        drops=sample.drops,
        facts=_facts(sample, stages, tests),
        shows=(*_shows(rows[0], tests, level), *interval_told(rows[0], level)),
        not_shown=_not_shown(stages),
        warnings=_warnings(stages, tests),
        notes=(*notes, *_left_out(sample, stages)),
        sources=(
            "Montiel Olea and Pflueger (2013), A robust test for weak instruments",
            "Anderson and Rubin (1949)",
            "pyfixest 0.60",
        ),
        level=level,
    )


def leave_one_out(
    table: pl.DataFrame, *, column: str, within: str | Sequence[str], unit: str | None = None, weight: str | None = None
) -> pl.Series:
    """Give, for each row, the mean of a column over the others in its place and wave: an instrument for enrolment.

    `within` names place and wave. With `unit` (a household), all rows of the row's unit in that place and wave count as
    itself. Null where there is no other, or where place or wave is null; rows whose column is null, and rows whose
    weight is null or not above zero, do not count towards others. The order is that of the table.

    Such an instrument says nothing where neighbours are alike for reasons of their own (Manski 1993, the reflection
    problem); `instrument` cannot see that.

    Raises UsageError unknown_column, not_numbers.

    >>> table = pl.DataFrame({"village": ["a", "a", "a", "b"], "covered": [1, 0, 1, 1]})
    >>> leave_one_out(table, column="covered", within="village").to_list()
    [0.5, 1.0, 0.5, None]
    """
    keys = [within] if isinstance(within, str) else list(within)
    check_columns(table, [column, *keys, *([unit] if unit else []), *([weight] if weight else [])])
    for name in (column, weight):
        if name and not (table.schema[name].is_numeric() or table.schema[name] == pl.Boolean):
            raise UsageError("not_numbers", f"{name!r} holds {table.schema[name]}, not numbers; name another column")
    value = pl.col(column).cast(pl.Float64)
    mass = pl.col(weight).cast(pl.Float64) if weight else pl.lit(1.0)
    frame = table.select(
        *(pl.col(name).alias(f"k{place}") for place, name in enumerate(keys)),
        own=pl.col(unit) if unit else pl.int_range(pl.len()),
        w=pl.when(value.is_finite() & mass.is_finite() & (mass > 0)).then(mass).otherwise(0.0).fill_null(0.0),
        v=pl.when(value.is_finite()).then(value).otherwise(0.0).fill_null(0.0),
    )
    places = [f"k{place}" for place in range(len(keys))]
    total, all_w = (pl.col("v") * pl.col("w")).sum(), pl.col("w").sum()
    others = all_w.over(places) - all_w.over([*places, "own"])
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in (*places, "own"))
    mean = (total.over(places) - total.over([*places, "own"])) / others
    # What is left of the sum of others by rounding is not another person.
    return frame.select(pl.when(known & (others > 1e-9 * all_w.over(places))).then(mean).alias(f"{column}_of_others"))[
        f"{column}_of_others"
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Stages:
    """Be the regressions of two-stage least squares."""

    second: Regression
    plain: Regression
    first: Regression
    reduced: Regression
    instruments: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Tests:
    """Be what tests say of the instruments; None where a test is not defined."""

    f_first: float
    p_first: float
    f_effective: float
    wu_hausman: float
    wu_hausman_p: float
    anderson_rubin: float
    anderson_rubin_p: float
    region: tuple[tuple[float, float], ...]
    overidentified: tuple[str, float, float] | None


def _sample_with(
    table: pl.DataFrame,
    outcome: str,
    treatment: str,
    instruments: Sequence[str],
    covariates: Sequence[str],
    weight: str | None,
    model: Model,
    winsorise: Percentiles | None,
) -> tuple[Sample, tuple[Phrase, ...]]:
    from medfloor.evaluation.fixed_effects import sample_of

    named = {f"z{place}": name for place, name in enumerate(instruments)}
    return sample_of(table, outcome, (treatment,), covariates, weight, model, winsorise, more=named)


def _stages(sample: Sample, model: Model, instruments: Sequence[str]) -> _Stages:
    """Run the four regressions; instruments that others or the effects explain are left out of all."""
    import numpy as np

    run = _runner(sample, model)
    for name in instruments:
        if sample.frame[name].n_unique() == 1:
            raise _no_first_stage(sample, [name])
    x = sample.covariates
    try:
        first = run("d0", (*x, *instruments))
    except UsageError as error:
        if error.code == "not_estimable" and "collinear" in error.message:
            raise _no_first_stage(sample, instruments) from None
        raise
    if first.residuals.std() <= ROUNDING * float(np.std(sample.frame["d0"].to_numpy())):
        raise UsageError(
            "instrument_is_treatment",
            f"the instruments and other columns explain {sample.names['d0']!r} wholly, so that nothing of it is left "
            "to be moved; name another instrument, or use fixed-effects",
        )
    kept = tuple(name for name in instruments if name in first.names)
    if not kept:
        raise _no_first_stage(sample, instruments)
    plain = run("y", ("d0", *x))
    refuse_constant(sample, ("d0",), model, plain)
    x = tuple(name for name in x if name in first.names)
    second = regress(
        sample.frame, y="y", x=x, effects=model.columns, errors=model.errors, clusters=model.cluster_columns,
        weight="w" if "w" in sample.frame.columns else None, small_sample=model.small_sample, endogenous="d0",
        instruments=kept,
    )  # fmt: skip
    left_out = tuple(name for name in (*sample.covariates, *instruments) if name not in first.names)
    return _Stages(second, plain, first, run("y", (*x, *kept)), kept, left_out)


def _runner(sample: Sample, model: Model) -> Callable[..., Regression]:
    """Give a function that regresses columns of the sample as the model says; arrays may be handed in besides."""

    def run(
        y: str, x: Sequence[str], added: Mapping[str, npt.NDArray[np.float64]] | None = None, errors: str = ""
    ) -> Regression:
        frame = sample.frame.with_columns(pl.Series(name, values) for name, values in (added or {}).items())
        kind = errors or model.errors
        return regress(
            frame, y=y, x=x, effects=model.columns, errors=kind, weight="w" if "w" in frame.columns else None,
            clusters=model.cluster_columns if kind == "cluster" else (), small_sample=model.small_sample,
        )  # fmt: skip

    return run


def _no_first_stage(sample: Sample, instruments: Sequence[str]) -> UsageError:
    names = ", ".join(repr(sample.names[one]) for one in instruments)
    return UsageError(
        "no_first_stage",
        f"{names} never changes once the effects and other columns are taken out, so it moves nothing; name an "
        "instrument that changes within units, or fewer effects",
    )


def _tests(sample: Sample, model: Model, stages: _Stages, level: float) -> _Tests:
    import numpy as np

    run = _runner(sample, model)
    count = len(stages.instruments)
    df = stages.first.df
    f_first, p_first = _wald(stages.first, stages.instruments)
    # Effective F: the first stage in units of its errors under equal variances, over their trace.
    beta, robust = stages.first.block(stages.instruments)
    _, plain = run("d0", stages.first.names_without_constant, errors="iid").block(stages.instruments)
    inner = np.linalg.inv(plain)
    f_effective = float(beta @ inner @ beta / np.trace(robust @ inner))
    x = [name for name in stages.plain.names if name not in ("Intercept", "d0")]
    hausman = run("y", ("d0", *x, "v"), {"v": stages.first.residuals})
    wu, wu_p = _wald(hausman, ["v"]) if "v" in hausman.names else (math.nan, math.nan)
    at_zero, at_one = stages.reduced, run(
        "r", [name for name in stages.reduced.names if name != "Intercept"],
        {"r": (sample.frame["y"] - sample.frame["d0"]).to_numpy()},
    )  # fmt: skip
    region = _Region(at_zero, at_one, stages.first, stages.instruments, df)
    return _Tests(
        f_first=f_first, p_first=p_first, f_effective=f_effective, wu_hausman=wu, wu_hausman_p=wu_p,
        anderson_rubin=region.statistic(0.0), anderson_rubin_p=region.p(0.0),
        region=region.pieces(float(stages.second.beta[stages.second.place("d0")]), stages.second.se("d0"), 1 - level),
        overidentified=_overidentified(sample, model, stages) if count > 1 else None,
    )  # fmt: skip


def _wald(found: Regression, names: Sequence[str]) -> tuple[float, float]:
    """Give F and p of the test that some coefficients are zero, with the errors of the regression."""
    import numpy as np
    from scipy.special import fdtrc

    beta, vcov = found.block(names)
    value = float(beta @ np.linalg.pinv(vcov) @ beta) / len(names)
    return value, float(fdtrc(len(names), found.df, max(value, 0.0)))


class _Region:
    """Be the test of Anderson and Rubin at any value of the effect, and the set that it does not reject.

    At the value b the outcome less b times the treatment is regressed on the instruments. Its coefficients are linear
    in b and their covariance is a square in b, so that three regressions give all.
    """

    def __init__(
        self, at_zero: Regression, at_one: Regression, first: Regression, names: Sequence[str], df: float | None
    ) -> None:
        self.r, v_r = at_zero.block(names)
        self.f, v_f = first.block(names)
        _, v_one = at_one.block(names)
        self.v = (v_r, v_one - v_r - v_f, v_f)
        self.df = df

    def statistic(self, value: float) -> float:
        import numpy as np

        return self.statistics(np.array([value]))[0]

    def statistics(self, values: npt.NDArray[np.float64]) -> list[float]:
        """Give the statistic at each of many values, whose covariances are inverted together."""
        import numpy as np

        each = values[:, None, None]
        squares = np.array([value**2 for value in values.tolist()])[:, None, None]
        gaps = self.r - values[:, None] * self.f
        inverted = np.linalg.pinv(self.v[0] + each * self.v[1] + squares * self.v[2])
        return [float(gap @ one @ gap) / len(gap) for gap, one in zip(gaps, inverted, strict=True)]

    def p(self, value: float) -> float:
        from scipy.special import fdtrc

        return float(fdtrc(len(self.r), self.df, max(self.statistic(value), 0.0)))

    def pieces(self, middle: float, width: float, alpha: float) -> tuple[tuple[float, float], ...]:
        """Give the intervals of values whose p is above alpha; an open end is infinite.

        Values are looked at on a grid that is fine around the estimate and reaches to infinity at both ends.
        """
        import numpy as np

        brentq = ready("scipy.optimize").brentq
        fdtri = ready("scipy.special").fdtri

        limit = float(fdtri(len(self.r), self.df, 1 - alpha))
        angles = np.linspace(-math.pi / 2 + 1e-5, math.pi / 2 - 1e-5, 2001)
        grid = middle + width * np.tan(angles)
        inside = [one <= limit for one in self.statistics(grid)]
        pieces: list[tuple[float, float]] = []
        low: float | None = -math.inf if inside[0] else None
        for place in range(1, len(grid)):
            if inside[place] == inside[place - 1]:
                continue
            edge = float(brentq(lambda value: self.statistic(value) - limit, grid[place - 1], grid[place]))
            if inside[place]:
                low = edge
            elif low is not None:
                pieces.append((low, edge))
                low = None
        if low is not None:
            pieces.append((low, math.inf))
        return tuple(pieces)


def _overidentified(sample: Sample, model: Model, stages: _Stages) -> tuple[str, float, float]:
    """Test whether the instruments agree: Sargan's N R² with iid errors, else Hansen's J of two-step GMM."""
    import numpy as np
    from scipy.special import chdtrc

    run = _runner(sample, model)
    root = np.sqrt(sample.frame["w"].to_numpy()) if "w" in sample.frame.columns else np.ones(sample.frame.height)
    df = len(stages.instruments) - 1
    exogenous = [name for name in stages.reduced.names if name != "Intercept"]
    if model.errors == "iid":
        u = stages.second.residuals
        rest = root * run("u", exogenous, {"u": u}, errors="iid").residuals
        value = float(len(u) * (1 - rest @ rest / ((root * u) @ (root * u))))
        return "sargan", value, float(chdtrc(df, max(value, 0.0)))
    # Residuals of the instruments and of all else on the covariates and effects, so that only these remain.
    x = [name for name in exogenous if name not in stages.instruments]
    left = {name: root * run(name, x, errors="iid").residuals for name in ("y", "d0", *stages.instruments)}
    z = np.column_stack([left[name] for name in stages.instruments])
    d, y = left["d0"], left["y"]
    project = z @ np.linalg.solve(z.T @ z, z.T @ d)
    u = y - d * float(project @ y / (project @ d))
    meat = _meat(z * u[:, None], sample, model)
    inverse = np.linalg.pinv(meat)
    g, h = z.T @ y, z.T @ d
    b = float(h @ inverse @ g / (h @ inverse @ h))
    gap = g - b * h
    value = float(gap @ inverse @ gap)
    return "hansen", value, float(chdtrc(df, max(value, 0.0)))


def _meat(scores: npt.NDArray[np.float64], sample: Sample, model: Model) -> npt.NDArray[np.float64]:
    """Sum the squares of scores, within clusters where there are any (in several ways: added, less their crossing)."""
    import itertools

    import numpy as np

    if not model.cluster_columns:
        return np.asarray(scores.T @ scores)
    total = np.zeros((scores.shape[1], scores.shape[1]))
    for size in range(1, len(model.cluster_columns) + 1):
        for ways in itertools.combinations(model.cluster_columns, size):
            codes = sample.frame.select(pl.struct(ways).rank("dense")).to_series().to_numpy() - 1
            sums = np.column_stack([np.bincount(codes, column) for column in scores.T])
            total += (-1) ** (size + 1) * (sums.T @ sums)
    return total


def _rows(sample: Sample, model: Model, stages: _Stages, level: float) -> list[dict[str, object]]:
    units = sample.frame["unit"].n_unique() if "unit" in sample.frame.columns else None
    parts = [
        ("iv", stages.second, ["d0", *[one for one in stages.second.names if one != "d0"]]),
        (model.name, stages.plain, ["d0"]),
        ("first_stage", stages.first, list(stages.instruments)),
        ("reduced_form", stages.reduced, list(stages.instruments)),
    ]
    rows: list[dict[str, object]] = []
    for name, found, terms in parts:
        for term in sorted(terms, key=lambda one: one == "Intercept"):
            rows.append(
                {
                    "model": name,
                    "outcome": sample.names["d0" if name == "first_stage" else "y"],
                    "term": sample.names.get(term, "intercept"),
                    **inference(float(found.beta[found.place(term)]), found.se(term), df=found.df, level=level),
                    "rows": found.rows,
                    "units": units,
                    "clusters": min(found.clusters) if found.clusters else None,
                }
            )
    return rows


def _equation(sample: Sample, model: Model, stages: _Stages) -> Phrase:
    others: list[object] = [sample.names[name] for name in ("d0", *sample.covariates)]
    others += [Phrase.of("fit.effect_of", name=one) for one in model.effects]
    return Phrase.of(
        "instrument.equation",
        text=Chain.of(" ~ ", sample.names["y"], Chain.of(" + ", *others)),
        treatment=sample.names["d0"],
        instruments=", ".join(sample.names[name] for name in stages.instruments),
    )


def _facts(sample: Sample, stages: _Stages, tests: _Tests) -> dict[str, float | int | str]:
    facts: dict[str, float | int | str] = {"rows": stages.second.rows}
    if "unit" in sample.frame.columns:
        facts["units"] = sample.frame["unit"].n_unique()
    if stages.second.clusters:
        facts["clusters"] = min(stages.second.clusters)
    facts["mean_outcome"] = mean_of(sample.frame, "y")
    facts |= {
        "f_first_stage": tests.f_first, "p_first_stage": tests.p_first, "f_effective": tests.f_effective,
        "wu_hausman": tests.wu_hausman, "wu_hausman_p": tests.wu_hausman_p,
        "anderson_rubin": tests.anderson_rubin, "anderson_rubin_p": tests.anderson_rubin_p,
        "anderson_rubin_interval": region_text(tests.region),
    }  # fmt: skip
    if tests.overidentified:
        name, value, p = tests.overidentified
        facts |= {name: value, f"{name}_p": p}
    return facts


def region_text(pieces: Sequence[tuple[float, float]]) -> str:
    """Write a set of values as intervals.

    >>> region_text([(-math.inf, -2.0), (0.5, math.inf)]), region_text([])
    ('(-inf, -2.0000] + [0.5000, inf)', '{}')
    """

    def end(value: float) -> str:
        return f"{value}" if math.isinf(value) else f"{'-' if value < 0 else ''}{number_text(abs(value))}"

    told = [
        f"{'(' if math.isinf(low) else '['}{end(low)}, {end(high)}{')' if math.isinf(high) else ']'}"
        for low, high in pieces
    ]
    return " + ".join(told) or "{}"


def _shows(row: Mapping[str, object], tests: _Tests, level: float) -> tuple[Phrase, ...]:
    values = {"outcome": row["outcome"], "term": row["term"]}
    estimate = float(row["estimate"])  # type: ignore[arg-type]
    size = f"{'-' if estimate < 0 else ''}{number_text(abs(estimate))}"
    first = Phrase.of("instrument.shows", size=size, **values)
    return first, Phrase.of("instrument.region", level=f"{100 * level:g} %", region=region_text(tests.region))


def _not_shown(stages: _Stages) -> tuple[Phrase, ...]:
    key = "many" if len(stages.instruments) > 1 else "one"
    return tuple(Phrase.of(f"instrument.{one}") for one in ("exclusion", "compliers", f"exogenous_{key}"))


def _warnings(stages: _Stages, tests: _Tests) -> tuple[Phrase, ...]:
    phrases = []
    if not tests.f_effective >= WEAK:
        phrases.append(Phrase.of("instrument.weak", f=number_text(tests.f_effective), weak=f"{WEAK:g}"))
    elif tests.f_effective < STRONG:
        phrases.append(Phrase.of("instrument.not_strong", f=number_text(tests.f_effective), strong=f"{STRONG:g}"))
    if tests.overidentified and tests.overidentified[2] < 0.05:
        phrases.append(Phrase.of("instrument.disagree", p=number_text(tests.overidentified[2])))
    if stages.second.clusters and min(stages.second.clusters) < FEW_CLUSTERS:
        phrases.append(Phrase.of("instrument.few_clusters", clusters=min(stages.second.clusters), few=FEW_CLUSTERS))
    return tuple(phrases)


def _left_out(sample: Sample, stages: _Stages) -> tuple[Phrase, ...]:
    return tuple(Phrase.of("fixed_effects.left_out", column=sample.names[name]) for name in stages.left_out)
