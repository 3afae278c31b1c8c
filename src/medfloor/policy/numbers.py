"""Walk through a policy: every number of law with its path, and every value that a reform may change.

A path is made of the keys and ids of the file, as in `tiers/basic/parts/stay_adult/deductible/amount/2`; an index
stands where an item has no id, and none where a parameter has one case only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from medfloor.policy.model import Case, Policy, Series, SeriesValue, Source, Sourced, Trust, When
from medfloor.policy.quotations import retold

Names = tuple[str | int, ...]

WORDS_NOT_LAW = frozenset(
    {"name", "note", "source", "article", "quote", "trust", "from", "to", "id", "schema", "extends"}
)
"""Keys that describe a value and are none themselves."""


@dataclass(frozen=True)
class Number:
    """Be a number of law with its place in the file.

    `param` is the path of the parameter whose case this is; `around` are the holders that it stands in, nearest first.
    """

    path: Names
    param: Names
    case: Case
    around: tuple[Sourced, ...] = ()

    @property
    def address(self) -> str:
        """Give the path as a reform writes it."""
        return address_of(self.path)


@dataclass(frozen=True)
class Ground:
    """Be what a number rests on: document, article, words and trust.

    `retold` says that the words are an English retelling of a Chinese document.
    """

    key: str | None
    source: Source | None
    article: str | None
    quote: str | None
    trust: Trust
    retold: bool = False


@dataclass(frozen=True)
class Leaf:
    """Be a value that a reform may change: a number of law, or a switch such as `origin`."""

    path: Names
    value: Any
    number: Number | None = None

    @property
    def address(self) -> str:
        """Give the path as a reform writes it."""
        return address_of(self.path)


def numbers_of(policy: Policy) -> list[Number]:
    """List every number of law in the order of the file, values of series included.

    >>> from medfloor.policy.load import load_policy
    >>> policy = load_policy("cn/beijing@2018-01-01").versions[0]
    >>> numbers_of(policy)[0].address, str(numbers_of(policy)[0].case.value)
    ('tiers/basic/parts/outpatient_primary/deductible/amount', '100')
    """
    return [leaf.number for leaf in _walk(policy, (), (), whole=True) if leaf.number is not None]


def leaves_of(policy: Policy) -> list[Leaf]:
    """List every value that was written in the file, so that a reform may change it by its path."""
    return list(_walk(policy, (), (), whole=False))


def ground_of(policy: Policy, number: Number) -> Ground:
    """Say what a number rests on: its own source, else that of the nearest holder.

    A number with a trust mark of its own and no source (as a reform sets it) rests on nothing else.
    """
    return _ground(policy, number.case, () if number.case.trust else number.around)


def ground_of_holder(policy: Policy, item: Sourced) -> Ground:
    """Say what a part, tier or rule rests on."""
    return _ground(policy, item, ())


def address_of(path: Names) -> str:
    """Write a path as a reform does.

    >>> address_of(("pots", "inpatient", "cap", 0))
    'pots/inpatient/cap/0'
    """
    return "/".join(str(name) for name in path)


def conditions_of(item: Any) -> Iterator[When]:
    """List every condition inside an item."""
    if isinstance(item, When):
        yield item
    elif isinstance(item, BaseModel):
        for name in type(item).model_fields:
            yield from conditions_of(getattr(item, name))
    elif isinstance(item, (list, tuple)):
        for one in item:
            yield from conditions_of(one)


def sourced_in(item: Any) -> Iterator[Sourced]:
    """List everything inside an item that carries a source, itself included."""
    if isinstance(item, Sourced):
        yield item
    if isinstance(item, BaseModel):
        for name in type(item).model_fields:
            yield from sourced_in(getattr(item, name))
    elif isinstance(item, (list, tuple)):
        for one in item:
            yield from sourced_in(one)


def _ground(policy: Policy, item: Sourced, around: tuple[Sourced, ...]) -> Ground:
    holder = next((one for one in (item, *around) if one.source), item)
    source = policy.source_of(holder)
    trust: Trust = item.trust or holder.trust or (source.trust if source else "unverified")
    quote = item.quote or holder.quote
    return Ground(
        holder.source, source, item.article or holder.article, quote, trust, retold(quote, policy.currency)
    )  # fmt: skip


def _walk(node: Any, path: Names, around: tuple[Sourced, ...], whole: bool) -> Iterator[Leaf]:
    """Give the leaves below a node; with `whole` also what the file does not write (defaults)."""
    if isinstance(node, Case):
        yield Leaf(path, node.value, Number(path, path, node, around))
    elif isinstance(node, SeriesValue):
        case = Case(**{name: getattr(node, name) for name in Sourced.model_fields}, value=node.value, unit=node.unit)
        yield Leaf((*path, "value"), node.value, Number((*path, "value"), path, case, around))
    elif isinstance(node, BaseModel):
        inner = (node, *around) if isinstance(node, Sourced) else around
        for name, info in type(node).model_fields.items():
            key = info.alias or name
            if key in WORDS_NOT_LAW or key in ("sources", "left_open") or not (whole or name in node.model_fields_set):
                continue
            yield from _walk(getattr(node, name), (*path, key), inner, whole)
    elif isinstance(node, list) and any(isinstance(item, BaseModel) for item in node):
        yield from _walk_list(node, path, around, whole)
    elif node is not None and not isinstance(node, dict):
        yield Leaf(path, node)


def _walk_list(node: list[Any], path: Names, around: tuple[Sourced, ...], whole: bool) -> Iterator[Leaf]:
    if len(node) == 1 and isinstance(node[0], Case):
        yield Leaf(path, node[0].value, Number(path, path, node[0], around))
        return
    for index, item in enumerate(node):
        place = (*path, getattr(item, "id", None) or index)
        if isinstance(item, Case):
            yield Leaf(place, item.value, Number(place, path, item, around))
        else:
            yield from _walk(item, place, around, whole)


def series_of(policy: Policy, name: str) -> Series | None:
    """Find a published series by its id."""
    return next((series for series in policy.series if series.id == name), None)
