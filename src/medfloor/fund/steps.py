"""Decide next year's benefits by a published table of steps: bounded, one step a year, fast down and slow up.

The first row of the table that holds decides. A step moves one benefit, never under its floor, which is the law's; the
poor keep what they have when others are cut.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medfloor.errors import InputError
from medfloor.fund.floors import Floor, read_floor
from medfloor.fund.series import TRUSTS
from medfloor.sparing import ready
from medfloor.words import LANGS, Phrase, join

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FILE = Path(__file__).parent / "steps.toml"
SIZES = ("alarm", "down", "up")
MOVES = ("ratio", "critical", "extra")
_DOWN = ("months_below", "margin_below", "trend_below", "probability_at_least")
_UP = ("months_at_least", "margin_at_least", "trend_at_least", "probability_below")
_TABLE = {
    "schema", "id", "name", "source", "trust", "line", "horizon", "scatter", "trend_years", "wait", "order_down",
    "order_up", "row", "benefit",
}  # fmt: skip
_BENEFIT = {
    "id", "moves", "better", "unit", "start", "start_source", "start_trust", "bound", "steps", "effect", "floor",
    "list",
}  # fmt: skip
_ENTRY = {"id", "name", "cost"}


@dataclass(frozen=True, slots=True)
class Row:
    """Be a row: its id, which step it asks for, and the groups of conditions of which one must hold whole."""

    id: str
    step: str
    when: tuple[tuple[tuple[str, float], ...], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """Be one place of a ranked list: its id, its names, and what it costs in per cent of basic benefits."""

    id: str
    names: Mapping[str, str]
    cost: float


@dataclass(frozen=True, slots=True)
class Benefit:
    """Be a benefit that is adjusted: where it starts, its steps, how kind it may become, and the floor under it.

    `sense` is 1 where higher is better for the insured and -1 where lower is (a deductible). `effect` is the exponent
    of payments in the deductible, or the cost of one disease in per cent of basic benefits. With a `ranked` list, the
    value says how many of it are in, from its head: a step takes in the next, or lets the last one go.
    """

    id: str
    moves: str
    sense: int
    unit: str
    start: float
    start_source: str
    start_trust: str
    bound: float
    steps: Mapping[str, float]
    effect: float
    floor: Floor
    ranked: tuple[Entry, ...] = ()

    def listed(self, value: float) -> tuple[str, ...]:
        """Give the ids that are in at a value.

        >>> shipped_steps().benefits[2].listed(2)
        ('hypertension', 'diabetes')
        """
        return tuple(one.id for one in self.ranked[: round(value)])

    def costs(self, value: Array) -> Array:
        """Give what a value costs beyond the start, in per cent of basic benefits (kinds that move `extra`)."""
        if not self.ranked:
            return (value - self.start) * self.effect
        whole = np.concatenate([[0.0], np.cumsum([one.cost for one in self.ranked])])
        found: Array = whole[np.rint(value).astype(np.int64)] - whole[round(self.start)]
        return found


@dataclass(frozen=True, slots=True)
class Steps:
    """Be a published table of steps."""

    id: str
    names: Mapping[str, str]
    source: str
    trust: str
    line: float
    horizon: float
    scatter: float
    trend_years: int
    wait: int
    order_down: tuple[int, ...]
    order_up: tuple[int, ...]
    rows: tuple[Row, ...]
    benefits: tuple[Benefit, ...]

    def with_start(self, given: Mapping[str, float]) -> Steps:
        """Give the same table from where a place stands: benefit -> its value now.

        Raises InputError bad_step_table for a name that the table lacks, or a value that it cannot start from.
        """
        known = {one.id: one for one in self.benefits}
        for name, value in given.items():
            if name not in known:
                raise InputError(
                    "bad_step_table", f"start {name}={value:g}: the table has no {name}; use {', '.join(sorted(known))}"
                )
            _check_start(known[name], value)
        moved = tuple(
            replace(one, start=float(given[one.id]), start_source="yours", start_trust="yours")
            if one.id in given
            else one
            for one in self.benefits
        )
        return replace(self, benefits=moved)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Be what a decision sees at the end of a year, path by path; NaN is unknown and holds for no condition.

    Months of payment; margin is the year's balance in per cent of income; trend is months a year over the last years.
    """

    months: Array
    margin: Array
    trend: Array

    def probability(self, table: Steps) -> Array:
        """Give the probability of being below the table's line after its horizon; an unknown trend is taken as none."""
        ndtr = ready("scipy.special").ndtr

        ahead = self.months + table.horizon * np.nan_to_num(self.trend)
        found: Array = ndtr((table.line - ahead) / (table.scatter * math.sqrt(table.horizon)))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Be the benefits in force: `values` of the ordinary and `poor` of the assisted (benefits, paths), years waited."""

    values: Array
    poor: Array
    waited: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Be what was decided on each path: `row` of the table (-1 none holds), `benefit` that moves (-1 none)."""

    row: Ints
    benefit: Ints
    before: State
    after: State


def shipped_steps() -> Steps:
    """Give the table that comes with medfloor; its thresholds are ours, its floors the law's.

    >>> [(one.id, one.start, one.floor.value) for one in shipped_steps().benefits]
    [('ratio', 72.4, 70.0), ('deductible', 50.0, 50.0), ('diseases', 10.0, 5.0)]
    """
    return read_steps(_FILE.read_text(encoding="utf-8"), where=_FILE.name)


def read_steps(text: str, *, where: str = "the table") -> Steps:
    """Read a table of steps (TOML) and check that it is bounded, ordered and never under the floors of law.

    Raises InputError bad_step_table, which names the place; under_floor for a floor that is harder than the law's.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("bad_step_table", f"{where} is not TOML: {error}") from None
    _fields(data, _TABLE, _TABLE, where)
    if data["schema"] != 1:
        raise InputError("bad_step_table", f"{where}: schema {data['schema']!r} is not known; write schema = 1")
    if data["trust"] not in TRUSTS:
        raise InputError("bad_step_table", f"{where}: trust {data['trust']!r} is none of {', '.join(TRUSTS)}")
    if not isinstance(data["name"], Mapping) or not {"zh", "en"} <= set(data["name"]):
        raise InputError("bad_step_table", f"{where}: name needs zh and en")
    numbers = {one: _number(data[one], f"{where}: {one}") for one in ("line", "horizon", "scatter")}
    if numbers["horizon"] <= 0 or numbers["scatter"] <= 0 or numbers["line"] < 0:
        raise InputError("bad_step_table", f"{where}: horizon and scatter must be above 0, and line at least 0")
    counts = {one: data[one] for one in ("trend_years", "wait")}
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 10:
            raise InputError("bad_step_table", f"{where}: {name} = {count!r}; write a whole number from 1 to 10")
    benefits = tuple(
        _benefit(one, f"{where}: benefit {place}") for place, one in enumerate(_tables(data, "benefit"), 1)
    )
    ids = [one.id for one in benefits]
    if len(set(ids)) < len(ids) or len({one.moves for one in benefits}) < len(benefits):
        raise InputError("bad_step_table", f"{where}: two benefits have the same id, or move the same")
    rows = _rows(_tables(data, "row"), where)
    down, up = (_order(data[one], ids, f"{where}: {one}") for one in ("order_down", "order_up"))
    return Steps(
        str(data["id"]), dict(data["name"]), str(data["source"]), data["trust"], numbers["line"], numbers["horizon"],
        numbers["scatter"], counts["trend_years"], counts["wait"], down, up, rows, benefits,
    )  # fmt: skip


def begin(table: Steps, paths: int) -> State:
    """Give the benefits at the start, the same on all paths."""
    values = np.repeat(np.array([[one.start] for one in table.benefits]), paths, axis=1)
    return State(values, values.copy(), np.zeros(paths, np.int64))


def step(table: Steps, state: State, seen: Seen) -> Step:
    """Decide all paths: which row holds, which benefit moves, and what is in force after.

    A row that asks for a cut finds the first benefit of `order_down` with room above its floor; the poor keep theirs. A
    row that asks for more acts only in the last of `wait` years in a row, and then for everybody.

    >>> table = shipped_steps()
    >>> low = Seen(np.array([2.0]), np.array([-9.0]), np.array([-1.0]))
    >>> done = step(table, begin(table, 1), low)
    >>> table.rows[done.row[0]].id, done.after.values[:, 0].tolist(), done.after.poor[:, 0].tolist()
    ('alarm', [72.4, 50.0, 8.0], [72.4, 50.0, 10.0])
    """
    row = _matched(table, seen)
    sizes = np.array([SIZES.index(one.step) for one in table.rows] + [-1])[row]
    asks = sizes == SIZES.index("up")
    waited = np.where(asks, state.waited + 1, 0)
    acts = waited >= table.wait
    values, poor = state.values.copy(), state.poor.copy()
    moved = np.full(row.shape, -1, np.int64)
    for up, order, turn in ((False, table.order_down, (sizes >= 0) & ~asks), (True, table.order_up, asks & acts)):
        for place in order:
            one = table.benefits[place]
            size = np.array([one.steps[name] for name in SIZES])[sizes]
            towards = one.sense * (1 if up else -1)
            end = one.bound if up else one.floor.value
            room = towards * (end - state.values[place])
            chosen = turn & (moved < 0) & (room > 1e-9)
            values[place] = np.where(chosen, state.values[place] + towards * np.minimum(size, room), values[place])
            moved = np.where(chosen, place, moved)
    for place, one in enumerate(table.benefits):
        # Whoever is poor keeps the kindest benefit that was ever in force.
        poor[place] = one.sense * np.maximum(one.sense * state.poor[place], one.sense * values[place])
    after = State(values, poor, np.where(acts, 0, waited).astype(np.int64))
    return Step(row, moved, state, after)


def reasons(table: Steps, done: Step, seen: Seen, path: int = 0) -> list[Phrase]:
    """Say why one path was decided as it was: what holds of the row, what moves from where to where, who is spared."""
    told = []
    row = int(done.row[path])
    probability = float(seen.probability(table)[path])
    held = {"months": seen.months, "margin": seen.margin, "trend": seen.trend}
    now = {name: float(value[path]) for name, value in held.items()} | {"probability": probability}
    if row < 0:
        return [_say_now(now), Phrase("fund_adjust.no_row")]
    one = table.rows[row]
    told = [_say_now(now), Phrase.of("fund_adjust.row_holds", row=Phrase(f"fund_adjust.row_{one.step}"), id=one.id)]
    for group in one.when:
        if all(_holds(name, value, now) for name, value in group):
            for name, value in group:
                shown = f"{100 * value:.0f}" if name.startswith("probability") else f"{value:g}"
                told.append(Phrase.of(f"fund_adjust.because_{name}", value=shown))
    place = int(done.benefit[path])
    if place < 0:
        waits = one.step == "up" and int(done.after.waited[path]) > 0
        key = "waits" if waits else "at_bound" if one.step == "up" else "at_floor"
        said = {"years": int(done.after.waited[path]), "wait": table.wait} if waits else {}
        return [*told, Phrase.of(f"fund_adjust.{key}", **said)]
    benefit = table.benefits[place]
    before, after = (float(one.values[place, path]) for one in (done.before, done.after))
    told.append(
        Phrase.of(
            "fund_adjust.moves", benefit=benefit_name(benefit.id), before=f"{before:g}", after=f"{after:g}",
            floor=f"{benefit.floor.value:g}",
        )
    )  # fmt: skip
    if benefit.ranked:
        names = [one for one in benefit.ranked if one.id in set(benefit.listed(before)) ^ set(benefit.listed(after))]
        told.append(Phrase.of(f"fund_adjust.list_{'grows' if one.step == 'up' else 'shrinks'}", names=named(names)))
    if one.step != "up":
        told.append(Phrase.of("fund_adjust.poor_spared", value=f"{float(done.after.poor[place, path]):g}"))
    return told


def benefit_name(name: str) -> Phrase | str:
    """Name a benefit; one that is not shipped keeps its id."""
    return Phrase(f"fund_adjust.{name}") if name in ("ratio", "deductible", "diseases") else name


@dataclass(frozen=True, slots=True)
class _Words(Phrase):
    """Be words that the user's file has in both languages, where a phrase may stand."""

    def say(self, lang: str) -> str:
        """Say them in a language."""
        return str(dict(self.values)[lang])


def named(entries: Sequence[Entry]) -> Phrase:
    """Name entries of a list in both languages.

    >>> named(shipped_steps().benefits[2].ranked[:2]).say("en")
    'hypertension, diabetes'
    """
    return _Words("", tuple((lang, join([one.names[lang] for one in entries], lang) or "-") for lang in LANGS))


def _say_now(now: Mapping[str, float]) -> Phrase:
    shown = {name: "-" if math.isnan(value) else f"{value:.1f}" for name, value in now.items() if name != "probability"}
    return Phrase.of("fund_adjust.now", **shown, probability=f"{now['probability']:.0%}")


def _matched(table: Steps, seen: Seen) -> Ints:
    """Find the first row that holds on each path, or -1."""
    now = {"months": seen.months, "margin": seen.margin, "trend": seen.trend, "probability": seen.probability(table)}
    found = np.full(seen.months.shape, -1, np.int64)
    for place in range(len(table.rows) - 1, -1, -1):
        holds = np.zeros(seen.months.shape, bool)
        for group in table.rows[place].when:
            holds |= np.logical_and.reduce([_holds(name, value, now) for name, value in group])
        found = np.where(holds, place, found)
    return found


def _holds(name: str, value: float, now: Mapping[str, Any]) -> Any:
    what, _, how = name.partition("_")
    return now[what] < value if how == "below" else now[what] >= value


def _tables(data: Mapping[str, Any], name: str) -> list[Any]:
    found = data[name]
    if not isinstance(found, list) or not found:
        raise InputError("bad_step_table", f"[[{name}]]: write at least one")
    return found


def _rows(given: list[Any], where: str) -> tuple[Row, ...]:
    """Read the rows: from the hardest step to the kindest, each with conditions of its own direction only.

    So more months of payment can only switch harder rows off and kinder ones on: the table is monotone.
    """
    found = []
    for place, one in enumerate(given, 1):
        at = f"{where}: row {place}"
        _fields(one, {"id", "step", "when"}, {"id", "step", "when"}, at)
        if one["step"] not in SIZES:
            raise InputError("bad_step_table", f"{at}: step {one['step']!r} is none of {', '.join(SIZES)}")
        allowed = _UP if one["step"] == "up" else _DOWN
        if not isinstance(one["when"], list) or not one["when"] or not all(
            isinstance(group, Mapping) and group for group in one["when"]
        ):  # fmt: skip
            raise InputError("bad_step_table", f"{at}: when is a list of groups such as {{ months_below = 6 }}")
        groups = []
        for group in one["when"]:
            _fields(group, set(allowed), set(), f"{at}, when")
            groups.append(tuple((name, _number(value, f"{at}: {name}")) for name, value in group.items()))
        found.append(Row(str(one["id"]), one["step"], tuple(groups)))
    sizes = [SIZES.index(one.step) for one in found]
    if sizes != sorted(sizes):
        raise InputError("bad_step_table", f"{where}: order the rows alarm, down, up; more money must never mean less")
    return tuple(found)


def _benefit(given: Any, where: str) -> Benefit:
    _fields(given, _BENEFIT, _BENEFIT - {"effect", "list"}, where)
    if given["moves"] not in MOVES or given["better"] not in ("higher", "lower"):
        raise InputError("bad_step_table", f"{where}: moves is one of {', '.join(MOVES)}, better is higher or lower")
    if (given["moves"] == "critical") != (given["better"] == "lower"):
        raise InputError(
            "bad_step_table", f"{where}: critical moves by a deductible (better = lower), the others do not"
        )
    if given["start_trust"] not in TRUSTS:
        raise InputError(
            "bad_step_table", f"{where}: start_trust {given['start_trust']!r} is none of {', '.join(TRUSTS)}"
        )
    _fields(given["steps"], set(SIZES), set(SIZES), f"{where}: steps")
    steps = {name: _number(given["steps"][name], f"{where}: steps.{name}") for name in SIZES}
    numbers = {name: _number(given.get(name, 1.0), f"{where}: {name}") for name in ("start", "bound", "effect")}
    one = Benefit(
        str(given["id"]), given["moves"], 1 if given["better"] == "higher" else -1, str(given["unit"]),
        numbers["start"], str(given["start_source"]), given["start_trust"], numbers["bound"], steps, numbers["effect"],
        read_floor(given["floor"], given["moves"], where), _ranked(given, numbers["effect"], where),
    )  # fmt: skip
    _check_numbers(one, where)
    return one


def _ranked(given: Mapping[str, Any], effect: float, where: str) -> tuple[Entry, ...]:
    """Read the ranked list of a benefit: the first is let go last."""
    if "list" not in given:
        return ()
    if given["moves"] != "extra":
        raise InputError("bad_step_table", f"{where}: only a benefit that moves extra has a list")
    found: list[Entry] = []
    for place, one in enumerate(_tables(given, "list"), 1):
        at = f"{where}: list, entry {place}"
        _fields(one, _ENTRY, _ENTRY - {"cost"}, at)
        names = one["name"]
        if not isinstance(names, Mapping) or not {"zh", "en"} <= set(names):
            raise InputError("bad_step_table", f"{at}: name needs zh and en")
        cost = _number(one.get("cost", effect), f"{at}: cost")
        if cost < 0:
            raise InputError(
                "bad_step_table", f"{at}: cost = {cost:g} is below 0; write what it costs, or leave it out"
            )
        found.append(Entry(str(one["id"]), {lang: str(names[lang]) for lang in ("zh", "en")}, cost))
    if len({one.id for one in found}) < len(found):
        raise InputError("bad_step_table", f"{where}: list names a disease twice; each stands once")
    return tuple(found)


def _check_start(one: Benefit, value: float) -> None:
    """Refuse where a place cannot stand: under 0, or kinder than the table may ever be."""
    if not math.isfinite(value) or value < 0 or (one.moves != "extra" and value == 0):
        raise InputError(
            "bad_step_table",
            f"start {one.id}={value:g} is impossible; give a number {'from' if one.moves == 'extra' else 'above'} 0",
        )
    if one.sense * (one.bound - value) < 0:
        side = "at most" if one.sense > 0 else "at least"
        raise InputError(
            "bad_step_table",
            f"start {one.id}={value:g} is kinder than the kindest of the table, {one.bound:g} ({one.unit}); give "
            f"{side} {one.bound:g}, or a table of yours with another bound (--print-rules, --rules FILE)",
        )
    if one.ranked and value != int(value):
        raise InputError(
            "bad_step_table",
            f"start {one.id}={value:g}: it says how many of the list's {len(one.ranked)} are in; give a whole number",
        )


def _check_numbers(one: Benefit, where: str) -> None:
    if one.ranked and (
        one.bound > len(one.ranked)
        or any(value != int(value) for value in (one.start, one.bound, one.floor.value, *one.steps.values()))
    ):
        raise InputError(
            "bad_step_table",
            f"{where}: {one.id}: start, bound, floor, steps count the list: whole numbers, at most {len(one.ranked)}",
        )
    if not one.steps["alarm"] >= one.steps["down"] >= one.steps["up"] > 0:
        raise InputError("bad_step_table", f"{where}: {one.id}: steps fall from alarm over down to up, all above 0")
    if one.sense * (one.bound - one.floor.value) < 0 or one.sense * (one.bound - one.start) < 0:
        raise InputError(
            "bad_step_table", f"{where}: {one.id}: bound {one.bound:g} is harder than the start or the floor"
        )
    if min(one.start, one.bound, one.effect) < 0 or (one.moves != "extra" and one.start == 0):
        raise InputError(
            "bad_step_table", f"{where}: {one.id}: start, bound and effect cannot be below 0, nor start be 0"
        )
    if one.moves == "critical" and one.bound <= 0:
        raise InputError(
            "bad_step_table", f"{where}: {one.id}: a deductible of 0 is out of the model; write a bound above 0"
        )


def _order(given: Any, ids: list[str], where: str) -> tuple[int, ...]:
    if not isinstance(given, list) or sorted(map(str, given)) != sorted(ids):
        raise InputError("bad_step_table", f"{where} must name each of {', '.join(ids)} once")
    return tuple(ids.index(one) for one in given)


def _fields(given: Any, allowed: set[str], needed: set[str], where: str) -> None:
    if not isinstance(given, Mapping):
        raise InputError("bad_step_table", f"{where} must be a table, not {given!r}")
    if extra := sorted(set(given) - allowed):
        raise InputError("bad_step_table", f"{where}: {extra[0]} is not known; use {', '.join(sorted(allowed))}")
    if missing := sorted(needed - set(given)):
        raise InputError("bad_step_table", f"{where} lacks {', '.join(missing)}")


def _number(given: Any, where: str) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given):
        raise InputError("bad_step_table", f"{where} = {given!r} is no number")
    return float(given)
