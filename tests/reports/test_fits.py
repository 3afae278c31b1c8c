"""Tables and figures of fits: every kind in both languages, whole files, papers' regression tables."""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile
from pathlib import Path

import polars as pl
import pytest
from made_up_fits import FITS, KINDS, balance, estimators, event_study, fit, one, several
from test_figures import boxes_of, plain, size_of

from medfloor.errors import UsageError
from medfloor.reports import (
    FIT_FORMATS,
    fit_figure,
    fit_table,
    regression_table,
    write_fit,
    write_fit_figure,
    write_regression_table,
)
from medfloor.reports.drawing import WIDTH
from medfloor.reports.effects import FIT_KINDS, fit_kind
from medfloor.reports.printed import latex
from medfloor.words import LANGS


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", FITS)
def test_every_figure_stands_within_its_frame_with_its_words_around_it(name: str, lang: str, tmp_path: Path) -> None:
    shown = FITS[name]()
    write_fit_figure(shown, tmp_path / "figure.svg", lang)
    svg = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    width, height = size_of(svg)
    boxes = list(boxes_of(svg))
    assert width <= WIDTH
    assert not [box for box in boxes if box.left < 0 or box.top < 0 or box.right > width or box.bottom > height]
    assert not [(a.text, b.text) for a, b in itertools.combinations(boxes, 2) if a.covers(b)]
    told = plain("".join(box.text for box in boxes))
    for phrase in (shown.equation, shown.errors, *shown.not_shown):
        assert plain(phrase.say(lang)) in told


@pytest.mark.parametrize("name", FITS)
def test_a_fit_is_drawn_as_what_it_carries(name: str) -> None:
    assert fit_kind(FITS[name]()) == KINDS.get(name, name)


def test_the_omitted_wave_stands_at_zero_for_each_estimator() -> None:
    drawn = json.dumps(fit_figure(event_study()).to_dict())
    assert len(re.findall(r'"base": true', drawn)) == 2


def test_no_omitted_wave_is_invented_where_there_are_no_earlier_ones() -> None:
    later = fit([{"term": "event", "at": float(at), "estimate": 0.1, "se": 0.1} for at in (0, 1)], "staggered")
    assert '"base": true' not in json.dumps(fit_figure(later).to_dict())


@pytest.mark.parametrize("kind", [kind for kind in FIT_KINDS if kind != "coefficients"])
def test_a_figure_that_a_fit_cannot_have_is_refused(kind: str) -> None:
    with pytest.raises(UsageError) as caught:
        fit_figure(one(), "en", kind)  # type: ignore[arg-type]
    assert caught.value.code == "no_such_figure"


def test_constants_and_log_odds_do_not_share_an_axis_with_percentage_points() -> None:
    rows: list[dict[str, object]] = [
        {"term": "covered", "estimate": -0.7, "se": 0.1},
        {"term": "constant", "estimate": 5.0, "se": 0.1},
        {"term": "covered", "group": "ame", "estimate": -0.07, "se": 0.01},
    ]
    drawn = json.dumps(fit_figure(fit(rows)).to_dict())
    assert '"estimate": -0.07' in drawn
    assert '"estimate": -0.7' not in drawn
    assert '"estimate": 5.0' not in drawn


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("ending", FIT_FORMATS)
def test_a_fit_is_written_in_every_format_and_always_the_same(ending: str, lang: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_fit(balance(), tmp_path / f"{name}{ending}", lang)
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_the_words_of_a_fit_stand_in_every_format_that_people_read(tmp_path: Path) -> None:
    for ending in (".html", ".md", ".tex"):
        write_fit(several(), tmp_path / f"fit{ending}", "zh")
        text = (tmp_path / f"fit{ending}").read_text(encoding="utf-8")
        for wanted in ("1. 估计方程", "412 行缺少 poor", "A made-up paper", "7,150"):
            assert wanted in text, (ending, wanted)


def test_what_latex_and_html_would_read_as_commands_is_printed(tmp_path: Path) -> None:
    assert latex(r"a_b & 5 % \x {y} ~ ^ # $") == (
        r"a\_b \& 5 \% \textbackslash{}x \{y\} \textasciitilde{} \textasciicircum{} \# \$"
    )
    write_fit(several(), tmp_path / "fit.tex")
    text = (tmp_path / "fit.tex").read_text(encoding="utf-8")
    assert r"household size \& co\_residents" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1
    html = fit_table(fit([{"term": "<b>x</b>", "estimate": 1.0, "se": 0.5}])).as_raw_html()
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "<b>x</b>" not in html


def test_a_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    write_fit(balance(), tmp_path / "fit.html", "zh")
    text = (tmp_path / "fit.html").read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in text
    assert not re.search(r"(?:src|href)\s*=|@import|url\(", text)


def test_a_workbook_has_a_sheet_for_each_table_and_curve(tmp_path: Path) -> None:
    write_fit(FITS["cutoff"](), tmp_path / "fit.xlsx", "en")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "fit.xlsx").read_bytes())) as book:
        names = re.findall(r'<sheet name="([^"]+)"', book.read("xl/workbook.xml").decode("utf-8"))
    assert names[1:] == ["Means of intervals", "Fitted lines", "About"]


def test_json_holds_everything_but_the_curves_as_plain_data(tmp_path: Path) -> None:
    write_fit(balance(), tmp_path / "fit.json")
    read = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert read["estimates"][0]["estimate"] == 1_200.0
    assert len(read["tables"]["balance"]) == 5


def test_csv_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    for ending in (".csv", ".parquet"):
        write_fit(several(), tmp_path / f"fit{ending}")
    one, other = pl.read_csv(tmp_path / "fit.csv"), pl.read_parquet(tmp_path / "fit.parquet")
    assert one["estimate"].to_list() == other["estimate"].to_list()


@pytest.mark.parametrize("write", [write_fit, write_fit_figure])
def test_an_unknown_ending_is_refused_before_anything_is_written(write: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ends in none of"):
        write(one(), tmp_path / "fit.doc")  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


def _regression(tmp_path: Path, fits: list, lang: str = "en", **more: object) -> list[str]:  # type: ignore[type-arg]
    write_regression_table(fits, tmp_path / "r.md", lang, **more)  # type: ignore[arg-type]
    return (tmp_path / "r.md").read_text(encoding="utf-8").splitlines()


def test_a_regression_table_has_a_column_a_fit_and_estimator_with_errors_in_brackets(tmp_path: Path) -> None:
    lines = _regression(tmp_path, [one(), estimators()], titles=["First", "Second"])
    heads = next(line for line in lines if line.startswith("|  | (1)"))
    assert [cell.split()[0] for cell in heads.strip("| ").split(" | ")] == ["(1)", "(2)", "(3)", "(4)"]
    covered = next(place for place, line in enumerate(lines) if line.startswith("| covered"))
    assert r"-0.03800\*\*\*" in lines[covered]  # t = 3.2
    assert lines[covered + 1].startswith("|  | (0.01200)")
    assert any(line.startswith("| Rows | 21,900 | 21,900") for line in lines)


def test_stars_follow_p(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"term": name, "estimate": z, "se": 1.0} for name, z in (("a", 1.5), ("b", 1.8), ("c", 2.2), ("d", -2.7))
    ]
    lines = _regression(tmp_path, [fit(rows)])
    stars = {line.split(" | ")[0][2:]: line.count("*") for line in lines if re.match(r"\| [abcd] \|", line)}
    assert stars == {"a": 0, "b": 1, "c": 2, "d": 3}


def test_a_regression_table_is_written_for_print_and_for_excel(tmp_path: Path) -> None:
    for ending in (".tex", ".html", ".xlsx"):
        write_regression_table([one(), several()], tmp_path / f"r{ending}", "zh")
        assert (tmp_path / f"r{ending}").stat().st_size > 1_000
    assert "poor" in regression_table([one()], "zh").as_raw_html()
    tex = (tmp_path / "r.tex").read_text(encoding="utf-8")
    assert r"\toprule" in tex
    assert "双侧检验" in tex


def test_a_regression_table_without_fits_or_with_other_titles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        regression_table([])
    assert caught.value.code == "no_fits"
    with pytest.raises(UsageError) as caught:
        regression_table([one()], titles=["a", "b"])
    assert caught.value.code == "bad_titles"
    with pytest.raises(UsageError) as caught:
        write_regression_table([one()], tmp_path / "r.csv")
    assert caught.value.code == "unknown_format"
