"""What was read from YAML is kept, and comes back the very same or not at all."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from medfloor.policy import parsed
from medfloor.policy.load import LIBRARY, read_yaml


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parsed, "_folder", lambda: tmp_path / "policies")
    return tmp_path / "policies"


def test_a_shipped_policy_comes_back_the_very_same(cache: Path) -> None:
    file = min(LIBRARY.rglob("*.yaml"), key=lambda one: one.stat().st_size)
    first = read_yaml(file)
    assert [one.suffix for one in cache.iterdir()] == [".json"]
    assert repr(read_yaml(file)) == repr(first) == repr(parsed.kept(file.read_text(encoding="utf-8-sig")))


@pytest.mark.parametrize(
    "data",
    [
        {1: "a"}, {"a": {2024: 1}}, {"a": {1, 2}}, {"a": (1,)}, {"date of yaml": "2024-01-01"}, {"date of yaml": 3},
        {"a": "\ud800"},
    ],
)  # fmt: skip
def test_what_json_cannot_give_back_is_not_kept(cache: Path, data: dict[object, object]) -> None:
    parsed.keep("text", data)  # type: ignore[arg-type]
    assert parsed.kept("text") is None
    assert not cache.exists() or not list(cache.iterdir())


def test_dates_and_order_are_kept(cache: Path) -> None:
    data = {"z": date(2024, 1, 1), "a": [1, 1.0, True, None, {"b": "低保"}]}
    parsed.keep("text", data)
    assert repr(parsed.kept("text")) == repr(data)


@pytest.mark.parametrize("content", ["", "{", "[]", "\ud800", '{"a": {"date of yaml": 3}}', '{"a": ' + "[" * 100_000])
def test_a_damaged_file_is_as_if_it_were_not_there(cache: Path, content: str) -> None:
    parsed.keep("text", {"a": 1})
    for file in cache.iterdir():
        file.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert parsed.kept("text") is None


def test_without_a_cache_nothing_is_kept_and_nothing_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(parsed, "_folder", lambda: None)
    parsed.keep("text", {"a": 1})
    assert parsed.kept("text") is None
    monkeypatch.setattr(parsed, "_folder", lambda: tmp_path / "missing" / "deeper")
    parsed.keep("text", {"a": 1})
    assert parsed.kept("text") is None
