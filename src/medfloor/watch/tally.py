"""Compare arms over seeds: means with intervals, and paired differences, as every arm of a seed met the same county."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from medfloor.sparing import ready
from medfloor.terminal import aligned
from medfloor.watch.capacity import all_assumptions
from medfloor.watch.world import HISTORY, Setting, loop_numbers
from medfloor.words import knows, say

MEASURES = {
    "under": "households", "averted": "households", "pushed": "households", "shortfall": "yuan", "falls": "households",
    "caught": "households", "late": "households", "missed": "households", "caught_share": "share",
    "months_ahead": "months", "alerts": "cases", "visits": "visits", "in_vain": "visits", "in_vain_share": "share",
    "late_visits": "visits", "waiting": "households", "recognised": "cases", "refused": "cases", "removed": "cases",
    "again": "cases", "relapsed": "cases", "follow_ups": "visits", "hours": "hours", "help": "yuan", "fund": "yuan",
    "spent": "yuan",
}  # fmt: skip
"""Every measure and its unit: a county's own number over all its years; shares are of falls and of visits."""
_LEVEL = 0.95
_PERFECT = ("oracle", "everybody")


@dataclass(frozen=True, eq=False)
class Simulated:
    """Be a simulation: one row an arm and measure in `frame`, one row a seed and arm in `runs` (money in fen).

    `frame` has arm, measure, unit, mean, low, high (95 % by t over seeds; null with one seed), and change, change_low,
    change_high: the paired difference from the arm `against`. `price` is by arm what help and funds cost for each
    household-year kept above the line, yuan (null where none is).
    """

    setting: Setting
    arms: tuple[str, ...]
    against: str
    seeds: int
    frame: pl.DataFrame
    runs: pl.DataFrame
    price: Mapping[str, float | None]

    def value(self, arm: str, measure: str, column: str = "mean") -> float | None:
        """Look a number up.

        >>> rows = [{"seed": s, "arm": a, **dict.fromkeys(_COUNTED, 1)} for s in (1, 2) for a in ("none", "rule")]
        >>> tally(rows, Setting(), ("none", "rule")).value("rule", "visits")
        1.0
        """
        found = self.frame.filter((pl.col("arm") == arm) & (pl.col("measure") == measure))[column].item()
        return None if found is None else float(found)

    @property
    def ranked(self) -> tuple[str, ...]:
        """Order the arms that an office can have, by household-years kept above the line, the most first."""
        real = [name for name in self.arms if name not in (*_PERFECT, "none")]
        return tuple(sorted(real, key=lambda name: (-(self.value(name, "averted") or 0.0), self.arms.index(name))))

    def head(self, lang: str) -> str:
        """Say what was simulated."""
        one = self.setting
        return say(
            "watch_loop.head", lang, seeds=self.seeds, people=f"{one.people:,}", years=one.years, capacity=one.capacity,
            place=one.place, status=_status(one.status, lang), share=f"{one.share:.0%}",
        )  # fmt: skip

    def said(self, lang: str) -> list[str]:
        """Say what was found, and what it may not be taken for."""
        lines = []
        ranked = self.ranked
        if ranked and self.setting.capacity:
            best = ranked[0]
            lines.append(
                say("watch_loop.best", lang, arm=_arm(best, lang), averted=f"{self.value(best, 'averted'):,.1f}",
                    of=f"{self.value('none', 'under'):,.1f}")
            )  # fmt: skip
            if best != self.against and self.against != "none":
                lines.append(self._against(best, lang))
            if {"rule", "rule_first_come"} <= set(self.arms):
                lines.append(
                    say("watch_loop.order", lang, rule=f"{self.value('rule', 'caught'):,.1f}",
                        first=f"{self.value('rule_first_come', 'caught'):,.1f}",
                        falls=f"{self.value('none', 'falls'):,.1f}")
                )  # fmt: skip
        names = ("synthetic", "assumed", "not_counted", "screened_once", "many_looks")
        return [*lines, *(say(f"watch_loop.{name}", lang, history=HISTORY) for name in names)]

    def tables(self, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give the tables in words: a title, rows with the heads first, and the columns that stand flush right."""
        one: list[list[str]] = [
            [
                say(f"watch_loop.{name}", lang)
                for name in (
                    "arm",
                    "under",
                    "averted",
                    "caught",
                    "in_vain",
                    "late_visits",
                    "waiting",
                    "hours",
                    "help",
                    "fund",
                    "price",
                )
            ]
        ]
        for arm in self.arms:
            price = self.price[arm]
            one.append([
                _arm(arm, lang), self._with(arm, "under"), self._with(arm, "averted"),
                self._percent(arm, "caught_share"), self._percent(arm, "in_vain_share"),
                *(f"{self.value(arm, name):,.0f}" for name in ("late_visits", "waiting", "hours", "help", "fund")),
                "-" if price is None else f"{price:,.0f}",
            ])  # fmt: skip
        found = [(say("watch_loop.table", lang), one, list(range(1, len(one[0]))))]
        if self.seeds > 1 and self.against != "none":
            names = ("averted", "caught", "in_vain", "shortfall", "spent")
            two = [[say("watch_loop.arm", lang), *(say(f"watch_loop.{name}", lang) for name in names)]]
            for arm in self.arms:
                if arm not in (self.against, "none"):
                    two.append([_arm(arm, lang), *(self._change(arm, name) for name in names)])
            title = say("watch_loop.changes", lang, arm=_arm(self.against, lang))
            found.append((title, two, list(range(1, len(two[0])))))
        return found

    def text(self, lang: str = "en") -> str:
        """Print it: what was simulated, tables, assumptions, sentences."""
        lines = [self.head(lang)]
        for title, rows, right in self.tables(lang):
            lines += ["", title, *aligned(rows, right)]
        lines += ["", say("watch_loop.assumptions", lang), *aligned(assumption_rows(self.setting, lang), [1]), ""]
        return "\n".join([*lines, *self.said(lang)])

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain JSON."""
        one = self.setting
        return {
            "synthetic": True,
            "setting": {
                "people": one.people, "years": one.years, "capacity": one.capacity, "place": one.place,
                "status": one.status, "share": one.share, "seeds": self.seeds,
                "numbers": {name: one.number(name) for name in loop_numbers()},
            },
            "against": self.against,
            "arms": {
                arm: {
                    row["measure"]: {name: row[name] for name in (
                        "unit", "mean", "low", "high", "change", "change_low", "change_high")}
                    for row in self.frame.filter(pl.col("arm") == arm).iter_rows(named=True)
                } | {"price": self.price[arm]}
                for arm in self.arms
            },
            "ranked": list(self.ranked),
            "runs": self.runs.to_dicts(),
            "said": self.said(lang),
        }  # fmt: skip

    def _against(self, arm: str, lang: str) -> str:
        change, low, high = (self.value(arm, "averted", name) for name in ("change", "change_low", "change_high"))
        assert change is not None
        if low is None or high is None:
            return say("watch_loop.one_seed", lang)
        key = "better" if low > 0 else "worse" if high < 0 else "unclear"
        numbers = {"change": f"{change:+,.1f}", "low": f"{low:+,.1f}", "high": f"{high:+,.1f}"}
        return say(f"watch_loop.{key}", lang, arm=_arm(arm, lang), against=_arm(self.against, lang), **numbers)

    def _with(self, arm: str, measure: str) -> str:
        mean, low, high = (self.value(arm, measure, name) for name in ("mean", "low", "high"))
        return f"{mean:,.0f}" if low is None or high is None else f"{mean:,.0f} ({low:,.0f}, {high:,.0f})"

    def _percent(self, arm: str, measure: str) -> str:
        mean = self.value(arm, measure)
        return "-" if mean is None else f"{mean:.0%}"

    def _change(self, arm: str, measure: str) -> str:
        mean, low, high = (self.value(arm, measure, name) for name in ("change", "change_low", "change_high"))
        return "-" if mean is None else f"{mean:+,.0f} ({low:+,.0f}, {high:+,.0f})"


def assumption_rows(setting: Setting, lang: str, *, names: bool = False) -> list[list[str]]:
    """List the numbers that no document sets, with trust; the first row has the heads. `names` puts them in front.

    >>> assumption_rows(Setting(), "en")[1]
    ['one-off help to a household and year, at most', '10,000', 'yuan', "the office's own choice"]
    """
    rows = [[*(["--set"] if names else []), *(say(f"watch_loop.{one}", lang) for one in (
        "assumption", "value", "unit", "trust"))]]  # fmt: skip
    for number in loop_numbers().values():
        trust = "yours" if number.name in setting.numbers else number.trust
        told = say(f"watch_loop_number.{number.name}", lang), f"{setting.number(number.name):,g}"
        unit = say(f"watch_loop_unit.{number.unit}", lang), say(f"watch_loop_trust.{trust}", lang)
        rows.append([*([number.name] if names else []), *told, *unit])
    for chosen in all_assumptions():
        if chosen.name != "fair_share":
            told = say(f"watch_visits_number.{chosen.name}", lang), f"{chosen.value:,g}"
            unit = say(f"watch_loop_unit.{chosen.unit}", lang), say(f"watch_loop_trust.{chosen.trust}", lang)
            rows.append([*(["-"] if names else []), *told, *unit])
    return rows


_COUNTED = (
    "under", "averted", "pushed", "shortfall_fen", "falls", "caught", "late", "missed", "months_ahead", "alerts",
    "visits", "in_vain", "late_visits", "waiting", "recognised", "refused", "removed", "again", "relapsed",
    "follow_ups", "hours", "help_fen", "fund_fen",
)  # fmt: skip


def tally(rows: Sequence[Mapping[str, Any]], setting: Setting, arms: Sequence[str]) -> Simulated:
    """Put the rows of all seeds (`loop.run_seed`) into one comparison.

    >>> rows = [{"seed": s, "arm": a, **dict.fromkeys(_COUNTED, s * n)} for s in (1, 2, 3)
    ...     for n, a in enumerate(("none", "rule"), 1)]
    >>> found = tally(rows, Setting(), ("none", "rule"))
    >>> [found.value("rule", "averted", name) for name in ("mean", "change")]
    [4.0, 0.0]
    """
    runs = pl.DataFrame(list(rows), infer_schema_length=None).sort("seed", maintain_order=True)
    against = "rule" if "rule" in arms else "none"
    values = {arm: _measures(runs.filter(pl.col("arm") == arm)) for arm in arms}
    found = []
    for arm in arms:
        for measure, unit in MEASURES.items():
            mean, low, high = _interval(values[arm][measure])
            change, change_low, change_high = _interval(values[arm][measure] - values[against][measure])
            found.append((arm, measure, unit, mean, low, high, change, change_low, change_high))
    names = ("mean", "low", "high", "change", "change_low", "change_high")
    schema = {"arm": pl.String, "measure": pl.String, "unit": pl.String, **dict.fromkeys(names, pl.Float64)}
    price: dict[str, float | None] = {}
    for arm in arms:
        averted = float(values[arm]["averted"].sum())
        price[arm] = float(values[arm]["spent"].sum()) / averted if averted else None
    frame = pl.DataFrame(found, schema=schema, orient="row")
    return Simulated(setting, tuple(arms), against, runs["seed"].n_unique(), frame, runs, price)


def _measures(runs: pl.DataFrame) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Give each measure by seed, in yuan where it is money; a share of nothing has no value."""
    one = {name: runs[name].cast(pl.Float64).to_numpy() for name in _COUNTED}
    yuan = {name.removesuffix("_fen"): values / 100 for name, values in one.items() if name.endswith("_fen")}
    ahead = _share(one["months_ahead"], one["caught"])
    return one | yuan | {
        "caught_share": _share(one["caught"], one["falls"]), "in_vain_share": _share(one["in_vain"], one["visits"]),
        "months_ahead": ahead, "spent": yuan["help"] + yuan["fund"],
    }  # fmt: skip


def _share(part: Any, whole: Any) -> Any:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _interval(values: Any) -> tuple[float | None, float | None, float | None]:
    """Give the mean over seeds with its interval by t; what has no value in a seed leaves that seed out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None, None
    mean = float(known.mean())
    if len(known) < 2:
        return mean, None, None
    stdtrit = ready("scipy.special").stdtrit
    half = float(stdtrit(len(known) - 1, (1 + _LEVEL) / 2)) * float(known.std(ddof=1)) / math.sqrt(len(known))
    return mean, mean - half, mean + half


def _arm(name: str, lang: str) -> str:
    return say(f"watch_arm.{name}", lang)


def _status(group: str, lang: str) -> str:
    return say(f"group.{group}", lang) if knows(f"group.{group}", lang) else group
