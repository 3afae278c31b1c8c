"""Public notices: what they say, when there is one, and that nothing private gets in."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import ConflictError, UsageError
from medfloor.watch.calendar import shipped_calendar
from medfloor.watch.cases import Case, Event, replay
from medfloor.watch.deadlines import load_case_rules
from medfloor.watch.notices import Notice, public_notice

RULES = load_case_rules("cn", on=date(2025, 1, 1))
SECRET = "diagnosis C34 lung cancer 肺癌, account 6222020200112233445"
SEEN = {"income_head_fen": 700_000, "line_head_fen": 730_000, "labour_capacity": True}
STABLE = {"income_head_fen": 900_000, "line_head_fen": 730_000, "spending_solved": True, "guarantees_met": True}
WHOLE = [
    Event("found", date(2025, 3, 3), "sys-77", reason=SECRET, source="alert", signals=("burden",)),
    Event("verified", date(2025, 3, 5), "clerk-77", reason=SECRET, **SEEN),
    Event("published", date(2025, 3, 6), "clerk-77", reason=SECRET, category="sudden"),
    Event("recognised", date(2025, 3, 12), "boss-77", reason=SECRET, category="sudden"),
    Event("helped", date(2025, 3, 20), "clerk-77", measure="C34 drugs", given_by="hospital 77", reason=SECRET),
    Event("risk_stable", date(2025, 10, 9), "clerk-77", stable_since=date(2025, 4, 1), **STABLE),
    Event("published", date(2025, 10, 10), "clerk-77", reason=SECRET),
    Event("removed", date(2025, 10, 16), "boss-77", reason=SECRET),
]


def case_after(many: int) -> Case:
    return replay(WHOLE[:many], case_id="case-77", household_id="home-77", place="150981-77")


def notice(case: Case, **said: object) -> Notice:
    fields = {"household_name": "张某某", "people": 3, "village": "东村", "contact": "村委会 0470-1234567", **said}
    return public_notice(case, RULES, shipped_calendar(), **fields)  # type: ignore[arg-type]


def test_each_stage_has_its_notice_and_no_other_has() -> None:
    kinds: list[str] = []
    for many in range(1, len(WHOLE) + 1):
        try:
            kinds.append(notice(case_after(many)).kind)
        except ConflictError as error:
            kinds.append(error.code)
    private = "case_not_public"
    assert kinds == [
        private, private, "recognition_proposed", "recognised", "recognised", private, "removal_proposed", "removed",
    ]  # fmt: skip


@pytest.mark.parametrize("many", [3, 4, 5, 7, 8])
def test_nothing_private_is_in_a_notice_in_any_language(many: int) -> None:
    made = notice(case_after(many))
    shown = f"{asdict(made)} {made.text('zh')} {made.text('en')}"
    for private in ("C34", "癌", "6222", "77", "7000", "9000", "700000", "hospital", "burden", "150981"):
        assert private not in shown


def test_a_notice_says_how_long_it_stands_and_where_to_object() -> None:
    text = notice(case_after(3)).text("zh")
    assert "张某某户（3人），拟认定为突发严重困难户" in text
    assert "至2025-03-11止" in text
    assert "村委会" in text
    assert "stands until 2025-10-15" in notice(case_after(7)).text("en")
    assert notice(case_after(8)).until is None


def test_a_case_without_a_category_is_published_without_one() -> None:
    case = replace(case_after(3), category=None)
    assert "拟认定为监测对象" in notice(case).text("zh")


@pytest.mark.parametrize(
    "said",
    [
        {"household_name": "张某某 11010519491231002X"},
        {"household_name": "张某某 1101051949"},
        {"household_name": "张某某13812345678"},
        {"household_name": "张某某1101051949"},
        {"household_name": "张某某 110105"},
        {"household_name": "张某某１１０１０５"},
        {"village": "东村 6222 0202 0011"},
        {"contact": "11010519491231002X"},
        {"contact": "6222 0202 0011 2233 445"},
    ],
)
def test_a_number_that_may_be_private_is_refused_and_not_repeated(said: dict[str, str]) -> None:
    with pytest.raises(UsageError) as raised:
        notice(case_after(3), **said)
    assert raised.value.code == "notice_private"
    assert not any(value in raised.value.message for value in said.values())


def test_a_house_number_is_no_private_number() -> None:
    assert notice(case_after(3), village="东村 3组 12045号").village == "东村 3组 12045号"


@given(st.from_regex(r"\A[0-9]{17}[0-9X]\Z"), st.sampled_from(["household_name", "village", "contact"]))
@settings(max_examples=25, deadline=None)
def test_no_identity_number_passes_in_any_field(number: str, field: str) -> None:
    with pytest.raises(UsageError):
        notice(case_after(3), **{field: f"东村 {number}"})


@pytest.mark.parametrize("said", [{"household_name": " "}, {"village": ""}, {"contact": ""}, {"people": 0}])
def test_a_notice_with_an_empty_field_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(UsageError) as raised:
        notice(case_after(3), **said)
    assert raised.value.code == "notice_incomplete"
