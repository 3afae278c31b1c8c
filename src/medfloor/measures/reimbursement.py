"""Measure what insurance paid back and what stayed with people: ratios, bands, own payments, rates of illness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.association import Test, equality, independence, notes_of, rows_of
from medfloor.measures.bands import NO_DIVISOR, Bands, Closed
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Inverse, Statistic, errors_of, evaluate
from medfloor.measures.flags import flag
from medfloor.measures.influence import Array, Quantity, mean, total
from medfloor.measures.rank import quantile
from medfloor.measures.replicate import Progress
from medfloor.measures.result import Result
from medfloor.measures.sample import Sample, Source, Table, Unit, column, take
from medfloor.measures.settled import cases_of, without_taken_back
from medfloor.measures.yardstick import Yardstick, beside
from medfloor.words import Phrase

Bools: TypeAlias = npt.NDArray[np.bool_]
Part = Literal["rates", "ratios", "own", "income"]
PARTS: tuple[Part, ...] = ("rates", "ratios", "own", "income")

RATES = {
    "hospitalised": "hospitalisation_rate",
    "major_disease": "major_disease_prevalence",
    "chronic_disease": "chronic_disease_prevalence",
}
"""Column of yes and no -> the statistic that is its share."""

LABELS = {
    "band": pl.String(),
    "percentile": pl.Float64(),
    "of": pl.String(),
    "denominator_df": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Be where the columns stand: names in the table, or expressions over it.

    A name that the table lacks leaves out what needs it. Of `reimbursed` and `oop` the first is used where both are
    there: the patient's own payment is then total less reimbursed.
    """

    total: Source = "total"
    reimbursed: Source = "reimbursed"
    oop: Source = "oop"
    in_scope: Source = "in_scope"
    income: Source = "income"
    hospitalised: Source = "hospitalised"
    major_disease: Source = "major_disease"
    chronic_disease: Source = "chronic_disease"


COLUMNS = Columns()


def reimbursement(
    table: Table,
    *,
    columns: Columns = COLUMNS,
    parts: Sequence[Part] = PARTS,
    rates: Mapping[str, Source] | None = None,
    edges: Sequence[float] = (0.5, 0.75, 0.9),
    income_edges: Sequence[float] = (0.5, 0.75, 0.9),
    closed: Closed = "left",
    percentiles: Sequence[float] = (0.25, 0.75, 0.9),
    yardsticks: Mapping[str, Yardstick] | None = None,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
    unit: Unit = "household",
) -> Result:
    """Measure reimbursement ratios, own payments and rates of illness; whatever the table has columns for.

    A row is a household, a person or a stay. `parts`:

    - rates: `hospitalisation_rate`, `major_disease_prevalence`, `chronic_disease_prevalence`, the share of rows with
      yes in columns `hospitalised`, `major_disease` and `chronic_disease` (true/false, 1/0, yes/no, 是/否); and of
      further such columns that `rates` gives, by the name of the statistic.
    - ratios, of rows with a cost (`total` above zero): `real_ratio` (实际报销比例), reimbursed over total as a ratio of
      sums, and `mean_real_ratio` as the mean of ratios; `own_share`, 1 - real_ratio; with `in_scope` the same over the
      cost inside the catalogues, `in_scope_ratio` and `mean_in_scope_ratio` (政策范围内报销比例); `reimbursement_band`,
      the share of rows in each band of the real ratio, cut at `edges`; `closed` says whether a ratio equal to an edge
      belongs to the band above it ("left": 50 % is in 50-75 %) or below ("right").
    - own, what patients paid, of those `hospitalised` where the table says who was, else of rows with a cost:
      `own_mean`, `own_median`, `own_percentile` (errors of both by Woodruff 1952), `own_minimum`, `own_maximum`,
      `own_zero_share`.
    - income, of the same rows: `own_income_share` as a ratio of sums, `mean_own_income_share` (income above zero), and
      `income_band`, cut at `income_edges`; rows without income (zero or below) are a band of their own, never dropped.

    With `by`, differences between groups are tested: `wald_f` for each statistic, `rao_scott_f` for tables, and
    `pearson_chi2` for tables of rows that count once; `of` names what was tested. `yardsticks` are published values to
    compare statistics with (see `beside`). Rows that lack a value are left out of the part that needs it, and counted.

    Settlements as `medfloor settle` writes them, under our names or the national platform's, are understood as they
    are: pay_total is reimbursed and own_total is oop. A settlement that was taken back is left out with the row that
    takes it back, and counted.

    Raises UsageError: bad_edges, bad_choice, bad_probability, nothing_to_measure, no_such_part, no_such_group;
    InputError: not_yes_no, no_costs and what `take` raises.

    >>> stays = {"total": [100.0, 200.0, 400.0, 0.0], "reimbursed": [40.0, 100.0, 380.0, 0.0]}
    >>> found = reimbursement(stays, parts=["ratios", "own"])
    >>> round(found.value("real_ratio"), 4), round(found.value("mean_real_ratio"), 4), found.value("own_median")
    (0.7429, 0.6167, 60.0)
    >>> found.value("reimbursement_band", band="50-75%").__round__(4), found.special["no_cost"]
    (0.3333, 1)
    """
    frame, taken_back = _cases(table, columns, [by] if isinstance(by, str) else by or ())
    bands = Bands.of(edges, closed), Bands.of(income_edges, closed)
    shares = _percentiles(percentiles)
    taking = {"unit": unit, "by": by, "design": design}
    blocks = [*_rates(frame, columns, rates or {}, taking)] if "rates" in _known(parts) else []
    blocks += _payments(frame, columns, parts, bands, shares, taking)
    if not blocks:
        raise UsageError("nothing_to_measure", _nothing(frame, parts))
    frames: list[pl.DataFrame] = []
    tests: list[tuple[str | None, Test]] = []
    special: dict[str, int] = {}
    for block, other in zip(blocks, _comparable(blocks, against), strict=True):
        rows = evaluate(block.sample, block.estimator, labels=LABELS, against=other, progress=progress)
        frames += [rows, *beside(rows, yardsticks or {}, LABELS, block.sample.design.level)]
        tests += block.tests()
        special |= block.special
    special |= taken_back
    sample = blocks[0].sample
    rows = pl.concat([*frames, rows_of(tests, LABELS)])
    return Result(
        measure="reimbursement",
        rows=rows,
        definition=_defined({block.part for block in blocks}, bands, any(block.flagged for block in blocks)),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=special,
        notes=(*_notes(rows, special, yardsticks or {}), *notes_of([test for _, test in tests])),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Be statistics that rest on the same rows: the rows, how to estimate, and the tables to test as a whole."""

    part: Part
    sample: Sample
    estimator: Estimator
    special: dict[str, int]
    tables: tuple[tuple[str, npt.NDArray[np.int64]], ...] = ()
    flagged: bool = False

    def tests(self) -> Iterator[tuple[str | None, Test]]:
        """Test each statistic between groups, and each table of groups by bands."""
        whole = {name for name, _ in self.tables}
        for grouping in self.sample.groupings:
            if self.sample.design.method != "none":
                for test in equality(self.sample, grouping, self.estimator):
                    if test.labels["of"] not in whole:
                        yield grouping.name, test
            for name, codes in self.tables:
                for test in independence(self.sample, grouping.code, codes, {"of": name}):
                    yield grouping.name, test


def _cases(table: Table, columns: Columns, by: Sequence[str]) -> tuple[pl.DataFrame, dict[str, int]]:
    """Read settlements as they are: by our names, without what was taken back; other tables stay as they are."""
    asked = (getattr(columns, name) for name in Columns.__dataclass_fields__)
    frame, gone = cases_of(table, {one for one in (*asked, *by) if isinstance(one, str)})
    settled = {"pay_total": "reimbursed", "own_total": "oop"}
    if not {"reimbursed", "oop"} & set(frame.columns):
        frame = frame.rename({one: ours for one, ours in settled.items() if one in frame.columns})
    if gone:
        return frame, {"taken_back": gone}
    paid = [one for one in (columns.reimbursed, columns.oop) if isinstance(one, str) and one in frame.columns]
    if not isinstance(columns.total, str) or columns.total not in frame.columns or not paid:
        return frame, {}
    frame, pairs = without_taken_back(frame, total=columns.total, paid=paid[:1])
    if not frame.height:
        raise InputError("no_costs", f"all {pairs:,} settlements were taken back; there is no cost to pay back")
    return frame, {"taken_back": pairs} if pairs else {}


def _percentiles(given: Sequence[float]) -> tuple[float, ...]:
    for one in given:
        if not 0 < one < 1:
            raise UsageError("bad_probability", f"percentile {one} is not between 0 and 1; write 0.9 for the 90th")
    return tuple(dict.fromkeys(float(one) for one in given if one != 0.5))


def _known(parts: Sequence[Part]) -> Sequence[Part]:
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise UsageError("no_such_part", f"there is no part {unknown[0]!r}; choose of {', '.join(PARTS)}")
    return parts


def _rates(
    frame: pl.DataFrame, columns: Columns, further: Mapping[str, Source], taking: Mapping[str, object]
) -> Iterator[_Block]:
    there = _there(frame, columns)
    flags = {statistic: there[name] for name, statistic in RATES.items() if name in there}
    for statistic, source in {**flags, **further}.items():
        yield _rate(frame, source, statistic, taking)


def _payments(
    frame: pl.DataFrame,
    columns: Columns,
    parts: Sequence[Part],
    bands: tuple[Bands, Bands],
    percentiles: tuple[float, ...],
    taking: Mapping[str, object],
) -> Iterator[_Block]:
    there = _there(frame, columns)
    if "total" not in there or not ({"reimbursed", "oop"} & set(there)):
        return
    yes = flag(frame, there["hospitalised"], "hospitalised") if "hospitalised" in there else None
    paid = _paid(frame, there, yes)
    if "ratios" in parts:
        yield _ratios(frame, paid, None, bands[0], taking)
        if "in_scope" in there:
            yield _ratios(frame, paid, there["in_scope"], bands[0], taking)
    if "own" in parts:
        yield _own(frame, paid, yes, percentiles, taking)
    if "income" in parts and "income" in there:
        yield _income(frame, paid, yes, there["income"], bands[1], taking)


def _there(frame: pl.DataFrame, columns: Columns) -> dict[str, Source]:
    """List the columns that the table has; one that was named by the user must be there."""
    found: dict[str, Source] = {}
    for name in Columns.__dataclass_fields__:
        source: Source = getattr(columns, name)
        if not isinstance(source, str) or source in frame.columns or source != getattr(COLUMNS, name):
            found[name] = source
    return found


def _paid(frame: pl.DataFrame, there: Mapping[str, Source], yes: pl.Expr | None) -> dict[str, Source]:
    names = ("total", "reimbursed" if "reimbursed" in there else "oop")
    if yes is None:
        return {name: there[name] for name in names}
    given = {name: column(frame, there[name], name) for name in names}
    # A survey asks only the hospitalised for the bill; that others left it open is no missing answer.
    return {
        name: pl.when((yes == 0) & pl.lit(one.is_null())).then(0.0).otherwise(pl.lit(one))
        for name, one in given.items()
    }


def _nothing(frame: pl.DataFrame, parts: Sequence[Part]) -> str:
    return (
        f"the table has no columns for {', '.join(parts)}; they need total with reimbursed or oop, income, or the "
        f"flags {', '.join(RATES)}; there are {', '.join(frame.columns[:20])}"
    )


def _taken(
    frame: pl.DataFrame, columns: Mapping[str, Source | None], taking: Mapping[str, object], what: str
) -> Sample:
    sample = take(frame, columns, **taking)  # type: ignore[arg-type]
    special = dict(sample.special)
    missing = special.pop("missing", 0)
    if missing:
        special[f"missing_{what}"] = missing
    return replace(sample, special=special)


def _rate(frame: pl.DataFrame, source: Source, statistic: str, taking: Mapping[str, object]) -> _Block:
    name = source if isinstance(source, str) else statistic
    sample = _taken(frame, {"yes": flag(frame, source, name)}, taking, name)
    codes = sample["yes"].astype(np.int64)

    def bind(columns: Mapping[str, Array]) -> Bound:
        yes = columns["yes"] > 0

        def bound(weight: Array) -> Iterator[Statistic]:
            yield Statistic(statistic, mean(weight, yes), "proportion")

        return bound

    return _Block("rates", sample, bind, sample.special, ((statistic, codes),))


def _with_payments(sample: Sample) -> Sample:
    """Give both what was reimbursed and what was the patient's own."""
    if sample.has("reimbursed"):
        return sample.also(oop=sample["total"] - sample["reimbursed"])
    return sample.also(reimbursed=sample["total"] - sample["oop"])


def _ratios(
    frame: pl.DataFrame, paid: Mapping[str, Source], scope: Source | None, bands: Bands, taking: Mapping[str, object]
) -> _Block:
    name = "total" if scope is None else "in_scope"
    what = "cost" if scope is None else "in_scope"
    sample = _with_payments(_taken(frame, dict(paid) | ({} if scope is None else {"in_scope": scope}), taking, what))
    cost = sample[name]
    counts = {f"no_{what}": int((cost == 0).sum()), f"negative_{what}": int((cost < 0).sum())}
    if scope is None:
        counts |= {
            "negative_reimbursed": int(((sample["reimbursed"] < 0) & (cost > 0)).sum()),
            "reimbursed_over_cost": int(((sample["reimbursed"] > cost) & (cost > 0)).sum()),
        }
    sample = _costly(sample, cost > 0, name)
    special = sample.special | {key: count for key, count in counts.items() if count or key == "no_cost"}
    if scope is not None:
        return _Block("ratios", sample, _scope_ratios, special)
    codes = bands.codes(sample["reimbursed"], sample["total"])

    def bind(columns: Mapping[str, Array]) -> Bound:
        cost, back = columns["total"], columns["reimbursed"]
        ratio = back / cost
        placed = bands.codes(back, cost)

        def bound(weight: Array) -> Iterator[Statistic]:
            sums = total(weight, back) / total(weight, cost)
            yield Statistic("real_ratio", sums, "percent")
            yield Statistic("mean_real_ratio", mean(weight, ratio), "percent")
            yield Statistic("own_share", 1.0 - sums, "percent")
            yield from _banded(weight, placed, "reimbursement_band", bands.names)

        return bound

    return _Block("ratios", sample, bind, special, (("reimbursement_band", codes),))


def _scope_ratios(columns: Mapping[str, Array]) -> Bound:
    cost, back = columns["in_scope"], columns["reimbursed"]
    ratio = back / cost

    def bound(weight: Array) -> Iterator[Statistic]:
        yield Statistic("in_scope_ratio", total(weight, back) / total(weight, cost), "percent")
        yield Statistic("mean_in_scope_ratio", mean(weight, ratio), "percent")

    return bound


def _costly(sample: Sample, rows: Bools, name: str) -> Sample:
    if not (sample.weight[rows] > 0).any():
        raise InputError(
            "no_costs", f"no row that counts has a {name} above zero, so that there is no ratio; check the column"
        )
    return sample if rows.all() else sample.only(rows)


def _patients(sample: Sample) -> Sample:
    """Keep the hospitalised, or, where no column says who was, rows with a cost."""
    rows = sample["hospitalised"] > 0 if sample.has("hospitalised") else sample["total"] > 0
    return _costly(sample, rows, "total")


def _own(
    frame: pl.DataFrame,
    paid: Mapping[str, Source],
    yes: pl.Expr | None,
    percentiles: tuple[float, ...],
    taking: Mapping[str, object],
) -> _Block:
    sample = _with_payments(_taken(frame, {**paid, "hospitalised": yes}, taking, "own"))
    sample = _patients(sample)
    special = dict(sample.special)
    negative = int((sample["oop"] < 0).sum())

    def bind(columns: Mapping[str, Array]) -> Bound:
        own = columns["oop"]
        order = np.argsort(own)

        def bound(weight: Array) -> Iterator[Statistic]:
            seen = own[weight > 0]
            yield Statistic("own_mean", mean(weight, own), "amount")
            ordered, weights = own[order], weight[order]

            def at(share: float) -> float:
                return quantile(ordered, weights, share) if 0 <= share <= 1 else float("nan")

            for share in (0.5, *percentiles):
                value = at(share)
                within = own <= value
                inverse = Inverse(mean(weight, within), within, at)
                name, labels = ("own_median", {}) if share == 0.5 else ("own_percentile", {"percentile": share})
                yield Statistic(name, Quantity(value), "amount", labels, inverse=inverse)
            yield Statistic("own_minimum", Quantity(float(seen.min(initial=np.inf))), "amount", known=False)
            yield Statistic("own_maximum", Quantity(float(seen.max(initial=-np.inf))), "amount", known=False)
            yield Statistic("own_zero_share", mean(weight, own == 0), "proportion")

        return bound

    special |= {"negative_own": negative} if negative else {}
    return _Block("own", sample, bind, special, flagged=yes is not None)


def _income(
    frame: pl.DataFrame,
    paid: Mapping[str, Source],
    yes: pl.Expr | None,
    income: Source,
    bands: Bands,
    taking: Mapping[str, object],
) -> _Block:
    sample = _with_payments(_taken(frame, {**paid, "hospitalised": yes, "income": income}, taking, "income"))
    sample = _patients(sample)
    counts = {
        "no_income": int((sample["income"] == 0).sum()),
        "negative_income": int((sample["income"] < 0).sum()),
    }
    special = sample.special | {name: count for name, count in counts.items() if count}
    names = (*bands.names, NO_DIVISOR)

    def bind(columns: Mapping[str, Array]) -> Bound:
        own, income = columns["oop"], columns["income"]
        earning = income > 0
        ratio = np.where(earning, own, 0.0) / np.where(earning, income, 1.0)
        placed = bands.codes(own, income)

        def bound(weight: Array) -> Iterator[Statistic]:
            sums = total(weight, income)
            share = total(weight, own) / sums if sums.value > 0 else Quantity(float("nan"))
            earners = total(weight, earning)
            n = int(((weight > 0) & earning).sum())
            yield Statistic("own_income_share", share, "percent")
            yield Statistic(
                "mean_own_income_share",
                total(weight, ratio) / earners,
                "percent",
                n=n,
                weighted_n=earners.value,
            )
            yield from _banded(weight, placed, "income_band", names)

        return bound

    codes = bands.codes(sample["oop"], sample["income"])
    return _Block("income", sample, bind, special, (("income_band", codes),), flagged=yes is not None)


def _banded(weight: Array, placed: npt.NDArray[np.int64], statistic: str, names: Sequence[str]) -> Iterator[Statistic]:
    for code, name in enumerate(names):
        yield Statistic(statistic, mean(weight, placed == code), "proportion", {"band": name})


def _comparable(blocks: Sequence[_Block], against: str | None) -> list[str | None]:
    """Name the group to compare with for each block; a block whose rows have no such group goes without."""
    if against is None:
        return [None] * len(blocks)
    has = [any(against in grouping.labels for grouping in block.sample.groupings) for block in blocks]
    # Where no block has the group, the first one raises the error that lists what there is.
    return [against if one or not any(has) else None for one in has]


def _defined(parts: set[Part], bands: tuple[Bands, Bands], flagged: bool) -> Phrase:
    """Say the definitions of the parts that are there, one after the other."""
    of = Phrase("reimbursement.of_hospitalised" if flagged else "reimbursement.of_cost")
    words = {
        "rates": Phrase("reimbursement.rates"),
        "ratios": Phrase.of("reimbursement.ratios", bands=bands[0].words()),
        "own": Phrase.of("reimbursement.own", of=of),
        "income": Phrase.of("reimbursement.income", of=of, bands=bands[1].words()),
    }
    told = [words[part] for part in PARTS if part in parts]
    found = told[0]
    for one in told[1:]:
        found = Phrase.of("reimbursement.also", first=found, then=one)
    return found


def _notes(rows: pl.DataFrame, special: Mapping[str, int], yardsticks: Mapping[str, Yardstick]) -> tuple[Phrase, ...]:
    notes = []
    if special.get("no_income") or special.get("negative_income"):
        notes.append(Phrase("reimbursement.no_income"))
    said = set(rows["statistic"].to_list())
    if "own_median" in said:
        notes.append(Phrase("reimbursement.quantile_errors"))
    notes += [one.words(name) for name, one in yardsticks.items() if name in said]
    return tuple(notes)
