"""The commands of clearing and reconciliation: statements drawn, agreed, cleared; a hospital's file compared."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.store import Actor, Store, ledger, new_keys, open_store, upgrade
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.extracts import read_extract
from medfloor.store.keys import write_keys
from medfloor.store.ledger import Posted, Request
from medfloor.store.register import add_person, record
from medfloor.store.schema import setting

NOW = datetime(2024, 6, 3, 1, 30, tzinfo=UTC)
CLERK = Actor("clerk1", "county_clerk", "150981")


def bill(claim_id: str, yuan: int, day: date = date(2024, 3, 1)) -> Bill:
    return Bill(
        claim_id=claim_id, person_id="p1", care_type="inpatient", facility_level="3", start_date=day, end_date=day,
        settled_date=day, total_fen=yuan * 100, in_scope_fen=yuan * 100, provider_id="H1",
    )  # fmt: skip


@pytest.fixture
def paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Posted]:
    """Settle two claims of a person in an office here, and give their entries."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDFLOOR_DATABASE", raising=False)
    monkeypatch.delenv("MEDFLOOR_KEYS_FILE", raising=False)
    ring = new_keys()
    write_keys("medfloor.keys", ring)
    store: Store = open_store("medfloor.db")
    upgrade(store)
    with store.writing() as connection:
        add_person(connection, ring, now=NOW, person_id="p1")
        record(
            connection, "person", "p1", {"birth_date": date(1960, 5, 2)}, start=date(2020, 1, 1), actor=CLERK, now=NOW
        )
        enrolled = {"benefit_year": 2024, "scheme": "resident"}
        record(connection, "enrolment", "p1", enrolled, start=date(2024, 1, 1), actor=CLERK, now=NOW)
        values = {"name": "policy", "value": "cn/beijing", "changed_by": "x", "changed_at": NOW}
        connection.execute(setting.insert().values(values))
    requests = [Request(bill("c1", 30_000)), Request(bill("c2", 4_000, date(2024, 3, 9)))]
    answers = ledger.settle(Books.of(store, "cn/beijing"), requests, actor=CLERK, now=NOW)
    store.close()
    return [one for one in answers if isinstance(one, Posted)]


def run(*words: str) -> Result:
    return CliRunner().invoke(program, ["ledger", *words])


def yuan(fen: int) -> str:
    return f"{fen / 100:,.2f}"


def test_a_statement_goes_from_drawn_to_cleared(paid: list[Posted]) -> None:
    total = yuan(sum(one.amounts.pay_total_fen for one in paid))
    waiting = run("statement", "--pending")
    assert (waiting.exit_code, total in waiting.stdout) == (0, True)
    drawn = run("statement", "2024-06", "--draw", "--lang", "zh", "--out", "june.csv")
    assert drawn.exit_code == 0, drawn.output
    assert "已出单" in drawn.stdout
    assert f"合计 {total} 元" in drawn.stdout
    assert pl.read_csv("june.csv")["amount"].sum() == sum(one.amounts.pay_total_fen for one in paid) / 100
    assert run("statement", "--pending").stdout == "there is none\n"
    assert run("statement", "2024-06", "--provider", "H1", "--clear").exit_code == 2
    assert "agreed" in run("statement", "2024-06", "--provider", "H1", "--agree", "--note", "letter 7").stdout
    assert "cleared" in run("statement", "2024-06", "--provider", "H1", "--clear", "--on", "2024-07-02").stdout
    shown = run("statement", "2024-06", "--fund", "basic", "--out", "june.xlsx")
    assert "cleared" in shown.stdout
    assert read_extract(Path("june.xlsx")).columns[0] == "month"
    assert run("verify").exit_code == 0
    assert run("statement", "--check").stdout == "1 statements counted again, 0 wrong\n"
    with sqlite3.connect("medfloor.db") as connection:
        connection.execute("UPDATE statement SET claims = 9")
    checked = run("statement", "--check", "--lang", "zh")
    assert (checked.exit_code, "有误" in checked.stdout) == (1, True)


def test_the_entries_behind_a_statement_are_listed_and_the_look_is_written_down(paid: list[Posted]) -> None:
    run("statement", "2024-06", "--draw")
    lines = run("statement", "2024-06", "--provider", "H1", "--fund", "basic", "--lines", "--out", "lines.parquet")
    assert lines.exit_code == 0, lines.output
    assert pl.read_parquet("lines.parquet")["claim"].to_list() == ["c1", "c2"]
    store = open_store("medfloor.db")
    with store.reading() as connection:
        from medfloor.store.audit import traces

        assert [one.person_id for one in traces(connection, action="read_person")] == ["p1"]
    store.close()


def test_a_hospitals_file_is_compared_and_resolved(paid: list[Posted], tmp_path: Path) -> None:
    first = paid[0].amounts.pay_total_fen
    Path("theirs.csv").write_text(f"mdtrt_id,fund_pay_sumamt\nc1,{first / 100 + 1}\nx,1.00\ny,one\n", encoding="utf-8")
    found = run("reconcile", "theirs.csv", "--provider", "H1", "--month", "2024-06", "--out", "items.xlsx")
    assert found.exit_code == 1
    for words in ("amounts differ", "only in the ledger", "only in the file", "rows refused 1", "bad_amount  1"):
        assert words in found.stdout
    assert len(read_extract(tmp_path / "items.xlsx").rows) == 3
    assert "已对账" in run("reconcile", "theirs.csv", "--provider", "H1", "--month", "2024-06", "--lang", "zh").stdout
    assert run("reconcile", "--resolve", "1", "--as", "their_error").exit_code == 2
    assert run("reconcile", "--resolve", "1", "--as", "their_error", "--note", "theirs").exit_code == 0
    back = run("reconcile", "--resolve", "2", "--as", "reversed", "--note", "never", "--lang", "zh")
    assert "已在账簿冲销" in back.stdout, back.output
    claims = "claim_id,person_id,provider_id,care_type,start_date,end_date,facility_level,total,in_scope\n"
    Path("missed.csv").write_text(f"{claims}x,p1,H1,inpatient,2024-04-01,2024-04-03,2,900,900\n", encoding="utf-8")
    assert run("reconcile", "--resolve", "3", "--as", "settled", "--claim", "missed.csv").exit_code == 0
    assert run("reconcile", "--provider", "H1", "--open").stdout == "nothing differs\n"
    assert run("verify").exit_code == 0


def test_our_side_is_shown_as_the_platform_asks_for_it(paid: list[Posted]) -> None:
    month = ["--provider", "H1", "--month", "2024-06"]
    assert run("reconcile", *month, "--ours", "detail", "--out", "ours.csv").exit_code == 0
    assert pl.read_csv("ours.csv")["fund_pay_sumamt"].sum() * 100 == sum(one.amounts.pay_total_fen for one in paid)
    total = run("reconcile", *month, "--ours", "total")
    assert "34000.00" in total.stdout
    agreed = run("reconcile", "ours.csv", *month)
    assert (agreed.exit_code, "nothing differs" in agreed.stdout) == (0, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["statement", "--draw"], "half_asked"),
        (["statement", "2024-06", "--agree"], "half_asked"),
        (["statement", "2024-06", "--draw", "--agree"], "half_asked"),
        (["statement", "2024-6"], "bad_month"),
        (["statement", "2024-06", "--out", "x.txt"], "unknown_format"),
        (["statement", "2024-06", "--provider", "H1", "--lines"], "no_such_statement"),
        (["reconcile", "theirs.csv"], "half_asked"),
        (["reconcile", "--resolve", "1"], "half_asked"),
        (["reconcile", "x.csv", "--resolve", "1", "--as", "agreed"], "half_asked"),
        (["reconcile", "--resolve", "9", "--as", "agreed", "--note", "x"], "no_such_item"),
        (["reconcile", "gone.csv", "--provider", "H1", "--month", "2024-06"], "file_not_found"),
    ],
)
def test_misuse_is_said_in_one_line(paid: list[Posted], words: list[str], code: str) -> None:
    found = run(*words)
    assert found.exit_code == 2
    assert f"[{code}]" in found.stderr


def test_a_month_that_is_running_is_drawn_only_early(paid: list[Posted]) -> None:
    month = (datetime.now(UTC) + timedelta(hours=8)).strftime("%Y-%m")
    assert "[month_not_over]" in run("statement", month, "--draw").stderr
    assert run("statement", month, "--draw", "--early").exit_code == 0
