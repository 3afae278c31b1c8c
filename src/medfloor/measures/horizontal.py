"""Measure horizontal inequity: is equal need met alike, whatever the rank (indirect standardisation)?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.indices import twice_covariance
from medfloor.measures.influence import Array, Quantity, mean, total
from medfloor.measures.rank import Ranking, quantile_groups
from medfloor.measures.ranked import By, in_words, ranked_once, take_ranked, told
from medfloor.measures.regression import Regressed, Regressors, check_rank, regressors
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Source, Table, Unit, frame_of
from medfloor.words import Phrase, join


def horizontal_inequity(
    table: Table,
    *,
    of: Source,
    rank: Source = "consumption",
    need: Regressors,
    control: Regressors = (),
    quantiles: int = 0,
    rank_by: By | None = None,
    of_by: By = "household",
    size: Source = "size",
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure how use lies between poor and rich once differences of need are taken out.

    Least squares y = a + sum b_k need_k + sum d_j control_j + e. Need-expected use holds the controls at their means:
    yx = a + sum b_k need_k + sum d_j cbar_j; standardised use is y - yx + mean(yx) (Wagstaff and van Doorslaer
    2000; O'Donnell et al. 2008, chapters 5 and 15). Rows: `concentration_index` of use, `need_index` C(yx),
    and `horizontal_inequity` HI = C(y) - C(yx), the index of standardised use: above zero, the better-off use more than
    the poor in equal need. With `quantiles` also `actual_use`, `need_expected_use` and `standardised_use` of quantile
    groups of the rank. Errors are linearised, also for what was estimated in the regression.

    The model is linear, which for counts and zero-one variables is the usual approximation; nonlinear ones are not
    offered, because their indirect standardisation depends on how controls are fixed. Raises what
    `wagstaff_decomposition` raises.

    >>> homes = {"visits": [4.0, 2.0, 1.0, 3.0], "consumption": [1.0, 2.0, 3.0, 4.0], "ill": [3.0, 1.0, 0.0, 1.0]}
    >>> found = horizontal_inequity(homes, of="visits", need=["ill"])
    >>> round(found.value("concentration_index"), 4), round(found.value("horizontal_inequity"), 4)
    (-0.1, 0.0658)
    """
    if quantiles and not 2 <= quantiles <= 100:
        raise UsageError("bad_quantiles", f"{quantiles} quantile groups; ask for 2 to 100, 5 for quintiles")
    frame = frame_of(table)
    needs = regressors(frame, need)
    controls = regressors(frame, control) if len(control) else {}
    both = sorted(set(needs) & set(controls))
    if both:
        raise UsageError(
            "need_and_control", f"{', '.join(both)} cannot be need and control at once; leave it in one of them"
        )
    named = {name: f"x{place}" for place, name in enumerate([*needs, *controls])}
    columns: dict[str, Source] = {"of": of} | {named[name]: source for name, source in (needs | controls).items()}
    divided = ["of"] if of_by == "person" else []
    sample, words = take_ranked(
        frame, columns, rank=rank, rank_by=rank_by, per_head=divided, size=size, unit=unit, by=by, design=design
    )
    check_rank(sample.weight, {name: sample[column] for name, column in named.items()})
    if quantiles:
        codes, _ = quantile_groups(sample["rank"], sample.weight, quantiles)
        sample = sample.also(quantile=codes.astype(np.float64))
    rows = evaluate(
        sample,
        _estimator([named[name] for name in needs], list(named.values()), quantiles, ranked_once(sample)),
        labels={"quantile": pl.String()} if quantiles else {},
        against=against,
        progress=progress,
    )
    variable = in_words(of, size if of_by == "person" else None)
    said = {"need": join([told(one) for one in needs], "en"), "control": join([told(one) for one in controls], "en")}
    return Result(
        measure="horizontal_inequity",
        rows=rows,
        definition=Phrase.of(
            "decomposition.horizontal" if controls else "decomposition.horizontal_need",
            variable=variable,
            rank=words,
            **said,
        ),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        notes=(Phrase("concentration.undefined"),) if rows["estimate"].null_count() else (),
    )


def _estimator(
    needs: list[str], all_of_them: list[str], quantiles: int, ranked: Callable[[Mapping[str, Array]], Ranking]
) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        y, ranking = columns["of"], ranked(columns)
        fitted = Regressed.of([columns[name] for name in all_of_them])

        def bound(weight: Array) -> Iterator[Statistic]:
            slopes = dict(zip(all_of_them, fitted.fit(weight, y), strict=True))
            mu = mean(weight, y)
            index = twice_covariance(ranking, weight, y) / mu
            # Controls are constants in yx, and its mean is that of y: least squares has an intercept.
            expected = sum((slopes[k] * twice_covariance(ranking, weight, columns[k]) for k in needs), Quantity(0.0))
            yield Statistic("concentration_index", index)
            yield Statistic("need_index", expected / mu)
            yield Statistic("horizontal_inequity", index - expected / mu, tested=True)
            means = {name: mean(weight, columns[name]) for name in needs} if quantiles else {}
            for place in range(quantiles):
                label = {"quantile": str(place + 1)}
                inside = columns["quantile"] == place
                there = total(weight, inside)
                actual = total(weight, inside * y) / there
                off = [slopes[k] * (total(weight, inside * columns[k]) / there - means[k]) for k in needs]
                shift = sum(off, Quantity(0.0))
                yield Statistic("actual_use", actual, "amount", label)
                yield Statistic("need_expected_use", mu + shift, "amount", label)
                yield Statistic("standardised_use", actual - shift, "amount", label)

        return bound

    return bind
