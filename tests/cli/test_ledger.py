"""The commands of the ledger, from a file of claims to the proof."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.store import Actor, Store, new_keys, open_store, upgrade
from medfloor.store.register import add_person, record
from medfloor.store.schema import setting

NOW = datetime(2024, 6, 3, 1, 30, tzinfo=UTC)
CLERK = Actor("clerk1", "county_clerk", "150981")
CLAIMS = """claim_id,person_id,care_type,start_date,end_date,facility_level,total,in_scope,off_catalogue,reverses
c1,p1,inpatient,2024-03-01,2024-03-10,3,150000,130000,20000,
c2,p1,inpatient,2024-05-01,2024-05-08,2,60000,60000,0,
c3,p9,inpatient,2024-05-01,2024-05-08,2,60000,60000,0,
c4,p1,inpatient,2024-05-01,not a day,2,60000,60000,0,
"""


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a store of one person, who is enrolled in 2024."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDFLOOR_DATABASE", raising=False)
    store: Store = open_store("medfloor.db")
    upgrade(store)
    with store.writing() as connection:
        add_person(connection, new_keys(), now=NOW, person_id="p1")
        born = {"birth_date": date(1960, 5, 2), "sex": "female"}
        record(connection, "person", "p1", born, start=date(2020, 1, 1), actor=CLERK, now=NOW)
        enrolled = {"benefit_year": 2024, "scheme": "resident"}
        record(connection, "enrolment", "p1", enrolled, start=date(2024, 1, 1), actor=CLERK, now=NOW)
        values = {"name": "policy", "value": "cn/beijing", "changed_by": "x", "changed_at": NOW}
        connection.execute(setting.insert().values(values))
    store.close()
    (tmp_path / "claims.csv").write_text(CLAIMS, encoding="utf-8")
    return tmp_path


def ledger(*words: str) -> Result:
    return CliRunner().invoke(program, ["ledger", *words])


def test_a_file_is_settled_once_and_refused_rows_are_listed(office: Path) -> None:
    first = ledger("settle", "claims.csv", "--rejects", "refused.csv")
    assert first.exit_code == 1, first.output
    assert "settled 2, settled before 0, taken back 0, refused 2" in first.output
    refused = (office / "refused.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:2] for line in refused[1:]] == [["c3", "unknown_person"], ["c4", "bad_date"]]
    again = ledger("settle", "claims.csv", "--lang", "zh")
    assert "新结算 0，此前已结算 2" in again.output


def test_a_late_claim_and_a_reversal_leave_arrears_that_are_moved_on(office: Path) -> None:
    ledger("settle", "claims.csv")
    head = CLAIMS.splitlines()[0]
    (office / "more.csv").write_text(
        f"{head}\nc0,p1,inpatient,2024-02-01,2024-02-10,3,50000,50000,0,\n"
        "r1,p1,inpatient,2024-06-01,2024-06-01,2,60000,60000,0,c2\nr2,p1,inpatient,2024-06-01,2024-06-01,2,1,1,0,c9\n",
        encoding="utf-8",
    )
    done = ledger("settle", "more.csv")
    assert "came out anew: 2" in done.output and "no_such_claim  1" in done.output
    year = ledger("year", "p1", "2024")
    assert "c0" in year.output and "taken back: c2" in year.output and "basic_admissions  2" in year.output
    assert ledger("year", "p1", "2020").exit_code == 2
    listed = ledger("arrears")
    assert "a late claim" in listed.output and "owed 8,280.00, owing 0.00" in listed.output
    assert ledger("arrears", "--move", "1").exit_code == 2
    assert ledger("arrears", "--move", "1", "--to", "paid").exit_code == 2
    assert "arrear 1 is notified" in ledger("arrears", "--move", "1", "--to", "notified").output
    assert "已补付" in ledger("arrears", "--move", "1", "--to", "paid", "--lang", "zh").output
    assert "nothing is owed" in ledger("arrears", "--state", "found").output
    assert "arrears found: 0" in ledger("resettle", "p1").output
    assert ledger("resettle").exit_code == 2 and ledger("resettle", "--all").exit_code == 0


def test_reversals_of_a_file_are_counted_as_what_became_of_them(office: Path) -> None:
    ledger("settle", "claims.csv")
    head = CLAIMS.splitlines()[0]
    (office / "back.csv").write_text(
        f"{head}\nr1,p1,inpatient,2024-06-01,2024-06-01,2,60000,60000,0,c1\n"
        "r2,p1,inpatient,2024-06-01,2024-06-01,2,1,1,0,c9\n",
        encoding="utf-8",
    )
    done = ledger("settle", "back.csv").output
    assert "settled 0, settled before 0, taken back 1, refused 1" in done
    assert "came out anew: 1, together -" in done, "c2 came after c1"
    again = ledger("settle", "back.csv").output
    assert "settled 0, settled before 1, taken back 0, refused 1" in again and "anew" not in again


def test_a_whole_ledger_exits_with_0_and_a_changed_one_lists_what(office: Path) -> None:
    ledger("settle", "claims.csv")
    sealed = ledger("seal").output.split()[-1]
    assert "no chain has grown" in ledger("seal").output
    whole = ledger("verify", "--recompute", "--seal", sealed)
    assert whole.exit_code == 0 and "the ledger is whole" in whole.output, whole.output
    assert ledger("verify", "--seal", "f" * 64).exit_code == 1
    store = sqlite3.connect(office / "medfloor.db")
    store.execute("UPDATE account SET head = 'f'")
    store.commit()
    store.close()
    broken = ledger("verify", "--json")
    said = json.loads(broken.output)
    assert broken.exit_code == 1 and not said["whole"]
    assert said["findings"] == [{"code": "head_moved", "chain": "person_year p1 2024", "number": 2, "detail": ""}]
    assert "账簿不完整：1 处" in ledger("verify", "--lang", "zh").output


def test_without_a_store_or_a_policy_nothing_is_done(office: Path) -> None:
    assert "no_store" in ledger("verify", "--database", "elsewhere.db").output
    store = sqlite3.connect(office / "medfloor.db")
    store.execute("DELETE FROM setting")
    store.commit()
    store.close()
    refused = ledger("settle", "claims.csv")
    assert refused.exit_code == 2 and "no_policy" in refused.output


def test_every_finding_and_state_has_its_words() -> None:
    from medfloor.store.arrears import STATES
    from medfloor.store.findings import FINDINGS
    from medfloor.words import knows

    causes = ("late_claim", "reversal", "reinstatement", "correction", "backdated_status", "changed_law")
    keys = [f"finding_{code}" for code in FINDINGS] + [f"state_{state}" for state in STATES]
    for key in [*keys, *(f"cause_{cause}" for cause in causes)]:
        assert knows(f"ledger.{key}", "en") and knows(f"ledger.{key}", "zh"), key
