"""Numbers in the words of laws."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfloor.policy.load import load_policy
from medfloor.policy.model import Case
from medfloor.policy.numbers import ground_of, numbers_of
from medfloor.policy.quotations import _figure, says
from medfloor.policy.wording import ground_text


def _case(value: str | int | None, unit: str, **more: Any) -> Case:
    return Case.model_validate({"value": value, "unit": unit, **more})


@pytest.mark.parametrize(
    ("value", "unit", "quote"),
    [
        (200000, "yuan", "累计最高支付数额为20万元"),
        (14000, "yuan", "起付线1.4万"),
        (30000, "yuan", "3万以上"),
        (3000, "yuan", "限额3,000元"),
        (150000, "yuan", "十五万元"),
        (1300, "yuan", "一千三百元"),
        (30000, "yuan", "3-5万元部分"),
        (100000, "yuan", "1w以上10w以下"),
        (3300000, "yuan", "up to 3.3 million"),
        (0, "yuan", "医疗救助不设起付标准"),
        (0, "yuan", "个人不缴费，财政全额资助"),
        (50, "percent", "按首次住院起付标准的50% 确定"),
        (70, "percent", "百分之七十"),
        (70, "percent", "报销七成"),
        (50, "percent", "起付标准减半"),
        (50, "percent", "half of the deductible"),
        (80, "percent", "个人自付20%"),
        (100, "percent", "全额救助"),
        (90, "percent", "一级医院 100/90"),
        (5, "points", "报销比例分别提高5个百分点"),
        (-10, "points", "降低10%"),
        (5, "points", "five percentage points more"),
        (4, "count", "第四次住院"),
        (4, "year", "连续参保满4年"),
        (24, "count", "24个月"),
    ],
)
def test_the_number_is_found_in_its_quotation(value: int, unit: str, quote: str) -> None:
    assert says(_case(value, unit), quote)


@pytest.mark.parametrize(
    ("value", "unit", "quote"),
    [
        (20000, "yuan", "累计最高支付数额为20万元"),
        (130, "yuan", "三级定点医疗机构1300元"),
        (85, "percent", "按照80%给予救助"),
        (80, "yuan", "按照80%给予救助"),
        (5, "points", "提高10个百分点"),
        (0, "yuan", "起付标准100元"),
        (60, "percent", "减半"),
    ],
)
def test_a_number_that_is_not_said_is_not_found(value: int, unit: str, quote: str) -> None:
    assert not says(_case(value, unit), quote)


def test_no_limit_must_be_said() -> None:
    assert says(_case(None, "yuan", unlimited=True), "不设年度救助最高支付限额")
    assert not says(_case(None, "yuan", unlimited=True), "年度限额8000元")


def test_the_whole_of_a_series_needs_no_number() -> None:
    assert says(_case(100, "percent", of={"series": "income"}), "超过上一年度人均可支配收入")


@given(st.integers(min_value=1, max_value=9_999_999))
def test_an_amount_is_found_however_it_is_written(amount: int) -> None:
    case = _case(amount, "yuan")
    assert says(case, f"限额为{amount}元")
    assert says(case, f"限额为{amount:,}元")
    assert says(case, f"限额为{Decimal(amount) / 10_000:f}万元")


@given(st.integers(min_value=1, max_value=9_999))
def test_a_chinese_numeral_reads_back(number: int) -> None:
    digits = "零一二三四五六七八九"
    written = ""
    for scale, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // scale % 10
        if digit:
            written += digits[digit] + name
        elif written and number % scale:
            written += "零"
    assert _figure(written) == number


@pytest.mark.parametrize(("address", "marked"), [("synthetic/cn-2025", True), ("us/rand-hie", False)])
def test_what_only_an_english_retelling_gives_is_marked_for_chinese_readers(address: str, marked: bool) -> None:
    law = load_policy(address).versions[-1]
    grounds = [ground_of(law, number) for number in numbers_of(law)]
    quoted = [one for one in grounds if one.quote]
    assert any(one.retold for one in quoted) is marked
    for one in quoted:
        told = ground_text(one, "zh")
        # The words themselves stay as they were found.
        assert f"“{one.quote}”" in told
        assert ("英文转述" in told) is one.retold
        assert "told in English" not in ground_text(one, "en")
