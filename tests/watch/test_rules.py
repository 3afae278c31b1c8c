"""Read the rules of the signals: by place and day, with sources, and refused where they cannot be meant."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from medfloor.errors import InputError, UsageError
from medfloor.watch.rules import TRUSTS, load_rules
from medfloor.watch.signals import SIGNALS

DAY = date(2025, 6, 1)


def own(tmp_path: Path, text: str, place: str = "520102") -> Path:
    file = tmp_path / "own.toml"
    file.write_text(f'place = "{place}"\n{text}', encoding="utf-8")
    return file


def test_every_signal_has_a_rule_and_every_number_a_source() -> None:
    rules = load_rules("cn", on=DAY)
    assert rules.signals == tuple(SIGNALS)
    for rule in rules.rules:
        for one in rule.values.values():
            assert one.source in rules.sources
            assert one.trust in TRUSTS
            assert (one.source == "office") == (one.trust == "office"), f"{rule.signal}.{one.name}"
    for line in rules.lines:
        assert line.source in rules.sources


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_rules_are_listed_with_their_words(lang: str) -> None:
    listed = load_rules("cn", on=DAY).to_frame(lang)
    assert set(listed["signal"]) == set(SIGNALS)
    assert "国办发〔2021〕42号" in " ".join(one for one in listed["source"] if one)


def test_a_narrower_place_and_a_later_day_win(tmp_path: Path) -> None:
    entry = '[[signal]]\nsignal = "burden_in_scope"\nfrom = {}\nplace = "{}"\n[signal.values]\n'
    share = 'share_poor = {{ value = {}, unit = "percent" }}\n'
    text = "".join(
        entry.format(day, place) + share.format(value)
        for day, place, value in (("2025-05-01", "520000", 24), ("2024-01-01", "520102", 20), ("2025-01-01", "520102", 22),
                                  ("2025-07-01", "520102", 23))
    )  # fmt: skip
    rule = load_rules(own(tmp_path, text), on=DAY)["burden_in_scope"]
    assert (rule["share_poor"].value, rule["share_poor"].trust, rule.id) == (22, "yours", "520102/burden_in_scope")
    assert rule["share_other"].value == 50, "what a place does not say is taken from the wider one"
    assert rule.version == date(2025, 5, 1)
    assert load_rules(own(tmp_path, text), on=date(2025, 7, 1))["burden_in_scope"]["share_poor"].value == 23
    assert load_rules(own(tmp_path, text, "110000"), on=DAY)["burden_in_scope"]["share_poor"].value == 25


def test_a_signal_can_be_turned_off(tmp_path: Path) -> None:
    rules = load_rules(own(tmp_path, '[[signal]]\nsignal = "absent_care"\nfrom = 2025-01-01\non = false\n'), on=DAY)
    assert "absent_care" not in rules.signals


def test_a_line_is_of_the_narrowest_place_and_the_latest_year(tmp_path: Path) -> None:
    text = '[[line]]\nname = "income"\nyear = 2023\nvalue = 30000\nrural = 15000\n'
    line = load_rules(own(tmp_path, text), on=DAY).line("income", 2024)
    assert (line.place, line.year, line.asked, line.of("rural"), line.of("urban")) == (
        "520102", 2023, 2024, 1_500_000, 3_000_000,
    )  # fmt: skip
    assert load_rules("520102", on=DAY).line("monitoring", 2023).trust == "secondary"
    with pytest.raises(InputError, match="no line 'monitoring' for 2010"):
        load_rules("cn", on=DAY).line("monitoring", 2010)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[signal]]\nsignal = 'x'\nfrom = 2025-01-01\n", "no signal 'x'"),
        ("[[signal]]\nsignal = 'absent_care'\n", "from is no day"),
        ("[[signal]]\nsignal = 'absent_care'\nfrom = 2025-01-01\nwindow = 3\n", "window is not known"),
        ("[[signal]]\nsignal = 'absent_care'\nfrom = 2025-01-01\nwindow_days = -1\n", "impossible"),
        ("[[signal]]\nsignal = 'absent_care'\nfrom = 2025-01-01\non = 1\n", "true or false"),
        ("[[signal]]\nsignal = 'absent_care'\nfrom = 2025-01-01\ncodes = 'I10'\n", "list of texts"),
        ("[[signal]]\nsignal = 'absent_care'\nfrom = 2025-01-01\nper = 'town'\n", "choose person or household"),
        (
            "[[signal]]\nsignal = 'absent_care'\nfrom = 2025-01-01\n[signal.values]\nyears = {value = 1, unit = 'count'}\n",
            "no number years",
        ),
        (
            "[[signal]]\nsignal = 'absent_care'\nfrom = 2025-01-01\n[signal.values]\nmonths = {value = 6, unit = 'yuan'}\n",
            "in months, not in yuan",
        ),
        (
            "[[signal]]\nsignal = 'absent_care'\nfrom = 2025-01-01\n[signal.values]\nmonths = {value = 2.5, unit = 'months'}\n",
            "impossible",
        ),
        ("[[line]]\nname = 'rent'\nyear = 2025\nvalue = 3\n", "there are monitoring and income"),
        ("[[line]]\nname = 'income'\nyear = 2025\n", "needs year and value"),
        ("rules = 3\n", "rules, which is not known"),
        ("[[signal]\n", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load_rules(own(tmp_path, text), on=DAY)
    assert caught.value.code == "bad_rules"


def test_a_file_that_is_not_there_and_a_day_before_all_rules_are_told() -> None:
    with pytest.raises(InputError, match="no file"):
        load_rules("nowhere.toml", on=DAY)
    with pytest.raises(InputError, match="no rule is in force"):
        load_rules("cn", on=date(2000, 1, 1))
    for place in ("52", "mars", "cn//x", ""):
        with pytest.raises(UsageError, match="six digits"):
            load_rules(place, on=DAY)


def test_the_file_on_the_page_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "watch-signals.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    rules = load_rules(file, on=DAY)
    assert (rules["burden_in_scope"]["share_poor"].value, rules.line("monitoring", 2025).fen) == (20, 910_000)
