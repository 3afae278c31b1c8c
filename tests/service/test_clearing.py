"""Statements, reconciliation and policies over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from county import claim, settle_in
from office import OfficeAtWork


def settled_month(office: OfficeAtWork) -> dict[str, int]:
    """Settle two claims of June at H1, and give what the funds paid for each."""
    settle_in(office, p1="dibao")
    clerk = office.as_role("county_clerk")
    paid = {}
    for claim_id, person_id in (("c1", "p1"), ("c2", "p2")):
        answer = clerk.post("/api/v1/settlements", json=claim(claim_id, person_id))
        paid[claim_id] = answer.json()["pay_total_fen"]
    return paid


def test_a_month_is_drawn_agreed_and_cleared(office: OfficeAtWork) -> None:
    paid = settled_month(office)
    boss = office.as_role("fund_supervisor")
    early = boss.post("/api/v1/statements", json={"month": "2024-06"})
    assert (early.status_code, early.json()["code"]) == (409, "month_not_over")
    office.clock.forward(days=40)
    drawn = boss.post("/api/v1/statements", json={"month": "2024-06"})
    assert drawn.status_code == 200, drawn.text
    assert drawn.json()["amount_fen"] == sum(paid.values())
    assert boss.post("/api/v1/statements", json={"month": "2024-06"}).json() == drawn.json()
    base = "/api/v1/statements/H1/2024-06"
    assert boss.get(base).json() == drawn.json()
    lines = boss.get(f"{base}/lines", params={"limit": 1}).json()
    rest = boss.get(f"{base}/lines", params={"limit": 1, "cursor": lines["next"]}).json()
    assert [one["claim_id"] for one in lines["items"] + rest["items"]] == ["c1", "c2"]
    assert boss.post(f"{base}/clearing", json={}).json()["code"] == "statement_state"
    assert {
        one["state"] for one in boss.post(f"{base}/agreement", json={"note": "by letter"}).json()["statements"]
    } == {"agreed"}
    assert boss.post(f"{base}/clearing", json={"on": "2034-07-12"}).json()["code"] == "day_ahead"
    cleared = boss.post(f"{base}/clearing", json={"on": "2024-07-12"})
    assert {one["state"] for one in cleared.json()["statements"]} == {"cleared"}
    clerk = office.as_role("county_clerk")
    assert clerk.post(f"{base}/clearing", json={}).status_code == 403
    seen, cursor = [], None
    for _ in range(9):
        page = clerk.get("/api/v1/statements", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [one["fund"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [one["fund"] for one in drawn.json()["statements"]]
    assert clerk.get("/api/v1/statements/H2/2024-06").status_code == 404
    assert clerk.get("/api/v1/statements?cursor=eHh4").json()["code"] == "bad_cursor"


def test_a_township_sees_no_facility_outside_of_it(small_office: OfficeAtWork) -> None:
    settled_month(small_office)
    small_office.clock.forward(days=40)
    small_office.as_role("fund_supervisor").post("/api/v1/statements", json={"month": "2024-06"})
    township = small_office.as_role("county_clerk", place="150981103", login="township")
    assert township.get("/api/v1/statements").json()["items"] == []
    assert township.get("/api/v1/statements/H1/2024-06").status_code == 404


def test_a_hospitals_file_is_compared_and_what_differs_resolved(office: OfficeAtWork) -> None:
    paid = settled_month(office)
    clerk = office.as_role("county_clerk")
    text = (
        "mdtrt_id,fund_pay_sumamt,medfee_sumamt\n"
        f"c1,{paid['c1'] / 100:.2f},150000.00\nc2,{(paid['c2'] - 100) / 100:.2f},150000.00\nx1,5.00,10.00\n"
    )
    given: dict[str, Any] = {
        "files": {"file": ("h1.csv", text.encode(), "text/csv")}, "data": {"provider_id": "H1", "month": "2024-06"}
    }  # fmt: skip
    done = clerk.post("/api/v1/reconciliation", **given)
    assert done.status_code == 200, done.text
    found = done.json()
    assert {one["claim_id"]: one["kind"] for one in found["items"]} == {"c2": "amount_differs", "x1": "only_theirs"}
    apart = sum((one["ours_fen"] or 0) - (one["theirs_fen"] or 0) for one in found["items"])
    assert found["ours_fen"] - found["theirs_fen"] == apart
    assert clerk.post("/api/v1/reconciliation", **given).json()["again"] is True
    assert clerk.get(f"/api/v1/reconciliation/{found['import_id']}").json()["items"] == found["items"]
    items = clerk.get("/api/v1/reconciliation/items", params={"state": "open"}).json()["items"]
    assert len(items) == 2
    url = f"/api/v1/reconciliation/items/{items[0]['item_id']}/resolution"
    assert clerk.post(url, json={"resolution": "their_error"}).json()["code"] == "note_missing"
    assert clerk.post(url, json={"resolution": "their_error", "note": "sent again"}).json()["state"] == "resolved"
    assert clerk.post(url, json={"resolution": "forgotten"}).status_code == 422
    assert clerk.post("/api/v1/reconciliation/items/999/resolution", json={"resolution": "agreed"}).status_code == 404
    bad = {**given, "data": {"provider_id": "H1", "month": "2024-13"}}
    assert clerk.post("/api/v1/reconciliation", **bad).status_code == 422


def test_policies_are_listed_shown_checked_and_compared(small_office: OfficeAtWork) -> None:
    analyst = small_office.as_role("analyst")
    listed = analyst.get("/api/v1/policies").json()["policies"]
    assert [one["address"] for one in listed if one["in_use"]] == ["cn/beijing"]
    for lang, word in (("zh", "起付"), ("en", "deductible")):
        shown = analyst.get("/api/v1/policies/cn/beijing@2024-01-01", params={"lang": lang})
        assert shown.status_code == 200, shown.text
        assert word in shown.json()["versions"][0]["text"]
    changed = analyst.get(
        "/api/v1/policies/diff", params={"before": "cn/beijing@2018-01-01", "after": "cn/beijing@2019-01-01"}
    )
    assert changed.json()["changes"]
    same = analyst.get("/api/v1/policies/diff", params={"before": "office", "after": "cn/beijing"})
    assert same.json()["changes"] == []
    checked = analyst.post("/api/v1/policies/check", json={"address": "cn/beijing@2026-01-01"})
    assert checked.json()["errors"] == 0
    text = "extends: cn/beijing@2026-01-01\nid: here\n"
    assert analyst.post("/api/v1/policies/check", json={"text": text}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {}, {"address": "cn/beijing", "text": "x: 1"}, {"address": "/etc/passwd"}, {"address": "cn/../../etc"},
        {"address": "cn/atlantis"}, {"text": "extends: /etc/passwd"}, {"text": "extends: ../../secrets.yaml"},
        {"text": '"extends": "\\x2fetc\\x2fpasswd"'}, {"text": "? extends\n: /etc/passwd\n"}, {"text": "- a"},
        {"text": "a: &x [1]\nb: *x\n"}, {"text": "a: !!python/object:os.system 1"}, {"text": "a: [" + "[" * 5000},
        {"text": "\u0001"}, {"text": "{"}, {"text": "id: 1\ntiers: 2\n"}, {"reform": "id: x"},
        {"address": "cn/beijing@2026-01-01", "reform": "extends: /etc/passwd"}, {"address": "cn/beijing@9999-99-99"},
    ],
)  # fmt: skip
def test_a_policy_text_reaches_for_no_file_and_breaks_nothing(small_office: OfficeAtWork, body: dict[str, Any]) -> None:
    answer = small_office.as_role("analyst").post("/api/v1/policies/check", json=body)
    assert answer.status_code in (400, 404, 422), answer.text
    assert "root:" not in answer.text
    assert "medfloor-check-" not in answer.text
