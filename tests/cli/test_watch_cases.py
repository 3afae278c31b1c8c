"""The commands of cases: over the office's store, and over a list of another system."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.periods import OFFICE_ZONE
from medfloor.store import Actor, Store, audit, new_keys, open_store, upgrade
from medfloor.store.cases import add_event, case_of_household
from medfloor.store.keys import write_keys
from medfloor.store.register import add_person, record
from medfloor.watch import Event

NOW = datetime.now(UTC)
TODAY = NOW.astimezone(OFFICE_ZONE).date()
CLERK = Actor("clerk1", "county_clerk", "150981")
NAME = "张测试"
LIST = """case_id,household_id,state,found_on,verified_on,recognised_on,refused_on,removed_on,measures,first_measure_on,stable_since,labour_capacity,income_head,line_head
c1,h1,found,2026-03-02,,,,,,,,,,
c2,h2,recognised,2026-03-02,2026-03-03,2026-03-10,,,0,,,1,7000.00,7300
c3,h3,nonsense,2026-03-02,,,,,,,,,,
c4,h4,removed,2025-03-03,2025-03-04,2025-03-12,,2025-04-11,1,2025-03-20,2025-03-20,0,7000,7300
c4,h4,found,2025-03-03,,,,,,,,,,
c5,h5,refused,2026-03-02,,,2026-03-04,,,,,,,
c6,h6,helped,2026-03-02,2026-03-03,2026-03-10,,,1,2026-03-12,,1,7000,7300
"""


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a store of one household of two, and its keys."""
    monkeypatch.chdir(tmp_path)
    for name in ("MEDFLOOR_DATABASE", "MEDFLOOR_KEYS", "MEDFLOOR_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)
    keys = new_keys()
    write_keys(tmp_path / "medfloor.keys", keys)
    store: Store = open_store("medfloor.db")
    upgrade(store)
    with store.writing() as connection:
        for one in ("p1", "p2"):
            add_person(connection, keys, now=NOW, person_id=one, name=NAME)
            facts = {"birth_date": date(1960, 5, 2), "sex": "female", "household_id": "h1", "place": "150981102"}
            record(connection, "person", one, facts, start=date(2020, 1, 1), actor=CLERK, now=NOW)
    store.close()
    return tmp_path


def cases(*words: str) -> Result:
    return CliRunner().invoke(program, ["watch", "cases", *words])


def test_a_case_is_opened_followed_and_published(office: Path) -> None:
    assert "no cases" in cases("list").output
    found = cases("find", "h1", "--source", "application", "--reason", "came with bills")
    assert found.exit_code == 0, found.output
    case_id = next(line.split()[-1] for line in found.output.splitlines() if line.startswith("case "))
    assert "may follow: visited and verified, refused" in found.output
    listed = cases("list", "--lang", "zh")
    assert case_id in listed.output and "已发现" in listed.output and "个案 1 件，逾期 0 件" in listed.output
    assert "no cases" in cases("list", "--overdue").output and "no cases" in cases("list", "--place", "150982").output
    wrong = cases("add", case_id, "verified", "--income", "much", "--line", "7300", "--labour")
    assert wrong.exit_code == 2 and "write yuan as" in wrong.output
    done = cases("add", case_id, "verified", "--income", "7000", "--line", "7300", "--labour", "--expected", "1")
    assert done.exit_code == 0 and "income a head 7,000.00" in done.output, done.output
    late = cases("add", case_id, "verified", "--income", "7000", "--line", "7300", "--labour", "--expected", "1")
    assert late.exit_code == 2 and "case_changed" in late.output
    assert cases("notice", case_id, "--householder", "p1", "--village", "东村", "--contact", "村委会").exit_code == 2
    assert cases("add", case_id, "published", "--category", "edge").exit_code == 0
    notice = cases("notice", case_id, "--householder", "p1", "--village", "东村", "--contact", "村委会")
    assert f"东村：{NAME}户（2人），拟认定为边缘易致贫户。" in notice.output
    assert (
        "household of"
        in cases(
            "notice", case_id, "--householder", "p1", "--village", "East", "--contact", "office", "--lang", "en"
        ).output
    )
    early = cases("add", case_id, "recognised", "--category", "edge")
    assert early.exit_code == 2 and "case_same_person" in early.output
    shown = cases("show", case_id)
    assert "came with bills" in shown.output and "notice stands until" in shown.output
    assert "unknown_case" in cases("show", "k0").output
    assert "no_store" in cases("list", "--database", "elsewhere.db").output
    clean = cases("check")
    assert clean.exit_code == 0 and "nothing found" in clean.output
    store = open_store("medfloor.db")
    with store.reading() as connection:
        for person_id in ("p1", "p2"):
            asked = {one.action for one in audit.traces(connection, person_id=person_id)}
            assert asked >= {"open_case", "read_cases", "step_case", "read_case"}, "each look, for each member"
    store.close()


def test_an_income_that_cannot_be_stops_no_check(office: Path) -> None:
    cases("find", "h1", "--source", "application")
    store = open_store("medfloor.db")
    with store.reading() as connection:
        found = case_of_household(connection, "h1")
    store.close()
    assert found is not None
    for income, line in (("99999999999999999999", "7300"), ("1e30", "7300"), ("7000", "0"), ("7000", "-7300")):
        odd = cases("add", found.case.case_id, "verified", "--income", income, "--line", line, "--labour")
        assert odd.exit_code == 2 and "case_event_incomplete" in odd.output, odd.output
    assert cases("check").exit_code == 0


def test_a_notice_says_what_it_lacks(office: Path) -> None:
    cases("find", "h1", "--source", "application")
    store = open_store("medfloor.db")
    with store.reading() as connection:
        found = case_of_household(connection, "h1")
    store.close()
    assert found is not None
    case_id = found.case.case_id
    cases("add", case_id, "verified", "--income", "7000", "--line", "7300", "--labour")
    cases("add", case_id, "published", "--category", "edge")
    # The office has no name, so nobody is named who takes objections.
    lacking = cases("notice", case_id, "--householder", "p1", "--village", "东村")
    assert lacking.exit_code == 2 and "still needs a contact who takes objections" in lacking.output


def test_what_is_late_in_the_store_is_found(office: Path) -> None:
    before = (TODAY - timedelta(days=40)).isoformat()
    cases("find", "h1", "--source", "cadre", "--day", before)
    late = cases("list", "--overdue")
    assert "visit until" in late.output and "late: 1" in late.output
    checked = cases("check", "--lang", "zh")
    assert checked.exit_code == 1 and "入户核实逾期" in checked.output and "认定逾期" in checked.output
    store = open_store("medfloor.db")
    with store.reading() as connection:
        found = case_of_household(connection, "h1")
    assert found is not None
    officer = Actor("officer2", "assistance_officer", "150981")
    event = Event("refused", TODAY, officer.login, reason="moved")
    from medfloor.cli.opened import keyring

    add_event(store, keyring(None), found.case.case_id, event, actor=officer, now=NOW)
    store.close()
    refused = cases("check")
    assert "refused without a visit" in refused.output and "visit overdue" not in refused.output


def test_a_list_of_another_system_is_checked_without_a_store(tmp_path: Path) -> None:
    file, incomes, out = tmp_path / "cases.csv", tmp_path / "incomes.csv", tmp_path / "found.parquet"
    file.write_text(LIST, encoding="utf-8")
    incomes.write_text("household_id,income_head,line_head\nh9,5000,7300\nh6,5000,7300\nh8,9000,7300\n")
    done = cases(
        "check", str(file), "--households", str(incomes), "--on", "2026-05-06", "--out", str(out), "--page", "2",
        "--lang", "zh",
    )  # fmt: skip
    assert done.exit_code == 1, done.output
    assert (
        "读入 7 行，拒收 2 行" in done.output and "repeated_row  1" in done.output and "unknown_code  1" in done.output
    )
    found = pl.read_parquet(out)
    assert sorted(zip(found["household_id"], found["check"], strict=True)) == [
        ("h1", "decision_overdue"), ("h1", "visit_overdue"), ("h2", "no_measure"), ("h4", "removed_too_soon"),
        ("h4", "removed_under_line"), ("h4", "removed_without_labour"), ("h5", "refused_unvisited"),
        ("h9", "not_monitored"),
    ]  # fmt: skip
    assert found.filter(pl.col("household_id") == "h9")["income_head"].to_list() == [5000.0]
    assert "另有 6 项" in done.output
    hainan = cases("check", str(file), "--on", "2026-03-25", "--place", "cn/hainan")
    assert "decision overdue" not in hainan.output, "twenty working days are not over"


def test_a_list_without_fault_exits_with_0_and_misuse_with_2(tmp_path: Path) -> None:
    file = tmp_path / "cases.csv"
    file.write_text("case_id,household_id,state,found_on\nc1,h1,found,2026-03-02\n")
    assert cases("check", str(file), "--on", "2026-03-03").exit_code == 0
    for words, code in (
        (("check", str(tmp_path / "none.csv")), "file_not_found"),
        (("check", "--households", str(file)), "half_asked"),
        (("check", str(file), "--out", str(file)), "would_replace_input"),
        (("check", str(file), "--rules", str(file)), "bad_case_rules"),
        (("check", str(file), "--households", str(file)), "missing_column"),
    ):
        wrong = cases(*words)
        assert wrong.exit_code == 2 and code in wrong.output, (words, wrong.output)
