"""Follow one arm through the months of a county: visits, cases by rule, help, recovery and exit.

Every case is a `medfloor.watch.cases.Case` that real events move through `apply`, so no step of the loop can be one
that the rule forbids. Numbers by household and month stand beside it in arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from medfloor.watch.arms import Arm, Harm
from medfloor.watch.calendar import shipped_calendar
from medfloor.watch.capacity import credits, give_week
from medfloor.watch.cases import Case, Category, Event, apply, open_case
from medfloor.watch.deadlines import CaseRules, load_case_rules, notice_until, removal_from, visit_due
from medfloor.watch.world import Array, Flags, Ints, Setting, World, month_start

NEVER = 1 << 30
VISITOR, TOWNSHIP, COUNTY = "visitor", "township", "county"
COUNTS = (
    "alerts", "visits", "late", "in_vain", "recognised", "refused", "relapsed", "removed", "again", "follow_ups",
    "waiting",
)  # fmt: skip
"""What an arm counts: cases found, visits, visits after their day, visits to households that neither are nor will be
under the line within `ahead_months`, decisions, setbacks, removals, those found again after removal, follow-up visits,
and who still waits at the end."""


@dataclass(eq=False)
class Followed:
    """Be what an arm did: whom it visited, what was found, helped and let go; money in whole fen.

    `monitored` by month and household: the status runs on the month's first day. `own` by year, household and month:
    what households paid themselves. `help` by year and household: given against what was missing. `cases` by household;
    `counts` of steps (`COUNTS`).
    """

    world: World
    own: Ints
    help: Ints
    monitored: Flags
    cases: dict[int, Case]
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def gap(self) -> Ints:
        """Give by year and household what is missing to the line after care and help."""
        return np.asarray(missing(self.world, self.own) - self.help, np.int64)


def follow(world: World, setting: Setting, arm: Arm, harm: Harm, *, capacity: int | None = None) -> Followed:
    """Let an arm work through all months with so many visits a week; chance is the same in every arm of a seed.

    >>> from medfloor.watch.arms import ARMS, harms
    >>> from medfloor.watch.world import make_world
    >>> setting = Setting(people=1_000, years=1)
    >>> world = make_world(setting, 1)
    >>> done = follow(world, setting, ARMS["none"], harms(world, setting, (ARMS["none"],))["none"])
    >>> done.counts["visits"], bool((done.own == world.own[0]).all())
    (0, True)
    """
    office = _Office(world, setting, arm, setting.capacity if capacity is None else capacity)
    for month in range(world.months):
        office.hear(harm(month), month)
        office.look_over(month)
        for week in office.weeks[month]:
            office.visit(week, month)
    return office.done()


def missing(world: World, own: Ints) -> Ints:
    """Say by year and household what income less own payments lacks to the line."""
    return np.asarray(np.maximum(0, world.line[:, None] * world.size - (world.income - own.sum(axis=2))), np.int64)


class _Office:
    """Be the desk: lists, cases, and what was decided so far.

    By household: `since` is the month with which its status begins (NEVER while it has none), `found` the month and
    `due` the day of its alert, `rests_until` the month from which it may be found again, `steady` for how many months
    its income after care has been above the line, `proposed` whether its risk was called gone.
    """

    def __init__(self, world: World, setting: Setting, arm: Arm, capacity: int) -> None:
        self.world, self.setting, self.arm, self.capacity = world, setting, arm, capacity
        homes = len(world.ids)
        self.calendar = shipped_calendar()
        self.rules = [load_case_rules(setting.place, on=date(world.first_year + y, 1, 1)) for y in range(world.years)]
        # Chance belongs to household and month, so that every arm that comes by then finds the same.
        self.luck = np.random.default_rng([world.seed, 7]).random((world.months, homes))
        self.own = world.own[0].copy()
        self.cases: dict[int, Case] = {}
        self.waiting, self.proposed = np.zeros(homes, np.bool_), np.zeros(homes, np.bool_)
        self.found, self.due, self.rests_until = (np.zeros(homes, np.int64) for _ in range(3))
        self.steady = np.zeros(homes, np.int64)
        self.harm = np.zeros(homes)
        self.since = np.full(homes, NEVER)
        self.monitored = np.zeros((world.months, homes), np.bool_)
        self.helped = np.zeros((world.years, homes), np.bool_)
        self.visited = np.zeros(len(world.towns), np.int64)
        self.households = tuple(np.bincount(world.township, minlength=len(world.towns)).tolist())
        self.counts = dict.fromkeys(COUNTS, 0)
        self.first = month_start(world, 0)
        self.weeks: list[list[int]] = [[] for _ in range(world.months)]
        for week in range((month_start(world, world.months) - self.first).days // 7):
            day = self.first + timedelta(days=7 * week)
            self.weeks[(day.year - self.first.year) * 12 + day.month - 1].append(week)

    def hear(self, harm: Array, month: int) -> None:
        """Take in what the arm says at the start of a month."""
        may = self.world.free & (self.since == NEVER) & (self.rests_until <= month) & (harm > 0)
        if not self.arm.lists:
            self.waiting, self.harm = may, harm
            return
        day = month_start(self.world, month)
        due = visit_due(day, self.rules[month // 12], self.calendar).day.toordinal()
        for home in np.flatnonzero(may & ~self.waiting).tolist():
            self._open(home, day)
            self.found[home], self.due[home] = month, due
        self.waiting |= may
        # Who waits and fires no more keeps the harm of the last alert: a case found never vanishes.
        self.harm = np.where(may, harm, self.harm)

    def look_over(self, month: int) -> None:
        """Look at who is monitored: half a year above the line lets a case end, a setback takes it back."""
        year = month // 12
        rules = self.rules[year]
        mine = self.since <= month
        self.monitored[month] = mine
        self.helped[year] |= mine
        if month % 12 == 0:
            self.own[year, mine] = self.world.own[1, year, mine]
        every = int(self.setting.number("follow_up_months"))
        self.counts["follow_ups"] += int((mine & (month > self.since) & ((month - self.since) % every == 0)).sum())
        left = self._rolling(month)
        ahead = left >= (self.world.line[year] + 1) * self.world.size
        self.steady = np.where(ahead, self.steady + 1, 0)
        day = month_start(self.world, month)
        for home in np.flatnonzero(mine & self.proposed).tolist():
            if ahead[home]:
                self._let_go(home, rules, day)
            else:
                self._step(home, Event("relapsed", day, TOWNSHIP, reason="not above the line"), rules)
                self.proposed[home] = False
                self.counts["relapsed"] += 1
        long = self.steady > rules.number("stable_at_least")
        still = (self.since <= month) & ~self.proposed
        for home in np.flatnonzero(still & long & self.world.able[year]).tolist():
            head, line = int(left[home] // self.world.size[home]), int(self.world.line[year])
            since = month_start(self.world, month - int(self.steady[home]) + 1)
            called = Event(
                "risk_stable", day, TOWNSHIP, income_head_fen=head, line_head_fen=line, stable_since=since,
                spending_solved=True, guarantees_met=True, labour_capacity=True,
            )  # fmt: skip
            self._step(home, called, rules)
            self._step(home, Event("published", day, TOWNSHIP), rules)
            self.proposed[home] = True

    def visit(self, week: int, month: int) -> None:
        """Give the week's visits, and decide by what is seen."""
        rows = np.flatnonzero(self.waiting)
        if not rows.size or not self.capacity:
            return
        day = self.first + timedelta(days=7 * week)
        harm, found = self.harm[rows], self.found[rows]
        order = np.lexsort((rows, found) if self.arm.method == "first_come" else (rows, found, -harm))
        by_deadline = self.arm.lists and self.arm.method == "harm"
        pressing = (self.due[rows] <= day.toordinal() + 6) if by_deadline else np.zeros(len(rows), np.bool_)
        town = self.world.township[rows]
        owed = credits(self.households, self.capacity, str(self.setting.share), week + 1) - self.visited
        everybody = np.ones(len(rows), np.bool_)
        chosen, _ = give_week(order, pressing, town, everybody, capacity=self.capacity, owed=owed)
        for home in rows[chosen].tolist():
            self._see(home, day, month)
        self.visited += np.bincount(town[chosen], minlength=len(self.world.towns))

    def done(self) -> Followed:
        """Give what came of it, with the help that was given against what was missing."""
        most = round(self.setting.number("help_at_most") * 100)
        given = np.where(self.helped, np.minimum(missing(self.world, self.own), most), 0)
        self.counts["waiting"] = int(self.waiting.sum()) if self.arm.lists else 0
        return Followed(self.world, self.own, given, self.monitored, self.cases, self.counts)

    def _see(self, home: int, day: date, month: int) -> None:
        """Visit a household: what is under the line is mostly seen, what is coming sometimes, and some see ghosts."""
        world, setting = self.world, self.setting
        year, part = divmod(month, 12)
        rules = self.rules[year]
        if not self.arm.lists:
            self._open(home, day)
        elif day.toordinal() > self.due[home]:
            self.counts["late"] += 1
        self.waiting[home] = False
        self.counts["visits"] += 1
        left = int(world.income[year, home] - self.own[year, home, :part].sum())
        line, size = int(world.line[year]), int(world.size[home])
        now = left < line * size
        soon = bool(world.under[month : month + int(setting.number("ahead_months")), home].any())
        self.counts["in_vain"] += not (now or soon)
        if left // size <= line:
            # Months of stable income begin again after a visit that found it at or below the line.
            self.steady[home] = 0
        chance = setting.number("sees" if now else "foresees" if soon else "mistakes")
        seen = {"income_head_fen": left // size, "line_head_fen": line, "labour_capacity": bool(world.able[year, home])}
        self._step(home, Event("verified", day, VISITOR, **seen), rules)  # type: ignore[arg-type]
        if self.luck[month, home] >= chance:
            self._step(home, Event("refused", day, TOWNSHIP, reason="no risk seen"), rules)
            rest = 12 * (year + 1) if self.arm.yearly else month + int(setting.number("rest_months"))
            self.rests_until[home] = rest
            self.counts["refused"] += 1
            return
        self._recognise(home, day + timedelta(days=1), "edge" if now else "sudden", rules)

    def _recognise(self, home: int, day: date, category: Category, rules: CaseRules) -> None:
        """Publish, recognise when the notice is over, and give the status from the first of the next month on."""
        decided = notice_until(day, rules, self.calendar).day + timedelta(days=1)
        start = (decided.year - self.first.year) * 12 + decided.month
        self._step(home, Event("published", day, TOWNSHIP, category=category), rules)
        self._step(home, Event("recognised", decided, COUNTY, category=category), rules)
        given = Event(
            "helped", month_start(self.world, start), TOWNSHIP, measure=self.setting.status, given_by="county"
        )
        self._step(home, given, rules)
        self.since[home] = start
        self.counts["recognised"] += 1
        if decided.year - self.first.year < self.world.years:
            self.helped[decided.year - self.first.year, home] = True
        year, part = divmod(start, 12)
        if year < self.world.years:
            self.own[year, home] = self.world.own[part + 1, year, home]

    def _let_go(self, home: int, rules: CaseRules, day: date) -> None:
        """End a case whose months are over; its status runs to the end of the year."""
        case = self.cases[home]
        assert case.recognised_on and case.stable_since and case.exit_published_on
        since, _ = removal_from(case.recognised_on, case.stable_since, case.exit_published_on, rules, self.calendar)
        if since.day > day:
            return
        self._step(home, Event("removed", day, COUNTY), rules)
        self.since[home], self.proposed[home] = NEVER, False
        self.rests_until[home] = 12 * (day.year - self.first.year + 1)
        self.counts["removed"] += 1

    def _open(self, home: int, day: date) -> None:
        self.counts["alerts"] += 1
        known = self.cases.get(home)
        if known is None:
            found = Event("found", day, "screening", source="alert")
            self.cases[home] = open_case(
                found, case_id=f"c-{home}", household_id=self.world.ids[home], place=self.setting.place
            )
            return
        self.counts["again"] += known.state == "removed"
        again = Event("re_entered", day, "screening", source="alert")
        self._step(home, again, self.rules[min(day.year - self.first.year, self.world.years - 1)])

    def _step(self, home: int, event: Event, rules: CaseRules) -> None:
        self.cases[home] = apply(self.cases[home], event, rules, self.calendar)

    def _rolling(self, month: int) -> Ints:
        """Give income less own payments of the twelve months before a month."""
        year, part = divmod(month, 12)
        world = self.world
        income_last = world.income[year - 1] if year else world.income_before
        own_last = self.own[year - 1] if year else world.before
        income = world.income[year] * part // 12 + income_last * (12 - part) // 12
        return np.asarray(income - self.own[year, :, :part].sum(axis=1) - own_last[:, part:].sum(axis=1), np.int64)
