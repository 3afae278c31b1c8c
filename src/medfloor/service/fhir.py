"""Speak FHIR R4: a Claim in, ClaimResponse and ExplanationOfBenefit out, Patient and Coverage beside them.

Resources are read and written through the models of fhir.resources (R4B, which has the same five resources), which
are loaded when they are first used. They take any code, so the codes that FHIR fixes are checked here. What FHIR has
no place for (level of the facility, area, referral, a tier of the law) stands in extensions and code systems of our
own, under `urn:medfloor`; docs/fhir.md lists them. Money is CNY with at most two decimals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError

from medfloor.errors import InputError
from medfloor.money import MAX_FEN, parse_fen
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.bodies.people import PersonAnswer, SpellAnswer, YearAnswer
from medfloor.service.bodies.settlements import ClaimBody, Preview, Settlement
from medfloor.store.register import Identity

URN = "urn:medfloor"
CLAIM_ID, PERSON_ID, PROVIDER_ID = f"{URN}:claim", f"{URN}:person", f"{URN}:provider"
IDENTITY = f"{URN}:identity-number"
CARE_TYPE, SCOPE, TIER, SCHEME, SUM = (f"{URN}:code:{name}" for name in ("care-type", "scope", "tier", "scheme", "sum"))
LEVEL, AREA, REFERRAL, SETTLED, POLICY, PLACE, GROUP = (
    f"{URN}:extension:{name}"
    for name in ("facility-level", "area", "referral", "settled-date", "policy", "place", "status")
)
ICD10 = "http://hl7.org/fhir/sid/icd-10"
ADJUDICATION = "http://terminology.hl7.org/CodeSystem/adjudication"
CLAIM_TYPE = "http://terminology.hl7.org/CodeSystem/claim-type"
PAYMENT_TYPE = "http://terminology.hl7.org/CodeSystem/ex-paymenttype"
RELATIONSHIP = "http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship"
CURRENCY = "CNY"
PARTS = ("in_scope", "off_catalogue", "over_limit", "first_self_pay")
"""The parts of a claim's total: the codes of an item's category."""

MEDIA_TYPE = "application/fhir+json"

RESOURCES = ("Claim", "ClaimResponse", "Coverage", "ExplanationOfBenefit", "Patient")


def claim_from(resource: Any) -> tuple[ClaimBody, str]:
    """Make our claim of a FHIR Claim; gives it with `use`: claim (settle it) or predetermination (only try it).

    Raises InputError: fhir_resource where it is no valid Claim, fhir_code for a code outside its list, fhir_field for
    what medfloor needs and the Claim lacks, and what a claim refuses. No message holds a value of the resource.

    >>> claim, use = claim_from(EXAMPLE)
    >>> claim.care_type, claim.facility_level, claim.in_scope_fen, use
    ('inpatient', '3', 13000000, 'claim')
    """
    read = read_resource("Claim", resource)
    if read["status"] != "active":
        raise _field("status", "only an active claim is settled")
    use = read["use"]
    if use not in ("claim", "predetermination"):
        raise _field("use", "claim or predetermination is settled here")
    period = read.get("billablePeriod") or {}
    start, end = _day(period.get("start"), "billablePeriod.start"), _day(period.get("end"), "billablePeriod.end")
    settled = _extension(read, SETTLED, "valueDate")
    parts = _parts(read)
    total = _fen(read.get("total"), "total")
    fields: dict[str, Any] = {
        "claim_id": _identifier(read.get("identifier") or [], CLAIM_ID, "identifier"),
        "person_id": _reference(read["patient"], "Patient", PERSON_ID, "patient"),
        "provider_id": _reference(read["provider"], "Organization", PROVIDER_ID, "provider"),
        "care_type": _code_of(read.get("subType"), CARE_TYPE, "subType"),
        "facility_level": _extension(read, LEVEL, "valueCode") or _missing("extension facility-level"),
        "area": _extension(read, AREA, "valueCode") or "local",
        "referral": _extension(read, REFERRAL, "valueCode") or "regular",
        "start_date": start,
        "end_date": end,
        "settled_date": _day(settled, "extension settled-date") if settled else None,
        "diagnosis": _diagnosis(read),
        "continues": _prior(read),
        "total_fen": total,
        **{f"{name}_fen": parts[name] for name in PARTS},
    }
    try:
        return ClaimBody.model_validate(fields), use
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] in ("parts_not_total", "end_before_start"):
            raise InputError(first["type"], str(first["msg"])) from None
        raise _field(str(first["loc"][-1] if first["loc"] else "Claim"), str(first["msg"])) from None


def claim_response(claim: ClaimBody, settled: Preview, *, use: str, now: datetime) -> dict[str, Any]:
    """Give the ClaimResponse of a settlement (or of a preview): sums, and one adjudication a tier."""
    return written(
        "ClaimResponse",
        {
            "resourceType": "ClaimResponse",
            **_id(settled.claim_id),
            "identifier": [{"system": CLAIM_ID, "value": settled.claim_id}],
            "extension": _law(settled),
            "status": "cancelled" if isinstance(settled, Settlement) and settled.state == "reversed" else "active",
            "type": _claim_type(claim.care_type),
            "subType": _coding(CARE_TYPE, claim.care_type),
            "use": use,
            "patient": _to("Patient", settled.person_id, PERSON_ID),
            "created": _instant(now),
            "insurer": {"identifier": {"system": PROVIDER_ID, "value": "office"}},
            "request": {"identifier": {"system": CLAIM_ID, "value": settled.claim_id}},
            "outcome": "complete",
            "total": _totals(settled),
            "adjudication": _tiers(settled),
            **({} if use != "claim" else {"payment": _payment(settled)}),
        },
    )


def explanation_of_benefit(
    claim: ClaimBody, settled: Settlement, *, year: YearAnswer | None = None, now: datetime
) -> dict[str, Any]:
    """Give the ExplanationOfBenefit of a settlement, with the year's sums where they are given."""
    balance: list[dict[str, Any]] = []
    if year is not None:
        balance = [
            {
                "category": _coding(TIER, tier),
                "financial": [{"type": _coding(SUM, "paid-this-year"), "usedMoney": _money(fen)}],
            }
            for tier, fen in year.payments_fen.items()
        ]
    return written(
        "ExplanationOfBenefit",
        {
            "resourceType": "ExplanationOfBenefit",
            **_id(settled.claim_id),
            "identifier": [{"system": CLAIM_ID, "value": settled.claim_id}],
            "extension": [*_law(settled), {"url": LEVEL, "valueCode": claim.facility_level}],
            "status": "active" if settled.state == "settled" else "cancelled",
            "type": _claim_type(claim.care_type),
            "subType": _coding(CARE_TYPE, claim.care_type),
            "use": "claim",
            "patient": _to("Patient", settled.person_id, PERSON_ID),
            "billablePeriod": {"start": claim.start_date.isoformat(), "end": claim.end_date.isoformat()},
            "created": _instant(now),
            "insurer": {"identifier": {"system": PROVIDER_ID, "value": "office"}},
            "provider": {"identifier": {"system": PROVIDER_ID, "value": claim.provider_id or "unknown"}},
            "outcome": "complete",
            "insurance": [
                {
                    "focal": True,
                    "coverage": _to("Coverage", f"{settled.person_id}-{settled.benefit_year}", f"{URN}:coverage"),
                }
            ],
            "adjudication": _tiers(settled),
            "total": _totals(settled),
            "payment": _payment(settled),
            **({"benefitBalance": balance} if balance else {}),
        },
    )


def patient(person: PersonAnswer, *, whole: Identity | None = None) -> dict[str, Any]:
    """Give the Patient of a person; name and identity number masked unless they are given whole."""
    number = person.identity_number if whole is None else whole.identity_number
    name = person.name if whole is None else whole.name
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        **_id(person.person_id),
        "identifier": [
            {"system": PERSON_ID, "value": person.person_id},
            *([{"system": IDENTITY, "value": number}] if number else []),
        ],
        "extension": [
            *([{"url": PLACE, "valueCode": person.place}] if person.place else []),
            *({"url": GROUP, "valueCode": spell.group} for spell in person.spells if spell_holds(spell, person.day)),
        ],
    }
    if name:
        resource["name"] = [{"text": name}]
    if person.sex:
        resource["gender"] = person.sex
    if person.birth_date:
        resource["birthDate"] = person.birth_date.isoformat()
    if person.deceased_on:
        resource["deceasedDateTime"] = person.deceased_on.isoformat()
    if not resource["extension"]:
        del resource["extension"]
    return written("Patient", resource)


def coverage(person: PersonAnswer, year: int) -> dict[str, Any] | None:
    """Give the Coverage of a person in a benefit year, or None where there is none."""
    enrolment = next((one for one in person.enrolments if one.benefit_year == year), None)
    if enrolment is None or enrolment.scheme == "none":
        return None
    days = (("start", enrolment.valid_from), ("end", enrolment.valid_to))
    period = {name: day.isoformat() for name, day in days if day is not None}
    return written(
        "Coverage",
        {
            "resourceType": "Coverage",
            **_id(f"{person.person_id}-{year}"),
            "status": "active",
            "type": _coding(SCHEME, enrolment.scheme),
            "beneficiary": _to("Patient", person.person_id, PERSON_ID),
            **({"period": period} if period else {}),
            "payor": [{"identifier": {"system": PROVIDER_ID, "value": "office"}}],
        },
    )


def capability(now: datetime, version: str) -> dict[str, Any]:
    """Give the CapabilityStatement: what this server speaks."""
    able = {
        "Claim": [("create", "settle a claim, or with use predetermination say what it would be paid")],
        "ClaimResponse": [("read", "the answer to a claim that was settled")],
        "ExplanationOfBenefit": [("read", "a settlement with the year's sums")],
        "Patient": [("read", "a person of the register; name and identity number are masked")],
        "Coverage": [("read", "<person>-<year>: enrolment in a benefit year")],
    }
    return written(
        "CapabilityStatement",
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": _instant(now),
            "kind": "instance",
            "software": {"name": "medfloor", "version": version},
            "implementation": {"description": "medfloor: settlement through every tier"},
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [
                {
                    "mode": "server",
                    "resource": [
                        {"type": name, "interaction": [{"code": code, "documentation": text} for code, text in rows]}
                        for name, rows in able.items()
                    ],
                }
            ],
        },
    )


def operation_outcome(code: str, sentence: str, *, status: int) -> dict[str, Any]:
    """Give the OperationOutcome of a refusal; `details` carries the stable code.

    >>> operation_outcome("fhir_field", "total is missing", status=422)["issue"][0]["code"]
    'invalid'
    """
    kinds = {401: "login", 403: "forbidden", 404: "not-found", 409: "conflict", 413: "too-long", 429: "throttled"}
    kind = kinds.get(status, "transient" if status >= 500 else "invalid")
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": kind,
                "details": {"coding": [{"system": f"{URN}:problem", "code": code}]},
                "diagnostics": sentence,
            }
        ],
    }


def read_resource(kind: str, resource: Any) -> dict[str, Any]:
    """Validate a resource of R4 and its codes, and give it as plain data without empty fields.

    Raises InputError fhir_resource or fhir_code; the message says the place and never the value.
    """
    if not isinstance(resource, dict) or resource.get("resourceType") != kind:
        raise InputError("fhir_resource", f"the body is no {kind}: resourceType must be {kind}")
    try:
        model = _model(kind).model_validate(resource)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or kind
        rule = "it is not known" if first["type"] == "extra_forbidden" else first["type"].replace("_", " ")
        raise InputError("fhir_resource", f"{kind} at {_said(place)}: {rule}") from None
    except (ValueError, TypeError, ArithmeticError, AssertionError, RecursionError):
        raise InputError("fhir_resource", f"the body is no {kind} of R4") from None
    for place, value, known in wrong_codes(model):
        raise InputError("fhir_code", f"{kind} at {place}: {_said(value)} is none of {', '.join(known)}")
    found = model.model_dump(mode="json")
    assert isinstance(found, dict)
    return found


def written(kind: str, resource: dict[str, Any]) -> dict[str, Any]:
    """Validate what we send as strictly as what we read."""
    if kind == "CapabilityStatement" or kind in RESOURCES:
        model = _model(kind).model_validate(resource)
        wrong = list(wrong_codes(model))
        assert not wrong, f"{kind} would leave with a code that FHIR does not know: {wrong[0]}"
    return resource


def wrong_codes(model: BaseModel, place: str = "") -> Iterator[tuple[str, str, list[str]]]:
    """Find codes outside the lists that FHIR fixes; fhir.resources names these lists and checks them not."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name, None)
        if value is None:
            continue
        where = f"{place}.{name}" if place else name
        extra = field.json_schema_extra
        known = extra.get("enum_values") if isinstance(extra, dict) else None
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            at = f"{where}[{number}]" if isinstance(value, list) else where
            if isinstance(one, BaseModel):
                yield from wrong_codes(one, at)
            elif isinstance(known, list) and isinstance(one, str) and one not in known:
                yield at, one, [str(code) for code in known]


def fhir_id(text: str) -> str:
    """Give an id that FHIR allows: letters, digits, - and dots; any other character is written as .<number>.

    >>> fhir_id("p1"), fhir_id("a_b"), plain_id(fhir_id("a.b:c"))
    ('p1', 'a.95.b', 'a.b:c')
    """
    return re.sub(r"[^A-Za-z0-9-]", lambda found: f".{ord(found[0])}.", text)


def plain_id(text: str) -> str:
    """Give our id of a resource's id."""
    return re.sub(r"\.([0-9]{1,6})\.", lambda found: chr(min(int(found[1]), 0x10FFFF)), text)


def spell_holds(spell: SpellAnswer, day: date) -> bool:
    """Say whether a status is held on a day."""
    return (spell.from_date is None or spell.from_date <= day) and (spell.to_date is None or day <= spell.to_date)


EXAMPLE: dict[str, Any] = {
    "resourceType": "Claim",
    "identifier": [{"system": CLAIM_ID, "value": "2024-000123"}],
    "extension": [{"url": LEVEL, "valueCode": "3"}],
    "status": "active",
    "type": {"coding": [{"system": CLAIM_TYPE, "code": "institutional"}]},
    "subType": {"coding": [{"system": CARE_TYPE, "code": "inpatient"}]},
    "use": "claim",
    "patient": {"reference": "Patient/p1"},
    "billablePeriod": {"start": "2024-03-01", "end": "2024-03-10"},
    "created": "2024-03-10",
    "provider": {"identifier": {"system": PROVIDER_ID, "value": "H11010500001"}},
    "priority": {"coding": [{"code": "normal"}]},
    "diagnosis": [
        {"sequence": 1, "diagnosisCodeableConcept": {"coding": [{"system": ICD10, "code": "I21.9"}]}},
    ],
    "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/p1-2024"}}],
    "item": [
        {
            "sequence": 1,
            "category": {"coding": [{"system": SCOPE, "code": "in_scope"}]},
            "productOrService": {"text": "all items within the scope"},
            "net": {"value": 130000.00, "currency": CURRENCY},
        },
        {
            "sequence": 2,
            "category": {"coding": [{"system": SCOPE, "code": "off_catalogue"}]},
            "productOrService": {"text": "all items outside the catalogues"},
            "net": {"value": 20000.00, "currency": CURRENCY},
        },
    ],
    "total": {"value": 150000.00, "currency": CURRENCY},
}
"""The claim of docs/fhir.md."""


def _model(kind: str) -> type[BaseModel]:
    from fhir.resources.R4B import get_fhir_model_class

    found: type[BaseModel] = get_fhir_model_class(kind)
    return found


def _parts(claim: Mapping[str, Any]) -> dict[str, int]:
    """Sum the items by the part of the total that their category names."""
    parts = dict.fromkeys(PARTS, 0)
    items = claim.get("item") or []
    if not items:
        raise _field("item", f"items with a category of {SCOPE} are needed: {', '.join(PARTS)}")
    for number, item in enumerate(items):
        part = _code_of(item.get("category"), SCOPE, f"item[{number}].category")
        if part not in parts:
            raise _field(f"item[{number}].category", f"the code is none of {', '.join(PARTS)}")
        parts[part] += _fen(item.get("net"), f"item[{number}].net")
    return parts


def _diagnosis(claim: Mapping[str, Any]) -> str | None:
    listed = sorted(claim.get("diagnosis") or [], key=lambda one: one.get("sequence") or 0)
    if not listed:
        return None
    return _code_of(listed[0].get("diagnosisCodeableConcept"), ICD10, "diagnosis[0]")


def _prior(claim: Mapping[str, Any]) -> str | None:
    for related in claim.get("related") or []:
        identifier = (related.get("claim") or {}).get("identifier") or {}
        if identifier.get("system") == CLAIM_ID:
            return str(identifier.get("value"))
    return None


def _identifier(listed: Any, system: str, place: str) -> str:
    for one in listed:
        if one.get("system") == system and one.get("value"):
            return str(one["value"])
    raise _field(place, f"one with system {system} is needed")


def _reference(found: Mapping[str, Any], kind: str, system: str, place: str) -> str:
    identifier = found.get("identifier") or {}
    if identifier.get("system") == system and identifier.get("value"):
        return str(identifier["value"])
    head, _, tail = str(found.get("reference") or "").rpartition("/")
    if (head == kind or head.endswith(f"/{kind}")) and re.fullmatch(ID_PATTERN, plain_id(tail)):
        return plain_id(tail)
    raise _field(place, f"a reference {kind}/<id>, or an identifier with system {system} is needed")


def _extension(resource: Mapping[str, Any], url: str, value: str) -> str | None:
    for one in resource.get("extension") or []:
        if one.get("url") == url:
            found = one.get(value)
            if found is None:
                raise _field(f"extension {url}", f"it carries {value}")
            return str(found)
    return None


def _code_of(concept: Mapping[str, Any] | None, system: str, place: str) -> str:
    for coding in (concept or {}).get("coding") or []:
        if coding.get("system") == system and coding.get("code"):
            return str(coding["code"])
    raise _field(place, f"a coding with system {system} is needed")


def _day(value: Any, place: str) -> date:
    text = str(value or "")[:10]
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise _field(place, "a whole day, YYYY-MM-DD, is needed")
    return date.fromisoformat(text)


def _fen(money: Mapping[str, Any] | None, place: str) -> int:
    if not money or money.get("value") is None:
        raise _field(place, "an amount with value and currency is needed")
    if money.get("currency") != CURRENCY:
        raise _field(place, f"the currency is {CURRENCY}")
    try:
        fen = parse_fen(money["value"])
    except (ValueError, ArithmeticError):
        raise _field(place, "an amount with at most two decimals is needed") from None
    if not 0 <= fen <= MAX_FEN:
        raise _field(place, "an amount from 0 to 9 trillion yuan is needed")
    return fen


def _missing(place: str) -> Any:
    raise _field(place, "it is missing")


def _field(place: str, why: str) -> InputError:
    return InputError("fhir_field", f"Claim at {place}: {why}")


def _said(text: str) -> str:
    """Say a place or a code only as far as it is plain: a made-up field name could be anything."""
    return text if re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,80}", text) else "a place that is not said"


def _money(fen: int) -> dict[str, Any]:
    return {"value": Decimal(fen).scaleb(-2), "currency": CURRENCY}


def _coding(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _claim_type(care_type: str) -> dict[str, Any]:
    return _coding(CLAIM_TYPE, "institutional" if care_type == "inpatient" else "professional")


def _totals(settled: Preview) -> list[dict[str, Any]]:
    """Give the sums of a settlement: those that FHIR has a code for, and the patient's own part."""
    sums = (
        (ADJUDICATION, "submitted", settled.total_fen),
        (ADJUDICATION, "eligible", settled.in_scope_fen),
        (ADJUDICATION, "deductible", settled.deductible_fen),
        (ADJUDICATION, "benefit", settled.pay_total_fen),
        (SUM, "own-in-scope", settled.own_in_scope_fen),
        (SUM, "own-outside", settled.own_outside_fen),
        (SUM, "own-total", settled.own_total_fen),
    )
    return [{"category": _coding(system, code), "amount": _money(fen)} for system, code, fen in sums]


def _tiers(settled: Preview) -> list[dict[str, Any]]:
    """Give one adjudication a tier, in the order of payment."""
    return [
        {"category": _coding(ADJUDICATION, "benefit"), "reason": _coding(TIER, tier), "amount": _money(fen)}
        for tier, fen in settled.payments_fen.items()
    ]


def _payment(settled: Preview) -> dict[str, Any]:
    return {
        "type": _coding(PAYMENT_TYPE, "complete"),
        "date": settled.settled_date.isoformat(),
        "amount": _money(settled.pay_total_fen),
    }


def _law(settled: Preview) -> list[dict[str, Any]]:
    return [
        {"url": POLICY, "valueString": settled.policy},
        {"url": SETTLED, "valueDate": settled.settled_date.isoformat()},
    ]


def _id(text: str) -> dict[str, str]:
    """Give the id of a resource; one that is too long for FHIR goes without."""
    written_id = fhir_id(text)
    return {"id": written_id} if len(written_id) <= 64 else {}


def _to(kind: str, text: str, system: str) -> dict[str, Any]:
    """Refer to a resource; by its identifier where its id is too long for FHIR."""
    written_id = fhir_id(text)
    if len(written_id) <= 64:
        return {"reference": f"{kind}/{written_id}"}
    return {"identifier": {"system": system, "value": text}}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
