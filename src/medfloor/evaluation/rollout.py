"""Say where and when a policy began: check a roll-out table with its sources, and join it to a panel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.evaluation.sample import check_columns
from medfloor.terminal import in_columns
from medfloor.words import Phrase, say

REQUIRED = ("policy", "admin_level", "admin_code", "start_date")
OPTIONAL = ("document_no", "url", "scope", "note")
COLUMNS = (*REQUIRED, *OPTIONAL)
"""The columns of a roll-out table. Nobody has published one for China: every study collected its own by hand."""

LEVELS = ("province", "city", "county")
SCOPES = ("NRCMS", "URBMI", "both")
PROVINCES = frozenset(
    str(code)
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 82))
    for code in range(first, last + 1)
)
"""The first two digits of GB/T 2260: 34 divisions of the level of a province."""

ADDED = ("treated", "start", "years_exposed")
_REFUSED = {"row": pl.Int64, "reason": pl.String, "value": pl.String, "found": pl.String, "level": pl.String}


@dataclass(frozen=True, slots=True, eq=False)
class Rollout:
    """Be a roll-out table after its check.

    `accepted` has the columns of `COLUMNS` (code as six digits, `start_date` as a date, `scope` one of `SCOPES`),
    `refused` one row a refused row: its number in the table (from 1), the reason (a name of the catalogue's section
    `refused`), the value. Rows in are accepted + refused.
    """

    accepted: pl.DataFrame
    refused: pl.DataFrame
    warnings: tuple[Phrase, ...]

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal."""
        lines = [say("rollout.checked", lang, accepted=f"{self.accepted.height:,}", refused=f"{self.refused.height:,}")]
        if self.refused.height:
            lines += ["", say("rollout.refused", lang)]
            lines += [f"  {reason_of(row, lang)}" for row in self.refused.head(40).iter_rows(named=True)]
            if self.refused.height > 40:
                lines.append(say("fit.more_rows", lang, rows=f"{self.refused.height - 40:,}"))
        if self.accepted.height:
            counted = self.accepted.group_by("policy", "admin_level", maintain_order=True).agg(
                pl.len(), pl.col("start_date").min().alias("first"), pl.col("start_date").max().alias("last")
            )
            heads = [say(f"panel_column.{name}", lang) for name in ("policy", "level", "rows", "start_date")]
            body = [
                [str(policy), say(f"level.{level}", lang), f"{rows:,}", f"{first} - {last}"]
                for policy, level, rows, first, last in counted.iter_rows()
            ]
            lines += ["", *in_columns([heads, *body], right=[2])]
        if self.warnings:
            lines += [
                "",
                say("fit.warnings", lang),
                *(say("fit.item", lang, text=one.say(lang)) for one in self.warnings),
            ]
        return "\n".join(lines)

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """Be a panel with what a roll-out table says of each row.

    `frame` is the panel in its order with three columns more: `treated` (0 or 1; null where the place has no code),
    `start` (Float64: the first wave of the panel under the policy, as the user counts waves; null for never), and
    `years_exposed` (whole years since the year of the start, or years with decimals where there are dates; 0 before,
    null where the place has no code). `places` has one row a place: its code, the level and date that were used, rows.
    """

    frame: pl.DataFrame
    places: pl.DataFrame
    found: tuple[Phrase, ...]
    warnings: tuple[Phrase, ...]

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything but the rows as plain data, ready for JSON."""
        places = self.places.with_columns(pl.col("start_date").cast(pl.String))
        return {
            "found": [one.say(lang) for one in self.found],
            "places": places.to_dicts(),
            "warnings": [one.say(lang) for one in self.warnings],
        }

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal."""
        lines = [one.say(lang) for one in self.found]
        if self.warnings:
            lines += ["", say("fit.warnings", lang)]
            lines += [say("fit.item", lang, text=one.say(lang)) for one in self.warnings]
        return "\n".join(lines)

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")


def check_rollout(table: pl.DataFrame, *, codes: str = "gb2260") -> Rollout:
    """Check a roll-out table row by row: accepted rows, and refused ones with a reason.

    Columns: policy, admin_level (province, city, county), admin_code (GB/T 2260: six digits, a province ends in 0000, a
    city in 00), start_date (2013-07-01), and if they are known document_no, url, scope (NRCMS, URBMI, both; empty means
    both), note. Refused are rows without policy, with a level, code, date or scope that cannot be, whose level is not
    that of the code, the second of two equal rows, and all rows of one policy, place and scope that disagree on the
    start. A row that names neither document nor address is kept, with a warning. `codes="any"` takes codes of another
    kind (serial numbers of an anonymous or made-up survey) as they are.

    Raises UsageError unknown_column, bad_codes.

    >>> table = pl.DataFrame({"policy": ["cii"] * 2, "admin_level": ["city", "city"],
    ...     "admin_code": ["420100", "42"], "start_date": ["2013-07-01"] * 2, "document_no": ["made up"] * 2})
    >>> checked = check_rollout(table)
    >>> checked.accepted.height, checked.refused["reason"].to_list()
    (1, ['bad_code'])
    """
    if codes not in ("gb2260", "any"):
        raise UsageError("bad_codes", f"there are no codes {codes!r}; use gb2260 or any")
    check_columns(table, REQUIRED)
    rows: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    texts = table.select(_text(table, name).alias(name) for name in COLUMNS)
    for number, row in enumerate(texts.iter_rows(named=True), 1):
        fault = _fault(row, codes)
        if fault:
            refused.append({"row": number, **fault})
        else:
            rows.append(
                row | {"row": number, "start_date": _day(row["start_date"]), "scope": _scope(row["scope"]),
                       "admin_level": row["admin_level"].lower()}
            )  # fmt: skip
    schema = {name: pl.Date if name == "start_date" else pl.String for name in COLUMNS} | {"row": pl.Int64}
    accepted, again = _without_conflicts(pl.DataFrame(rows, schema=schema, strict=False))
    told = pl.DataFrame([*refused, *again], schema=_REFUSED).sort("row")
    return Rollout(accepted.drop("row"), told, _unsourced(accepted))


def expose(
    panel: pl.DataFrame,
    rollout: pl.DataFrame | Rollout,
    *,
    place: str,
    time: str,
    policy: str | None = None,
    scope: str | None = None,
    crosswalk: pl.DataFrame | None = None,
    when: str | None = None,
    codes: str = "gb2260",
) -> Exposure:
    """Say of each row of a panel whether its place was under a policy, since which wave and for how long.

    `place` holds codes of GB/T 2260 (six digits; two are taken as a province's, four as a city's), or numbers of the
    survey that `crosswalk` translates: a table with `place` and `admin_code` (CFPS's countyid is a serial number; real
    codes need its restricted release). The start of a county goes before that of its city, the city's before that of
    its province. With `codes="any"` the crosswalk has `place` and the columns county, city and province, as far as they
    are known. `time` counts years, and a place is under the policy from the year of its start; with `when`, a column of
    dates, from the day. `start` is the first wave of the panel in which that is so; with `when`, the first in which it
    is so for half of the place's rows or more. `policy` names one of the table's, and `scope` NRCMS or URBMI, whose
    rows and those of scope both then count.

    Raises UsageError unknown_column, not_numbers, not_dates, choose_policy, choose_scope, no_starts, bad_codes,
    repeated_place, reserved_name.

    >>> table = pl.DataFrame({"policy": ["cii"] * 2, "admin_level": ["province", "city"],
    ...     "admin_code": ["420000", "420100"], "start_date": ["2015-01-01", "2013-07-01"]})
    >>> panel = pl.DataFrame({"code": ["420106", "420106", "420200"], "wave": [2012, 2014, 2014]})
    >>> expose(panel, table, place="code", time="wave").frame.select("treated", "start", "years_exposed").rows()
    [(0, 2014.0, 0.0), (1, 2014.0, 1.0), (0, None, 0.0)]
    """
    checked = rollout if isinstance(rollout, Rollout) else check_rollout(rollout, codes=codes)
    check_columns(panel, [place, time, *([when] if when else [])])
    taken = [name for name in (*ADDED, "_row", "_place") if name in panel.columns]
    if taken:
        raise UsageError("reserved_name", f"the panel already has a column {taken[0]!r}; rename it first")
    if not panel.schema[time].is_numeric():
        raise UsageError("not_numbers", f"{time!r} holds {panel.schema[time]}, not numbers; name the year of the wave")
    starts = _starts(checked.accepted, policy, scope)
    day = {"day": _date(panel, when)} if when else {}
    rows = panel.select(_place_text(panel, place).alias("_place"), wave=pl.col(time).cast(pl.Float64), **day)
    places = _places(rows, crosswalk, codes, starts)
    frame = _exposed(rows, places, when is not None)
    added = panel.with_columns(frame.select(ADDED))
    return Exposure(added, places, _found(frame, places, starts, when), _warn(frame, places, checked))


def normal_code(code: str) -> str | None:
    """Write a code of GB/T 2260 with six digits; None where it is none.

    >>> normal_code("11"), normal_code("4201"), normal_code("420106"), normal_code("421"), normal_code("990000")
    ('110000', '420100', '420106', None, None)
    """
    code = re.sub(r"\.0+$", "", code.strip())
    if not re.fullmatch(r"\d{2}|\d{4}|\d{6}", code) or code[:2] not in PROVINCES:
        return None
    return code.ljust(6, "0")


def level_of(code: str) -> str:
    """Give the level of a code of six digits by its trailing zeros.

    >>> level_of("420000"), level_of("420100"), level_of("420106")
    ('province', 'city', 'county')
    """
    return "province" if code.endswith("0000") else "city" if code.endswith("00") else "county"


def reason_of(row: dict[str, Any], lang: str) -> str:
    """Tell why a row was refused."""
    values = {"value": repr(row["value"] or "")}
    for name in ("found", "level"):
        values[name] = say(f"level.{row[name]}", lang) if row[name] in LEVELS else str(row[name] or "")
    return say("rollout.refused_row", lang, row=row["row"], reason=say(f"refused.{row['reason']}", lang, **values))


# The table


def _text(table: pl.DataFrame, name: str) -> pl.Expr:
    if name not in table.columns:
        return pl.lit(None, pl.String)
    value = pl.col(name)
    if table.schema[name].is_float():
        value = value.cast(pl.Int64, strict=False)
    text = value.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


def _fault(row: dict[str, Any], codes: str) -> dict[str, object] | None:
    level, code = (row["admin_level"] or "").lower(), row["admin_code"] or ""
    if not row["policy"]:
        return {"reason": "no_policy"}
    if level not in LEVELS:
        return {"reason": "bad_level", "value": row["admin_level"]}
    if codes == "any" and not code:
        return {"reason": "bad_code", "value": code}
    if codes == "gb2260":
        if not re.fullmatch(r"\d{6}", code):
            return {"reason": "bad_code", "value": code}
        if code[:2] not in PROVINCES:
            return {"reason": "unknown_province", "value": code}
        if level_of(code) != level:
            return {"reason": "level_disagrees", "value": code, "found": level_of(code), "level": level}
    if _day(row["start_date"]) is None:
        return {"reason": "bad_start", "value": row["start_date"]}
    if _scope(row["scope"]) is None:
        return {"reason": "bad_scope", "value": row["scope"]}
    return None


def _day(text: str | None) -> date | None:
    found = re.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", text or "")
    try:
        return date(*(int(part) for part in found.groups())) if found else None
    except ValueError:
        return None


def _scope(text: str | None) -> str | None:
    known = {one.lower(): one for one in SCOPES}
    return known.get((text or "both").lower())


def _without_conflicts(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[dict[str, object]]]:
    """Keep the first of equal rows, and none of those that disagree on the start of one policy, place and scope."""
    key = ["policy", "admin_level", "admin_code", "scope"]
    marked = frame.with_columns(
        conflict=pl.col("start_date").n_unique().over(key) > 1,
        again=pl.int_range(pl.len()).over([*key, "start_date"]) > 0,
    )
    faults: list[dict[str, object]] = [
        {"row": row["row"], "reason": "repeated" if row["conflict"] else "same_again", "value": row["admin_code"]}
        for row in marked.filter(pl.col("conflict") | pl.col("again")).iter_rows(named=True)
    ]
    return marked.filter(~pl.col("conflict") & ~pl.col("again")).drop("conflict", "again"), faults


def _unsourced(accepted: pl.DataFrame) -> tuple[Phrase, ...]:
    bare = accepted.filter(pl.col("document_no").is_null() & pl.col("url").is_null())
    if bare.is_empty():
        return ()
    examples = ", ".join(str(one) for one in bare["row"].head(5).to_list())
    return (Phrase.of("rollout.no_source", rows=f"{bare.height:,}", examples=examples),)


def _starts(accepted: pl.DataFrame, policy: str | None, scope: str | None) -> pl.DataFrame:
    """Give policy, level, code and start of one policy."""
    policies = accepted["policy"].unique().sort().to_list()
    if policy is None and len(policies) > 1:
        raise UsageError("choose_policy", f"the table has several policies; choose one of {', '.join(policies)}")
    frame = accepted if policy is None else accepted.filter(pl.col("policy") == policy)
    if scope is not None:
        if scope not in SCOPES:
            raise UsageError("choose_scope", f"there is no scope {scope!r}; use {', '.join(SCOPES)}")
        frame = frame.filter(pl.col("scope").is_in([scope, "both"]))
    if frame.is_empty():
        known = f"; the table has {', '.join(policies)}" if policies else ""
        raise UsageError("no_starts", f"no accepted row of the roll-out table is of this policy and scope{known}")
    starts = frame.unique(["policy", "admin_level", "admin_code", "start_date"], maintain_order=True)
    twice = starts.filter(pl.struct("admin_level", "admin_code").is_duplicated())
    if twice.height:
        raise UsageError(
            "choose_scope",
            f"place {twice['admin_code'][0]} has several starts, for different scopes; choose scope NRCMS or URBMI",
        )
    return starts.select("policy", "admin_level", "admin_code", "start_date")


# The panel


def _place_text(panel: pl.DataFrame, place: str) -> pl.Expr:
    value = pl.col(place)
    if panel.schema[place].is_float():
        value = value.cast(pl.Int64, strict=False)
    text = value.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


def _date(panel: pl.DataFrame, when: str) -> pl.Expr:
    dtype = panel.schema[when]
    if dtype == pl.Date:
        return pl.col(when)
    if isinstance(dtype, pl.Datetime):
        return pl.col(when).cast(pl.Date)
    if dtype == pl.String:
        return pl.col(when).str.to_date("%Y-%m-%d", strict=False)
    raise UsageError("not_dates", f"{when!r} holds {dtype}, not dates such as 2014-07-31; name another column")


def _places(rows: pl.DataFrame, crosswalk: pl.DataFrame | None, codes: str, starts: pl.DataFrame) -> pl.DataFrame:
    """Give one row a place: its codes at each level, and the most special start at or above it."""
    counted = rows.group_by("_place").agg(pl.len().cast(pl.Int64).alias("rows")).sort("_place")
    known = counted.filter(pl.col("_place").is_not_null())["_place"].to_list()
    at_level = _codes(known, crosswalk, codes)
    begins = {(level, code): day for _, level, code, day in starts.iter_rows()}
    told = []
    for name, count in counted.iter_rows():
        found = at_level.get(name)
        level = None
        if found is not None:
            hits = (one for one in reversed(LEVELS) if (one, found.get(one)) in begins)
            level = next(hits, None)
        most_special = next((found[one] for one in reversed(LEVELS) if found.get(one)), None) if found else None
        told.append(
            {"place": name, "admin_code": most_special, "level": level, "rows": count,
             "start_date": begins[level, found[level]] if level and found else None}
        )  # fmt: skip
    schema = {
        "place": pl.String, "admin_code": pl.String, "level": pl.String, "rows": pl.Int64, "start_date": pl.Date,
    }  # fmt: skip
    return pl.DataFrame(told, schema=schema)


def _codes(places: Sequence[str], crosswalk: pl.DataFrame | None, codes: str) -> dict[str, dict[str, str]]:
    """Give, for each place that has one, its code at each level."""
    if crosswalk is None:
        return {
            place: _above(code) if codes == "gb2260" else dict.fromkeys(LEVELS, place)
            for place in places
            if (code := normal_code(place) if codes == "gb2260" else place)
        }
    named = _crosswalk_columns(crosswalk, codes)
    texts = crosswalk.select(_text(crosswalk, theirs).alias(ours) for ours, theirs in named.items()).unique(
        maintain_order=True
    )
    twice = texts.drop_nulls("place").filter(pl.col("place").is_duplicated())
    if twice.height:
        raise UsageError("repeated_place", f"place {twice['place'][0]} has several codes in the crosswalk; keep one")
    found: dict[str, dict[str, str]] = {}
    for row in texts.iter_rows(named=True):
        if row["place"] is None:
            continue
        if codes == "any":
            found[row["place"]] = {level: row[level] for level in LEVELS if row.get(level)}
        elif code := normal_code(row["admin_code"] or ""):
            found[row["place"]] = _above(code)
    return found


def _above(code: str) -> dict[str, str]:
    """Give the code and those above it.

    >>> _above("420106"), _above("420000")
    ({'province': '420000', 'city': '420100', 'county': '420106'}, {'province': '420000'})
    """
    parts = {"province": code[:2] + "0000", "city": code[:4] + "00", "county": code}
    return {level: parts[level] for level in LEVELS[: LEVELS.index(level_of(code)) + 1]}


def _crosswalk_columns(crosswalk: pl.DataFrame, codes: str) -> dict[str, str]:
    """Find the columns: ours -> theirs. The place may be called place, countyid or county."""
    place = next((name for name in ("place", "countyid", "county") if name in crosswalk.columns), "place")
    if codes == "gb2260":
        check_columns(crosswalk, [place, "admin_code"])
        return {"place": place, "admin_code": "admin_code"}
    check_columns(crosswalk, [place])
    return {"place": place} | {level: level for level in LEVELS if level in crosswalk.columns}


def _exposed(rows: pl.DataFrame, places: pl.DataFrame, dated: bool) -> pl.DataFrame:
    """Work out the three columns, row by row in the order of the panel."""
    joined = rows.join(
        places.select(pl.col("place").alias("_place"), "admin_code", "start_date"),
        on="_place", how="left", maintain_order="left",
    )  # fmt: skip
    known = pl.col("admin_code").is_not_null() & pl.col("wave").is_not_null()
    if dated:
        known = known & pl.col("day").is_not_null()
        under = (pl.col("day") >= pl.col("start_date")).fill_null(False)
        years = (pl.col("day") - pl.col("start_date")).dt.total_days() / 365.25
    else:
        began = pl.col("start_date").dt.year().cast(pl.Float64)
        under = (pl.col("wave") >= began).fill_null(False)
        years = pl.col("wave") - began
    joined = joined.with_columns(
        known=known,
        treated=pl.when(known).then(under.cast(pl.Int64)),
        years_exposed=pl.when(known).then(pl.when(under).then(years).otherwise(0.0)),
    )
    if dated:
        waves = joined.filter("known").group_by("_place", "wave").agg(pl.col("treated").mean())
        first = waves.filter(pl.col("treated") >= 0.5).group_by("_place").agg(pl.col("wave").min().alias("start"))
    else:
        # Of all waves of the panel, also those that this place lacks: cohorts are then the same in every place.
        waves = rows.select("wave").drop_nulls().unique()
        begun = places.drop_nulls("start_date").select(
            pl.col("place").alias("_place"), pl.col("start_date").dt.year().cast(pl.Float64).alias("began")
        )
        first = (
            begun.join(waves, how="cross").filter(pl.col("wave") >= pl.col("began"))
            .group_by("_place").agg(pl.col("wave").min().alias("start"))
        )  # fmt: skip
    return joined.join(first, on="_place", how="left", maintain_order="left")


def _found(frame: pl.DataFrame, places: pl.DataFrame, starts: pl.DataFrame, when: str | None) -> tuple[Phrase, ...]:
    matched = places.drop_nulls("start_date")
    without = places.filter(pl.col("admin_code").is_not_null() & pl.col("start_date").is_null())
    phrases = [
        Phrase.of(
            "rollout.used", policy=starts["policy"][0], rows=f"{starts.height:,}",
            places=f"{starts['admin_code'].n_unique():,}",
        ),
        Phrase.of(
            "rollout.matched", rows=f"{int(matched['rows'].sum()):,}", of=f"{frame.height:,}",
            places=f"{matched.height:,}",
        ),
    ]  # fmt: skip
    if without.height:
        phrases.append(
            Phrase.of(
                "rollout.unmatched", rows=f"{int(without['rows'].sum()):,}", places=f"{without.height:,}",
                examples=_examples(without["place"]),
            )
        )  # fmt: skip
    counted = frame.drop_nulls("start").group_by("start").agg(pl.len()).sort("start")
    told = [f"{start:g} ({rows:,})" for start, rows in counted.iter_rows()] or ["-"]
    phrases.append(Phrase.of("rollout.treated", rows=f"{int(frame['treated'].sum() or 0):,}", starts=", ".join(told)))
    if when is None:
        phrases.append(Phrase.of("rollout.whole_years"))
    phrases.append(Phrase.of("rollout.added", columns=", ".join(ADDED)))
    return tuple(phrases)


def _examples(places: pl.Series) -> str:
    told = [str(one) for one in places.head(5).to_list()]
    return ", ".join(told) + (", ..." if places.len() > 5 else "")


def _warn(frame: pl.DataFrame, places: pl.DataFrame, checked: Rollout) -> tuple[Phrase, ...]:
    phrases = [*checked.warnings]
    if checked.refused.height:
        phrases.append(Phrase.of("rollout.some_refused", refused=f"{checked.refused.height:,}"))
    lost = frame.filter(~pl.col("known"))
    if lost.height:
        names = lost["_place"].unique(maintain_order=True).cast(pl.String).fill_null("-")
        phrases.append(Phrase.of("rollout.no_code", rows=f"{lost.height:,}", examples=_examples(names)))
    if places["start_date"].null_count() == places.height:
        phrases.append(Phrase.of("rollout.nothing_matched"))
    return tuple(phrases)
