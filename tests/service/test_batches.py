"""A file of claims: settled once however often it is sent, taken up again after a broken server, and only by its owner."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import county
import polars as pl
import pytest
import sqlalchemy as sa
from office import OfficeAtWork

from medfloor.service import batches as work
from medfloor.store import batches
from medfloor.store.schema import entry, import_run

PAGE = {"accept": "text/html"}


@pytest.fixture
def office(sqlite_store: Any, open_office: Callable[..., OfficeAtWork]) -> OfficeAtWork:
    made = open_office(sqlite_store)
    county.settle_in(made)
    made.add_user("clerk1", "county_clerk")
    return made


def rows(*ids: str, **other: Any) -> bytes:
    base = {
        "person_id": "p3", "care_type": "inpatient", "start_date": "2024-05-01", "end_date": "2024-05-04",
        "facility_level": "2", "total": "1000.00", "in_scope": "1000.00", **other,
    }  # fmt: skip
    return pl.DataFrame([{"claim_id": one, **base} for one in ids]).write_csv().encode()


def send(caller: Any, content: bytes) -> Any:
    return caller.post("/settle/batch", files={"file": ("claims.csv", content, "text/csv")}, headers=PAGE)


def count_entries(office: OfficeAtWork) -> int:
    with office.store.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(entry)).scalar_one())


def batch(office: OfficeAtWork, number: int) -> batches.Batch:
    with office.store.reading() as connection:
        return batches.batch_of(connection, number)


def test_the_same_rows_in_another_file_are_known_again(office: OfficeAtWork) -> None:
    clerk = office.signed_in("clerk1")
    assert send(clerk, rows("a", "b")).headers["location"] == "/settle/batch/1"
    assert send(clerk, rows("a", "b", "c")).headers["location"] == "/settle/batch/2"
    found = batch(office, 2)
    assert (found.settled, found.repeated, found.refused) == (1, 2, 0)
    assert found.reconciles and found.settled_fen == 300_000
    assert count_entries(office) == 3


def test_a_row_that_says_something_else_of_a_settled_claim_is_refused(office: OfficeAtWork) -> None:
    clerk = office.signed_in("clerk1")
    send(clerk, rows("a"))
    send(clerk, rows("a", total="900.00", in_scope="900.00"))
    with office.store.reading() as connection:
        assert batches.count_reasons(connection, 2) == [("claim_settled", 1)]
    assert batch(office, 2).reconciles


def test_an_id_that_no_address_can_carry_is_refused_and_the_other_rows_are_settled(office: OfficeAtWork) -> None:
    clerk = office.signed_in("clerk1")
    send(clerk, rows("a", "<script>alert(1)</script>", "b/c"))
    with office.store.reading() as connection:
        assert batches.count_reasons(connection, 1) == [("bad_claim_id", 2)]
    found = batch(office, 1)
    assert (found.settled, found.refused, found.reconciles) == (1, 2, True)
    shown = clerk.get("/settle/batch/1", headers=PAGE).text
    assert "以字母或数字开头" in shown


def test_work_that_broke_off_is_taken_up_by_sending_the_file_again(
    office: OfficeAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    clerk = office.signed_in("clerk1")
    content = rows(*(f"r{number:03}" for number in range(120)))
    whole = work._keep

    def break_off(*given: Any) -> None:
        whole(*given)
        raise RuntimeError("the server broke off")

    monkeypatch.setattr(work, "_keep", break_off)
    with suppress(Exception):  # the answer had gone out; the log tells of the bug
        send(clerk, content)
    monkeypatch.undo()
    assert count_entries(office) == 100 and batch(office, 1).finished_at is None
    # At once the batch counts as at work, and nobody works on it twice.
    assert send(clerk, content).headers["location"].endswith("?done=same_file")
    office.clock.forward(seconds=work.GONE_SECONDS + 1)
    assert "stuck" not in clerk.get("/settle/batch/1", headers=PAGE).text
    assert send(clerk, content).headers["location"] == "/settle/batch/1"
    found = batch(office, 1)
    assert (found.settled, found.repeated, found.rows_in) == (20, 100, 120)
    assert found.reconciles and found.settled_fen == 12_000_000
    assert count_entries(office) == 120


def test_files_that_cannot_be_read_and_rows_that_take_back_are_told(office: OfficeAtWork) -> None:
    clerk = office.signed_in("clerk1")
    assert send(clerk, b"").status_code == 422
    assert send(clerk, b"claim_id,person_id\na,p3\n").status_code == 422
    assert send(clerk, rows("back", reverses="a")).status_code == 303
    with office.store.reading() as connection:
        assert batches.count_reasons(connection, 1) == [("reversal_in_batch", 1)]


def test_a_form_of_another_site_and_other_peoples_batches_are_refused(office: OfficeAtWork) -> None:
    clerk = office.signed_in("clerk1")
    token = clerk.headers.pop("x-csrf-token")
    assert send(clerk, rows("a")).status_code == 403
    field = clerk.post(
        "/settle/batch", data={"csrf_token": token}, files={"file": ("a.csv", rows("a"), "text/csv")}, headers=PAGE
    )
    assert field.status_code == 303
    for role in ("assistance_officer", "county_clerk"):
        other = office.as_role(role)
        for path in ("/settle/batch/1", "/settle/batch/1/rejects.xlsx"):
            assert other.get(path, headers=PAGE).status_code in (403, 404), (role, path)
    with office.store.reading() as connection:
        assert connection.execute(sa.select(import_run.c.source)).scalar() == "clerk1"


def test_a_person_outside_and_nobody_are_told_alike(office: OfficeAtWork) -> None:
    clerk = office.signed_in("clerk1")
    send(clerk, rows("x", person_id="far"))
    send(clerk, rows("y", person_id="nobody"))
    with office.store.reading() as connection:
        told = [
            connection.execute(sa.text("SELECT reason, detail FROM import_reject WHERE import_id = :n"), {"n": n}).one()
            for n in (1, 2)
        ]
    assert told[0] == told[1]
