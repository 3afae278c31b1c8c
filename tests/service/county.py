"""Put a few made-up people into the register, and make claims of theirs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from office import OfficeAtWork

from medfloor.store import register
from medfloor.store.roles import Actor

SYSTEM = Actor("setup", "county_clerk")
BEFORE = datetime(2023, 12, 1, tzinfo=UTC)
NAME, NUMBER = "欧阳测试", "11010519491231002X"
"""The made-up name and number of p1; they must be in no log and no error."""

PEOPLE: dict[str, tuple[str, str]] = {
    "p1": ("150981102", "h1"),
    "p2": ("150981102", "h1"),
    "p3": ("150981103", "h3"),
    "far": ("150982101", "h9"),
}
"""Person -> place and household; `far` lives in another county."""


def settle_in(office: OfficeAtWork, **poor: str) -> None:
    """Register people; `poor` names statuses by person, held since June 2023."""
    with office.store.writing() as connection:
        for number, (person_id, (place, home)) in enumerate(PEOPLE.items()):
            named = {"name": NAME, "identity_number": NUMBER} if person_id == "p1" else {"name": f"测试{number}"}
            register.add_person(connection, office.running.keyring, now=BEFORE, person_id=person_id, **named)
            facts = {
                "birth_date": date(1949, 12, 31), "sex": "female", "residence": "rural", "household_id": home,
                "place": place, "family_doctor": False,
            }  # fmt: skip
            common: dict[str, Any] = {"actor": SYSTEM, "now": BEFORE}
            register.record(connection, "person", person_id, facts, start=date(2020, 1, 1), **common)
            for year in (2023, 2024):
                register.record(
                    connection, "enrolment", person_id,
                    {"benefit_year": year, "scheme": "resident", "insured_class": "elderly", "premium_fen": 38_000},
                    start=date(year, 1, 1), end=date(year + 1, 1, 1), **common,
                )  # fmt: skip
        for person_id, group in poor.items():
            register.record(
                connection,
                "spell",
                (person_id, group),
                {"recognised_by": "civil affairs"},
                start=date(2023, 6, 1),
                **common,
            )


def claim(claim_id: str = "c1", person_id: str = "p1", **other: Any) -> dict[str, Any]:
    """Give a stay of 150,000 yuan at level 3, 130,000 of it in scope, as our own route takes it."""
    return {
        "claim_id": claim_id, "person_id": person_id, "care_type": "inpatient", "facility_level": "3",
        "start_date": "2024-03-01", "end_date": "2024-03-10", "diagnosis": "I21.9", "provider_id": "H1",
        "total_fen": 15_000_000, "off_catalogue_fen": 2_000_000, "in_scope_fen": 13_000_000, **other,
    }  # fmt: skip


def message(
    infno: str = "2304", msgid: str = "m1", claim_id: str = "c1", person_id: str = "p1", **data: Any
) -> dict[str, Any]:
    """Give the same stay as a message of the national platform."""
    return {
        "infno": infno, "msgid": msgid, "fixmedins_code": "H1", "sign_no": "",
        "input": {"data": {
            "psn_no": person_id, "mdtrt_id": claim_id, "med_type": "21", "insutype": "390", "hosp_lv": "02",
            "begntime": "2024-03-01 08:00:00", "endtime": "2024-03-10 10:00:00", "dise_codg": "I21.9",
            "medfee_sumamt": 150000.00, "fulamt_ownpay_amt": "20000.00", "inscp_scp_amt": 130000, **data,
        }},
    }  # fmt: skip
