"""`policy show` and `policy diff`: every number in words with its source, and every path can be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from medfloor.policy.diff import diff_policies
from medfloor.policy.load import list_policies, load_policy
from medfloor.policy.model import Policy
from medfloor.policy.numbers import ground_of, leaves_of, numbers_of
from medfloor.policy.show import show
from medfloor.policy.wording import value_text

LATEST = {address: load_policy(address).versions[-1] for address, _ in list_policies()}


def _reform(folder: Path, change: dict[str, Any]) -> Path:
    file = folder / "reform.yaml"
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump({"reform": "test", "change": change}, stream)
    return file


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("policy", LATEST.values(), ids=LATEST.keys())
def test_show_says_every_number_and_every_quotation(policy: Policy, lang: str) -> None:
    page = show(policy, lang)
    for number in numbers_of(policy):
        assert value_text(policy, number.case, lang) in page, number.address
        quote = ground_of(policy, number).quote
        assert quote is None or quote in page, number.address


def test_show_in_chinese_names_document_article_and_trust() -> None:
    page = show(load_policy("cn/beijing@2018-01-01").versions[0], "zh")
    assert "三级机构: 1,300元" in page
    assert "京人社农合发〔2017〕250号 第二十一条 [官方文本] “三级定点医疗机构1300元”" in page


def test_show_says_what_is_missing() -> None:
    assert "not published" in show(LATEST["cn/guangdong/dongguan-jiafu"], "en")


def test_show_prints_the_premium_table() -> None:
    page = show(LATEST["cn/beijing"], "en")
    assert "what is collected in year T buys benefit year T+1" in page
    assert "personal: 460 yuan" in page


@pytest.mark.parametrize("address", LATEST)
def test_every_path_that_names_prints_can_be_changed(address: str, tmp_path: Path) -> None:
    policy = LATEST[address]
    change: dict[str, Any] = {}
    for leaf in leaves_of(policy):
        if leaf.number is None:
            change[leaf.address] = leaf.value
        elif leaf.number.case.unlimited:
            change[leaf.address] = {"unlimited": True}
        elif leaf.number.case.of is not None:
            change[leaf.address] = {"value": 7, "of": leaf.number.case.of.model_dump()}
        else:
            change[leaf.address] = 7
    dumped = {
        path: str(value) if not isinstance(value, (int, str, list, dict, bool)) else value
        for path, value in change.items()
    }
    changed = load_policy(f"{address}@{policy.from_}", [_reform(tmp_path, dumped)]).versions[0]
    for leaf in leaves_of(changed):
        if leaf.number is not None and not leaf.number.case.unlimited:
            assert leaf.number.case.value == 7, leaf.address


def test_diff_lists_what_2019_changed_in_beijing() -> None:
    old, new = (load_policy(f"cn/beijing@{day}").versions[0] for day in ("2018-01-01", "2019-01-01"))
    changes = {change.path: (change.old, change.new) for change in diff_policies(old, new)}
    part = "tiers/critical_illness/parts/year"
    assert changes[f"{part}/brackets/first/rate"] == ("50 %", "60 %")
    assert changes[f"{part}/brackets/second/rate"] == ("60 %", "70 %")
    assert changes["tiers/critical_illness/prefer"][1] == "tekun, dibao, dibao_marginal"
    assert len(changes) == 4


def test_a_switch_is_said_as_yes_or_no_in_each_language(tmp_path: Path) -> None:
    reform = tmp_path / "reform.yaml"
    reform.write_text("change:\n  tiers/basic/parts/outpatient_unreferred/feeds: true\n", encoding="utf-8")
    old = load_policy("cn/beijing@2024-01-01").versions[0]
    new = load_policy("cn/beijing@2024-01-01", [reform]).versions[0]
    said = {lang: [(one.old, one.new) for one in diff_policies(old, new, lang)] for lang in ("zh", "en")}
    assert said == {"zh": [("否", "是")], "en": [("no", "yes")]}


def test_conditions_and_counters_are_worded_for_people() -> None:
    text = show(load_policy("cn/beijing@2024-01-01").versions[0], "zh")
    assert "未连续参保" in text
    assert "按年度累计支付（累计项：outpatient_primary）" in text
    assert "≤ " not in text
    assert "≥ " not in text


def test_diff_of_a_policy_with_itself_is_empty() -> None:
    for policy in LATEST.values():
        assert diff_policies(policy, policy) == []


def test_diff_backwards_swaps_added_and_removed() -> None:
    old, new = (load_policy(f"cn/beijing@{day}").versions[0] for day in ("2019-01-01", "2023-01-01"))
    forth, back = diff_policies(old, new), diff_policies(new, old)
    assert {c.path for c in forth if c.kind == "added"} == {c.path for c in back if c.kind == "removed"}
    assert any(c.path == "pots/assistance_inpatient/cap" for c in forth)


def test_diff_matches_cases_by_condition_not_by_place(tmp_path: Path) -> None:
    path = "tiers/basic/parts/stay_adult/brackets/0/rate/2"
    changed = load_policy("cn/beijing", [_reform(tmp_path, {path: {"plus": -5}})]).versions[-1]
    (change,) = diff_policies(LATEST["cn/beijing"], changed)
    assert (change.when, change.old, change.new) == ("level 3", "75 %", "70 %")
