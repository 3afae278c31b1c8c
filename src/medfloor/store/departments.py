"""Know the departments: which files each may send, what it may state, and in which words (`departments.toml`)."""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medfloor.errors import InputError, UsageError

KINDS = ("people", "households", "enrolments", "spells")
"""The kinds of files that are imported."""


@dataclass(frozen=True, slots=True)
class Department:
    """Be a department: the kinds of files it sends, the statuses and the facts of people that it may state."""

    name: str
    kinds: tuple[str, ...]
    groups: tuple[str, ...]
    facts: tuple[str, ...]

    def may_state(self, group: str) -> bool:
        """Say whether the department may state a status; `*` stands for every one.

        >>> department("civil_affairs").may_state("dibao"), department("civil_affairs").may_state("disabled")
        (True, False)
        """
        return group in self.groups or "*" in self.groups


def department(name: str, kind: str | None = None) -> Department:
    """Find a department by name. Raises UsageError: unknown_source, unknown_kind, not_its_kind.

    >>> department("disabled_federation", "spells").groups
    ('disabled',)
    """
    known = _table()["departments"]
    if name not in known:
        raise UsageError("unknown_source", f"there is no department {name!r}; there are {', '.join(known)}")
    found = Department(name, *(tuple(known[name][part]) for part in ("kinds", "groups", "facts")))
    if kind is not None and kind not in KINDS:
        raise UsageError("unknown_kind", f"there is no kind of file {kind!r}; there are {', '.join(KINDS)}")
    if kind is not None and kind not in found.kinds:
        raise UsageError("not_its_kind", f"{name} sends no {kind}; it sends {', '.join(found.kinds)}")
    return found


def departments() -> tuple[str, ...]:
    """List the departments."""
    return tuple(_table()["departments"])


@dataclass(frozen=True, slots=True)
class Understood:
    """Be the columns of a file: `given` maps our name to the position in the file, `names` the file's names in order.

    `ignored` are names that nothing was made of.
    """

    given: Mapping[str, int]
    names: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def pairs(self) -> dict[str, str]:
        """Give the file's name -> ours, for the columns that were understood."""
        return {self.names[place]: ours for ours, place in self.given.items()}


def understand(names: Iterable[str], kind: str) -> Understood:
    """Find out which columns a file of a kind has, in our names, the national platform's or the usual Chinese ones.

    Raises InputError: ambiguous_column (two columns of one meaning), missing_column (nobody is named in it).

    >>> understand(["序号", "姓名", "身份证号 ", "人员类别", "认定日期"], "spells").pairs
    {'姓名': 'name', '身份证号 ': 'identity_number', '人员类别': 'group', '认定日期': 'recognised_on'}
    """
    spellings = _spellings(kind)
    listed = tuple(names)
    given: dict[str, int] = {}
    ignored = []
    for place, name in enumerate(listed):
        ours = spellings.get(plain(name))
        if ours is None:
            ignored.append(name)
        elif ours in given:
            raise InputError(
                "ambiguous_column",
                f"the file has {ours} twice, as {listed[given[ours]]} and as {name}; keep one of them",
            )
        else:
            given[ours] = place
    asked = ("household_id",) if kind == "households" else ("identity_number", "person_id", "name")
    if not any(name in given for name in asked):
        raise InputError(
            "missing_column",
            f"no column of the file is understood as {' or '.join(asked)}; its columns are {', '.join(listed[:20])}",
        )
    return Understood(given, listed, tuple(ignored))


def word(kind: str, text: str) -> str | None:
    """Read one word of a code, or None: 男 of sex is male, 脱贫不稳定户 of group is monitored/unstable.

    >>> word("sex", " 男"), word("group", "农村低保"), word("group", "骑士")
    ('male', 'dibao', None)
    """
    return _words(kind).get(plain(text))


def in_law(group: str, detail: str | None) -> frozenset[str]:
    """Give the names under which policy files may ask for a status.

    >>> sorted(in_law("monitored", "edge"))
    ['monitored', 'monitored_edge']
    """
    name = _table()["in_law"].get(f"{group}/{detail}")
    return frozenset({group} if name is None else {group, name})


_BRACKETS = re.compile(r"[(（\[【].*?[)）\]】]")


@functools.lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Give a name as it is compared: half-width, small, without blanks and what stands in brackets."""
    folded = unicodedata.normalize("NFKC", text).replace("\ufeff", "")
    return re.sub(r"[\s*:]+", "", _BRACKETS.sub("", folded)).lower()


@functools.cache
def _table() -> dict[str, Any]:
    with (Path(__file__).parent / "departments.toml").open("rb") as file:
        return tomllib.load(file)


@functools.cache
def _spellings(kind: str) -> dict[str, str]:
    table = _table()
    columns = dict(table["columns"][kind])
    if kind != "households":
        columns = {**table["who"], **columns}
    return {plain(name): ours for ours, others in columns.items() for name in (ours, *others)}


@functools.cache
def _words(kind: str) -> dict[str, str]:
    return {plain(name): ours for ours, others in _table()["words"][kind].items() for name in (ours, *others)}
