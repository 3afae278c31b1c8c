"""Try a reform at once: on one family, and on a made-up county that is kept ready in memory.

What the laboratory does in minutes with errors from many populations and with people's response is done here in a
fraction of a second on one small county, so that whoever writes a reform sees where it leads. Nothing here is data of
real people, and nothing is kept.
"""

from __future__ import annotations

import functools
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfloor.errors import ConflictError, MedfloorError, PolicyError
from medfloor.service.policy_files import jobs_folder_of, without_folder
from medfloor.service.policy_texts import write_policy
from medfloor.words import say

if TYPE_CHECKING:
    from medfloor.policy.model import Policy
    from medfloor.simulation import Family, HouseholdCurve, Population, World
    from medfloor.simulation.scenario import Scenario

SAMPLE_PEOPLE = 10_000
"""People of the made-up county: the largest whose effect is there in well under a second on a small machine."""

SAMPLE_SEED = 20201123
LEAST_SHOWN = 30
"""Groups of fewer people of the sample are not shown: their shares would be luck."""

HIGHEST = 1_000_000
POINTS = 81
_AT_ONCE = threading.BoundedSemaphore(2)
_MAKING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Number:
    """Be a number before and after a reform: its change with a half-width of 95 % where errors were worked out."""

    name: str
    before: float
    after: float
    half_width: float | None = None
    p: float | None = None

    @property
    def change(self) -> float:
        """Give what the reform changes."""
        return self.after - self.before

    @property
    def clear(self) -> bool:
        """Say whether the change is more than the luck of a small sample."""
        return self.p is not None and self.p < 0.05


@dataclass(frozen=True, slots=True)
class Gainers:
    """Be a group of people: how many, which share pays less and more than before, and the mean change in yuan."""

    name: str
    people: int
    better: float
    worse: float
    change: float


@dataclass(frozen=True, slots=True)
class SampleEffect:
    """Be what a reform does to the sample: protection, payers in yuan a person and year, winners and losers."""

    people: int
    households: int
    claims: int
    refused: int
    protection: tuple[Number, ...]
    payers: tuple[Number, ...]
    everyone: Gainers
    groups: tuple[Gainers, ...]


@dataclass(frozen=True, slots=True)
class FamilyEffect:
    """Be what one bill costs a family under each law: payers in order (fen before, fen after), and the curves."""

    payers: tuple[tuple[str, int, int], ...]
    own_before: int
    own_after: int
    curve: HouseholdCurve


@dataclass(frozen=True, slots=True)
class Trial:
    """Be a reform tried: on a family and on the sample (None: not possible, and the error beside it says why).

    `names` has the tiers in both languages, `currency` is that of the law, `seconds` how long all of it took.
    """

    family: FamilyEffect | None
    family_error: MedfloorError | None
    sample: SampleEffect | None
    sample_error: MedfloorError | None
    seconds: float
    currency: str
    names: dict[str, dict[str, str]] = field(default_factory=dict)


def attempt(address: str, text: str, family: Family) -> Trial:
    """Lay a reform over a policy and say what it does to a family's bill and to the sample.

    `address` is what `load_policy` takes: a version of the library, or an own policy's file.

    Raises what reading the reform raises (PolicyError, UsageError), ConflictError (`busy_trials`) where too many are
    tried at once.
    """
    from medfloor.simulation.scenario import scenario

    begun = time.monotonic()
    if not _AT_ONCE.acquire(timeout=10):
        raise ConflictError("busy_trials", "others are trying reforms; ask again in a moment")
    try:
        with _written(text, address) as file:
            after = scenario(address, [file])
            on_family, family_error = _on_family(address, file, family)
        sample, sample_error = _on_sample(address, after)
    finally:
        _AT_ONCE.release()
    currency = after.law.policies.versions[-1].currency
    seconds = time.monotonic() - begun
    return Trial(on_family, family_error, sample, sample_error, seconds, currency, _names(after))


def reformed(address: str, text: str) -> Policy:
    """Give the last version of a policy with a reform laid over it. Raises what loading raises."""
    from medfloor.policy.load import load_policy

    with _written(text, address) as file:
        return load_policy(address, [file]).versions[-1]


def reformed_and_curve(
    address: str, text: str, family: Family, *, high: float
) -> tuple[Policy, HouseholdCurve | MedfloorError]:
    """Give the last version of a policy with a reform laid over it, and what a family bears under it.

    Where no such bill can be settled the reason stands in the place of the curve. Raises what loading raises.
    """
    from medfloor.policy.load import load_policy
    from medfloor.simulation import household

    with _written(text, address) as file:
        law = load_policy(address, [file]).versions[-1]
        try:
            return law, household(family, address, baseline_reforms=[str(file)], high=high, points=POINTS)
        except MedfloorError as error:
            return law, error


@contextmanager
def _written(text: str, source: str) -> Iterator[Path]:
    """Give a reform as a file for a moment; what is wrong with it names the line and not the server's folders."""
    with tempfile.TemporaryDirectory(prefix="medfloor-try-") as folder:
        try:
            yield write_policy(Path(folder) / "reform.yaml", text)
        except (RecursionError, ValueError, ArithmeticError, TypeError, KeyError):
            raise PolicyError("policy_syntax", "the text cannot be read as a reform; see docs/reforms.md") from None
        except PolicyError as error:
            told = error.message.replace(f"{folder}/", "")
            raise PolicyError(error.code, without_folder(told, jobs_folder_of(source))) from None


def warm(address: str) -> None:
    """Begin to make the sample ready under a policy, while somebody still reads the page."""

    def make() -> None:
        with suppress(MedfloorError):  # said when it is asked for
            world_under(address)

    threading.Thread(target=make, name="sample", daemon=True).start()


def world_under(address: str) -> World:
    """Give the sample made ready under a policy of the library; the last few are kept.

    Raises what loading and settling raise.
    """
    with _MAKING:
        return _world(address)


def first_day(address: str, law: Policy) -> date:
    """Give a day on which a version is in force: the one that its address names, else its first."""
    _, _, day = address.partition("@")
    return date.fromisoformat(day) if day else law.from_


@functools.lru_cache(maxsize=1)
def _population() -> Population:
    from medfloor.simulation import fresh_populations

    return next(iter(fresh_populations(1, SAMPLE_PEOPLE, seed=SAMPLE_SEED)))


@functools.lru_cache(maxsize=4)
def _world(address: str) -> World:
    from medfloor.simulation import World
    from medfloor.simulation.scenario import scenario

    world = World.of(_population(), scenario(address).law, threads=1)
    world.settle()
    return world


def _on_family(address: str, file: Path, family: Family) -> tuple[FamilyEffect | None, MedfloorError | None]:
    try:
        return _of_family(address, file, family), None
    except MedfloorError as error:
        return None, PolicyError(error.code, error.message.replace(f"{file.parent}/", ""))


def _of_family(address: str, file: Path, family: Family) -> FamilyEffect:
    from medfloor.simulation import household

    high = float(min(10 * HIGHEST, max(100_000, 2 * family.bill)))
    curve = household(family, address, [str(file)], high=high, points=POINTS)
    bill = household(family, address, [str(file)], high=max(family.bill, 0.01), points=2).rows
    before, after = (bill.row(place, named=True) for place in (1, 3))
    payers = tuple((tier, _fen(before[f"pay_{tier}"]), _fen(after[f"pay_{tier}"])) for tier in curve.tiers)
    return FamilyEffect(payers, _fen(before["own"]), _fen(after["own"]), curve)


def _fen(yuan: float) -> int:
    return round(yuan * 100)


def _on_sample(address: str, after: Scenario) -> tuple[SampleEffect | None, MedfloorError | None]:
    from medfloor.simulation.compare import Options, measure
    from medfloor.simulation.scenario import scenario

    try:
        world = world_under(address)
        # What a law asks of the claims is remembered; what reforms asked is not kept beyond them.
        world = replace(world, known=dict(world.known), spent=list(world.spent))
        scenarios = [replace(scenario(address), law=world.law), after]
        found = measure(world, scenarios, None, Options(by=()))
    except MedfloorError as error:
        return None, error
    return _told(world, scenarios, found), None


def _told(world: World, scenarios: Sequence[Scenario], found: Any) -> SampleEffect:
    law = scenarios[1].name
    protection = [
        _number(found.protection.rows, law, "headcount", name="catastrophic", definition="nonfood"),
        _number(found.protection.rows, law, "headcount", name="budget", definition="budget"),
        _number(found.protection.rows, law, "net_headcount", name="under_line"),
        _number(found.protection.rows, law, "mean_spending", name="mean_spending"),
    ]
    tiers = dict.fromkeys(tier for one in scenarios for tier in one.law.layout.tiers)
    payers = [_number(found.payers.rows, law, "amount", name=one, payer=one) for one in (*tiers, "all", "own")]
    groups = [_gainers(found.groups.rows, by, group) for by, group in _groups(found.groups.rows)]
    return SampleEffect(
        world.persons, world.homes.height, world.batch.height, sum(world.refused.values()),
        tuple(one for one in protection if one is not None), tuple(one for one in payers if one is not None),
        _gainers(found.groups.rows, None, None), tuple(one for one in groups if one.people >= LEAST_SHOWN),
    )  # fmt: skip


def _number(rows: Any, law: str, statistic: str, *, name: str, **labels: str) -> Number | None:
    """Find a number under both laws, and the error of its change."""
    kept = [
        row
        for row in rows.iter_rows(named=True)
        if (row["statistic"] == statistic or row.get("of") == statistic or row["statistic"] == "reform_change")
        and row.get("of") in (None, statistic)
        and all(row.get(key) == value for key, value in labels.items())
    ]
    levels = {row["scenario"]: row["estimate"] for row in kept if row["statistic"] == statistic}
    change = next((row for row in kept if row["statistic"] == "reform_change" and row["scenario"] == law), None)
    if law not in levels or len(levels) != 2:
        return None
    before = next(value for key, value in levels.items() if key != law)
    error = None if change is None or change["se"] is None else 1.96 * change["se"]
    return Number(name, before, levels[law], error, None if change is None else change["p"])


def _groups(rows: Any) -> list[tuple[str, str]]:
    wanted = rows.filter((rows["by"] == "status") | (rows["by"] == "quintile"))
    found: list[tuple[str, str]] = wanted.select("by", "group").unique(maintain_order=True).rows()
    return found


def _gainers(rows: Any, by: str | None, group: str | None) -> Gainers:
    here = {
        row["statistic"]: row for row in rows.iter_rows(named=True) if row["by"] == by and row["group"] == group
    }  # fmt: skip
    change = here["mean_change"]
    name = "everyone" if by is None else f"{by}:{group}"
    return Gainers(
        name, int(change["n"]), here["better_off"]["estimate"] or 0.0, here["worse_off"]["estimate"] or 0.0,
        change["estimate"] or 0.0,
    )  # fmt: skip


def _names(after: Scenario) -> dict[str, dict[str, str]]:
    """Name the tiers of a law in both languages, as it does itself."""
    from medfloor.policy.wording import text_of

    return {
        tier.id: {lang: text_of(tier.name, lang) or say(f"tier.{tier.id}", lang) for lang in ("zh", "en")}
        for version in after.law.policies.versions
        for tier in version.tiers
    }
