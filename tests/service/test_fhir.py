"""Speak FHIR R4: converters alone, then over HTTP; every resource is valid by the models of fhir.resources."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
from county import NAME, NUMBER, claim, message, settle_in
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st
from office import OfficeAtWork

from medfloor.errors import InputError
from medfloor.service import fhir
from medfloor.store import audit


def resource(claim_id: str = "c1", person_id: str = "p1", **other: Any) -> dict[str, Any]:
    """Give the stay of `county.claim` as a Claim."""
    found = copy.deepcopy(fhir.EXAMPLE)
    found["identifier"][0]["value"] = claim_id
    found["patient"] = {"reference": f"Patient/{fhir.fhir_id(person_id)}"}
    found["provider"]["identifier"]["value"] = "H1"
    return {**found, **other}


def test_the_example_becomes_the_claim_of_our_own_route() -> None:
    made, use = fhir.claim_from(resource())
    assert use == "claim"
    assert made.model_dump(mode="json", exclude_defaults=True) == claim()


BAD: dict[str, dict[str, Any]] = {
    "no claim": {"resourceType": "Patient"},
    "unknown field": {"evil": 1},
    "bogus status": {"status": "bogus"},
    "bogus use": {"use": "bogus"},
    "cancelled": {"status": "cancelled"},
    "preauthorization": {"use": "preauthorization"},
    "dollars": {"total": {"value": 150000, "currency": "USD"}},
    "three decimals": {"total": {"value": 150000.001, "currency": "CNY"}},
    "below zero": {"total": {"value": -1, "currency": "CNY"}},
    "huge": {"total": {"value": 1e300, "currency": "CNY"}},
    "text": {"total": {"value": "many", "currency": "CNY"}},
    "no items": {"item": []},
    "no level": {"extension": []},
    "parts": {"total": {"value": 140000, "currency": "CNY"}},
    "no period": {"billablePeriod": {}},
    "a bad day": {"billablePeriod": {"start": "2024-02-30", "end": "2024-03-10"}},
    "a month": {"billablePeriod": {"start": "2024-02", "end": "2024-03"}},
    "no patient": {"patient": {"reference": "Device/1"}},
    "a path": {"patient": {"reference": "Patient/../../etc"}},
    "an unknown level": {"extension": [{"url": fhir.LEVEL, "valueCode": "9"}]},
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_claim_of_ours_is_refused(case: str) -> None:
    with pytest.raises(InputError) as caught:
        fhir.claim_from(resource(**BAD[case]))
    assert caught.value.code in ("fhir_resource", "fhir_code", "fhir_field", "parts_not_total")
    assert "bogus" not in caught.value.message or caught.value.code == "fhir_code"


@settings(max_examples=50)
@given(st.text(st.sampled_from("aZ09._:@-"), min_size=1, max_size=12))
def test_ids_survive_the_way_to_fhir_and_back(text: str) -> None:
    assert fhir.plain_id(fhir.fhir_id(text)) == text


def test_codes_are_checked_deep_within_a_resource() -> None:
    wrong = resource()
    wrong["insurance"][0]["coverage"] = {"reference": "Coverage/1", "identifier": {"use": "bogus", "value": "1"}}
    with pytest.raises(InputError) as caught:
        fhir.claim_from(wrong)
    assert caught.value.code == "fhir_code"


def valid(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(fhir.MEDIA_TYPE)
    body: dict[str, Any] = answer.json()
    model = get_fhir_model_class(body["resourceType"]).model_validate(body)
    assert not list(fhir.wrong_codes(model))
    return body


def test_a_claim_is_settled_and_read_again(office: OfficeAtWork) -> None:
    settle_in(office, p1="dibao")
    clerk = office.as_role("county_clerk")
    before = valid(clerk.post("/fhir/Claim", json=resource(use="predetermination")))
    assert clerk.get("/fhir/ClaimResponse/c1").status_code == 404
    settled = valid(clerk.post("/fhir/Claim", json=resource()))
    assert settled["total"] == before["total"]
    assert settled["adjudication"] == before["adjudication"]
    assert valid(clerk.post("/fhir/Claim", json=resource())) == settled
    assert valid(clerk.get("/fhir/ClaimResponse/c1")) == settled
    explained = valid(clerk.get("/fhir/ExplanationOfBenefit/c1"))
    assert explained["adjudication"] == settled["adjudication"]
    assert explained["benefitBalance"][0]["financial"][0]["usedMoney"] == {"value": 96525.0, "currency": "CNY"}
    person = valid(clerk.get("/fhir/Patient/p1"))
    assert NUMBER not in str(person)
    assert NAME not in str(person)
    whole = valid(clerk.get("/fhir/Patient/p1", headers={"Reveal-Reason": "%E9%80%80%E6%AC%BE"}))
    assert (whole["name"][0]["text"], whole["identifier"][1]["value"]) == (NAME, NUMBER)
    boss = office.as_role("fund_supervisor")
    assert boss.get("/fhir/Patient/p1", headers={"Reveal-Reason": "curious"}).status_code == 403
    assert clerk.get("/fhir/Patient/p1", headers={"Reveal-Reason": "%20"}).status_code == 400
    with office.store.reading() as connection:
        assert [one.detail for one in audit.traces(connection, action="reveal_identity")] == ["退款"]
    assert valid(clerk.get("/fhir/Coverage/p1-2024"))["type"]["coding"][0]["code"] == "resident"
    assert valid(office.stranger().get("/fhir/metadata"))["fhirVersion"] == "4.0.1"


def test_ours_national_and_fhir_give_the_same_fen(office: OfficeAtWork) -> None:
    settle_in(office, p1="dibao", p2="dibao", p3="dibao")
    clerk = office.as_role("county_clerk")
    ours = clerk.post("/api/v1/settlements", json=claim("a", "p1")).json()
    info = clerk.post("/api/v1/national/2304", json=message("2304", "m", "b", "p2")).json()["output"]["setlinfo"]
    theirs = valid(clerk.post("/fhir/Claim", json=resource("c", "p3")))
    tiers = {one["reason"]["coding"][0]["code"]: round(one["amount"]["value"] * 100) for one in theirs["adjudication"]}
    assert tiers == ours["payments_fen"]
    names = {"basic": "hifp_pay", "critical_illness": "hifmi_pay", "assistance": "maf_pay"}
    assert {tier: round(info[name] * 100) for tier, name in names.items()} == {tier: tiers[tier] for tier in names}
    sums = {one["category"]["coding"][0]["code"]: round(one["amount"]["value"] * 100) for one in theirs["total"]}
    assert sums["own-total"] == round(info["psn_part_amt"] * 100) == ours["own_total_fen"]
    assert sums["deductible"] == round(info["act_pay_dedc"] * 100) == ours["deductible_fen"]


def test_refusals_are_operation_outcomes(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")
    tried = {
        clerk.post("/fhir/Claim", json=resource(status="bogus")): (422, "fhir_code", "invalid"),
        clerk.post("/fhir/Claim", json=[1]): (422, "fhir_resource", "invalid"),
        clerk.post("/fhir/Claim", json=resource("c2", "nobody")): (422, "unknown_person", "invalid"),
        clerk.post("/fhir/Claim", json=resource("c3", "far")): (404, "no_such_person", "not-found"),
        clerk.get("/fhir/Patient/far"): (404, "no_such_person", "not-found"),
        clerk.get("/fhir/Coverage/p1-1999"): (404, "no_coverage", "not-found"),
        clerk.get("/fhir/ExplanationOfBenefit/nothing"): (404, "no_such_claim", "not-found"),
        clerk.get("/fhir/Observation/1"): (404, "no_such_route", "not-found"),
        clerk.get("/fhir/Patient?identifier=p1"): (404, "no_such_route", "not-found"),
        clerk.delete("/fhir/Patient/p1"): (405, "no_such_method", "invalid"),
        small_office.stranger().get("/fhir/Patient/p1"): (401, "not_signed_in", "login"),
        small_office.as_role("analyst").post("/fhir/Claim", json=resource()): (403, "forbidden", "forbidden"),
    }
    for answer, (status, code, kind) in tried.items():
        body = answer.json()
        issue = body["issue"][0]
        assert (answer.status_code, issue["details"]["coding"][0]["code"], issue["code"]) == (status, code, kind)
        get_fhir_model_class("OperationOutcome").model_validate(body)


def test_the_models_of_fhir_are_loaded_when_they_are_first_used() -> None:
    code = "import sys, medfloor.service.routes.fhir; print([name for name in sys.modules if name.startswith('fhir.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
