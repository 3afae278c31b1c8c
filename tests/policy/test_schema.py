"""The JSON Schema of policy files: up to date, and true of every shipped file."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from medfloor.policy.load import LIBRARY, read_yaml
from medfloor.policy.schema import policy_schema, schema_text

COMMITTED = Path(__file__).parents[2] / "docs" / "policy.schema.json"
SCHEMA = policy_schema()

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": (str, date),
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def _is_type(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and not (isinstance(value, bool) and name in ("integer", "number"))


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Validate by the few keywords that our schema uses (no validator is among the dependencies)."""
    known = {"$ref", "type", "enum", "const", "anyOf", "pattern", "required", "properties", "additionalProperties"}
    known |= {
        "items",
        "minItems",
        "minimum",
        "if",
        "then",
        "else",
        "$defs",
        "$schema",
        "title",
        "description",
        "default",
    }
    assert set(schema) <= known | {"format"}, set(schema) - known
    if "$ref" in schema and not _fits(value, SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]):
        return False
    kinds = schema.get("type", list(_TYPES))
    if not any(_is_type(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if "if" in schema and not _fits(value, schema["then" if _fits(value, schema["if"]) else "else"]):
        return False
    checks = (
        "enum" not in schema or value in schema["enum"],
        "const" not in schema or value == schema["const"],
        "anyOf" not in schema or any(_fits(value, one) for one in schema["anyOf"]),
        "pattern" not in schema or not isinstance(value, str) or re.search(schema["pattern"], value) is not None,
        "minimum" not in schema or value >= schema["minimum"],
    )
    if not all(checks):
        return False
    if isinstance(value, dict):
        fields, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        return set(schema.get("required", ())) <= set(value) and all(
            _fits(item, fields[key]) if key in fields else (_fits(item, more) if isinstance(more, dict) else more)
            for key, item in value.items()
        )
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(_fits(item, schema.get("items", {})) for item in value)
    return True


def test_the_committed_schema_is_up_to_date() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == schema_text(), (
        "run `medfloor policy schema > docs/policy.schema.json`"
    )


@pytest.mark.parametrize("file", sorted(LIBRARY.rglob("*.yaml")), ids=lambda file: str(file.relative_to(LIBRARY)))
def test_every_shipped_file_fits_the_schema(file: Path) -> None:
    assert _fits(read_yaml(file), SCHEMA)


def test_a_mistyped_key_does_not_fit() -> None:
    raw = dict(read_yaml(LIBRARY / "cn/beijing/2018-01-01.yaml"))
    raw["teirs"] = raw.pop("tiers")
    assert not _fits(raw, SCHEMA)


def test_a_whole_policy_needs_its_name_and_a_reform_does_not() -> None:
    assert not _fits({"id": "a/b", "from": "2025-01-01"}, SCHEMA)
    assert _fits({"reform": "more", "change": {"pots/inpatient/cap": 250000}}, SCHEMA)
    assert _fits({"extends": "cn/beijing", "tiers": [{"id": "basic", "remove": True}]}, SCHEMA)
