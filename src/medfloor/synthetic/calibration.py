"""Hold what a made-up county reached against what was published: each target, its bar, its trust, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.synthetic.place import Figure, Place
from medfloor.words import join, knows, say


@dataclass(frozen=True, slots=True)
class Check:
    """Be one figure held against its target.

    `target` is None where only a range counts (`low` to `high`). `within` is None for what is only reported. `step` is
    what one person or household makes, below which no run can come nearer. `county` is the id of a county of a
    province, else empty.
    """

    figure: str
    part: str
    unit: str
    target: float | None
    reached: float
    rule: str
    bar: float
    year: int
    trust: str
    source: str
    note: str = ""
    low: float | None = None
    high: float | None = None
    step: float = 0.0
    county: str = ""

    @property
    def deviation(self) -> float | None:
        """Give reached less target: relative where the bar is relative, else in the figure's unit."""
        if self.target is None:
            return None
        if self.rule == "relative":
            return (self.reached - self.target) / self.target if self.target else None
        return self.reached - self.target

    @property
    def within(self) -> bool | None:
        """Say whether the bar is held; None for what is only reported."""
        if self.rule == "none":
            return None
        if self.rule == "between":
            assert self.low is not None and self.high is not None
            return self.low <= self.reached <= self.high
        assert self.target is not None
        if self.rule == "at_least":
            return self.reached >= self.target - self.bar
        allowed = self.bar * self.target if self.rule == "relative" else self.bar
        return abs(self.reached - self.target) <= max(allowed, self.step) + 1e-9


def check(figure: Figure, reached: float, *, part: str = "", target: float | None = None, step: float = 0.0) -> Check:
    """Hold one number against a figure of a place; `target` replaces the printed one (a tilted share, say)."""
    low = high = None
    if figure.rule == "between":
        low, high = figure.parts["low"], figure.parts["high"]
    elif target is None:
        target = figure.parts[part]
    return Check(
        figure.name, part, _unit(figure, part), target, float(reached), figure.rule, figure.bar, figure.year,
        figure.trust, figure.source, figure.note, low, high, step,
    )  # fmt: skip


def _unit(figure: Figure, part: str) -> str:
    """Give a part's own unit where a figure lists one for each."""
    units = figure.unit.split(", ")
    return units[list(figure.parts).index(part)] if len(units) == len(figure.parts) > 1 else figure.unit


def extra(name: str, part: str, unit: str, reached: float, like: Figure, note: str = "") -> Check:
    """Report a number for which there is no target."""
    return Check(name, part, unit, None, float(reached), "none", 0.0, like.year, like.trust, like.source, note)


@dataclass(frozen=True)
class Calibration:
    """Be the report of a run: its checks, the place, the seed, and the hashes of the tables once they are written.

    `rejected` counts the claims that the law refused, `rejected_because` says why it refused the first of them.
    """

    checks: tuple[Check, ...]
    place: Place
    seed: int
    people: int
    years: int
    settled_under: str | None = None
    rejected: int | None = None
    rejected_because: str = ""
    hashes: tuple[tuple[str, str], ...] = ()
    version: str = ""

    def also(self, checks: Iterable[Check], **changes: Any) -> Calibration:
        """Add checks, such as those that only a settlement can make."""
        return replace(self, checks=(*self.checks, *checks), **changes)

    @property
    def sources(self) -> tuple[tuple[str, str], ...]:
        """List the sources of the place, and those of its counties."""
        joined = dict(self.place.sources)
        for _, county in self.place.counties:
            joined |= dict(county.sources)
        return tuple(joined.items())

    @property
    def missed(self) -> tuple[Check, ...]:
        """List the checks whose bar was not held."""
        return tuple(one for one in self.checks if one.within is False)

    def find(self, figure: str, part: str = "", *, county: str = "") -> Check:
        """Find one check by figure and part, and in a province by county.

        Raises UsageError unknown_figure where there is no such check.
        """
        for one in self.checks:
            if (one.figure, one.part, one.county) == (figure, part, county):
                return one
        asked = f"{figure}[{part}]" if part else figure
        of = f" of county {county!r}" if county else ""
        raise UsageError("unknown_figure", f"no check {asked}{of}; `frame` lists figures, parts and counties")

    @property
    def frame(self) -> pl.DataFrame:
        """Give the checks as a table."""
        rows = [
            {
                "county": one.county, "figure": one.figure, "part": one.part, "unit": one.unit, "target": one.target,
                "low": one.low, "high": one.high, "reached": one.reached, "deviation": one.deviation, "rule": one.rule,
                "bar": one.bar, "step": one.step, "within": one.within, "year": one.year, "trust": one.trust,
                "source": one.source, "note": one.note,
            }
            for one in self.checks
        ]  # fmt: skip
        schema: dict[str, type[pl.DataType]] = dict.fromkeys(rows[0] if rows else (), pl.String)
        schema |= dict.fromkeys(("target", "low", "high", "reached", "deviation", "bar", "step"), pl.Float64)
        schema |= {"within": pl.Boolean, "year": pl.Int64}
        return pl.DataFrame(rows, schema=schema)

    def to_json(self) -> str:
        """Give everything as JSON."""
        said = {
            "synthetic": True,
            "place": self.place.id,
            "place_sha256": self.place.digest,
            "counties": [{"id": one.id, "share": share} for share, one in self.place.counties],
            "base_year": self.place.year,
            "seed": self.seed,
            "people": self.people,
            "years": self.years,
            "medfloor": self.version,
            "settled_under": self.settled_under,
            "rows_rejected_when_settled": self.rejected,
            "first_rejected_because": self.rejected_because,
            "tables_sha256": dict(self.hashes),
            "missed": [
                f"{one.county}{': ' if one.county else ''}{one.figure}{f'[{one.part}]' if one.part else ''}"
                for one in self.missed
            ],
            "checks": self.frame.to_dicts(),
            "sources": dict(self.sources),
        }
        return json.dumps(said, ensure_ascii=False, indent=1) + "\n"

    def to_markdown(self, lang: str = "en") -> str:
        """Give the report as a page in Chinese or English."""
        lines = [f"# {say('synthetic.title', lang)}", "", *(f"{line}  " for line in self.said(lang)), ""]
        heads = [say(f"synthetic.{name}", lang) for name in _HEADS]
        lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        lines += ["| " + " | ".join([*self._cells(one, lang), one.source]) + " |" for one in self.checks]
        lines += ["", f"## {say('synthetic.sources', lang)}", ""]
        used = {one.source for one in self.checks}
        lines += [f"- `{key}`: {text}" for key, text in self.sources if key in used]
        noted = dict.fromkeys((one.figure, one.note) for one in self.checks if one.note)
        lines += ["", f"## {say('synthetic.notes', lang)}", ""]
        lines += [f"- {named(figure, lang)}: {note}" for figure, note in noted]
        if self.hashes:
            lines += ["", f"## {say('synthetic.hashes', lang)}", ""]
            lines += [f"- {name}: `{digest}`" for name, digest in self.hashes]
        return "\n".join(lines) + "\n"

    def said(self, lang: str) -> list[str]:
        """Say what the run was and how many bars were held."""
        asked = [one for one in self.checks if one.within is not None]
        lines = [
            say("synthetic.made_up", lang),
            say("synthetic.run", lang, place=self.place.name(lang), year=self.place.year, people=f"{self.people:,}",
                seed=self.seed, years=self.years),
        ]  # fmt: skip
        if self.place.counties:
            of = join([county.name(lang) for _, county in self.place.counties], lang)
            lines.append(say("synthetic.counties", lang, counties=of))
        if self.settled_under:
            lines.append(say("synthetic.settled_under", lang, policy=self.settled_under, rejected=self.rejected))
        if self.rejected:
            lines.append(say("synthetic.rejected", lang, because=self.rejected_because))
        lines.append(say("synthetic.held", lang, held=len(asked) - len(self.missed), asked=len(asked)))
        return lines

    def rows(self, lang: str = "en") -> list[list[str]]:
        """Give the table of checks as words, the heads first."""
        heads = [say(f"synthetic.{name}", lang) for name in _HEADS[:-1]]
        return [heads, *(self._cells(one, lang) for one in self.checks)]

    def _cells(self, one: Check, lang: str) -> list[str]:
        verdict = {None: "-", True: say("synthetic.yes", lang), False: say("synthetic.no", lang)}[one.within]
        target = "-" if one.target is None else _told(one.target)
        if one.rule == "between":
            target = f"{one.low:g} – {one.high:g}"
        if one.rule == "at_least":
            target = f"> {target}"
        published = one.target is not None or one.rule == "between"
        trust = say(f"synthetic_trust.{one.trust}", lang) if published else "-"
        unit = say(f"synthetic_unit.{_key(one.unit)}", lang)
        name = named(one.figure, lang)
        label = name
        if one.part:
            label = say("synthetic.of_part", lang, figure=name, part=_part(one.part, lang))
        if one.county:
            label = say("synthetic.of_county", lang, county=self._county(one.county, lang), figure=label)
        return [label, unit, target, _told(one.reached), _off(one), _bar(one), verdict, trust]

    def _county(self, name: str, lang: str) -> str:
        return next((county.name(lang) for _, county in self.place.counties if county.id == name), name)


_HEADS = ("figure", "unit", "target", "reached", "deviation", "bar", "within", "trust", "source")


def named(figure: str, lang: str) -> str:
    """Name a figure in words."""
    return say(f"synthetic_figure.{figure.replace('.', '_')}", lang)


def _part(part: str, lang: str) -> str:
    """Say a part in words where the catalogue has any; a part such as `65+, male` in its pieces."""
    said = []
    for piece in part.split(", "):
        keys = [f"{section}.{piece}" for section in ("synthetic_part", "group", "area", "residence", "sex")]
        said.append(next((say(key, lang) for key in keys if knows(key)), piece))
    return join(said, lang)


def _key(unit: str) -> str:
    return "percent" if unit == "%" else unit.replace(" ", "_")


def _told(number: float) -> str:
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.2f}" if abs(number) >= 0.1 or number == 0 else f"{number:.4f}"


def _off(one: Check) -> str:
    if one.deviation is None:
        return "-"
    said = f"{100 * one.deviation if one.rule == 'relative' else one.deviation:+,.2f}"
    said = "0.00" if said in ("+0.00", "-0.00") else said
    return f"{said} %" if one.rule == "relative" else said


def _bar(one: Check) -> str:
    if one.rule == "relative":
        return f"{100 * one.bar:g} %"
    if one.rule in ("points", "at_least"):
        return f"{one.bar:g}"
    return "-"
