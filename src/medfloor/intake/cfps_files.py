"""Find the files of CFPS among whatever a user has, and read the wanted columns of each.

Names are like cfps2018person_202012.dta. The English release puts an e before, the suffix tells the release (written in
three ways), and files of SAS have capitals; some users write cfps_2018_person. Files saved again as SPSS, CSV or
Parquet are read as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError
from medfloor.intake.files import FORMATS, read_table
from medfloor.intake.packages import READERS, read_package_file

KINDS = ("famecon", "famconf", "adult", "person", "childproxy", "child", "crossyearid", "comm")

_NAME = re.compile(rf"^(e?)cfps[_\- ]?(\d{{4}})[_\- ]?({'|'.join(KINDS)}|crossyear)(.*)$", re.IGNORECASE)

_WAVE = re.compile(r"^e?cfps[_\- ]?\d{4}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CfpsFile:
    """Be one file of CFPS: its wave, what it holds, and its release."""

    path: Path
    place: str
    wave: int
    kind: str
    english: bool
    release: str
    order: tuple[int, int]


@dataclass(frozen=True, eq=False, slots=True)
class OpenedFile:
    """Be the columns of a file that were asked for, under small letters, and the words of their values."""

    frame: pl.DataFrame
    words: Mapping[str, Mapping[Any, str]]
    names: tuple[str, ...]


def find_cfps_files(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> tuple[list[CfpsFile], list[tuple[str, str]]]:
    """Find the files of CFPS in a folder (and the folders in it), or among some files.

    Gives the files to use, one for each wave and kind, and those that are not used with a code that says why:
    `older_release`, `same_release` (the same in another format or language), `unknown_kind` (of CFPS, under a kind that
    is not known, such as famros of an old release), `not_cfps`. Raises InputError file_not_found, no_cfps_files.

    >>> parse_release("_202008"), parse_release("_170630"), parse_release("_092015")
    ((2020, 8), (2017, 6), (2015, 9))
    """
    paths = _paths(source)
    known, others = [], []
    for path, place in paths:
        made = _parse(path, place)
        if made is None:
            others.append((place, "unknown_kind" if _WAVE.match(path.stem) else "not_cfps"))
        else:
            known.append(made)
    if not known:
        given = source if isinstance(source, (str, os.PathLike)) else "the list of files"
        raise InputError(
            "no_cfps_files",
            f"{os.fspath(given)} holds no file of CFPS. Their names are like cfps2018famecon_202101.dta or "
            "ecfps2018person_202012.dta; keep them as they were downloaded.",
        )
    used: dict[tuple[int, str], CfpsFile] = {}
    # The newest release; of the same one Stata first, then Chinese, then by name.
    for file in sorted(
        known, key=lambda f: (*(-part for part in f.order), f.path.suffix != ".dta", f.english, f.place)
    ):
        before = used.get((file.wave, file.kind))
        if before is None:
            used[file.wave, file.kind] = file
        else:
            others.append((file.place, "same_release" if before.order == file.order else "older_release"))
    return sorted(used.values(), key=lambda f: (f.wave, KINDS.index(f.kind))), sorted(others)


def open_cfps_file(file: CfpsFile, wanted: Sequence[str]) -> OpenedFile:
    """Read the columns of a file whose names, in small letters, match one of `wanted`; `*` stands for digits.

    Raises InputError ambiguous_column where two columns differ in their letters' case alone, and what the readers of
    the formats raise.
    """
    patterns = [re.compile(re.escape(name).replace(r"\*", r"\d+") + "$") for name in dict.fromkeys(wanted)]
    seen: list[str] = []

    def choose(names: Sequence[str]) -> list[str]:
        plain = [name.lower() for name in names]
        seen.extend(plain)
        twice = sorted({name for name in plain if plain.count(name) > 1})
        if twice:
            raise InputError("ambiguous_column", f"{file.place} has a column {twice[0]} twice. Keep one of them.")
        return [name for name in names if any(pattern.match(name.lower()) for pattern in patterns)]

    words: Mapping[str, Mapping[Any, str]] = {}
    if file.path.suffix.lower() in READERS:
        read = read_package_file(file.path, file.place, choose=choose)
        frame, words = read.frame, read.labels
    else:
        whole = read_table(file.path, "survey")
        frame = whole.select(choose(whole.columns))
    frame = frame.rename({name: name.lower() for name in frame.columns})
    return OpenedFile(frame, {name.lower(): labels for name, labels in words.items()}, tuple(seen))


def parse_release(text: str) -> tuple[int, int]:
    """Read year and month from a release's suffix: 202008, 170630 (year, month, day) or 092015; (0, 0) without one."""
    found = re.search(r"(\d{6})", text)
    if not found:
        return 0, 0
    six = found[1]
    if six.startswith("20") and 1 <= int(six[4:]) <= 12:
        return int(six[:4]), int(six[4:])
    if six[2:4] == "20" and 1 <= int(six[:2]) <= 12:
        return int(six[2:]), int(six[:2])
    return 2000 + int(six[:2]), int(six[2:4])


def _paths(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[tuple[Path, str]]:
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source)
        if folder.is_file():
            return [(folder, os.fspath(source))]
        if not folder.is_dir():
            raise InputError("file_not_found", f"{os.fspath(source)} is not there. Give the folder of the CFPS files.")
        endings = {*READERS, *FORMATS}
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and path.is_file())
        return [(path, str(path.relative_to(folder))) for path in files]
    for given in source:
        if not Path(given).is_file():
            raise InputError("file_not_found", f"{os.fspath(given)} is not there. Give the paths of the CFPS files.")
    return [(Path(given), os.fspath(given)) for given in source]


def _parse(path: Path, place: str) -> CfpsFile | None:
    found = _NAME.match(path.stem)
    if not found:
        return None
    release = found[4].lstrip("_- ")
    kind = "crossyearid" if found[3].lower() == "crossyear" else found[3].lower()
    return CfpsFile(path, place, int(found[2]), kind, bool(found[1]), release, parse_release(found[4]))
