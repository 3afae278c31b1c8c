"""Compare the treated with controls like them: matching and weighting on the propensity score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from medfloor.errors import UsageError
from medfloor.evaluation.balance import SMALL, balance
from medfloor.evaluation.fixed_effects import FEW_CLUSTERS, interval_told
from medfloor.evaluation.neighbours import (
    Order,
    Pairs,
    Space,
    Ties,
    abadie_imbens,
    mean_difference,
    with_replacement,
    without_replacement,
)
from medfloor.evaluation.propensity import (
    Estimand,
    Propensity,
    beyond_support,
    odds_weights,
    propensity,
    weighted_difference,
)
from medfloor.evaluation.result import Drop, Fit, estimates, inference, number_text
from medfloor.evaluation.sample import Sample, take
from medfloor.words import Phrase

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Method = Literal["nearest", "weights"]
Distance = Literal["score", "logit", "mahalanobis"]
_CHOICES: dict[str, tuple[str, ...]] = {
    "estimand": ("att", "ate"),
    "method": ("nearest", "weights"),
    "ties": ("all", "order"),
    "distance": ("score", "logit", "mahalanobis"),
    "order": ("largest", "smallest", "data"),
}
ROW = "row of the table"
WEIGHT, PAIR = "matching_weight", "matching_pair"
"""The columns that `matched_rows` adds."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Be how rows are matched or weighted."""

    estimand: Estimand
    method: Method
    neighbours: int
    replace: bool
    ties: Ties
    order: Order
    distance: Distance
    caliper: float | None
    common_support: bool

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError("bad_choice", f"{name} {getattr(self, name)!r} is none of {', '.join(allowed)}")
        if not 1 <= self.neighbours <= 100:
            raise UsageError("bad_number", f"{self.neighbours} neighbours: ask for 1 to 100")
        if self.caliper is not None and not 0 < self.caliper < np.inf:
            raise UsageError("bad_number", f"a caliper of {self.caliper}: give standard deviations above zero, 0.2 say")
        if self.estimand == "ate" and self.method == "nearest" and not self.replace:
            raise UsageError(
                "bad_choice", "the effect on all cannot be matched without replacement; use estimand 'att', or replace"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Be a sample with its score and with who was matched: `weight` is what each row counts in the comparison."""

    sample: Sample
    treated: Bools
    covariates: dict[str, Floats]
    score: Propensity
    outside: int
    unmatched: int
    pairs: Pairs | None
    weight: Floats
    rule: Rule

    @property
    def outcome(self) -> Floats:
        """Give the outcome."""
        return self.sample.frame["y"].to_numpy()


def match(
    table: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "att",
    method: Method = "nearest",
    neighbours: int = 1,
    replace: bool = True,
    ties: Ties = "all",
    order: Order = "largest",
    distance: Distance = "score",
    caliper: float | None = None,
    common_support: bool = False,
    cluster: str | None = None,
    level: float = 0.95,
) -> Fit:
    """Compare rows that got a treatment (0 or 1) with rows that are alike in covariates and did not.

    The propensity score is a logit of the treatment on the covariates (`i.sex` is a category). `estimand`: "att", the
    mean effect on the treated, or "ate", on all. `method` "nearest" holds each row beside its `neighbours` nearest of
    the other side. With `replace`, a row may serve many times; `ties` "all" counts everyone no farther than the last
    neighbour, "order" takes exactly so many; errors are those of Abadie and Imbens (2006). Without, rows choose in turn
    by score (`order`), and errors let the rows of a pair go together. `distance`: "score" (the chance), "logit", or
    "mahalanobis" of the covariates. `caliper` is the farthest that matches may be, in standard deviations of the score
    (of its logit for "logit"). `method` "weights" weighs rows by the odds of the score (Hájek means), with errors that
    know that the score is estimated. `common_support` leaves out rows whose score no one on the other side reaches.
    `cluster` lets rows of a cluster go together; not where rows serve many times, for which no such error is known.

    `tables["balance"]` shows covariates before and after, `tables["score"]` the logit; `curves["overlap"]` has the
    scores of both sides: group, when, x, share. Rows that lack a column are left out and counted.

    Raises UsageError: what `take` raises, bad_choice, bad_number, not_binary, no_covariates, same_column,
    nobody_treated, nobody_untreated, separated, not_estimable, too_few_controls, too_many_ties, no_matches, bad_errors,
    one_cluster.

    Source: Rosenbaum and Rubin (1983, Biometrika 70, 41-55); Abadie and Imbens (2006, Econometrica 74, 235-267).

    >>> people = pl.DataFrame({"age": [30, 40, 50, 31, 41, 60, 52, 28], "insured": [1, 1, 1, 0, 0, 0, 0, 0]})
    >>> people = people.with_columns(oop=100 - 30 * pl.col("insured") + pl.col("age"))
    >>> fit = match(people, outcome="oop", treatment="insured", covariates=["age"], ties="order")
    >>> round(fit.estimate, 2), fit.facts["controls_used"]
    (-31.33, 3)
    """
    rule = Rule(estimand, method, neighbours, replace, ties, order, distance, caliper, common_support)
    matched = matching(table, outcome=outcome, treatment=treatment, covariates=covariates, rule=rule, cluster=cluster)
    estimate, se, clusters = _difference(matched, cluster)
    row: dict[str, object] = {
        "model": "propensity_weights" if method == "weights" else "matching" if not replace else "nearest_neighbours",
        "outcome": outcome, "term": estimand, **inference(estimate, se, level=level),
        "rows": int((matched.weight > 0).sum()), "clusters": clusters,
    }  # fmt: skip
    table_of_balance = balance_of(matched)
    facts = facts_of(matched, table_of_balance)
    return Fit(
        method="match",
        rows=estimates([row]),
        equation=equation_of(matched, outcome, treatment),
        errors=_errors(rule, cluster, clusters),
        drops=matched.sample.drops,
        facts=facts,
        tables={"balance": table_of_balance, "score": score_of(matched)},
        curves={"overlap": overlap_of(matched)},
        shows=_shows(row, matched, treatment, level),
        not_shown=_not_shown(rule),
        warnings=warnings_of(matched, table_of_balance, clusters),
        notes=left_out_of(matched),
        sources=_sources(rule),
        level=level,
    )


def matching(
    table: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    rule: Rule,
    cluster: str | None = None,
) -> Matched:
    """Take complete rows, estimate the score, and match or weigh. Raises what `match` raises."""
    if not covariates:
        raise UsageError("no_covariates", "no covariate is named to match on; name one or more")
    if outcome == treatment:
        raise UsageError(
            "same_column", f"{outcome!r} is named as outcome and as treatment; an effect needs two columns"
        )
    if cluster and rule.method == "nearest" and rule.replace:
        raise UsageError(
            "bad_errors",
            "errors by cluster are not known where a row may serve often; match without replacement, or use weights",
        )
    categories = {f"c{place}": one[2:] for place, one in enumerate(covariates) if one.startswith("i.")}
    labels = categories | ({"cluster": cluster} if cluster else {})
    sample = take(
        table.with_row_index(ROW), numbers={"y": outcome, "d": treatment, "row": ROW}, labels=labels,
        covariates=covariates,
    )  # fmt: skip
    treated = sides_of(sample, treatment)
    score = propensity(treated, _design(sample))
    outside = beyond_support(score, treated, rule.estimand)
    if rule.common_support and outside.any():
        sample = _keep(sample, ~outside, "off_support")
        treated, score = treated[~outside], _rows_of(score, ~outside)
        sides_of(sample, treatment)
    pairs, weight = (None, odds_weights(score, treated, rule.estimand))
    if rule.method == "nearest":
        pairs, weight = _match(sample, treated, score, rule)
    unmatched = len(pairs.alone) if pairs else 0
    if unmatched:
        sample = replace(sample, drops=(*sample.drops, Drop("no_match", unmatched)))
    return Matched(
        sample, treated, _named(sample, categories), score, int(outside.sum()), unmatched, pairs, weight, rule
    )


def sides_of(sample: Sample, treatment: str) -> Bools:
    """Mark the treated. Raises UsageError not_binary, nobody_treated, nobody_untreated."""
    values = sample.frame["d"]
    if not values.is_in([0.0, 1.0]).all():
        odd = values.filter(~values.is_in([0.0, 1.0]))[0]
        raise UsageError("not_binary", f"{treatment!r} has the value {odd:g}; a treatment to match on is 0 or 1")
    treated = np.asarray(values.to_numpy() == 1, np.bool_)
    if not treated.any():
        raise UsageError(
            "nobody_treated", f"{treatment!r} is 0 in all rows that are complete; there is nobody to match"
        )
    if treated.all():
        raise UsageError(
            "nobody_untreated", f"{treatment!r} is 1 in all rows that are complete; there is nobody to match with"
        )
    return treated


def _design(sample: Sample) -> Floats:
    return np.column_stack([sample.frame[name].to_numpy() for name in sample.covariates])


def _keep(sample: Sample, rows: Bools, reason: str) -> Sample:
    """Keep some rows by a mask, and count the others."""
    return replace(
        sample, frame=sample.frame.filter(pl.Series(rows)), drops=(*sample.drops, Drop(reason, int((~rows).sum())))
    )


def _rows_of(score: Propensity, rows: Bools) -> Propensity:
    """Keep some rows of a score, which stays the one estimated on all rows."""
    fit = replace(score.fit, scores=score.fit.scores[rows])
    return replace(score, design=score.design[rows], index=score.index[rows], fit=fit)


def _named(sample: Sample, categories: dict[str, str]) -> dict[str, Floats]:
    """Give covariates by the user's names, a category with all its levels."""
    named: dict[str, Floats] = {}
    for name in sample.covariates:
        own = sample.names[name]
        label = next((one for one, column in categories.items() if own.startswith(f"{column}=")), None)
        if label is None:
            named[own] = sample.frame[name].to_numpy()
            continue
        codes = sample.frame[label].to_numpy()
        for code, level in enumerate(sample.levels[label]):
            named[f"{categories[label]}={level}"] = (codes == code).astype(np.float64)
    return named


def _match(sample: Sample, treated: Bools, score: Propensity, rule: Rule) -> tuple[Pairs, Floats]:
    ruler = np.round(score.index, 12) if rule.distance == "logit" else score.chance
    points = _whitened(_design(sample)) if rule.distance == "mahalanobis" else None
    space = Space.of(points, ruler, rule.caliper)
    rows, pool = np.flatnonzero(treated), np.flatnonzero(~treated)
    if not rule.replace:
        pairs = without_replacement(space, rows, pool, number=rule.neighbours, order=rule.order)
    else:
        pairs = with_replacement(space, rows, pool, number=rule.neighbours, ties=rule.ties)
        if rule.estimand == "ate":
            back = with_replacement(space, pool, rows, number=rule.neighbours, ties=rule.ties)
            joined = [np.concatenate(both) for both in zip(_columns(pairs), _columns(back), strict=True)]
            pairs = Pairs(joined[0], joined[1], joined[2].astype(np.float64), joined[3])
    if not len(pairs.row):
        raise UsageError("no_matches", f"nobody has a match within a caliper of {rule.caliper}; widen it")
    weight = pairs.reuse(len(treated))
    weight[pairs.rows] += 1
    return pairs, weight


def _columns(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, NDArray[np.int64]]:
    return pairs.row, pairs.match, pairs.weight, pairs.alone


def _whitened(x: Floats) -> Floats:
    # Whitened covariates: their squared distance is that of Mahalanobis. A root of the pseudo-inverse, because
    # covariates may depend on each other.
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(x, rowvar=False)))
    kept = values > max(float(values.max()), 0.0) * 1e-12
    if not kept.any():
        raise UsageError("not_estimable", "the covariates never change, so that rows cannot be told apart; name others")
    return np.asarray((x - x.mean(axis=0)) @ (vectors[:, kept] / np.sqrt(values[kept])))


def _difference(matched: Matched, cluster: str | None) -> tuple[float, float, int | None]:
    """Give the difference, its error, and the number of clusters where rows go together."""
    treated, outcome, rule = matched.treated, matched.outcome, matched.rule
    codes = matched.sample.frame["cluster"].to_numpy() if cluster else None
    if matched.pairs is None:
        estimate, influence = weighted_difference(matched.score, treated, outcome, rule.estimand)
        clusters = len(np.unique(codes)) if codes is not None else None
        return estimate, _root_of_squares(influence, codes), clusters
    pairs = matched.pairs
    if rule.replace:
        sign = np.where(treated, 1.0, -1.0)
        estimate, by_row, each = mean_difference(pairs, outcome, sign)
        both = rule.estimand == "ate"
        return estimate, abadie_imbens(pairs, by_row, each, estimate, len(outcome), both_sides=both), None
    estimate, _, _ = mean_difference(pairs, outcome, np.ones(len(outcome)))
    used = matched.weight > 0
    if codes is None:
        codes = _pair_of(pairs, len(outcome))
    influence = np.zeros(len(outcome))
    for side, sign_of in ((treated & used, 1.0), (~treated & used, -1.0)):
        w = matched.weight[side]
        influence[side] = sign_of * w * (outcome[side] - np.average(outcome[side], weights=w)) / w.sum()
    n, groups = int(used.sum()), len(np.unique(codes[used]))
    if n < 3 or (groups < 2 and not cluster):
        return estimate, float("nan"), groups
    # The factor of a regression of the outcome on the treatment with clusters (HC1 of R's sandwich::vcovCL).
    se = _root_of_squares(influence[used], codes[used]) * ((n - 1) / (n - 2)) ** 0.5
    return estimate, se, groups


def _root_of_squares(influence: Floats, codes: NDArray[np.int64] | None) -> float:
    if codes is None:
        return float((influence**2).sum() ** 0.5)
    sums = np.bincount(np.unique(codes, return_inverse=True)[1], influence)
    if len(sums) < 2:
        raise UsageError("one_cluster", "there is one cluster only; errors need many, so name another cluster")
    return float(((sums**2).sum() * len(sums) / (len(sums) - 1)) ** 0.5)


def _pair_of(pairs: Pairs, size: int) -> NDArray[np.int64]:
    """Give each row the code of its pair: the row that was matched; -1 for those in none."""
    codes = np.full(size, -1, np.int64)
    codes[pairs.row] = pairs.row
    codes[pairs.match] = pairs.row
    return codes


def matched_rows(
    table: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    neighbours: int = 1,
    replace: bool = True,
    ties: Ties = "order",
    order: Order = "largest",
    distance: Distance = "score",
    caliper: float | None = None,
    common_support: bool = False,
) -> pl.DataFrame:
    """Give the rows of a table that were matched, with how much each counts, for estimates of one's own.

    Treated rows count 1, a control as often as it serves: column `matching_weight`. Without replacement,
    `matching_pair` numbers the pairs (null with replacement, where a control may belong to many). Arguments and errors
    are those of `match` for the effect on the treated.

    >>> people = pl.DataFrame({"age": [30, 40, 50, 31, 41, 60], "insured": [1, 1, 0, 0, 0, 0], "oop": range(6)})
    >>> found = matched_rows(people, outcome="oop", treatment="insured", covariates=["age"], replace=False)
    >>> found.select("age", "matching_weight", "matching_pair").rows()
    [(30, 1.0, 0), (40, 1.0, 1), (31, 1.0, 0), (41, 1.0, 1)]
    """
    rule = Rule("att", "nearest", neighbours, replace, ties, order, distance, caliper, common_support)
    return used_rows(table, matching(table, outcome=outcome, treatment=treatment, covariates=covariates, rule=rule))


def used_rows(table: pl.DataFrame, matched: Matched) -> pl.DataFrame:
    """Give the rows of the table that were matched, with weight and pair."""
    assert matched.pairs is not None
    codes = _pair_of(matched.pairs, len(matched.treated))
    numbers = {row: place for place, row in enumerate(sorted(set(codes.tolist()) - {-1}))}
    pair = [None if matched.rule.replace else numbers.get(code) for code in codes.tolist()]
    places = matched.sample.frame["row"].cast(pl.Int64).to_list()
    there = pl.DataFrame(
        {"_row": places, WEIGHT: matched.weight, PAIR: pair},
        schema={"_row": pl.Int64, WEIGHT: pl.Float64, PAIR: pl.Int64},
    ).filter(pl.col(WEIGHT) > 0)
    numbered = table.drop(WEIGHT, PAIR, strict=False).with_row_index("_row").cast({"_row": pl.Int64})
    return numbered.join(there, on="_row", how="inner", maintain_order="left").drop("_row")


# Words and tables


def balance_of(matched: Matched) -> pl.DataFrame:
    """Give the table of balance, the score first."""
    compared = {"(score)": matched.score.chance, **matched.covariates}
    return balance(compared, matched.treated, matched.weight, of_the_treated=matched.rule.estimand == "att")


def score_of(matched: Matched) -> pl.DataFrame:
    """Give the coefficients of the score's logit, with errors."""
    fit, left = matched.score.fit, matched.score.left_out
    names = ["(constant)"] + [
        matched.sample.names[name] for place, name in enumerate(matched.sample.covariates) if place not in left
    ]
    return pl.DataFrame({"covariate": names, "estimate": fit.beta, "se": np.sqrt(np.diag(fit.bread))})


def overlap_of(matched: Matched) -> pl.DataFrame:
    """Give the share of each side in twenty bins of the score, before and after."""
    edges = np.linspace(0, 1, 21)
    frames = []
    for when, weight in (("before", np.ones(len(matched.treated))), ("after", matched.weight)):
        for group, side in (("treated", matched.treated), ("control", ~matched.treated)):
            mass, _ = np.histogram(matched.score.chance[side], edges, weights=weight[side])
            shares = mass / max(mass.sum(), 1e-300)
            frames.append(pl.DataFrame({"x": (edges[:-1] + edges[1:]) / 2, "share": shares}).select(
                group=pl.lit(group), when=pl.lit(when), x="x", share="share"
            ))  # fmt: skip
    return pl.concat(frames)


def facts_of(matched: Matched, table: pl.DataFrame) -> dict[str, float | int | str]:
    """Count who was matched, and say how far apart both sides are before and after."""
    treated, outcome, weight = matched.treated, matched.outcome, matched.weight
    facts: dict[str, float | int | str] = {
        "treated": int(treated.sum()),
        "controls": int((~treated).sum()),
        "difference_before": float(outcome[treated].mean() - outcome[~treated].mean()),
        "control_mean": float(np.average(outcome[~treated], weights=weight[~treated])),
        "beyond_support": matched.outside,
    }
    if matched.pairs is not None:
        facts["treated_matched"] = int((treated & (weight > 0)).sum())
        facts["controls_used"] = int((~treated & (weight > 0)).sum())
        often = round(float(matched.pairs.reuse(len(treated)).max()), 6)
        facts["largest_reuse"] = int(often) if often.is_integer() else often
    else:
        w = weight[~treated]
        facts["effective_controls"] = float(w.sum() ** 2 / (w**2).sum())
    for when in ("before", "after"):
        largest = table[1:][when].abs().max()
        if isinstance(largest, float):
            facts[f"smd_{when}"] = largest
    return facts


def equation_of(matched: Matched, outcome: str, treatment: str) -> Phrase:
    """Say what was compared."""
    if matched.rule.method == "weights":
        names = ", ".join(matched.covariates)
        return Phrase.of("matching.weights", outcome=outcome, treatment=treatment, covariates=names)
    return Phrase.of("matching.nearest", outcome=outcome, rule=rule_of(matched))


def rule_of(matched: Matched) -> Phrase:
    """Say how rows were matched."""
    rule = matched.rule
    how = Phrase.of(f"matching.ties_{rule.ties}" if rule.replace else f"matching.once_{rule.order}")
    within = Phrase.of("matching.no_caliper")
    if rule.caliper is not None:
        within = Phrase.of("matching.caliper", caliper=f"{rule.caliper:g}")
    return Phrase.of(
        "matching.rule", covariates=", ".join(matched.covariates), neighbours=rule.neighbours, how=how, within=within,
        distance=Phrase.of(f"matching.{rule.distance}"),
    )  # fmt: skip


def _errors(rule: Rule, cluster: str | None, clusters: int | None) -> Phrase:
    if cluster:
        return Phrase.of("matching.errors_cluster", by=cluster, clusters=f"{clusters:,}")
    if rule.method == "weights":
        return Phrase.of("matching.errors_weights")
    if rule.replace:
        return Phrase.of("matching.errors_abadie_imbens")
    return Phrase.of("matching.errors_pairs", pairs=f"{clusters:,}")


def _shows(row: dict[str, object], matched: Matched, treatment: str, level: float) -> tuple[Phrase, ...]:
    estimate = float(row["estimate"])  # type: ignore[arg-type]
    treated, weight = matched.treated, matched.weight
    mean = float(np.average(matched.outcome[~treated], weights=weight[~treated]))
    binary = bool(np.isin(matched.outcome, (0.0, 1.0)).all())
    told = Phrase.of(
        "matching.shows_share" if binary else "matching.shows", outcome=row["outcome"], treatment=treatment,
        size=number_text(100 * abs(estimate) if binary else abs(estimate)),
        direction=Phrase.of("matching.more" if estimate >= 0 else "matching.less"),
        whom=Phrase.of(f"matching.on_{matched.rule.estimand}"),
        share=f"{100 * abs(estimate / mean):.1f} %" if mean else "-", mean=number_text(mean),
    )  # fmt: skip
    return (told, *interval_told({**row, "term": Phrase.of(f"term.{matched.rule.estimand}")}, level))


def _not_shown(rule: Rule) -> tuple[Phrase, ...]:
    phrases = [Phrase.of("matching.unseen"), Phrase.of("matching.enrolment")]
    if rule.method == "nearest":
        phrases.append(Phrase.of("matching.score_known"))
    if rule.caliper is not None or rule.common_support:
        phrases.append(Phrase.of("matching.only_matched"))
    return tuple(phrases)


def warnings_of(matched: Matched, table: pl.DataFrame, clusters: int | None) -> tuple[Phrase, ...]:
    """Warn of imbalance, of many without a match, of little overlap and of few clusters."""
    phrases = []
    worst = table[1:].filter(pl.col("after").abs() > SMALL).sort(pl.col("after").abs(), descending=True)
    if worst.height:
        phrases.append(
            Phrase.of(
                "matching.unbalanced",
                number=worst.height,
                covariate=worst["covariate"][0],
                smd=f"{worst['after'][0]:.2f}",
                small=SMALL,
            )
        )
    treated = int(matched.treated.sum())
    if matched.unmatched > 0.1 * treated:
        phrases.append(Phrase.of("matching.many_alone", rows=f"{matched.unmatched:,}", treated=f"{treated:,}"))
    elif not matched.rule.common_support and matched.outside > 0.1 * treated:
        phrases.append(Phrase.of("matching.little_overlap", rows=f"{matched.outside:,}"))
    if clusters is not None and clusters < FEW_CLUSTERS:
        phrases.append(Phrase.of("matching.few_clusters", clusters=clusters, few=FEW_CLUSTERS))
    return tuple(phrases)


def left_out_of(matched: Matched) -> tuple[Phrase, ...]:
    """Name covariates that others make up."""
    return tuple(
        Phrase.of("matching.left_out", covariate=matched.sample.names[matched.sample.covariates[place]])
        for place in matched.score.left_out
    )


def _sources(rule: Rule) -> tuple[str, ...]:
    first = "Rosenbaum and Rubin (1983), propensity score"
    if rule.method == "weights":
        return (first, "Lunceford and Davidian (2004), stratification and weighting")
    if rule.replace:
        return (first, "Abadie and Imbens (2006), large sample properties of matching estimators")
    return (first, "Abadie and Spiess (2022), robust post-matching inference")
