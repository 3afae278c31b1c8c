"""Plant errors of every kind in made-up claims, and judge what the rules find of them.

Planted errors are of our own making: recall on them says that a rule works as written, and precision how often claims
without a planted error fall under it by chance. Neither says how many leads in real claims stand up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.fund.supervision.leads import Leads
from medfloor.fund.supervision.reading import PAID
from medfloor.fund.supervision.rules import Rules, shipped_rules, shown
from medfloor.terminal import aligned
from medfloor.words import Phrase, join, say

BARS: dict[str, float] = {
    "duplicate": 0.99, "split_stay": 0.99, "readmission": 0.95, "visit_in_stay": 0.99, "stays_overlap": 0.99,
    "two_facilities": 0.99, "after_death": 0.99, "sex_diagnosis": 0.99, "age_diagnosis": 0.99, "sex_item": 0.99,
    "age_item": 0.99, "day_limit": 0.99, "price_limit": 0.99, "cost_outlier": 0.80, "facility_peers": 0.99,
    "facility_month": 0.99, "near_cap": 0.99, "near_budget": 0.99, "double_enrolment": 0.99,
}  # fmt: skip
"""The recall that each rule is to reach on errors planted of its kind."""

UPCODED = "upcoding"
"""Claims made 2.5 times as dear: a kind that no rule is made for, judged against cost_outlier, without a bar."""

_PLACES = {"primary": 20, "1": 6, "2": 6, "3": 4}
_DRIFTS = ("facility_peers", "facility_month")
"""Rules of which one error is planted, whatever is asked: a facility, and a month of another."""

_MOST_CAPS, _MOST_BUDGETS = 10, 5
"""At most as many: each makes a stay dear, which moves the middle of its group; there are 36 facilities."""

_OF_CLAIMS: dict[str, pl.DataType] = {
    **dict.fromkeys(("claim_id", "person_id", "care_type", "facility_level", "diagnosis"), pl.String()),
    **dict.fromkeys(("start_date", "end_date"), pl.Date()),
    **dict.fromkeys(("total", "off_catalogue", "over_limit", "first_self_pay", "in_scope"), pl.Float64()),
}
_OF_PEOPLE: dict[str, pl.DataType] = {
    **dict.fromkeys(("person_id", "sex", "scheme"), pl.String()), "birth_date": pl.Date(),
}  # fmt: skip
"""What of the tables of `synthesise` is changed or asked, with its type."""

_MONEY = ("total", "off_catalogue", "over_limit", "first_self_pay", "in_scope")


@dataclass(frozen=True, eq=False, slots=True)
class Planted:
    """Be claims with planted errors, and the tables that they need; `truth` says what was planted.

    Frames are as files spell them (yuan). `truth` has rule and key: a claim_id, or the person or facility of rules that
    are not of one claim. Everything is made up.
    """

    claims: pl.DataFrame
    people: pl.DataFrame
    items: pl.DataFrame
    catalogue: pl.DataFrame
    facilities: pl.DataFrame
    truth: pl.DataFrame
    fewer: tuple[Phrase, ...] = ()
    """Kinds of which fewer were planted than asked, because the claims have no room for more."""


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """Be how much of what was planted was found: a row a rule with planted, found, leads, recall, precision and bar.

    `fewer` names kinds of which fewer were planted than asked.
    """

    rows: pl.DataFrame
    fewer: tuple[Phrase, ...] = ()

    def under(self) -> list[Phrase]:
        """List the rules that found fewer than asked (`BARS`)."""
        low = self.rows.filter(pl.col("recall") < pl.col("bar"))
        return [
            Phrase.of(
                "supervision_planting.under", rule=Phrase(f"supervision_rule.{row['rule']}"), found=f"{row['found']:,}",
                planted=f"{row['planted']:,}", recall=_share(row["recall"]), bar=_share(row["bar"]),
            )
            for row in low.iter_rows(named=True)
        ]  # fmt: skip

    def warnings(self, lang: str) -> list[str]:
        """Say of which kinds fewer were planted, and of which fewer were found, than asked."""
        told = {"warning": self.fewer, "warning_under": self.under()}
        return [
            say(f"supervision_planting.{key}", lang, what=join([one.say(lang) for one in phrases], lang))
            for key, phrases in told.items()
            if phrases
        ]

    def text(self, lang: str = "en") -> str:
        """Give it as a table, with what recall and precision here say and what not."""
        heads = [
            say(f"supervision.{one}", lang)
            for one in ("rule", "planted", "found", "leads", "recall", "precision", "bar")
        ]
        body = [
            [say(f"supervision_rule.{row['rule']}", lang), *(f"{row[one]:,}" for one in ("planted", "found", "leads")),
             *(_share(row[one]) for one in ("recall", "precision", "bar"))]
            for row in self.rows.iter_rows(named=True)
        ]  # fmt: skip
        title = say("supervision.judged", lang)
        return "\n".join(
            [title, *aligned([heads, *body], right=[1, 2, 3, 4, 5, 6]), say("supervision.judged_note", lang),
             *self.warnings(lang)]
        )  # fmt: skip

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the rows with the rules in words."""
        titles = [say(f"supervision_rule.{one}", lang) for one in self.rows["rule"]]
        return self.rows.with_columns(pl.Series("title", titles, pl.String))

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give the rows for JSON."""
        return {
            "rows": self.to_frame(lang).to_dicts(),
            "note": say("supervision.judged_note", lang),
            "warnings": self.warnings(lang),
        }


def judge(leads: Leads, truth: pl.DataFrame, *, fewer: Sequence[Phrase] = ()) -> Judged:
    """Hold leads against what was planted; `fewer` is what `Planted` says of kinds that had no room.

    A planted error is found where a lead of its rule names it, as its claim or beside it. Precision is the share of a
    rule's leads that name something planted under that rule.

    Raises UsageError bad_truth where truth lacks its columns or names a rule that there is not.
    """
    if not {"rule", "key"} <= set(truth.columns):
        raise UsageError("bad_truth", f"what was planted has columns {', '.join(truth.columns)}; it needs rule and key")
    names = {one.name for one in leads.rules.all} | {UPCODED}
    unknown = set(truth["rule"]) - names
    if unknown:
        raise UsageError("bad_truth", f"there is no rule {sorted(map(str, unknown))[0]}")
    keys = ("claim_id", "person_id", "provider_id")
    rows = []
    for name in (*(one.name for one in leads.rules.all), UPCODED):
        planted = set(truth.filter(pl.col("rule") == name)["key"])
        if not planted:
            continue
        own = leads.leads.filter(pl.col("rule") == ("cost_outlier" if name == UPCODED else name))
        if name == "facility_month":
            own = own.with_columns(
                pl.format("{}|{}", "provider_id", pl.col("day").dt.strftime("%Y-%m")).alias("provider_id")
            )
        named = [
            {row[key] for key in keys} | set((row["others"] or "").split(";")) for row in own.iter_rows(named=True)
        ]
        found = planted & set().union(*named)
        hits = sum(bool(planted & one) for one in named)
        rows.append(
            {
                "rule": name, "planted": len(planted), "found": len(found), "leads": own.height,
                "recall": len(found) / len(planted), "precision": hits / own.height if own.height else None,
                "bar": BARS.get(name),
            }
        )  # fmt: skip
    schema: dict[str, pl.DataType] = {"rule": pl.String()}
    schema |= dict.fromkeys(("planted", "found", "leads"), pl.Int64())
    schema |= dict.fromkeys(("recall", "precision", "bar"), pl.Float64())
    return Judged(pl.DataFrame(rows, schema=schema), tuple(fewer))


def plant(
    claims: pl.DataFrame, people: pl.DataFrame, *, seed: int, many: int = 40, rules: Rules | None = None
) -> Planted:
    """Plant `many` errors of each kind in claims and people that `synthesise` made up, from a seed.

    Facilities, times of visits and charge lines are made up first, because the county has none. The parameters of
    `rules` say what an error is (ceiling, days). A claim gets one error at most.

    Raises UsageError not_made_up for claims that do not say that they are made up, too_few_claims where there are not
    enough for `many` of each kind.
    """
    for name, frame in (("claims", claims), ("people", people)):
        if "synthetic" not in frame.columns:
            raise UsageError(
                "not_made_up", f"the {name} do not say that they are made up; errors are planted in nothing else"
            )
    claims, people = _made_up(claims, "claims", _OF_CLAIMS), _made_up(people, "people", _OF_PEOPLE)
    if many < 1:
        raise UsageError("too_few_claims", f"{many} errors of a kind are none; plant 1 or more")
    return _Planting(
        claims, people, np.random.default_rng(seed), many, shipped_rules() if rules is None else rules
    ).done()


def _made_up(frame: pl.DataFrame, name: str, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Give a table of `synthesise` its types, which a CSV file loses."""
    lacking = [one for one in columns if one not in frame.columns]
    if lacking:
        raise UsageError(
            "not_made_up",
            f"the {name} have no column {', '.join(lacking)}; give the {name} of a folder that `medfloor synthesise` "
            "wrote",
        )
    for one, kind in columns.items():
        given = frame[one]
        if given.dtype == kind or given.dtype == pl.String == kind:
            continue
        made = given.str.to_date("%Y-%m-%d", strict=False) if kind == pl.Date and given.dtype == pl.String else None
        made = given.cast(kind, strict=False) if made is None else made
        if made.null_count() > given.null_count():
            raise UsageError(
                "not_made_up",
                f"the {name} have values in {one} that are not as `medfloor synthesise` writes them; give its files "
                "unchanged",
            )
        frame = frame.with_columns(made)
    return frame


class _Planting:
    """Hold the claims while errors are planted in them, kind by kind."""

    def __init__(self, claims: pl.DataFrame, people: pl.DataFrame, rng: np.random.Generator, many: int, rules: Rules):
        self.rng, self.many, self.rules, self.people = rng, many, rules, people
        self.facilities = pl.DataFrame(
            [{"provider_id": f"f{level}-{k:02d}", "level": level} for level, n in _PLACES.items() for k in range(n)]
        )
        # What was paid would no longer follow from costs that are changed here.
        if claims["person_id"].null_count() or not claims.height:
            raise UsageError("too_few_claims", "there are no claims of known people; make a county with some")
        self.claims = self._placed(claims.drop(PAID, strict=False))
        self.new: list[pl.DataFrame] = []
        self.truth: list[dict[str, str]] = []
        self.none: list[Phrase] = []
        self.used: set[str] = set()
        self.at = 0

    def done(self) -> Planted:
        """Plant every kind, and give the tables."""
        self._drifts()  # first, because they change many claims of a facility
        self._copies()
        self._stays()
        self._visits()
        self._diagnoses()
        self._costs()
        self._near_cap()
        people = self._people()
        claims = pl.concat([self.claims, *self.new]).sort("person_id", "start_date", "claim_id")
        items, catalogue = self._lines(claims)
        facilities = self._budgets(claims)
        truth = pl.DataFrame(self.truth, schema={"rule": pl.String, "key": pl.String})
        return Planted(claims, people, items, catalogue, facilities, truth, self._fewer(truth))

    def _fewer(self, truth: pl.DataFrame) -> tuple[Phrase, ...]:
        """Say of which kinds fewer were planted than asked."""
        asked = {**dict.fromkeys(BARS, self.many), "two_facilities": 2 * self.many, UPCODED: self.many}
        asked |= {"near_cap": min(self.many, _MOST_CAPS), "near_budget": min(self.many, _MOST_BUDGETS)}
        many = dict(truth["rule"].value_counts().iter_rows())
        short = [
            Phrase.of(
                "supervision_planting.fewer", rule=Phrase(f"supervision_rule.{name}"),
                planted=f"{many.get(name, 0):,}", asked=f"{number:,}",
            )
            for name, number in asked.items()
            if name not in _DRIFTS and many.get(name, 0) < number
        ]  # fmt: skip
        return (*self.none, *short)

    def _placed(self, claims: pl.DataFrame) -> pl.DataFrame:
        """Give each person one facility of a level, to which nine of ten claims go, and each visit a time."""
        rng = self.rng
        person = claims["person_id"].rank("dense").to_numpy() - 1
        level = claims["facility_level"].to_numpy()
        home = {one: rng.integers(0, n, int(person.max()) + 1) for one, n in _PLACES.items()}
        number = np.zeros(claims.height, np.int64)
        for one, n in _PLACES.items():
            here = level == one
            number[here] = np.where(
                rng.random(here.sum()) < 0.9, home[one][person[here]], rng.integers(0, n, here.sum())
            )
        names = [f"f{one}-{k:02d}" for one, k in zip(level, number, strict=True)]
        minute = rng.integers(8 * 60, 17 * 60, claims.height)
        times = [f"{m // 60:02d}:{m % 60:02d}" for m in minute]
        return claims.with_columns(pl.Series("provider_id", names), pl.Series("visit_time", times))

    def _some(self, which: pl.Expr, many: int | None = None) -> pl.DataFrame:
        """Draw claims that have no planted error yet, and mark them as used."""
        many = self.many if many is None else many
        open_ = self.claims.filter(which, ~pl.col("claim_id").is_in(list(self.used)))
        if open_.height < many:
            raise UsageError(
                "too_few_claims",
                f"{open_.height:,} claims are left for {many} errors of a kind; plant fewer, or make a larger county",
            )
        chosen = open_[np.sort(self.rng.choice(open_.height, many, replace=False))]
        self.used |= set(chosen["claim_id"])
        return chosen

    def _add(self, rows: pl.DataFrame, rule: str | None) -> None:
        """Add rows under new numbers; `rule` is what was planted."""
        ids = [f"planted-{self.at + k:06d}" for k in range(rows.height)]
        self.at += rows.height
        self.new.append(rows.with_columns(pl.Series("claim_id", ids)).select(self.claims.columns))
        if rule:
            self._tell(rule, ids)

    def _tell(self, rule: str, keys: list[str]) -> None:
        self.truth += [{"rule": rule, "key": key} for key in keys]

    def _change(self, rows: pl.DataFrame) -> None:
        """Put changed rows in the place of those with their numbers."""
        self.claims = self.claims.update(rows.select(self.claims.columns), on="claim_id", how="left")

    def _days(self, low: int, high: int, rows: int) -> pl.Series:
        return pl.Series("shift", self.rng.integers(low, high + 1, rows), pl.Int64)

    def _elsewhere(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Send rows to another facility of their level."""
        moved = []
        for provider in rows["provider_id"]:
            level, _, number = provider[1:].partition("-")
            moved.append(f"f{level}-{(int(number) + 1) % _PLACES[level]:02d}")
        return rows.with_columns(pl.Series("provider_id", moved))

    def _copies(self) -> None:
        self._add(self._some(pl.col("total") > 0), "duplicate")

    def _stays(self) -> None:
        stay, days = pl.col("care_type") == "inpatient", (pl.col("end_date") - pl.col("start_date")).dt.total_days()
        long = self._some(stay & (days >= 4))
        middle = pl.col("start_date") + pl.duration(days=days // 2)
        first = long.with_columns(middle.alias("end_date"), *_scaled(0.5))
        rest = long.with_columns(middle.alias("start_date"), *_rest(0.5))
        self._change(first)
        self._add(rest, "split_stay")
        limit = int(self.rules["readmission"]["days"])
        again = self._some(stay & (days >= 1))
        gap = self._days(min(2, limit), limit, again.height)
        again = again.with_columns(gap).with_columns(
            (pl.col("end_date") + pl.duration(days="shift")).alias("start_date")
        )
        again = again.with_columns((pl.col("start_date") + pl.duration(days=3)).alias("end_date"))
        self._add(self._elsewhere(again), "readmission")
        over = self._some(stay & (days >= 2))
        self._add(over.with_columns(pl.col("start_date") + timedelta(days=1), *_scaled(0.7)), "stays_overlap")
        two = self._some(stay & (days >= 2))
        self._add(self._elsewhere(two.with_columns(pl.col("start_date") + timedelta(days=1))), "two_facilities")

    def _visits(self) -> None:
        days = (pl.col("end_date") - pl.col("start_date")).dt.total_days()
        stays = self._some((pl.col("care_type") == "inpatient") & (days >= 3))
        visits = self._some(pl.col("care_type") == "outpatient")
        inside = (stays["start_date"] + timedelta(days=1)).to_list()
        visits = visits.with_columns(
            stays["person_id"], pl.Series("start_date", inside), pl.Series("end_date", inside), stays["diagnosis"]
        )
        self._add(visits, "visit_in_stay")
        early = self._some((pl.col("care_type") == "outpatient") & (pl.col("visit_time") < "16:00"))
        later = [
            f"{int(t[:2]) + (int(t[3:]) + 15) // 60:02d}:{(int(t[3:]) + 15) % 60:02d}" for t in early["visit_time"]
        ]
        self._add(self._elsewhere(early.with_columns(pl.Series("visit_time", later), *_scaled(0.8))), "two_facilities")

    def _diagnoses(self) -> None:
        known = self.people.select("person_id", "sex", "birth_date")
        joined = self.claims.join(known, on="person_id", how="left")
        males = set(joined.filter(pl.col("sex") == "male")["claim_id"])
        adults = set(joined.filter(pl.col("birth_date") < pl.col("start_date") - timedelta(days=7000))["claim_id"])
        for rule, ids, code in (("sex_diagnosis", males, "N80"), ("age_diagnosis", adults, "P07")):
            rows = self._some(pl.col("claim_id").is_in(list(ids)))
            self._change(rows.with_columns(pl.lit(code).alias("diagnosis")))
            self._tell(rule, rows["claim_id"].to_list())

    def _costs(self) -> None:
        """Make claims 3.5 to 4.5 deviations dearer than their group's middle, and others 2.5 times as dear."""
        g = pl.col("diagnosis").str.head(3).alias("g")
        log = pl.col("total").log()
        told = (
            self.claims.filter(pl.col("total") > 0).group_by("care_type", "facility_level", g)
            .agg(log.mean().alias("m"), log.std().alias("sd"), pl.len().alias("k"))
        )  # fmt: skip
        # A hundredth of a large group at most, so that what is planted does not move the line that is to find it.
        large = told.filter(pl.col("k") >= 100 * 2).sort("k", descending=True).head(max(5, self.many // 4))
        ids: list[str] = []
        for row in large.iter_rows(named=True):
            here = (pl.col("care_type") == row["care_type"]) & (pl.col("facility_level") == row["facility_level"])
            here &= (pl.col("diagnosis").str.head(3) == row["g"]) & (pl.col("total") > 0)
            many = min(row["k"] // 200, -(-self.many // large.height), self.many - len(ids))
            if many < 1:
                continue
            rows = self._some(here, many)
            aim = np.exp(row["m"] + self.rng.uniform(3.5, 4.5, many) * row["sd"])
            self._change(rows.with_columns(_scaled_to(pl.Series(aim / rows["total"].to_numpy()))))
            ids += rows["claim_id"].to_list()
        self._tell("cost_outlier", ids)
        dear = self._some(pl.col("total") > 0)
        self._change(dear.with_columns(_scaled(2.5)))
        self._tell(UPCODED, dear["claim_id"].to_list())

    def _near_cap(self) -> None:
        """Raise one stay of a person so that the year's sum lies midway between the line (90 %) and the ceiling."""
        cap, near = self.rules["near_cap"]["cap_yuan"], (self.rules["near_cap"]["share"] + 100) / 200
        sums = self.claims.group_by("person_id").agg(pl.col("in_scope").sum().alias("year_sum"))
        low = sums.filter(pl.col("year_sum") < cap * 0.5)["person_id"].to_list()
        stay = (pl.col("care_type") == "inpatient") & pl.col("person_id").is_in(low)
        rows = self._some(stay, min(self.many, _MOST_CAPS)).unique("person_id", maintain_order=True)
        rows = rows.join(sums, on="person_id", how="left", maintain_order="left")
        more = pl.col("in_scope") + (cap * near - pl.col("year_sum")).round(2)
        rows = rows.with_columns(more.round(2).alias("in_scope"))
        parts = pl.sum_horizontal(pl.col("in_scope", "off_catalogue", "over_limit", "first_self_pay"))
        self._change(rows.with_columns(parts.round(2).alias("total")))
        self._tell("near_cap", rows["person_id"].to_list())

    def _drifts(self) -> None:
        """Make one facility 1.6 times as dear all year, and another in a late month."""
        peers, months = self.rules["facility_peers"], self.rules["facility_month"]
        size = self.claims.group_by("provider_id").agg(pl.len().alias("n"))
        able = size.filter(pl.col("n") >= peers["least"]).sort("n", "provider_id", descending=[True, False])
        dear = _preferred("f2-01", able["provider_id"].to_list())
        if dear is None:
            self._none("peers", least=peers["least"])
        else:
            self.claims = self.claims.with_columns(_scaled_to(pl.when(_at(dear)).then(1.6).otherwise(1.0)))
            self._tell("facility_peers", [dear])
        start = pl.col("start_date")
        # Eleven of twelve, where a year is whole: what comes last may be cut short by stays that are not over.
        last = self.claims["start_date"].dt.truncate("1mo").max()
        assert isinstance(last, date)
        month = start.dt.truncate("1mo") == last.replace(month=min(11, last.month))
        full = (
            self.claims.group_by("provider_id", start.dt.truncate("1mo").alias("month")).agg(
                pl.len().alias("n"), month.first().alias("late")
            )
            .filter(pl.col("n") >= months["least"], pl.col("provider_id") != (dear or ""))
            .group_by("provider_id").agg(pl.col("late").any(), pl.len().alias("months"), pl.col("n").sum())
            .filter(pl.col("late"), pl.col("months") > months["months"])
            .sort("n", "provider_id", descending=[True, False])
        )  # fmt: skip
        place = _preferred("fprimary-03", full["provider_id"].to_list())
        if place is None:
            self._none("month", least=months["least"], months=months["months"])
            return
        factor = pl.when(_at(place) & month).then(1.6).otherwise(1.0)
        day = self.claims.filter(_at(place) & month)["start_date"].min()
        self.claims = self.claims.with_columns(_scaled_to(factor))
        self._tell("facility_month", [f"{place}|{str(day)[:7]}"])

    def _budgets(self, claims: pl.DataFrame) -> pl.DataFrame:
        """Give some facilities a budget that they come near to (half-way over the line), the others an ample one."""
        share = self.rules["near_budget"]["share"] / 100
        year = pl.col("start_date").dt.year().alias("year")
        spent = claims.group_by("provider_id", year).agg(pl.col("in_scope").sum().alias("spent"))
        most = spent.group_by("provider_id").agg(pl.col("spent").max()).filter(pl.col("spent") > 0).sort("provider_id")
        many = min(self.many, _MOST_BUDGETS, most.height)
        near = most["provider_id"].gather(np.sort(self.rng.choice(most.height, many, replace=False)))
        self._tell("near_budget", near.to_list())
        reached = pl.when(pl.col("provider_id").is_in(near.implode())).then(share * 1.05).otherwise(share / 2)
        budgets = most.select("provider_id", (pl.col("spent") / reached).round(2).alias("budget"))
        return self.facilities.join(budgets, on="provider_id", how="left")

    def _none(self, kind: str, **needs: float) -> None:
        rule = Phrase(f"supervision_rule.facility_{kind}")
        told = {name: shown(value) for name, value in needs.items()}
        self.none.append(Phrase.of(f"supervision_planting.none_{kind}", rule=rule, **told))

    def _people(self) -> pl.DataFrame:
        """Let people die before some of their claims, and enrol others twice."""
        rows = self._some(pl.col("start_date").dt.ordinal_day() > 60).unique("person_id", maintain_order=True)
        death = rows.select("person_id", (pl.col("start_date") - timedelta(days=3)).alias("death_date"))
        people = self.people.join(death, on="person_id", how="left", maintain_order="left")
        after = pl.concat([self.claims, *self.new]).join(death, on="person_id")
        self._tell("after_death", after.filter(pl.col("start_date") > pl.col("death_date"))["claim_id"].to_list())
        living = people.filter(pl.col("death_date").is_null(), pl.col("scheme") == "resident")
        twice = living[np.sort(self.rng.choice(living.height, min(self.many, living.height), replace=False))]
        self._tell("double_enrolment", twice["person_id"].to_list())
        return pl.concat([people, twice.with_columns(pl.lit("employee").alias("scheme"))])

    def _lines(self, claims: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Make up two charge lines for each of some claims, and plant errors against a made-up catalogue."""
        catalogue = pl.DataFrame(
            {
                "item_code": ["I-free", "I-female", "I-child", "I-day", "I-price"],
                "sex": [None, "female", None, None, None], "age_from": [None, None, 0.0, None, None],
                "age_to": [None, None, 14.0, None, None], "day_limit": [None, None, None, 2.0, None],
                "price_limit": [500.0, None, None, None, 80.0],
            }
        )  # fmt: skip
        # A person enrolled twice is in two rows, but has one sex and one age.
        known = self.people.select("person_id", "sex", "birth_date")
        base = claims.join(known, on="person_id", how="left", maintain_order="left")
        base = base[np.sort(self.rng.choice(base.height, min(base.height, 20 * self.many), replace=False))]
        age = (pl.col("start_date") - pl.col("birth_date")).dt.total_days() / 365.2425
        plain = [
            _line(base, "I-free", 1.0, 30.0),
            _line(base.filter(pl.col("sex") == "female"), "I-female", 1.0, 50.0),
            _line(base.filter(age < 14), "I-child", 1.0, 20.0),
            _line(base.gather_every(2), "I-day", 2.0, 10.0),
            _line(base.gather_every(2, 1), "I-price", 1.0, 80.0),
        ]
        rest = claims.join(base, on="claim_id", how="anti").join(
            known, on="person_id", how="left", maintain_order="left"
        )
        wrong = (
            ("sex_item", pl.col("sex") == "male", "I-female", 1.0, 50.0), ("age_item", age > 20, "I-child", 1.0, 20.0),
            ("day_limit", pl.lit(True), "I-day", 5.0, 10.0), ("price_limit", pl.lit(True), "I-price", 2.0, 96.0),
        )  # fmt: skip
        for rule, which, code, quantity, price in wrong:
            rows = rest.filter(which)
            rows = rows[np.sort(self.rng.choice(rows.height, min(self.many, rows.height), replace=False))]
            rest = rest.join(rows, on="claim_id", how="anti")
            self._tell(rule, rows["claim_id"].to_list())
            plain.append(_line(rows, code, quantity, price))
        return pl.concat(plain), catalogue


def _at(provider: str) -> pl.Expr:
    return pl.col("provider_id") == provider


def _preferred(name: str, able: list[str]) -> str | None:
    """Take the facility of middle size where it can, else the largest that can."""
    return name if name in able else next(iter(able), None)


def _line(rows: pl.DataFrame, code: str, quantity: float, price: float) -> pl.DataFrame:
    return rows.select(
        "claim_id", pl.lit(code).alias("item_code"), pl.col("start_date").alias("item_date"),
        pl.lit(quantity).alias("quantity"), pl.lit(price).alias("unit_price"),
    )  # fmt: skip


def _scaled(factor: float) -> list[pl.Expr]:
    return _scaled_to(pl.lit(factor))


def _scaled_to(factor: pl.Expr | pl.Series) -> list[pl.Expr]:
    """Scale the parts of a claim, each rounded to the fen, and make the total their sum."""
    by = pl.lit(factor) if isinstance(factor, pl.Series) else factor
    parts = [(pl.col(name) * by).round(2).alias(name) for name in _MONEY[1:]]
    total = pl.sum_horizontal(parts).round(2).alias("total")
    return [*parts, total]


def _rest(factor: float) -> list[pl.Expr]:
    """Give what `_scaled` leaves of a claim."""
    parts = [(pl.col(name) - (pl.col(name) * factor).round(2)).round(2).alias(name) for name in _MONEY[1:]]
    return [*parts, pl.sum_horizontal(parts).round(2).alias("total")]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def tables_of(planted: Planted) -> Mapping[str, pl.DataFrame]:
    """Give the tables by the names of their files."""
    return {
        "claims": planted.claims, "people": planted.people, "items": planted.items, "catalogue": planted.catalogue,
        "facilities": planted.facilities, "truth": planted.truth,
    }  # fmt: skip
