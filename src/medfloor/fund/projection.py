"""Project the funds: year by year, what comes in, what goes out, what moves between them, what is left.

Four funds stand side by side: the basic fund, critical illness insurance (which the basic fund buys), medical
assistance (which pays part of the premium of the poor into the basic fund) and a commercial product. The cohorts give
what would be paid at the prices of the base year; paths multiply it by growth and shocks, 10,000 at a time. `one_year`
is the step that a rule of adjustment may be put around (`Controls`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfloor.errors import InputError, UsageError
from medfloor.fund.basis import Basis
from medfloor.fund.cohorts import carry
from medfloor.fund.income import Standards, by_class, class_factors, fading, rates, standards
from medfloor.fund.outgo import FUNDS
from medfloor.fund.outlook import Outlook, outlook_of
from medfloor.fund.parameters import Parameters
from medfloor.fund.reserves import LINES, read_lines

Array = npt.NDArray[np.float64]

YEARS, PATHS, SEED = 20, 10_000, 20201123
_MOST_YEARS, _MOST_PATHS = 75, 1_000_000

ITEMS = (
    "income", "outgo", "balance", "reserve", "premium", "subsidy", "benefits", "transfers_in", "transfers_out",
)  # fmt: skip
"""What a year of a fund holds, in yuan. Balance is income less outgo; transfers are parts of income and of outgo."""


@dataclass(frozen=True, slots=True)
class Controls:
    """Be what may be changed in a year, path by path or for all: each a multiple, 1 leaves it as it is.

    `ratio` is the share of costs that the basic fund pays for the ordinary and `ratio_assisted` for the assisted,
    `critical` and `critical_assisted` the same of critical illness insurance. `premium` and `subsidy` multiply the
    standards; `extra` adds payments of the basic fund as a share of its benefits (more diseases covered).
    """

    ratio: Array | float = 1.0
    ratio_assisted: Array | float = 1.0
    critical: Array | float = 1.0
    critical_assisted: Array | float = 1.0
    premium: Array | float = 1.0
    subsidy: Array | float = 1.0
    extra: Array | float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """Be a basis carried forward, before anything is left to chance. Places on the first axis are years, 0 the base.

    `classes` and `assisted` count members, `expected` is (years, funds, kinds, statuses) in yuan at prices of the
    base, `trend` (years, kinds) what growth multiplies it by, `planned` (years, funds) the payments on that trend.
    """

    basis: Basis
    years: int
    people: Array
    classes: Array
    assisted: Array
    expected: Array
    trend: Array
    part: Array
    paid: Array
    planned: Array
    standards: Standards

    @property
    def first(self) -> int:
        """Give the first year projected."""
        return self.basis.year + 1


@dataclass(frozen=True, slots=True, eq=False)
class Drivers:
    """Be what chance does: multiples of the trend, one a year projected and path (years, paths).

    `care` has a row a kind before that; `financing` multiplies standards not yet published, `members` the members.
    """

    care: Array
    financing: Array
    members: Array

    @property
    def paths(self) -> int:
        """Count the paths."""
        return int(self.members.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Year:
    """Be one year of all funds on all paths: shape (items, funds, paths), in yuan, items as in ITEMS."""

    year: int
    values: Array

    def of(self, item: str, fund: str) -> Array:
        """Give one item of one fund on all paths."""
        found: Array = self.values[ITEMS.index(item), FUNDS.index(fund)]
        return found


Rule = Callable[[int, "Year | None", Array], Controls]
"""What a rule of adjustment sees: the year to come, the year before (None in the first), and the reserves."""


def project(
    basis: Basis,
    *,
    years: int = YEARS,
    paths: int = PATHS,
    seed: int = SEED,
    lines: Sequence[float] = LINES,
    rule: Rule | None = None,
) -> Outlook:
    """Project a basis: once along the trend, and on so many paths with growth and shocks left to chance.

    The same seed gives the same numbers; two bases with one seed meet the same shocks, so that their difference is the
    reform's. `rule` may set controls year by year. Reserves below zero are debts, which are carried without interest.

    Raises UsageError bad_horizon, bad_seed, bad_lines; InputError missing_year where a table of people ends early.

    >>> from medfloor.fund.basis import national
    >>> found = project(national(), years=5, paths=100)
    >>> found.frame.filter(fund="basic", item="months", year=2026)["trend"].item() > 6
    True
    """
    if not 1 <= years <= _MOST_YEARS or not 1 <= paths <= _MOST_PATHS:
        raise UsageError(
            "bad_horizon",
            f"{years} years and {paths} paths cannot be projected; use 1 to {_MOST_YEARS} years and 1 to "
            f"{_MOST_PATHS:,} paths",
        )  # fmt: skip
    if seed < 0:
        raise UsageError("bad_seed", f"the seed {seed} is below 0; use a whole number from 0 on")
    asked = read_lines(lines)
    setting = prepare(basis, years)
    trend = _walk(setting, still(setting), rule)
    chance = _walk(setting, draw(setting, paths, np.random.default_rng(seed)), rule)
    return outlook_of(setting, trend, chance, lines=asked, seed=seed)


def trend_of(basis: Basis, years: int) -> list[Year]:
    """Give the years along the trend alone, one path each: what sensitivity and a back-test ask for."""
    setting = prepare(basis, years)
    return _walk(setting, still(setting), None)


def prepare(basis: Basis, years: int) -> Setting:
    """Carry a basis forward: people, members, payments at prices of the base, trend and standards.

    Raises InputError missing_year where the user's table of people or the standards have too few years.
    """
    parameters = basis.parameters
    if basis.people.ndim == 4:
        if len(basis.people) < years + 1:
            raise InputError(
                "missing_year",
                f"the population table ends in {basis.year + len(basis.people) - 1}; {years} years need it to "
                f"{basis.year + years}",
            )  # fmt: skip
        people = basis.people[: years + 1]
    else:
        people = carry(basis.people, parameters, first=basis.year, years=years)
    members = (people * basis.share)[..., None] * basis.assisted
    part = np.concatenate([[1.0], np.cumprod(1 + rates(parameters, "insured.participation", years, None))])
    members *= part[:, None, None, None, None]
    expected = basis.cells.expected(members)
    trend = _trend(parameters, years)
    paid = np.cumprod(np.concatenate([[1.0], np.full(years, 1 + parameters.share("growth.ratio"))]))
    planned = np.einsum("yfks,yk->yf", expected, trend)
    planned[:, 0] *= paid
    due = standards(basis.book["premium"], basis.book["subsidy"], parameters, first=basis.year, years=years)
    return Setting(
        basis, years, people, by_class(members), members[..., 1].sum(axis=(1, 2, 3)), expected, trend, part, paid,
        planned, due,
    )  # fmt: skip


def still(setting: Setting) -> Drivers:
    """Give the drivers of the trend: one path on which nothing happens by chance."""
    ones = np.ones((setting.years, 1))
    return Drivers(np.ones((3, setting.years, 1)), ones, ones)


def draw(setting: Setting, paths: int, rng: np.random.Generator) -> Drivers:
    """Draw what chance does: errors of fitted growth, one a path; shocks, one a year and path.

    A shock hits its year in full; `shock.lasting` of it stays. Errors of growth fade as the growth does, and an error
    of the long run (`shock.long_run`) comes in its place.
    """
    parameters, years = setting.basis.parameters, setting.years
    errors, left = setting.basis.errors, fading(parameters, years)[:, None]
    drift = parameters.value("shock.drift")
    lasting = parameters.share("shock.lasting")
    uncertain = np.cumsum(left, axis=0)

    def moved(scatter: float, error: float) -> Array:
        shocks = rng.standard_normal((years, paths)) * scatter
        made: Array = lasting * np.cumsum(shocks, axis=0) + (1 - lasting) * shocks
        made += uncertain * (rng.standard_normal(paths) * (error * drift))
        return made

    use = moved(parameters.value("shock.use"), errors["use"])
    common = rng.standard_normal((years, paths)) * parameters.value("shock.common")
    chance = rng.standard_normal((years, paths)) * parameters.value("shock.random")
    later = np.cumsum(1 - left, axis=0) * (rng.standard_normal(paths) * parameters.share("shock.long_run") * drift)
    shared = lasting * np.cumsum(common, axis=0) + (1 - lasting) * common + chance + later
    care = np.stack(
        [
            use + moved(parameters.value("shock.cost"), errors["cost"]),
            moved(parameters.value("shock.outpatient"), errors["outpatient"]),
            moved(parameters.value("shock.chronic"), errors["chronic"]),
        ]
    )
    care += shared
    financing = moved(parameters.value("shock.financing"), errors["financing"])
    members = moved(parameters.value("shock.participation"), errors["participation"])
    return Drivers(np.exp(care, out=care), np.exp(financing), np.exp(members))


def one_year(setting: Setting, drivers: Drivers, place: int, reserve: Array, controls: Controls | None = None) -> Year:
    """Step all funds through one year: `place` 0 is the first projected; `reserve` (funds, paths) is at its beginning.

    Income and outgo of a fund hold transfers too. The basic fund buys critical illness insurance at the payments
    expected and a margin; what is left or lacking of it beyond the margin is shared back (`critical.shared`).
    Assistance has a budget that follows expected payments, and pays part of the premium of the assisted.
    """
    asked = controls or Controls()
    parameters, at = setting.basis.parameters, place + 1
    share, value = parameters.share, parameters.value
    many, paths = drivers.members[place], drivers.paths
    made = np.zeros((len(ITEMS), len(FUNDS), paths))
    income, outgo, _, _, premium, subsidy, benefits, moved_in, moved_out = made
    growth = setting.trend[at][:, None] * drivers.care[:, place]
    paid = np.einsum("fks,kp->fsp", setting.expected[at], growth) * many
    benefits[0] = setting.paid[at] * (
        paid[0, 0] * (asked.ratio + asked.extra) + paid[0, 1] * (asked.ratio_assisted + asked.extra)
    )
    benefits[1] = paid[1, 0] * asked.critical + paid[1, 1] * asked.critical_assisted
    benefits[2] = paid[2].sum(axis=0)
    premium[0], subsidy[0] = _collected(setting, drivers, place, asked)
    helped = setting.assisted[at] * many
    enrolled = helped * value("assistance.enrolment") * setting.standards.premium[at] / setting.standards.premium[0]
    enrolled = np.minimum(enrolled, premium[0])
    plan = setting.expected[at, 1].T @ setting.trend[at]
    contribution = (plan[0] * asked.critical + plan[1] * asked.critical_assisted) * many
    contribution = contribution * (1 + share("critical.margin"))
    back = share("critical.shared") * (contribution / (1 + share("critical.margin")) - benefits[1])
    moved_in[0], moved_out[0] = enrolled + np.maximum(back, 0), contribution + np.maximum(-back, 0)
    moved_in[1], moved_out[1] = contribution + np.maximum(-back, 0), np.maximum(back, 0)
    member = _product(parameters)
    each = value("commercial.premium") * (1 + share("commercial.premium_growth")) ** at
    joined = setting.classes[at].sum() * many
    premium[3] = each * (member[0] * (joined - helped) + member[1] * helped)
    for_poor = share("commercial.poor_paid") * each * member[1] * helped
    benefits[3] = paid[3, 0] * member[0] + paid[3, 1] * member[1]
    moved_in[3] = for_poor
    moved_out[2] = enrolled + for_poor
    subsidy[2] = _budget(setting, at, many)
    income[:] = premium + subsidy + np.maximum(reserve, 0) * share("reserve.interest")
    income[0] += np.maximum(back, 0)
    income[1] += moved_in[1]
    outgo[:] = benefits + moved_out
    outgo[3] += premium[3] * share("commercial.costs")
    made[ITEMS.index("balance")] = income - outgo
    made[ITEMS.index("reserve")] = reserve + income - outgo
    return Year(setting.first + place, made)


def _walk(setting: Setting, drivers: Drivers, rule: Rule | None) -> list[Year]:
    reserve = np.repeat(setting.basis.reserve[:, None], drivers.paths, axis=1)
    found: list[Year] = []
    for place in range(setting.years):
        before = found[-1] if found else None
        controls = rule(setting.first + place, before, reserve) if rule else None
        found.append(one_year(setting, drivers, place, reserve, controls))
        reserve = found[-1].values[ITEMS.index("reserve")]
    return found


def _trend(parameters: Parameters, years: int) -> Array:
    """Give what growth multiplies payments by, along the trend: shape (years + 1, kinds)."""
    excess = parameters.share("growth.excess")
    use = rates(parameters, "growth.inpatient_use", years, None)
    cost = rates(parameters, "growth.inpatient_cost", years, "growth.long_run", excess)
    outpatient = rates(parameters, "growth.outpatient", years, "growth.long_run", excess)
    chronic = rates(parameters, "growth.chronic", years, "growth.long_run", excess)
    grown = np.stack([(1 + use) * (1 + cost), 1 + outpatient, 1 + chronic], axis=1)
    return np.asarray(np.cumprod(np.vstack([np.ones((1, 3)), grown]), axis=0), np.float64)


def _collected(setting: Setting, drivers: Drivers, place: int, asked: Controls) -> tuple[Array, Array]:
    """Give premiums and subsidy of a benefit year; only standards that are not yet published move by chance."""
    parameters, due, at = setting.basis.parameters, setting.standards, place + 1
    above: Array = parameters.value("income.above_standard") * drivers.members[place]
    moved = drivers.financing[place] - 1
    by = float(setting.classes[at] @ class_factors(parameters))
    premium = by * due.premium[at] * above * (1 + due.premium_free[at] * moved) * asked.premium
    subsidy = float(setting.classes[at].sum()) * due.subsidy[at] * above * (1 + due.subsidy_free[at] * moved)
    return premium, subsidy * asked.subsidy


def _product(parameters: Parameters) -> tuple[float, float]:
    """Say what part of the ordinary and of the assisted are members of the commercial product."""
    return parameters.share("commercial.take_up"), parameters.share("commercial.take_up_assisted")


def _budget(setting: Setting, at: int, many: Array) -> Array:
    """Give the budget of assistance: that of the base year, following the growth of what it is expected to pay."""
    parameters = setting.basis.parameters
    helped = setting.assisted * parameters.value("assistance.enrolment")
    helped = helped * setting.standards.premium[: len(helped)] / setting.standards.premium[0]
    product = (1 + parameters.share("commercial.premium_growth")) ** np.arange(len(helped))
    product = product * parameters.share("commercial.poor_paid") * parameters.value("commercial.premium")
    poor = product * setting.assisted * parameters.share("commercial.take_up_assisted")
    planned = setting.planned[:, 2] + helped + poor
    follows = parameters.share("assistance.follows")
    found: Array = (planned[0] + follows * (planned[at] - planned[0])) * many
    return found
