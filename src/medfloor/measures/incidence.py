"""Measure who gets the benefit of public money, and who pays for whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.concentration import drawn
from medfloor.measures.curve import quantile_totals
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.indices import twice_covariance
from medfloor.measures.influence import Array, Quantity, count, mean, total
from medfloor.measures.rank import Ranking, quantile_groups
from medfloor.measures.ranked import By, ranked_once, take_ranked, told
from medfloor.measures.replicate import Progress
from medfloor.measures.result import SCHEMA, Result
from medfloor.measures.sample import Sample, Source, Table, Unit, frame_of, take
from medfloor.words import Phrase


@dataclass(frozen=True, slots=True)
class Benefit:
    """Be what a household gets out of public money, and how it is worked out.

    Give one of three: `benefit`, a column; `total` and `oop`, what care cost and what was paid out of pocket (benefit =
    total - oop); `use` and `unit_subsidy`, how often a service was used and what public money adds to each use, less
    `fee`, all that the user paid for it. `floor` takes a benefit below zero for zero.
    """

    benefit: Source | None = None
    total: Source | None = None
    oop: Source | None = None
    use: Source | None = None
    unit_subsidy: float | Source | None = None
    fee: Source | None = None
    floor: bool = False

    def columns(self) -> dict[str, Source]:
        """Name the columns that are needed. Raises UsageError benefit_unclear unless exactly one way is given."""
        ways = {
            "benefit": self.benefit is not None,
            "total": self.total is not None or self.oop is not None,
            "use": self.use is not None or self.unit_subsidy is not None,
        }
        chosen = [name for name, given in ways.items() if given]
        needs: dict[str, Source | None] = {"benefit": self.benefit}
        if chosen == ["total"]:
            needs = {"total": self.total, "oop": self.oop}
        elif chosen == ["use"]:
            subsidy = self.unit_subsidy
            needs = {"use": self.use, "unit_subsidy": pl.lit(subsidy) if isinstance(subsidy, (int, float)) else subsidy}
            needs |= {"fee": self.fee} if self.fee is not None else {}
        found = {name: source for name, source in needs.items() if source is not None}
        if len(chosen) != 1 or len(found) < len(needs):
            raise UsageError(
                "benefit_unclear",
                "say the benefit in one way: benefit=; or total= and oop=; or use= and unit_subsidy= (and fee=)",
            )
        return found

    def amount(self, sample: Sample) -> Array:
        """Work the benefit out of the columns of a sample."""
        if sample.has("benefit"):
            found = sample["benefit"]
        elif sample.has("total"):
            found = sample["total"] - sample["oop"]
        else:
            found = sample["use"] * sample["unit_subsidy"]
            found = found - sample["fee"] if sample.has("fee") else found
        return np.maximum(found, 0.0) if self.floor else found

    def words(self) -> Phrase:
        """Say how the benefit is worked out."""
        floor = Phrase("incidence.floor" if self.floor else "incidence.no_floor")
        if self.benefit is not None:
            return Phrase.of("incidence.given", benefit=told(self.benefit), floor=floor)
        if self.total is not None and self.oop is not None:
            return Phrase.of("incidence.total_less_oop", total=told(self.total), oop=told(self.oop), floor=floor)
        assert self.use is not None and self.unit_subsidy is not None
        subsidy = self.unit_subsidy
        said = f"{subsidy:g}" if isinstance(subsidy, (int, float)) else told(subsidy)
        fee = "0" if self.fee is None else told(self.fee)
        return Phrase.of("incidence.use_times_subsidy", use=told(self.use), subsidy=said, fee=fee, floor=floor)


def incidence(
    table: Table,
    *,
    benefit: Benefit | Source = "benefit",
    rank: Source = "consumption",
    quantiles: int = 5,
    rank_by: By | None = None,
    size: Source = "size",
    unit: Unit = "household",
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure how a public benefit falls on poor and rich (benefit incidence, O'Donnell et al. 2008, chapter 14).

    `benefit` is a column, or a `Benefit` that is worked out of others. For each quantile group of the rank (1 the
    poorest; a household at a cut belongs below): `benefit_share` and `mean_benefit`, whose errors know that the cuts
    are estimated. Over all: `mean_benefit`; `benefit_concentration` C_B, below zero where the poor get more than their
    share of people (the benefit is pro-poor); `rank_gini` G_X, the Gini index of the ranking variable; and
    `benefit_kakwani` C_B - G_X, below zero where the poor get more than their share of consumption (the benefit is
    progressive: it makes the distribution more even). Where the curves lie, `dominance` tests.

    A benefit below zero (a fee above the subsidy) is kept and counted unless `Benefit(floor=True)`. Where all benefits
    add up to zero shares are undefined. Raises UsageError: benefit_unclear, bad_quantiles, no_such_group; InputError:
    what `take` raises.

    >>> homes = {"benefit": [4.0, 3.0, 2.0, 1.0], "consumption": [1.0, 2.0, 3.0, 4.0]}
    >>> found = incidence(homes, quantiles=2)
    >>> round(found.value("benefit_share", quantile="1"), 12), found.value("benefit_concentration")
    (0.7, -0.25)
    """
    given = benefit if isinstance(benefit, Benefit) else Benefit(benefit=benefit)
    if not 2 <= quantiles <= 100:
        raise UsageError("bad_quantiles", f"{quantiles} quantile groups; ask for 2 to 100, 5 for quintiles")
    sample, words = take_ranked(
        table, given.columns(), rank=rank, rank_by=rank_by, size=size, unit=unit, by=by, design=design
    )
    sample = sample.also(of=given.amount(sample))
    sample = sample.noting(**_special(sample, "of", "benefit"))
    ranked = ranked_once(sample)
    rows = evaluate(
        sample,
        _incidence_estimator(quantiles, ranked),
        labels={"quantile": pl.String()},
        against=against,
        progress=progress,
    )
    return Result(
        measure="incidence",
        rows=rows,
        definition=Phrase.of("incidence.defined", benefit=given.words(), rank=words, quantiles=quantiles),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        notes=_notes(rows, sample.special.get("negative_benefit", 0)),
        curves={"concentration": drawn(sample, ranked)},
    )


def net_transfer(
    table: Table,
    *,
    benefit: Benefit | Source = "benefit",
    contribution: Source = "contribution",
    subsidy: Source | None = None,
    rank: Source | None = None,
    quantiles: int = 0,
    rank_by: By | None = None,
    per_head: bool = False,
    size: Source = "size",
    unit: Unit | None = None,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure who pays for whom in an insurance pool: benefit less contribution less subsidy, a head, by group.

    A row of the table is a person, or a household with amounts of all its members; `per_head` divides amounts by size
    and counts people. For all and each group: `mean_benefit`, `mean_contribution`, `mean_subsidy` (what a third party,
    such as public money or medical assistance, paid into the pool for them), `net_transfer` = benefit - contribution -
    subsidy, `return_rate` = benefits / (contributions + subsidies), `own_return` = benefits / own contributions (if a
    subsidy is named). For each group, held against the whole pool: `population_share`, `benefit_share`,
    `contribution_share` (of contributions and subsidies), `share_gap` = benefit share - contribution share, with its
    p-value, and `relative_return` = benefit share / contribution share.

    A group with a share gap below zero pays for others. Where it is the poorer, the countryside, or the remoter place,
    that is the *reverse subsidy* (the poor pay for the rich). With `rank` (and `quantiles` for groups of it)
    `reverse_subsidy` = C_B - C_P, the concentration index of benefits less that of what is paid in: above zero,
    benefits lie more with the better-off than payments do. No published index was found for it; this one is
    medfloor's own, built as Kakwani's is.

    Errors know that shares rest on the whole pool; with `against` each group is compared with one. Quantile groups are
    taken as given. A return on nothing paid is undefined. Raises UsageError: benefit_unclear, bad_quantiles,
    no_such_group; InputError: what `take` raises.

    >>> people = {"benefit": [900.0, 300.0, 100.0, 100.0], "contribution": [200.0, 200.0, 200.0, 200.0],
    ...           "residence": ["urban", "urban", "rural", "rural"]}
    >>> found = net_transfer(people, by="residence")
    >>> found.value("net_transfer", group="rural"), round(found.value("share_gap", group="rural"), 4)
    (-100.0, -0.3571)
    """
    given = benefit if isinstance(benefit, Benefit) else Benefit(benefit=benefit)
    if quantiles and (rank is None or not 2 <= quantiles <= 100):
        raise UsageError("bad_quantiles", f"{quantiles} quantile groups; ask for 2 to 100, and name the rank")
    unit = unit or ("person" if per_head else "household")
    columns: dict[str, Source] = {**given.columns(), "contribution": contribution}
    if subsidy is not None:
        columns["subsidy"] = subsidy
    if per_head:
        columns["size"] = size
    frame = frame_of(table)
    words = Phrase("incidence.no_rank")
    if rank is not None:
        sample, words = take_ranked(
            frame, columns, rank=rank, rank_by=rank_by, size=size, unit=unit, by=by, design=design
        )
    else:
        sample = take(frame, columns, unit=unit, size=size, by=by, design=design)
    sample = _pool(sample, given, per_head)
    sample = sample.noting(**_special(sample, "of", "benefit"), **_special(sample, "contribution", "contribution"))
    if quantiles:
        codes, _ = quantile_groups(sample["rank"], sample.weight, quantiles)
        sample = sample.parted("quantile", [str(place) for place in range(1, quantiles + 1)], codes)
    rows = _net_rows(sample, subsidy is not None, against, progress)
    return Result(
        measure="net_transfer",
        rows=rows,
        definition=Phrase.of(
            "incidence.net_transfer",
            benefit=given.words(),
            contribution=told(contribution),
            subsidy=Phrase("incidence.no_subsidy") if subsidy is None else told(subsidy),
            rank=words,
            scale=Phrase("incidence.per_head" if per_head else "incidence.per_row"),
        ),
        weight=sample.weighted_by,
        errors=errors_of(sample),
        level=sample.design.level,
        special=sample.special,
        notes=_notes(rows, sample.special.get("negative_benefit", 0)),
    )


def _incidence_estimator(quantiles: int, ranked: Callable[[Mapping[str, Array]], Ranking]) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        benefit, rank, ranking = columns["of"], columns["rank"], ranked(columns)

        def bound(weight: Array) -> Iterator[Statistic]:
            mu, level = mean(weight, benefit), mean(weight, rank)
            index = twice_covariance(ranking, weight, benefit) / mu
            gini = twice_covariance(ranking, weight, rank) / level
            yield Statistic("mean_benefit", mu, "amount")
            yield Statistic("benefit_concentration", index, tested=True)
            yield Statistic("rank_gini", gini)
            yield Statistic("benefit_kakwani", index - gini, tested=True)
            whole = total(weight, benefit)
            people = quantile_totals(ranking, weight, None, quantiles)
            for place, one in enumerate(quantile_totals(ranking, weight, benefit, quantiles)):
                label = {"quantile": str(place + 1)}
                yield Statistic("benefit_share", one / whole, "percent", label)
                yield Statistic("mean_benefit", one / people[place], "amount", label)

        return bound

    return bind


def _pool(sample: Sample, given: Benefit, per_head: bool) -> Sample:
    """Bring benefit, contribution and subsidy together, and what was paid in by both."""
    heads: Array | float = sample["size"] if per_head else 1.0
    paid = sample["contribution"] / heads
    made = {"of": given.amount(sample) / heads, "contribution": paid, "paid": paid}
    if sample.has("subsidy"):
        made |= {"subsidy": sample["subsidy"] / heads, "paid": paid + sample["subsidy"] / heads}
    return sample.also(**made)


def _net_rows(sample: Sample, subsidised: bool, against: str | None, progress: Progress | None) -> pl.DataFrame:
    """Give means and returns of each group by itself, and its shares held against the whole pool."""
    own = evaluate(sample, partial(_net_estimator, subsidised), labels={}, against=against, progress=progress)
    if not sample.groupings:
        return own
    shares = evaluate(sample, _share_estimator, labels={}, against=against, progress=progress, whole=True)
    shares = shares.filter(pl.col("group").is_not_null())
    # The rows of a group stand together: what it gets and pays, then its shares.
    both = pl.concat([own, shares]).with_row_index("_at")
    first = pl.col("_at").min().over(["by", "group", "against"])
    return both.sort(first, "_at").select("statistic", "by", "group", "against", *SCHEMA)


def _net_estimator(subsidised: bool, columns: Mapping[str, Array]) -> Bound:
    benefit, own, paid = columns["of"], columns["contribution"], columns["paid"]
    ranking = Ranking.of(columns["rank"]) if "rank" in columns else None

    def bound(weight: Array) -> Iterator[Statistic]:
        got, gave = mean(weight, benefit), mean(weight, paid)
        given = mean(weight, own) if subsidised else gave
        yield Statistic("mean_benefit", got, "amount")
        yield Statistic("mean_contribution", given, "amount")
        if subsidised:
            yield Statistic("mean_subsidy", mean(weight, columns["subsidy"]), "amount")
        yield Statistic("net_transfer", got - gave, "amount", tested=True)
        yield Statistic("return_rate", got / gave, "percent")
        if subsidised:
            yield Statistic("own_return", got / given, "percent")
        if ranking is not None:
            index_of_benefit = twice_covariance(ranking, weight, benefit) / got
            index_of_payment = twice_covariance(ranking, weight, paid) / gave
            yield Statistic("benefit_concentration", index_of_benefit)
            yield Statistic("payment_concentration", index_of_payment)
            yield Statistic("reverse_subsidy", index_of_benefit - index_of_payment, tested=True)

    return bound


def _share_estimator(columns: Mapping[str, Array]) -> Bound:
    benefit, paid, inside = columns["of"], columns["paid"], columns["inside"]

    def bound(weight: Array) -> Iterator[Statistic]:
        people: Quantity = total(weight, inside) / count(weight)
        got = total(weight, inside * benefit) / total(weight, benefit)
        gave = total(weight, inside * paid) / total(weight, paid)
        yield Statistic("population_share", people, "percent")
        yield Statistic("benefit_share", got, "percent")
        yield Statistic("contribution_share", gave, "percent")
        yield Statistic("share_gap", got - gave, "percent", tested=True)
        yield Statistic("relative_return", got / gave)

    return bound


def _special(sample: Sample, column: str, name: str) -> dict[str, int]:
    values = sample[column]
    counts = {f"no_{name}": int((values == 0).sum()), f"negative_{name}": int((values < 0).sum())}
    return {key: number for key, number in counts.items() if number or key.startswith("no_")}


def _notes(rows: pl.DataFrame, negative: int) -> tuple[Phrase, ...]:
    notes = [Phrase("concentration.undefined")] if rows["estimate"].null_count() else []
    return (*notes, *((Phrase("incidence.negative"),) if negative else ()))
