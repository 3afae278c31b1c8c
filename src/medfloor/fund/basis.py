"""Put together what a projection starts from: people, members, cells, standards, parameters, reserve; each with source.

`national` fits the published series; `place_from` reads a place of the user's; `county` counts a population, under a
policy or from its settlements.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from medfloor.errors import InputError, UsageError
from medfloor.fund.cohorts import AGES, SHAPE, carry, read_people_by_year, spread
from medfloor.fund.income import CLASS_STARTS, above_standard
from medfloor.fund.offer import with_offer
from medfloor.fund.outgo import FUNDS, KINDS, Cells, shaped
from medfloor.fund.parameters import Parameters, parameters_of, shipped_parameters
from medfloor.fund.series import Book, Growth, Series, book_of, changes, growth, shipped_series
from medfloor.synthetic import shipped_place
from medfloor.words import Phrase

if TYPE_CHECKING:
    from medfloor.measures.sample import Table

Array = npt.NDArray[np.float64]

FIRST, LAST = 2020, 2025
"""The years that national growth is fitted to unless told otherwise: 2019 was not published."""

CENSUS, _CENSUS_PEOPLE = 2020, 1_411_778_724
"""The seventh census, of 1 November 2020 (copy: techbow.cn/a/guonaxinwen/2021/0518/163870.html)."""

_PERSONS, _MONEY = 1e4, 1e8
"""Units of the published series: 10,000 persons, 100 million yuan."""

_FITTED = {
    "growth.inpatient_use": ("shock.use", "use"),
    "growth.inpatient_cost": ("shock.cost", "cost"),
    "growth.outpatient": ("shock.outpatient", "outpatient"),
    "growth.chronic": ("shock.chronic", "chronic"),
    "insured.participation": ("shock.participation", "participation"),
}
NEEDED = (
    "insured", "income", "spending", "cumulative", "admissions", "inpatient_cost", "outpatient_cost", "chronic_cost",
    "assistance", "assisted",
)  # fmt: skip
"""Series that a base is read from: every year that is fitted must be there."""

_MAY_BE_ZERO = ("cumulative", "assistance", "assisted")
_WIDE = 1.645
"""Sensitivity moves a fitted growth by so many standard errors: nine paths of ten."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Be what a projection starts from at the end of `year`.

    `people` are those living there (ages, sexes, residences), or (years + 1, ...) where the user gave a table; `share`
    is the part of each cell that is insured, `assisted` the part of the members whose status is poor (one of both per
    cell). `reserve` is in yuan, one a fund. `errors` are standard errors of fitted growth in logs, by driver.
    """

    id: str
    names: tuple[tuple[str, str], ...]
    year: int
    book: Book
    parameters: Parameters
    people: Array
    share: Array
    assisted: Array
    cells: Cells
    reserve: Array
    errors: Mapping[str, float]
    notes: tuple[Phrase, ...] = ()
    scenario: str = "baseline"
    synthetic: bool = False

    def name(self, lang: str) -> str:
        """Name the place in a language."""
        return dict(self.names).get(lang, self.id)

    def with_yours(self, given: Mapping[str, float]) -> Basis:
        """Give the same with parameters of the user's; fitted growth that is replaced is then taken as known.

        Parameters that decided how the base was put together (population, insured, outgo, critical, commercial) work
        only through `national(given=...)` and `county(given=...)`, which call this.
        """
        if not given:
            return self
        known = {driver for name, (_, driver) in _FITTED.items() if name in given}
        known |= {"financing"} if {"income.premium_growth", "income.subsidy_growth"} <= set(given) else set()
        errors = {name: 0.0 if name in known else error for name, error in self.errors.items()}
        return replace(self, parameters=self.parameters.with_yours(given), errors=errors)


def national(
    *,
    since: int = FIRST,
    until: int = LAST,
    given: Mapping[str, float] | None = None,
    book: Book | None = None,
    parameters: Parameters | None = None,
    table: Table | None = None,
    years: int = 0,
    persons: float | None = None,
    where: str = "the published series",
) -> Basis:
    """Put the national base together from the published series, fitted to the years `since` to `until`.

    Only values of these years are used, as if nothing later were known, but for standards of premium and subsidy of the
    year after, which are published ahead. Growth is the mean of yearly changes within one definition; changes across a
    break (2022 to 2023 in stays and costs) are left out, and so is ageing, which the cohorts bring. `given` replaces
    parameters. `table` replaces the people: see `cohorts.read_people_by_year`; then `years` says for how many years.

    Raises InputError missing_year, bad_series, does_not_add_up; UsageError no_such_parameter, bad_parameter,
    bad_fit_years (since not before until).

    >>> float(round(national().reserve[0] / 1e8, 2))
    8742.11
    """
    given = dict(given or {})
    if since >= until:
        raise UsageError(
            "bad_fit_years", f"the years {since} to {until} hold no change; give at least two years, in order"
        )
    whole = book or shipped_series()
    _hold_years(whole, since, until, where)
    known = replace(whole.until(until), series=_with_next_standards(whole, until))
    start = (parameters or shipped_parameters()).with_value(
        "insured.assisted", 100 * known["assisted"].value(until) / known["insured"].value(until),
        source=_source(known, "assisted", until), year=until,
    )  # fmt: skip
    start = start.with_yours(given)
    first = CENSUS if since >= CENSUS else since
    many = persons if persons is not None else _persons(known, until)
    people = _national_people(start, first, until, many)
    now = read_people_by_year(table, first=until, years=years) if table is not None else None
    base = people[-1] if now is None else now[0]
    read = where if now is None else "the population table"
    share = _share(base, known["insured"].value(until) * _PERSONS, start, read)
    assisted = np.full((*SHAPE, 2), 1.0)
    assisted[..., 1] = start.share("insured.assisted")
    assisted[..., 0] -= assisted[..., 1]
    members = (base * share)[..., None] * assisted
    cells = _national_cells(known, until, members, start)
    fitted, errors = _fitted(known, start, cells, people, share, assisted, since, until, first)
    fitted = fitted.with_yours(given)
    cells = _scaled(known, until, members, cells, fitted)
    cells, fitted, offered = with_offer(cells, members, fitted, year=until, given=given)
    outgo = known["spending"].value(until) * _MONEY
    if "reserve.start" not in given:
        held = known["cumulative"].value(until) * _MONEY
        fitted = fitted.with_value("reserve.start", 12 * held / outgo, source=_source(known, "cumulative", until))
    reserve = np.zeros(len(FUNDS))
    reserve[0] = fitted.value("reserve.start") / 12 * outgo
    reserve[2] = fitted.value("assistance.reserve") / 12 * known["assistance"].value(until) * _MONEY
    made = Basis(
        known.id, known.names, until, known, fitted, base if now is None else now, share, assisted, cells, reserve,
        errors, (offered, *((Phrase("fund_project.plan_2030"),) if known.id == "national" else ())),
    )  # fmt: skip
    return made.with_yours(given)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Be a place file that was read: its series, its parameters, the years that it fits, and who lives there."""

    where: str
    book: Book
    parameters: Parameters
    told: Mapping[str, float]
    since: int
    until: int
    persons: float | None
    notes: tuple[Phrase, ...]


def place_from(
    text: str, *, where: str = "the place file", given: Mapping[str, float] | None = None, table: Table | None = None,
    years: int = 0,
) -> Basis:  # fmt: skip
    """Read a place of one's own and put its base together: see `read_place` and `place_basis`.

    Raises what they raise.
    """
    return place_basis(read_place(text, where=where), given=given, table=table, years=years)


def read_place(text: str, *, where: str = "the place file") -> Place:
    """Read a place of one's own: TOML that replaces series, parameters and years of the national base.

    Fields: id, name.zh, name.en, since, until (the years fitted to), [sources], [series.<name>] as in series.toml, and
    [parameters] with "growth.long_run" = 4.0 or a table of value, source and trust; people (how many live there in
    2020, of the nation's ages; without it, as many for its insured as in the nation). A place with series gives all of
    NEEDED, for every year from `since` (2020) to `until` (the last year that any of them has); standards of premium and
    subsidy are the nation's unless given.

    Raises InputError bad_series, empty_place (neither series nor parameters nor people), missing_series; UsageError
    no_such_parameter, bad_parameter.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("bad_series", f"{where} is not TOML: {error}") from None
    allowed = {"schema", "id", "name", "since", "until", "sources", "series", "parameters", "people"}
    for key in data:
        if key not in allowed:
            raise InputError("bad_series", f"{where}: {key} is no field of a place; use {', '.join(sorted(allowed))}")
    for key in ("series", "parameters", "sources"):
        if not isinstance(data.get(key, {}), Mapping):
            raise InputError("bad_series", f"{where}: {key} is not a table of fields; write [{key}]")
    if not any(data.get(one) for one in ("series", "parameters", "people", "since", "until")):
        raise InputError(
            "empty_place",
            f"{where} says nothing of a place; give it [series.<name>], [parameters] or people, or leave out --place "
            "for the nation",
        )
    own = data.get("series", {})
    lacking = [name for name in NEEDED if name not in own] if own else []
    if lacking:
        raise InputError(
            "missing_series", f"{where} has series of its own and lacks {', '.join(lacking)}; a place gives all of them"
        )
    book = book_of(data, where=where, base=shipped_series())
    parameters = parameters_of(data.get("parameters", {}), shipped_parameters(), dict(book.sources), where=where)
    told = {name: parameters.value(name) for name in _names(data.get("parameters", {}))}
    # The last year that any series has, so that one which ends early is an error and does not move the base.
    last = max(point.year for name in NEEDED for point in book[name].points)
    since = _whole(data.get("since", FIRST), "since", where)
    until = _whole(data.get("until", last), "until", where)
    notes = [] if own else [Phrase.of("fund_project.nations_series", file=where)]
    if until != LAST:
        notes.append(Phrase.of("fund_project.other_base", until=until, nation=LAST))
    return Place(where, book, parameters.checked(), told, since, until, _count(data.get("people"), where), tuple(notes))


def place_basis(
    place: Place, *, given: Mapping[str, float] | None = None, table: Table | None = None, years: int = 0,
    since: int | None = None, until: int | None = None,
) -> Basis:  # fmt: skip
    """Put the base of a place together, fitted to its own years or to those asked for.

    Raises what `national` raises.
    """
    made = national(
        since=place.since if since is None else since, until=place.until if until is None else until,
        given=dict(place.told) | dict(given or {}), book=place.book, parameters=place.parameters, table=table,
        years=years, persons=place.persons, where=place.where,
    )  # fmt: skip
    # What the file says about its parameters stays with them; only --set is the user's without more.
    kept = made.parameters
    for name in place.told:
        if name not in (given or {}):
            one = place.parameters[name]
            kept = kept.with_value(name, one.value, source=one.source, trust=one.trust, year=one.year)
    return replace(made, parameters=kept, notes=(*made.notes, *place.notes))


# National


def _hold_years(book: Book, since: int, until: int, where: str) -> None:
    """See that every series has every year that is fitted, above zero where it must be, and that they fit together."""
    for name in NEEDED:
        series = book[name]
        for year in range(since, until + 1):
            if not series.has(year):
                there = ", ".join(str(point.year) for point in series.points)
                raise InputError(
                    "missing_year",
                    f"{where}: series.{name} has no value for {year}; it has {there}. Give one, or fit other years "
                    f"than {since} to {until} (since, until)",
                )
            if name not in _MAY_BE_ZERO and series.value(year) <= 0:
                raise InputError(
                    "bad_series",
                    f"{where}: series.{name}, {year}: {series.value(year):g} has no growth; give a number above 0",
                )
    for year in range(since, until + 1):
        cost = sum(book[f"{kind}_cost"].value(year) for kind in KINDS)
        paid = book["spending"].value(year) + book["assistance"].value(year)
        if paid > cost:
            raise InputError(
                "does_not_add_up",
                f"{where}: spending and assistance of {year} come to {paid:,.2f}, but all care cost {cost:,.2f} "
                f"({', '.join(f'{kind}_cost' for kind in KINDS)}); mend one of them, or its unit",
            )
        if book["assisted"].value(year) > book["insured"].value(year):
            raise InputError(
                "does_not_add_up",
                f"{where}: {book['assisted'].value(year):,.2f} assisted are more than "
                f"{book['insured'].value(year):,.2f} insured in {year}; mend one of them",
            )


def _with_next_standards(book: Book, until: int) -> tuple[Any, ...]:
    """Keep what was known at the end of a year: standards of the next benefit year are."""
    return tuple(one.until(until + 1 if one.name in ("premium", "subsidy") else until) for one in book.series)


def _persons(book: Book, until: int) -> float:
    """Give the people of the census; for a place with series of its own, as many for its insured as in the nation."""
    nation = shipped_series()["insured"]
    if book["insured"] == nation.until(until) or not nation.has(until):
        return _CENSUS_PEOPLE
    return _CENSUS_PEOPLE * book["insured"].value(until) / nation.value(until)


def _national_people(parameters: Parameters, first: int, until: int, persons: float) -> Array:
    place = shipped_place()
    people = spread(
        place.parts("population.age"), persons, place.share("population.male"), place.share("population.urban"),
        place.value("population.oldest"),
    )  # fmt: skip
    return carry(people, parameters, first=first, years=until - first)


def _share(people: Array, insured: float, parameters: Parameters, where: str) -> Array:
    """Give the part of each cell that is insured: of children and the old as told, of the others what is left."""
    share = np.empty(AGES)
    low, high = CLASS_STARTS[1:]
    share[:low] = parameters.share("insured.child_share")
    share[high:] = parameters.share("insured.elderly_share")
    known = float(
        (people.sum(axis=(1, 2)) * np.where((np.arange(AGES) < low) | (np.arange(AGES) >= high), share, 0)).sum()
    )
    whole = float(people[low:high].sum())
    between = (insured - known) / whole if whole > 0 else math.nan
    if not 0 <= between <= 1:
        raise InputError(
            "does_not_add_up",
            f"{where}: {insured:,.0f} insured do not fit {people.sum():,.0f} people, {whole:,.0f} of them of ages "
            f"18-59: {known:,.0f} children and old are insured already, so {between:.0%} of ages 18-59 would be; mend "
            "the people, the insured, insured.child_share or insured.elderly_share",
        )
    share[low:high] = between
    return np.broadcast_to(share[:, None, None], SHAPE).copy()


def _national_cells(book: Book, year: int, members: Array, parameters: Parameters) -> Cells:
    curve = {int(age): value for age, value in shipped_place().parts("use.age").items()}
    totals = {
        "stays": book["admissions"].value(year) * _PERSONS,
        **{kind: book[f"{kind}_cost"].value(year) * _MONEY for kind in KINDS},
    }
    return shaped(curve, members, parameters, totals)


def _scaled(book: Book, year: int, members: Array, cells: Cells, parameters: Parameters) -> Cells:
    """Scale the ratios so that every fund pays in the base year what was published, or what is assumed."""
    insured = members.sum()
    payout = parameters.value("critical.payout") * _since(book, parameters["critical.payout"].year, year)
    critical = payout * insured
    told = {
        "basic": book["spending"].value(year) * _MONEY - critical * (1 + parameters.share("critical.margin")),
        "critical_illness": critical,
        "assistance": book["assistance"].value(year) * _MONEY
        - parameters.value("assistance.enrolment") * members[..., 1].sum(),
    }
    expected = cells.expected(members[None])[0].sum(axis=(1, 2))
    for fund, total in told.items():
        if total < 0:
            raise UsageError(
                "bad_parameter",
                f"what is taken from {fund} for other funds exceeds all that it spent in {year}; lower critical.payout "
                "or assistance.enrolment",
            )  # fmt: skip
        paid = expected[FUNDS.index(fund)]
        cells = cells.scaled(fund, total / paid if paid > 0 else 0.0)
    return cells


def _since(book: Book, told: int, year: int) -> float:
    """Say by how much spending a head rose from the year of a figure to the base year; 1 where it is not known."""
    if told >= year or not book["spending"].has(told) or not book["insured"].has(told):
        return 1.0
    heads = [book["spending"].value(one) / book["insured"].value(one) for one in (told, year)]
    return heads[1] / heads[0]


def _fitted(
    book: Book, parameters: Parameters, cells: Cells, people: Array, share: Array, assisted: Array,
    since: int, until: int, first: int,
) -> tuple[Parameters, dict[str, float]]:  # fmt: skip
    """Fit growth to the series, less what the cohorts bring, and give standard errors by driver."""
    aged, grown = _ageing(cells, people, share, assisted, since - first)
    insured = book["insured"]

    def fit(above: str, below: Series | None = None) -> Growth:
        return growth(changes(book[above], below, since=since, until=until))

    fits = {
        "growth.inpatient_use": (fit("admissions", insured), aged),
        "growth.inpatient_cost": (fit("inpatient_cost", book["admissions"]), 0.0),
        "growth.outpatient": (fit("outpatient_cost", insured), aged),
        "growth.chronic": (fit("chronic_cost", insured), aged),
        "insured.participation": (fit("insured"), grown),
    }
    errors = {}
    found = parameters
    for name, (fitted, less) in fits.items():
        shock, driver = _FITTED[name]
        found, errors[driver] = _written(found, name, shock, fitted, less, until)
    financing = fit("income", insured)
    scatter = financing.scatter if math.isfinite(financing.scatter) else 0.0
    found = found.with_value("shock.financing", scatter, source=_fitted_to(financing), year=until)
    errors["financing"] = financing.error if math.isfinite(financing.error) else 0.0
    for name in ("premium", "subsidy"):
        known = growth(changes(book[name], since=since, until=max(point.year for point in book[name].points)))
        low, high = (_percent(known.mean + sign * _WIDE * errors["financing"]) for sign in (-1, 1))
        found = found.with_value(
            f"income.{name}_growth", _percent(known.mean), low=low, high=high, source=_fitted_to(known), year=until
        )
    income = book["income"].value(until) * _MONEY
    factors = [
        above_standard(
            book["income"].value(one) * _MONEY, insured.value(one) * _PERSONS, book["premium"].value(one),
            book["subsidy"].value(one),
        )
        for one in range(since, until + 1)
    ]  # fmt: skip
    now = above_standard(
        income, insured.value(until) * _PERSONS, book["premium"].value(until), book["subsidy"].value(until)
    )
    found = found.with_value(
        "income.above_standard", now, low=min(factors), high=max(factors), year=until,
        source=_source(book, "income", until),
    )  # fmt: skip
    return found, errors


def _written(
    parameters: Parameters, name: str, shock: str, fit: Growth, less: float, year: int
) -> tuple[Parameters, float]:
    """Write a fitted growth and its scatter into the parameters, with its range; give its standard error."""
    error = fit.error if math.isfinite(fit.error) else 0.0
    mean = fit.mean - less
    found = parameters.with_value(
        name, _percent(mean), low=_percent(mean - _WIDE * error), high=_percent(mean + _WIDE * error),
        source=_fitted_to(fit), year=year,
    )  # fmt: skip
    scatter = fit.scatter if math.isfinite(fit.scatter) else 0.0
    return found.with_value(shock, scatter, source=_fitted_to(fit), year=year), error


def _ageing(cells: Cells, people: Array, share: Array, assisted: Array, skip: int) -> tuple[float, float]:
    """Give the yearly growth in logs of need a member, and of members, that the cohorts bring at fixed rates."""
    members = (people[skip:] * share)[..., None] * assisted
    heads = members.sum(axis=(1, 2, 3, 4))
    need = cells.charged(members)[:, 0] / heads
    steps = max(len(heads) - 1, 1)
    return float(np.log(need[-1] / need[0]) / steps), float(np.log(heads[-1] / heads[0]) / steps)


def _percent(log: float) -> float:
    return 100 * math.expm1(log)


def _fitted_to(fit: Growth) -> str:
    return f"mean yearly change in {', '.join(map(str, fit.years))}: fund/series.toml"


def _source(book: Book, name: str, year: int) -> str:
    return dict(book.sources)[book[name].at(year).source]


def _names(data: Mapping[str, Any]) -> list[str]:
    found = []
    for name, one in data.items():
        found += [name] if "." in name or not isinstance(one, Mapping) else [f"{name}.{inner}" for inner in one]
    return found


def _count(given: Any, where: str) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < 1e11:
        raise InputError("bad_series", f"{where}: people = {given!r} is no number of people above 0")
    return float(given)


def _whole(given: Any, name: str, where: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise InputError("bad_series", f"{where}: {name} needs a year such as 2025")
    return given
