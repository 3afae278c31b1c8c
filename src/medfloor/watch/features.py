"""Say what was known of each household on a day, as one row of numbers, and what befell it in the year after.

Both go through `known`, which leaves out whatever the office could not have seen on the day; training and scoring use
the same path, so that no future leaks into a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.catastrophic import DEFINITIONS, STANDARDS
from medfloor.money import BP
from medfloor.periods import add_months
from medfloor.watch.homes import Homes, Register, gather
from medfloor.watch.rules import Rule, Rules, Value
from medfloor.watch.signals import catastrophic, standing_of


@dataclass(frozen=True, slots=True)
class Feature:
    """Be one number that a model may use: its unit, how it is put on a scale, and which way risk goes with it.

    `unit` is yuan, share, people, years, months, times or flag. `scale` is log (of yuan, which may be negative), plain
    or flag. `sign` is 1 where more of it cannot lower the risk, -1 where it cannot raise it, 0 where either may be; the
    boosted trees are held to it.
    """

    name: str
    unit: str
    scale: str
    sign: int


FEATURES: dict[str, Feature] = {
    one.name: one
    for one in (
        Feature("own_in_scope", "yuan", "log", 1), Feature("own_total", "yuan", "log", 1),
        Feature("own_previous", "yuan", "log", 1), Feature("own_rise", "yuan", "log", 0),
        Feature("own_late", "yuan", "log", 1), Feature("own_top", "yuan", "log", 1),
        Feature("own_share", "share", "plain", 1), Feature("income_head", "yuan", "log", -1),
        Feature("line_ratio", "share", "plain", -1), Feature("left_ratio", "share", "plain", -1),
        Feature("room_head", "yuan", "log", -1),
        Feature("below_now", "flag", "flag", 0),
        Feature("size", "people", "plain", 0), Feature("children", "people", "plain", 0),
        Feature("elders", "people", "plain", 0), Feature("oldest", "years", "plain", 0),
        Feature("labour", "people", "plain", -1), Feature("rural", "flag", "flag", 0),
        Feature("chronic", "people", "plain", 1), Feature("stays", "times", "plain", 1),
        Feature("visits", "times", "plain", 0), Feature("months_since_care", "months", "plain", 0),
        Feature("status_poor", "flag", "flag", 0), Feature("status_monitored", "flag", "flag", 0),
        Feature("not_enrolled", "people", "plain", 0),
    )
}  # fmt: skip
"""Every feature by name, in the order of the columns."""

MONEY = ("own_total_fen", "own_in_scope_fen", "own_top_fen", "own_late_fen", "own_previous_fen", "income_fen")
"""Whole amounts (fen a year) that features are worked out from; `derive` makes the features anew from changed ones."""

RAW = {
    "household_id": pl.String, "year": pl.Int64, "as_of": pl.Date, "township": pl.String, "residence": pl.String,
    "status": pl.String, **dict.fromkeys(MONEY, pl.Int64), "line_fen": pl.Int64, "allowed_fen": pl.Int64,
    "rule_score": pl.Float64,
}  # fmt: skip
"""Columns before the features: who, of what year and day, by what slices (`status` is poor, monitored or none), whole
amounts, the monitoring line a head, what the official rule allows the member who bore most (fen), and `rule_score`:
that member's own payments in scope as a multiple of it. The official rule alerts above 1."""

TARGETS = ("both", "catastrophic", "line")
_CHILD_BELOW, _ELDER_FROM = 16, 65
_POOR = ("tekun", "orphan", "dibao", "dibao_marginal", "returned_poor", "registered_poor", "illness_poor")
_LONGEST = 60.0
_CAP = 20.0
_AMOUNTS = ("own_in_scope", "own_total", "own_previous", "own_late", "own_top")
_FEN = {name: f"{name}_fen" for name in ("food", "housing", "utilities")}


def features(
    register: Register,
    settlements: pl.DataFrame,
    rules: Rules,
    *,
    year: int,
    as_of: date | None = None,
    income_lag: int = 0,
) -> pl.DataFrame:
    """Say what was known of every household on a day (the last of `year`): one row each, sorted by household_id.

    Columns are `RAW` and then `FEATURES`; a feature is null where it cannot be known (no income, no claims, no
    settlements of the year before). Amounts count what was settled in the year by the day. With an `income_lag` of 1,
    the households' row of a year is known a year later only, and that of the year before stands in. Raises what
    `gather` raises, and InputError no_line.

    >>> from medfloor.watch.rules import load_rules
    >>> people = pl.DataFrame({"person_id": ["p1"], "household_id": ["h1"], "birth_date": [date(1950, 5, 1)]})
    >>> homes = pl.DataFrame({"household_id": ["h1"], "wave": [2024], "size": [1], "income_fen": [2_000_000]})
    >>> settled = pl.DataFrame({"person_id": ["p1"], "benefit_year": [2024], "settled_date": [date(2024, 11, 2)],
    ...     "own_in_scope_fen": [300_000], "own_total_fen": [400_000]})
    >>> found = features(Register(people, homes), settled, load_rules("cn", on=date(2024, 12, 31)), year=2024)
    >>> found.select("own_total", "own_share", "own_late", "oldest", "elders").row(0)
    (4000.0, 0.2, 4000.0, 74.0, 1.0)
    """
    day = as_of or date(year, 12, 31)
    seen, settled = known(register, settlements, year=year, as_of=day, income_lag=income_lag)
    homes = gather(seen, settled, year=year, as_of=day)
    frame = homes.households
    for part in (_members(seen, homes), _money(homes, day), _care(homes, rules["absent_care"], day), _status(homes)):
        frame = frame.join(part, on="household_id", how="left", maintain_order="left")
    rule = rules["burden_in_scope"]
    line, income = rules.line("monitoring", year), rules.line("income", year - 1)
    held = homes.with_group(rule.listed("groups"))
    # Wide before it is multiplied: a literal is 32 bits, and basis points times an income in fen go beyond.
    share = pl.when(held).then(rule["share_poor"].bp).otherwise(rule["share_other"].bp).cast(pl.Int64)
    place = pl.col("township").cast(pl.String) if "township" in frame.columns else pl.lit(None, dtype=pl.String)
    labour = pl.col("labour_capacity") if "labour_capacity" in frame.columns else pl.lit(None)
    before = pl.col("previous_own_total_fen") if homes.counts["previous"] else pl.lit(None)
    frame = frame.with_columns(
        pl.lit(year, dtype=pl.Int64).alias("year"), pl.lit(day).alias("as_of"), place.alias("township"),
        before.cast(pl.Int64).alias("own_previous_fen"), pl.lit(line.fen, dtype=pl.Int64).alias("line_fen"),
        (pl.lit(income.fen, dtype=pl.Int64) * share // BP).alias("allowed_fen"),
        pl.col("own_top_fen", "own_late_fen").fill_null(0),
        pl.coalesce("_children", "children").alias("children"), labour.cast(pl.Float64).alias("labour"),
        pl.when(pl.col("status_poor") > 0).then(pl.lit("poor"))
        .when(pl.col("status_monitored") > 0).then(pl.lit("monitored")).otherwise(pl.lit("none")).alias("status"),
    )  # fmt: skip
    frame = derive(frame)
    return frame.select(
        *(pl.col(name).cast(kind) for name, kind in RAW.items()), *(pl.col(name).cast(pl.Float64) for name in FEATURES)
    ).sort("household_id")


def derive(frame: pl.DataFrame) -> pl.DataFrame:
    """Work out the features that follow from whole amounts (`MONEY`, line_fen, allowed_fen, size), where they stand.

    Change an amount and call it again, to see what a household would look like with less to pay.

    >>> one = {name: [100] for name in MONEY} | {"line_fen": [880_000], "allowed_fen": [50], "size": [2]}
    >>> derive(pl.DataFrame(one, schema_overrides={"allowed_fen": pl.Int64})).select("own_share", "rule_score").row(0)
    (1.0, 2.0)
    """
    own, income = pl.col("own_total_fen"), pl.col("income_fen")
    # A household without income bears any spending as if it were many times that; the ratio itself has no value.
    share = pl.when(income > 0).then((own / income).clip(0.0, _CAP)).when(income <= 0).then((own > 0) * _CAP)
    of_line = pl.col("size").cast(pl.Float64) * pl.col("line_fen")
    return frame.with_columns(
        *((pl.col(f"{name}_fen") / 100).alias(name) for name in _AMOUNTS),
        ((own - pl.col("own_previous_fen")) / 100).alias("own_rise"),
        share.cast(pl.Float64).alias("own_share"),
        (income / pl.col("size") / 100).alias("income_head"),
        (income / of_line).clip(-_CAP, _CAP).alias("line_ratio"),
        ((income - own) / of_line).clip(-_CAP, _CAP).alias("left_ratio"),
        # In logs the last yuan above the line are far apart, where a ratio to the line hardly tells them.
        (((income - own) / pl.col("size") - pl.col("line_fen")) / 100).alias("room_head"),
        (income - own < pl.col("size") * pl.col("line_fen")).cast(pl.Float64).alias("below_now"),
        (pl.col("own_top_fen") / pl.col("allowed_fen")).alias("rule_score"),
    )  # fmt: skip


def outcome(
    register_next: Register,
    settlements_next: pl.DataFrame,
    rules: Rules,
    *,
    year: int,
    as_of: date | None = None,
    definition: str = "who",
    threshold: float = 0.40,
    target: str = "both",
    before: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Say what befell each household in a year: household_id, fell, catastrophic, under_line, fell_on, depth_fen.

    `catastrophic`: own payments of the year took more than a share (`threshold`) of what the household can pay, by a
    `definition` of `medfloor.measures.catastrophic` (who: capacity to pay, seed 004). `under_line`: income less own
    payments, a head, is under the monitoring line. `fell` is either, or one alone by `target`; with `before` (features
    of the year before), a household that was under the line then does not fall under it again. Null where it cannot be
    known. `fell_on` is the day of the settlement with which own payments went past what was allowed (null where income
    alone decided), `depth_fen` how far below (fen). Own payments count up to `as_of` (the last day of the year).

    Raises UsageError no_such_definition, bad_threshold, bad_choice; InputError missing_value where no household has
    what is asked for, and what `gather` raises.
    """
    _check(definition, threshold, target)
    day = as_of or date(year, 12, 31)
    seen, settled = known(register_next, settlements_next, year=year, as_of=day)
    homes = gather(seen, settled, year=year, as_of=day)
    lines = homes.households.select(
        "household_id",
        (pl.col("income_fen") - pl.col("size") * rules.line("monitoring", year).fen).alias("_room"),
        pl.col("own_total_fen").alias("_own"),
    )
    allowed = _allowed(homes, rules, definition, threshold)
    was = pl.DataFrame(schema={"household_id": pl.String, "_was": pl.Boolean})
    if before is not None:
        was = before.select("household_id", (pl.col("left_ratio") < 1).alias("_was"))
    rows = lines.join(allowed, on="household_id", how="left").join(was, on="household_id", how="left")
    rows = rows.with_columns((pl.col("_own") > pl.col("_room")).alias("under_line"))
    rows = rows.with_columns(
        pl.when(pl.col("_asked")).then(pl.col("_allowed").is_not_null()).alias("catastrophic"),
        (pl.col("under_line") & ~pl.col("_was").fill_null(value=False)).alias("_newly"),
    )
    fell = {"both": pl.col("catastrophic") | pl.col("_newly"), "catastrophic": pl.col("catastrophic"),
            "line": pl.col("_newly")}[target]  # fmt: skip
    rows = rows.with_columns(fell.alias("fell"))
    if rows.height and rows["fell"].null_count() == rows.height:
        raise InputError(
            "missing_value",
            f"what befell households in {year} cannot be known: none has what {definition} and the line need "
            "(consumption, food, size, income); give them, or another --target or --definition",
        )
    return _dated(rows, homes, target)


def panel(
    register: Register,
    settlements: pl.DataFrame,
    rules: Callable[[date], Rules],
    *,
    years: Sequence[int],
    definition: str = "who",
    threshold: float = 0.40,
    target: str = "both",
    income_lag: int = 0,
) -> pl.DataFrame:
    """Put features of each year beside what befell in the next: one row a household and year, sorted by both.

    `rules` gives the rules in force on a day. `years` are those of the features. Rows whose outcome is not known are
    left out. Raises what `features` and `outcome` raise.
    """
    parts = []
    for year in years:
        now = features(register, settlements, rules(date(year, 12, 31)), year=year, income_lag=income_lag)
        then = outcome(
            register, settlements, rules(date(year + 1, 12, 31)), year=year + 1, definition=definition,
            threshold=threshold, target=target, before=now,
        )  # fmt: skip
        parts.append(now.join(then.filter(pl.col("fell").is_not_null()), on="household_id", maintain_order="left"))
    return pl.concat(parts).sort("year", "household_id")


def known(
    register: Register, settlements: pl.DataFrame, *, year: int, as_of: date, income_lag: int = 0
) -> tuple[Register, pl.DataFrame]:
    """Leave out of register and settlements what could not be known on a day, and put the rest into one order.

    Households and people with a column `wave` (a year) count with their last row up to `year` (households: less
    `income_lag` years); without it they count as they are. People born after the day, statuses that begin after it,
    claims begun, ended or settled after it, and what was settled after it, are not there; a claim taken back by the day
    is not there either.

    >>> homes = pl.DataFrame({"household_id": ["h", "h"], "wave": [2023, 2024], "income_fen": [5, 9]})
    >>> people = pl.DataFrame({"person_id": ["p"], "household_id": ["h"]})
    >>> settled = pl.DataFrame({"settled_date": [date(2023, 1, 5), date(2024, 1, 5)]})
    >>> seen, money = known(Register(people, homes), settled, year=2023, as_of=date(2023, 12, 31))
    >>> seen.households["income_fen"].to_list(), money.height
    ([5], 1)
    """
    people = _last_wave(register.people, "person_id", year)
    if "birth_date" in people.columns:
        people = people.filter(pl.col("birth_date").is_null() | (pl.col("birth_date") <= as_of))
    order = [name for name in ("person_id", "enrolled_from", "household_id") if name in people.columns]
    if "enrolled_from" in people.columns:
        # A later enrolment is not known; the person is, where no row is earlier.
        later = (pl.col("enrolled_from") > as_of).fill_null(value=False)
        people = people.filter(~later | later.all().over("person_id"))
    spells = register.spells
    if spells is not None and "from_date" in spells.columns:
        spells = spells.filter(pl.col("from_date").is_null() | (pl.col("from_date") <= as_of))
    households = _last_wave(register.households, "household_id", year - income_lag)
    seen = Register(people.sort(order), households, spells, _known_claims(register.claims, as_of))
    if "settled_date" not in settlements.columns:
        return seen, settlements  # gather says what is missing
    return seen, settlements.filter(pl.col("settled_date") <= as_of)


def _last_wave(frame: pl.DataFrame, key: str, year: int) -> pl.DataFrame:
    if "wave" not in frame.columns or key not in frame.columns:
        return frame
    waves = frame.with_columns(pl.col("wave").cast(pl.Int64, strict=False).alias("_wave")).filter(
        pl.col("_wave") <= year
    )
    return waves.filter(pl.col("_wave") == pl.col("_wave").max().over(key)).drop("_wave")


def _known_claims(claims: pl.DataFrame | None, as_of: date) -> pl.DataFrame | None:
    if claims is None:
        return None
    dates = [name for name in ("start_date", "end_date", "settled_date") if name in claims.columns]
    seen = claims.filter(pl.all_horizontal((pl.col(dates) <= as_of).fill_null(value=True)))
    if not {"reverses", "claim_id"} <= set(seen.columns):
        return seen
    taken = seen["reverses"].drop_nulls().unique()
    return seen.filter(pl.col("reverses").is_null() & ~pl.col("claim_id").is_in(taken.implode()))


def _members(seen: Register, homes: Homes) -> pl.DataFrame:
    """Count members by age on the day; all are null where no birth date is known."""
    alive = homes.people.filter("alive").select("person_id", "household_id", "enrolled")
    if "birth_date" in seen.people.columns:
        born = seen.people.select("person_id", pl.col("birth_date").cast(pl.Date)).unique("person_id", keep="last")
        alive = alive.join(born, on="person_id", how="left")
    else:
        alive = alive.with_columns(pl.lit(None, dtype=pl.Date).alias("birth_date"))
    day, birth = homes.as_of, pl.col("birth_date")
    passed = (birth.dt.month() * 100 + birth.dt.day()) <= day.month * 100 + day.day
    alive = alive.with_columns((day.year - birth.dt.year() - (~passed).cast(pl.Int32)).alias("_age"))
    aged = pl.col("_age").is_not_null().any()
    return alive.group_by("household_id").agg(
        pl.when(aged).then((pl.col("_age") < _CHILD_BELOW).sum()).cast(pl.Float64).alias("_children"),
        pl.when(aged).then((pl.col("_age") >= _ELDER_FROM).sum()).cast(pl.Float64).alias("elders"),
        pl.col("_age").max().cast(pl.Float64).alias("oldest"),
        (~pl.col("enrolled")).sum().cast(pl.Float64).alias("not_enrolled"),
    )


def _money(homes: Homes, day: date) -> pl.DataFrame:
    """Give the own payments of the member who bore most, and of the last three months up to the day."""
    late = add_months(day, -3)
    top = homes.people.group_by("household_id").agg(pl.col("own_in_scope_fen").max().alias("own_top_fen"))
    recent = homes.settled.filter(pl.col("settled_date") > late).group_by("household_id").agg(
        pl.col("own_total_fen").sum().alias("own_late_fen")
    )  # fmt: skip
    return top.join(recent, on="household_id", how="left")


def _care(homes: Homes, rule: Rule, day: date) -> pl.DataFrame:
    """Count chronic members, stays and visits of the year, and months since care was last seen; null without claims."""
    empty = dict.fromkeys(("chronic", "stays", "visits", "months_since_care"), pl.Float64)
    if homes.claims is None:
        return pl.DataFrame(schema={"household_id": pl.String, **empty})
    coded = pl.col("care_type").is_in(list(rule.listed("care_types"))).fill_null(value=False)
    if rule.listed("codes"):
        pattern = "^(?:" + "|".join(code.replace(".", r"\.") for code in rule.listed("codes")) + ")"
        coded = coded | pl.col("diagnosis").str.contains(pattern).fill_null(value=False)
    mine = homes.claims.join(homes.people.filter("alive").select("person_id", "household_id"), on="person_id")
    this_year = pl.col("start_date") >= date(homes.year, 1, 1)
    recent = pl.col("start_date") > add_months(day, -int(rule["look_back"].value))
    counted = mine.with_columns(coded.alias("_coded"), (pl.col("care_type") == "inpatient").alias("_stay"))
    found = counted.group_by("household_id").agg(
        pl.col("person_id").filter(pl.col("_coded") & recent).n_unique().cast(pl.Float64).alias("chronic"),
        (pl.col("_stay") & this_year).sum().cast(pl.Float64).alias("stays"),
        (~pl.col("_stay") & this_year).sum().cast(pl.Float64).alias("visits"),
        ((pl.lit(day) - pl.col("start_date").max()).dt.total_days() / 30.4375).alias("months_since_care"),
    )
    # Who has no claim at all has been without care for longer than anybody who has one.
    return homes.households.select("household_id").join(found, on="household_id", how="left").with_columns(
        pl.col("chronic", "stays", "visits").fill_null(0.0),
        pl.col("months_since_care").clip(0.0, _LONGEST).fill_null(_LONGEST),
    )  # fmt: skip


def _status(homes: Homes) -> pl.DataFrame:
    """Say who is poor by status, who is monitored, and what follows from size and residence."""
    residence = pl.col("residence")
    return homes.households.select(
        "household_id",
        homes.with_group(_POOR).cast(pl.Float64).alias("status_poor"),
        homes.with_group(("monitored",)).cast(pl.Float64).alias("status_monitored"),
        pl.when(residence == "rural").then(1.0).when(residence == "urban").then(0.0).alias("rural"),
    )


def _check(definition: str, threshold: float, target: str) -> None:
    if definition not in DEFINITIONS:
        raise UsageError("no_such_definition", f"there is no definition {definition!r}; use {', '.join(DEFINITIONS)}")
    if not 0 < threshold < 10:
        raise UsageError("bad_threshold", f"threshold {threshold} is no share above zero; write 0.4 for 40 %")
    if target not in TARGETS:
        raise UsageError("bad_choice", f"there is no target {target!r}; use {', '.join(TARGETS)}")


def _allowed(homes: Homes, rules: Rules, definition: str, threshold: float) -> pl.DataFrame:
    """Give what each catastrophic household was allowed to bear (fen), and of whom it could be asked."""
    rule = rules["catastrophic"]
    kept = {name: one for name, one in rule.values.items() if name == "sdg_ppp"}
    asked = replace(rule, values={**kept, definition: Value(definition, 100 * threshold, "percent", "office", "yours")})
    only = replace(rules, rules=tuple(asked if one.signal == rule.signal else one for one in rules.rules))
    found = catastrophic(homes, only, standing_of(homes, only))
    needs = ["consumption_fen", *(_FEN.get(name, name) for name in STANDARDS[definition].needs)]
    if definition in ("who", "sdg"):
        needs.append("size")
    met = [pl.col(name).is_not_null() for name in needs]
    can = homes.households.select("household_id", pl.all_horizontal(found.asked, *met).alias("_asked"))
    return can.join(
        found.rows.select("household_id", pl.col("allowed_fen").alias("_allowed")), on="household_id", how="left"
    )


def _dated(rows: pl.DataFrame, homes: Homes, target: str) -> pl.DataFrame:
    """Add the day on which own payments went past what was allowed, and how far below the household fell."""
    catastrophe = pl.when(pl.col("catastrophic")).then(pl.col("_allowed"))
    # Below zero, income alone is under the line, and no payment says when.
    line = pl.when(pl.col("_newly") & (pl.col("_room") >= 0)).then(pl.col("_room"))
    limits = {"both": [catastrophe, line], "catastrophic": [catastrophe], "line": [line]}[target]
    deep = {"both": ["_allowed", "_room"], "catastrophic": ["_allowed"], "line": ["_room"]}[target]
    fell = pl.col("fell").fill_null(value=False)
    rows = rows.with_columns(
        pl.when(fell).then(pl.min_horizontal(limits)).alias("_limit"),
        pl.when(fell).then(pl.max_horizontal((pl.col("_own") - pl.col(name)) for name in deep)).alias("depth_fen"),
    )
    spent = homes.settled.sort("settled_date").select(
        "household_id", "settled_date", pl.col("own_total_fen").cum_sum().over("household_id").alias("_so_far")
    )
    past = spent.join(rows.select("household_id", "_limit"), on="household_id").filter(
        pl.col("_so_far") > pl.col("_limit")
    )
    first = past.group_by("household_id").agg(pl.col("settled_date").min().alias("fell_on"))
    return (
        rows.join(first, on="household_id", how="left")
        .select("household_id", "fell", "catastrophic", "under_line", "fell_on", pl.col("depth_fen").fill_null(0))
        .sort("household_id")
    )
