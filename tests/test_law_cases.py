"""Run the law cases of tests/law under both engines: every amount of money exactly, as text.

A case gives rows in the columns of the data contract, yuan. To keep them short, these are filled in where absent: a
claim's person_id (p1), care_type (inpatient), end_date (start_date) and in_scope (total less its other parts); a
spell's person_id (p1); a person's row. `policy` or `policy_file` of a case goes before that of its file; `reform` is
the content of a reform file. `expect` names columns of settlements, `refused` the reason of a refused claim, `raises`
the code of the error that refuses the whole run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from ruamel.yaml import YAML

from medfloor.errors import MedfloorError
from medfloor.policy.load import PolicySet, load_policy
from medfloor.settlement import settle

LAW = Path(__file__).parent / "law"
PARTS = ("off_catalogue", "over_limit", "first_self_pay")
DATES = ("start_date", "end_date", "settled_date", "birth_date", "from_date", "to_date", "enrolled_from", "enrolled_to")
COUNTS = ("continuous_years", "claim_free_years")
TRUSTS = ("published", "derived", "unverified")


@dataclass(frozen=True)
class LawCase:
    """Be one case with the file that it stands in."""

    file: Path
    name: str
    content: dict[str, Any]


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    return content


def _cases() -> list[LawCase]:
    cases = []
    for file in sorted(LAW.glob("*.yaml")):
        content = _read(file)
        shared: dict[str, Any] = {key: content[key] for key in ("policy", "policy_file") if key in content}
        for case in content["cases"]:
            base = {} if "policy" in case or "policy_file" in case else shared
            cases.append(LawCase(file, case["name"], {**base, **case}))
    return cases


CASES = _cases()


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Make a table of rows; money and codes as text, dates as dates, as an extract would bring them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns: dict[str, pl.Series] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if name in DATES:
            columns[name] = pl.Series(name, values, dtype=pl.Date)
        elif name in COUNTS:
            columns[name] = pl.Series(name, values, dtype=pl.Int64)
        else:
            columns[name] = pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
    return pl.DataFrame(columns)


def _claims(case: dict[str, Any]) -> pl.DataFrame:
    rows = []
    for claim in case["claims"]:
        row = {"person_id": "p1", "care_type": "inpatient", "end_date": claim["start_date"], **claim}
        parts = sum((Decimal(str(row.get(part, 0))) for part in PARTS), Decimal(0))
        row.setdefault("in_scope", Decimal(str(row["total"])) - parts)
        rows.append(row)
    return _frame(rows)


def _people(case: dict[str, Any], claims: pl.DataFrame) -> pl.DataFrame:
    rows = list(case.get("people", []))
    known = {row["person_id"] for row in rows}
    rows += [{"person_id": person} for person in claims["person_id"].unique(maintain_order=True) if person not in known]
    return _frame(rows)


def _spells(case: dict[str, Any]) -> pl.DataFrame | None:
    rows = [{"person_id": "p1", "to_date": None, **spell} for spell in case.get("spells", [])]
    for row in rows:
        row.setdefault("from_date", date(1970, 1, 1))
    return _frame(rows) if rows else None


def _policy(case: dict[str, Any], folder: Path) -> PolicySet:
    address = case.get("policy")
    if address is None:
        address = str(_written(case["policy_file"], folder / "policy.yaml"))
    reforms = [_written(case["reform"], folder / "reform.yaml")] if "reform" in case else []
    return load_policy(address, reforms)


def _written(content: dict[str, Any], file: Path) -> Path:
    with file.open("w", encoding="utf-8") as out:
        YAML(typ="safe", pure=True).dump(content, out)
    return file


def _text(value: Any) -> str:
    """Write an amount as the cases do: two decimals; all else as it is."""
    return str(Decimal(repr(value)).quantize(Decimal("0.01"))) if isinstance(value, float) else str(value)


@pytest.mark.parametrize("engine", ["reference", "kernel"])
@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.file.stem}: {case.name}") for case in CASES])
def test_law_case(case: LawCase, engine: Literal["reference", "kernel"], tmp_path: Path) -> None:
    content = case.content
    claims = _claims(content)
    people, spells, policy = _people(content, claims), _spells(content), _policy(content, tmp_path)
    if "raises" in content:
        with pytest.raises(MedfloorError) as caught:
            settle(claims, people, spells, policy, engine=engine)
        assert caught.value.code == content["raises"]
        return
    result = settle(claims, people, spells, policy, engine=engine)

    rejected = dict(result.rejected.select("claim_id", "reason").iter_rows())
    assert rejected == content.get("refused", {})
    rows = {row["claim_id"]: row for row in result.settlements.iter_rows(named=True)}
    assert rows.keys() | rejected.keys() == set(claims["claim_id"])
    expected = content.get("expect", {})
    got = {claim: {name: _text(rows[claim][name]) for name in columns} for claim, columns in expected.items()}
    assert got == {claim: {name: str(value) for name, value in columns.items()} for claim, columns in expected.items()}


def test_every_law_file_says_where_its_numbers_come_from() -> None:
    for file in sorted(LAW.glob("*.yaml")):
        content = _read(file)
        assert content["title"] and content["source"], file.name
        for case in content["cases"]:
            assert case["trust"] in TRUSTS, f"{file.name}: {case['name']}"
            assert case["why"], f"{file.name}: {case['name']}"
            assert case.keys() & {"expect", "refused", "raises"}, f"{file.name}: {case['name']}"


def test_no_two_cases_of_a_file_share_a_name() -> None:
    names = [(case.file, case.name) for case in CASES]
    assert len(names) == len(set(names))
