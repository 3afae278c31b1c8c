"""Put pooling, and one tier or several, on a page and into tables; draw ruin, transfers and choice."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from medfloor.errors import OutputError, UsageError
from medfloor.fund.pooling import DESIGNS, Pooling
from medfloor.fund.series import value_text
from medfloor.fund.tiers import RESIDENCES, SCENARIOS, Tiering, tier_name
from medfloor.intake.files import write_bytes, write_table
from medfloor.reports.drawing import COLOURS, GREY, SPLIT, broken, data_of, legend, set_in_words
from medfloor.reports.figures import FORMATS, _rendered
from medfloor.reports.printed import Printed, as_markdown, as_page
from medfloor.reports.typeface import register
from medfloor.reports.workbook import Sheet, frame_sheet, words_sheet, write_workbook
from medfloor.words import knows, say

if TYPE_CHECKING:
    import altair as alt

Record: TypeAlias = Pooling | Tiering

ENDINGS = (".html", ".md", ".json", ".csv", ".parquet", ".xlsx", *(one for one in FORMATS if one != ".json"))
_SIZE = (560, 320)


def check_sharing(paths: Sequence[str]) -> None:
    """Refuse what cannot be written before anything is worked out.

    Raises UsageError unknown_format for a file whose ending is none of ENDINGS.
    """
    for path in paths:
        ending = Path(path).suffix.lower()
        if ending and ending not in ENDINGS and not Path(path).is_dir():
            raise UsageError("unknown_format", f"{path} ends in none of {', '.join(ENDINGS)}. Rename it.")


def write_sharing(record: Record, path: str | os.PathLike[str], lang: str = "en") -> list[Path]:
    """Write pooling or tiers, each file whole or not at all; gives the files written.

    A path with an ending is one file: .html and .md the page, .json everything, .csv and .parquet the main table, .xlsx
    all tables, .svg, .png and .pdf the first figure. Another path is a folder, which gets all of them.

    Raises UsageError unknown_format, OutputError cannot_write.
    """
    place = Path(path)
    if place.suffix and not place.is_dir():
        check_sharing([str(path)])
        _write_one(record, place, lang)
        return [place]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot_write", f"{place} cannot be made: {error.strerror}; choose another folder") from None
    name = _section(record).removeprefix("fund_")
    written = [place / one for one in ("page.html", "page.md", f"{name}.json", f"{name}.xlsx")]
    for one in written:
        _write_one(record, one, lang)
    for table, frame in record.frames(lang).items():
        for ending in (".csv", ".parquet"):
            write_table(frame, place / f"{table}{ending}", money_columns=[])
            written.append(place / f"{table}{ending}")
    for figure, chart in figures_of(record, lang).items():
        write_bytes(_rendered(chart, ".svg"), place / f"{figure}.svg")
        written.append(place / f"{figure}.svg")
    return written


def figures_of(record: Record, lang: str = "en") -> dict[str, alt.VConcatChart]:
    """Draw a record's figures by name; the first says most."""
    if isinstance(record, Pooling):
        return {"figure_ruin": ruin_figure(record, lang), "figure_transfers": transfer_figure(record, lang)}
    return {"figure_choice": choice_figure(record, lang), "figure_transfers": group_figure(record, lang)}


def ruin_figure(found: Pooling, lang: str = "en") -> alt.VConcatChart:
    """Draw the probability to pay more than expected by pool size, with random claims alone and with the shock."""
    import altair as alt

    what = {"": say("fund_pool.figure_alone", lang), "common_": say("fund_pool.figure_common", lang)}
    points = [
        {"members": row["members"], "chance": row[f"{kind}over_{line:g}"],
         "kind": say("fund_pool.figure_line", lang, line=f"{line:.0%}", what=what[kind])}
        for line in found.terms.lines for kind in what for row in found.sizes.iter_rows(named=True)
    ]  # fmt: skip
    kinds = list(dict.fromkeys(one["kind"] for one in points))
    chart = (
        alt.Chart(data_of(points))
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=alt.X(field="members", type="quantitative", title=say("fund_pool.figure_members", lang),
                    scale=alt.Scale(type="log"), axis=alt.Axis(format=",~f", tickCount=4)),
            y=alt.Y(field="chance", type="quantitative", title=say("fund_pool.figure_chance", lang),
                    axis=alt.Axis(format="~%")),
            color=alt.Color(field="kind", type="nominal", legend=legend(kinds, None),
                            scale=alt.Scale(domain=kinds, range=_colours(len(kinds)))),
        )
        .properties(width=_SIZE[0], height=_SIZE[1])
    )  # fmt: skip
    return _set(chart, "fund_pool.figure_ruin", found, lang, notes=2)


def transfer_figure(found: Pooling, lang: str = "en") -> alt.VConcatChart:
    """Draw net transfers of places by income a head, a colour a design."""
    import altair as alt

    shown = [one for one in DESIGNS if one not in ("county", "benefits")]
    names = {one: say(f"fund_pool.{one}", lang) for one in shown}
    rows = found.places.filter(pl.col("design").is_in(shown) & (pl.col("response") == "none"))
    points = [
        {"income": row["income"], "transfer": row["transfer"], "kind": names[row["design"]]}
        for row in rows.iter_rows(named=True)
    ]
    kinds = list(names.values())
    dots = (
        alt.Chart(data_of(points))
        .mark_line(point=True)
        .encode(
            x=alt.X(field="income", type="quantitative", title=say("fund_pool.figure_income", lang),
                    scale=alt.Scale(zero=False)),
            y=alt.Y(field="transfer", type="quantitative", title=say("fund_pool.figure_yuan", lang)),
            color=alt.Color(field="kind", type="nominal", legend=legend(kinds, None),
                            scale=alt.Scale(domain=kinds, range=_colours(len(kinds)))),
        )
    )  # fmt: skip
    chart = alt.layer(dots, _zero()).properties(width=_SIZE[0], height=_SIZE[1])
    return _set(chart, "fund_pool.figure_transfers", found, lang, notes=3)


def choice_figure(found: Tiering, lang: str = "en") -> alt.VConcatChart:
    """Draw the risk and the share of members of each tier under each scenario that has several."""
    import altair as alt

    rows = found.tiers.filter(pl.col("scenario").is_in(["before", "choice"])).to_dicts()
    points = [
        {"scenario": broken(say(f"fund_tiers.{row['scenario']}", lang), 170), "tier": tier_name(row["tier"], lang),
         "what": say(f"fund_tiers.{what}", lang), "value": row[what]}
        for row in rows for what in ("share", "risk")
    ]  # fmt: skip
    tiers = [tier_name(one.name, lang) for one in found.asked]
    scenarios = list(dict.fromkeys(one["scenario"] for one in points))
    chart = (
        alt.Chart(data_of(points))
        .mark_bar()
        .encode(
            x=alt.X(field="scenario", type="nominal", title=None, sort=scenarios,
                    axis=alt.Axis(labelAngle=0, labelExpr=SPLIT)),
            xOffset=alt.XOffset(field="tier", type="nominal", sort=tiers),
            y=alt.Y(field="value", type="quantitative", title=None),
            color=alt.Color(field="tier", type="nominal", legend=legend(tiers, None),
                            scale=alt.Scale(domain=tiers, range=_colours(len(tiers)))),
            column=alt.Column(field="what", type="nominal", title=None),
        )
        .properties(width=270, height=260)
        .resolve_scale(y="independent")
    )  # fmt: skip
    return _set(chart, "fund_tiers.figure_choice", found, lang, notes=4)


def group_figure(found: Tiering, lang: str = "en") -> alt.VConcatChart:
    """Draw net transfers by residence and fifth of income, a colour a scenario."""
    import altair as alt

    shown = [one for one in SCENARIOS if one in ("before", "choice", "same_cost")]
    names = {one: say(f"fund_tiers.{one}", lang) for one in shown}
    groups = {one: say(f"fund_tiers.group_{one}", lang) for one in (*RESIDENCES, *"12345")}
    rows = found.transfers.filter(pl.col("scenario").is_in(shown))
    points = [
        {"group": broken(groups[row["group"]], 70), "kind": names[row["scenario"]], "value": row["transfer"]}
        for row in rows.iter_rows(named=True)
    ]
    kinds, order = list(names.values()), list(dict.fromkeys(one["group"] for one in points))
    bars = (
        alt.Chart(data_of(points))
        .mark_bar()
        .encode(
            x=alt.X(field="group", type="nominal", title=None, sort=order,
                    axis=alt.Axis(labelAngle=0, labelExpr=SPLIT)),
            xOffset=alt.XOffset(field="kind", type="nominal", sort=kinds),
            y=alt.Y(field="value", type="quantitative", title=say("fund_tiers.figure_y", lang)),
            color=alt.Color(field="kind", type="nominal", legend=legend(kinds, None),
                            scale=alt.Scale(domain=kinds, range=_colours(len(kinds)))),
        )
    )  # fmt: skip
    chart = alt.layer(bars, _zero()).properties(width=_SIZE[0], height=_SIZE[1])
    return _set(chart, "fund_tiers.figure_transfers", found, lang, notes=2)


def _zero() -> alt.Chart:
    import altair as alt

    rule: alt.Chart = alt.Chart(data_of([{"at": 0.0}])).mark_rule(color=GREY)
    return rule.encode(y=alt.Y(field="at", type="quantitative"))


def _colours(many: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(many)]


def _set(chart: Any, title: str, found: Record, lang: str, *, notes: int) -> alt.VConcatChart:
    register()
    said = [one.say(lang) for one in found.said()]
    made: alt.VConcatChart = set_in_words(
        chart, say(title, lang), above=[found.head(lang)],
        below=[*said[:notes], *(said[-1:] if _made_up(found) else [])], told=[found.head(lang)],
    )  # fmt: skip
    return made


def _made_up(found: Record) -> bool:
    return found.of.synthetic if isinstance(found, Pooling) else found.synthetic


def _section(record: Record) -> str:
    return "fund_pool" if isinstance(record, Pooling) else "fund_tiers"


def _write_one(record: Record, place: Path, lang: str) -> None:
    ending = place.suffix.lower()
    if ending == ".html":
        write_bytes(as_page(_pages(record, lang), lang), place)
    elif ending == ".md":
        title = f"# {say(f'{_section(record)}.page_title', lang)}\n\n{record.head(lang)}\n\n"
        write_bytes(title.encode("utf-8") + as_markdown(_pages(record, lang)), place)
    elif ending == ".json":
        text = json.dumps(record.to_dict(lang), ensure_ascii=False, indent=1, allow_nan=False)
        write_bytes((text + "\n").encode("utf-8"), place)
    elif ending == ".xlsx":
        write_workbook(_sheets(record, lang), place)
    elif ending in (".csv", ".parquet"):
        write_table(record.to_frame(lang), place, money_columns=[])
    else:
        write_bytes(_rendered(next(iter(figures_of(record, lang).values())), ending), place)


def _pages(record: Record, lang: str) -> list[Printed]:
    tables = record.tables(lang)
    made = []
    for number, (title, rows, right) in enumerate(tables, 1):
        notes = [one.say(lang) for one in record.said()] if number == len(tables) else []
        made.append(Printed(title, [rows[0]], rows[1:], min(right), notes))
    rows = [
        [row["title"], "" if row["value"] is None else value_text(row["value"]), row["unit"], str(row["year"] or ""),
         say(f"fund_trust.{row['trust']}", lang), row["source"]]
        for row in record.sources(lang).iter_rows(named=True)
    ]  # fmt: skip
    heads = [say(f"fund_project.{one}", lang) for one in ("parameter", "value", "unit", "year", "trust", "source")]
    return [*made, Printed(say("fund_project.parameters", lang), [heads], rows, 6)]


def _sheets(record: Record, lang: str) -> list[Sheet]:
    section, made = _section(record), []
    for name, frame in record.frames(lang).items():
        heads = [say(key, lang) if knows(key := f"{section}.{one}", lang) else one for one in frame.columns]
        forms = ["" if not kind.is_numeric() else "whole" if kind.is_integer() else "any" for kind in frame.dtypes]
        made.append(frame_sheet(frame, name, heads, forms))
    told = [(say(f"{section}.page_title", lang), [one.say(lang) for one in record.said()])]
    return [*made, words_sheet(told, lang)]
