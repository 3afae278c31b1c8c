"""`policy check`: every fault is found at its line, and the shipped library has none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medfloor.errors import PolicyError
from medfloor.policy.check import SEVERITIES, check
from medfloor.policy.load import list_policies

BROKEN = Path(__file__).parent / "broken.yaml"

WHOLE = """\
schema: 1
id: test/small
from: 2024-01-01
name: {{zh: 小例, en: small}}
{note}
sources:
  law: {{title: {{zh: 某办法, en: some measures}}, trust: official}}
tiers:
  - id: basic
    name: {{zh: 基本, en: basic}}
    parts:
{parts}
"""


def _small(folder: Path, parts: str, note: str = "") -> Path:
    file = folder / "small.yaml"
    indented = "".join(f"      {line}\n" for line in parts.strip().splitlines())
    file.write_text(WHOLE.format(parts=indented, note=note), encoding="utf-8")
    return file


def _marked() -> list[tuple[int, str]]:
    marks = []
    for number, line in enumerate(BROKEN.read_text(encoding="utf-8").splitlines(), 1):
        found = re.search(r"# finds: ([a-z_, ]+)$", line)
        if found:
            marks.extend((number, code.strip()) for code in found[1].split(","))
    return marks


FOUND = {(finding.line, finding.code) for finding in check(str(BROKEN))}


@pytest.mark.parametrize(("line", "code"), _marked(), ids=lambda value: str(value))
def test_the_fault_is_found_at_its_line(line: int, code: str) -> None:
    assert (line, code) in FOUND, sorted(found for found in FOUND if found[1] == code)


def test_every_code_is_shown_by_the_broken_policy() -> None:
    assert {code for _, code in _marked()} | {"nothing_settles"} == set(SEVERITIES)


def test_the_broken_policy_has_no_fault_that_was_not_planted() -> None:
    assert sorted(FOUND - set(_marked())) == []


def test_findings_speak_both_languages() -> None:
    for finding in check(str(BROKEN)):
        assert re.search(r"[\u4e00-\u9fff]", finding.zh)
        assert not finding.en.startswith(finding.zh)


@pytest.mark.parametrize("address", [address for address, _ in list_policies()])
def test_the_shipped_library_has_no_errors(address: str) -> None:
    assert [finding for finding in check(address) if finding.severity == "error"] == []


def test_nothing_can_be_settled_is_an_error_unless_a_note_says_why(tmp_path: Path) -> None:
    parts = "- {id: all, brackets: [{rate: {unit: percent, source: law}}]}"
    severities = {finding.code: finding.severity for finding in check(str(_small(tmp_path, parts)))}
    assert severities == {"missing": "notice", "nothing_settles": "error"}
    noted = _small(tmp_path, parts, "note: {zh: 未公布, en: not published}")
    assert {finding.severity for finding in check(str(noted))} == {"notice"}


def test_an_exception_before_the_rule_is_no_overlap(tmp_path: Path) -> None:
    rate = "{rate: {value: %d, unit: percent, source: law, quote: %d%%}}"
    parts = f"""
- {{id: unregistered, when: {{area: [province, outside], referral: unreferred}}, brackets: [{rate % (40, 40)}]}}
- {{id: province, when: {{area: province}}, brackets: [{rate % (60, 60)}]}}
- {{id: outside, when: {{area: outside}}, brackets: [{rate % (50, 50)}]}}
- {{id: local, brackets: [{rate % (70, 70)}]}}
"""
    assert check(str(_small(tmp_path, parts))) == []


def test_a_reform_is_checked_with_its_own_file_and_line(tmp_path: Path) -> None:
    reform = tmp_path / "reform.yaml"
    reform.write_text("change:\n  tiers/basic/parts/stay_adult/brackets/0/rate/2: 90\n", encoding="utf-8")
    findings = check("cn/beijing@2026-01-01", [reform])
    codes = {finding.code for finding in findings if finding.path.startswith("tiers/basic/parts/stay_adult")}
    assert codes == {"rate_rises_with_level", "unverified"}
    changed = [finding for finding in findings if finding.path == "tiers/basic/parts/stay_adult/brackets/0/rate/2"]
    assert {(finding.file, finding.line) for finding in changed} == {(reform, 2)}


def test_a_file_that_cannot_be_loaded_is_no_finding(tmp_path: Path) -> None:
    file = _small(tmp_path, "- {id: all, bracket: []}")
    with pytest.raises(PolicyError, match="unknown key 'bracket'; the nearest known key is brackets"):
        check(str(file))
