"""Printouts: one structure as PDF, HTML and a workbook; numbers, fonts, numbering, the same bytes twice."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pdf_words import words_of

from medfloor.errors import UsageError
from medfloor.reports import typesetting
from medfloor.reports.plates import Bar, Spot, spots, stacked
from medfloor.reports.printing import Grid, Part, Plate, Points, Printout, page, sheets, write_printout
from medfloor.reports.typesetting import lacking_in, png_pages, typeset
from medfloor.reports.workbook import Figure, workbook

DAY = date(2026, 3, 1)
ROWS = [
    ["低保对象", Figure(1234, "count"), Figure(0.4567, "percent")],
    ["<script>alert(1)</script> #strong *", "<5", None],
]
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40"><text x="5" y="20" font-family="Noto Sans SC">x</text></svg>'


def made(lang: str = "zh", day: date = DAY, kind: str = "report") -> Printout:
    grid = Grid("参保人数", ["类别", "人数", "占比"], ROWS, 1, "定义在此", "来源在此", ["注在此"])
    parts = [
        Part("第一节", ["一段话。", Points(["其一", "其二"]), grid]),
        Part("第二节", [Plate("题图", SVG, "说明图形")], level=2),
        Part("第三节", [replace(grid, title="又一表")]),
    ]
    return Printout("示范县年度报告", lang, day, parts, subtitle="副题", marks=["虚构"], facts=[("年度", "2025")],
                    short=["要点一。"], kind=kind, closing=["办公室", day.isoformat()])  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("kind", ["report", "letter"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_pdf_html_and_workbook_hold_the_same_numbers(lang: str, kind: str) -> None:
    printout = made(lang, kind=kind)
    told, shown = words_of(typeset(printout).pdf), page(printout)
    for text in ("1,234", "45.67 %", "<5", "定义在此", "来源在此", "注在此", "参保人数"):
        assert text.replace(" ", "") in told
        # Chinese printers set per cent right at its number.
        assert (text.replace(" ", "") if lang == "zh" else text).replace("<", "&lt;") in shown
    book = zipfile.ZipFile(io.BytesIO(workbook(sheets(printout))))
    cells = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<v>1234</v>" in cells
    assert "<v>0.4567</v>" in cells
    words = book.read("xl/sharedStrings.xml").decode()
    assert all(one in words for one in ("定义在此", "要点一。", "说明图形", "&lt;5"))


def test_tables_and_figures_are_numbered_alike_everywhere() -> None:
    names = [name for name, _ in made().numbered()]
    assert names == ["表1", "图1", "表2"]
    told = words_of(typeset(made()).pdf)
    assert told.index("表1参保人数") < told.index("图1题图") < told.index("表2又一表")
    assert "<caption>表2 又一表</caption>" in page(made())
    assert [one.name for one in sheets(made())][:2] == ["表1", "表2"]


@pytest.mark.parametrize("ending", [".pdf", ".html", ".xlsx"])
def test_same_bytes_twice_and_another_day_changes_only_the_day(ending: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}{ending}" for name in ("one", "two", "other")]
    for path, day in zip(paths, (DAY, DAY, date(2026, 4, 2)), strict=True):
        assert write_printout(made(day=day), path) == ()
    one, two, other = (path.read_bytes() for path in paths)
    assert one == two
    assert one != other
    if ending == ".html":
        assert other.decode().replace("2026-04-02", "2026-03-01") == one.decode()
    if ending == ".pdf":
        assert words_of(other).replace("2026-04-02", "2026-03-01") == words_of(one)


def test_text_is_never_markup() -> None:
    told = words_of(typeset(made()).pdf)
    assert "<script>alert(1)</script>#strong*" in told
    assert "<script>" not in page(made())


def test_pdf_says_that_it_is_accessible() -> None:
    pdf = typeset(made()).pdf
    assert b"<pdfuaid:part>1</pdfuaid:part>" in pdf
    assert re.search(rb"/Lang ?\(zh", pdf)
    assert b"/MarkInfo" in pdf
    with pytest.raises(RuntimeError, match="alt"):
        typeset(replace(made(), parts=[Part("x", [Plate("t", SVG, "")])]))


def test_characters_outside_of_the_typeface_are_told() -> None:
    assert lacking_in("参保 ≥ ① “引” 〓 × % 〔2021〕 √ ÷ —") == ()
    assert lacking_in("喆𠮷") == ("喆", "𠮷")
    printout = replace(made(kind="letter"), greeting="张\U000f1234\x07喆：")
    found = typeset(printout)
    # What a machine's own fonts have differs; a private character is in none of them.
    assert "\U000f1234" in found.missing
    assert set(found.missing) | set(found.borrowed) == {"\U000f1234", "喆"}
    assert "张〓" in words_of(found.pdf)


def test_everything_that_is_said_can_be_set() -> None:
    from medfloor.words import catalogue

    for lang in ("zh", "en"):
        sections = ("printing.", "county_report.", "policy_brief.", "family_letter.", "study_paper.")
        texts = "".join(text for key, text in catalogue(lang).items() if key.startswith(sections))
        assert lacking_in(texts) == ()


def test_wide_tables_are_set_smaller_then_on_their_side() -> None:
    rows = [[f"name {row}", *["1,234,567.89"] * 8] for row in range(20)]
    some = Grid("t", ["x", *["a head of three words"] * 8], rows)
    many = Grid("t", ["x", *["a head"] * 16], [[row[0], *[row[1]] * 16] for row in rows])
    shown = [typesetting._block(one, {}, made()) for one in (some, many)]
    assert [one["wide"] for one in shown] == [False, True]
    assert 6.5 <= shown[0]["size"] < 9
    assert shown[1]["size"] >= 6
    assert len(png_pages(replace(made(), parts=[Part("x", [some, many])]), ppi=20)) == 2


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Rename"):
        write_printout(made(), tmp_path / "report.docx")


def test_figures_hold_chinese_and_their_numbers_stay_in_the_drawing() -> None:
    bars = stacked([Bar("三级机构", "基本医疗保险", 0.6), Bar("三级机构", "个人负担", 0.4)], "占比")
    dots = spots(
        [
            Spot("很长很长的名字很长很长的名字很长很长的名字", "保障前", 0.3, 0.2, None),
            Spot("乙", "保障后", 0.1, 0.0, 0.2),
        ],
        "占比",
    )
    assert "三级机构" in bars.decode()
    assert "保障后" in dots.decode()
    assert typeset(Printout("t", "zh", DAY, [Part("x", [Plate("a", bars, "b"), Plate("c", dots, "d")])])).missing == ()


def test_chinese_is_set_as_printers_do() -> None:
    """Full-width brackets, per cent at its number, no unit left behind, heads that break between words."""
    rows = [["三级机构 (县外)", "45.67 %", "0.5 (0.1)"]]
    table = Grid("比例 (参考)", ["机构", "实际报销比例", "标准误"], rows * 2)
    report = replace(made(), parts=[Part("x", ["下表 (见附件) 共 12 元。", table, "后文"])])
    shown = page(report)
    assert "三级机构（县外）" in shown and "45.67%" in shown and "0.5 (0.1)" in shown
    document = json.loads(typesetting.inputs_of(report)["document"])
    first, grid, last = document["sections"][0]["blocks"]
    assert first["text"] == "下表（见附件）共 12\xa0元。"
    assert (first["sticky"], last.get("sticky", False)) == (True, False)
    assert grid["heads"][1] == ["实际报销比例"]
    assert typesetting._head("实际报销比例", 6.0) == ["实际报销", "比例"]
    assert typesetting._head("人均（元）", 5.0) == ["人均", "（元）"]
    assert lacking_in("\xa0") == ()
    told = words_of(typeset(report).pdf)
    assert "三级机构（县外）" in told
