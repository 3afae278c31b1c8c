"""Keep the pages for users whole: every code is on docs/rejects.md, every snippet of docs/policies.md loads."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from medfloor import errors, tables
from medfloor.policy.load import load_policy

ROOT = Path(__file__).resolve().parents[1]
CLASSES = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
SAID_BY_CHECKS = {"would_replace_input", "same_output"}
"""Codes that intake/files.py chooses between in a variable."""
SAID_OF_JOBS = {"server_stopped", "server_gone", "worker_died", "reform_gone"}
"""Codes that a job ends with, or that the laboratory's page says, without an error being raised."""


def codes_raised() -> set[str]:
    """List the codes that the program gives its errors, as its source text says them."""
    found = SAID_BY_CHECKS | SAID_OF_JOBS
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        found |= set(re.findall(r"error \[([a-z_]+)\]", text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def rows_below(page: str, head: str) -> dict[str, list[str]]:
    section = page.partition(f"## {head}")[2].partition("\n## ")[0]
    return {found[1]: found[2].split("|") for found in re.finditer(r"^\| `(\w+)` \|(.+)\|$", section, re.MULTILINE)}


def test_the_page_of_refusals_lists_every_reason_in_both_languages() -> None:
    page = (ROOT / "docs" / "rejects.md").read_text(encoding="utf-8")
    rows = rows_below(page, "Reasons of rows")
    assert {code: cells[1].strip() for code, cells in rows.items()} == tables.REASONS
    assert all(re.search("[\u4e00-\u9fff]", cells[0]) for cells in rows.values())
    assert all(cells[2].strip() for cells in rows.values())


def test_the_page_of_refusals_lists_every_error_code_and_no_other() -> None:
    page = (ROOT / "docs" / "rejects.md").read_text(encoding="utf-8")
    rows = rows_below(page, "Errors of files") | rows_below(page, "Errors of policies")
    rows |= rows_below(page, "Errors of measures")
    assert rows.keys() == codes_raised()
    assert all(re.search("[\u4e00-\u9fff]", cells[0]) and cells[2].strip() for cells in rows.values())


SNIPPET = re.compile(r"^```yaml\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets(page: str) -> list[pytest.param]:  # type: ignore[valid-type]
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [
        pytest.param(found["text"], id=f"{page}:{text.count(chr(10), 0, found.start()) + 1}")
        for found in SNIPPET.finditer(text)
    ]


@pytest.mark.parametrize("text", snippets("policies.md"))
def test_a_snippet_of_the_page_on_policies_changes_the_small_city(text: str, tmp_path: Path) -> None:
    city = ROOT / "examples" / "policies" / "small-city.yaml"
    if text.startswith("schema:"):
        assert text == city.read_text(encoding="utf-8")
        return
    (tmp_path / "small-city.yaml").write_text(city.read_text(encoding="utf-8"), encoding="utf-8")
    file = tmp_path / "snippet.yaml"
    file.write_text(f"extends: small-city.yaml\n{text}", encoding="utf-8")
    assert load_policy(str(file)).versions[0].tiers
    assert load_policy(str(file)).versions[0].model_dump(exclude={"extends"}) != load_policy(str(city)).versions[
        0
    ].model_dump(exclude={"extends"})


@pytest.mark.parametrize("text", snippets("reforms.md"))
def test_a_snippet_of_the_page_on_reforms_can_be_laid_over_beijing(text: str, tmp_path: Path) -> None:
    reform = tmp_path / "reform.yaml"
    reform.write_text(text, encoding="utf-8")
    before = load_policy("cn/beijing@2024-01-01")
    after = load_policy("cn/beijing@2024-01-01", [reform])
    assert after.versions[0] != before.versions[0]


@pytest.mark.parametrize("file", sorted((ROOT / "examples" / "reforms").glob("*.yaml")), ids=lambda file: file.stem)
def test_a_shipped_reform_changes_the_policies_that_it_names(file: Path) -> None:
    named = re.findall(r"policy: ([^,}\s]+)", file.read_text(encoding="utf-8"))
    assert named
    for policy in named:
        before = load_policy(policy, base_reforms_of(file, policy))
        assert load_policy(policy, [*base_reforms_of(file, policy), file]).versions != before.versions


def base_reforms_of(file: Path, policy: str) -> list[Path]:
    """Give the reforms that a reform file lays beneath itself over this policy."""
    from ruamel.yaml import YAML

    reform = YAML(typ="safe").load(file.read_text(encoding="utf-8"))["reform"]
    (found,) = (one for one in reform["baselines"] if one["policy"] == policy)
    return [file.parent / one for one in found.get("under", [])]


def test_every_quotation_of_the_page_on_beijing_stands_in_the_policy_files() -> None:
    page = (ROOT / "docs" / "beijing.md").read_text(encoding="utf-8")
    library = ROOT / "src" / "medfloor" / "policy" / "library" / "cn" / "beijing"
    law = "".join(file.read_text(encoding="utf-8") for file in sorted(library.glob("*.yaml")))
    quoted = [text for text in re.findall(r"“([^”]+)”", page) if re.search("[\u4e00-\u9fff]", text)]
    assert len(quoted) > 10
    assert not [text for text in quoted if text not in law]
