"""Premiums: what is collected in year T buys benefit year T+1."""

from __future__ import annotations

from datetime import date

import pytest

from medfloor.errors import MissingValueError, UsageError
from medfloor.policy.load import load_policy
from medfloor.policy.model import Policy
from medfloor.policy.premiums import premium_for

BEIJING = load_policy("cn/beijing@2026-01-01").versions[0]


@pytest.mark.parametrize(
    ("insured_class", "personal_fen"), [("elderly", 46_000), ("student_child", 43_500), ("working_age", 79_500)]
)
def test_beijing_asks_what_the_notice_of_2026_says(insured_class: str, personal_fen: int) -> None:
    due = premium_for(BEIJING, insured_class, benefit_year=2026)
    assert (due.personal_fen, due.subsidy_fen) == (personal_fen, None)


def test_the_premium_of_a_benefit_year_is_collected_in_the_year_before() -> None:
    row = premium_for(BEIJING, "elderly", benefit_year=2026).row
    assert row.collected_from is not None
    assert row.collected_from.year == 2025


def test_a_year_without_a_row_is_refused_with_the_years_there_are() -> None:
    with pytest.raises(UsageError, match="there are benefit years 2026"):
        premium_for(BEIJING, "elderly", benefit_year=2027)


@pytest.mark.parametrize(
    ("groups", "option", "subsidy_yuan", "personal_yuan"),
    [
        (["tekun"], "一档", 400, 0),
        (["orphan"], "一档", 400, 0),
        (["orphan"], "二档", 400, 375),
        (["dibao"], "一档", 360, 40),
        (["dibao"], "二档", 400, 375),
        (["dibao_marginal"], "一档", 280, 120),
        (["returned_poor"], "一档", 280, 120),
        (["illness_poor"], "一档", 280, 120),
        ([], "一档", None, 400),
        ([], "二档", None, 775),
    ],
)
def test_chongqing_table_of_2025(groups: list[str], option: str, subsidy_yuan: int | None, personal_yuan: int) -> None:
    policy = load_policy("cn/chongqing").versions[-1]
    due = premium_for(policy, "working_age", groups, option, benefit_year=2025)
    assert due.personal_fen == personal_yuan * 100
    # The ordinary rows name no subsidy, or one of nothing.
    assert (due.subsidy_fen or None) == (subsidy_yuan and subsidy_yuan * 100)


def test_a_premium_that_was_not_published_is_refused() -> None:
    policy = Policy.model_validate(
        {
            "id": "x/y",
            "name": {"zh": "某地", "en": "a place"},
            "from": date(2025, 1, 1),
            "premiums": [
                {"id": "all", "name": {"zh": "全部", "en": "all"}, "benefit_year": 2025, "personal": {"unit": "yuan"}}
            ],
        }
    )
    with pytest.raises(MissingValueError, match="premiums/all/personal was not published"):
        premium_for(policy, "elderly", benefit_year=2025)
