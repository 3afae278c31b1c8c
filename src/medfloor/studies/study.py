"""Be what a study found: numbered sections with tables and figures, beside what its source document printed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import polars as pl

from medfloor.errors import MedfloorError
from medfloor.evaluation.result import Fit, number_text, title_of
from medfloor.measures.result import Result
from medfloor.studies.about import About, Quotation, Setting
from medfloor.terminal import in_columns
from medfloor.words import Phrase, knows, say

Content: TypeAlias = Fit | tuple[Fit, ...] | Result | pl.DataFrame
"""What a table may hold: one fit, several fits side by side, a measure, or a plain frame."""

VERDICTS = ("same", "other", "unclear", "not_tried")
"""How a finding of the data at hand stands to what the document printed: the same, something else, it cannot be told
apart from nothing, or it could not be tried."""

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Be one table of a study.

    `name` is short and plain: the file of the table bears it. Of several fits `titles` name the columns. In a frame,
    columns are named by the catalogue's section `study_column`, values of text columns by `study_value`, where they
    have a name there; `forms` says how columns of numbers are shown (percent, count, amount, index, p, plain), which
    is else as in fits.
    """

    name: str
    title: Phrase
    content: Content
    titles: tuple[Phrase, ...] = ()
    forms: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Be one figure of a study: a fit or a measure, and which kind of figure (None: the one that fits).

    `undrawn` says why the figure is not shown, where it is not: the sentence stands in its place.
    """

    name: str
    title: Phrase
    content: Fit | Result
    kind: str | None = None
    undrawn: Phrase | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Set what the document printed beside what is found here; `verdict` is one of VERDICTS, None for none.

    `of_data` is False where what is found does not come from the data at hand (but from the shipped policies, say).
    """

    printed: Quotation
    found: Phrase
    verdict: str | None = None
    of_data: bool = True

    def __post_init__(self) -> None:
        """Refuse a verdict that there is not."""
        assert self.verdict is None or self.verdict in VERDICTS, f"no verdict {self.verdict}"


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """Be one numbered part of a study.

    `text` says how it was done, `found` what came out, `claims` set it beside the document, `undone` says what could
    not be done and why.
    """

    name: str
    title: Phrase
    text: tuple[Phrase, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    found: tuple[Phrase, ...] = ()
    claims: tuple[Claim, ...] = ()
    undone: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Be what a study found on the data at hand, with all that is needed to read it.

    `synthetic` says that the data are made up: nothing here is then about any country. `settings` are the options and
    the seed of chance of this run. `warnings` are what a reader must see first; with them, with warnings of a fit, or
    with something undone a command ends with 1 (`findings`).
    """

    about: About
    sections: tuple[Section, ...]
    data: str
    synthetic: bool
    settings: Mapping[str, Setting]
    warnings: tuple[Phrase, ...] = ()
    notes: tuple[Phrase, ...] = ()
    sources: tuple[str, ...] = ()

    def section(self, name: str) -> Section:
        """Give a section by its name; KeyError where there is none."""
        for one in self.sections:
            if one.name == name:
                return one
        raise KeyError(f"{self.about.name} has no section {name}; it has {', '.join(s.name for s in self.sections)}")

    def table(self, name: str) -> Table:
        """Give a table by its name; KeyError where there is none."""
        for one in self.tables():
            if one.name == name:
                return one
        raise KeyError(f"{self.about.name} has no table {name}; it has {', '.join(t.name for t in self.tables())}")

    def tables(self) -> Iterator[Table]:
        """Give all tables in order."""
        for section in self.sections:
            yield from section.tables

    def pictures(self) -> Iterator[Picture]:
        """Give all figures in order."""
        for section in self.sections:
            yield from section.pictures

    @property
    def findings(self) -> int:
        """Count what a reader must look at: warnings of the study, of its fits, and what could not be done."""
        fits = [fit for table in self.tables() for fit in fits_of(table.content)]
        return (
            len(self.warnings)
            + sum(len(fit.warnings) for fit in fits)
            + sum(len(section.undone) for section in self.sections)
        )

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal: warnings, then each section with what was found, tables by their names only."""
        lines = [self.about.title.say(lang), *self.head(lang), ""]
        for number, section in enumerate(self.sections, 1):
            lines += [f"{number}. {section.title.say(lang)}"]
            lines += [say("fit.item", lang, text=one) for one in self.told(section, lang)]
            lines += [
                say("fit.item", lang, text=say("study.table", lang, name=one.name, title=one.title.say(lang)))
                for one in section.tables
            ]
            lines.append("")
        return "\n".join(lines).rstrip()

    def head(self, lang: str) -> list[str]:
        """Say what stands above all: whether the data are made up, warnings, notes."""
        told = [say("study.synthetic", lang)] if self.synthetic else []
        told.append(say("study.no_claim", lang, seed=self.about.seed))
        told += [say("study.warning", lang, text=one.say(lang)) for one in self.warnings]
        return [*told, *(one.say(lang) for one in self.notes)]

    def told(self, section: Section, lang: str) -> list[str]:
        """Say what a section found, beside what the document printed, and what could not be done."""
        told = [one.say(lang) for one in section.found]
        for one in section.claims:
            told.append(say("study.printed", lang, seed=one.printed.seed, text=one.printed.text))
            made_up = self.synthetic and one.of_data
            told.append(say("study.here_made_up" if made_up else "study.here", lang, text=one.found.say(lang)))
            told += [say(f"study_verdict.{one.verdict}", lang)] if one.verdict else []
        for table in section.tables:
            warnings = dict.fromkeys(one for fit in fits_of(table.content) for one in fit.warnings)
            told += [say("study.of_table", lang, name=table.name, text=one.say(lang)) for one in warnings]
        return [*told, *(one.say(lang) for one in section.undone)]

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON; a number that is not defined is None."""
        return {
            "study": self.about.name,
            "seed_document": self.about.seed,
            "title": self.about.title.say(lang),
            "lang": lang,
            "data": self.data,
            "synthetic": self.synthetic,
            "settings": dict(self.settings),
            "head": self.head(lang),
            "sections": [self._plain(number, one, lang) for number, one in enumerate(self.sections, 1)],
            "sources": list(self.sources),
        }

    def _plain(self, number: int, section: Section, lang: str) -> dict[str, Any]:
        return {
            "number": number,
            "name": section.name,
            "title": section.title.say(lang),
            "text": [one.say(lang) for one in section.text],
            "found": [one.say(lang) for one in section.found],
            "claims": [
                {"printed": one.printed.text, "seed_document": one.printed.seed, "here": one.found.say(lang),
                 "verdict": one.verdict}
                for one in section.claims
            ],
            "undone": [one.say(lang) for one in section.undone],
            "tables": [
                {"name": one.name, "title": one.title.say(lang), "notes": [note.say(lang) for note in one.notes],
                 "content": plain_of(one.content, lang)}
                for one in section.tables
            ],
            "figures": [{"name": one.name, "title": one.title.say(lang)} for one in section.pictures],
        }  # fmt: skip


def fits_of(content: Content) -> tuple[Fit, ...]:
    """List the fits of a table's content."""
    return content if isinstance(content, tuple) else (content,) if isinstance(content, Fit) else ()


def plain_of(content: Content, lang: str) -> Any:
    """Give a table's content as plain data; a number that is not defined is None."""
    if isinstance(content, tuple):
        return [one.to_dict(lang) for one in content]
    if isinstance(content, (Fit, Result)):
        return content.to_dict(lang)
    return [
        {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in row.items()}
        for row in content.to_dicts()
    ]


def attempt(what: Phrase, make: Callable[[], Made], undone: list[Phrase]) -> Made | None:
    """Make something, or write down in `undone` why it could not be made from these data.

    Only errors that a user can mend are written down; a bug of ours comes out.
    """
    try:
        return make()
    except MedfloorError as error:
        undone.append(Phrase.of("study.undone", what=what, why=Reason.of_error(error), code=error.code))
        return None


class Reason(Phrase):
    """Be the reason of an error: in English its message, else what the catalogue says of its code, where it does."""

    @classmethod
    def of_error(cls, error: MedfloorError) -> Reason:
        """Keep an error's code and message."""
        return cls(f"why.{error.code}", (("message", error.message),))

    def say(self, lang: str) -> str:
        """Say it in a language."""
        return say(self.key, lang) if lang != "en" and knows(self.key, lang) else str(dict(self.values)["message"])


def value_text(value: object, form: str | None, lang: str) -> str:
    """Write a cell of a frame: numbers by their form, names by the catalogue, nothing as -.

    >>> value_text(0.1234, "percent", "en"), value_text(12345.0, "count", "en"), value_text(None, None, "en")
    ('12.34 %', '12,345', '-')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return say("fit_print.yes" if value else "fit_print.no", lang)
    if not isinstance(value, (int, float)):
        # A name of the study, else a word that the rooms below have for it: a status, a tier, a risk, a sex, ....
        sections = (
            "study_value",
            "group",
            "tier",
            "risk",
            "zone",
            "sex",
            "residence",
            "scenario",
            "fund",
            "verdict",
            "payer",
        )
        return next((say(f"{one}.{value}", lang) for one in sections if knows(f"{one}.{value}", lang)), str(value))
    if form == "percent":
        return f"{100 * value:.2f} %"
    if form == "count":
        return f"{value:,.0f}"
    if form == "plain":
        return f"{value:g}"
    if form in ("amount", "index"):
        return f"{value:,.{2 if form == 'amount' else 4}f}"
    if form == "p":
        return "<0.0001" if value < 0.0001 else f"{value:.4f}"
    return number_text(value)


def in_language(frame: pl.DataFrame, lang: str) -> pl.DataFrame:
    """Keep the columns of a language where a frame has one for each, such as value@zh and value@en.

    >>> in_language(pl.DataFrame({"value@zh": ["元"], "value@en": ["yuan"], "n": [1]}), "en").columns
    ['value', 'n']
    """
    kept = [name for name in frame.columns if "@" not in name or name.endswith(f"@{lang}")]
    return frame.select(pl.col(name).alias(name.removesuffix(f"@{lang}")) for name in kept)


def frame_lines(table: Table, lang: str) -> list[str]:
    """Align a frame for a terminal."""
    assert isinstance(table.content, pl.DataFrame)
    frame = in_language(table.content, lang)
    heads = [title_of("study_column", name, lang) for name in frame.columns]
    rows = [
        [value_text(value, table.forms.get(name), lang) for name, value in row.items()]
        for row in frame.iter_rows(named=True)
    ]
    right = [place for place, dtype in enumerate(frame.dtypes) if dtype.is_numeric()]
    return in_columns([heads, *rows], right=right)
