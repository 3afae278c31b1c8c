"""Keep the register at the command line: masked unless asked, looked at only with a trace, refused rows brought back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from medfloor.cli.ledger import command as ledger_command
from medfloor.cli.register import command
from medfloor.periods import OFFICE_ZONE
from medfloor.store import new_keys, open_store, schema, upgrade
from medfloor.store.identity import _check_digit
from medfloor.store.keys import write_keys

BODY = "99098119500312021"  # no place has this code, so that nobody has such a number
NUMBER = BODY + _check_digit(BODY)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    store = open_store(tmp_path / "medfloor.db")
    upgrade(store)
    store.close()
    write_keys(tmp_path / "medfloor.keys", new_keys())
    monkeypatch.delenv("MEDFLOOR_DATABASE", raising=False)
    monkeypatch.setenv("MEDFLOOR_KEYS_FILE", str(tmp_path / "medfloor.keys"))
    (tmp_path / "people.csv").write_text(f"psn_no,姓名,身份证号\nA1,张三丰,{NUMBER}\nA2,李四,123\n", encoding="gb18030")
    return tmp_path


def run(*arguments: str, code: int = 0, given: str | None = None) -> str:
    done = CliRunner().invoke(command, list(arguments), input=given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_a_person_is_shown_masked_and_every_look_leaves_a_trace(office: Path) -> None:
    told = run("import", "people.csv", "--kind", "people", "--source", "office", code=1)
    assert "added 1" in told
    assert "bad_identity_number" in told
    masked, clear = run("show", "A1"), run("show", "A1", "--unmask", "--lang", "zh")
    assert "张三丰" not in masked
    assert NUMBER not in masked
    assert "张三丰" in clear
    assert NUMBER in clear
    assert run("find", given=f"{NUMBER.lower()}\n") == "A1\n"
    store = open_store(office / "medfloor.db")
    with store.reading() as connection:
        traces = connection.execute(sa.select(schema.audit.c.action, schema.audit.c.person_id)).all()
    store.close()
    assert {("read_person", "A1"), ("reveal_identity", "A1"), ("find_person", "A1")} <= {tuple(row) for row in traces}


def test_refused_rows_come_back_as_they_were_sent(office: Path) -> None:
    run("import", "people.csv", "--kind", "people", "--source", "office", code=1)
    listed = run("rejects", "1", "--lang", "zh")
    assert "身份证号有误" in listed
    assert "李四" not in listed
    run("rejects", "1", "--out", "mend.csv")
    assert pl.read_csv(office / "mend.csv", infer_schema=False).row(0)[:4] == (
        "A2",
        "李四",
        "123",
        "bad_identity_number",
    )
    # Mended in place and sent again, the two further columns do no harm.
    text = (office / "mend.csv").read_text(encoding="utf-8").replace(",123,", ",,")
    (office / "mend.csv").write_text(text, encoding="utf-8")
    assert "added 1" in run("import", "mend.csv", "--kind", "people", "--source", "office")


def test_lists_and_differences_are_written_whole(office: Path) -> None:
    run("import", "people.csv", "--kind", "people", "--source", "office", code=1)
    (office / "list.csv").write_text(f"身份证号\n{NUMBER}\n", encoding="utf-8")
    told = run(
        "import",
        "list.csv",
        "--kind",
        "spells",
        "--source",
        "civil_affairs",
        "--code",
        "7131=tekun",
        "--group",
        "tekun",
        "--as-of",
        "2026-01-01",
    )
    assert "added 1" in told
    run("differences", "2", "--out", "changed.csv")
    assert pl.read_csv(office / "changed.csv", infer_schema=False)["field"].to_list() == ["spell:tekun"]
    assert "A1" in run("list", "not-enrolled", "--day", "2026-01-02")
    assert "A1" not in run("list", "insured-poor", "--day", "2026-01-02")
    assert "A1" not in run("list", "poor", "--day", "2025-12-31")
    assert run("list", "imports").count("office") == 1
    assert "民政" in run("list", "departments", "--lang", "zh")


def test_what_was_known_when_a_claim_was_settled_is_shown(office: Path) -> None:
    (office / "one.csv").write_text("psn_no,姓名,出生日期\nB1,张三丰,1950-03-12\n", encoding="utf-8")
    (office / "paid.csv").write_text("psn_no,参保年度\nB1,2024\n", encoding="utf-8")
    (office / "bill.csv").write_text(
        "claim_id,person_id,care_type,start_date,end_date,facility_level,total,in_scope\n"
        "c1,B1,inpatient,2024-03-01,2024-03-10,3,30000,30000\n",
        encoding="utf-8",
    )
    (office / "late.csv").write_text("psn_no,人员类别,认定日期\nB1,低保,2024-01-01\n", encoding="utf-8")
    run("import", "one.csv", "--kind", "people", "--source", "office")
    run("import", "paid.csv", "--kind", "enrolments", "--source", "tax")
    settled = CliRunner().invoke(ledger_command, ["settle", "bill.csv", "--policy", "cn/beijing"])
    assert settled.exit_code == 0, settled.output
    run("import", "late.csv", "--kind", "spells", "--source", "civil_affairs")
    assert "dibao" in run("show", "B1", "--day", "2024-03-01")
    then = run("show", "B1", "--claim", "c1")
    assert "B1 on 2024-03-01, as known 20" in then
    assert "dibao" not in then
    today = f"{datetime.now(OFFICE_ZONE):%Y-%m-%d}"
    assert "dibao" in run("show", "B1", "--day", "2024-03-01", "--known-at", today), "a day means its end"
    for arguments in (["--claim", "c2"], ["--claim", "c1", "--known-at", today]):
        refused = CliRunner().invoke(command, ["show", "B1", *arguments])
        assert getattr(refused.exception, "code", None) in ("no_such_claim", "half_asked")
    assert "2026-07-15T14:30" in run("show", "B1", "--known-at", "2026-13-01", code=2)
