"""Read a department's file as it came: CSV in UTF-8 or GBK, an Excel workbook (.xlsx) or Parquet, from its bytes.

The kind is told by the bytes, not by the name. A CSV file gives text, a workbook text, numbers and days of its first
sheet, Parquet what it holds. Nothing is interpreted here.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from medfloor.errors import InputError

LARGEST = 256 * 1024 * 1024
"""The most bytes of a file; a county's list of a million people takes about half of it."""

_UNPACKED = 1024 * 1024 * 1024
_MOST_CELLS = 30_000_000
_LARGEST_PART = 32 * 1024 * 1024
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_FIRST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Extract:
    """Be a file: its columns, its rows (cells in the order of the columns; None = empty), and the hash of its bytes.

    `first` is the number of the first row as a person counts who opens the file.
    """

    columns: tuple[str, ...]
    rows: list[list[Any]]
    content_hash: str
    first: int = 2


def read_extract(source: str | Path | bytes) -> Extract:
    r"""Read a file from its path or its bytes.

    A title above the names of the columns, as departments print it, is passed over: the names are the first row with
    two cells or more. Raises InputError: file_not_found, file_too_large, unknown_format, empty_file, broken_csv,
    broken_parquet, broken_workbook, ambiguous_column.

    >>> read_extract("姓名,身份证号\n张三,11010519491231002X\n".encode("gbk")).columns
    ('姓名', '身份证号')
    """
    content = source if isinstance(source, bytes) else _content(Path(source))
    if len(content) > LARGEST:
        raise InputError("file_too_large", f"the file has more than {LARGEST // 1024**2} MB; send it in parts")
    if content[:4] == b"PAR1":
        rows = _parquet(content)
    elif content[:4] == b"PK\x03\x04":
        rows = _workbook(content)
    elif content[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise InputError("unknown_format", "the file is an old workbook (.xls); save it as .xlsx or as CSV")
    else:
        rows = _csv(content)
    return _extract(rows, hashlib.sha256(content).hexdigest())


def is_formula(text: str) -> bool:
    """Say whether a spreadsheet would carry a text out: ids and names come back in files that people open with one.

    >>> is_formula("=HYPERLINK(1)"), is_formula("-1|'/C calc'!A0"), is_formula("-"), is_formula("+86 10 1234")
    (True, True, False, False)
    """
    return re.match(r"[=+@-].*[(|!]", text) is not None


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise InputError("file_not_found", f"there is no file {path}; check the path")
    if path.stat().st_size > LARGEST:
        raise InputError("file_too_large", f"the file has more than {LARGEST // 1024**2} MB; send it in parts")
    return path.read_bytes()


def _extract(rows: list[list[Any]], content_hash: str) -> Extract:
    head = next((n for n, row in enumerate(rows[:_FIRST_ROWS]) if sum(cell is not None for cell in row) > 1), None)
    if head is None:
        # A file of one column has its name in the first row.
        head = next((n for n, row in enumerate(rows[:_FIRST_ROWS]) if any(cell is not None for cell in row)), None)
    if head is None:
        raise InputError("empty_file", "the file is empty: not even a row with names of columns; export it again")
    columns = ["" if cell is None else str(cell).strip() for cell in rows[head]]
    while columns and not columns[-1]:
        columns.pop()
    named = [name for name in columns if name]
    twice = sorted(name for name, times in Counter(named).items() if times > 1)
    if twice:
        raise InputError("ambiguous_column", f"the file has more than one column {twice[0]!r}; keep one of them")
    width = len(columns)
    # A row far down and a column far out are two cells in a workbook, and without this billions here.
    _check_cells(len(rows), width)
    return Extract(tuple(columns), [(row + [None] * width)[:width] for row in rows[head + 1 :]], content_hash, head + 2)


def _check_cells(rows: int, columns: int) -> None:
    if rows * columns > _MOST_CELLS:
        raise InputError("file_too_large", f"the file has more than {_MOST_CELLS:,} cells; send it in parts")


def _csv(content: bytes) -> list[list[Any]]:
    text = _decoded(content)
    head = text[: text.find("\n") if "\n" in text else None]
    mark = "\t" if head.count("\t") > head.count(",") else ","
    rows: list[list[Any]] = []
    width = 0
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True), 1):
            if not any(cell.strip() for cell in row):
                rows.append([])
                continue
            if width > 1 and len(row) != width:
                raise InputError("broken_csv", f"row {number} has {len(row)} cells where the header has {width}")
            if width <= 1:
                width = len(row)
            rows.append([cell.strip() or None for cell in row])
    except csv.Error:
        raise InputError("broken_csv", "the quotation marks of the file do not match; export it again") from None
    while rows and not any(cell is not None for cell in rows[-1]):
        rows.pop()
    return rows


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        # Excel in Chinese saves CSV as GBK; GB 18030 holds all of it, and rare characters of names besides.
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise InputError("broken_csv", "the file is neither UTF-8 nor GBK text; save it as CSV UTF-8, .xlsx or Parquet")


def _parquet(content: bytes) -> list[list[Any]]:
    import polars as pl

    try:
        lazy = pl.scan_parquet(io.BytesIO(content))
        # A column of one value takes a few bytes for millions of rows, so that they are counted before they are read.
        _check_cells(lazy.select(pl.len()).collect().item(), len(lazy.collect_schema()))
        frame = lazy.collect()
        texts = frame.select(pl.col(pl.String).str.len_bytes().sum().cast(pl.Int64))
        if sum(sum(row) for row in texts.iter_rows()) > _UNPACKED:
            raise InputError("file_too_large", "the texts of the file are too large; send it in parts")
    except (pl.exceptions.PolarsError, OSError):
        raise InputError("broken_parquet", "the file is not a whole Parquet file; export or copy it again") from None
    return [list(frame.columns), *(list(row) for row in frame.iter_rows())]


# --- Workbooks ------------------------------------------------------------------------------------------------------


def _workbook(content: bytes) -> list[list[Any]]:
    """Read the first sheet of a workbook (ECMA-376), with what formulas came to when it was saved."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            if sum(item.file_size for item in package.infolist()) > _UNPACKED:
                raise InputError("file_too_large", "the workbook is too large when unpacked; save it as CSV")
            names = set(package.namelist())
            if "xl/workbook.xml" not in names:
                raise InputError("unknown_format", "the file is a ZIP archive but no workbook; save it as .xlsx or CSV")
            book = _parsed(package, "xl/workbook.xml")
            properties = book.find(f"{_SHEET}workbookPr")
            since_1904 = properties is not None and properties.get("date1904") in ("1", "true")
            strings = _strings(package) if "xl/sharedStrings.xml" in names else []
            dated = _dated_styles(package) if "xl/styles.xml" in names else frozenset()
            return _rows(package.read(_first_sheet(package, book)), strings, dated, since_1904)
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, IndexError, NotImplementedError):
        raise InputError(
            "broken_workbook", "the workbook cannot be read; open it, save it again, or save it as CSV"
        ) from None


def _parsed(package: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if package.getinfo(name).file_size > _LARGEST_PART:
        raise InputError("file_too_large", "the workbook is too large when unpacked; save it as CSV")
    content = package.read(name)
    _refuse_entities(content)
    return ElementTree.fromstring(content)


def _refuse_entities(content: bytes) -> None:
    """Refuse a document type: no workbook has one, and entities in it could unfold without end."""
    if b"<!DOCTYPE" in content[:4096] or b"<!ENTITY" in content:
        raise InputError("broken_workbook", "the workbook declares a document type, which none does; it is not read")


def _first_sheet(package: zipfile.ZipFile, book: ElementTree.Element) -> str:
    sheet = book.find(f"{_SHEET}sheets/{_SHEET}sheet")
    if sheet is None:
        raise ValueError
    wanted = next(value for name, value in sheet.attrib.items() if name.endswith("}id"))
    for link in _parsed(package, "xl/_rels/workbook.xml.rels"):
        if link.get("Id") == wanted:
            target = link.get("Target", "")
            return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    raise KeyError(wanted)


def _strings(package: zipfile.ZipFile) -> list[str]:
    # Pronunciation of a text (rPh) is no part of it.
    # Trimmed once here: a copy for each cell that names a long text would be more than memory holds.
    content = package.read("xl/sharedStrings.xml")
    _refuse_entities(content)
    found: list[str] = []
    root: ElementTree.Element | None = None
    for event, element in ElementTree.iterparse(io.BytesIO(content), ("start", "end")):
        if root is None:
            root = element
        elif event == "end" and element.tag == f"{_SHEET}si":
            found.append("".join(part.text or "" for part in _texts(element)).strip())
            root.clear()  # what was read is let go: the tree of a packed gigabyte would not fit
    return found


def _texts(item: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for part in item:
        if part.tag == f"{_SHEET}t":
            yield part
        elif part.tag == f"{_SHEET}r":
            yield from part.iter(f"{_SHEET}t")


def _dated_styles(package: zipfile.ZipFile) -> frozenset[int]:
    """List the styles under which a number is a day."""
    styles = _parsed(package, "xl/styles.xml")
    own = {int(one.get("numFmtId", "0")): one.get("formatCode", "") for one in styles.iter(f"{_SHEET}numFmt")}
    dated = set()
    cells = styles.find(f"{_SHEET}cellXfs")
    for number, style in enumerate(cells if cells is not None else ()):
        form = int(style.get("numFmtId", "0"))
        code = re.sub(r'"[^"]*"|\[[^\]]*\]', "", own.get(form, "")).lower()
        if 14 <= form <= 17 or form == 22 or 27 <= form <= 31 or form in (36, 50, 54, 57, 58) or "y" in code:
            dated.add(number)
    return frozenset(dated)


def _rows(content: bytes, strings: list[str], dated: frozenset[int], since_1904: bool) -> list[list[Any]]:
    _refuse_entities(content)
    rows: list[list[Any]] = []
    for _, element in ElementTree.iterparse(io.BytesIO(content)):
        if element.tag != f"{_SHEET}row":
            continue
        number = int(element.get("r", len(rows) + 1))
        if number > 1_048_576 or number <= len(rows):
            raise ValueError
        rows += [[] for _ in range(number - 1 - len(rows))]
        row: list[Any] = []
        for cell in element:
            place = _column(cell.get("r", ""), len(row))
            row += [None] * (place - len(row))
            row.append(_cell(cell, strings, dated, since_1904))
        rows.append(row)
        element.clear()
    while rows and not any(cell is not None for cell in rows[-1]):
        rows.pop()
    return rows


def _column(reference: str, following: int) -> int:
    """Give the place of a cell's column, counted from 0."""
    letters = re.match(r"[A-Z]{1,3}", reference)
    if letters is None:
        return following
    place = 0
    for letter in letters[0]:
        place = place * 26 + ord(letter) - 64
    if place - 1 < following or place > 16_384:
        raise ValueError
    return place - 1


def _cell(cell: ElementTree.Element, strings: list[str], dated: frozenset[int], since_1904: bool) -> Any:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        inside = cell.find(f"{_SHEET}is")
        return "".join(part.text or "" for part in _texts(inside)).strip() or None if inside is not None else None
    value = cell.find(f"{_SHEET}v")
    text = "" if value is None else (value.text or "").strip()
    if not text or kind == "e":
        return None
    if kind == "s":
        return strings[int(text)] or None
    if kind in ("str", "d"):
        return text
    if kind == "b":
        return text == "1"
    if int(cell.get("s", "0")) in dated:
        return _day(float(text), since_1904)
    # Numbers are kept as they stand: an identity number that was typed as one has lost its last digits, and shows it.
    # A fraction is a double, of which a workbook shows 15 digits: 97190.14999999999 stands for 97190.15.
    if "." in text and "e" not in text.lower() and len(re.sub(r"\D", "", text).lstrip("0")) > 15:
        return f"{float(text):.15g}"
    return text[:-2] if re.fullmatch(r"-?[0-9]+\.0", text) else text


def _day(serial: float, since_1904: bool) -> date | None:
    if not 1 <= serial < 2_958_466:
        return None
    # Day 60 is 29 February 1900, which never was; before it the count is off by one.
    start = datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 30 if serial >= 60 else 31)
    return (start + timedelta(days=int(serial))).date()
