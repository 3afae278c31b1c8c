"""Say things to people in Chinese and in English.

The sentences are in `catalogues/<language>.toml`, one file a language, sorted by sections; a key is `section.name`,
such as `care_type.inpatient`. Both files have the same keys and the same placeholders (a test sees to it).
"""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Literal, get_args

from medfloor.errors import UsageError

Lang = Literal["zh", "en"]
LANGS: tuple[str, ...] = get_args(Lang)
"""The languages that medfloor speaks."""

_CATALOGUES = Path(__file__).parent / "catalogues"


def say(key: str, lang: str, /, **values: object) -> str:
    """Give the sentence of a key in a language, with its placeholders filled.

    Raises UsageError for a language that there is not, KeyError for a key or a placeholder that there is not: a missing
    sentence is a bug and never shown as an empty place.

    >>> say("care_type.inpatient", "zh"), say("care_type.inpatient", "en")
    ('住院', 'stay')
    """
    return _sentence(key, lang).format(**values)


def knows(key: str, lang: str = "en") -> bool:
    """Say whether a key is in the catalogue.

    >>> knows("group.tekun"), knows("group.veterans")
    (True, False)
    """
    return key in catalogue(lang)


def join(items: list[str], lang: str) -> str:
    """Join items of a list as the language does.

    >>> join(["a", "b"], "zh"), join(["a", "b"], "en")
    ('a、b', 'a, b')
    """
    return say("list.between", lang).join(items)


@functools.cache
def catalogue(lang: str) -> dict[str, str]:
    """Read the catalogue of a language, once: key -> sentence with placeholders.

    Raises UsageError for a language that there is not.
    """
    if lang not in LANGS:
        raise UsageError("unknown_language", f"there is no language {lang!r}; use {' or '.join(LANGS)}")
    with (_CATALOGUES / f"{lang}.toml").open("rb") as file:
        sections = tomllib.load(file)
    return {f"{section}.{name}": text for section, entries in sections.items() for name, text in entries.items()}


def _sentence(key: str, lang: str) -> str:
    sentences = catalogue(lang)
    if key not in sentences:
        raise KeyError(f"catalogues/{lang}.toml has no {key}")
    return sentences[key]
