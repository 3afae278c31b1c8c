"""`medfloor report county --office`: the store's year, its counts, its smallest cell, the audit."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from pdf_words import words_of

from medfloor.cli.main import program
from medfloor.store import Actor, new_keys, open_store, upgrade
from medfloor.store.register import add_person, record
from medfloor.store.schema import setting

NOW = datetime(2024, 6, 3, 1, 30, tzinfo=UTC)
CLERK = Actor("clerk1", "county_clerk", "150981")
HEADS = "claim_id,person_id,care_type,start_date,end_date,facility_level,total,in_scope,off_catalogue,reverses\n"


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a store of eight people, two of them with a status, who have a settled stay each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDFLOOR_DATABASE", raising=False)
    store = open_store("medfloor.db")
    upgrade(store)
    with store.writing() as connection:
        for number in range(8):
            name = f"p{number}"
            add_person(connection, new_keys(), now=NOW, person_id=name)
            person = {"birth_date": date(1960, 5, 2), "sex": "female", "household_id": f"h{number // 2}"}
            record(connection, "person", name, person, start=date(2020, 1, 1), actor=CLERK, now=NOW)
            enrolled = {"benefit_year": 2024, "scheme": "resident"}
            record(connection, "enrolment", name, enrolled, start=date(2024, 1, 1), actor=CLERK, now=NOW)
        values = {"name": "policy", "value": "cn/beijing", "changed_by": "x", "changed_at": NOW}
        connection.execute(setting.insert().values(values))
    store.close()
    rows = [f"c{one},p{one},inpatient,2024-03-0{one + 1},2024-03-1{one},3,50000,40000,10000," for one in range(8)]
    (tmp_path / "claims.csv").write_text(HEADS + "\n".join(rows) + "\n", encoding="utf-8")
    people = "\n".join(f"p{one},h{one // 2},1960-05-02,female,resident" for one in range(8))
    (tmp_path / "people.csv").write_text(f"person_id,household_id,birth_date,sex,scheme\n{people}\n", "utf-8")
    done = CliRunner().invoke(program, ["ledger", "settle", "claims.csv"])
    assert done.exit_code == 0, done.output
    return tmp_path


def report(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(program, ["report", "county", "--office", "--no-cliffs", *words])
    return done.exit_code, done.output


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_office_reports_its_year(office: Path, lang: str) -> None:
    code, said = report("--year", "2024", "--name", "示范县", "--date", "2025-02-01", "--lang", lang, "--out", "a.pdf")
    assert code == 0, said
    told = words_of((office / "a.pdf").read_bytes())
    assert "400,000.00" in told
    assert ("没有预警" if lang == "zh" else "Therewerenoalerts") in told
    assert ("没有补退款" if lang == "zh" else "Therearenoarrears") in told
    assert "p1" not in told
    with sqlite3.connect(office / "medfloor.db") as connection:
        actions = [row[0] for row in connection.execute("select detail from audit where action = 'export'")]
    assert actions == ["county report 2024"]


def test_the_offices_smallest_cell_hides_rows(office: Path) -> None:
    code, said = report("--year", "2024", "--few", "20", "--date", "2025-02-01", "--out", "a.html")
    assert code == 0, said
    assert "&lt;20" in (office / "a.html").read_text("utf-8")
    code, said = report("--year", "2023", "--out", "b.html")
    assert code == 2
    assert "no_claims" in said


def letter(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(program, ["report", "household", "--office", "--date", "2024-12-01", *words])
    return done.exit_code, done.output


def test_a_letter_is_written_from_the_store(office: Path) -> None:
    with sqlite3.connect(office / "medfloor.db") as connection:
        connection.execute("insert into setting values ('name', '示范县医疗保障局', 'x', '2024-06-03')")
    code, said = letter("--household", "h1", "--lang", "zh", "--out", "a.html", "--out", "a.pdf")
    assert code == 0, said
    shown = (office / "a.html").read_text("utf-8")
    # Both members' bills, and nobody else's; the office signs.
    assert "您家这 2 笔费用一共 100,000.00 元" in shown
    assert "示范县医疗保障局" in shown
    with sqlite3.connect(office / "medfloor.db") as connection:
        seen = [row[0] for row in connection.execute("select person_id from audit where action = 'print_letter'")]
    assert sorted(seen) == ["p2", "p3"]
    # One bill, of files and of the store, makes the same letter.
    assert letter("c5", "--lang", "zh", "--sender", "x", "--out", "b.html")[0] == 0
    one = CliRunner().invoke(program, [
        "report", "household", "c5", "--claims", "claims.csv", "--people", "people.csv", "--policy", "cn/beijing",
        "--date", "2024-12-01", "--lang", "zh", "--sender", "x", "--out", "c.html",
    ])  # fmt: skip
    assert one.exit_code == 0, one.output
    assert (office / "b.html").read_bytes() == (office / "c.html").read_bytes()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--household", "nowhere"], "no_such_household"),
        (["--person", "p1", "--year", "2019"], "no_claims"),
        (["--person", "p1", "--household", "h0"], "no_bills"),
        ([], "no_bills"),
        (["c1", "--claims", "claims.csv"], "no_bills"),
        (["c99"], "no_such_claim"),
    ],
)
def test_bills_that_are_not_there_are_said(office: Path, words: list[str], code: str) -> None:
    done, said = letter(*words, "--out", "a.html")
    assert done == 2
    assert f"error [{code}]" in said
    assert not (office / "a.html").exists()
