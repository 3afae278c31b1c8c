"""Match before, then compare before and after: two-way fixed effects on matched units (PSM-DID)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as changed

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.fixed_effects import two_way_fixed_effects
from medfloor.evaluation.matching import (
    PAIR,
    ROW,
    WEIGHT,
    Distance,
    Matched,
    Rule,
    balance_of,
    facts_of,
    left_out_of,
    matching,
    overlap_of,
    rule_of,
    score_of,
    sides_of,
    used_rows,
    warnings_of,
)
from medfloor.evaluation.neighbours import Order, Ties
from medfloor.evaluation.result import Drop, Fit, estimates, number_text
from medfloor.evaluation.sample import take
from medfloor.words import Phrase

_EVER = "_ever"


def matched_did(
    panel: pl.DataFrame,
    *,
    outcome: str,
    treatment: str,
    unit: str,
    time: str,
    covariates: Sequence[str],
    controls: Sequence[str] = (),
    cluster: str | None = None,
    base: float | None = None,
    neighbours: int = 1,
    replace: bool = True,
    ties: Ties = "order",
    order: Order = "largest",
    distance: Distance = "score",
    caliper: float | None = 0.2,
    common_support: bool = True,
    level: float = 0.95,
) -> Fit:
    """Match units in a base wave, keep those that have a match, and compare them before and after (PSM-DID).

    A unit is of the treated if `treatment` (0 or 1 in each wave) is 1 in any wave; units that are treated in the base
    wave or before are left out. `base` is a value of `time`, by default the first wave. Units are matched on the
    `covariates` of that wave (the outcome may be one of them), for the effect on the treated; those without a match, or
    beyond the common support, are left out. Then two-way fixed effects with `controls` are estimated on all waves of
    the matched units; a control unit counts as often as it serves. Errors let the rows of `cluster` go together; where
    none is named, those of a pair (without replacement: Abadie and Spiess 2022) or of a unit (with it). The score and
    the matching count as known.

    Rows of the fit: model "matched_did", and "twfe", the same on all units without matching. `tables["balance"]` is
    that of the base wave.

    Raises UsageError: what `match` and `two_way_fixed_effects` raise, no_such_wave.

    Source: Heckman, Ichimura and Todd (1997); Abadie and Spiess (2022, Journal of the American Statistical Association
    117, 983-995).
    """
    at_base, drops = _base_wave(panel, treatment, unit, time, base)
    rule = Rule("att", "nearest", neighbours, replace, ties, order, distance, caliper, common_support)
    matched = _matching_at_base(at_base, outcome, treatment, covariates, rule)
    units = used_rows(at_base, matched).select(unit, WEIGHT, PAIR)
    kept = panel.drop(WEIGHT, PAIR, strict=False).join(units, on=unit, how="inner", maintain_order="left")
    asked = {
        "outcome": outcome,
        "treatment": treatment,
        "unit": unit,
        "time": time,
        "covariates": controls,
        "level": level,
    }
    by = cluster or (None if replace else PAIR)
    fit = two_way_fixed_effects(kept, cluster=by, weight=WEIGHT, **asked)  # type: ignore[arg-type]
    plain = two_way_fixed_effects(panel, cluster=cluster, **asked)  # type: ignore[arg-type]
    row = {**fit.pick(treatment).rows.to_dicts()[0], "model": "matched_did"}
    beside = plain.pick(treatment).rows.to_dicts()[0]
    table_of_balance = balance_of(matched)
    how = "did.equation_once" if not replace else "did.equation_often"
    return changed(
        fit,
        method="match",
        rows=estimates([row, beside]),
        equation=Phrase.of(how, did=fit.equation, match=rule_of(matched)),
        drops=(*drops, *_unmatched(at_base, units, panel, unit, time), *fit.drops),
        facts={**facts_of(matched, table_of_balance), **fit.facts},
        tables={"balance": table_of_balance, "score": score_of(matched)},
        curves={"overlap": overlap_of(matched)},
        shows=(*fit.shows, *_beside(row, beside)),
        not_shown=(*fit.not_shown, Phrase.of("matching.did_limits")),
        warnings=(*fit.warnings, *warnings_of(matched, table_of_balance, None), *_differ(row, beside)),
        notes=(*fit.notes, *left_out_of(matched)),
        sources=("Heckman, Ichimura and Todd (1997)", "Abadie and Spiess (2022), robust post-matching", *fit.sources),
    )  # fmt: skip


def _matching_at_base(
    at_base: pl.DataFrame, outcome: str, treatment: str, covariates: Sequence[str], rule: Rule
) -> Matched:
    """Match the units of the base wave, and say in the user's names what is lacking."""
    try:
        return matching(at_base, outcome=outcome, treatment=_EVER, covariates=covariates, rule=rule)
    except UsageError as error:
        told = {
            "nobody_treated": f"no complete unit of the base wave gets {treatment!r} later; name an earlier base wave",
            "nobody_untreated": f"every complete unit of the base wave gets {treatment!r} later; nobody is left to "
            "match with, so compare early with late starts (evaluate staggered)",
        }
        if error.code not in told:
            raise
        raise UsageError(error.code, told[error.code]) from None


def _base_wave(
    panel: pl.DataFrame, treatment: str, unit: str, time: str, base: float | None
) -> tuple[pl.DataFrame, tuple[Drop, ...]]:
    """Give the units in the base wave with `_ever`, 1 for those treated later; count those treated already."""
    sample = take(panel.with_row_index(ROW), numbers={"d": treatment, "row": ROW}, unit=unit, time=time)
    sides_of(sample, treatment)
    wave = sample.waves[0] if base is None else float(base)
    if wave not in sample.waves:
        waves = ", ".join(f"{one:g}" for one in sample.waves)
        raise UsageError("no_such_wave", f"no row is of the wave {wave:g} in {time!r}; there are {waves}")
    at = sample.waves.index(wave) + 1
    frame = sample.frame.with_columns(
        _ever=pl.col("d").max().over("unit"),
        _before=pl.when(pl.col("period") <= at).then(pl.col("d")).max().over("unit").fill_null(0),
    )
    early = frame.filter(pl.col("_before") > 0)
    drops = (Drop("treated_at_base", early.height, early["unit"].n_unique(), f"{wave:g}"),) if early.height else ()
    there = frame.filter((pl.col("_before") == 0) & (pl.col("period") == at)).select(
        pl.col("row").cast(pl.Int64), _EVER
    )
    absent = frame.filter((pl.col("_before") == 0) & ((pl.col("period") == at).any().over("unit").not_()))
    if absent.height:
        drops = (*drops, Drop("not_in_base", absent.height, absent["unit"].n_unique(), f"{wave:g}"))
    numbered = panel.with_row_index("_row").cast({"_row": pl.Int64})
    return numbered.join(there, left_on="_row", right_on="row", how="inner", maintain_order="left").drop("_row"), drops


def _unmatched(
    at_base: pl.DataFrame, units: pl.DataFrame, panel: pl.DataFrame, unit: str, time: str
) -> tuple[Drop, ...]:
    """Count the units of the base wave that lack a covariate, lie beyond the support, or have no match."""
    lost = at_base.join(units, on=unit, how="anti")
    if lost.is_empty():
        return ()
    rows = panel.join(lost.select(unit), on=unit, how="semi").height
    return (Drop("unmatched", rows, lost.height, f"{at_base[time][0]}"),)


def _beside(row: dict[str, object], beside: dict[str, object]) -> tuple[Phrase, ...]:
    values = [number_text(float(one["estimate"])) for one in (row, beside)]  # type: ignore[arg-type]
    return (Phrase.of("matching.beside", matched=values[0], plain=values[1]),)


def _differ(row: dict[str, object], beside: dict[str, object]) -> tuple[Phrase, ...]:
    one, other = (float(each["estimate"]) for each in (row, beside))  # type: ignore[arg-type]
    errors = [float(each["se"] or 0) for each in (row, beside)]  # type: ignore[arg-type]
    if one * other < 0 or abs(one - other) > 2 * max(errors) > 0:
        return (Phrase.of("matching.differ", matched=number_text(one), plain=number_text(other)),)
    return ()
