"""Say things to people in Chinese and in English.

The sentences are in `catalogues/<language>/<subject>.toml`, sorted by sections; a key is `section.name`, such as
`care_type.inpatient`; a section may stand in several files. Both languages have the same files, keys and placeholders
(a test sees to it).
"""

from __future__ import annotations

import functools
import re
import string
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from medfloor.errors import UsageError

Lang = Literal["zh", "en"]
LANGS: tuple[str, ...] = get_args(Lang)
"""The languages that medfloor speaks."""

_CATALOGUES = Path(__file__).parent / "catalogues"


def say(key: str, lang: str, /, **values: object) -> str:
    """Give the sentence of a key in a language, with its placeholders filled.

    Where English says one thing otherwise than several, a sentence has `{n} {n:one visit|visits}`.

    Raises UsageError for a language that there is not, KeyError for a key or a placeholder that there is not: a missing
    sentence is a bug and never shown as an empty place.

    >>> say("care_type.inpatient", "zh"), say("care_type.inpatient", "en")
    ('住院', 'stay')
    >>> [say("watch_page.days", "en", n=n) for n in (1, "1", 2)]
    ['1 day', '1 day', '2 days']
    """
    text = _sentence(key, lang)
    return _COUNTING.vformat(text, (), values) if ":one " in text else text.format(**values)


class _Counting(string.Formatter):
    """Fill placeholders, and choose between one and several by a number, also one that is written already."""

    def format_field(self, value: Any, spec: str) -> Any:
        if not spec.startswith("one "):
            return super().format_field(value, spec)
        one, _, several = spec.removeprefix("one ").partition("|")
        return one if str(value) == "1" else several


_COUNTING = _Counting()


def knows(key: str, lang: str = "en") -> bool:
    """Say whether a key is in the catalogue.

    >>> knows("group.tekun"), knows("group.veterans")
    (True, False)
    """
    return _found(key, lang) is not None


def join(items: list[str], lang: str) -> str:
    """Join items of a list as the language does.

    >>> join(["a", "b"], "zh"), join(["a", "b"], "en")
    ('a、b', 'a, b')
    """
    return say("list.between", lang).join(items)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Be a sentence that is not yet said in any language: a key with what goes into its placeholders.

    A value that is itself a phrase is said in the same language.

    >>> Phrase.of("group.tekun").say("en")
    'destitute people (tekun)'
    """

    key: str
    values: tuple[tuple[str, object], ...] = ()

    @classmethod
    def of(cls, key: str, /, **values: object) -> Phrase:
        """Make a phrase of a key and its values."""
        return cls(key, tuple(values.items()))

    def say(self, lang: str) -> str:
        """Say it in a language. Raises what `say` raises."""
        said = {name: value.say(lang) if isinstance(value, Phrase) else value for name, value in self.values}
        return say(self.key, lang, **said)


class Chain(Phrase):
    """Be words and phrases one after another, with the same text between each two.

    >>> Chain.of(" + ", "age", Phrase.of("fit.effect_of", name="year")).say("zh")
    'age + 效应(year)'
    """

    @classmethod
    def of(cls, key: str, /, *parts: object, **values: object) -> Chain:
        """Make a chain of what stands between (`key`) and its parts."""
        return cls(key, (*((str(place), part) for place, part in enumerate(parts)), *values.items()))

    def say(self, lang: str) -> str:
        """Say the parts in a language."""
        return self.key.join(part.say(lang) if isinstance(part, Phrase) else str(part) for _, part in self.values)


@functools.cache
def catalogue(lang: str) -> dict[str, str]:
    """Read the whole catalogue of a language, once: key -> sentence with placeholders.

    Raises UsageError for a language that there is not.
    """
    sentences: dict[str, str] = {}
    for path in _files(lang):
        for key, text in _read(path).items():
            assert key not in sentences, f"{key.partition('.')[0]} stands in two files"
            sentences[key] = text
    return sentences


def _sentence(key: str, lang: str) -> str:
    found = _found(key, lang)
    if found is None:
        raise KeyError(f"no file of catalogues/{lang} has {key}")
    return found


def section(name: str, lang: str) -> dict[str, str]:
    """Read the sentences of a section, and no others: key -> sentence with placeholders; empty where there is none.

    >>> section("care_type", "en")["care_type.inpatient"]
    'stay'
    """
    _found(f"{name}.", lang)
    return {key: text for key, text in dict(_said(lang)[0]).items() if key.startswith(f"{name}.")}


def _found(key: str, lang: str) -> str | None:
    """Give the sentence of a key, None where there is none; its file is read when a sentence of it is first asked."""
    said, sections = _said(lang)
    if key not in said:
        section = key.partition(".")[0]
        for path in sections.get(section, ()):
            said.update(_read(path))
        # Only now: another thread that asks meanwhile reads the file too, rather than find nothing.
        sections.pop(section, None)
    return said.get(key)


@functools.cache
def _said(lang: str) -> tuple[dict[str, str], dict[str, list[Path]]]:
    """Give the sentences that were read, and where sections stand that were not: most commands need a few files."""
    sections: dict[str, list[Path]] = {}
    for path in _files(lang):
        for head in _HEAD.findall(path.read_bytes()):
            sections.setdefault(head.decode("utf-8"), []).append(path)
    return {}, sections


_HEAD = re.compile(rb"^\[([^\[\]\s]+)\]\s*$", re.MULTILINE)


def _files(lang: str) -> list[Path]:
    if lang not in LANGS:
        raise UsageError("unknown_language", f"there is no language {lang!r}; use {' or '.join(LANGS)}")
    return sorted((_CATALOGUES / lang).glob("*.toml"))


def _read(path: Path) -> dict[str, str]:
    """Read the sentences of a file."""
    sections = tomllib.loads(path.read_text(encoding="utf-8"))
    return {f"{section}.{name}": text for section, entries in sections.items() for name, text in entries.items()}
