"""Put a model's card and its drift on a page; draw calibration, what visits reach, and what has moved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfloor.errors import UsageError
from medfloor.intake.files import write_bytes, write_table
from medfloor.reports.drawing import COLOURS, GREY, SPLIT, broken, data_of, legend, set_in_words
from medfloor.reports.figures import _rendered
from medfloor.reports.plain import json_of
from medfloor.reports.printed import Printed, as_markdown, as_page
from medfloor.reports.typeface import register
from medfloor.watch.card import Card
from medfloor.watch.drift import Drift
from medfloor.watch.profile import WHOLE
from medfloor.words import knows, say

if TYPE_CHECKING:
    import altair as alt

CARD_ENDINGS = (".md", ".html", ".json", ".svg", ".png", ".pdf")
DRIFT_ENDINGS = (".md", ".html", ".json", ".csv", ".parquet", ".svg", ".png", ".pdf")
_MOST_BARS = 12


def check_endings(paths: Sequence[str], endings: Sequence[str]) -> None:
    """Refuse a file that cannot be written before anything is worked out.

    Raises UsageError unknown_format.
    """
    for path in paths:
        if Path(path).suffix.lower() not in endings:
            raise UsageError("unknown_format", f"{path} ends in none of {', '.join(endings)}. Rename it.")


def write_card(card: Card, path: str | os.PathLike[str], lang: str = "en") -> None:
    """Write a card into one file, whole or not at all.

    .md and .html are the page, the latter with its figures; .json holds every number, the words of `lang` and the
    signatures; .svg, .png and .pdf are the figure of calibration.

    Raises UsageError unknown_format, no_such_figure (a figure of a model that was not judged); OutputError
    cannot_write.
    """
    check_endings([os.fspath(path)], CARD_ENDINGS)
    ending = Path(path).suffix.lower()
    if ending == ".json":
        write_bytes(json_of(card.to_dict(lang)), path)
    elif ending == ".md":
        write_bytes(_card_markdown(card, lang), path)
    elif ending == ".html":
        judged = bool(card.model.judged.get("figures"))
        drawn = [calibration_figure(card, lang), capacity_figure(card, lang)] if judged else []
        write_bytes(_with_figures(as_page(_card_tables(card, lang), lang), drawn), path)
    else:
        write_bytes(_rendered(calibration_figure(card, lang), ending), path)


def write_drift(found: Drift, path: str | os.PathLike[str], lang: str = "en") -> None:
    """Write what has moved into one file, whole or not at all.

    .md and .html are the page, the latter with its figure; .csv and .parquet every number that was looked at, of all
    townships; .json all of it; .svg, .png and .pdf the figure.

    Raises UsageError unknown_format, OutputError cannot_write.
    """
    check_endings([os.fspath(path)], DRIFT_ENDINGS)
    ending = Path(path).suffix.lower()
    if ending == ".json":
        write_bytes(json_of(found.to_dict(lang)), path)
    elif ending in (".csv", ".parquet"):
        write_table(found.to_frame(lang), path, money_columns=[])
    elif ending == ".md":
        head = f"# {say('watch_drift.page_title', lang)}\n\n"
        write_bytes(head.encode("utf-8") + as_markdown(_drift_tables(found, lang)), path)
    elif ending == ".html":
        write_bytes(_with_figures(as_page(_drift_tables(found, lang), lang), [drift_figure(found, lang)]), path)
    else:
        write_bytes(_rendered(drift_figure(found, lang), ending), path)


def calibration_figure(card: Card, lang: str = "en") -> alt.VConcatChart:
    """Draw the share that fell over the probability foretold, by tenths of the households, with the line of the right.

    Raises UsageError no_such_figure for a model that was not judged.
    """
    import altair as alt

    rows = _judged(card)["deciles"]
    points = [{name: row[name] for name in ("predicted", "observed", "low", "high")} for row in rows]
    most = max(max(row["high"], row["predicted"]) for row in rows)
    scale = alt.Scale(domain=[0, most], nice=True)
    x = alt.X(field="predicted", type="quantitative", title=say("watch_figures.foretold", lang), scale=scale,
              axis=alt.Axis(format="~%", tickCount=6))  # fmt: skip

    def y(field: str) -> alt.Y:
        return alt.Y(field=field, type="quantitative", title=say("watch_figures.fell", lang), scale=scale,
                     axis=alt.Axis(format="~%", tickCount=6))  # fmt: skip

    ideal = (
        alt.Chart(data_of([{"predicted": 0.0, "observed": 0.0}, {"predicted": most, "observed": most}]))
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x=x, y=y("observed"))
    )
    base = alt.Chart(data_of(points)).encode(x=x)
    spread = base.mark_rule(color=COLOURS[0], strokeWidth=2).encode(y=y("low"), y2=alt.Y2(field="high"))
    dots = base.mark_point(filled=True, size=70, color=COLOURS[0], opacity=1).encode(y=y("observed"))
    return _set(alt.layer(ideal, spread, dots).properties(width=430, height=430), card, "calibration", lang)


def capacity_figure(card: Card, lang: str = "en") -> alt.VConcatChart:
    """Draw recall and precision over the visits a week, of the model and of every other order, the capacity marked.

    Raises UsageError no_such_figure for a model that was not judged.
    """
    import altair as alt

    judged = _judged(card)
    orders = list(dict.fromkeys(row["order"] for row in judged["by_capacity"]))
    names = {one: say(f"watch_order.{card.model.kind if one == 'model' else one}", lang) for one in orders}
    # Two orders can have one name where a kind of model stands beside the model of the same kind.
    kinds = list(dict.fromkeys(names.values()))
    sides = [say(f"watch_card.{one}", lang) for one in ("recall", "precision")]
    points = [
        {"kind": broken(names[row["order"]], 300), "visits": row["capacity"], "what": side, "value": row[what]}
        for row in judged["by_capacity"]
        for side, what in zip(sides, ("recall", "precision"), strict=True)
        if row[what] is not None
    ]
    labels = [broken(one, 300) for one in kinds]
    scale = alt.Scale(domain=labels, range=list(COLOURS[: len(labels)]))
    x = alt.X(field="visits", type="quantitative", title=say("watch_card.visits_a_week", lang),
              axis=alt.Axis(tickCount=5, format=",~f"))  # fmt: skip
    line = (
        alt.Chart()
        .mark_line(point=True)
        .encode(
            x=x,
            y=alt.Y(field="value", type="quantitative", title=None, axis=alt.Axis(format="~%"),
                    scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(field="kind", type="nominal", scale=scale, legend=legend(labels, None)),
        )
    )  # fmt: skip
    at = alt.Chart().mark_rule(color=GREY, strokeDash=[4, 4]).encode(x=alt.XDatum(judged["capacity"]))
    chart = alt.layer(line, at).properties(width=260, height=280).facet(
        data=data_of(points), column=alt.Column(field="what", type="nominal", title=None, sort=sides)
    )  # fmt: skip
    return _set(chart, card, "capacity", lang)


def drift_figure(found: Drift, lang: str = "en") -> alt.VConcatChart:
    """Draw the inputs of everybody that moved most as bars, with the lines of watching and of drift."""
    import altair as alt

    rows = [row for row in found.inputs.iter_rows(named=True) if row["place"] == WHOLE and row["psi"] is not None]
    rows = sorted(rows, key=lambda row: (-row["psi"], row["feature"]))[:_MOST_BARS]
    points = [
        {"name": broken(_feature(row["feature"], lang), 250), "psi": row["psi"],
         "kind": say(f"watch_drift.band_{row['band']}", lang)}
        for row in rows
    ]  # fmt: skip
    bands = ("stable", "chance", "watch", "drift")
    kinds = [say(f"watch_drift.band_{one}", lang) for one in bands]
    colours = [COLOURS[0], "#BFBFBF", COLOURS[4], COLOURS[1]]
    names = [one["name"] for one in points]
    bars = (
        alt.Chart(data_of(points))
        .mark_bar()
        .encode(
            y=alt.Y(field="name", type="nominal", sort=names, title=None, axis=alt.Axis(labelExpr=SPLIT)),
            x=alt.X(field="psi", type="quantitative", title=say("watch_drift.figure_axis", lang)),
            color=alt.Color(field="kind", type="nominal", scale=alt.Scale(domain=kinds, range=colours),
                            legend=legend(kinds, None)),
        )
    )  # fmt: skip
    lines = [{"at": found.rules["psi_watch"]}, {"at": found.rules["psi_drift"]}]
    rules = alt.Chart(data_of(lines)).mark_rule(color=GREY, strokeDash=[4, 4]).encode(
        x=alt.X(field="at", type="quantitative")
    )  # fmt: skip
    step = alt.Step(34 if any("\n" in name for name in names) else 26)
    register()
    said = [say("watch_drift.figure_lines", lang), found.said()[0].say(lang)]
    made: alt.VConcatChart = set_in_words(
        alt.layer(bars, rules).properties(width=400, height=step), say("watch_drift.figure_title", lang), above=[],
        below=said, told=said[1:],
    )  # fmt: skip
    return made


def _set(chart: Any, card: Card, name: str, lang: str) -> alt.VConcatChart:
    judged = card.model.judged
    head = say("watch_figures.head", lang, title=card.title(lang), year=card.model.judged_year,
               households=f"{judged['households']:,}", fell=f"{judged['fell']:,}")  # fmt: skip
    below = [say(f"watch_figures.{name}_note", lang, capacity=judged["capacity"])]
    if card.model.synthetic:
        below.append(say("watch_card.data_made_up", lang))
    register()
    made: alt.VConcatChart = set_in_words(chart, say(f"watch_figures.{name}", lang), above=[head], below=below,
                                          told=[head, *below])  # fmt: skip
    return made


def _judged(card: Card) -> dict[str, Any]:
    if not card.model.judged.get("figures"):
        raise UsageError("no_such_figure", "the model was not judged on a later year; there is nothing to draw")
    return dict(card.model.judged)


def _card_markdown(card: Card, lang: str) -> bytes:
    """Write a card as Markdown: a heading a part, sentences as paragraphs, tables as they are."""
    pages = [f"# {card.title(lang)}\n"]
    for part in card.parts(lang):
        pages.append(f"## {part.title}\n")
        pages += [f"{one}\n" for one in part.said]
        pages += [as_markdown([_printed(title, rows, right)]).decode("utf-8") for title, rows, right in part.tables]
    return ("\n".join(pages).rstrip() + "\n").encode("utf-8")


def _card_tables(card: Card, lang: str) -> list[Printed]:
    """Lay a card out as tables: the sentences of each part as rows, and its tables after it."""
    made: list[Printed] = []
    for part in card.parts(lang):
        made.append(Printed(part.title, [[""]], [[one] for one in part.said], 1))
        made += [_printed(title, rows, right) for title, rows, right in part.tables]
    # The page takes its title from its first table.
    first = made[0]
    return [Printed(card.title(lang), [[first.title]], first.rows, 1), *made[1:]]


def _drift_tables(found: Drift, lang: str) -> list[Printed]:
    made = [_printed(title, rows, right) for title, rows, right in found.tables(lang)]
    first = made[0]
    notes = [one.say(lang) for one in found.said()]
    return [Printed(first.title, first.heads, first.rows, first.names, notes), *made[1:]]


def _printed(title: str, rows: Sequence[Sequence[str]], right: Sequence[int]) -> Printed:
    return Printed(title, [rows[0]], rows[1:], min(right) if right else len(rows[0]))


def _with_figures(page: bytes, figures: Sequence[Any]) -> bytes:
    """Put figures into a page before its end, as drawings that need nothing from outside."""
    drawn = b"\n".join(_rendered(one, ".svg") for one in figures)
    return page.replace(b"\n</body>", b"\n" + drawn + b"\n</body>")


def _feature(name: str, lang: str) -> str:
    return say(key, lang) if knows(key := f"watch_feature.{name}") else name
