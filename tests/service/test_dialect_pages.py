"""Keep the examples of docs/national.md and docs/fhir.md true: what they send is sent, what they show is what comes back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from county import settle_in
from office import OfficeAtWork

from medfloor.service import national

DOCS = Path(__file__).resolve().parents[2] / "docs"


def block(page: str, kind: str) -> Any:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```json {kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def shown(value: Any, like: Any) -> Any:
    """Give a value as the page shows it: `...` stands for any text."""
    if like == "...":
        return "..."
    if isinstance(value, dict) and isinstance(like, dict):
        return {name: shown(one, like.get(name)) for name, one in value.items()}
    if isinstance(value, list) and isinstance(like, list) and len(value) == len(like):
        return [shown(one, other) for one, other in zip(value, like, strict=True)]
    return value


@pytest.mark.parametrize(
    ("page", "path"), [("national.md", "/api/v1/national/2304"), ("fhir.md", "/fhir/Claim")], ids=["national", "fhir"]
)
def test_the_stay_of_a_page_is_settled_as_the_page_says(small_office: OfficeAtWork, page: str, path: str) -> None:
    settle_in(small_office)
    answer = small_office.as_role("county_clerk").post(path, json=block(page, "request"))
    assert answer.status_code == 200, answer.text
    told = block(page, "answer")
    assert shown(answer.json(), told) == told


def test_every_transaction_stands_on_the_page_and_no_other() -> None:
    text = (DOCS / "national.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([0-9]{4})` \|", text, re.MULTILINE) == sorted(national.codes()["transactions"])


def test_every_address_of_ours_stands_on_the_page() -> None:
    from medfloor.service import fhir

    text = (DOCS / "fhir.md").read_text(encoding="utf-8").replace("`...:", "`urn:medfloor:extension:")
    named = [
        value
        for name, value in vars(fhir).items()
        if name.isupper() and isinstance(value, str) and value.startswith(f"{fhir.URN}:")
    ]
    assert len(named) > 10
    assert not [one for one in named if one not in text]
