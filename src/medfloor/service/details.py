"""Say the details of errors and of refused rows on pages in the reader's language.

An error's `detail` is one English sentence, as on the command line, with the value and the place in it. The catalogue's
section `detail` has those that somebody at a counter meets, with their values as placeholders: a detail that was made
from one of them is said from it anew. Any other stays English, and a page marks it as such.
"""

from __future__ import annotations

import functools
import re

from medfloor.store.roles import PERMISSIONS
from medfloor.words import catalogue, join, knows, say

_SECTION = "detail."

RAISED: dict[str, str] = {
    "no_such_route": "there is nothing under this address; {_}",
    "no_such_method": "this address does not take this method",
    "bad_cursor": "the cursor is not one of this list; begin without one",
    "bug_inside": "medfloor met a bug of its own; tell the office the id of the request",
    "csrf": "this write lacks the session's token; {_}",
    "foreign": "the request comes from another site",
    "no_policy_chosen": "the office has chosen no policy; {_}",
    "missing_column": "{_} has no column {missing}. Columns present: {columns}.",
    "missing_near": "{_} has no column {missing}; the nearest column present is {near}.",
    "no_such_import": "there is no such import in your place; {_}",
    "row_status_code": "{column} is no status that is known; {_}",
    "row_word": "{column} is not one of the words of this column; {_}",
}
"""Details whose words on a page differ from those that programs get; `{_}` is left out."""

_WORDS: dict[str, str] = {
    "role": "role.", "arrear": "arrears_page.state_", "arrears": "arrears_page.state_",
    "proposal": "proposals_page.state_", "way": "clearing.way_", "ways": "clearing.way_",
    "difference": "clearing.kind_", "group": "group.", "funds": "tier.",
}  # fmt: skip
"""Placeholder -> how the keys begin of what stands in it; several are listed with commas."""

_NAMES = {sentence: name for name, sentence in PERMISSIONS.items()}


def detail_in(message: str, lang: str) -> str | None:
    """Say a detail in a language; None where it is not known, so that only its own English words are there.

    >>> detail_in("whoever proposed it may not decide on it; ask a colleague", "zh")
    '申请人不得复核自己的申请；请同事复核。'
    >>> detail_in("nobody wrote this sentence", "zh")
    """
    for key, words, pattern in _patterns():
        # Looking for words is much faster than trying a pattern.
        found = pattern.fullmatch(message) if words in message else None
        if found is not None:
            values = {name: _worded(name, value, lang) for name, value in found.groupdict().items()}
            return say(_SECTION + key, lang, **values)
    return None


def _worded(name: str, value: str, lang: str) -> str:
    """Say what stands in a placeholder, where it is a code or a list of codes."""
    if name == "permission":
        return say(f"permission.{_NAMES[value]}", lang) if value in _NAMES else value
    if name == "missing":
        columns = re.split(r"\. .+? has no column ", value)
        return join([re.sub(r"national spelling ", "", one) for one in columns], lang)
    if name == "column":
        return value.replace(" or ", say("detail_word.or", lang))
    section = _WORDS.get(name)
    if section is None:
        return value
    codes = value.split(", ")
    return join([say(section + one, lang) if knows(section + one, lang) else one for one in codes], lang)


def template_of(key: str) -> str:
    """Give the words, with placeholders, in which a detail of the catalogue is raised."""
    return RAISED.get(key, catalogue("en")[_SECTION + key])


@functools.cache
def _patterns() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    keys = [key.removeprefix(_SECTION) for key in catalogue("en") if key.startswith(_SECTION)]
    return tuple((key, words_of(template_of(key)), pattern_of(template_of(key))) for key in keys)


def words_of(template: str) -> str:
    """Give the longest words between two placeholders of a sentence.

    >>> words_of("{month} is not over")
    ' is not over'
    """
    return max(re.split(r"\{[a-z_]+\}", template), key=len)


def pattern_of(template: str) -> re.Pattern[str]:
    """Make a pattern of a sentence with placeholders.

    >>> pattern_of("{month} is not over").fullmatch("2026-06 is not over").groupdict()
    {'month': '2026-06'}
    """
    parts = re.split(r"\{([a-z_]+)\}", template)
    made = [
        re.escape(part) if place % 2 == 0 else ".+?" if part == "_" else f"(?P<{part}>.+?)"
        for place, part in enumerate(parts)
    ]
    return re.compile("".join(made), re.DOTALL)
