"""Take tables out over HTTP: for the analyst, who sees no person."""

from __future__ import annotations

import io
import zipfile

import polars as pl
import sqlalchemy as sa
from county import NAME, NUMBER, claim, settle_in
from office import OfficeAtWork

from medfloor.store import schema
from medfloor.store.office import decide_setting
from medfloor.store.roles import Actor

URL = "/api/v1/exports"


def test_the_analyst_takes_tables_out_in_which_nobody_is_named(office: OfficeAtWork) -> None:
    settle_in(office, p1="dibao", p2="dibao")
    clerk = office.as_role("county_clerk")
    assert clerk.post("/api/v1/settlements", json=claim()).status_code == 200
    with office.store.writing() as connection:
        boss = Actor("boss", "administrator")
        decide_setting(connection, "smallest_cell", 2, actor=boss, now=office.clock())
    analyst = office.as_role("analyst")
    answer = analyst.post(URL, json={"purpose": "study of 2025", "format": "csv"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        tables = {name: archive.read(name).decode() for name in archive.namelist()}
    assert sorted(tables) == ["cases.csv", "claims.csv", "people.csv", "spells.csv"]
    people = pl.read_csv(tables["people.csv"].encode())
    assert people.height == 3  # `far` lives in another county
    for text in tables.values():
        for personal in (NAME, NUMBER, "p1", "c1", "1949-12-31", "150981102", "I21.9"):
            assert personal not in text
    assert "150000.00" in tables["claims.csv"]
    same = analyst.post(URL, json={"purpose": "study of 2025", "format": "csv"})
    other = analyst.post(URL, json={"purpose": "another study"})
    assert (same.status_code, other.status_code) == (200, 200)
    with zipfile.ZipFile(io.BytesIO(same.content)) as archive:
        assert archive.read("people.csv").decode() == tables["people.csv"]
    with zipfile.ZipFile(io.BytesIO(other.content)) as archive:
        told = pl.read_parquet(io.BytesIO(archive.read("people.parquet")))
    assert not set(told["person"]) & set(people["person"])


def test_an_export_is_written_down_and_has_a_purpose(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    analyst = small_office.as_role("analyst")
    assert analyst.post(URL, json={"purpose": ""}).status_code == 422
    assert analyst.post(URL, json={"purpose": "x", "format": "xlsx"}).status_code == 422
    assert small_office.as_role("county_clerk").post(URL, json={"purpose": "x"}).status_code == 403
    asked = sa.select(schema.audit).where(schema.audit.c.action == "export")
    with small_office.store.reading() as connection:
        assert connection.execute(asked).all() == []
    assert analyst.post(URL, json={"purpose": "x"}).status_code == 200
    with small_office.store.reading() as connection:
        (row,) = connection.execute(asked).all()
    assert "people=" in row.detail
    assert row.request_id
