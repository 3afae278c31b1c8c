"""Figures: really rendered, in both languages; every word inside the frame, none over another, no empty boxes."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import ALL, by_band, by_group, by_index, by_quantile, by_threshold, by_tier, parade, result, row

from medfloor.errors import OutputError, UsageError
from medfloor.reports import figure, write_figure
from medfloor.reports.drawing import PAYERS, WIDTH, amounts_in_yuan
from medfloor.reports.figures import FORMATS, FigureKind, kind_of
from medfloor.reports.plates import Bar, stacked
from medfloor.reports.typeface import BOLD, FOLDER, pixels, wrapped
from medfloor.words import LANGS, catalogue

FONTS = {weight: TTFont(FOLDER / f"NotoSansSC-{weight}.ttf") for weight in ("Regular", "Bold")}
MAPS = {weight: font.getBestCmap() for weight, font in FONTS.items()}


def advance(text: str, size: float, weight: str) -> float:
    """Measure a line of text with the shipped font."""
    metrics, units = FONTS[weight]["hmtx"], FONTS[weight]["head"].unitsPerEm
    return size * sum(metrics[MAPS[weight].get(ord(one), ".notdef")][0] for one in text) / units


@dataclass(frozen=True)
class Box:
    """Be the place of one line of text: left, top, right, bottom."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: Box) -> bool:
        # One pixel of grace: sizes of type are rounded when they are set.
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > 1 and down > 1


def boxes_of(svg: str) -> Iterator[Box]:
    """Find where each line of text stands in an SVG as Vega writes it: nested moves, and texts turned by 90 degrees."""

    def walk(node: ElementTree.Element, x: float, y: float) -> Iterator[Box]:
        for dx, dy in re.findall(r"translate\(([-\d.e]+),([-\d.e]+)\)", node.get("transform", "")):
            x, y = x + float(dx), y + float(dy)
        if node.tag.endswith("}text"):
            size = float(str(node.get("font-size")).removesuffix("px"))
            weight = "Bold" if node.get("font-weight") == "bold" else "Regular"
            lines = [one.text or "" for one in node] or [node.text or ""]
            steps = [float(one.get("dy", 0)) for one in node] or [0.0]
            for line, below in zip(lines, itertools.accumulate(steps), strict=True):
                wide = advance(line, size, weight)
                start = {"middle": -wide / 2, "end": -wide}.get(str(node.get("text-anchor")), 0.0)
                # Letters reach from 0.8 of their size above the base line to 0.15 below it.
                if "rotate(-90)" in str(node.get("transform")):
                    yield Box(line, x - 0.8 * size + below, y - start - wide, x + 0.15 * size + below, y - start)
                else:
                    base = y + below
                    yield Box(line, x + start, base - 0.8 * size, x + start + wide, base + 0.15 * size)
        for child in node:
            if not node.tag.endswith("}text"):
                yield from walk(child, x, y)

    yield from (box for box in walk(ElementTree.fromstring(svg), 0.0, 0.0) if box.text.strip())


def size_of(svg: str) -> tuple[float, float]:
    found = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    assert found
    return float(found[1]), float(found[2])


def plain(text: str) -> str:
    """Leave out blanks, at which lines may break."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("name", ALL)
def test_every_kind_stands_within_its_frame_with_its_words_around_it(name: str, lang: str, tmp_path: Path) -> None:
    shown = ALL[name]()
    write_figure(shown, tmp_path / "figure.svg", lang)
    svg = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    width, height = size_of(svg)
    boxes = list(boxes_of(svg))
    assert width <= WIDTH
    outside = [box for box in boxes if box.left < 0 or box.top < 0 or box.right > width or box.bottom > height]
    assert not outside
    over = [(one.text, other.text) for one, other in itertools.combinations(boxes, 2) if one.covers(other)]
    assert not over
    told = plain("".join(box.text for box in boxes))
    for phrase in (shown.definition, shown.weight, shown.errors, *shown.notes):
        assert plain(phrase.say(lang)) in told


def test_the_check_for_covered_words_sees_some() -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20"><g transform="translate(5,12)">'
        '<text font-size="10px">one</text><text transform="translate(8,2)" font-size="10px">two</text></g></svg>'
    )
    one, two = boxes_of(svg)
    assert one.covers(two)


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("weight", FONTS)
def test_the_shipped_font_has_every_character_of_the_catalogues(weight: str, lang: str) -> None:
    needed = {character for sentence in catalogue(lang).values() for character in sentence if character != "\n"}
    assert not {character for character in needed if ord(character) not in MAPS[weight]}


@pytest.mark.parametrize("weight", FONTS)
def test_the_shipped_font_has_all_chinese_characters_of_gb_2312(weight: str) -> None:
    rows = (bytes([high, low]).decode("gb2312", "replace") for high in range(0xB0, 0xF8) for low in range(0xA1, 0xFF))
    standard = [one for one in rows if "\u4e00" <= one <= "\u9fff"]
    assert len(standard) == 6_763
    assert not [one for one in standard if ord(one) not in MAPS[weight]]


def test_the_font_keeps_its_licence_and_does_not_bear_the_reserved_name() -> None:
    licence = (FOLDER / "OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "Reserved Font Name 'Source'" in licence
    for font in FONTS.values():
        names = {str(font["name"].getDebugName(number)) for number in (1, 4, 6, 16)}
        assert not [name for name in names if "source" in name.lower()]


def test_a_pdf_holds_the_chinese_letters_themselves(tmp_path: Path) -> None:
    write_figure(by_group(), tmp_path / "figure.pdf", "zh")
    raw = (tmp_path / "figure.pdf").read_bytes()
    assert raw.startswith(b"%PDF-")
    assert b"NotoSansSC-Regular" in raw
    parts = [raw]
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", raw, re.DOTALL):
        try:
            parts.append(zlib.decompress(found[1]))
        except zlib.error:
            continue
    text = b"\n".join(parts).upper()
    # The tables from glyphs to Unicode name every letter that is drawn, so that it can be searched and copied.
    for letter in "灾难性卫生支出发生率登记":
        assert f"<{ord(letter):04X}>".encode() in text, letter


def test_a_png_shows_letters_and_not_the_same_box_for_all(tmp_path: Path) -> None:
    # Were letters missing, names of the same length would come out as the same boxes.
    pictures = []
    for name in ("灾难", "贫困", "住院"):
        write_figure(result([row("headcount", 0.2, by="village", group=name)]), tmp_path / "figure.png", "zh")
        pictures.append((tmp_path / "figure.png").read_bytes())
    assert len(set(pictures)) == 3
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_the_kind_that_fits_is_chosen() -> None:
    assert {name: kind_of(make()) for name, make in ALL.items()} == {
        "groups": "groups",
        "quantiles": "quantiles",
        "quantiles_thresholds": "quantiles",
        "bands": "bands",
        "thresholds": "thresholds",
        "steps": "steps",
        "estimates": "estimates",
        "concentration_curve": "concentration_curve",
        "pen_parade": "pen_parade",
        "cliff": "cliff",
    }
    assert set(map(kind_of, (make() for make in ALL.values()))) == set(get_args(FigureKind))


def values_drawn(chart: object, name: str = "estimate") -> list[float]:
    """Give the numbers that a chart draws, in the order of its data."""
    return [point[name] for point in points_of(chart.to_dict())]  # type: ignore[attr-defined]


def points_of(spec: dict[str, object]) -> list[dict[str, float]]:
    """Find the data of a figure, wherever Altair has put it."""
    data = spec.get("data")
    if isinstance(data, dict):
        return list(data["values"])
    (inner,) = spec["vconcat"]  # type: ignore[misc]
    return points_of(inner)


def test_bars_stand_for_the_estimates_of_the_result() -> None:
    shown = by_quantile()
    assert values_drawn(figure(shown)) == shown.rows["estimate"].to_list()
    assert values_drawn(figure(shown), "low") == shown.rows["low"].to_list()


def test_the_first_statistic_is_drawn_or_the_one_that_is_named() -> None:
    shown = by_tier()
    means = shown.rows.filter(pl.col("statistic") == "mean")["estimate"].to_list()
    assert values_drawn(figure(shown)) == shown.rows["estimate"].to_list()[:4]
    assert values_drawn(figure(shown, statistic="mean")) == means
    with pytest.raises(UsageError, match="it has headcount, mean") as raised:
        figure(shown, statistic="median")
    assert raised.value.code == "no_such_estimate"


def test_labels_choose_what_is_drawn() -> None:
    shown = ALL["quantiles_thresholds"]()
    at = shown.rows.filter(pl.col("threshold") == 0.25)["estimate"].to_list()
    assert values_drawn(figure(shown, threshold=0.25)) == at
    for wrong in ({"threshold": 0.3}, {"hukou": "rural"}, {"estimate": 0.1}):
        with pytest.raises(UsageError) as raised:
            figure(shown, **wrong)
        assert raised.value.code == "no_such_estimate"


def test_a_label_that_all_share_is_said_above() -> None:
    chart = figure(ALL["quantiles_thresholds"](), threshold=0.25).to_dict()
    assert "threshold: 25 %" in chart["vconcat"][0]["title"]["subtitle"]


def test_an_estimate_without_value_is_counted_below_and_not_drawn() -> None:
    chart = figure(by_index())
    assert len(values_drawn(chart)) == 2
    assert "Not drawn because undefined: 1." in chart.to_dict()["title"]["text"]


def test_differences_between_groups_are_not_drawn_among_them() -> None:
    rows = [row("headcount", 0.1 * i, by="place", group=name) for i, name in enumerate("abc", 1)]
    rows.append(row("headcount", 0.05, "percent", by="place", group="b", against="a"))
    assert len(values_drawn(figure(result(rows)))) == 3


def test_a_parade_says_who_stands_outside_of_its_frame() -> None:
    notes = "".join(figure(parade()).to_dict()["title"]["text"])
    assert re.search(r"The frame ends at [\d,.]+: 4\.\d+ % of the parade stands above it\.", notes)


def curves_named(chart: object) -> list[str]:
    """List the names of the curves of a figure, in their order."""
    spec = chart.to_dict()  # type: ignore[attr-defined]
    return list(dict.fromkeys(str(point["name"]) for point in points_of(spec)))


def test_curves_of_groups_bear_their_names() -> None:
    p = [0.0, 0.5, 1.0]
    drawn = {("lorenz", None): 0.3, ("concentration", None): 0.4, ("concentration", "urban"): 0.45}
    frame = pl.DataFrame(
        [
            {"curve": curve, "group": group, "p": x, "share": share}
            for (curve, group), half in drawn.items()
            for x, share in zip(p, (0.0, half, 1.0), strict=True)
        ],
        schema={"curve": pl.String, "group": pl.String, "p": pl.Float64, "share": pl.Float64},
    )
    rows = [row("standard", 0.1, "index"), row("standard", 0.1, "index", by="hukou", group="urban")]
    assert curves_named(figure(result(rows, curves={"concentration": frame}))) == [
        "Lorenz curve",
        "concentration curve",
        "concentration curve, hukou: urban",
        "line of equality",
    ]
    many = [frame] + [
        frame.filter(pl.col("group") == "urban").with_columns(pl.lit(f"g{i}").alias("group")) for i in range(9)
    ]
    crowded = figure(result(rows, curves={"concentration": pl.concat(many)}))
    assert curves_named(crowded) == ["Lorenz curve", "concentration curve", "line of equality"]
    assert "many to tell apart: 10." in "".join(crowded.to_dict()["title"]["text"])


def test_a_result_of_differences_alone_is_drawn() -> None:
    rows = [
        row("change", 0.1 * i, "index", line=name, by="wave", group="2", against="1") for i, name in enumerate("ab")
    ]
    assert values_drawn(figure(result(rows))) == [0.0, 0.1]


def test_a_statistic_that_bears_the_name_of_its_measure_is_not_said_twice() -> None:
    shown = result([row("headcount", 0.2)], measure="Headcount of the poor")
    assert figure(shown).to_dict()["vconcat"][0]["title"]["text"] == ["Headcount of the poor"]


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("concentration_curve", by_group),
        ("pen_parade", by_group),
        ("quantiles", by_group),
        ("groups", by_quantile),
        ("bands", by_group),
        ("steps", by_group),
        ("thresholds", by_band),
        ("cliff", by_group),
        ("pie", by_group),
    ],
)
def test_a_figure_that_the_result_has_nothing_for_is_refused(kind: str, make: object) -> None:
    with pytest.raises(UsageError) as raised:
        figure(make(), kind=kind)  # type: ignore[operator,arg-type]
    assert raised.value.code == "no_such_figure"


def test_more_estimates_than_a_figure_can_hold_are_refused_with_a_way_out() -> None:
    many = [row("headcount", 0.1, by="place", group=f"g{i}", threshold=z / 100) for i in range(3) for z in range(1, 31)]
    with pytest.raises(UsageError, match=r"figure\(\.\.\., threshold=\.\.\.\)") as raised:
        figure(result(many), kind="groups")
    assert raised.value.code == "many_estimates"
    assert len(values_drawn(figure(result(many), kind="groups", threshold=0.1))) == 3


def test_two_groupings_have_a_panel_each() -> None:
    rows = [
        row("headcount", 0.1, by=by, group=name) for by, names in (("place", "ab"), ("sex", "mf")) for name in names
    ]
    spec = figure(result(rows)).to_dict()
    assert spec["vconcat"][0]["vconcat"][0]["facet"]["field"] == "panel"
    assert {point["panel"] for point in points_of(spec)} == {"place", "sex"}


def test_a_result_without_labels_is_drawn_too() -> None:
    assert values_drawn(figure(result([row("headcount", 0.2), row("mean", 90.0, "amount")]))) == [0.2]


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_is_written_and_is_what_its_ending_says(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"figure{ending}"
    write_figure(by_threshold(), path, "zh")
    first = {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF", ".json": b"{"}[ending]
    assert path.read_bytes().startswith(first)
    if ending == ".json":
        spec = json.loads(path.read_text(encoding="utf-8"))
        assert spec["config"]["font"].startswith("Noto Sans SC, ")
    if ending == ".svg":
        assert "Noto Sans SC, Source Han Sans SC" in path.read_text(encoding="utf-8").replace("&quot;", "")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    old = tmp_path / "figure.png"
    old.write_bytes(b"old")
    with pytest.raises(UsageError, match="no statistic"):
        write_figure(by_group(), old, statistic="none")
    assert old.read_bytes() == b"old"
    with pytest.raises(UsageError) as raised:
        write_figure(by_group(), tmp_path / "figure.gif")
    assert raised.value.code == "unknown_format"
    with pytest.raises(OutputError) as failed:
        write_figure(by_group(), tmp_path / "nowhere" / "figure.svg")
    assert failed.value.code == "cannot_write"
    assert [file.name for file in tmp_path.iterdir()] == ["figure.png"]


def test_the_reports_load_altair_and_great_tables_only_when_they_draw() -> None:
    code = (
        "import sys, medfloor.reports; print([n for n in ('altair', 'great_tables', 'vl_convert') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@given(st.text(alphabet="因病致贫，。（）ab cd 12.%", max_size=60), st.integers(40, 200))
@settings(max_examples=50)
def test_broken_lines_hold_every_letter_and_fit(text: str, width: int) -> None:
    lines = wrapped(text, 10, width)
    assert plain("".join(lines)) == plain(text)
    for line in lines:
        # One word, or one letter with the punctuation that clings to it, may be wider than the line.
        alone = len(wrapped(line, 10, 0)) == 1
        assert pixels(line, 10) <= width or alone


@pytest.mark.parametrize(("weight", "wider"), [("Regular", 1.0), ("Bold", BOLD)])
def test_estimated_widths_are_not_below_those_of_the_font(weight: str, wider: float) -> None:
    for lang in LANGS:
        for sentence in catalogue(lang).values():
            # Lines are broken at 690 of 720 pixels, so an estimate that is 2 % short does no harm; 1 pixel for short words.
            assert advance(sentence, 10, weight) <= 1.02 * wider * pixels(sentence, 10) + 1, sentence


@pytest.mark.parametrize("lang", LANGS)
def test_an_office_has_yuan_on_its_axes_and_another_table_its_own_unit(lang: str) -> None:
    shown = []
    for office in (True, False):
        if office:
            with amounts_in_yuan():
                made = figure(parade(), lang)
        else:
            made = figure(parade(), lang)
        shown.append(json.dumps(made.to_dict(), ensure_ascii=False))
    yuan, table = ("元", "数据表的货币单位") if lang == "zh" else ("yuan", "unit of the table")
    axis = "人均金额（{}）" if lang == "zh" else "amount per person ({})"
    assert axis.format(yuan) in shown[0]
    assert axis.format(table) in shown[1]
    assert table not in shown[0]


def test_payers_have_the_same_colours_on_pages_and_in_print() -> None:
    sheet = Path(stacked.__code__.co_filename).parents[1] / "service" / "pages" / "static" / "pages.css"
    text = sheet.read_text("utf-8")
    variables = {"critical_illness": "critical", "oop_cap": "cap", "own": "self"}
    for payer, colour in PAYERS.items():
        told = re.findall(rf"--tier-{variables.get(payer, payer)}: (#[0-9a-f]{{6}});", text)
        assert told == [colour.lower()], payer
    bars = [Bar("all", "保险", 0.5, "basic"), Bar("all", "一层", 0.2, "of_a_reform"), Bar("all", "自付", 0.3, "own")]
    drawn = stacked(bars, "share").decode("utf-8").lower()
    assert all(one in drawn for one in (PAYERS["basic"].lower(), PAYERS["own"].lower()))
    assert PAYERS["assistance"].lower() not in drawn
