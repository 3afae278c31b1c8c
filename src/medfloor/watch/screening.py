"""Screen a register and a year's settlements for households at risk, in batch or one household at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.intake.registers import ROW, STAGE, RegisterFiles
from medfloor.watch.homes import Homes, Register, Standing, gather
from medfloor.watch.rules import Rule, Rules
from medfloor.watch.signals import FIRED, SIGNALS, standing_of

ALERTS = {
    "household_id": pl.String, "signal": pl.String, "kind": pl.String, "as_of": pl.Date, "year": pl.Int64,
    "urgency": pl.String, "suppressed_until": pl.Date, **FIRED, "rule": pl.String, "rule_version": pl.Date,
}  # fmt: skip
"""Columns of alerts: whom, which signal and kind, when, how urgent, until when no second one is raised, the numbers
(`signals.FIRED`), and the rule with its version."""

URGENCIES = ("routine", "soon", "urgent")
_KNOWN = ("household_id", "signal", "suppressed_until")


@dataclass(frozen=True, slots=True, eq=False)
class Screening:
    """Be what a screening found.

    `alerts` are new (`ALERTS`), the most urgent first; `suppressed` fired too, but the household has a known alert of
    the same signal whose window is not over. `households` has one row a household: what it bore, how many alerts are
    new and how many suppressed, its greatest urgency, whether care is absent, and `not_asked`, the signals that its
    missing numbers kept from being asked (with ; between). `rejected` are rows that could not be used, with reason.
    `counts` tells where the settlements went; `standing` is what `screen_one` takes. An alert asks somebody to look:
    it takes nothing away and decides nothing.
    """

    alerts: pl.DataFrame
    households: pl.DataFrame
    rejected: pl.DataFrame
    suppressed: pl.DataFrame
    standing: Standing
    counts: Mapping[str, int]

    @property
    def burdened(self) -> pl.DataFrame:
        """Give the alerts about money, status and insurance."""
        return self.alerts.filter(pl.col("kind") != "absent_care")

    @property
    def absent(self) -> pl.DataFrame:
        """Give the alerts about care that is not seen, which are kept apart."""
        return self.alerts.filter(pl.col("kind") == "absent_care")


def screen(
    register: Register,
    settlements: pl.DataFrame,
    rules: Rules,
    *,
    year: int,
    as_of: date,
    known_alerts: pl.DataFrame | None = None,
    claims_until: date | None = None,
) -> Screening:
    """Screen a whole register by the rules, on a day, with what was settled in the benefit year up to that day.

    `settlements` is what `settle` gives inside the program (money in fen), of this year and, for jumps, of the year
    before; reversals cancel what they take back. `known_alerts` are those raised so far (at least household_id, signal,
    suppressed_until): with the alerts of a screening among them, the same screening raises none again. `claims_until`
    is the day up to which claims are complete (None: the last one in the register). Nothing after `as_of` is looked at.

    >>> people = pl.DataFrame({"person_id": ["p1", "p2"], "household_id": ["h1", "h2"]})
    >>> homes = pl.DataFrame({"household_id": ["h1", "h2"], "size": [1, 1], "income_fen": [9_000_000, 9_000_000]})
    >>> settled = pl.DataFrame({"person_id": ["p1"], "benefit_year": [2025], "settled_date": [date(2025, 3, 1)],
    ...     "own_in_scope_fen": [2_065_701], "own_total_fen": [2_100_000]})
    >>> from medfloor.watch.rules import load_rules
    >>> rules = load_rules("cn", on=date(2025, 4, 1))
    >>> found = screen(Register(people, homes), settled, rules, year=2025, as_of=date(2025, 4, 1))
    >>> found.alerts.select("household_id", "signal", "value", "threshold").row(0)
    ('h1', 'burden_in_scope', 20657.01, 20657.0)
    >>> again = screen(Register(people, homes), settled, rules, year=2025, as_of=date(2025, 4, 1),
    ...     known_alerts=found.alerts)
    >>> again.alerts.height, again.suppressed.height == found.alerts.height
    (0, True)

    Raises InputError missing_column, wrong_type, no_line.
    """
    homes = gather(register, settlements, year=year, as_of=as_of)
    return _screened(homes, rules, standing_of(homes, rules, claims_until), known_alerts)


def screen_batch(
    register: Register,
    settlements: pl.DataFrame,
    rules: Rules,
    *,
    standing: Standing,
    year: int,
    as_of: date,
    known_alerts: pl.DataFrame | None = None,
) -> Screening:
    """Screen some whole households out of many, to the result that they have among all.

    The tables hold all rows of these households and of no other, and by a column ROW their places in the whole tables;
    `standing` is that of all households, worked out first (`signals.standing_from`). The parts of all batches, one
    below the other and put `in_order`, are the screening of the whole. Raises what `screen` raises.
    """
    homes = gather(register, settlements, year=year, as_of=as_of)
    return _screened(homes, rules, standing, known_alerts)


def in_order(found: Screening) -> Screening:
    """Put what batches found, one below the other, in the order that `screen` has."""
    return replace(
        found,
        alerts=_ordered(found.alerts),
        suppressed=_ordered(found.suppressed),
        households=found.households.sort(ROW).drop(ROW),
        rejected=found.rejected.sort(STAGE, ROW).drop(STAGE, ROW),
    )


def money_of(read: RegisterFiles, found: Screening, *, year: int, as_of: date) -> dict[str, int]:
    """Say where the patients' parts of the settlements went, in fen: whole, used, previous, other, rejected.

    The four come to the whole, for all households as for a batch of them.
    """
    strangers = read.settlements.join(read.people.select("person_id").unique(), on="person_id", how="anti")
    later = (pl.col("settled_date") > as_of) | ~pl.col("benefit_year").is_in([year, year - 1])
    known = read.settlements
    if strangers.height:
        known = known.join(strangers.select("person_id").unique(), on="person_id", how="anti")
    money = {
        "whole": read.own_fen,
        "used": int(found.households["own_total_fen"].sum()),
        "previous": int(found.households["previous_own_total_fen"].sum()),
        "other": int(known.filter(later)["own_total_fen"].sum()),
        "rejected": read.own_rejected_fen + int(strangers["own_total_fen"].sum()),
    }
    assert money["whole"] == sum(money[name] for name in ("used", "previous", "other", "rejected")), money
    return money


def screen_one(
    register: Register,
    settlements: pl.DataFrame,
    rules: Rules,
    *,
    household_id: str,
    standing: Standing,
    year: int,
    as_of: date,
    known_alerts: pl.DataFrame | None = None,
) -> Screening:
    """Screen one household, after a settlement: by the same rules and to the same result as among all.

    The tables may hold more households. `standing` is that of the last screening of all (`Screening.standing`): the
    lines of definitions and whether the year before is known cannot be seen from one household. Claims count as known
    up to `as_of`, if they were known at all. Raises UsageError no_such_household, and what `screen` raises.
    """
    _named(register)
    people = register.people.filter(pl.col("household_id") == household_id)
    if people.is_empty() and register.households.filter(pl.col("household_id") == household_id).is_empty():
        raise UsageError("no_such_household", f"the register has no household {household_id!r}")
    return screen_some(
        register, settlements, rules, household_ids=[household_id], standing=standing, year=year, as_of=as_of,
        known_alerts=known_alerts,
    )  # fmt: skip


def screen_some(
    register: Register,
    settlements: pl.DataFrame,
    rules: Rules,
    *,
    household_ids: Collection[str],
    standing: Standing,
    year: int,
    as_of: date,
    known_alerts: pl.DataFrame | None = None,
) -> Screening:
    """Screen some households at once as `screen_one` does one; one that the register does not have is left out.

    Raises what `screen` raises.
    """
    _named(register)
    mine = pl.col("household_id").is_in(list(household_ids))
    people, households = register.people.filter(mine), register.households.filter(mine)
    whose = pl.col("person_id").is_in(people["person_id"].unique().implode())
    spells, claims = (None if frame is None else frame.filter(whose) for frame in (register.spells, register.claims))
    homes = gather(Register(people, households, spells, claims), settlements.filter(whose), year=year, as_of=as_of)
    if standing.claims_until is not None:
        standing = replace(standing, claims_until=max(as_of, standing.claims_until))
    return _screened(homes, rules, standing, known_alerts)


def _named(register: Register) -> None:
    for frame, name in ((register.people, "people"), (register.households, "households")):
        if "household_id" not in frame.columns:
            raise InputError("missing_column", f"{name} has no column household_id; screening cannot do without it")


def _screened(homes: Homes, rules: Rules, standing: Standing, known_alerts: pl.DataFrame | None) -> Screening:
    fired: list[pl.DataFrame] = []
    asked: dict[str, pl.Expr] = {}
    for name in rules.signals:
        found = SIGNALS[name](homes, rules, standing)
        fired.append(_alerts(found.rows, rules[name], homes))
        asked[name] = found.asked
    alerts = pl.concat(fired) if fired else pl.DataFrame(schema=ALERTS)
    new, suppressed = _parted(alerts, rules, known_alerts)
    return Screening(
        _ordered(new), _households(homes, new, suppressed, asked), homes.rejected, _ordered(suppressed), standing,
        homes.counts,
    )  # fmt: skip


def _alerts(rows: pl.DataFrame, rule: Rule, homes: Homes) -> pl.DataFrame:
    """Make alerts of what fired: who says so, how urgent it is, and for how long it is not said again."""
    excess = pl.col("excess").fill_null(0.0)
    never = pl.lit(value=False)
    urgent = excess >= rule.urgent / 100 if rule.urgent is not None else never
    soon = excess >= rule.soon / 100 if rule.soon is not None else never
    said = {
        "signal": pl.lit(rule.signal),
        "kind": pl.lit(rule.kind),
        "as_of": pl.lit(homes.as_of),
        "year": pl.lit(homes.year),
        "urgency": pl.when(urgent).then(pl.lit("urgent")).when(soon).then(pl.lit("soon")).otherwise(pl.lit("routine")),
        "suppressed_until": pl.lit(homes.as_of).dt.offset_by(f"{rule.window_days}d"),
        "rule": pl.lit(rule.id),
        "rule_version": pl.lit(rule.version),
    }
    return rows.select(said.get(name, pl.col(name)).cast(kind).alias(name) for name, kind in ALERTS.items())


def _parted(alerts: pl.DataFrame, rules: Rules, known: pl.DataFrame | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part what is new from what is known: the window is not over, and it did not become much worse."""
    if known is None or known.is_empty():
        return alerts, alerts.clear()
    missing = [name for name in _KNOWN if name not in known.columns]
    if missing:
        raise InputError("missing_column", f"known alerts have no column {missing[0]}; give those of a screening")
    worst = pl.col("excess").max() if "excess" in known.columns else pl.lit(None, dtype=pl.Float64)
    # The window's last day still belongs to it.
    last = known.group_by("household_id", "signal").agg(
        pl.col("suppressed_until").max().alias("_until"), worst.alias("_worst")
    )
    again = {name: (rules[name].again or 0) / 100 for name in rules.signals}
    joined = alerts.join(last, on=["household_id", "signal"], how="left", maintain_order="left")
    step = pl.col("signal").replace_strict(again, return_dtype=pl.Float64)
    worse = (step > 0) & (pl.col("excess") >= pl.col("_worst") + step)
    held = (pl.col("_until") >= pl.col("as_of")).fill_null(value=False) & ~worse.fill_null(value=False)
    names = list(ALERTS)
    return joined.filter(~held).select(names), joined.filter(held).select(names)


def _ordered(alerts: pl.DataFrame) -> pl.DataFrame:
    rank = pl.col("urgency").replace_strict({name: n for n, name in enumerate(URGENCIES)}, return_dtype=pl.Int8)
    place = pl.col("signal").replace_strict({name: n for n, name in enumerate(SIGNALS)}, return_dtype=pl.Int8)
    return alerts.sort(
        rank, pl.col("excess"), place, "household_id", descending=[True, True, False, False], nulls_last=True
    )


def _households(
    homes: Homes, new: pl.DataFrame, suppressed: pl.DataFrame, asked: Mapping[str, pl.Expr]
) -> pl.DataFrame:
    rank = pl.col("urgency").replace_strict({name: n for n, name in enumerate(URGENCIES)}, return_dtype=pl.Int8)
    seen = new.group_by("household_id").agg(
        pl.len().cast(pl.Int64).alias("alerts"),
        rank.max().replace_strict(dict(enumerate(URGENCIES)), return_dtype=pl.String).alias("urgency"),
        (pl.col("kind") == "absent_care").any().alias("absent_care"),
    )
    before = suppressed.group_by("household_id").agg(pl.len().cast(pl.Int64).alias("suppressed"))
    unasked = [pl.when(~expr).then(pl.lit(name)) for name, expr in asked.items()]
    said = pl.concat_str(unasked, separator=";", ignore_nulls=True) if unasked else pl.lit("")
    return (
        homes.households.with_columns(said.alias("not_asked"))
        .join(seen, on="household_id", how="left", maintain_order="left")
        .join(before, on="household_id", how="left", maintain_order="left")
        .with_columns(pl.col("alerts", "suppressed").fill_null(0), pl.col("absent_care").fill_null(value=False))
    )
