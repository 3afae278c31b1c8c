"""Every error that a caller of the service can meet has a sentence in both languages and a status that fits."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import sqlalchemy.exc

from medfloor import errors
from medfloor.errors import MedfloorError, PolicyError, StoreError, UsageError
from medfloor.service.problems import RETRY_SECONDS, STATUSES, as_ours, field_errors, status_of
from medfloor.words import knows

SOURCE = Path(__file__).resolve().parents[2] / "src" / "medfloor"
AT_THE_START = {"store/backup.py", "store/keys.py", "store/engine.py", "service/settings.py", "store/migrate.py"}
"""Modules whose errors are met at the command line, before anything is served."""
CLASSES = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MedfloorError)
}


def raised() -> dict[str, type[MedfloorError]]:
    found: dict[str, type[MedfloorError]] = {}
    for room in ("store", "service"):
        for file in (SOURCE / room).rglob("*.py"):
            if str(file.relative_to(SOURCE)) in AT_THE_START:
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                    code = node.args[0] if node.args else None
                    if isinstance(code, ast.Constant):
                        found[str(code.value)] = CLASSES[node.func.id]
    return found


RAISED = raised()


def test_every_code_has_a_title_in_both_languages() -> None:
    lacking = [
        code
        for code in RAISED
        for language in ("zh", "en")
        if not knows(f"problem.{code}", language) and not knows(f"why.{code}", language)
    ]
    assert sorted(set(lacking) - {"no_secret_file"}) == []


def test_what_a_caller_can_mend_has_a_status_of_4xx() -> None:
    for code, kind in RAISED.items():
        status = status_of(kind(code, "x"))
        assert status < 500 or issubclass(kind, StoreError), code


def test_who_is_told_to_wait_is_told_how_long() -> None:
    waiting = {code for code, status in STATUSES.items() if status in (429, 503)}
    without = {"jobs_off", "schema_old", "schema_new", "schema_missing"}
    assert waiting - without <= set(RETRY_SECONDS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (sqlalchemy.exc.DataError("INSERT", {"name": "secret"}, Exception("secret")), "value_out_of_range"),
        (sqlalchemy.exc.IntegrityError("INSERT", {}, Exception("secret")), "contradicts_store"),
        (sqlalchemy.exc.OperationalError("SELECT", {}, Exception("secret")), "store_away"),
        (OverflowError("Python int too large to convert to SQLite INTEGER"), "value_out_of_range"),
        (PolicyError("policy_syntax", "line 3"), "policy_syntax"),
    ],
)
def test_errors_of_libraries_become_ours_without_their_message(error: Exception, code: str) -> None:
    found = as_ours(error)
    assert found.code == code and "secret" not in found.message


def test_a_bug_is_no_error_of_ours() -> None:
    with pytest.raises(KeyError):
        as_ours(KeyError("x"))


def test_keys_that_a_caller_made_up_are_not_said_back() -> None:
    found = field_errors(
        [{"type": "extra_forbidden", "loc": ("body", "extra_fen", "赵某 110"), "msg": "x", "input": "secret"}], "zh"
    )
    assert found == [{"field": "body.extra_fen.?", "code": "extra_forbidden", "message": "不是此处的字段"}]


def test_a_rule_without_its_number_is_said_in_general() -> None:
    found = field_errors([{"type": "string_too_long", "loc": ("body", "a"), "msg": "x", "ctx": {}}], "en")
    assert found[0]["message"] == "does not meet the rule of this field"
    assert status_of(UsageError("x", "y")) == 400
