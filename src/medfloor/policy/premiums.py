"""Say what a person pays for a benefit year, and what is paid for them.

Two clocks: the premium is collected in year T and buys benefit year T+1; a row of the table names the benefit year. The
subsidy is what the row's document counts as paid for the person (the fiscal subsidy, or the share of the personal
premium that the public purse takes over); its note says which.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from medfloor.errors import MissingValueError, PolicyError, UsageError
from medfloor.policy.model import Case, Policy, Premium
from medfloor.policy.resolve import NO_STATUS, Facts, fits


@dataclass(frozen=True)
class PremiumDue:
    """Be what is due for one person and benefit year, in fen, and the row of the table that says so.

    `subsidy_fen` is None where the table names none.
    """

    personal_fen: int
    subsidy_fen: int | None
    row: Premium


def premium_for(
    policy: Policy,
    insured_class: str,
    groups: Iterable[str] = (),
    option: str | None = None,
    *,
    benefit_year: int,
    age: int | None = None,
    residence: str | None = None,
) -> PremiumDue:
    """Find what a person pays for a benefit year: the first row of the table that fits.

    `option` names the product level where there are several; without it, the first row that fits of any level counts.
    A row on a status comes before the ordinary row whatever the order of the file, because a subsidy is for those who
    hold one; among such rows the order of the file decides.

    Raises UsageError where no row fits (the message names the years and levels that there are), MissingValueError where
    the row's amount was not published.

    >>> from medfloor.policy.load import load_policy
    >>> policy = load_policy("cn/beijing@2026-01-01").versions[0]
    >>> premium_for(policy, "elderly", benefit_year=2026).personal_fen
    46000
    """
    held = frozenset(groups)
    facts = Facts(
        "inpatient",
        "primary",
        insured_class=insured_class,
        age=age,
        residence=residence,
        benefit_year=benefit_year,
        held=dict.fromkeys(("any_day", "start", "end", "settled"), held),
    )
    rows = [
        row
        for row in policy.premiums
        if row.benefit_year == benefit_year
        and (option is None or row.option in (None, option))
        and any(fits(row.when, facts, group, "any_day") for group in (held or {NO_STATUS}))
    ]
    if not rows:
        raise UsageError("no_premium", _no_row(policy, insured_class, held, option, benefit_year))
    row = next((row for row in rows if _asks_status(row)), rows[0])
    return PremiumDue(
        _fen(policy, row, row.personal, "personal"),
        None if row.subsidy is None else _fen(policy, row, row.subsidy, "subsidy"),
        row,
    )


def _asks_status(row: Premium) -> bool:
    return row.when is not None and bool(row.when.group or row.when.holds)


def _no_row(policy: Policy, insured_class: str, held: frozenset[str], option: str | None, benefit_year: int) -> str:
    years = sorted({row.benefit_year for row in policy.premiums})
    options = sorted({row.option for row in policy.premiums if row.option is not None})
    return (
        f"{policy.id} ({policy.from_}) has no premium for {insured_class}, "
        f"statuses {', '.join(sorted(held)) or 'none'}, option {option or 'any'}, benefit year {benefit_year}; "
        f"there are benefit years {', '.join(map(str, years)) or 'none'} and options {', '.join(options) or 'none'}"
    )


def _fen(policy: Policy, row: Premium, case: Case, name: str) -> int:
    path = f"premiums/{row.id}/{name}"
    if case.value is None:
        raise MissingValueError(
            "policy_value_missing", f"{policy.id}: {path} was not published; supply it with --reform"
        )
    if case.unit not in ("yuan", "dollar"):
        raise PolicyError("policy_premium", f"{policy.id}: {path} must be an amount of money, not in {case.unit}")
    fen = case.value * 100
    if fen != fen.to_integral_value():
        raise PolicyError("policy_amount", f"{path}: {case.value} is finer than a fen; use two decimals at most")
    assert isinstance(fen, Decimal)
    return int(fen)
