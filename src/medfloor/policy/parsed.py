"""Keep what was read from YAML in the user's cache, because its parser takes longer than all else in a small job.

A text stands under its digest, beside compiled code (jit.py), as JSON that gives the very same data back; a text whose
data JSON cannot give back is not kept. Nothing here may fail: without a cache a file is parsed once more.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from medfloor.jit import cache_folder

_MARK = "policy texts 1, ruamel.yaml safe 1.2:"
"""What the form is; another one has another mark, so that old files are not read."""


def kept(text: str) -> dict[str, Any] | None:
    """Give the data of a text that was kept, None where it was not.

    A text that nobody has read is not there:

    >>> kept("id: nobody/has/kept/this")
    """
    file = _file(text)
    if file is None:
        return None
    try:
        found = json.loads(file.read_bytes(), object_hook=_dates_back)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def keep(text: str, data: dict[str, Any]) -> None:
    """Keep the data of a text for the next process; silently not, where there is no cache or no room."""
    file = _file(text)
    if file is None:
        return
    try:
        # As bytes here, where a text that no file can hold (half of a character, written \ud800) is no error yet.
        written = json.dumps(data, ensure_ascii=False, default=_date_out).encode("utf-8")
        if repr(json.loads(written, object_hook=_dates_back)) != repr(data):
            return
    except (TypeError, ValueError, RecursionError):
        return
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, exist_ok=True)
        number, made = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(number, "wb") as out:
                out.write(written)
            os.replace(made, file)
        except OSError:
            os.unlink(made)


def _file(text: str) -> Path | None:
    folder = _folder()
    if folder is None:
        return None
    return folder / f"{hashlib.blake2b((_MARK + text).encode('utf-8'), digest_size=16).hexdigest()}.json"


@functools.cache
def _folder() -> Path | None:
    """Give the folder, which is only the user's own, as that of compiled code."""
    folder = cache_folder()
    return None if folder is None else folder / "policies"


def _date_out(value: object) -> dict[str, str]:
    if type(value) is date:
        return {"date of yaml": value.isoformat()}
    raise TypeError


def _dates_back(found: dict[str, Any]) -> Any:
    if len(found) == 1 and "date of yaml" in found:
        return date.fromisoformat(found["date of yaml"])
    return found
