"""Measure who bears payments for health, and what they do to the distribution of income."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.concentration import MOST_CURVES
from medfloor.measures.curve import points
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.indices import twice_covariance
from medfloor.measures.influence import Array, mean
from medfloor.measures.rank import Ranking, quantile_groups
from medfloor.measures.ranked import By, ranked_once, take_ranked, told
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Sample, Source, Table, Unit
from medfloor.words import Phrase

ALL = "all"


def progressivity(
    table: Table,
    *,
    payment: Source | Sequence[Source] = "oop",
    income: Source = "consumption",
    bands: int | None = None,
    band_width: float | None = None,
    rank_by: By | None = None,
    size: Source = "size",
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure whether payments weigh more on the rich (progressive) or on the poor, and how they redistribute.

    `income` is what households have before they pay, `payment` what they pay (one column or several, which are then
    also added up as "all"). Both are taken per head where `rank_by` is person (see `take_ranked` for what holds without
    it). With G the Gini index, C a concentration index over income before payment, X and N income before and after
    payment, T the payment, g = T / X its share:

    `kakwani` K = C_T - G_X (Kakwani 1977; above zero: progressive); `gini_before` G_X; `payment_concentration` C_T;
    `payment_share` g; `gini_after` G_N; `concentration_after` C_N; `reynolds_smolensky` G_X - C_N;
    `redistributive_effect` RE = G_X - G_N; and its parts RE = V - H - R (Aronson, Johnson and Lambert 1994; van
    Doorslaer et al. 1999). Without bands V = g / (1 - g) K = G_X - C_N is the `vertical` effect, R = G_N - C_N the
    `reranking` (Atkinson 1980; Plotnick 1981), and H is zero. With bands of equals before payment (`bands` quantile
    groups of income, or `band_width` in units of income) households rank by their band and in it by income after
    payment: H = the sum over bands of (share of people x share of N x Gini of N inside) is the `horizontal` effect, R
    = G_N less the concentration index of N so ranked, V = RE + H + R.

    Income after payment below zero is kept and counted: Gini indices then reach further than one. Raises UsageError:
    bad_bands, no_such_group; InputError: what `take` raises.

    >>> homes = {"oop": [1.0, 1.0, 2.0, 6.0], "consumption": [10.0, 20.0, 30.0, 40.0]}
    >>> found = progressivity(homes)
    >>> round(found.value("kakwani"), 4), round(found.value("redistributive_effect"), 4)
    (0.15, 0.0167)
    """
    payments = [payment] if isinstance(payment, (str, pl.Expr)) else list(payment)
    if not payments:
        raise UsageError("no_columns", "no payment was named; give the column of at least one")
    if bands is not None and band_width is not None:
        raise UsageError("bad_bands", "give bands= or band_width=, not both")
    sample, names, per_head = _taken(table, payments, income, rank_by, size, unit=unit, by=by, design=design)
    if bands is not None or band_width is not None:
        sample = sample.also(band=_bands(sample, bands, band_width))
    ranked = ranked_once(sample)
    rows = evaluate(
        sample,
        _estimator(names, sample.has("band"), ranked),
        labels={"payment": pl.String()} if len(payments) > 1 else {},
        against=against,
        progress=progress,
    )
    sample = sample.noting(**_special(sample, names))
    return Result(
        measure="progressivity",
        rows=rows,
        definition=_defined(payments, income, size if per_head else None, bands, band_width),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        notes=_notes(sample, rows),
        curves={"concentration": _drawn(sample, names, ranked)},
    )


def _taken(
    table: Table,
    payments: Sequence[Source],
    income: Source,
    rank_by: By | None,
    size: Source,
    *,
    unit: Unit,
    by: str | Sequence[str] | None,
    design: Design | None,
) -> tuple[Sample, dict[str, str], bool]:
    """Take income as `rank` and each payment under a name of ours; several are also added up. Say if per head."""
    names = {told(one): f"payment{place}" for place, one in enumerate(payments)}
    columns = dict(zip(names.values(), payments, strict=True))
    sample, words = take_ranked(
        table, columns, rank=income, rank_by=rank_by, size=size, unit=unit, by=by, design=design
    )
    per_head = words.key == "ranked.per_head"
    if per_head:
        sample = sample.also(**{name: sample[name] / sample["size"] for name in columns})
    if len(payments) > 1:
        names = {ALL: "payment_all", **names}
        sample = sample.also(payment_all=np.sum([sample[name] for name in columns], axis=0))
    return sample, names, per_head


def _bands(sample: Sample, bands: int | None, band_width: float | None) -> Array:
    income = sample["rank"]
    if bands is not None:
        if not 2 <= bands <= 10_000:
            raise UsageError("bad_bands", f"{bands} bands of equals; ask for 2 to 10,000 quantile groups")
        return quantile_groups(income, sample.weight, bands)[0].astype(np.float64)
    assert band_width is not None
    if not band_width > 0:
        raise UsageError("bad_bands", f"a band of equals is {band_width:g} wide; it must be wider than zero")
    return np.asarray(np.floor(income / band_width), np.float64)


def _estimator(names: Mapping[str, str], banded: bool, ranked: Callable[[Mapping[str, Array]], Ranking]) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        income, ranking = columns["rank"], ranked(columns)
        band = Ranking.of(columns["band"]) if banded else None
        paid = {name: columns[column] for name, column in names.items()}
        after = {name: Ranking.of(income - payment) for name, payment in paid.items()}
        within = {name: _ranked_within(columns["band"], income - paid[name]) for name in names} if banded else {}

        def bound(weight: Array) -> Iterator[Statistic]:
            mu = mean(weight, income)
            before = twice_covariance(ranking, weight, income) / mu
            yield Statistic("gini_before", before)
            for name, payment in paid.items():
                statistic = partial(Statistic, labels={"payment": name} if len(names) > 1 else {})
                mean_paid = mean(weight, payment)
                net, left = income - payment, mu - mean_paid
                index = twice_covariance(ranking, weight, payment) / mean_paid
                gini_after = twice_covariance(after[name], weight, net) / left
                index_after = twice_covariance(ranking, weight, net) / left
                yield statistic("payment_share", mean_paid / mu, "percent")
                yield statistic("payment_concentration", index)
                yield statistic("kakwani", index - before, tested=True)
                yield statistic("concentration_after", index_after)
                yield statistic("gini_after", gini_after)
                yield statistic("reynolds_smolensky", before - index_after, tested=True)
                yield statistic("redistributive_effect", before - gini_after, tested=True)
                if band is None:
                    yield statistic("vertical", before - index_after, tested=True)
                    yield statistic("reranking", gini_after - index_after)
                else:
                    between = twice_covariance(band, weight, net) / left
                    inside = twice_covariance(within[name], weight, net) / left
                    yield statistic("vertical", before - between, tested=True)
                    yield statistic("horizontal", inside - between)
                    yield statistic("reranking", gini_after - inside)

        return bound

    return bind


def _ranked_within(band: Array, net: Array) -> Ranking:
    """Rank by band and in it by income after payment; equals in both are tied."""
    order = np.lexsort((net, band))
    new = np.empty(len(net), np.bool_)
    new[:1] = False
    new[1:] = (band[order][1:] != band[order][:-1]) | (net[order][1:] != net[order][:-1])
    place = np.empty(len(net))
    place[order] = np.cumsum(new)
    return Ranking.of(place)


def _special(sample: Sample, names: Mapping[str, str]) -> dict[str, int]:
    payment = sample[next(iter(names.values()))]
    income = sample["rank"]
    counts = {
        "no_payment": int((payment == 0).sum()),
        "negative_payment": int((payment < 0).sum()),
        "income_not_positive": int((income <= 0).sum()),
        "negative_after_payment": int((income - payment < 0).sum()),
    }
    return {name: number for name, number in counts.items() if number or name != "negative_payment"}


def _defined(
    payments: Sequence[Source], income: Source, size: Source | None, bands: int | None, band_width: float | None
) -> Phrase:
    said: dict[str, object] = {
        "payment": ", ".join(told(one) for one in payments),
        "income": told(income),
        "scale": Phrase("progressivity.as_it_stands")
        if size is None
        else Phrase.of("progressivity.per_head", size=told(size)),
    }
    if bands is not None:
        said["bands"] = Phrase.of("progressivity.quantile_bands", bands=bands)
    elif band_width is not None:
        said["bands"] = Phrase.of("progressivity.wide_bands", width=f"{band_width:g}")
    else:
        said["bands"] = Phrase("progressivity.no_bands")
    return Phrase.of("progressivity.defined", **said)


def _notes(sample: Sample, rows: pl.DataFrame) -> tuple[Phrase, ...]:
    notes = []
    if rows["estimate"].null_count():
        notes.append(Phrase("concentration.undefined"))
    if sample.special.get("negative_after_payment"):
        notes.append(Phrase("progressivity.negative"))
    return tuple(notes)


def _drawn(sample: Sample, names: Mapping[str, str], ranked: Callable[[Mapping[str, Array]], Ranking]) -> pl.DataFrame:
    """Give the Lorenz curve of income before payment and the concentration curve of each payment."""
    ranking = ranked(sample.columns)
    made = [points(ranking, sample.weight, sample["rank"], "lorenz")]
    for name, column in list(names.items())[: MOST_CURVES - 1]:
        group = name if len(names) > 1 else None
        made.append(points(ranking, sample.weight, sample[column], "concentration", group))
    return pl.concat(made)
