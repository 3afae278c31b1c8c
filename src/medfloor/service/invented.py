"""Turn a made-up county into the rows of a register: invented people, homes, statuses, facilities and claims.

Names are drawn from a short list. Identity numbers begin with 990181, a division that does not exist, so that no number
can be anybody's; their check digits are right, so that everything that reads numbers can be tried.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.store.bills import Bill
from medfloor.store.identity import is_identity
from medfloor.store.keys import Keyring
from medfloor.store.schema import enrolment, household, person, person_fact, provider, spell
from medfloor.synthetic import County

PLACE = "990181"
TOWNSHIPS = tuple(f"{PLACE}{number}" for number in range(101, 109))

FACILITIES: tuple[tuple[str, str, str, str], ...] = (
    *(
        (f"T{number:02d}", f"示范{name}中心卫生院", "primary", town)
        for number, (name, town) in enumerate(zip("东西南北上下新旧", TOWNSHIPS, strict=True), 1)
    ),
    ("H11", "示范县妇幼保健院", "1", TOWNSHIPS[0]),
    ("H12", "示范县康复医院", "1", TOWNSHIPS[1]),
    ("H21", "示范县人民医院", "2", TOWNSHIPS[0]),
    ("H22", "示范县中医院", "2", TOWNSHIPS[0]),
    ("H31", "示范市第一医院", "3", "990100"),
    ("H32", "示范市肿瘤医院", "3", "990100"),
)
"""Made-up facilities: id, name, level, place."""

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "秀英桂兰玉梅建国志强海燕春明晓东丽华文军小红永福德厚家和安平"
_PREMIUM_FEN = 40_000
_PAID_FOR = {"tekun": 1.0, "orphan": 1.0, "dibao": 0.9, "dibao_marginal": 0.6, "returned_poor": 0.6, "monitored": 0.6}
_BROUGHT_BY = {
    "monitored": "rural_revitalisation", "returned_poor": "rural_revitalisation", "disabled": "disabled_federation",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Someone:
    """Be an invented person: id, name, number, township, and the statuses held at the end."""

    person_id: str
    name: str
    number: str
    place: str
    household_id: str
    groups: tuple[str, ...]
    scheme: str


def settle_people(
    connection: sa.Connection, county: County, keyring: Keyring, *, seed: int, now: datetime, by: str
) -> list[Someone]:
    """Write people, homes, enrolments, statuses and facilities, as an office that begins its books knows them."""
    homes = county.households["household_id"].to_list()
    towns = {home: TOWNSHIPS[place * len(TOWNSHIPS) // len(homes)] for place, home in enumerate(homes)}
    held: dict[str, list[str]] = {}
    for row in county.spells.filter(pl.col("to_date").is_null()).iter_rows(named=True):
        held.setdefault(row["person_id"], []).append(row["group"])
    dice = random.Random(seed)
    people = [_someone(row, at, towns, held, dice) for at, row in enumerate(county.people.iter_rows(named=True))]
    stamp = {"known_from": now, "recorded_by": by}
    connection.execute(
        sa.insert(person),
        [
            {
                "person_id": one.person_id, "identity_cipher": keyring.encrypt(one.number),
                "identity_lookup": keyring.lookup(one.number), "name_cipher": keyring.encrypt(one.name),
                "created_at": now,
            }
            for one in people
        ],
    )  # fmt: skip
    connection.execute(sa.insert(person_fact), list(_facts(county, towns, stamp)))
    connection.execute(sa.insert(household), list(_homes(county, towns, stamp)))
    connection.execute(sa.insert(enrolment), list(_enrolments(county, held, stamp)))
    connection.execute(sa.insert(spell), list(_spells(county, stamp)))
    connection.execute(
        sa.insert(provider),
        [
            {"provider_id": code, "name": name, "level": level, "place": place}
            for code, name, level, place in FACILITIES
        ],
    )
    return people


def bills_of(county: County, people: Sequence[Someone], *, first: date, last: date) -> list[Bill]:
    """Give the claims that ended between two days, each with a facility of its level, in the order of settling."""
    towns = {one.person_id: one.place for one in people}
    own = {town: f"T{number:02d}" for number, town in enumerate(TOWNSHIPS, 1)}
    kept = county.claims.filter(pl.col("end_date").is_between(first, last))
    bills = []
    for row in kept.iter_rows(named=True):
        even = row["claim_id"][-1] in "02468"
        at = {
            "primary": own[towns[row["person_id"]]], "1": "H11" if even else "H12",
            "2": "H21" if even else "H22", "3": "H32" if (row["diagnosis"] or "").startswith("C") else "H31",
        }[row["facility_level"]]  # fmt: skip
        names = ("total", "off_catalogue", "over_limit", "first_self_pay", "in_scope")
        amounts = {f"{name}_fen": round(row[name] * 100) for name in names}
        same = (
            "claim_id", "person_id", "care_type", "facility_level", "area", "referral", "start_date", "end_date",
            "diagnosis",
        )  # fmt: skip
        said: dict[str, Any] = {name: row[name] for name in same}
        bills.append(Bill(**said, **amounts, settled_date=row["end_date"], provider_id=at))
    return sorted(bills, key=lambda one: one.order)


def _someone(
    row: Mapping[str, Any], at: int, towns: Mapping[str, str], held: Mapping[str, list[str]], dice: random.Random
) -> Someone:
    name = dice.choice(_SURNAMES) + "".join(dice.sample(_GIVEN, dice.choice((1, 2, 2))))
    return Someone(
        row["person_id"], name, _number(row["birth_date"], at), towns[row["household_id"]], row["household_id"],
        tuple(held.get(row["person_id"], ())), row["scheme"],
    )  # fmt: skip


def _number(born: date, at: int) -> str:
    """Give an identity number of a division that does not exist, with the right check digit."""
    body = f"99{at // 1000 % 10_000:04d}{born:%Y%m%d}{at % 1000:03d}"
    return next(body + digit for digit in "0123456789X" if is_identity(body + digit))


def _facts(county: County, towns: Mapping[str, str], stamp: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in county.people.iter_rows(named=True):
        yield {
            "person_id": row["person_id"], "birth_date": row["birth_date"], "sex": row["sex"],
            "residence": row["residence"], "household_id": row["household_id"], "place": towns[row["household_id"]],
            "family_doctor": row["family_doctor"], "valid_from": max(row["birth_date"], date(2020, 1, 1)),
            "source": "public_security", **stamp,
        }  # fmt: skip


def _homes(county: County, towns: Mapping[str, str], stamp: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in county.households.iter_rows(named=True):
        yield {
            "household_id": row["household_id"], "place": towns[row["household_id"]], "size": row["size"],
            "income_fen": round(row["registered_income"] * 100),
            "consumption_fen": round(row["consumption"] * 100),
            "food_fen": round(row["food"] * 100), "labour_capacity": row["adults"] > 0,
            "valid_from": date(2020, 1, 1), "source": "civil_affairs", **stamp,
        }  # fmt: skip


def _enrolments(county: County, held: Mapping[str, list[str]], stamp: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in county.people.iter_rows(named=True):
        for year in (2025, 2026):
            start = max(date(year, 1, 1), row["enrolled_from"] or date(year, 1, 1))
            if row["scheme"] == "none" or start.year > year:
                continue
            share, group = max(
                ((_PAID_FOR.get(one, 0.0), one) for one in held.get(row["person_id"], ())), default=(0.0, None)
            )
            resident = row["scheme"] == "resident"
            yield {
                "person_id": row["person_id"], "benefit_year": year, "scheme": row["scheme"],
                "insured_class": row["insured_class"], "continuous_years": row["continuous_years"],
                "claim_free_years": row["claim_free_years"], "premium_fen": _PREMIUM_FEN if resident else None,
                "subsidy_fen": round(_PREMIUM_FEN * share) if resident else None,
                "subsidy_group": group if resident and share else None, "paid_on": date(year - 1, 11, 20),
                "valid_from": start, "valid_to": date(year + 1, 1, 1), "source": "tax", **stamp,
            }  # fmt: skip


def _spells(county: County, stamp: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in county.spells.iter_rows(named=True):
        source = _BROUGHT_BY.get(row["group"], "civil_affairs")
        last = row["to_date"]
        yield {
            "person_id": row["person_id"], "group": row["group"], "detail": row["detail"],
            "recognised_by": {"civil_affairs": "示范县民政局"}.get(source, "示范县农业农村局"),
            "recognised_on": row["from_date"], "valid_from": row["from_date"],
            "valid_to": None if last is None else last + timedelta(days=1), "source": source, **stamp,
        }  # fmt: skip
