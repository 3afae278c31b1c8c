"""Pages that look ahead: prevention from the office's own store, the card of its model, and what has moved since."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import county
import pytest
from made_homes import model
from office import OfficeAtWork
from visits import NARROW, WIDE, Visit

from medfloor.store import register
from medfloor.store.engine import Store
from medfloor.store.roles import Actor
from medfloor.watch.card import Card, compare, sign

HTML = {"accept": "text/html"}
NASTY = "<script>alert(1)</script>"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give the folder in which an office puts what the store has not."""
    folder = tmp_path / "data" / "watch"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def office(sqlite_store: Store, open_office: Callable[..., OfficeAtWork], data: Path) -> OfficeAtWork:
    """Give an office with a data folder and three who work there."""
    made = open_office(sqlite_store, data_folder=data.parent)
    for login, role in (("officer1", "assistance_officer"), ("analyst1", "analyst"), ("admin1", "administrator")):
        made.add_user(login, role)
    return made


@pytest.fixture
def settled(office: OfficeAtWork) -> OfficeAtWork:
    """Settle a stay that could have been avoided, one that could not, and one that is then taken back."""
    county.settle_in(office, p2="monitored")
    clerk = office.as_role("county_clerk")
    small = {"total_fen": 100_000, "off_catalogue_fen": 0, "in_scope_fen": 100_000}
    care = (
        ("c1", "p1", "I10", {}), ("c2", "p3", "I21.9", {}), ("c3", "p1", "E11.9", small),
        ("c0", "p1", "I10", {"start_date": "2023-11-01", "end_date": "2023-11-09"}),
        ("c4", "p2", "e11.9", {"care_type": "outpatient", "start_date": "2024-04-02", "end_date": "2024-04-02"}),
    )  # fmt: skip
    for claim_id, person, code, other in care:
        told = clerk.post("/api/v1/settlements", json=county.claim(claim_id, person, diagnosis=code, **other))
        assert told.status_code == 200, told.text
    told = clerk.post("/api/v1/settlements/c3/reversal", json={"reason": "wrong person"})
    assert told.status_code == 200, told.text
    with office.store.writing() as connection:
        for home, income in (("h1", 1_500_000), ("h3", 900_000)):
            facts = {"place": "150981102", "size": 2, "income_fen": income}
            register.record(
                connection, "household", home, facts, start=date(2020, 1, 1), actor=Actor("s", "county_clerk"),
                now=county.BEFORE,
            )  # fmt: skip
    return office


def keep(data: Path, name: str, plain: dict[str, Any]) -> None:
    (data / name).write_text(json.dumps(plain), encoding="utf-8")


def test_prevention_counts_what_stands_in_the_store(settled: OfficeAtWork, data: Path) -> None:
    officer = settled.signed_in("officer1")
    told = officer.get("/watch/prevention", headers=HTML).text
    # One of two stays that stand could have been avoided; of three people here none has a family doctor.
    assert "150,000" in told and "50.0" in told and "0.0 %" in told
    # Sugar is known of an outpatient bill alone, however its code is written.
    assert told.count("糖尿病") >= 2 and "服务情况未知" not in told
    assert officer.get("/watch/prevention?year=2022", headers=HTML).text.count("没有已结算的住院") == 1
    for bad in ("1999", "last", "２０２４", "9" * 8):
        answer = officer.get(f"/watch/prevention?year={bad}", headers=HTML)
        assert answer.status_code == 422 and 'role="alert"' in answer.text and "2020" in answer.text
    # What the store has not comes from the office's folder, once somebody asks for it anew.
    (data / "contacts.csv").write_text("person_id,date,kind\np1,2024-02-01,follow_up\n", encoding="utf-8")
    assert "签而未约</th>" not in officer.get("/watch/prevention", headers=HTML).text
    token = officer.headers["x-csrf-token"]
    assert officer.post("/watch/prevention", data={"csrf_token": token}, headers=HTML).status_code == 303
    assert "签而未约</th>" in officer.get("/watch/prevention", headers=HTML).text
    (data / "contacts.csv").write_text("someone,when\np1,2024-02-01\n", encoding="utf-8")
    officer.post("/watch/prevention", data={"csrf_token": token}, headers=HTML)
    answer = officer.get("/watch/prevention", headers=HTML)
    assert answer.status_code == 422 and 'role="alert"' in answer.text


def test_who_sees_no_people_sees_the_card_but_no_small_counts(office: OfficeAtWork, data: Path) -> None:
    keep(data, "model.json", model().to_dict())
    analyst, admin, officer = (office.signed_in(one) for one in ("analyst1", "admin1", "officer1"))
    assert analyst.get("/watch/risk", headers=HTML).status_code == 200
    assert "/watch/risk/drift" not in analyst.get("/watch/risk", headers=HTML).text
    for path in ("/watch/prevention", "/watch/risk/drift", "/watch/risk/drift.svg", "/watch/prevention/effect.svg"):
        assert analyst.get(path, headers=HTML).status_code == 403, path
    assert admin.get("/watch/risk", headers=HTML).status_code == 403
    for path in ("/watch/risk/other.svg", "/watch/prevention/drift.svg", "/watch/prevention/effect.svg?programme=x"):
        assert officer.get(path, headers=HTML).status_code == 404, path


def test_a_model_that_was_changed_or_signed_anew_is_not_shown(office: OfficeAtWork, data: Path) -> None:
    officer = office.signed_in("officer1")
    assert "尚未保存模型" in officer.get("/watch/risk", headers=HTML).text
    old, new = model(), replace(model(), version="another")
    keep(data, "model.json", new.to_dict())
    keep(data, "model_new.json", old.to_dict())
    signed = sign(Card(new, compare(old, new)), by="李", on="2026-01-15", accepted=True, note=NASTY)
    keep(data, "card.json", signed.to_dict())
    shown = officer.get("/watch/risk", headers=HTML).text
    assert new.hash in shown and "已签署同意启用" in shown and "与在用模型的比较" in shown
    assert NASTY not in shown and "&lt;script&gt;" in shown
    edited = signed.to_dict()
    edited["signatures"][0]["by"] = "王"
    keep(data, "card.json", edited)
    answer = officer.get("/watch/risk", headers=HTML)
    assert answer.status_code == 409 and "李" not in answer.text and "王" not in answer.text
    (data / "card.json").unlink()
    assert "未见同意启用的签署" in officer.get("/watch/risk", headers=HTML).text
    keep(data, "model.json", new.to_dict() | {"intercept": 0.0})
    answer = officer.get("/watch/risk", headers=HTML)
    assert answer.status_code in (400, 422) and 'role="alert"' in answer.text and new.hash not in answer.text
    (data / "model.json").write_text("{", encoding="utf-8")
    assert 'role="alert"' in officer.get("/watch/risk", headers=HTML).text


@pytest.mark.parametrize(("lang", "size"), [("zh", NARROW), pytest.param("en", WIDE, marks=pytest.mark.heavy)])
def test_an_officer_looks_ahead(
    settled: OfficeAtWork, data: Path, visit: Callable[..., Visit], lang: str, size: dict[str, int]
) -> None:
    keep(data, "model.json", model().to_dict())
    someone = visit(lang=lang, size=size, dark=lang == "en")
    page = someone.sign_in("officer1", path="/watch/prevention")
    paths = {"/watch/prevention": 2, "/watch/risk": 2, "/watch/risk/drift?year=2023": 1}
    for path, figures in paths.items():
        someone.open(path)
        assert page.locator("figure img").count() == figures
        for place in range(figures):
            page.locator("figure img").nth(place).scroll_into_view_if_needed()
        page.wait_for_function("() => [...document.images].every(one => one.complete && one.naturalWidth > 0)")
        assert not someone.axe()
        assert not someone.wider_than_screen()
    # The three households that the office had at the end of 2023; one of them is above the model's line.
    assert page.inner_text("section:has(#d-1) tbody tr").split("\t")[1:3] == ["3", "1"]
    page.click("form[action='/watch/risk/drift'][method=post] button")
    assert page.locator("[role=status]").count() >= 1
