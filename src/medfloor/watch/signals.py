"""Find which households show a signal: one function a signal, over all households at once.

Each gives `Found`: the rows that fired, and of which households it could be asked at all. Amounts are whole fen, and a
household exactly at a line does not fire (but for WHO's 40 %, which counts it). `allowed_fen` is the amount with which
the signal would not have fired, everything else as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from medfloor.errors import InputError
from medfloor.intake.registers import ROW
from medfloor.measures.capacity import EuropeRule, SocietalLine, WhoRule, discretionary, europe_capacity, who_capacity
from medfloor.measures.catastrophic import STANDARDS
from medfloor.money import BP
from medfloor.periods import add_months
from medfloor.watch.homes import Homes, Standing
from medfloor.watch.rules import Rule, Rules

FIRED = {
    "household_id": pl.String, "person_id": pl.String, "detail": pl.String, "unit": pl.String, "value": pl.Float64,
    "threshold": pl.Float64, "excess": pl.Float64, "spent_fen": pl.Int64, "base_fen": pl.Int64, "allowed_fen": pl.Int64,
}  # fmt: skip
"""Columns of what fired. value and threshold are in `unit` (yuan, people, days); excess is how far beyond the line, as
a share of it (null where the line is zero). spent_fen is what was borne, base_fen what it is held against."""

_spent, _income = pl.col("own_total_fen"), pl.col("income_fen")


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Be the rows that fired (`FIRED`), and an expression over households that says whom it could be asked of."""

    rows: pl.DataFrame
    asked: pl.Expr


@dataclass(frozen=True, slots=True)
class Signal:
    """Be one alert in a record: the signal, the numbers that fired it, the line, and the rule with its version.

    `allowed_fen` is the amount with which it would not have fired: at most so much spending, or (for income under the
    line) at least so much income. `reasons.why` and `reasons.unless` say it in words.
    """

    code: str
    household_id: str
    as_of: date
    value: float
    threshold: float
    unit: str
    kind: str
    detail: str = ""
    person_id: str | None = None
    spent_fen: int | None = None
    base_fen: int | None = None
    allowed_fen: int | None = None
    urgency: str = "routine"
    suppressed_until: date | None = None
    rule: str = ""
    rule_version: date | None = None

    @classmethod
    def of(cls, row: Mapping[str, object]) -> Signal:
        """Make one of a row of alerts."""
        names = set(cls.__slots__) - {"code"}
        return cls(code=str(row["signal"]), **{name: row[name] for name in names if name in row})  # type: ignore[arg-type]


def burden_in_scope(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find who bore more in scope in the year than a share of last year's local income per head.

    The share is lower in households that hold a status of the rule's `groups`. It is counted by person (the one who
    bore most stands for the household), or by household against the income of all its heads.
    """
    rule = rules["burden_in_scope"]
    line = rules.line("income", homes.year - 1)
    # The local income is one number for all, unless the rule asks for that of rural and urban residents.
    own = rule.choices.get("income") == "residence"
    home = homes.households.with_columns(
        pl.when(homes.with_group(rule.listed("groups"))).then(pl.lit("poor")).otherwise(pl.lit("other")).alias("detail"),
        pl.when(own & (pl.col("residence") == "rural")).then(line.of("rural"))
        .when(own & (pl.col("residence") == "urban")).then(line.of("urban"))
        .otherwise(line.fen).cast(pl.Int64).alias("base_fen"),
    )  # fmt: skip
    share = pl.when(pl.col("detail") == "poor").then(rule["share_poor"].bp).otherwise(rule["share_other"].bp)
    if rule.choices.get("per") == "household":
        rows = home.with_columns(
            pl.col("own_in_scope_fen").alias("spent_fen"),
            (pl.col("base_fen") * pl.col("size").fill_null(1)).alias("base_fen"),
            pl.lit(None, dtype=pl.String).alias("person_id"),
        )
    else:
        bore = homes.people.filter(pl.col("own_in_scope_fen") > 0).select(
            "person_id", "household_id", pl.col("own_in_scope_fen").alias("spent_fen")
        )
        rows = home.join(bore, on="household_id")
    rows = rows.with_columns((pl.col("base_fen") * share // BP).alias("allowed_fen"))
    most = rows.filter(pl.col("spent_fen") > pl.col("allowed_fen")).sort("spent_fen", "person_id", descending=True)
    return Found(_above(most.unique("household_id", keep="first", maintain_order=True)), pl.lit(value=True))


def medical_share(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find households whose own payments of the year take more than a share of their income; of none, any does."""
    rows = homes.households.with_columns(
        _spent.alias("spent_fen"),
        _income.alias("base_fen"),
        (_income.clip(lower_bound=0) * rules["medical_share"]["share"].bp // BP).alias("allowed_fen"),
    )
    return Found(_above(_over(rows)), _income.is_not_null())


def catastrophic(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find households with catastrophic spending by any definition that the rule gives a share for.

    The definitions are those of `medfloor.measures.catastrophic`; a share of 0 turns one off. `detail` lists those that
    are met, the strictest (which allows least) first. Capacity is measured on the register's consumption; lines of who,
    europe and sdg are `standing`'s.
    """
    rule = rules["catastrophic"]
    rows = homes.households.with_columns(_spent.alias("spent_fen"))
    met: list[str] = []
    for name in (one for one in STANDARDS if one in rule.values and rule[one].bp > 0):
        capacity = _capacity(name, standing)
        if capacity is None:
            continue
        limit = capacity.floor().cast(pl.Int64).clip(lower_bound=0) * rule[name].bp
        allowed = limit // BP if STANDARDS[name].sign == ">" else (limit - 1).clip(lower_bound=0) // BP
        rows = rows.with_columns(capacity.alias("_capacity")).with_columns(
            pl.when(pl.col("_capacity").is_finite()).then(allowed).alias(f"_{name}")
        )
        met.append(name)
    if not met:
        return Found(pl.DataFrame(schema=FIRED), pl.lit(value=False))
    rows = rows.with_columns(pl.min_horizontal(f"_{name}" for name in met).alias("allowed_fen"))
    rows = _over(rows).with_columns(pl.col("consumption_fen").alias("base_fen"))
    by_least = pl.concat_list(
        pl.when(pl.col("spent_fen") > pl.col(f"_{name}")).then(
            pl.struct(pl.col(f"_{name}").alias("at"), pl.lit(name).alias("name"))
        )
        for name in met
    )
    said = by_least.list.drop_nulls().list.sort().list.eval(pl.element().struct["name"]).list.join(";")
    return Found(_above(rows.with_columns(said.alias("detail"))), pl.col("consumption_fen").is_not_null())


def after_medical(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find households whose income a head, less what they paid for care, is under the monitoring line."""
    rule = rules["after_medical"]
    rows = _with_line(homes, rules, rule).filter((_spent > 0) & (_income - _spent < pl.col("_line")))
    return Found(_net(rows), _known())


def rigid_jump(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find households whose own payments grew, over those of the year before, by more than a share of their income."""
    rows = _with_jump(homes, rules["rigid_jump"])
    asked = _income.is_not_null() if standing.previous else pl.lit(value=False)
    fired = rows.filter(pl.lit(standing.previous) & (_spent > pl.col("_jump")))
    return Found(_jumped(fired), asked)


def monitored_unstable(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find formerly poor households, not yet monitored, whose income a head is under the line (脱贫不稳定户)."""
    rule = rules["monitored_unstable"]
    rows = _with_line(homes, rules, rule).filter(homes.with_group(rule.listed("groups"), ever=True))
    return Found(_low(rows.filter(_income < pl.col("_line"))), _known())


def monitored_edge(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find other rural households, not yet monitored, whose income a head is under the line (边缘易致贫户)."""
    rule = rules["monitored_edge"]
    rows = _with_line(homes, rules, rule).filter(~homes.with_group(rule.listed("groups"), ever=True))
    return Found(_low(rows.filter((pl.col("residence") == "rural") & (_income < pl.col("_line")))), _placed())


def monitored_sudden(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find rural households above the line that a surge of spending throws into difficulty (突发严重困难户).

    Detail `net`: what is left after paying is under the line; `jump`: spending surged as in `rigid_jump`.
    """
    rule = rules["monitored_sudden"]
    rows = _with_line(homes, rules, rule, _with_jump(homes, rule))
    rows = rows.filter((pl.col("residence") == "rural") & (_income >= pl.col("_line")))
    jumped = pl.lit(standing.previous) & (_spent > pl.col("_jump"))
    net = rows.filter((_spent > 0) & (_income - _spent < pl.col("_line")))
    other = rows.filter(jumped & (_income - _spent >= pl.col("_line")))
    # Where both hold, less spending helps only if it ends both.
    least = pl.when(jumped).then(pl.min_horizontal(_income - pl.col("_line"), "_jump"))
    told = _net(net.with_columns(least.otherwise(_income - pl.col("_line")).alias("_least")), "_least")
    return Found(pl.concat([told.with_columns(pl.lit("net").alias("detail")), _jumped(other, "jump")]), _placed())


def not_enrolled(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find households in which people with a status of the rule's groups are not insured; an empty list asks all."""
    groups = rules["not_enrolled"].listed("groups")
    rows = homes.people.filter(pl.col("alive") & ~pl.col("enrolled"))
    if groups:
        holding = homes.held.filter(pl.col("group").is_in(list(groups)))["person_id"].unique()
        rows = rows.filter(pl.col("person_id").is_in(holding.implode()))
    counted = rows.group_by("household_id").agg(
        pl.len().cast(pl.Float64).alias("value"),
        pl.when(pl.len() == 1).then(pl.col("person_id").first()).alias("person_id"),
    )
    return Found(
        _shaped(counted.with_columns(pl.lit(0.0).alias("threshold"), pl.lit("people").alias("unit"))),
        pl.lit(value=True),
    )


def missed_assistance(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find people with a status who were not settled at its rate.

    Where settlements have `due_fen` (what settling again under the statuses as known today would pay on top:
    `medfloor.settlement.resettle`), what is due is missing, to the fen (detail `resettled`). Otherwise (detail
    `unpaid`) a person is found who, over all settlements of the year on days when the status was running, bore more in
    scope than the assistance's deductible, and for whom no assistance was paid at all. The second is a sign and no
    proof: ceilings and care that assistance leaves out look the same.
    """
    if "due_fen" in homes.settled.columns:
        due = homes.settled.group_by("household_id", "person_id").agg(pl.col("due_fen").sum().alias("spent_fen"))
        rows = due.filter(pl.col("spent_fen") > 0).with_columns(
            pl.lit("resettled").alias("detail"),
            *(pl.lit(0, dtype=pl.Int64).alias(n) for n in ("base_fen", "allowed_fen")),
        )
        return Found(_above(_largest(rows)), pl.lit(value=True))
    rule = rules["missed_assistance"]
    paid = [f"pay_{name}_fen" for name in rule.listed("columns") if f"pay_{name}_fen" in homes.settled.columns]
    if not paid:
        return Found(pl.DataFrame(schema=FIRED), pl.lit(value=False))
    line = rules.line("income", homes.year - 1).fen
    deductible = dict.fromkeys(rule.listed("groups"), rule["deductible"].fen)
    for name, share in (("marginal", "share_marginal"), ("ill", "share_ill")):
        deductible |= dict.fromkeys(rule.listed(name), line * rule[share].bp // BP)
    spells = homes.spells.filter(pl.col("group").is_in(list(deductible)))
    held = homes.settled.with_row_index("_row").join(spells, on="person_id").filter(
        (pl.col("from_date").is_null() | (pl.col("from_date") <= pl.col("settled_date")))
        & (pl.col("to_date").is_null() | (pl.col("to_date") >= pl.col("settled_date")))
    )  # fmt: skip
    first = pl.col("group").replace_strict(deductible, return_dtype=pl.Int64).alias("base_fen")
    # Of several statuses that run together the one with the least deductible counts.
    once = held.with_columns(first).sort("_row", "base_fen").unique("_row", keep="first")
    by_person = once.group_by("household_id", "person_id").agg(
        pl.col("own_in_scope_fen").sum().alias("spent_fen"),
        pl.col("base_fen").min(),
        pl.sum_horizontal(paid).sum().alias("_paid"),
    )
    rows = by_person.with_columns(pl.col("base_fen").alias("allowed_fen"), pl.lit("unpaid").alias("detail"))
    rows = rows.filter((pl.col("_paid") <= 0) & (pl.col("spent_fen") > pl.col("allowed_fen")))
    return Found(_above(_largest(rows)), pl.lit(value=True))


def absent_care(homes: Homes, rules: Rules, standing: Standing) -> Found:
    """Find people with a chronic illness in earlier claims who have had no care at all for some months.

    Where claims are known only up to a day that lies months back, everybody would look absent, and nobody is asked.
    The illness itself is in no alert.
    """
    rule = rules["absent_care"]
    since = add_months(homes.as_of, -int(rule["months"].value))
    back = add_months(since, -int(rule["look_back"].value))
    if homes.claims is None or standing.claims_until is None or standing.claims_until < since:
        return Found(pl.DataFrame(schema=FIRED), pl.lit(value=False))
    coded = pl.col("care_type").is_in(list(rule.listed("care_types"))).fill_null(value=False)
    if rule.listed("codes"):
        pattern = "^(?:" + "|".join(code.replace(".", r"\.") for code in rule.listed("codes")) + ")"
        coded = coded | pl.col("diagnosis").str.contains(pattern).fill_null(value=False)
    recent = homes.claims.filter(pl.col("start_date") >= back).with_columns(coded.alias("_coded"))
    last = recent.group_by("person_id").agg(pl.col("_coded").any(), pl.col("start_date").max().alias("_last"))
    gone = last.filter(pl.col("_coded") & (pl.col("_last") < since))
    rows = gone.join(homes.people.filter(pl.col("alive")), on="person_id").with_columns(
        (pl.lit(homes.as_of) - pl.col("_last")).dt.total_days().cast(pl.Float64).alias("value"),
        pl.lit(float((homes.as_of - since).days)).alias("threshold"),
        pl.lit("days").alias("unit"),
    )
    longest = rows.sort("value", "person_id", descending=True).unique("household_id", keep="first", maintain_order=True)
    return Found(
        _shaped(longest.with_columns((pl.col("value") / pl.col("threshold") - 1).alias("excess"))), pl.lit(value=True)
    )


SIGNALS: dict[str, Callable[[Homes, Rules, Standing], Found]] = {
    one.__name__: one
    for one in (
        burden_in_scope, medical_share, catastrophic, after_medical, rigid_jump, monitored_unstable, monitored_edge,
        monitored_sudden, not_enrolled, missed_assistance, absent_care,
    )
}  # fmt: skip
"""Every signal by its code, in the order in which alerts are listed."""


def standing_of(homes: Homes, rules: Rules, claims_until: date | None = None) -> Standing:
    """Work out what only the whole register can say: the lines of definitions, and what is known of other times.

    `claims_until` is the last day on which claims are known; None takes the last in the claims.
    """
    return standing_from([seen_of(homes)], rules, claims_until)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Be what some households add to the standing of all: narrow enough that those of a province fit in one machine.

    `previous` counts settlements of the year before, `last_claim` is the last day of a claim, and `means` has, a row a
    household whose consumption is known, what the lines of definitions are worked out from.
    """

    previous: int
    last_claim: date | None
    means: pl.DataFrame


_NEEDS = {
    "who": ("consumption_fen", "food_fen", "size"),
    "europe": ("consumption_fen", "food_fen", "housing_fen", "utilities_fen", "adults", "children"),
    "sdg": ("consumption_fen", "size"),
}


def seen_of(homes: Homes) -> Seen:
    """See what these households add to the standing of all."""
    last = homes.claims["start_date"].max() if homes.claims is not None else None
    columns = list(dict.fromkeys(name for names in _NEEDS.values() for name in names))
    means = homes.households.filter(pl.col("consumption_fen") > 0)
    means = means.select(*columns, *(name for name in (ROW,) if name in means.columns))
    return Seen(homes.counts["previous"], last if isinstance(last, date) else None, means)


def standing_from(seen: Sequence[Seen], rules: Rules, claims_until: date | None = None) -> Standing:
    """Work out the standing of all households from what was seen of each part of them, whichever parts those are.

    Where parts say by ROW in which order their households stand in the register, sums are made in that order, so that
    the lines are the same to the last bit. `claims_until` as in `standing_of`.
    """
    days = [one.last_claim for one in seen if one.last_claim is not None]
    until = claims_until if claims_until is not None else max(days, default=None)
    wanted = rules["catastrophic"].values if "catastrophic" in rules.signals else {}
    means = pl.concat([one.means for one in seen])
    if ROW in means.columns:
        means = means.sort(ROW)
    return Standing(sum(one.previous for one in seen) > 0, until, _levels(means, wanted))


def _levels(households: pl.DataFrame, wanted: Mapping[str, object]) -> dict[str, float]:
    levels: dict[str, float] = {}
    for name, columns in _NEEDS.items():
        known = households.select(columns).drop_nulls().filter(pl.col("consumption_fen") > 0)
        if name == "europe":
            known = known.filter(pl.col("adults") + pl.col("children") > 0)
        if name not in wanted or known.is_empty():
            continue
        taken = {column: known[column].cast(pl.Float64).to_numpy() for column in columns}
        one = np.ones(known.height)
        try:
            if name == "who":
                found = who_capacity(taken["consumption_fen"], taken["food_fen"], taken["size"], one, WhoRule())
            elif name == "europe":
                basic = taken["food_fen"] + taken["housing_fen"] + taken["utilities_fen"]
                found = europe_capacity(
                    taken["consumption_fen"], basic, taken["adults"], taken["children"], one, EuropeRule()
                )
            else:
                fen = float(getattr(wanted["sdg_ppp"], "value", 1.0)) * 100
                line = SocietalLine.of(2017, ppp=fen, days=365)
                found = discretionary(taken["consumption_fen"], taken["size"], taken["size"], line)
        except InputError:
            # Too few households for the band: the definition has no line here, and is not asked.
            continue
        if found.level is not None:
            levels[name] = found.level
    return levels


def _capacity(name: str, standing: Standing) -> pl.Expr | None:
    """Give what a household can pay by a definition, in fen, as doubles; None where the definition has no line."""
    consumption, food = pl.col("consumption_fen").cast(pl.Float64), pl.col("food_fen").cast(pl.Float64)
    if name == "budget":
        return consumption
    if name == "nonfood":
        return consumption - food
    level = standing.levels.get(name)
    if level is None:
        return None
    if name == "who":
        needs = level * pl.col("size").cast(pl.Float64).pow(WhoRule().exponent)
        # A missing food is not the smaller of two: it leaves the capacity unknown.
        return pl.when(food.is_not_null() & needs.is_not_null()).then(consumption - pl.min_horizontal(needs, food))
    if name == "europe":
        rule, adults, children = EuropeRule(), pl.col("adults"), pl.col("children")
        people = (adults + children - 1).clip(lower_bound=0)
        some = 1 + rule.adult * (adults - 1) + rule.child * children
        return consumption - level * pl.when(adults >= 1).then(some).otherwise(1 + rule.child * people)
    return consumption - level * pl.col("size")


def _known() -> pl.Expr:
    return _income.is_not_null() & pl.col("size").is_not_null()


def _placed() -> pl.Expr:
    """Ask whether it is known, too, that a household is rural or urban."""
    return _known() & pl.col("residence").is_in(["rural", "urban"]).fill_null(value=False)


def _with_line(homes: Homes, rules: Rules, rule: Rule, rows: pl.DataFrame | None = None) -> pl.DataFrame:
    """Add the monitoring line of the whole household, and leave out who already has a status that helps."""
    line = rules.line("monitoring", homes.year).fen
    rows = homes.households if rows is None else rows
    if rule.listed("skip"):
        rows = rows.filter(~homes.with_group(rule.listed("skip")))
    return rows.with_columns((pl.col("size") * line).alias("_line"), pl.lit(line).alias("_head"))


def _with_jump(homes: Homes, rule: Rule) -> pl.DataFrame:
    """Add how much a household may have paid this year without a jump."""
    more = (_income.clip(lower_bound=0) * rule["share"].bp // BP).alias("_more")
    return homes.households.with_columns(more).with_columns(
        (pl.col("previous_own_total_fen").clip(lower_bound=0) + pl.col("_more")).alias("_jump")
    )


def _over(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter((pl.col("spent_fen") > 0) & (pl.col("spent_fen") > pl.col("allowed_fen")))


def _largest(rows: pl.DataFrame) -> pl.DataFrame:
    ordered = rows.sort("spent_fen", "person_id", descending=True)
    return ordered.unique("household_id", keep="first", maintain_order=True)


def _above(rows: pl.DataFrame) -> pl.DataFrame:
    """Shape rows whose spending is above what is allowed."""
    value, threshold = pl.col("spent_fen") / 100, pl.col("allowed_fen") / 100
    return _shaped(_in_yuan(rows, value, threshold, value / threshold - 1))


def _net(rows: pl.DataFrame, allowed: str | None = None) -> pl.DataFrame:
    """Shape rows whose income after paying is under the line: value and threshold are a head."""
    rows = rows.with_columns(
        _spent.alias("spent_fen"),
        _income.alias("base_fen"),
        (_income - pl.col("_line") if allowed is None else pl.col(allowed)).alias("allowed_fen"),
    )
    value, threshold = (_income - _spent) / pl.col("size") / 100, pl.col("_head") / 100
    return _shaped(_in_yuan(rows, value, threshold, 1 - value / threshold))


def _low(rows: pl.DataFrame) -> pl.DataFrame:
    """Shape rows whose income is under the line; what is allowed is the least income that is not."""
    rows = rows.with_columns(_income.alias("base_fen"), pl.col("_line").alias("allowed_fen"))
    value, threshold = _income / pl.col("size") / 100, pl.col("_head") / 100
    return _shaped(_in_yuan(rows, value, threshold, 1 - value / threshold))


def _jumped(rows: pl.DataFrame, detail: str = "") -> pl.DataFrame:
    rows = rows.with_columns(
        _spent.alias("spent_fen"),
        _income.alias("base_fen"),
        pl.col("_jump").alias("allowed_fen"),
        pl.lit(detail).alias("detail"),
    )
    value, threshold = (_spent - pl.col("previous_own_total_fen").clip(lower_bound=0)) / 100, pl.col("_more") / 100
    return _shaped(_in_yuan(rows, value, threshold, value / threshold - 1))


def _in_yuan(rows: pl.DataFrame, value: pl.Expr, threshold: pl.Expr, excess: pl.Expr) -> pl.DataFrame:
    return rows.with_columns(
        value.alias("value"),
        threshold.alias("threshold"),
        pl.lit("yuan").alias("unit"),
        pl.when(threshold > 0).then(excess).alias("excess"),
    )


def _shaped(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in FIRED.items()
    ).with_columns(
        pl.col("detail").fill_null(""),
        # Wide and narrow registers of a processor differ in the last bit; an alert must not.
        pl.col("value", "threshold", "excess").round(6),
    )
