"""Read mappings: which column or expression of a table stands for which of our names.

A mapping is written as a text (`oop=med,food=foodexp`), as a dictionary, or in a file of its own (TOML, YAML, JSON, or
CSV with the columns ours and theirs).
"""

from __future__ import annotations

import csv
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medfloor.errors import InputError, UsageError
from medfloor.intake.formulas import plain

OneMapping = Mapping[str, str] | str | os.PathLike[str]
"""One mapping: a dictionary ours -> theirs, the text `ours=theirs,...`, or the path of a mapping file."""


@dataclass(frozen=True, slots=True)
class Link:
    """Be one entry of a mapping: our name, what stands for it, and where that is written."""

    ours: str
    theirs: str
    origin: str


def read_mapping(mapping: OneMapping | Sequence[OneMapping] | None) -> dict[str, Link]:
    """Read one or several mappings; of several, the later wins. The result is by our name, in small letters.

    In a text, entries stand between commas, and commas within parentheses, brackets or quotation marks do not count;
    the first `=` of an entry parts ours from theirs. In a file, an entry is a key with a text or a number; in CSV, a
    row with the columns ours and theirs. Raises UsageError bad_mapping (no `=`, an empty side, quotation marks or
    parentheses that do not close), UsageError mapped_twice; InputError file_not_found, bad_mapping_file.

    >>> links = read_mapping(["oop=coalesce(med, 0),food=foodexp", {"food": "food12"}])
    >>> [(link.ours, link.theirs) for link in links.values()]
    [('oop', 'coalesce(med, 0)'), ('food', 'food12')]
    """
    if mapping is None:
        return {}
    several = [mapping] if isinstance(mapping, (str, os.PathLike, Mapping)) else list(mapping)
    found: dict[str, Link] = {}
    for one in several:
        if isinstance(one, Mapping):
            found |= _links(one.items(), "the mapping")
        elif _is_file(one):
            found |= _links(_entries_of_file(Path(one), os.fspath(one)), os.fspath(one))
        else:
            found |= _links(_entries_of_text(os.fspath(one)), "the mapping")
    return found


def _links(entries: Iterable[tuple[Any, Any]], origin: str) -> dict[str, Link]:
    found: dict[str, Link] = {}
    for ours, theirs in entries:
        if isinstance(theirs, bool) or not isinstance(ours, str) or not isinstance(theirs, (str, int, float)):
            raise UsageError(
                "bad_mapping", f"{origin}: {ours} stands for {theirs!r}, which is neither a text nor a number. {_NEXT}"
            )
        ours, theirs = ours.strip().strip("\"'`").strip(), str(theirs).strip()
        if not ours or not theirs:
            raise UsageError(
                "bad_mapping",
                f"{origin}: {ours}={theirs} has nothing {'left' if not ours else 'right'} of the equals sign. {_NEXT}",
            )
        key = plain(ours)
        if key in found:
            raise UsageError(
                "mapped_twice",
                f"{origin} maps {ours} twice, to {found[key].theirs} and to {theirs}. Keep one of them.",
            )
        found[key] = Link(ours, theirs, origin)
    return found


_NEXT = "Write ours=theirs, such as oop=med, and a comma between entries."


def _is_file(text: str | os.PathLike[str]) -> bool:
    """Tell the path of a mapping file from the text of a mapping."""
    if not isinstance(text, str):
        return True
    if Path(text).suffix.lower() not in _FILE_READERS:
        return False
    # `x=a.csv` is hardly a file, unless there is one of that name.
    return "=" not in text or Path(text).is_file()


def _entries_of_text(text: str) -> list[tuple[str, str]]:
    entries = []
    for part in _split(text):
        ours, equals, theirs = part.partition("=")
        if not equals:
            hint = f" A mapping file ends in {', '.join(_FILE_READERS)}." if len(part) == len(text) else ""
            raise UsageError(
                "bad_mapping", f"the mapping: {part.strip() or 'an empty entry'} has no equals sign. {_NEXT}{hint}"
            )
        entries.append((ours, theirs))
    return entries


_CLOSES = {"(": ")", "[": "]"}


def _split(text: str) -> list[str]:
    """Split a text at its commas outside quotation marks, parentheses and brackets."""
    parts, start, quote, waiting = [], 0, "", [""]
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'`":
            quote = letter
        elif letter in _CLOSES:
            waiting.append(_CLOSES[letter])
        elif letter in ")]":
            if letter != waiting.pop():
                raise UsageError(
                    "bad_mapping", f"the mapping: {text} closes with {letter} what was not opened. {_NEXT}"
                )
        elif letter == "," and len(waiting) == 1:
            parts.append(text[start:position])
            start = position + 1
    if quote or len(waiting) > 1:
        lacks = quote or waiting[-1]
        raise UsageError("bad_mapping", f"the mapping: {text} lacks a closing {lacks}. {_NEXT}")
    return [*parts, text[start:]]


def _entries_of_file(path: Path, place: str) -> list[tuple[Any, Any]]:
    reader = _FILE_READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            "bad_mapping", f"{place} is no mapping file. Give one that ends in {', '.join(_FILE_READERS)}."
        )
    if not path.is_file():
        raise InputError("file_not_found", f"{place} is not there. Give the path of the mapping file.")
    try:
        return reader(path.read_text(encoding="utf-8-sig"))
    except PermissionError:
        raise InputError("cannot_read", f"{place} may not be read by this user. Check its permissions.") from None
    except UnicodeDecodeError:
        raise InputError("bad_mapping_file", f"{place} is not UTF-8 text. Save it as UTF-8.") from None
    except (ValueError, csv.Error, _YamlError) as error:
        why = " ".join(str(error).split())[:300]
        raise InputError("bad_mapping_file", f"{place} cannot be read ({why}). {_FILE_NEXT}") from None


_FILE_NEXT = 'Write one entry a line, ours then theirs: oop = "med" in TOML, oop: med in YAML, oop,med in CSV.'


class _YamlError(Exception):
    """Say what is wrong with a YAML file, whose library has no error of the standard kinds."""


def _from_toml(text: str) -> list[tuple[Any, Any]]:
    return list(tomllib.loads(text).items())


def _from_yaml(text: str) -> list[tuple[Any, Any]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return _pairs_of(YAML(typ="safe", pure=True).load(text))
    except YAMLError as error:
        raise _YamlError(str(error)) from None


def _from_json(text: str) -> list[tuple[Any, Any]]:
    # As pairs, because a dictionary would keep the last of two equal keys and say nothing.
    pairs = json.loads(text, object_pairs_hook=list)
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise ValueError("it holds no object of names")
    return pairs


def _from_csv(text: str) -> list[tuple[Any, Any]]:
    rows = csv.DictReader(text.splitlines(), strict=True)
    heads = {plain(name): name for name in rows.fieldnames or ()}
    if not {"ours", "theirs"} <= set(heads):
        raise ValueError(f"its columns are {', '.join(rows.fieldnames or ()) or 'none'}, and it needs ours and theirs")
    return [(row[heads["ours"]] or "", row[heads["theirs"]] or "") for row in rows]


def _pairs_of(loaded: Any) -> list[tuple[Any, Any]]:
    if loaded is None:
        return []
    if not isinstance(loaded, dict):
        raise ValueError("it holds no list of names")
    return list(loaded.items())


_FILE_READERS: dict[str, Callable[[str], list[tuple[Any, Any]]]] = {
    ".toml": _from_toml,
    ".yaml": _from_yaml,
    ".yml": _from_yaml,
    ".json": _from_json,
    ".csv": _from_csv,
}
