"""Read the files of Stata, SPSS and SAS: their rows, and the words that stand for their values.

The bytes are read by ReadStat (through pyreadstat). Values that the package itself holds for missing (Stata's `.` and
`.a` to `.z`, SPSS's user-defined missing values, SAS's `.` and `._`) come back as null. Files from before Unicode do
not say how their text is encoded; where it looks Chinese, it is read as GB18030, which covers GBK and GB2312.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError

READERS = {
    ".dta": ("Stata", "read_dta"),
    ".sav": ("SPSS", "read_sav"),
    ".zsav": ("SPSS", "read_sav"),
    ".por": ("SPSS", "read_por"),
    ".sas7bdat": ("SAS", "read_sas7bdat"),
    ".xpt": ("SAS", "read_xport"),
}
"""By the ending of a file: the package that writes it, and pyreadstat's function that reads it."""

_CHINESE = "GB18030"
_FIRST_UNICODE_STATA = 118
_ENOUGH_WORDS = 500


@dataclass(frozen=True, eq=False, slots=True)
class LabelledTable:
    """Be the rows of such a file, and by column the text that its labels give to a value."""

    frame: pl.DataFrame
    labels: Mapping[str, Mapping[Any, str]]


def read_package_file(
    path: Path, place: str, *, choose: Callable[[Sequence[str]], Sequence[str]] | None = None
) -> LabelledTable:
    """Read a .dta, .sav, .zsav, .por, .sas7bdat or .xpt file; `place` is how messages name it.

    `choose` is shown the names of all columns and says which are wanted, so that of a file of a thousand columns only
    those are read; without it, all are. Numbers come as Float64 or integers, text as String, dates as dates; missing
    values of the package are null. Raises InputError file_not_found, broken_survey_file (damaged, cut short, of
    another format, or text in an unknown encoding) and cannot_read.
    """
    package, reader = READERS[path.suffix.lower()]
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "not there"
        raise InputError("file_not_found", f"{place} is {what}. Give the path of the survey file.")
    try:
        frame, meta = _read(path, reader, None, choose)
    except PermissionError:
        raise InputError("cannot_read", f"{place} may not be read by this user. Check its permissions.") from None
    except InputError:
        raise  # what `choose` has against the names
    except Exception as error:
        # Whatever the reader trips over (its own errors, dates beyond the calendar) is a fault of the file.
        again = _read_as_chinese(path, reader, choose) if _is_encoding(error) else None
        if again is None:
            raise _broken(place, package, error) from None
        frame, meta = again
    else:
        if not _is_unicode(path, meta) and _looks_chinese(frame, meta):
            frame, meta = _read_as_chinese(path, reader, choose) or (frame, meta)
    return LabelledTable(frame, dict(meta.variable_value_labels or {}))


def _read(
    path: Path, reader: str, encoding: str | None, choose: Callable[[Sequence[str]], Sequence[str]] | None
) -> tuple[pl.DataFrame, Any]:
    import pyreadstat

    named: dict[str, Any] = {"encoding": encoding} if encoding else {}
    with path.open("rb"):
        pass  # the reader tells a forbidden file from a broken one only by its own words
    if choose is not None:
        _, known = getattr(pyreadstat, reader)(str(path), output_format="polars", metadataonly=True, **named)
        named["usecols"] = list(choose(known.column_names))
    frame, meta = getattr(pyreadstat, reader)(str(path), output_format="polars", **named)
    assert isinstance(frame, pl.DataFrame)
    return frame, meta


def _read_as_chinese(
    path: Path, reader: str, choose: Callable[[Sequence[str]], Sequence[str]] | None
) -> tuple[pl.DataFrame, Any] | None:
    if reader == "read_por":
        return None  # the portable format knows one alphabet only
    try:
        return _read(path, reader, _CHINESE, choose)
    except Exception:
        return None


def _is_encoding(error: Exception) -> bool:
    return isinstance(error, UnicodeError) or "convert string" in str(error)


def _is_unicode(path: Path, meta: Any) -> bool:
    """Say whether the file itself says that its text is UTF-8."""
    if path.suffix.lower() == ".dta":
        with path.open("rb") as file:
            release = re.match(rb"<stata_dta><header><release>(\d+)<", file.read(64))
        return release is not None and int(release[1]) >= _FIRST_UNICODE_STATA
    return "utf" in str(meta.file_encoding or "").lower()


def _looks_chinese(frame: pl.DataFrame, meta: Any) -> bool:
    """Say whether text that was read as Windows-1252 is made of two-byte characters.

    In GBK the usual Chinese characters are two bytes above 127, so what such text shows of them comes in even runs; the
    accents of European languages mostly stand alone.
    """
    text = frame.select(pl.selectors.string())
    words = [word for column in text for word in _foreign_words(column)]
    words += [word for labels in (meta.variable_value_labels or {}).values() for word in labels.values()]
    words += [*frame.columns, *(label or "" for label in meta.column_labels or [])]
    try:
        runs = [run for word in words for run in re.findall(rb"[\x80-\xff]+", str(word).encode("cp1252"))]
    except UnicodeEncodeError:
        return False  # letters that Windows-1252 does not have were never read as it
    even = sum(len(run) % 2 == 0 for run in runs)
    return even > len(runs) - even


def _foreign_words(column: pl.Series) -> list[str]:
    return column.filter(column.str.contains(r"[^\x00-\x7f]")).unique().head(_ENOUGH_WORDS).to_list()


def _broken(place: str, package: str, error: Exception) -> InputError:
    if _is_encoding(error):
        why = "its text is neither in the encoding that the file names nor Chinese in GB18030"
    else:
        # The reader's own sentence names no cell; only its first line is passed on.
        why = str(error).split("\n", 1)[0][:200] or type(error).__name__
    return InputError(
        "broken_survey_file",
        f"{place} cannot be read as a {package} file ({why}). Export or copy it again, or save it as CSV UTF-8.",
    )
