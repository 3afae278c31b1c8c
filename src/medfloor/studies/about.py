"""Be what a study says about itself before it is run: question, data, design, equations, tables, needs, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medfloor.errors import UsageError
from medfloor.words import Phrase, say

Setting = str | int | float | bool | None
"""What an option of a study may be."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """Be what a source document ("seed" of this project) printed, word for word; `seed` is its number ("000")."""

    seed: str
    text: str


@dataclass(frozen=True, slots=True)
class Option:
    """Be a choice that a study leaves to who runs it.

    The type of `default` is the type of the option; `of` is the type where the default is None. `choices` are all the
    words that it may be, () any. A file is text.
    """

    name: str
    default: Setting
    words: Phrase
    of: type[str] | type[int] | type[float] = str
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> Setting:
        """Read the option as people write it.

        Raises UsageError bad_setting.

        >>> Option("permutations", 200, Phrase("x.y")).read("500")
        500
        """
        kind = self.of if self.default is None else type(self.default)
        plain = text.strip()
        if kind is bool:
            if plain.lower() in ("yes", "true", "1", "no", "false", "0"):
                return plain.lower() in ("yes", "true", "1")
            raise UsageError("bad_setting", f"{self.name}={text}: write yes or no")
        if self.choices and plain not in self.choices:
            raise UsageError("bad_setting", f"{self.name}={text}: write one of {', '.join(self.choices)}")
        if kind is str:
            return plain
        try:
            return int(plain) if kind is int else float(plain)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise UsageError("bad_setting", f"{self.name}={text} is not {what}; the usual is {self.default}") from None


@dataclass(frozen=True, slots=True)
class About:
    """Be what a study says about itself: of which seed it is, and in words all that one must know before a run."""

    name: str
    seed: str
    title: Phrase
    question: Phrase
    data: tuple[Phrase, ...]
    design: tuple[Phrase, ...]
    equations: tuple[Phrase, ...]
    tables: tuple[Phrase, ...]
    needs: tuple[Phrase, ...]
    limits: tuple[Phrase, ...]
    options: tuple[Option, ...] = ()
    printed: tuple[Quotation, ...] = ()

    def settings(self, given: Mapping[str, object]) -> dict[str, Setting]:
        """Give every option its value: as given (text is read), else its default.

        Raises UsageError no_such_setting, bad_setting.
        """
        known = {one.name: one for one in self.options}
        for name in given:
            if name not in known:
                there = ", ".join(known) or "none"
                raise UsageError("no_such_setting", f"the study {self.name} has no option {name!r}; it has {there}")
        found: dict[str, Setting] = {one.name: one.default for one in self.options}
        for name, value in given.items():
            assert value is None or isinstance(value, (str, int, float, bool))
            found[name] = known[name].read(value) if isinstance(value, str) else value
        return found

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal."""
        lines = [f"{self.name}: {self.title.say(lang)}", ""]
        parts: list[tuple[str, Sequence[str]]] = [("question", [self.question.say(lang)])]
        parts += [
            (name, [one.say(lang) for one in getattr(self, name)])
            for name in ("data", "design", "equations", "tables", "needs", "limits")
        ]
        parts += [("options", [f"{one.name}: {one.words.say(lang)} [{_shown(one.default)}]" for one in self.options])]
        parts += [
            (
                "printed",
                [f"\N{LEFT DOUBLE QUOTATION MARK}{one.text}\N{RIGHT DOUBLE QUOTATION MARK}" for one in self.printed],
            )
        ]
        for name, told in parts:
            if told:
                lines += [say(f"study_part.{name}", lang), *(say("fit.item", lang, text=one) for one in told), ""]
        return "\n".join(lines).rstrip()


def _shown(value: Setting) -> str:
    return "-" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
