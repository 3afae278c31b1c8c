"""Read which numbers of a policy may move, between which bounds, and move them without reading the law again."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from medfloor.errors import InputError
from medfloor.policy.load import PolicySet, read_yaml
from medfloor.policy.model import Case, Figure, Model, Policy, Unit, Words
from medfloor.policy.numbers import address_of, numbers_of

Way = Literal["value", "plus", "times"]
Steps = tuple[str | int, ...]
"""The way to a node of a policy: fields and places in lists."""

ROOTS = ("tiers", "pots", "ceilings")
"""Where the numbers stand that decide what a claim is paid."""

MOST_LEVERS = 30
"""So many numbers may move; beyond them a search of some thousand packages finds nothing."""


@dataclass(frozen=True, slots=True)
class Lever:
    """Be one thing that may move: the numbers at `paths`, together, from `low` to `high` in steps.

    By `way` a number becomes the lever's value, itself plus it, or itself times it, as `change` of a reform does.
    `unit` is that of the lever's value ("" for a factor). `source` says where the bounds come from.
    """

    id: str
    paths: tuple[str, ...]
    low: Decimal
    high: Decimal
    step: Decimal
    way: Way = "value"
    unit: str = ""
    name: Words | None = None
    source: str = ""

    @property
    def size(self) -> int:
        """Count the values that it can take."""
        return int((self.high - self.low) / self.step) + 1

    def value(self, place: int) -> Decimal:
        """Give the value at a place of the grid, 0 being the low end."""
        return self.low + place * self.step

    def title(self, lang: str) -> str:
        """Name it in a language."""
        return str(getattr(self.name, lang)) if self.name else self.id


@dataclass(frozen=True, slots=True)
class _Hold:
    """Be one number that a lever holds: which lever, which version of the policy, where it stands, what it is now."""

    lever: int
    version: int
    steps: Steps
    case: Case


@dataclass(frozen=True, slots=True, eq=False)
class Levers:
    """Be levers with the numbers that they hold in each version of a policy.

    A point is one place on the grid of each lever.
    """

    policies: PolicySet
    all: tuple[Lever, ...]
    holds: tuple[_Hold, ...]

    def __len__(self) -> int:
        """Count them."""
        return len(self.all)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Give how many values each can take."""
        return tuple(lever.size for lever in self.all)

    def values(self, point: Sequence[int]) -> tuple[Decimal, ...]:
        """Give the value of each lever at a point."""
        return tuple(lever.value(place) for lever, place in zip(self.all, point, strict=True))

    def policies_at(self, point: Sequence[int]) -> PolicySet:
        """Give the policy with the numbers moved, as the reform of this point would make it.

        Sources of numbers that moved are left as they are in memory; the reform that is written drops them.
        """
        values = self.values(point)
        versions = list(self.policies.versions)
        for hold in self.holds:
            lever = self.all[hold.lever]
            moved = _moved(hold.case, lever, values[hold.lever])
            versions[hold.version] = _replaced(versions[hold.version], hold.steps, moved)
        return replace(self.policies, versions=tuple(versions))

    def start(self) -> tuple[int, ...]:
        """Give the point that lies nearest to the policy as it is."""
        point = []
        for number, lever in enumerate(self.all):
            now = self._now(number)
            at = now[0] if now else lever.high
            place = round((at - lever.low) / lever.step)
            point.append(min(max(place, 0), lever.size - 1))
        return tuple(point)

    def nearest(self, policies: PolicySet) -> tuple[int, ...]:
        """Give the point that comes nearest to another law, such as one with a candidate reform laid over it.

        What the other law changes beside the levers is not seen; a lever whose numbers it does not have stays as it is.
        """
        point = list(self.start())
        for number, lever in enumerate(self.all):
            hold = next(one for one in self.holds if one.lever == number)
            here = self.policies.versions[hold.version]
            there = policies.versions[min(hold.version, len(policies.versions) - 1)]
            places = [steps for steps, _ in _cases(here, lever.paths[0])]
            cases = [case for _, case in _cases(there, lever.paths[0])]
            at = places.index(hold.steps) if hold.steps in places else 0
            value = _stands_at(lever, hold.case, cases[at]) if at < len(cases) else None
            if value is not None:
                point[number] = min(max(round((value - lever.low) / lever.step), 0), lever.size - 1)
        return tuple(point)

    def now(self, number: int) -> str:
        """Write what a lever stands at in the policy as it is: one value, or the least and greatest.

        A share of a published series is written with the series where the lever is of another unit.
        """
        found = sorted(set(self._now(number)))
        if not found:
            case = next(hold.case for hold in self.holds if hold.lever == number)
            if case.of is None or case.value is None:
                return "-"
            return f"{plain(case.value)} % {case.of.series}"
        return plain(found[0]) if len(found) == 1 else f"{plain(found[0])} – {plain(found[-1])}"

    def _now(self, number: int) -> list[Decimal]:
        lever = self.all[number]
        if lever.way != "value":
            return [Decimal(1 if lever.way == "times" else 0)]
        holds = [hold for hold in self.holds if hold.lever == number]
        return [
            hold.case.value
            for hold in holds
            if hold.case.value is not None and not hold.case.unlimited and hold.case.unit == lever.unit
        ]

    def touched(self, version: int) -> tuple[frozenset[str], frozenset[str], bool]:
        """Say which tiers and pots of a version hold a number that moves, and whether a ceiling does."""
        policy = self.policies.versions[version]
        tiers, pots, ceilings = set(), set(), False
        for hold in self.holds:
            if hold.version != version:
                continue
            root, place = hold.steps[0], int(hold.steps[1])
            if root == "tiers":
                tiers.add(policy.tiers[place].id)
            elif root == "pots":
                pots.add(policy.pots[place].id)
            else:
                ceilings = True
        return frozenset(tiers), frozenset(pots), ceilings

    def reform(self, point: Sequence[int], zh: str, en: str) -> str:
        """Write a point as a reform file, which `--reform` lays over the same policy."""
        lines = [
            "# Found by medfloor optimise; bounds and budget are those of its run.",
            "reform:",
            f"  name: {{zh: {_quoted(zh)}, en: {_quoted(en)}}}",
            "  trust: unverified",
            "change:",
        ]
        for number, (lever, value) in enumerate(zip(self.all, self.values(point), strict=True)):
            case = next(hold.case for hold in self.holds if hold.lever == number)
            lines += [f"  {path}: {_written(lever, value, case)}" for path in lever.paths]
        return "\n".join(lines) + "\n"


def read_levers(file: str | Path, policies: PolicySet) -> Levers:
    """Read a TOML or YAML file of levers and find the numbers that they name in a policy.

    The file has a list `vary`; each item `path` (or a list of paths), `low`, `high`, and optionally `step` (default 1),
    `as` (value, plus or times), `unit` (where the value is of another unit than the number), `id`, `name`, `source`.

    Raises InputError: no_levers, bad_levers, bad_bounds, no_such_parameter, same_parameter, mixed_units; PolicyError
    for YAML that cannot be read.
    """
    found = [_lever(one, str(file)) for one in _items(Path(file))]
    names = [one.id for one in found]
    if len(set(names)) < len(names):
        raise InputError("bad_levers", f"{file}: two items have the same id; give each its own")
    return levers_of(found, policies)


def levers_of(levers: Sequence[Lever], policies: PolicySet) -> Levers:
    """Find the numbers that levers name in a policy.

    Raises InputError: no_levers, bad_bounds, no_such_parameter, same_parameter, mixed_units.

    >>> from medfloor.policy.load import load_policy
    >>> path = "tiers/critical_illness/parts/year/deductible/amount"
    >>> lever = Lever("threshold", (path,), Decimal(5000), Decimal(40000), Decimal(500))
    >>> found = levers_of([lever], load_policy("cn/beijing@2024-01-01"))
    >>> found.now(0), [str(value) for value in found.values(found.start())]
    ('30404', ['30500'])
    """
    if not 1 <= len(levers) <= MOST_LEVERS:
        raise InputError("no_levers", f"{len(levers)} numbers may move; name from 1 to {MOST_LEVERS} under `vary`")
    holds: list[_Hold] = []
    whole: list[Lever] = []
    taken: dict[tuple[int, Steps], str] = {}
    for number, lever in enumerate(levers):
        _check_bounds(lever)
        mine = [hold for path in lever.paths for hold in _holds(number, path, policies)]
        for hold in mine:
            other = taken.setdefault((hold.version, hold.steps), lever.id)
            if other != lever.id or sum(one.steps == hold.steps and one.version == hold.version for one in mine) > 1:
                raise InputError("same_parameter", f"{other} and {lever.id} move the same number; name it once")
        whole.append(_united(lever, mine))
        _check_exact(whole[-1], mine)
        holds += mine
    return Levers(policies, tuple(whole), tuple(holds))


def plain(value: Decimal) -> str:
    """Write a number without an exponent and without idle zeros.

    >>> plain(Decimal("1E+4")), plain(Decimal("0.50"))
    ('10000', '0.5')
    """
    return format(value.normalize() + 0, "f")


class _Item(Model):
    """Be one item of the list `vary`."""

    path: str | list[str]
    low: Figure
    high: Figure
    step: Figure = Decimal(1)
    way: Way = Field("value", alias="as")
    unit: Unit | None = None
    id: str | None = None
    name: Words | None = None
    source: str | None = None


def _items(file: Path) -> list[_Item]:
    if file.suffix.lower() in (".yaml", ".yml"):
        raw: Any = read_yaml(file)
    else:
        try:
            raw = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(
                "bad_levers", f"{file} cannot be read as TOML: {error}; mend it, or end it .yaml"
            ) from None
    listed = raw.get("vary")
    if not isinstance(listed, list) or set(raw) - {"vary"}:
        raise InputError("bad_levers", f"{file} needs one list `vary`, each item with path, low and high")
    try:
        return [_Item.model_validate(one) for one in listed]
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(str(one) for one in first["loc"])
        raise InputError(
            "bad_levers",
            f"{file}: vary/{where}: {first['msg']}; an item has path, low, high, and step, as, unit, id, name, source",
        ) from None


def _lever(item: _Item, file: str) -> Lever:
    paths = [item.path] if isinstance(item.path, str) else item.path
    if not paths:
        raise InputError("bad_levers", f"{file}: an item names no path")
    clean = tuple(path.strip("/") for path in paths)
    return Lever(
        item.id or clean[0], clean, item.low, item.high, item.step, item.way, item.unit or "", item.name,
        item.source or "",
    )  # fmt: skip


def _check_bounds(lever: Lever) -> None:
    if not lever.low.is_finite() or not lever.high.is_finite() or lever.low >= lever.high or lever.step <= 0:
        raise InputError(
            "bad_bounds", f"{lever.id}: from {lever.low} to {lever.high} by {lever.step}: low must lie below high"
        )
    if (lever.high - lever.low) % lever.step:
        raise InputError(
            "bad_bounds",
            f"{lever.id}: {plain(lever.high)} is not reached from {plain(lever.low)} in steps of {plain(lever.step)}",
        )
    if lever.way == "times" and lever.low < 0:
        raise InputError("bad_bounds", f"{lever.id}: a factor is not below zero")


def _check_exact(lever: Lever, holds: Sequence[_Hold]) -> None:
    """Refuse values that no law can carry: finer than a fen, or than a basis point."""
    for hold in holds:
        if hold.case.of is not None and not (lever.way == "value" and lever.unit != hold.case.unit):
            continue
        for value in (lever.low, lever.low + lever.step):
            moved = _moved(hold.case, lever, value).value
            assert moved is not None
            if moved * 100 % 1 and (lever.unit or hold.case.unit) in ("yuan", "dollar", "percent", "points"):
                raise InputError(
                    "bad_bounds", f"{lever.id}: {plain(moved)} is finer than a fen or a hundredth of a per cent"
                )


def _united(lever: Lever, holds: Sequence[_Hold]) -> Lever:
    """Give a lever the unit of its numbers, which must be one."""
    shapes = {(hold.case.unit, hold.case.of if lever.way == "value" else None) for hold in holds}
    if lever.way == "times":
        return lever
    if lever.way == "value" and lever.unit:
        return lever
    if len(shapes) > 1:
        raise InputError(
            "mixed_units",
            f"{lever.id}: its numbers are of several units ({', '.join(sorted({unit for unit, _ in shapes}))}) or "
            "shares of several series; name those of one kind, or give `unit`",
        )
    return replace(lever, unit=holds[0].case.unit)


def _holds(number: int, path: str, policies: PolicySet) -> list[_Hold]:
    """Find the numbers at a path, in each version that has it."""
    found = [
        _Hold(number, place, steps, case)
        for place, version in enumerate(policies.versions)
        for steps, case in _cases(version, path)
    ]
    if not found:
        raise _unknown(path, policies)
    return found


def _cases(policy: Policy, path: str) -> Iterator[tuple[Steps, Case]]:
    names = path.split("/")
    if names[0] not in ROOTS:
        return
    node: Any = policy
    steps: Steps = ()
    for name in names:
        if isinstance(node, Case):
            if name != "0":
                return
        elif isinstance(node, BaseModel):
            field = next((key for key, info in type(node).model_fields.items() if (info.alias or key) == name), None)
            if field is None:
                return
            node, steps = getattr(node, field), (*steps, field)
        elif isinstance(node, list):
            at = next((i for i, one in enumerate(node) if getattr(one, "id", None) == name or name == str(i)), None)
            if at is None:
                return
            node, steps = node[at], (*steps, at)
        else:
            return
    if isinstance(node, Case):
        yield steps, node
    elif isinstance(node, list):
        for at, one in enumerate(node):
            if isinstance(one, Case):
                yield (*steps, at), one


def _unknown(path: str, policies: PolicySet) -> InputError:
    known = {
        address_of(one)
        for version in policies.versions
        for number in numbers_of(version)
        for one in (number.path, number.param)
        if number.path[0] in ROOTS
    }
    near = difflib.get_close_matches(path, sorted(known), 1, 0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    return InputError(
        "no_such_parameter",
        f"{path} is no number of {policies.address} that decides a payment; {hint}"
        "`medfloor policy show NAME --names` prints every path; those below tiers, pots and ceilings can move",
    )


def _moved(case: Case, lever: Lever, value: Decimal) -> Case:
    """Give a number as a lever moves it."""
    kept: dict[str, Any] = {"column": None, "unlimited": False}
    if lever.way == "value":
        unit = lever.unit or case.unit
        return case.model_copy(
            update={**kept, "value": value, "unit": unit, "of": case.of if unit == case.unit else None}
        )
    if case.value is None:
        raise InputError(
            "no_such_parameter", f"{lever.id}: there is no value to add to or to multiply; use `as: value`"
        )
    moved = case.value + value if lever.way == "plus" else case.value * value
    return case.model_copy(update={**kept, "value": moved})


def _stands_at(lever: Lever, now: Case, other: Case) -> Decimal | None:
    """Give the value of a lever that turns a number into another, or None where none does."""
    if other.value is None or other.unlimited:
        return None
    if lever.way == "value":
        return other.value if other.unit == (lever.unit or now.unit) else None
    if now.value is None or other.unit != now.unit or other.of != now.of:
        return None
    if lever.way == "plus":
        return other.value - now.value
    return other.value / now.value if now.value else None


def _replaced(node: Any, steps: Steps, case: Case) -> Any:
    """Give a copy of a policy with another number at one place; all else is shared."""
    if not steps:
        return case
    head, rest = steps[0], steps[1:]
    if isinstance(head, int):
        return [*node[:head], _replaced(node[head], rest, case), *node[head + 1 :]]
    return node.model_copy(update={head: _replaced(getattr(node, head), rest, case)})


def _written(lever: Lever, value: Decimal, case: Case) -> str:
    if lever.way != "value":
        return f"{{{lever.way}: {plain(value)}}}"
    if lever.unit != case.unit:
        return f"{{value: {plain(value)}, unit: {lever.unit}}}"
    if case.of is not None:
        return f"{{value: {plain(value)}, of: {{series: {case.of.series}, lag: {case.of.lag}}}}}"
    return plain(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
