"""Declare the fields of bodies: days, amounts, ids and free text, each as strict as the store and the law need it.

JSON knows no dates and no exact decimals, and a reader that helps too much takes `true` for one fen. So a day is text
of exactly YYYY-MM-DD, money is a whole number of fen within what settlement can count, an id is of plain characters,
and a body with a name that we do not know is refused.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from medfloor.money import MAX_FEN


class Body(BaseModel):
    """Be the parent of all bodies: strict, frozen, and closed to names that it does not know.

    >>> class Paid(Body):
    ...     amount_fen: Fen
    >>> Paid(amount_fen=True)
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Paid
    amount_fen
      Input should be a valid integer [type=int_type, input_value=True, input_type=bool]
    ...
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """Be the parent of all answers: frozen; what the program makes itself is not read strictly."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_day(value: Any) -> Any:
    """Read a day written YYYY-MM-DD, of the years 1900 to 2200.

    Raises the error of a field, which holds no value: it may be somebody's birthday.

    >>> read_day("2024-02-29")
    datetime.date(2024, 2, 29)
    """
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("bad_date", "is no day of the calendar") from None
    if type(value) is not date:
        raise PydanticCustomError("bad_date", "write a day as YYYY-MM-DD")
    # Beyond these years something was mistyped; a benefit year of 9999 would also have no next day.
    if not 1900 <= value.year <= 2200:
        raise PydanticCustomError("bad_date", "days lie between 1900 and 2200")
    return value


Day = Annotated[date, BeforeValidator(read_day), WithJsonSchema({"type": "string", "format": "date"})]
"""A day as YYYY-MM-DD."""

DayOut = date
"""A day in an answer: whatever the store has."""

Moment = Annotated[
    datetime, PlainSerializer(lambda moment: moment.isoformat(timespec="milliseconds"), when_used="json")
]
"""A moment of UTC in an answer."""


def read_moment(value: Any) -> Any:
    """Read a moment with its zone, such as 2024-06-03T01:30:00Z. Raises the error of a field.

    >>> read_moment("2024-06-03T09:30:00+08:00").isoformat()
    '2024-06-03T01:30:00+00:00'
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if len(value) <= 40 else None
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None or not 1900 <= value.year <= 2200:
        raise PydanticCustomError("bad_moment", "write a moment with its zone, as 2024-06-03T01:30:00Z")
    return value.astimezone(UTC)


AskedMoment = Annotated[
    datetime, BeforeValidator(read_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""A moment that is asked about; it says its zone."""

Fen = Annotated[int, Field(ge=0, le=MAX_FEN)]
"""An amount in fen, not below zero."""

SignedFen = Annotated[int, Field(ge=-MAX_FEN, le=MAX_FEN)]
"""An amount in fen that may be below zero."""

ID_PATTERN = r"^[0-9A-Za-z][0-9A-Za-z._:@-]{0,63}$"
"""Ids are plain characters, so that they can stand in an address and in a log."""

Id = Annotated[str, Field(pattern=ID_PATTERN, max_length=64)]
"""An id of a claim, a person, a household or a provider."""

KEY_PATTERN = r"^[0-9A-Za-z][0-9A-Za-z._:@+/=-]{0,127}$"

Key = Annotated[str, Field(pattern=KEY_PATTERN, max_length=128)]
"""A request key (Idempotency-Key): chosen by who asks, the same for a repeat of the same request."""


def new_key() -> str:
    """Choose a request key for a form: 128 random bits, as hexadecimal because a key begins with a letter or digit.

    >>> len(new_key())
    32
    """
    return secrets.token_hex(16)


PlainText = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+$")]
"""A text of a person, without control characters."""

Code = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._+*-]{0,31}$", max_length=32)]
"""A code, such as a diagnosis by ICD-10."""

Place = Annotated[str, Field(pattern=r"^[0-9]{0,12}$", max_length=12)]
"""A division code: two digits a province, four a city, six a county, nine a township, twelve a village."""

Language = Literal["zh", "en"]
