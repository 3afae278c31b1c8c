"""Publish what a policy file may contain as JSON Schema (draft 2020-12), so that editors complete and check it.

A file that stands alone is a whole policy. A file that extends another (`extends`), and a reform (`change`, `reform`),
may leave out whatever it does not change; the schema asks less of those.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from medfloor.policy.model import Policy

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_PARTIAL = "Partial"
_REFORM_KEYS: dict[str, Any] = {
    "change": {
        "type": "object",
        "description": "path -> new value; {times: 1.1} or {plus: 500} changes a number by itself. "
        "`medfloor policy show NAME --names` prints every path",
    },
    "over": {
        "type": "object",
        "description": "name of a policy -> keys of a reform that are laid over this policy only",
        "additionalProperties": {"$ref": "#/$defs/PartialPolicy"},
    },
    "reform": {
        "type": ["object", "string"],
        "description": "marks the file as a reform, and says what it is, in words",
    },
}
_LIST_KEYS: dict[str, Any] = {
    "remove": {"type": "boolean", "description": "take the item of this id out"},
    "before": {"type": "string", "description": "id of the item before which a new one is put"},
    "after": {"type": "string", "description": "id of the item after which a new one is put"},
}


def policy_schema() -> dict[str, Any]:
    """Give the JSON Schema of a policy file, of one that extends another, and of a reform.

    >>> policy_schema()["$schema"]
    'https://json-schema.org/draft/2020-12/schema'
    """
    whole = Policy.model_json_schema(by_alias=True, mode="validation")
    definitions: dict[str, Any] = whole.pop("$defs")
    definitions["Policy"] = whole
    for definition in definitions.values():
        _allow_short_forms(definition)
    for name in list(definitions):
        definitions[_PARTIAL + name] = _partial(definitions[name])
    definitions[_PARTIAL + "Policy"]["properties"] |= _REFORM_KEYS
    return {
        "$schema": DRAFT,
        "title": "medfloor policy",
        "description": "The law of one place from one date on, a file that extends one, or a reform.",
        "type": "object",
        "if": {"anyOf": [{"required": [one]} for one in ("extends", "change", "over", "reform")]},
        "then": {"$ref": f"#/$defs/{_PARTIAL}Policy"},
        "else": {"$ref": "#/$defs/Policy"},
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Write the schema as it is committed in docs/policy.schema.json."""
    return json.dumps(policy_schema(), ensure_ascii=False, indent=1) + "\n"


def _allow_short_forms(definition: dict[str, Any]) -> None:
    """Say what the loader also takes: one item in place of a list of them, and a facility level as a number."""
    for name, field in definition.get("properties", {}).items():
        listed = field if field.get("type") == "array" else None
        for choice in field.get("anyOf", ()):
            listed = choice if choice.get("type") == "array" else listed
        if listed is None:
            continue
        items = listed["items"]
        if name == "facility_level":
            items = {"enum": [*items["enum"], 1, 2, 3]}
            listed["items"] = items
        is_condition = definition.get("title") == "When"
        if is_condition or items.get("$ref") == "#/$defs/Case":
            choices = field.pop("anyOf", None) or [
                {key: field.pop(key) for key in ("type", "items", "minItems") if key in field}
            ]
            field["anyOf"] = [items, *choices]


def _partial(definition: dict[str, Any]) -> dict[str, Any]:
    """Give a definition that requires only the id of an item in a list, and points to partial ones."""
    partial: dict[str, Any] = _repoint(copy.deepcopy(definition))
    if definition.get("type") != "object":
        return partial
    needed = [name for name in partial.pop("required", []) if name == "id" and definition.get("title") != "Policy"]
    if needed:
        partial["required"] = needed
        partial["properties"] |= _LIST_KEYS
    return partial


def _repoint(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: value.replace("#/$defs/", f"#/$defs/{_PARTIAL}") if key == "$ref" else _repoint(value)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_repoint(item) for item in node]
    return node
