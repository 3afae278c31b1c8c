"""Page lists with cursors that stay true while rows come in: a cursor names the last row that was given."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from medfloor.errors import UsageError

Row = TypeVar("Row")

Limit = Annotated[int, Query(ge=1, le=500, description="Rows of a page. 每页行数")]
Cursor = Annotated[
    str | None,
    Query(max_length=200, pattern=r"^[A-Za-z0-9_=-]*$", description="`next` of the page before. 上一页的 next"),
]


def cursor_of(kind: str, number: int) -> str:
    """Write a cursor for the row of a number in a kind of list.

    >>> number_of("imports", cursor_of("imports", 17))
    17
    """
    return base64.urlsafe_b64encode(f"{kind}:{number}".encode()).decode().rstrip("=")


def number_of(kind: str, cursor: str | None) -> int | None:
    """Read a cursor; None and an empty one begin the list. Raises UsageError (`bad_cursor`)."""
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        text = ""
    found = re.fullmatch(rf"{kind}:([0-9]{{1,18}})", text)
    if found is None:
        raise UsageError("bad_cursor", "the cursor is not one of this list; begin without one")
    return int(found[1])


def page_of(
    kind: str, rows: Sequence[Row], number: Callable[[Row], int], cursor: str | None, limit: int
) -> tuple[list[Row], str | None]:
    """Give the page behind a cursor of a list that is short enough to be read whole, and the cursor of the next one.

    Raises UsageError (`bad_cursor`).

    >>> page, following = page_of("users", [3, 7, 9], int, None, 2)
    >>> page, page_of("users", [3, 7, 9], int, following, 2)
    ([3, 7], ([9], None))
    """
    after = number_of(kind, cursor) or 0
    left = sorted((row for row in rows if number(row) > after), key=number)
    page = left[:limit]
    return page, cursor_of(kind, number(page[-1])) if len(left) > limit else None
