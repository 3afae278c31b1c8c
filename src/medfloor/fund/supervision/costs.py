"""Find claims, facilities and people that cost much more than others of their kind: signals, not contradictions.

Costs are compared on a log scale within groups of diagnosis (three characters), facility level and kind of care. All
that is needed of a file is a row of sums for each group, facility and month, so that a file may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from medfloor.fund.supervision.leads import as_leads
from medfloor.fund.supervision.rules import Rules

GROUP = ("care", "level", "group")
LOG = 10_000
"""How many steps the log of a cost has."""

_MAD = 1.482602218505602
"""The median distance from the median of a normal, as a share of its deviation, inverted."""


def sums_of(live: pl.DataFrame) -> pl.DataFrame:
    """Sum up costs by group, facility and month: n, s and ss (of logs), money; `month` counts from year 0.

    Logs are whole numbers of a ten-thousandth, because sums of whole numbers are the same in any order: by threads, and
    in parts of a file. Deviations of costs are thousands of times larger.
    """
    log = (pl.col("total_fen").log() * LOG).round().cast(pl.Int64)
    month = pl.col("start").dt.year() * 12 + pl.col("start").dt.month().cast(pl.Int32) - 1
    return (
        live.lazy()
        .filter(pl.col("total_fen") > 0, pl.col("diagnosis").is_not_null())
        .select(
            "care", "level", "where", "provider_id", "total_fen", pl.col("diagnosis").str.head(3).alias("group"),
            month.alias("month"), log.alias("log"),
        )
        .group_by(*GROUP, "where", "month")
        .agg(
            pl.col("provider_id").first(), pl.len().alias("n"), pl.col("log").sum().alias("s"),
            (pl.col("log") ** 2).sum().alias("ss"), pl.col("total_fen").sum(),
        )
        .drop("where")
        .collect(engine="streaming")
    )  # fmt: skip


def counted_of(live: pl.DataFrame) -> pl.DataFrame:
    """Sum up, for each facility and year, its claims, what they cost, and what counts towards a ceiling."""
    sums = live.group_by("where", pl.col("start").dt.year().alias("year")).agg(
        pl.col("provider_id").first(), pl.len().alias("n"), pl.col("total_fen").sum(), pl.col("counted_fen").sum()
    )
    return sums.drop("where")


def added(parts: Sequence[pl.DataFrame], keys: Sequence[str]) -> pl.DataFrame:
    """Add the sums of several parts."""
    if len(parts) == 1:
        return parts[0]
    return pl.concat(parts).group_by(*keys).agg(pl.all().sum())


def thresholds(sums: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Give each group that is large enough its line: `line_fen`, from mean and deviation of logs."""
    rule = rules["cost_outlier"]
    return (
        _groups(sums)
        .filter(pl.col("n") >= rule["least"], pl.col("sd") > 0)
        .with_columns((pl.col("mean") + rule["deviations"] * pl.col("sd")).exp().alias("line_fen"))
        .select(*GROUP, "mean", "sd", "line_fen")
    )


def outliers(live: pl.LazyFrame, lines: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Find claims above the line of their group; value is how many deviations, money what lies above the line."""
    least = lines["line_fen"].min()
    if least is None:
        return as_leads(pl.DataFrame(), "cost_outlier", value=None, limit=None)
    # Most claims lie below the lowest line of all, and need not be matched with a group.
    dear = (
        live.filter(pl.col("total_fen") > pl.lit(least))
        .with_columns(pl.col("diagnosis").str.head(3).alias("group"))
        .join(lines.lazy(), on=GROUP)
        .filter(pl.col("total_fen") > pl.col("line_fen"))
        .collect(engine="streaming")
    )
    value = (pl.col("total_fen").log() - pl.col("mean")) / pl.col("sd")
    money = (pl.col("total_fen") - pl.col("line_fen")).round().cast(pl.Int64)
    return as_leads(dear, "cost_outlier", value=value, limit=rules["cost_outlier"]["deviations"], money=money)


def drifts(sums: pl.DataFrame, rules: Rules) -> list[pl.DataFrame]:
    """Find facilities that cost more than others, and months that cost more than a facility's own past.

    Each claim's log cost less the mean of its group is what is left when the case mix is taken out. A facility's mean
    of it is held against the middle of all (deviation: median distance, and its own sampling error); a month's against
    the facility's earlier months (their scatter beyond sampling error, and both errors). Money is the excess.
    """
    groups = _groups(sums)
    both = sums.filter(pl.col("provider_id").is_not_null()).join(groups.select(*GROUP, "mean"), on=GROUP)
    # Rounded to the steps of a log, so that these too are summed alike in any order.
    left = (pl.col("s") - pl.col("n") * pl.col("mean") * LOG).round().cast(pl.Int64)
    both = both.with_columns(left.alias("left"))
    many = int(groups["n"].sum())
    within = float((groups["ss"] - groups["n"] * groups["mean"] ** 2).sum())
    variance = max(within, 0.0) / max(1, many - groups.height)
    agg = (pl.col("n").sum(), pl.col("left").sum() / LOG, pl.col("total_fen").sum())
    found = []
    if rules["facility_peers"].on:
        found.append(_peers(both.group_by("provider_id").agg(*agg).sort("provider_id"), variance, rules))
    if rules["facility_month"].on:
        months = both.group_by("provider_id", "month").agg(*agg).sort("provider_id", "month")
        found.append(_months(months, variance, rules))
    return found


def _groups(sums: pl.DataFrame) -> pl.DataFrame:
    spread = (pl.col("ss") - pl.col("n") * pl.col("mean") ** 2).clip(0)
    return (
        sums.group_by(*GROUP)
        .agg(pl.col("n").sum(), pl.col("s").sum(), pl.col("ss").sum())
        .sort(*GROUP)
        .with_columns(pl.col("s") / LOG, pl.col("ss") / LOG**2)
        .with_columns((pl.col("s") / pl.col("n")).alias("mean"))
        .with_columns((spread / (pl.col("n") - 1).clip(1)).sqrt().alias("sd"))
    )


def _peers(each: pl.DataFrame, variance: float, rules: Rules) -> pl.DataFrame:
    rule = rules["facility_peers"]
    each = each.filter(pl.col("n") >= rule["least"])
    mean = (each["left"] / each["n"]).to_numpy()
    if mean.size < 3:  # two facilities have no middle that one of them could stand out from
        return as_leads(pl.DataFrame(), "facility_peers", value=None, limit=None)
    middle = float(np.median(mean))
    error = variance / each["n"].to_numpy()
    # What scatters beyond the error of sampling; where all are alike, the error alone.
    spread = max(0.0, (_MAD * float(np.median(np.abs(mean - middle)))) ** 2 - float(np.median(error)))
    return _facility_leads(each, "facility_peers", mean - middle, np.sqrt(spread + error), rules)


def _months(months: pl.DataFrame, variance: float, rules: Rules) -> pl.DataFrame:
    rule = rules["facility_month"]
    before = (
        months.filter(pl.col("n") >= rule["least"])
        .with_columns((pl.col("left") / pl.col("n")).alias("mean"))
        .with_columns(
            (pl.col("n").cum_sum() - pl.col("n")).over("provider_id").alias("n_past"),
            (pl.col("left").cum_sum() - pl.col("left")).over("provider_id").alias("left_past"),
            (pl.col("mean").cum_sum() - pl.col("mean")).over("provider_id").alias("m_past"),
            ((pl.col("mean") ** 2).cum_sum() - pl.col("mean") ** 2).over("provider_id").alias("mm_past"),
            ((1 / pl.col("n")).cum_sum() - 1 / pl.col("n")).over("provider_id").alias("r_past"),
            pl.int_range(pl.len()).over("provider_id").alias("k"),
        )
        .filter(pl.col("k") >= rule["months"])
    )
    k, n, past = (before[name].to_numpy().astype(float) for name in ("k", "n", "n_past"))
    if not k.size:
        return as_leads(pl.DataFrame(), "facility_month", value=None, limit=None)
    scatter = (before["mm_past"].to_numpy() - before["m_past"].to_numpy() ** 2 / k) / (k - 1)
    beyond = np.maximum(scatter - variance * before["r_past"].to_numpy() / k, 0.0)
    rise = before["mean"].to_numpy() - (before["left_past"] / before["n_past"]).to_numpy()
    deviation = np.sqrt(variance * (1 / n + 1 / past) + beyond * (1 + 1 / k))
    return _facility_leads(before, "facility_month", rise, deviation, rules)


def _facility_leads(
    each: pl.DataFrame, name: str, rise: np.ndarray, deviation: np.ndarray, rules: Rules
) -> pl.DataFrame:
    rule = rules[name]
    told = each.with_columns(
        pl.Series("rise", rise),
        pl.Series("z", np.divide(rise, deviation, out=np.zeros_like(rise), where=deviation > 0)),
    )
    told = told.filter(pl.col("z") > rule["deviations"], pl.col("rise").exp() - 1 >= rule["excess"] / 100)
    if "month" in told.columns:
        told = told.with_columns(pl.date(pl.col("month") // 12, pl.col("month") % 12 + 1, 1).alias("start"))
    money = (pl.col("total_fen") * (1 - (-pl.col("rise")).exp())).round().cast(pl.Int64)
    percent = (pl.col("rise").exp() - 1) * 100
    return as_leads(told, name, value=percent, limit=rule["excess"], money=money, claims=pl.col("n"))


def near_ceilings(live: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Find persons whose payments of a year come near the ceiling; value is the share reached, in per cent.

    Money is what lies above the line.
    """
    rule = rules["near_cap"]
    cap_fen = rule["cap_yuan"] * 100
    year = pl.col("start").dt.year()
    high = (
        live.group_by("who", year.alias("year"))
        .agg(pl.col("counted_fen").sum(), pl.len().alias("claims"))
        .filter(pl.col("counted_fen") >= cap_fen * rule["share"] / 100)
        .join(live.select("who", "person_id", "claim_id"), on="who")
        .group_by("who", "year", "person_id")
        .agg(pl.col("counted_fen", "claims").first(), pl.col("claim_id").min())
        .with_columns(pl.date(pl.col("year"), 1, 1).alias("start"))
    )
    value = pl.col("counted_fen") / cap_fen * 100
    money = (pl.col("counted_fen") - cap_fen * rule["share"] / 100).round()
    return as_leads(high, "near_cap", value=value, limit=rule["share"], money=money, claims=pl.col("claims"))


def near_budgets(counted: pl.DataFrame, facilities: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Find facilities whose payments of a year come near their budget; value is the share reached, in per cent.

    Money is what lies above the line.
    """
    rule = rules["near_budget"]
    joined = counted.join(facilities.filter(pl.col("budget").is_not_null()), on="provider_id").with_columns(
        (pl.col("counted_fen") / pl.col("budget")).alias("reached"), pl.date(pl.col("year"), 1, 1).alias("start")
    )
    high = joined.filter(pl.col("reached") >= rule["share"])  # fen by yuan: already per cent
    return as_leads(
        high,
        "near_budget",
        value=pl.col("reached"),
        limit=rule["share"],
        money=(pl.col("counted_fen") - pl.col("budget") * rule["share"]).round(),
        claims=pl.col("n"),
    )
