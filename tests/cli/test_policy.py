"""`medfloor policy`: list, show, schema, check, diff, cliffs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.policy.load import list_policies

BROKEN = str(Path(__file__).parents[1] / "policy" / "broken.yaml")


def _run(*args: str) -> Result:
    return CliRunner().invoke(program, ["policy", *args])


@pytest.fixture
def reform(tmp_path: Path) -> str:
    file = tmp_path / "reform.yaml"
    file.write_text("reform: higher ceiling\nchange:\n  pots/inpatient/cap: 250000\n", encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("name", ["list", "show", "schema", "check", "diff", "cliffs"])
def test_every_command_helps_with_an_example(name: str) -> None:
    result = _run(name, "--help")
    assert result.exit_code == 0
    assert f"medfloor policy {name}" in result.output


def test_list_names_every_shipped_place() -> None:
    rows = json.loads(_run("list", "--json").output)
    assert [row["address"] for row in rows] == [address for address, _ in list_policies()]
    beijing = next(row for row in rows if row["address"] == "cn/beijing")
    assert beijing["tiers"] == ["basic", "critical_illness", "assistance"]
    assert set(beijing["trust"]) == {"official", "secondary", "unverified"}


def test_list_is_a_table_in_chinese() -> None:
    result = _run("list", "--lang", "zh")
    assert result.exit_code == 0
    assert "北京市城乡居民" in result.output
    assert "官方文本" in result.output


def test_show_of_a_date_shows_that_version() -> None:
    result = _run("show", "cn/beijing@2019-06-01")
    assert result.exit_code == 0
    assert result.output.startswith("Beijing urban and rural residents (cn/beijing), from 2019-01-01")


def test_show_without_a_date_names_the_other_versions() -> None:
    assert "other versions: 2018-01-01" in _run("show", "cn/beijing").output


def test_show_with_a_reform_shows_its_values(reform: str) -> None:
    assert "250,000元" in _run("show", "cn/beijing", "--reform", reform, "--lang", "zh").output


def test_show_names_prints_paths_and_values() -> None:
    lines = _run("show", "cn/beijing@2018-01-01", "--names").output.splitlines()
    assert "pots/inpatient/cap: 200,000 yuan" in lines
    assert "tiers/basic/parts/stay_adult/deductible/amount/2: 1,300 yuan   # level 3" in lines


def test_show_names_as_json_gives_plain_values() -> None:
    names = json.loads(_run("show", "cn/beijing@2018-01-01", "--names", "--json").output)
    assert names["pots/inpatient/cap"]["value"] == "200000"
    assert names["tiers/basic/parts/stay_adult/pots"] == ["inpatient"]


def test_show_as_json_is_the_whole_policy() -> None:
    policy = json.loads(_run("show", "cn/beijing@2018-01-01", "--json").output)
    assert policy["from"] == "2018-01-01"


def test_schema_is_json() -> None:
    assert json.loads(_run("schema").output)["$schema"].endswith("2020-12/schema")


def test_check_exits_1_with_findings_and_says_file_and_line() -> None:
    result = _run("check", BROKEN)
    assert result.exit_code == 1
    assert f"{BROKEN}:25: warning [cap_under_deductible] pots/stays/cap" in result.output


def test_check_exits_0_with_notices_only() -> None:
    result = _run("check", "cn/beijing", "--lang", "zh")
    assert result.exit_code == 0
    assert "错误0个，警告0个" in result.output


def test_check_as_json_gives_every_field() -> None:
    findings = json.loads(_run("check", BROKEN, "--json").output)
    assert set(findings[0]) == {"code", "severity", "path", "file", "line", "message"}


def test_a_policy_with_a_typo_is_misuse_with_file_line_and_nearest_key(tmp_path: Path) -> None:
    file = tmp_path / "typo.yaml"
    file.write_text("id: a/b\nfrom: 2025-01-01\nname: {zh: 甲, en: a}\nteirs: []\n", encoding="utf-8")
    for name in ("check", "show"):
        result = _run(name, str(file))
        assert result.exit_code == 2
        assert f"{file}, line 4" in result.stderr
        assert "the nearest known key is tiers" in result.stderr


def test_an_unknown_policy_is_misuse_with_the_nearest_address() -> None:
    result = _run("show", "cn/beijng")
    assert result.exit_code == 2
    assert "did you mean cn/beijing?" in result.stderr


def test_diff_of_a_reform_lists_old_and_new(reform: str) -> None:
    for args in (["--reform", reform], ["cn/beijing", "--reform-b", reform]):
        result = _run("diff", "cn/beijing", *args)
        assert result.exit_code == 0
        assert "[changed] pots/inpatient/cap: 200,000 yuan -> 250,000 yuan" in result.output
        assert "changes: 1" in result.output


def test_diff_of_two_places_is_possible() -> None:
    result = _run("diff", "cn/beijing@2023-01-01", "cn/jiangxi/nanchang", "--json")
    assert {change["kind"] for change in json.loads(result.output)} == {"added", "removed", "changed"}


def test_cliffs_in_chinese_say_in_chinese_what_was_not_published() -> None:
    last = _run("cliffs", "cn/neimenggu/ulanqab", "--lang", "zh").output.splitlines()[-1]
    assert "的数值未公布" in last
    assert "not published" not in last


def test_diff_of_one_policy_needs_a_reform() -> None:
    assert _run("diff", "cn/beijing").exit_code == 2
