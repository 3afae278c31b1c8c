"""Read the right side of a mapping: a column of theirs, or an expression in SQL that is worked out row by row.

Polars reads the expression. It may use arithmetic, comparisons, CASE, COALESCE, and functions of one row (EXP, LN,
ROUND, GREATEST, text, dates); what looks at other rows (SUM, AVG, OVER, ...) is refused, because a household's value
would then depend on who else is in the file.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.errors import InputError, UsageError

_NODES = {"Column", "Literal", "BinaryExpr", "Cast", "Ternary", "Function"}
"""What a row-wise expression is made of, in the form in which Polars writes expressions down."""

_FUNCTIONS = {
    "Abs", "Atan2", "Boolean", "Ceil", "Coalesce", "Exp", "FillNull", "Floor", "Log", "Log1p", "MaxHorizontal",
    "MinHorizontal", "Pow", "Sign", "Sql", "StringExpr", "TemporalExpr", "Trigonometry",
}  # fmt: skip
"""Functions that look at one row only."""


@dataclass(frozen=True, eq=False, slots=True)
class Formula:
    """Be what one of our names stands for.

    `column` is the column as the file writes it, or None for an expression; `inputs` maps each name as the expression
    writes it to the column as the file writes it.
    """

    text: str
    column: str | None
    expression: pl.Expr
    inputs: dict[str, str]


def read_formula(text: str, names: Sequence[str], *, ours: str, place: str, origin: str) -> Formula:
    """Read the right side of `ours=text` for a table with the columns `names`.

    A text that is the name of a column means that column, blanks and all; letter case and blanks around it do not
    count. `place` names the table and `origin` the mapping in messages. Raises InputError unknown_column and
    ambiguous_column, UsageError bad_expression.

    >>> read_formula("exp(LnTotal)", ["lntotal"], ours="consumption", place="x.csv", origin="the mapping").inputs
    {'LnTotal': 'lntotal'}
    """
    whole = find_column(text, names, place=place)
    if whole is not None:
        return Formula(text, whole, pl.col(whole), {whole: whole})
    try:
        expression = pl.sql_expr(text)
        nodes = json.loads(expression.meta.serialize(format="json"))
        written = list(dict.fromkeys(expression.meta.root_names()))
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise _bad(ours, text, origin, _first_line(error)) from None
    fault = _fault(nodes)
    if fault:
        raise _bad(ours, text, origin, fault)
    inputs = {}
    for name in written:
        column = find_column(name, names, place=place)
        if column is None:
            raise _unknown(name, names, ours, text, place, origin)
        inputs[name] = column
    if len(inputs) == 1 and expression.meta.is_column():
        return Formula(text, inputs[written[0]], pl.col(inputs[written[0]]), inputs)
    return Formula(text, None, expression, inputs)


def find_column(name: str, names: Sequence[str], *, place: str) -> str | None:
    """Find a column by its name: as written, or else with letter case and blanks around it set aside.

    Raises InputError ambiguous_column where two columns differ in nothing else.
    """
    if name in names:
        return name
    found = [given for given in names if plain(given) == plain(name)]
    if len(found) > 1:
        raise InputError(
            "ambiguous_column",
            f"{place} has {name} twice, as {found[0]!r} and as {found[1]!r}. Keep one of them, or write the one that "
            "is meant in exactly its letters.",
        )
    return found[0] if found else None


def check_types(formula: Formula, frame: pl.LazyFrame, *, ours: str, origin: str) -> pl.DataType:
    """Give the type that an expression comes to over a table that has its inputs; raise UsageError bad_expression."""
    try:
        # Over one row of nulls, because a comparison of text with numbers fails only when it is carried out.
        empty = pl.DataFrame(schema=frame.collect_schema()).clear(1)
        return empty.select(formula.expression.alias("value")).schema["value"]
    except pl.exceptions.PolarsError as error:
        raise _bad(
            ours,
            formula.text,
            origin,
            f"{_first_line(error)}; columns whose cells are numbers are read as numbers, and compared with numbers",
        ) from None


def near_names(name: str, names: Sequence[str]) -> list[str]:
    """List at most three of some names that look like one, the nearest first.

    >>> near_names("fodo", ["food", "housing"])
    ['food']
    """
    spelled = {plain(given): given for given in names}
    return [spelled[near] for near in difflib.get_close_matches(plain(name), spelled, 3, 0.5)]


def plain(name: str) -> str:
    """Give the form in which names are compared: no blanks around it, small letters."""
    return name.strip().lower()


def _fault(nodes: Any) -> str | None:
    """Say why an expression is not one of single rows, or would stop at a cell; None where it is fit."""
    for kind, content in _walk(nodes):
        if kind == "Alias":
            return "it gives a second name; put quotation marks around a name with blanks"
        if kind not in _NODES:
            return (
                "it looks at other rows (a sum, mean, count, rank or window), and a mapping works out one row at a time"
            )
        if kind == "Function":
            function = content["function"]
            head = function if isinstance(function, str) else next(iter(function))
            inner = None if isinstance(function, str) else function[head]
            if head not in _FUNCTIONS or (
                head == "Boolean" and isinstance(inner, dict) and {"Any", "All"} & set(inner)
            ):
                return f"it uses {head}, which is not among the functions of a single row"
        if kind == "Cast" and content["options"] == "Strict" and content["dtype"] != {"Literal": "Boolean"}:
            return "CAST stops at the first cell that it cannot turn; write TRY_CAST"
    return None


def _walk(node: Any) -> Iterator[tuple[str, Any]]:
    """List the nodes of an expression: each is its kind alone, or {kind: content}."""
    if isinstance(node, str):
        yield node, None
        return
    for kind, content in node.items():
        yield kind, content
        if kind == "BinaryExpr":
            children = [content["left"], content["right"]]
        elif kind == "Ternary":
            children = [content["predicate"], content["truthy"], content["falsy"]]
        elif kind == "Cast":
            children = [content["expr"]]
        elif kind == "Function":
            children = content["input"]
        else:
            children = []
        for child in children:
            yield from _walk(child)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:200]


def _bad(ours: str, text: str, origin: str, why: str) -> UsageError:
    return UsageError(
        "bad_expression",
        f"{origin}: {ours}={text} cannot be used: {why}. Write a column of the table, or an expression such as "
        "coalesce(exp(lnmed), 0).",
    )


def _unknown(name: str, names: Sequence[str], ours: str, text: str, place: str, origin: str) -> InputError:
    near = near_names(name, names)
    if near:
        hint = f"The nearest column present is {near[0]}."
    else:
        hint = f"Columns present: {', '.join(names[:20]) or 'none'}{', ...' if len(names) > 20 else ''}."
    where = "" if text == name else f" in {text}"
    return InputError("unknown_column", f"{place} has no column {name}, which {origin} gives for {ours}{where}. {hint}")
