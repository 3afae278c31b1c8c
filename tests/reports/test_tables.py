"""Tables: every number in its format, no figure without its definition, files whole or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from made_up import ALL, SPECIAL, by_group, by_index, by_quantile_and_threshold, by_threshold, by_tier, result, row
from polars.testing import assert_frame_equal

from medfloor.errors import OutputError, UsageError
from medfloor.measures.catastrophic import catastrophic
from medfloor.reports import table, write_table
from medfloor.reports.tables import grid_of
from medfloor.words import LANGS

ENDINGS = (".html", ".tex", ".md", ".csv", ".parquet", ".json")


def text_of(html: str) -> str:
    """Give the words of a page without its marks."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", "", body).replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&")


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", ALL)
def test_no_table_travels_without_definition_weight_errors_and_special_cases(name: str, lang: str) -> None:
    shown = ALL[name]()
    told = text_of(table(shown, lang).as_raw_html())
    for phrase in (shown.definition, shown.weight, shown.errors, *shown.notes):
        assert phrase.say(lang) in told
    assert all(re.search(rf"\b{number}\b", told) for number in SPECIAL.values())
    assert ("Counted: " if lang == "en" else "计数单位：") in told


def test_a_title_of_ones_own_stands_for_the_name() -> None:
    assert "Table 3" in text_of(table(by_group(), title="Table 3").as_raw_html())


def test_thresholds_stand_in_columns_with_errors_in_brackets() -> None:
    grid = grid_of(by_quantile_and_threshold(), "en")
    assert grid.heads == ["quantile", "10 %", "25 %", "40 %", "n"]
    assert (grid.spanner, grid.spread, grid.brackets) == ("threshold", 3, True)
    assert grid.rows[0] == ["1", "31.00 % (3.10)", "15.50 % (1.55)", "10.33 % (1.03)", "5,999"]
    assert "In brackets: standard errors." in text_of(table(by_quantile_and_threshold()).as_raw_html())


def test_every_estimate_stands_in_exactly_one_cell() -> None:
    for make in ALL.values():
        shown = make()
        grid = grid_of(shown, "en")
        cells = [cell for line in grid.rows for cell in line[grid.names :]]
        if grid.spanner is not None:
            filled = [c for line in grid.rows for c in line[grid.names : grid.names + grid.spread] if c]
            assert len(filled) == shown.rows.height
        else:
            assert len(grid.rows) == shown.rows.height
        assert all(cells)


def test_numbers_are_written_as_their_kind_is_read() -> None:
    assert grid_of(by_tier(), "en").rows == [
        ["headcount", "32.00 % (3.20)", "19.84 % (1.98)", "12.30 % (1.23)", "7.63 % (0.76)", "5,999"],
        ["mean", "8,000.00 (800.00)", "4,400.00 (440.00)", "2,420.00 (242.00)", "1,331.00 (133.10)", "5,999"],
    ]
    assert grid_of(by_index(), "en").rows[0][1:4] == ["-0.0312 (0.0031)", "0.0821 (0.0082)", "-"]


def test_an_interval_shares_one_column() -> None:
    grid = grid_of(by_group(), "zh")
    assert grid.heads == ["village", "估计值", "标准误", "95 %置信区间", "样本量"]
    assert grid.rows[0] == ["全部", "16.50 %", "1.65 %", "13.27 % – 19.73 %", "5,999"]


def test_groups_and_their_differences_are_groups_of_rows() -> None:
    rows = [row(name, 0.1) for name in ("headcount", "overshoot")]
    rows += [row(name, 0.2, by="place", group=group) for group in "ab" for name in ("headcount", "overshoot")]
    rows += [row("headcount", 0.05, "percent", by="place", group="b", against="a")]
    grid = grid_of(result(rows), "en")
    assert grid.groups == ["all", "all", "place: a", "place: a", "place: b", "place: b", "place: b less a"]
    assert [line[0] for line in grid.rows] == ["headcount", "overshoot"] * 3 + ["headcount"]


def test_more_than_seven_thresholds_stand_in_rows() -> None:
    many = result([row("headcount", 0.01 * z, threshold=z / 100) for z in range(1, 9)])
    grid = grid_of(many, "en")
    assert grid.spanner is None
    assert grid.heads[0] == "threshold"
    assert len(grid.rows) == 8


def test_two_labels_stand_in_rows_and_columns() -> None:
    grid = grid_of(by_threshold(), "zh")
    assert grid.heads[:3] == ["统计量", "定义", "5 %"]
    assert len(grid.rows) == 8


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_is_written_and_the_same_twice(ending: str, lang: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}{ending}" for name in ("one", "two")]
    for path in paths:
        write_table(by_threshold(), path, lang)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_frames_come_back_as_they_were(tmp_path: Path) -> None:
    shown = by_threshold()
    for ending in (".csv", ".parquet", ".json"):
        write_table(shown, tmp_path / f"table{ending}", "zh")
    frame = shown.to_frame("zh")
    assert_frame_equal(pl.read_parquet(tmp_path / "table.parquet"), frame)
    again = pl.read_csv(tmp_path / "table.csv", schema_overrides=frame.schema)
    # A double that was written with all its digits is the same double again.
    assert_frame_equal(again, frame, check_exact=True)
    told = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(shown.to_dict("zh")))


def test_a_page_stands_alone_and_says_its_language(tmp_path: Path) -> None:
    write_table(by_group(), tmp_path / "table.html", "zh")
    page = (tmp_path / "table.html").read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in page
    assert "http" not in page
    assert "<script" not in page
    assert "'Noto Sans SC'" in page


STRANGE = '<script>alert("x")</script> & 50 % | a_b $c$ **d**'


def test_names_from_the_data_are_text_and_never_marks(tmp_path: Path) -> None:
    rows = [row("headcount", 0.1, by="place", group=name) for name in (STRANGE, "b")]
    for ending in (".html", ".tex", ".md"):
        write_table(result(rows), tmp_path / f"table{ending}", "en")
    page = (tmp_path / "table.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert r"\& 50 \% | a\_b \$c\$" in (tmp_path / "table.tex").read_text(encoding="utf-8")
    line = next(one for one in (tmp_path / "table.md").read_text(encoding="utf-8").splitlines() if "script" in one)
    assert r"\<script>" in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 6


def test_the_inequality_is_said_with_the_definition() -> None:
    assert "(inequality:\N{NO-BREAK SPACE}≥)" in text_of(table(by_group()).as_raw_html())
    assert "inequality" not in text_of(table(by_index()).as_raw_html())


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        write_table(by_group(), tmp_path / "table.docx")
    assert raised.value.code == "unknown_format"
    with pytest.raises(OutputError) as failed:
        write_table(by_group(), tmp_path / "nowhere" / "table.md")
    assert failed.value.code == "cannot_write"
    assert not list(tmp_path.iterdir())


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UsageError) as raised:
        table(by_group(), "fr")
    assert raised.value.code == "unknown_language"


def test_a_result_that_was_really_measured_becomes_a_table_in_both_languages() -> None:
    homes = {"oop": [0.0, 5.0, 30.0, 50.0], "consumption": [100.0] * 4, "place": ["城", "城", "乡", "乡"]}
    shown = catastrophic(homes, by="place", quantiles=2, against="城")
    for lang in LANGS:
        assert shown.definition.say(lang) in text_of(table(shown, lang).as_raw_html())


def test_seven_thresholds_still_stand_in_columns() -> None:
    grid = grid_of(result([row("headcount", 0.01 * z, threshold=z / 100) for z in range(1, 8)]), "en")
    assert (grid.spanner, grid.spread) == ("threshold", 7)


def test_no_interval_is_one_dash() -> None:
    grid = grid_of(result([row("gini", None, "index"), row("theil", 0.1, "index")]), "en")
    assert [line[3] for line in grid.rows] == ["-", "0.0804 – 0.1196"]


def test_a_count_that_differs_between_columns_is_in_none() -> None:
    rows = [{**row("headcount", 0.1 * place, threshold=z), "n": 100 + place} for place, z in enumerate((0.1, 0.25), 1)]
    assert grid_of(result(rows), "en").heads[-1] == "25 %"


def test_markdown_puts_numbers_to_the_right_and_names_to_the_left(tmp_path: Path) -> None:
    rows = [row(name, 0.1) for name in ("headcount", "overshoot")]
    rows += [row(name, 0.2, by="place", group=group) for group in "ab" for name in ("headcount", "overshoot")]
    write_table(result(rows), tmp_path / "shown.md")
    (head, ruled) = (tmp_path / "shown.md").read_text(encoding="utf-8").split("\n| ")[1:3]
    names = [cell.strip() for cell in head.strip(" |\n").split("|")]
    sides = [cell.strip() for cell in ruled.strip(" |\n").split("|")]
    assert names[2] == "estimate"
    assert sides == ["---", "---", *["---:"] * (len(names) - 2)]
