"""Write .sas7bdat files for tests with the writer of ReadStat, the library that pyreadstat carries and does not offer.

Nothing of SAS is at hand, so these files are ReadStat's idea of the format; `test_sas.py` lets pandas, whose reader is
another program, read the same bytes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyreadstat
import pytest

_POINTER, _WRITE = (
    ctypes.c_void_p,
    ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p),
)
_TEXT, _DOUBLE = 0, 5


def write_sas(frame: pl.DataFrame, path: Path) -> Path:
    """Write numbers as doubles and text as text, null as missing. Skips the test where the writer cannot be reached."""
    library = _library()
    parts: list[bytes] = []

    @_WRITE
    def keep(data: int, length: int, _: int) -> int:
        parts.append(ctypes.string_at(data, length))
        return length

    make = _function(library, "readstat_writer_init", _POINTER)
    writer = make()
    _ask(library, "readstat_set_data_writer", writer, keep, types=[_POINTER, _WRITE])
    add = _function(
        library, "readstat_add_variable", _POINTER, _POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
    )
    columns = []
    for name in frame.columns:
        text = frame[name].dtype == pl.String
        width = max(8, *(len((cell or "").encode()) for cell in frame[name])) if text else 8
        columns.append((add(writer, name.encode(), _TEXT if text else _DOUBLE, width), frame[name].to_list(), text))
    begin = [_POINTER, _POINTER, ctypes.c_long]
    _ask(library, "readstat_begin_writing_sas7bdat", writer, None, frame.height, types=begin)
    for row in range(frame.height):
        _ask(library, "readstat_begin_row", writer, types=[_POINTER])
        for column, cells, text in columns:
            cell = cells[row]
            two, three = [_POINTER, _POINTER], [_POINTER, _POINTER, ctypes.c_char_p if text else ctypes.c_double]
            if cell is None:
                _ask(library, "readstat_insert_missing_value", writer, column, types=two)
            elif text:
                _ask(library, "readstat_insert_string_value", writer, column, cell.encode(), types=three)
            else:
                _ask(library, "readstat_insert_double_value", writer, column, float(cell), types=three)
        _ask(library, "readstat_end_row", writer, types=[_POINTER])
    _ask(library, "readstat_end_writing", writer, types=[_POINTER])
    path.write_bytes(b"".join(parts))
    return path


def _library() -> ctypes.CDLL:
    found = sorted(Path(pyreadstat.__file__).parent.glob("_readstat_writer*.so"))
    if not found:
        pytest.skip("pyreadstat's writer is not a shared object on this system, so that no .sas7bdat can be written")
    library = ctypes.CDLL(str(found[0]))
    if not hasattr(library, "readstat_begin_writing_sas7bdat"):
        pytest.skip("this build of pyreadstat does not show ReadStat's writer, so that no .sas7bdat can be written")
    return library


def _function(library: ctypes.CDLL, name: str, result: Any, *types: Any) -> Callable[..., Any]:
    function = getattr(library, name)
    function.restype, function.argtypes = result, types
    return function  # type: ignore[no-any-return]


def _ask(library: ctypes.CDLL, name: str, *values: Any, types: list[Any]) -> None:
    error = _function(library, name, ctypes.c_int, *types)(*values)
    assert error == 0, f"{name}: error {error}"
