"""Work out the assistance that a household applies for once a year, on what stayed with it of last year's costs.

Beijing: 京医保发〔2023〕9号 二 (who), 三 (how much). The year's claims are settled through every tier; what then stays
with the patients in the pools that count, less what a commercial insurer paid, is the household's burden. The tests
that an office makes by hand (assets, vehicles, dwellings) are named by the policy and not made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, PolicyError, UsageError
from medfloor.intake import Claims, Households, People, Spells, read_households, scan_table
from medfloor.intake.files import collect
from medfloor.money import MAX_FEN, round_fen
from medfloor.policy.load import PolicySet
from medfloor.policy.model import Applied, Policy
from medfloor.policy.resolve import NO_LIMIT, AppliedRules, resolve_applied
from medfloor.settlement.batch import Batch, Law, prepare
from medfloor.settlement.engines import run, settled_all
from medfloor.settlement.reference import INSIDE
from medfloor.settlement.reversal import replay
from medfloor.settlement.settle import law_of, read_all

Table = str | Path | pl.DataFrame
Ints = npt.NDArray[np.int64]

REASONS = ("granted", "no_burden", "income_too_high", "income_missing", "excluded_status", "household_unreadable")
"""Why a household gets what it gets."""


@dataclass(frozen=True)
class Applications:
    """Be the yearly assistance of the households that apply.

    `fen` has one row a household, in the order of the households table: household_id, year, members, income_fen,
    commercial_fen, burden_fen, monthly_income_after_fen (rounded half up), line_fen, excluded_members, passed (yes, no,
    unknown), reason (of REASONS), assistance_fen (null where the income is missing) and assistance_if_passed_fen, what
    the schedule gives if the tests that are still open are passed. `rejected` has the claims that could not be settled,
    as they came, with reason and detail. `by_hand` names the conditions that the office checks.
    """

    fen: pl.DataFrame
    rejected: pl.DataFrame
    policy: Policy
    applied: Applied
    rules: AppliedRules
    year: int
    claims_counted: int

    @property
    def by_hand(self) -> tuple[str, ...]:
        """List the ids of the conditions that an office checks by hand."""
        return tuple(condition.id for condition in self.applied.conditions)


def apply_yearly(
    claims: Table | Claims,
    people: Table | People,
    households: Table | Households,
    spells: Table | Spells | None = None,
    policy: str | PolicySet | Law = "cn/beijing",
    *,
    year: int,
    reforms: Sequence[str | Path] = (),
    commercial: Table | None = None,
    assistance: str | None = None,
) -> Applications:
    """Settle the claims of a year and give each household what it may apply for.

    `year` is the year of the costs and of the income. `commercial` has household_id and amount (yuan), what commercial
    insurers paid; households may bring it as a column commercial_paid instead. `assistance` picks one of several.

    A person who held an excluded status on any day of the year is shut out: their costs do not count, and a household
    whose people are all shut out gets nothing (京医保发〔2023〕9号 一: who already has social assistance).

    Raises PolicyError no_applied where the policy has no such assistance, MissingValueError where a number for the year
    was not published, InputError duplicate_household for a household that applies twice, and what `settle` raises.

    >>> import polars as pl
    >>> claims = pl.DataFrame({"claim_id": ["c1"], "person_id": ["p1"], "care_type": ["inpatient"],
    ...     "start_date": ["2023-03-01"], "end_date": ["2023-03-10"], "facility_level": ["3"],
    ...     "total": [81300], "first_self_pay": [80000], "in_scope": [1300]})
    >>> people = pl.DataFrame({"person_id": ["p1"], "household_id": ["h1"]})
    >>> homes = pl.DataFrame({"household_id": ["h1"], "size": [1], "income": [90000]})
    >>> apply_yearly(claims, people, homes, year=2023).fen["assistance_fen"].item()  # 17,000 + 31,300 x 50 %
    3265000
    """
    law = law_of(policy, reforms)
    version, applied = _section_of(law, year, assistance)
    rules = resolve_applied(version, applied, year)
    claims, people, spells = read_all(claims, people, spells, law.policies)
    batch, reversals, refusals = prepare(law, [claims.accepted], people, spells)
    rejected = claims.refuse(refusals.rows).rejected
    worlds = replay(batch, reversals, "auto", None)
    batch = worlds.survivors if worlds else batch
    burden = pl.DataFrame(
        {
            "person_id": batch.frame["person_id"],
            "_year": batch.frame["_year"].cast(pl.Int64),
            "burden_fen": _left_in(batch, applied.base),
        }
    ).filter(pl.col("_year") == year)
    homes = read_households(households) if not isinstance(households, Households) else households
    frame = _per_household(homes, people, spells, burden, commercial, applied, year)
    return Applications(_decided(frame, rules, version, year), rejected, version, applied, rules, year, burden.height)


def _section_of(law: Law, year: int, assistance: str | None) -> tuple[Policy, Applied]:
    """Find the version in force at the year's end, and its assistance that is applied for."""
    index = law.policies.index_on(date(year, 12, 31))
    if index is None:
        raise PolicyError(
            "outside_policy_dates",
            f"{law.policies.address} has no version in force on {year}-12-31; use another year",
        )
    version = law.policies.versions[index]
    known = [one.id for one in version.applied]
    if not known:
        raise PolicyError(
            "no_applied",
            f"{version.id} ({version.from_}) has no assistance that is applied for; cn/beijing from 2023 has one, and "
            "a policy file can declare it under `applied`",
        )
    if assistance is None and len(known) > 1:
        raise UsageError("several_applied", f"{version.id} has several; name one of {', '.join(known)}")
    chosen = next((one for one in version.applied if assistance in (None, one.id)), None)
    if chosen is None:
        raise UsageError("unknown_applied", f"{version.id} has no assistance {assistance}; known: {', '.join(known)}")
    return version, chosen


def _left_in(batch: Batch, base: Sequence[str]) -> Ints:
    """Give what of each claim stays with the patient in the pools of the base, in fen.

    Where payments come out of the scope only, and the base holds all of the scope that can be filled, the kernel's sums
    say it; else the reference keeps the pools apart.
    """
    steps = [step for rules in batch.rules for step in rules.steps]
    filled = {"in_scope"}
    if any(step.first_share_bp for step in steps):
        filled.add("referral_share")
    if any(step.keeps_deductible or step.keeps_over_cap for step in steps):
        filled.add("set_aside")
    if all(set(step.base) <= set(INSIDE) for step in steps) and filled <= set(base):
        left: Ints = run(batch, "auto").own_in_scope.copy()
        for pool in base:
            if pool not in INSIDE:
                left += batch.frame[f"{pool}_fen"].to_numpy()
        return left
    return np.array([sum(one.left[pool] for pool in base) for one in settled_all(batch)], np.int64)


def _per_household(
    homes: Households,
    people: People,
    spells: Spells,
    burden: pl.DataFrame,
    commercial: Table | None,
    applied: Applied,
    year: int,
) -> pl.DataFrame:
    """Put beside each household its people, who is shut out, its burden and what an insurer paid."""
    frame = homes.accepted.select("household_id", "size", "income_fen", *_carried_commercial(homes, commercial))
    twice = frame.filter(pl.col("household_id").is_duplicated())
    if twice.height:
        raise InputError(
            "duplicate_household",
            f"household_id {twice['household_id'][0]} stands in more than one row; a household applies once a year",
        )
    frame = pl.concat(
        [frame.with_columns(pl.lit(False).alias("bad")), _unreadable(homes, frame.columns)], how="diagonal_relaxed"
    )
    held = spells.accepted.filter(
        pl.col("group").is_in(list(applied.excludes))
        & (pl.col("from_date").is_null() | (pl.col("from_date") <= date(year, 12, 31)))
        & (pl.col("to_date").is_null() | (pl.col("to_date") >= date(year, 1, 1)))
    )
    members = people.accepted.unique("person_id", keep="last", maintain_order=True).select("person_id", "household_id")
    members = members.with_columns(pl.col("person_id").is_in(held["person_id"].implode()).alias("out"))
    spent = members.join(burden, on="person_id", how="inner").filter(~pl.col("out"))
    sums = spent.group_by("household_id").agg(pl.col("burden_fen").sum())
    counts = members.group_by("household_id").agg(
        pl.len().alias("people"), pl.col("out").sum().alias("excluded_members")
    )
    frame = frame.join(counts, on="household_id", how="left", maintain_order="left")
    frame = frame.join(sums, on="household_id", how="left", maintain_order="left")
    if commercial is not None:
        frame = frame.join(_paid_elsewhere(commercial), on="household_id", how="left", maintain_order="left")
    return frame.with_columns(
        pl.coalesce("size", "people").fill_null(0).cast(pl.Int64).alias("members"),
        pl.col("excluded_members", "people").fill_null(0).cast(pl.Int64),
        pl.col("burden_fen", "commercial_fen").fill_null(0),
    )


def _unreadable(homes: Households, columns: Sequence[str]) -> pl.DataFrame:
    """Give the households whose row cannot be read as rows that say so."""
    ids = homes.bad["household_id"].drop_nulls().unique(maintain_order=True)
    return pl.DataFrame({"household_id": ids, "bad": pl.repeat(True, len(ids), eager=True)})


def _carried_commercial(homes: Households, commercial: Table | None) -> list[pl.Expr]:
    """Read the column commercial_paid of the households, yuan, where it is there."""
    if "commercial_paid" not in homes.carried:
        return [] if commercial is not None else [pl.lit(0, pl.Int64).alias("commercial_fen")]
    if commercial is not None:
        raise UsageError(
            "commercial_twice",
            "households has a column commercial_paid and --commercial is given too; keep one of them",
        )
    return [_fen(homes.accepted["commercial_paid"], "households", "commercial_paid").alias("commercial_fen")]


def _paid_elsewhere(commercial: Table) -> pl.DataFrame:
    """Read what commercial insurers paid: household_id and amount (yuan), summed by household."""
    scan = scan_table(commercial, "commercial payments")
    for name in ("household_id", "amount"):
        if name not in scan.names:
            raise InputError("missing_column", f"{scan.place} has no column {name}; it needs household_id and amount")
    frame = collect(scan, scan.frame.select(pl.col("household_id").cast(pl.String).str.strip_chars(), "amount"))
    frame = frame.with_columns(_fen(frame["amount"], scan.place, "amount").alias("commercial_fen"))
    return frame.group_by("household_id").agg(pl.col("commercial_fen").sum())


def _fen(values: pl.Series, place: str, name: str) -> pl.Expr:
    """Read yuan as fen; empty is nothing. Raises InputError bad_amount for what is no amount of money."""
    text = values.cast(pl.String).str.strip_chars().replace("", None)
    exact = text.cast(pl.Decimal(38, 6), strict=False)
    fen = (exact * 100).cast(pl.Decimal(38, 6))
    whole = fen.cast(pl.Int64, strict=False)
    wrong = text.is_not_null() & (exact.is_null() | whole.is_null() | (fen != whole) | (whole < 0) | (whole > MAX_FEN))
    if wrong.fill_null(True).any():
        raise InputError(
            "bad_amount", f"{place}: {name} must be yuan, not below zero, with at most two decimals, in every row"
        )
    return pl.lit(whole.fill_null(0))


def _decided(frame: pl.DataFrame, rules: AppliedRules, policy: Policy, year: int) -> pl.DataFrame:
    """Make the tests and value the schedule, household by household."""
    rows: list[dict[str, Any]] = []
    for row in frame.iter_rows(named=True):
        burden = max(0, row["burden_fen"] - row["commercial_fen"])
        worth = schedule_worth(rules, burden, policy)
        passed, reason = _tested(row, burden, rules)
        after = None
        if row["income_fen"] is not None and row["members"] > 0:
            after = _half_up(row["income_fen"] - burden, row["members"] * 12)
        open_still = reason in ("granted", "income_missing", "no_burden")
        rows.append(
            {
                "household_id": row["household_id"],
                "year": year,
                "members": row["members"],
                "income_fen": row["income_fen"],
                "commercial_fen": row["commercial_fen"],
                "burden_fen": burden,
                "monthly_income_after_fen": after,
                "line_fen": rules.monthly_line_fen,
                "excluded_members": row["excluded_members"],
                "passed": passed,
                "reason": reason,
                "assistance_fen": worth if reason == "granted" else (None if passed == "unknown" else 0),
                "assistance_if_passed_fen": worth if open_still else 0,
            }
        )
    money = dict.fromkeys(
        ("income_fen", "commercial_fen", "burden_fen", "monthly_income_after_fen", "line_fen", "assistance_fen",
         "assistance_if_passed_fen"), pl.Int64(),
    )  # fmt: skip
    counts = dict.fromkeys(("year", "members", "excluded_members"), pl.Int64())
    names = (*("household_id", "year", "members", "income_fen", "commercial_fen", "burden_fen"),
             "monthly_income_after_fen", "line_fen", "excluded_members", "passed", "reason", "assistance_fen",
             "assistance_if_passed_fen")  # fmt: skip
    schema: dict[str, Any] = {name: (money | counts).get(name, pl.String()) for name in names}
    return pl.DataFrame(rows, schema=schema)


def _tested(row: dict[str, Any], burden: int, rules: AppliedRules) -> tuple[str, str]:
    """Say whether the income test is passed, and why the household gets what it gets.

    Passed where (income - burden) / members / 12 is at most the line; compared without dividing, so without rounding.
    """
    if row["bad"]:
        return "unknown", "household_unreadable"
    if row["people"] > 0 and row["excluded_members"] == row["people"]:
        return "no", "excluded_status"
    passed = "yes"
    if rules.monthly_line_fen is not None:
        if row["income_fen"] is None or row["members"] <= 0:
            passed = "unknown"
        elif row["income_fen"] - burden > rules.monthly_line_fen * row["members"] * 12:
            return "no", "income_too_high"
    if burden == 0:
        return passed, "no_burden"
    return passed, "granted" if passed == "yes" else "income_missing"


def schedule_worth(rules: AppliedRules, burden_fen: int, policy: Policy) -> int:
    """Give what the brackets make of a burden, rounded by the policy's rule, at most the cap; fen.

    >>> from medfloor.policy.load import load_policy
    >>> policy = load_policy("cn/beijing@2023-01-01").versions[0]
    >>> rules = resolve_applied(policy, policy.applied[0], 2023)
    >>> schedule_worth(rules, 8_000_000, policy), schedule_worth(rules, 35_000_000, policy)
    (3200000, 15000000)
    """
    ends = [start for start, _ in rules.brackets[1:]] + [max(burden_fen, rules.brackets[-1][0])]
    value = sum(
        max(0, min(burden_fen, end) - start) * rate for (start, rate), end in zip(rules.brackets, ends, strict=True)
    )
    worth = round_fen(value, policy.rounding.mode, policy.rounding.place)
    return worth if rules.cap_fen == NO_LIMIT else min(worth, rules.cap_fen)


def _half_up(amount: int, parts: int) -> int:
    """Divide and round half up (away from zero), for showing."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) + parts) // (2 * parts))
