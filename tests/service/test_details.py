"""What an error says in English on the command line, pages say in the reader's language, with the same values."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from medfloor.service.details import RAISED, detail_in, pattern_of, template_of, words_of
from medfloor.words import catalogue

SOURCE = Path(__file__).resolve().parents[2] / "src" / "medfloor"
KEYS = [key.removeprefix("detail.") for key in catalogue("en") if key.startswith("detail.")]


def said_in_source() -> list[str]:
    """Give every text of the rooms that refuse something, with `\\0` where a value goes in."""
    found: set[str] = set()
    files = [file for room in ("store", "service", "intake") for file in (SOURCE / room).rglob("*.py")]
    for file in files:
        if file.name == "details.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [one.value if isinstance(one, ast.Constant) else "\0" for one in node.values]
                found.add("".join(str(part) for part in parts).replace("{}", "\0"))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 8:
                found.add(node.value.replace("{}", "\0"))
    return sorted(found)


def test_every_detail_of_the_catalogue_is_still_said_by_the_program() -> None:
    texts = "\n".join(said_in_source())
    stale = []
    for key in KEYS:
        # The longest words between two values must stand in the source as they are.
        words = words_of(template_of(key)).strip()
        if words.removeprefix("is '").removeprefix("', which ").strip("'. ") not in texts:
            stale.append((key, words))
    assert not stale
    assert set(RAISED) <= set(KEYS)


def test_no_detail_is_taken_for_another_one() -> None:
    for key in KEYS:
        made = re.sub(r"\{[a-z_]+\}", "x1", template_of(key))
        first = next(one for one in KEYS if pattern_of(template_of(one)).fullmatch(made))
        assert first == key


@pytest.mark.parametrize(
    ("message", "zh", "en"),
    [
        (
            "the role analyst may not pre-settle and settle claims; ask someone whose role may",
            "“分析人员”角色无权预结算和结算；请找有权限的同事办理。",
            "the role Analyst may not pre-settle and settle claims; ask someone whose role may",
        ),
        (
            "arrear 3 is paid; what may follow is notified, closed",
            "第 3 笔应补应退已支付；下一步只能是：已告知、已结案。",
            "arrear 3 is paid; what may follow is notified, closed",
        ),
        (
            "total is '1,2', which is not a plain decimal number",
            "total 为“1,2”，须为普通数字，不带千分位和货币符号",
            "total is '1,2', which is not a plain decimal number",
        ),
        (
            "claims.csv has no column total. claims.csv has no column in_scope. Columns present: a, b.",
            "文件缺少列 total、in_scope；现有的列：a, b。",
            "The file has no column total, in_scope; its columns are a, b.",
        ),
        ("row 4 has 3 cells where the header has 5", "第 4 行有 3 个单元格，而列名有 5 个；请更正该行。", None),
    ],
)
def test_values_are_carried_over(message: str, zh: str, en: str | None) -> None:
    assert detail_in(message, "zh") == zh
    assert detail_in(message, "en") == (en or message)


def test_what_is_not_known_stays_as_it_is() -> None:
    assert detail_in("no such sentence anywhere", "zh") is None
    assert detail_in("", "zh") is None
