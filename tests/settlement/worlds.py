"""Make random law and random histories for hypothesis: every feature of the model, every shape of a year.

A `World` is a policy of one to three versions with the claims, people and spells of a few persons, as a user would
bring them. Amounts lie near the thresholds of the policy, dates tie, stays continue others, statuses come and go.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from medfloor import tables
from medfloor.money import format_yuan
from medfloor.policy.load import PolicySet
from medfloor.policy.model import Policy

Draw = Callable[[st.SearchStrategy[Any]], Any]
Raw = dict[str, Any]

TIERS = ("basic", "critical_illness", "assistance", "commercial", "tilt")
GROUPS = ("tekun", "dibao", "special")
POOLS = ("in_scope", "referral_share", "set_aside", "first_self_pay", "over_limit", "off_catalogue")
EDGES_FEN = (1, 100, 9_999, 33_333, 130_000, 500_000, 3_000_000, 6_500_050)
"""The amounts at which the random law changes; the random claims are drawn around them."""

CLAIM_COLUMNS = ("paid_elsewhere", "own_limit")
PERSON_COLUMN = "own_deductible"
NAME = {"zh": "随机", "en": "random"}
INCOME = [{"year": year, "value": f"{year * 3}.37", "unit": "yuan"} for year in range(2015, 2030)]
ALWAYS = {
    "schema": 1,
    "id": "random/place",
    "name": NAME,
    "from": "2020-01-01",
    "groups": [{"id": "special", "name": NAME}],
    "series": [{"id": "income", "name": NAME, "values": INCOME}],
}
"""What every random policy has."""


@dataclass(frozen=True)
class World:
    """Be a policy and what is settled under it; tables in the columns of the data contract, yuan as text."""

    policies: PolicySet
    claims: pl.DataFrame
    people: pl.DataFrame
    spells: pl.DataFrame

    def __repr__(self) -> str:
        """Write all that is needed to build the world again, for hypothesis to show."""
        versions = [
            version.model_dump(mode="json", by_alias=True, exclude_defaults=True) for version in self.policies.versions
        ]
        tables = ",\n".join(repr([_told(row) for row in t.to_dicts()]) for t in (self.claims, self.people, self.spells))
        return f"world_of({[_told(version) for version in versions]!r},\n{tables})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


def _told(value: Any) -> Any:
    """Leave out what is empty or the same in every world."""
    if isinstance(value, list):
        return [_told(item) for item in value]
    if isinstance(value, dict):
        dull = {"schema", "id" if "tiers" in value else "", "series", "groups"}
        return {k: _told(v) for k, v in value.items() if v is not None and k not in dull and v != NAME}
    return value


def policy_set(*versions: Raw) -> PolicySet:
    """Make the versions of one place from plain data; what every policy needs is filled in."""
    made = [Policy.model_validate(_named({**ALWAYS, **raw})) for raw in versions]
    return PolicySet("random/place", tuple(made), False, tuple(Path() for _ in made))


def _named(raw: Raw) -> Raw:
    """Give tiers, pots and ceilings a name where they have none."""
    lists = {key: [{"name": NAME, **item} for item in raw[key]] for key in ("tiers", "pots", "ceilings") if key in raw}
    return raw | lists


def world_of(versions: Sequence[Raw], claims: Sequence[Raw], people: Sequence[Raw], spells: Sequence[Raw]) -> World:
    """Make a world from plain data."""
    return World(policy_set(*versions), claims_frame(claims), people_frame(people), spells_frame(spells))


def claims_frame(rows: Sequence[Raw]) -> pl.DataFrame:
    """Make a claims table; every column of the contract and the columns that the random law reads are there."""
    return _frame(rows, (*tables.CLAIMS.names, *CLAIM_COLUMNS))


def people_frame(rows: Sequence[Raw]) -> pl.DataFrame:
    """Make a people table."""
    return _frame(rows, (*tables.PEOPLE.names, PERSON_COLUMN))


def spells_frame(rows: Sequence[Raw]) -> pl.DataFrame:
    """Make a spells table."""
    return _frame(rows, tables.SPELLS.names)


def _frame(rows: Sequence[Raw], names: Sequence[str]) -> pl.DataFrame:
    texts = {n: [None if row.get(n) is None else str(row[n]) for row in rows] for n in names}
    return pl.DataFrame(texts, schema=dict.fromkeys(names, pl.String))


def examples(count: int) -> settings:
    """Try `count` examples, and fifty times as many where MEDFLOOR_HYPOTHESIS=search asks for it."""
    many = os.environ.get("MEDFLOOR_HYPOTHESIS") == "search"
    return settings(max_examples=count * 50 if many else count)


def _often(draw: Draw, per_cent: int) -> bool:
    return bool(draw(st.integers(0, 99)) >= 100 - per_cent)


def _some(values: Sequence[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=min(most, len(values)), unique=True)


# --- law --------------------------------------------------------------------------------------------------------------

_YEARS = st.sampled_from(
    [{"at_least": 60}, {"under": 18}, {"over": 6, "at_most": 70}, {"at_least": 0}, {"at_most": "6.5"}, {"over": "59.5"}]
)
_COUNTS = st.sampled_from([{"at_least": 1}, {"under": 1}, {"over": 3}, {"at_most": 4}, {"at_least": 2, "under": 5}])
_TOTALS = st.sampled_from(
    [{"over": "333.33"}, {"at_least": 1300}, {"under": "0.01"}, {"at_most": 30000}, {"over": "99.985", "under": 5000}]
)
CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "care_type": _some(tables.CARE_TYPES, 2),
    "facility_level": _some(tables.FACILITY_LEVELS),
    "area": _some(tables.AREAS, 2),
    "referral": _some(tables.REFERRALS, 2),
    "scheme": _some(tables.SCHEMES, 2),
    "insured_class": _some(tables.INSURED_CLASSES, 2),
    "residence": _some(tables.RESIDENCES, 1),
    "sex": _some(tables.SEXES, 1),
    "family_doctor": st.booleans(),
    "group": _some((*GROUPS, "none"), 2),
    "holds": _some(GROUPS, 2),
    "lacks": _some(GROUPS, 2),
    "age": _YEARS,
    "continuous_years": _COUNTS,
    "claim_free_years": _COUNTS,
    "total": _TOTALS,
    "diagnosis": _some(("C", "C5", "I10", "A00", ""), 2),
}


@st.composite
def whens(draw: Draw, most: int = 2) -> Raw:
    """Draw a condition on one or two dimensions."""
    return {key: draw(CONDITIONS[key]) for key in draw(_some(tuple(CONDITIONS), most))}


def _param(draw: Draw, value: Callable[[], Raw], conditional: int = 30) -> list[Raw]:
    """Draw a number of law: cases under conditions, and one that always fits at the end."""
    cases = []
    while len(cases) < 2 and _often(draw, conditional):
        cases.append({"when": draw(whens()), **value()})
    return [*cases, value()]


def percent(value: int | str) -> Raw:
    """Make a number of law in per cent."""
    return {"value": value, "unit": "percent"}


def yuan(fen: int) -> Raw:
    """Make a number of law in yuan."""
    return {"value": format_yuan(fen), "unit": "yuan"}


def _amount(draw: Draw, columns: bool = True, unlimited: bool = False) -> Raw:
    """Draw an amount: mostly fixed, else of a series, from a column, or without limit."""
    kind = draw(st.integers(0, 19))
    if kind == 19 and columns:
        return {
            "column": draw(st.sampled_from((*CLAIM_COLUMNS, PERSON_COLUMN))),
            **yuan(draw(st.sampled_from(EDGES_FEN))),
        }
    if kind == 18 and columns:
        return {"column": PERSON_COLUMN, "unit": "yuan", "unlimited": unlimited}
    if kind == 17:
        share = draw(st.sampled_from([10, 25, "33.33"]))
        return {"value": share, "unit": "percent", "of": {"series": "income", "lag": draw(st.integers(0, 2))}}
    if kind == 16 and unlimited:
        return {"unit": "yuan", "unlimited": True}
    if kind == 15:
        return yuan(0)
    return yuan(draw(st.sampled_from(EDGES_FEN)))


def _brackets(draw: Draw, whole_rates: bool) -> list[Raw]:
    """Draw brackets whose ends rise under every condition."""
    ends = sorted(draw(st.lists(st.sampled_from(EDGES_FEN), max_size=3, unique=True)))
    rates: Sequence[int | str] = (0, 30, 50, 60, 75, 100) if whole_rates else (0, 30, "33.33", 50, "62.5", 85, 100)

    def rate() -> list[Raw]:
        return _param(draw, lambda: percent(draw(st.sampled_from(rates))), 15)

    return [
        *(
            {"up_to": _param(draw, lambda end=end: yuan(end + draw(st.integers(0, 40))), 10), "rate": rate()}
            for end in ends
        ),
        {"rate": rate()},
    ]


def _adjust(draw: Draw) -> list[Raw]:
    """Draw changes of the rates; at most one is a share, so that rates stay whole basis points."""
    changes: list[Raw] = []
    for _ in range(draw(st.integers(1, 2))):
        points = {"points": {"value": draw(st.sampled_from([5, 10, -10, 120])), "unit": "points"}}
        changes.append({"when": draw(whens()), **points} if _often(draw, 70) else points)
    if _often(draw, 50):
        times = {"when": draw(whens()), "times": percent(draw(st.sampled_from([50, 90, 110])))}
        changes.insert(draw(st.integers(0, len(changes))), times)
    return changes


def _deductible(draw: Draw, home: str) -> Raw:
    per = draw(st.sampled_from(["admission", "claim", "year", "admission", "year"]))
    made: Raw = {"per": per, "amount": _param(draw, lambda: _amount(draw, unlimited=True))}
    if _often(draw, 20):
        made["factor"] = [{"when": draw(whens()), **percent(draw(st.sampled_from([0, 50, 75])))}]
    if per == "year":
        made["fixed_by"] = draw(st.sampled_from(["current", "current", "first"]))
        if _often(draw, 40):
            made["counter"] = f"c{draw(st.integers(0, 1))}_{home}"
    if per == "admission":
        made["transfer"] = draw(
            st.sampled_from(["first_if_fund_paid", "first_if_fund_paid", "highest", "new_admission"])
        )
        made["repeat"] = [_repeat(draw) for _ in range(draw(st.integers(0, 3)))]
    return made


def _repeat(draw: Draw) -> Raw:
    rule: Raw = {"from_admission": draw(st.integers(2, 4)), "count": draw(st.sampled_from(["all", "same_level"]))}
    if _often(draw, 30):
        rule["when"] = draw(whens())
    if _often(draw, 50):
        return rule | {"percent": percent(draw(st.sampled_from([0, 50, "33.33", 80])))}
    return rule | {"minus_each": yuan(draw(st.sampled_from([100, 10_000])))}


def _part(draw: Draw, name: str, home: str, pots: Sequence[str]) -> Raw:
    part: Raw = {"id": name}
    if _often(draw, 60):
        part["when"] = draw(whens())
    if _often(draw, 50):
        part["pots"] = draw(_some(pots, 2)) if pots else []
    if _often(draw, 15):
        part["cap_per_claim"] = _param(draw, lambda: _amount(draw, unlimited=True))
    if _often(draw, 15):
        part["keeps_from_later"] = draw(_some(("deductible", "over_cap"), 2))
    if _often(draw, 60):
        part["deductible"] = _deductible(draw, home)
    kind = draw(st.integers(0, 19))
    if kind == 19:
        return part | {"pays": "nothing", "feeds": draw(st.booleans())}
    if kind == 18:
        return part | {"pays": "given", "given": draw(st.sampled_from(CLAIM_COLUMNS))}
    if _often(draw, 15):
        part["first_share"] = _param(draw, lambda: percent(draw(st.sampled_from([10, 20, "33.33", 100]))))
    part["per"] = draw(st.sampled_from(["claim", "year"]))
    if part["per"] == "year" and _often(draw, 50):
        part["counter"] = f"c{draw(st.integers(0, 1))}_{home}"
    part["origin"] = draw(st.sampled_from(["excess", "absolute"]))
    adjusted = _often(draw, 30)
    part["brackets"] = _brackets(draw, adjusted)
    if adjusted:
        part["adjust"] = _adjust(draw)
    if _often(draw, 15):
        share = _param(draw, lambda: percent(draw(st.sampled_from([0, 45, "12.34"]))))
        part["floor"] = {"share": share, "of": draw(st.sampled_from(["total", "total_less_deductible", "in_scope"]))}
    return part


def _pot(draw: Draw, name: str, home: str) -> Raw:
    pot: Raw = {"id": name, "scope": {"p": "person", "h": "household"}[home]}
    pot["cap"] = _param(draw, lambda: _amount(draw, unlimited=True), 20)
    if _often(draw, 30):
        growth: Raw = {}
        if _often(draw, 70):
            growth["per_continuous_year"] = yuan(draw(st.sampled_from([1, 5_000, 300_000])))
            if _often(draw, 50):
                growth["continuous_after"] = {"value": draw(st.integers(0, 5)), "unit": "year"}
        if _often(draw, 60):
            growth["per_claim_free_year"] = yuan(draw(st.sampled_from([1, 7_777])))
        if _often(draw, 60):
            growth["at_most"] = percent(draw(st.sampled_from([0, 20, "33.33"])))
        pot["growth"] = growth
    return pot


def _version(draw: Draw, homes: dict[str, str]) -> Raw:
    raw: Raw = {"status_day": draw(st.sampled_from(["any_day", "start", "end", "settled"]))}
    if _often(draw, 40):
        raw["rounding"] = {
            "mode": draw(st.sampled_from(["half_up", "half_even", "down", "up"])),
            "place": draw(st.sampled_from(["fen", "jiao", "yuan"])),
        }
    if _often(draw, 50):
        raw["classes"] = [
            {"id": "young", "insured_class": "student_child", "when": {"age": draw(_YEARS)}},
            {"id": "old", "insured_class": "elderly", "when": {"age": {"at_least": 60}, "sex": "female"}},
        ]
    pots = [_pot(draw, f"pot{number}_{home}", home) for number, home in enumerate("pph") if _often(draw, 50)]
    raw["pots"] = pots
    tiers = []
    for name in draw(st.lists(st.sampled_from(TIERS), min_size=1, max_size=5, unique=True)):
        tier: Raw = {"id": name, "accumulate": {"p": "person", "h": "household"}[homes[name]]}
        if _often(draw, 30):
            tier["base"] = draw(st.lists(st.sampled_from(POOLS), min_size=1, max_size=6, unique=True))
        if _often(draw, 60):
            tier["prefer"] = draw(_some(GROUPS))
        if _often(draw, 30):
            tier["status_day"] = draw(st.sampled_from(["any_day", "start", "end", "settled"]))
        count = draw(st.integers(1, 3))
        tier["parts"] = [_part(draw, f"k{k}", homes[name], [pot["id"] for pot in pots]) for k in range(count)]
        tiers.append(tier)
    raw["tiers"] = tiers
    ceilings = []
    for number in range(2 if _often(draw, 10) else int(_often(draw, 30))):
        ceiling: Raw = {"id": f"ceiling{number}", "give_back": draw(_some([tier["id"] for tier in tiers], 5))}
        ceiling["share"] = _param(draw, lambda: percent(draw(st.sampled_from([0, 50, "87.65", 90]))))
        ceilings.append(ceiling | ({"when": draw(whens())} if _often(draw, 40) else {}))
    raw["ceilings"] = ceilings
    return raw


@st.composite
def policy_sets(draw: Draw, homes: Sequence[str] = ("p", "p", "h")) -> PolicySet:
    """Draw the law of one place: one to three versions that change in the middle of a year."""
    of_tier = {name: draw(st.sampled_from(homes)) if _often(draw, 50) else "p" for name in TIERS}
    benefit_year = {
        "starts": draw(st.sampled_from(["01-01", "01-01", "07-01"])),
        "belongs_by": draw(st.sampled_from(["end_date", "start_date", "settled_date"])),
    }
    starts = ["2020-01-01", *draw(st.sampled_from([(), (), ("2024-03-15",), ("2024-03-15", "2024-08-01")]))]
    versions = []
    for start in starts:
        raw = _version(draw, of_tier)
        versions.append({**raw, "from": start, "benefit_year": benefit_year})
    return policy_set(*versions)


@st.composite
def tilted_laws(draw: Draw) -> Raw:
    """Draw a policy that treats dibao better in every number; each tier has a pot and a counter of its own."""
    tilt = {"group": "dibao"}
    tiers, pots = [], []
    for name in TIERS[: draw(st.integers(1, 4))]:
        edges = draw(st.lists(st.sampled_from(EDGES_FEN), min_size=4, max_size=4, unique=True).map(sorted))
        rates = [draw(st.sampled_from([0, 30, 50, 60, 75, 100])) for _ in range(3)]
        part: Raw = {
            "id": "k0",
            "per": draw(st.sampled_from(["claim", "year"])),
            "brackets": [
                {"up_to": yuan(edges[0]), "rate": percent(rates[0])},
                {"up_to": yuan(edges[1]), "rate": percent(rates[1])},
                {"rate": percent(rates[2])},
            ],
            "adjust": [{"when": tilt, "points": {"value": draw(st.sampled_from([0, 5, 20])), "unit": "points"}}],
        }
        if _often(draw, 70):
            per = draw(st.sampled_from(["claim", "year", "admission"]))
            factor = [{"when": tilt, **percent(draw(st.sampled_from([0, 50, 100])))}]
            part["deductible"] = {"per": per, "amount": yuan(draw(st.sampled_from(EDGES_FEN))), "factor": factor}
        if _often(draw, 50):
            pots.append({"id": name, "cap": [{"when": {"holds": "dibao"}, **yuan(edges[3])}, yuan(edges[2])]})
            part["pots"] = [name]
        if _often(draw, 30):
            part["cap_per_claim"] = [{"when": tilt, "unit": "yuan", "unlimited": True}, yuan(edges[3])]
        if _often(draw, 30):
            part["keeps_from_later"] = ["deductible"]
        tiers.append({"id": name, "prefer": ["dibao"], "parts": [part]})
    return {"tiers": tiers, "pots": pots}


# --- histories --------------------------------------------------------------------------------------------------------

FIRST_DAY = date(2024, 1, 20)
_BIRTHS = (None, "1954-05-02", "1964-02-29", "1990-01-01", "2006-02-10", "2018-02-20", "2023-06-30")


def amounts(largest_fen: int = 10**13) -> st.SearchStrategy[int]:
    """Draw an amount in fen: nothing, one fen, near a threshold of the law, ordinary, or very large."""
    near = st.builds(lambda edge, off: max(0, edge + off), st.sampled_from(EDGES_FEN), st.integers(-2, 2))
    return st.one_of(near, st.integers(0, 20_000_000), st.sampled_from([0, 1, 2, 10_000, largest_fen]))


@st.composite
def people_rows(draw: Draw, most: int = 4) -> list[Raw]:
    """Draw persons in one or two households; some have a gap in their enrolment or change their scheme."""
    rows = []
    for number in range(draw(st.integers(1, most))):
        person = {
            "person_id": f"p{number}",
            "household_id": f"h{draw(st.integers(0, 1))}",
            "birth_date": draw(st.sampled_from(_BIRTHS)),
            "sex": draw(st.sampled_from((None, *tables.SEXES))),
            "scheme": draw(st.sampled_from((None, *tables.SCHEMES))),
            "residence": draw(st.sampled_from((None, *tables.RESIDENCES))),
            "insured_class": draw(st.sampled_from((None, None, *tables.INSURED_CLASSES))),
            "continuous_years": draw(st.sampled_from((None, 0, 1, 4, 5, 9, 40))),
            "claim_free_years": draw(st.sampled_from((None, 0, 1, 3, 30))),
            "family_doctor": draw(st.sampled_from((None, "yes", "no"))),
            PERSON_COLUMN: draw(st.sampled_from((None, None, "0", "0.01", "1300", "99.99"))),
        }
        match draw(st.integers(0, 5)):
            case 4:
                rows.append(person | {"enrolled_from": "2023-06-30", "enrolled_to": "2024-04-10"})
            case 5:
                rows.append(person | {"enrolled_to": "2024-03-01"})
                later = {"scheme": draw(st.sampled_from(tables.SCHEMES)), "enrolled_from": "2024-03-20"}
                rows.append(person | later | {"residence": draw(st.sampled_from((None, *tables.RESIDENCES)))})
            case _:
                rows.append(person)
    return rows


@st.composite
def spell_rows(draw: Draw, persons: Sequence[str], groups: Sequence[str] = GROUPS) -> list[Raw]:
    """Draw statuses that come, go and overlap."""
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        since = draw(st.integers(-40, 120))
        until = draw(st.one_of(st.none(), st.integers(0, 100)))
        rows.append(
            {
                "person_id": draw(st.sampled_from(persons)),
                "group": draw(st.sampled_from(groups)),
                "from_date": FIRST_DAY + timedelta(days=since),
                "to_date": None if until is None else FIRST_DAY + timedelta(days=since + until),
            }
        )
    return rows


def a_claim(claim_id: str = "c1", in_scope_fen: int = 100_000, day: str = "2024-03-01", **changes: Any) -> Raw:
    """Make a plain stay of one day; every column can be changed."""
    row = {
        "claim_id": claim_id,
        "person_id": "p0",
        "care_type": "inpatient",
        "facility_level": "3",
        "start_date": date.fromisoformat(day),
        "end_date": date.fromisoformat(day),
        "in_scope": format_yuan(in_scope_fen),
        "total": format_yuan(in_scope_fen),
        **changes,
    }
    return {"settled_date": row["end_date"], **row}


def one_tier(part: Raw, **policy: Any) -> Raw:
    """Make a policy with one tier of one part."""
    return {"tiers": [{"id": "basic", "parts": [{"id": "k0", **part}]}], **policy}


def key_of(row: Raw) -> tuple[date, date, str]:
    """Give what decides the order of settlement."""
    return row["settled_date"], row["start_date"], row["claim_id"]


@st.composite
def claim_rows(draw: Draw, persons: Sequence[str], most: int = 12, largest_fen: int = 10**13) -> list[Raw]:
    """Draw claims in the order of settlement; stays may continue any earlier claim of the same person."""
    count = draw(st.integers(0, most))
    ids = draw(st.permutations([f"{'abc'[k % 3]}{k:02d}" for k in range(count)])) if count else []
    rows: list[Raw] = []
    span = draw(st.sampled_from([10, 120, 420]))
    for claim_id in ids:
        start = FIRST_DAY + timedelta(days=draw(st.integers(0, span)))
        end = start + timedelta(days=draw(st.sampled_from([0, 0, 1, 9, 40])))
        parts = {"in_scope": draw(amounts(largest_fen))}
        for name in ("off_catalogue", "over_limit", "first_self_pay"):
            parts[name] = draw(amounts(largest_fen)) if _often(draw, 25) else 0
        rows.append(
            {
                "claim_id": claim_id,
                "person_id": draw(st.sampled_from(persons)),
                "care_type": draw(st.sampled_from(("inpatient", "inpatient", *tables.CARE_TYPES))),
                "facility_level": draw(st.sampled_from(tables.FACILITY_LEVELS)),
                "area": draw(st.sampled_from(("local", "local", *tables.AREAS))),
                "referral": draw(st.sampled_from(("regular", "regular", *tables.REFERRALS))),
                "diagnosis": draw(st.sampled_from((None, "C", "C50.9", "C61", "I10", "A0"))),
                "start_date": start,
                "end_date": end,
                "settled_date": end + timedelta(days=draw(st.sampled_from([0, 0, 0, 3, 30]))),
                **{name: format_yuan(fen) for name, fen in parts.items()},
                "total": format_yuan(sum(parts.values())),
                "paid_elsewhere": draw(st.sampled_from((None, None, "0", "0.01", "50", "999999"))),
                "own_limit": draw(st.sampled_from((None, None, "0", "0.01", "1300"))),
            }
        )
    rows.sort(key=key_of)
    for place, row in enumerate(rows):
        before = [other["claim_id"] for other in rows[:place] if other["person_id"] == row["person_id"]]
        if before and _often(draw, 35):
            row["continues"] = draw(st.sampled_from(before))
    return rows


@st.composite
def worlds(draw: Draw, homes: Sequence[str] = ("p", "p", "h"), most_claims: int = 12) -> World:
    """Draw law and history together; the claims come shuffled."""
    policies = draw(policy_sets(homes))
    people = draw(people_rows())
    persons = sorted({row["person_id"] for row in people})
    claims = draw(claim_rows(persons, most_claims))
    spells = draw(spell_rows(persons))
    claims = draw(st.permutations(claims)) if claims else claims
    return World(policies, claims_frame(claims), people_frame(people), spells_frame(spells))


@st.composite
def stay_worlds(draw: Draw) -> World:
    """Draw one person's year of stays: transfers between levels, repeats, small amounts around the deductibles."""
    small = st.sampled_from([0, 1, 99, 100, 101, 150, 200, 201, 400])
    tiers = []
    for name in TIERS[: draw(st.integers(1, 2))]:
        levels = [{"when": {"facility_level": level}, **yuan(draw(small))} for level in ("1", "2")]
        deductible: Raw = {"per": "admission", "amount": [*levels, yuan(draw(small))]}
        deductible["transfer"] = draw(st.sampled_from(["first_if_fund_paid", "highest", "new_admission"]))
        deductible["repeat"] = [_repeat(draw) | {"from_admission": 2} for _ in range(draw(st.integers(1, 2)))]
        part = {"id": "k0", "deductible": deductible, "brackets": [{"rate": percent(draw(st.sampled_from([50, 100])))}]}
        tiers.append({"id": name, "parts": [part]})
    rows: list[Raw] = []
    for number in range(draw(st.integers(2, 8))):
        changes: Raw = {"facility_level": draw(st.sampled_from(("1", "2")))}
        if rows and _often(draw, 50):
            changes["continues"] = draw(st.sampled_from([row["claim_id"] for row in rows[-2:]]))
        rows.append(a_claim(f"c{number}", draw(small), f"2024-03-{number + 1:02}", **changes))
    return world_of([{"tiers": tiers}], rows, [{"person_id": "p0"}], [])


@st.composite
def curve_worlds(draw: Draw) -> World:
    """Draw a year of small claims under schedules over the year, with a status that changes the curve half way."""
    small = st.sampled_from([0, 1, 2, 50, 99, 100, 101, 149, 200, 301])
    rates = st.sampled_from([0, "33.33", 50, "62.5", "99.99", 100])
    home = draw(st.booleans())
    tiers = []
    for name in TIERS[: draw(st.integers(1, 3))]:
        amount = [{"when": {"group": "dibao"}, **yuan(draw(small))}, yuan(draw(small))]
        ends = draw(st.lists(st.sampled_from([50, 100, 150, 301]), max_size=2, unique=True).map(sorted))
        better = {"when": {"group": "dibao"}, **percent(draw(rates))}
        part: Raw = {
            "id": "k0",
            "per": "year",
            "origin": draw(st.sampled_from(["excess", "absolute"])),
            "deductible": {
                "per": "year",
                "amount": amount,
                "fixed_by": draw(st.sampled_from(["current"] * 3 + ["first"])),
            },
            "brackets": [
                *({"up_to": yuan(end), "rate": [better, percent(draw(rates))]} for end in ends),
                {"rate": [better, percent(draw(rates))]},
            ],
        }
        if _often(draw, 30):
            part["keeps_from_later"] = ["deductible"]
        tiers.append(
            {"id": name, "prefer": ["dibao"], "accumulate": "household" if home else "person", "parts": [part]}
        )
    rows = [
        a_claim(f"c{number}", draw(small), f"2024-03-{number + 1:02}", person_id=draw(st.sampled_from(("p0", "p1"))))
        for number in range(draw(st.integers(1, 7)))
    ]
    rounding = {"mode": draw(st.sampled_from(["half_up", "half_even", "down", "up"]))}
    people = [{"person_id": name, "household_id": "h"} for name in ("p0", "p1")]
    spells = [{"person_id": "p0", "group": "dibao", "from_date": "2024-03-03"}]
    return world_of([{"tiers": tiers, "rounding": rounding}], rows, people, spells)
