"""Try reforms on people: settle the same people under each law, and say on one page what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.catastrophic import Definition
from medfloor.measures.design import Design
from medfloor.measures.impoverishing import LineLike
from medfloor.measures.influence import Array
from medfloor.measures.result import SCHEMA, Result, label_of, name_of
from medfloor.measures.sample import design_in
from medfloor.settlement.batch import Batch
from medfloor.simulation.behaviour import (
    RESPONSES,
    Behaviour,
    Prices,
    Response,
    copies_of,
    expected_under,
    prices_of,
    stated,
)
from medfloor.simulation.contributions import Contributions, contributions_of
from medfloor.simulation.funds import Premiums, about_premiums, funds_of, premiums_by, regions_of
from medfloor.simulation.groups import Grouping, group_name, groupings_of, payers, use_of, winners
from medfloor.simulation.households import Changed, most_changed, own_by_home
from medfloor.simulation.jumps import Jump, jumps_of
from medfloor.simulation.population import Population
from medfloor.simulation.protection import CATASTROPHIC, LINE, Key, protection
from medfloor.simulation.run import Bills, World
from medfloor.simulation.scenario import Scenario, scenarios_of
from medfloor.simulation.uncertainty import together
from medfloor.words import Phrase, join, say

Progress = Callable[[int, int], None]
CLEAR = 0.05
"""A change is clear where its p-value is below this."""

SAME_SIZE = 1.05
"""Populations whose people differ by more than this factor have totals that differ by it; that is said."""

TWENTY = 20
"""So many made-up populations tell the spread between them well; that there are fewer is said."""

RESULTS = ("payers", "protection", "with_premiums", "groups", "funds", "regions", "use")
"""The results of a simulation, in the order of its page."""


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Be what is measured, and how: definitions of catastrophic spending, the poverty line, groups, the design."""

    definitions: Sequence[tuple[Definition, float]] = CATASTROPHIC
    line: LineLike = LINE
    by: Sequence[str] = ()
    design: Design | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Flag:
    """Be a conclusion that holds only at zero response: which change, under which law, and what it says at each.

    `labels` tell the change apart (definition, threshold, payer, ...), `group` is the group of people it is about.
    `turns` says that with the response the change is clear, and of the other sign.
    """

    scenario: str
    of: str
    labels: tuple[tuple[str, object], ...]
    zero: float
    stated: float
    group: tuple[str, str] | None = None
    with_premiums: bool = False
    turns: bool = False

    def text(self, lang: str) -> str:
        """Say it in one sentence."""
        verdict = "lower" if self.zero < 0 else "higher"
        other = "other_way" if self.turns else "same"
        told = [_label(name, value, lang) for name, value in self.labels]
        if self.group is not None:
            told.append(f"{name_of('column', self.group[0], lang)}: {group_name(*self.group, lang)}")
        of = name_of("statistic", self.of, lang)
        if self.with_premiums:
            told.append(say("simulation.premiums_counted", lang))
        return Phrase.of(
            "simulation.held_only_at_zero",
            of=say("simulation.of_what", lang, of=of, what=join(told, lang)) if told else of,
            scenario=name_of("scenario", self.scenario, lang),
            zero=Phrase(f"simulation.{verdict}"),
            stated=Phrase(f"simulation.{other}"),
        ).say(lang)


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Be what reforms change: results with errors, tables, and the households most changed.

    `protection`, `payers`, `groups`, `funds`, `use` and `regions` (None where nothing is pooled) are results (see
    `protection`, `payers`, `winners`, `funds_of`, `use_of`, `regions_of`), labelled with scenario and response;
    `errors` has for each, by its name, what part of the standard errors sampling, draws and populations are. `jumps`
    `with_premiums` is protection where payments also hold what the laws change in premiums (None: they change none);
    `rejects` are the rows or households set aside, as text, with reasons. `jumps` are the cliffs that differ (None: not
    looked for), `changed` the households of the first population most changed at zero response, `flags` the conclusions
    that hold only at zero response.
    """

    scenarios: tuple[Scenario, ...]
    people: int
    households: int
    claims: int
    synthetic: bool
    protection: Result
    payers: Result
    groups: Result
    errors: Mapping[str, pl.DataFrame]
    funds: Result
    use: Result
    regions: Result | None
    with_premiums: Result | None
    rejects: pl.DataFrame | None
    jumps: tuple[Jump, ...] | None
    changed: tuple[Changed, ...]
    flags: tuple[Flag, ...]
    notes: tuple[Phrase, ...]

    def value(self, statistic: str, **labels: object) -> float:
        """Give one estimate of protection: `value("headcount", definition="nonfood", scenario="oop_cap")`."""
        asked: dict[str, object] = {"response": "none", "of": None} | labels
        return self.protection.value(statistic, **asked)

    @property
    def results(self) -> Mapping[str, Result]:
        """Give the results by name, in the order of the page."""
        found = {name: getattr(self, name) for name in RESULTS}
        return {name: one for name, one in found.items() if one is not None}

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal: the results, flags and notes."""
        parts = [one.text(lang) for one in self.results.values()]
        parts += [flag.text(lang) for flag in self.flags]
        parts += [note.say(lang) for note in self.notes]
        return "\n\n".join(parts)

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data, ready for JSON."""
        return {
            "baseline": self.scenarios[0].address,
            "scenarios": [
                {
                    "name": one.name, "title": one.title(lang), "reforms": [path.name for path in one.reforms],
                    "seeds": [about.seed for about in one.about], "trust": [about.trust for about in one.about],
                }
                for one in self.scenarios
            ],
            "people": self.people, "households": self.households, "claims": self.claims, "synthetic": self.synthetic,
            "payers": self.payers.to_dict(lang), "protection": self.protection.to_dict(lang),
            "groups": self.groups.to_dict(lang), "funds": self.funds.to_dict(lang), "use": self.use.to_dict(lang),
            "regions": None if self.regions is None else self.regions.to_dict(lang),
            "with_premiums": None if self.with_premiums is None else self.with_premiums.to_dict(lang),
            "rows_set_aside": 0 if self.rejects is None else self.rejects.height,
            "cliffs": None if self.jumps is None else [one.to_dict() for one in self.jumps],
            "households_most_changed": [one.to_dict() for one in self.changed],
            "only_at_zero_response": [one.text(lang) for one in self.flags],
            "notes": [note.say(lang) for note in self.notes],
        }  # fmt: skip


def simulate(
    populations: Population | Sequence[Population],
    baseline: str = "cn/beijing",
    reforms: Sequence[str] = (),
    *,
    baseline_reforms: Sequence[str] = (),
    behaviour: Response | Behaviour = "stated",
    draws: int = 0,
    seed: int = 20201123,
    definitions: Sequence[tuple[Definition, float]] = CATASTROPHIC,
    line: LineLike = LINE,
    by: Sequence[str] = (),
    design: Design | None = None,
    cliffs: bool = True,
    most: int = 10,
    progress: Progress | None = None,
) -> Simulation:
    """Settle the same people under a baseline and under each reform, and say what differs.

    `reforms` are files (joined with + they are one scenario); `baseline_reforms` are laid under the baseline and under
    each of them, so that two states of one law can be held against each other. With `behaviour` "stated" (as shipped),
    or a `Behaviour`, use responds to its price, and each reform stands there twice, with that response and without;
    "none" leaves the response out. `draws` repeats each reform on the first population with numbers drawn from their
    intervals:
    elasticities, and the in-scope share that a survey assumes. Several populations (say, twenty of different seeds)
    give means, with the spread between them in the errors; the households most changed are those of the first. `by`
    names columns of the households for protection by group.

    Raises UsageError: no_reform, same_reform, bad_draws, bad_choice; and what reading, settling and measuring raise.

    >>> from medfloor.simulation.population import population_of
    >>> claims = pl.DataFrame({"claim_id": ["c1"], "person_id": ["p1"], "care_type": ["inpatient"],
    ...     "start_date": ["2024-03-01"], "end_date": ["2024-03-10"], "facility_level": ["3"],
    ...     "total": [150000.0], "in_scope": [150000.0]})
    >>> people = pl.DataFrame({"person_id": ["p1", "p2"], "household_id": ["h1", "h2"]})
    >>> homes = pl.DataFrame({"household_id": ["h1", "h2"], "size": [1, 1], "consumption": [30000.0, 30000.0]})
    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     cap = Path(folder) / "cap.yaml"
    ...     _ = cap.write_text("change: {tiers/critical_illness/parts/year/deductible/amount: 1000}")
    ...     found = simulate(population_of(claims, people, homes), "cn/beijing@2024-01-01", [str(cap)],
    ...         definitions=[("budget", 0.4)], cliffs=False)
    >>> found.value("mean_spending", scenario="baseline") > found.value("mean_spending", scenario="cap")
    True
    """
    several = [populations] if isinstance(populations, Population) else list(populations)
    if not 0 <= draws <= 1000 or draws == 1:
        raise UsageError("bad_draws", f"{draws} draws: ask for 0 (none), or for 2 to 1,000")
    response = _response(behaviour)
    scenarios = scenarios_of(baseline, reforms, baseline_reforms=baseline_reforms)
    options = Options(definitions, line, tuple(by), design)
    runs: list[list[Measured]] = []
    first: World | None = None
    sizes: list[int] = []
    done, whole = 0, len(several) + draws
    for population in several:
        world = World.of(population, scenarios[0].law, often=whole * _settlings(scenarios, response))
        sizes.append(world.persons)
        premiums = premiums_by(world, scenarios)
        here: list[Measured] = []
        kept = Kept() if draws and not runs else None
        # Draws vary numbers and not people, so that those of one population speak for all.
        for draw in range(1 if runs else 1 + draws):
            rng = np.random.default_rng([seed, 2, len(runs), draw])
            place = _drawn_world(world, rng) if draw else world
            acting = response.drawn(rng) if draw and response else response
            asked = replace(options, design=_plain(options, place)) if draw else options
            same = place is world
            measured = measure(
                place, scenarios, acting, asked, premiums if same else None, seed=seed, kept=kept if same else None
            )
            # What a draw is for is its estimates: bills of millions are let go.
            here.append(replace(measured, bills={}) if draw or first is not None else measured)
            done += 1
            if progress is not None:
                progress(done, whole)
        runs.append(here)
        first = first or world
    assert first is not None
    found = _assembled(first, runs, scenarios, response, options, cliffs=cliffs, most=most, draws=draws)
    if max(sizes) > SAME_SIZE * min(sizes):
        note = Phrase.of("simulation.sizes", least=f"{min(sizes):,}", most=f"{max(sizes):,}")
        return replace(found, notes=(*found.notes, note))
    return found


def _settlings(scenarios: Sequence[Scenario], behaviour: Behaviour | None) -> int:
    """Say how often `bills_of` settles the claims; with a response as if always, because that takes the kernel."""
    return len(scenarios) if behaviour is None else 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Be one run over one population: the bills by law and response, and what they measure."""

    bills: Mapping[Key, Bills]
    protection: Result
    payers: Result
    groups: Result
    funds: Result
    use: Result
    regions: Result | None
    with_premiums: Result | None


@dataclass(slots=True, eq=False)
class Kept:
    """Be what of a world's bills does not hang on how use responds, so that draws of responses find it once.

    `laws` has by scenario its batch and bills, `expected` the prices under it; `prices` are those of the baseline.
    `groupings` part the people.
    """

    laws: dict[str, tuple[Batch, Bills]] = field(default_factory=dict)
    expected: dict[str, Array] = field(default_factory=dict)
    prices: Prices | None = None
    groupings: tuple[Grouping, ...] = ()


def bills_of(
    world: World,
    scenarios: Sequence[Scenario],
    behaviour: Behaviour | None = None,
    *,
    seed: int = 20201123,
    kept: Kept | None = None,
) -> dict[Key, Bills]:
    """Settle a world under each scenario, and with a behaviour also with the response to each reform.

    `kept` holds what an earlier call for this world and these scenarios found, and is filled by this one.
    """
    first = scenarios[0]
    _, base = _without_response(world, first, kept)
    found: dict[Key, Bills] = {(first.name, "none"): base}
    prices = kept.prices if kept is not None else None
    if behaviour is not None and prices is None:
        prices = prices_of(world)
        if kept is not None:
            kept.prices = prices
    for one in scenarios[1:]:
        batch, found[one.name, "none"] = _without_response(world, one, kept)
        if behaviour is not None and prices is not None:
            expected = kept.expected.get(one.name) if kept is not None else None
            if expected is None:
                expected = expected_under(world, prices, batch)
                if kept is not None:
                    kept.expected[one.name] = expected
            copies = copies_of(world, prices, batch, behaviour, seed=seed, expected=expected)
            found[one.name, "stated"] = world.bills(world.responding(batch, copies))
    return found


def _without_response(world: World, one: Scenario, kept: Kept | None) -> tuple[Batch, Bills]:
    if kept is not None and one.name in kept.laws:
        return kept.laws[one.name]
    batch = world.under(one.law)
    made = batch, world.bills(batch)
    if kept is not None:
        kept.laws[one.name] = made
    return made


def measure(
    world: World,
    scenarios: Sequence[Scenario],
    behaviour: Behaviour | None,
    options: Options,
    premiums: Premiums | None = None,
    *,
    seed: int = 20201123,
    kept: Kept | None = None,
) -> Measured:
    """Settle a world under each scenario and measure protection, payers, groups, funds and use."""
    premiums = premiums if premiums is not None else premiums_by(world, scenarios)
    bills = bills_of(world, scenarios, behaviour, seed=seed, kept=kept)
    changes = contributions_of(world, scenarios, premiums)
    homes = world.homes
    groupings = kept.groupings if kept is not None else ()
    groupings = groupings or groupings_of(world)
    if kept is not None:
        kept.groupings = groupings
    return Measured(
        bills,
        _protection(world, bills, changes, options, premiums=False),
        payers(world, homes, bills, design=options.design),
        winners(world, homes, bills, groupings, changes.people, design=options.design),
        funds_of(world, bills, premiums, changes, design=options.design),
        use_of(world, bills, design=options.design),
        regions_of(world, bills, scenarios, premiums, design=options.design),
        _protection(world, bills, changes, options, premiums=True) if changes.people else None,
    )


def _protection(
    world: World, bills: Mapping[Key, Bills], changes: Contributions, options: Options, *, premiums: bool
) -> Result:
    """Measure protection by own spending, or by own spending and what the laws change in people's premiums."""
    columns: dict[str, Array] = {}
    first = next(iter(bills.values()))
    owns = own_by_home(world, list(bills.values()))
    for place, ((scenario, _), one) in enumerate(bills.items()):
        due = premiums and scenario in changes.people
        columns[f"own_{place}"] = owns[place] + (world.by_home(changes.people[scenario]) if due else 0.0)
        columns[f"paid_{place}"] = world.by_home(one.covered)
        if changes.people:
            columns[f"cost_{place}"] = world.by_home(changes.public_cost(scenario, one, first))
    framed = world.homes.with_columns(**{name: pl.Series(values) for name, values in columns.items()})
    found = protection(
        framed, list(bills), definitions=options.definitions, line=options.line, by=options.by, design=options.design
    )
    if not premiums:
        return found
    told = Phrase.of("simulation.with_premiums", protection=found.definition)
    return replace(found, measure="simulation_with_premiums", definition=told)


def _plain(options: Options, world: World) -> Design:
    """Give the design of a draw, of which only the estimates count."""
    return replace(options.design or design_in(world.homes), method="none")


def _response(behaviour: Response | Behaviour) -> Behaviour | None:
    if isinstance(behaviour, Behaviour):
        return behaviour
    if behaviour not in RESPONSES:
        raise UsageError("bad_choice", f"there is no behaviour {behaviour!r}; use {', '.join(RESPONSES)}")
    return stated() if behaviour == "stated" else None


def _drawn_world(world: World, rng: np.random.Generator) -> World:
    """Give the world of a survey with another in-scope share; every other world as it is."""
    assumed = world.population.assumed
    if assumed is None or assumed.low is None or assumed.high is None:
        return world
    share = float(rng.uniform(assumed.low, assumed.high))
    return World.of(world.population.assuming(share), world.law, threads=world.threads)


def _assembled(
    world: World,
    runs: Sequence[Sequence[Measured]],
    scenarios: Sequence[Scenario],
    behaviour: Behaviour | None,
    options: Options,
    *,
    cliffs: bool,
    most: int,
    draws: int,
) -> Simulation:
    bills = runs[0][0].bills
    joined = {
        name: together([[getattr(one, name) for one in draw] for draw in runs])
        for name in RESULTS
        if all(getattr(one, name) is not None for draw in runs for one in draw)
    }
    results = {name: joined[name][0] for name in joined}
    base = bills[scenarios[0].name, "none"]
    changed: list[Changed] = []
    for one in scenarios[1:]:
        changed += most_changed(world, scenarios[0], one, base, bills[one.name, "none"], most=most)
    year = int(world.batch.columns.year[0])
    unmoved = [one.name for one in scenarios[1:] if np.array_equal(bills[one.name, "none"].own, base.own)]
    premiums = premiums_by(world, scenarios)
    changes = contributions_of(world, scenarios, premiums)
    notes = [*_notes(world, behaviour, len(runs), draws), *about_premiums(world, premiums, changes)]
    notes += [Phrase("simulation.premiums_note")] if changes.people else []
    notes += [Phrase.of("simulation.not_reached", scenario=name) for name in unmoved]
    return Simulation(
        scenarios=tuple(scenarios),
        people=world.persons,
        households=world.homes.height,
        claims=world.batch.height,
        synthetic=world.population.synthetic,
        protection=results["protection"],
        payers=results["payers"],
        groups=results["groups"],
        funds=results["funds"],
        use=results["use"],
        regions=results.get("regions"),
        with_premiums=results.get("with_premiums"),
        rejects=world.population.rejects,
        errors={name: found[1] for name, found in joined.items()},
        jumps=jumps_of(list(scenarios), year) if cliffs else None,
        changed=tuple(changed),
        flags=tuple(flag for name in FLAGGED if name in results for flag in flags_of(results[name]))
        if behaviour is not None
        else (),
        notes=tuple(notes),
    )


def flags_of(result: Result) -> tuple[Flag, ...]:
    """List the changes that are clear at zero response and, with the stated one, not clear or of the other sign.

    Clear is what a test tells from no change. Where no errors were worked out there is no test, and a change is flagged
    if it turns to the other sign or to nothing.
    """
    rows = result.rows.filter(pl.col("statistic").is_in(CHANGES))
    absent = [name for name in ("by", "group") if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
    if result.measure == "simulation_groups":  # what everybody together bears stands among the payers
        rows = rows.filter(pl.col("by").is_not_null())
    labels = [one for one in rows.columns if one not in (*SCHEMA, "response")]
    zero = rows.filter(pl.col("response") == "none")
    other = rows.filter(pl.col("response") == "stated").select(*labels, "estimate", "p")
    pairs = zero.join(other, on=labels, how="inner", suffix="_stated", nulls_equal=True, maintain_order="left")
    untested = rows["p"].null_count() == rows.height

    def clear(value: float, p: float | None) -> bool:
        return abs(value) > _NOTHING if untested else p is not None and p < CLEAR

    found = []
    for row in pairs.iter_rows(named=True):
        before, after = row["estimate"], row["estimate_stated"]
        if before is None or after is None or not clear(before, row["p"]):
            continue
        turns = before * after < 0 and clear(after, row["p_stated"])
        if turns or not clear(after, row["p_stated"]):
            of = row.get("of") or row["statistic"]
            told = tuple((one, row[one]) for one in labels if one not in _TOLD_APART and row[one] is not None)
            group = (str(row["by"]), str(row["group"])) if row["by"] is not None else None
            premiums = result.measure == "simulation_with_premiums"
            found.append(Flag(str(row["scenario"]), str(of), told, before, after, group, premiums, turns))
    return tuple(found)


def _label(name: str, value: object, lang: str) -> str:
    return f"{100 * value:g} %" if name == "threshold" and isinstance(value, float) else label_of(name, value, lang)


FLAGGED = ("protection", "with_premiums", "payers", "groups")
"""The results whose conclusions are looked at; what the funds pay out more stands among the payers."""

CHANGES = ("reform_change", "mean_change", "bill_change")
_TOLD_APART = ("statistic", "of", "scenario", "by", "group", "against")
_NOTHING = 1e-9


def _notes(world: World, behaviour: Behaviour | None, populations: int, draws: int) -> list[Phrase]:
    notes = [Phrase("simulation.synthetic")] if world.population.synthetic else []
    assumed = world.population.assumed
    if assumed is not None:
        notes.append(Phrase.of("simulation.assumed", share=f"{100 * assumed.in_scope:g}"))
    notes += list(_set_aside(world.population))
    if world.refused:
        number = sum(world.refused.values())
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in world.refused.items())
        notes.append(Phrase.of("simulation.refused", number=f"{number:,}", reasons=reasons))
    homeless = int((world.home < 0).sum())
    if homeless:
        notes.append(Phrase.of("simulation.homeless", number=f"{homeless:,}"))
    if behaviour is None:
        notes.append(Phrase("simulation.zero"))
    else:
        words = [Phrase(f"simulation.{name}") for name in ("expected", "beside", "more_care")]
        notes += [behaviour.words(), *words]
    if populations > 1:
        notes.append(Phrase.of("simulation.populations", number=populations))
    if world.population.synthetic and populations < TWENTY:
        notes.append(Phrase.of("simulation.fewer", number=TWENTY, fresh=TWENTY - 1))
    if draws:
        notes.append(Phrase.of("simulation.draws", number=draws))
    return notes


def _set_aside(population: Population) -> Iterator[Phrase]:
    """Say which rows of a survey, or households of a population, are in no figure, and what was taken as zero."""
    sifted, rejects = population.sifted, population.rejects
    if sifted is not None and sifted.zeroed:
        yield Phrase.of("simulation.taken_as_zero", number=f"{sifted.zeroed:,}")
    if sifted is not None and sifted.rejects.height:
        yield Phrase.of(
            "simulation.set_aside", rows=f"{sifted.rejects.height:,}", all=f"{sifted.rows_in:,}",
            homes=f"{sifted.homes_aside:,}", reasons=", ".join(f"{one} {n:,}" for one, n in sifted.reasons.items()),
            spent=f"{sifted.spent_in:,.2f}", used=f"{sifted.spent:,.2f}", aside=f"{sifted.spent_aside:,.2f}",
            unknown=f"{sifted.unknown:,}",
        )  # fmt: skip
    elif rejects is not None:
        counts = rejects["reason"].value_counts(sort=True).iter_rows()
        reasons = ", ".join(f"{one} {n:,}" for one, n in counts)
        yield Phrase.of("simulation.homes_aside", number=f"{rejects.height:,}", reasons=reasons)
