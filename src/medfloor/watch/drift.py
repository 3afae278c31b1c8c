"""See whether households, alerts or what visits found have moved since a model was judged, by township too."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError
from medfloor.sparing import ready
from medfloor.terminal import aligned
from medfloor.watch.profile import SCORE, WHOLE, Profile, binned, numbers_of, places_of
from medfloor.words import Phrase, knows, say

_FILE = Path(__file__).parent / "drift.toml"
_TRUSTS = ("official", "secondary", "unverified", "office", "yours")
_LEAST_MOST = {"psi_watch": (0.0, 100.0), "psi_drift": (0.0, 100.0), "level": (50.0, 99.999), "ratio": (1.0, 100.0),
               "smallest_place": (1.0, 1e9)}  # fmt: skip

BANDS = ("stable", "chance", "watch", "drift", "unknown")
"""What is said of a number: stable below the lines, chance where it is over a line but no more than so few households
do by chance, watch between the lines of PSI, drift above, unknown where nothing is there to hold it against."""

OUTCOMES = ("visited", "confirmed", "refused", "false_alarm")
"""What may stand in `outcome` of an outcomes table: visited and not yet decided; confirmed (recognised or helped);
refused (looked at, not recognised); false_alarm (nothing was the matter)."""

_DECIDED = OUTCOMES[1:]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Be one number of what counts as drift, with unit, source, trust and the words it rests on."""

    name: str
    value: float
    unit: str
    source: str
    trust: str
    words: str


@dataclass(frozen=True, slots=True)
class DriftRules:
    """Be the numbers of what counts as drift, by name, with the sources."""

    parameters: tuple[Parameter, ...]
    sources: Mapping[str, str]

    def __getitem__(self, name: str) -> float:
        """Give a number."""
        return next(one.value for one in self.parameters if one.name == name)


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """Be what has moved since the training, by place ("" is everybody).

    `inputs`: place, feature (`score` is the model's own probability), psi, chance (the PSI that so few households reach
    by chance alone), missing_then, missing_now (shares), band. `alerts`: place, households, alerted, rate, rate_then,
    low, high, band. `confirmed`: place, visited, confirmed, refused, false_alarm, decided, rate, low, high, rate_then,
    band. `calibration`: place, households, expected, observed, ratio, low, high, band: how many fell where the model
    expected how many. `not_kept` are townships of which nothing earlier is known, or too little. `line` is the
    probability from which on a household is alerted.
    """

    inputs: pl.DataFrame
    alerts: pl.DataFrame
    confirmed: pl.DataFrame
    calibration: pl.DataFrame
    rules: DriftRules
    line: float
    not_kept: tuple[str, ...]

    @property
    def found(self) -> bool:
        """Say whether anything has drifted, anywhere."""
        return any((frame["band"] == "drift").any() for frame in self._frames().values())

    def drifted(self) -> list[tuple[str, str, str]]:
        """List what has drifted: (inputs, alerts, confirmed or calibration; place; the input or "")."""
        return [
            (name, row["place"], row.get("feature", ""))
            for name, frame in self._frames().items()
            for row in frame.filter(pl.col("band") == "drift").iter_rows(named=True)
        ]

    def said(self) -> list[Phrase]:
        """Say what was found and how it is meant."""
        found = self.drifted()
        counts = {name: sum(one[0] == name for one in found) for name in self._frames()}
        head = Phrase.of("watch_drift.found", **counts) if found else Phrase.of("watch_drift.none_found")
        said = [head, Phrase.of("watch_drift.meaning", level=f"{self.rules['level']:g}"), Phrase.of("watch_drift.next")]
        if self.not_kept:
            said.append(Phrase.of("watch_drift.not_kept", many=len(self.not_kept)))
        if not self.confirmed.height:
            said.append(Phrase.of("watch_drift.no_outcomes"))
        if not self.calibration.height:
            said.append(Phrase.of("watch_drift.no_truth"))
        return said

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give one row a number that was looked at: what, place, feature, value, then, low, high, band, words."""
        parts = [
            self.inputs.select(pl.lit("inputs").alias("what"), "place", "feature", pl.col("psi").alias("value"),
                               _none("then"), _none("low"), pl.col("chance").alias("high"), "band"),
            *(
                frame.select(pl.lit(name).alias("what"), "place", pl.lit("").alias("feature"),
                             pl.col(value).alias("value"), (pl.col(then) if then else _none("then")).alias("then"),
                             "low", "high", "band")
                for name, value, then in (("alerts", "rate", "rate_then"), ("confirmed", "rate", "rate_then"),
                                          ("calibration", "ratio", None))
                for frame in (self._frames()[name],)
            ),
        ]  # fmt: skip
        frame = pl.concat(parts)
        words = {band: say(f"watch_drift.band_{band}", lang) for band in BANDS}
        return frame.with_columns(pl.col("band").replace(words).alias("words"))

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data."""
        return {
            "found": self.found,
            "line": self.line,
            **{name: frame.to_dicts() for name, frame in self._frames().items()},
            "not_kept": list(self.not_kept),
            "rules": [
                {"name": one.name, "value": one.value, "unit": one.unit, "source": self.rules.sources[one.source],
                 "trust": one.trust, "words": one.words}
                for one in self.rules.parameters
            ],
            "said": [one.say(lang) for one in self.said()],
        }  # fmt: skip

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal: everybody first, then the townships where something moved."""
        lines = [say("watch_drift.title", lang), ""]
        for title, rows, right in self.tables(lang):
            lines += [title, *aligned(rows, right), ""]
        lines += [f"  - {one.say(lang)}" for one in self.said()]
        return "\n".join(lines)

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def tables(self, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give the tables of a page: title, rows of cells (the first are heads), columns flush right."""
        made = []
        for name, frame in self._frames().items():
            # Of the townships only those where something moved: a page of thousand quiet numbers hides the others.
            kept = frame.filter((pl.col("place") == WHOLE) | pl.col("band").is_in(["drift", "watch"]))
            if not kept.height:
                continue
            columns = kept.columns
            rows = [[say(f"watch_drift.col_{one}", lang) for one in columns]]
            rows += [[_cell(one, row[one], lang) for one in columns] for row in kept.iter_rows(named=True)]
            right = [at for at, one in enumerate(columns) if one not in ("place", "feature", "band")]
            made.append((say(f"watch_drift.{name}", lang), rows, right))
        return [*made, self._rules_table(lang)]

    def _rules_table(self, lang: str) -> tuple[str, list[list[str]], list[int]]:
        rows = [[say(f"watch_drift.col_{one}", lang) for one in ("parameter", "value", "trust", "source")]]
        for one in self.rules.parameters:
            source = "" if one.source == "office" else self.rules.sources[one.source]
            rows.append([say(f"watch_drift.rule_{one.name}", lang), f"{one.value:g}",
                         say(f"watch_trust.{one.trust}", lang), source])  # fmt: skip
        return say("watch_drift.rules", lang), rows, [1]

    def _frames(self) -> dict[str, pl.DataFrame]:
        return {"inputs": self.inputs, "alerts": self.alerts, "confirmed": self.confirmed,
                "calibration": self.calibration}  # fmt: skip


def drift(
    profile: Profile,
    features: pl.DataFrame,
    scores: npt.ArrayLike,
    *,
    outcomes: pl.DataFrame | None = None,
    earlier: pl.DataFrame | None = None,
    rules: DriftRules | None = None,
    by: str | None = None,
) -> Drift:
    """Hold this year's households against those that a model file keeps the profile of.

    `features` are this year's, as `medfloor.watch.features.features` gives them, and `scores` the model's probabilities
    of them. A township is held against itself and never against the others; where the profile keeps none of it, only
    its alert rate is shown, and not judged. `outcomes` has household_id and `outcome` (one of OUTCOMES, or null), and
    may have `fell` (yes/no, null where not known yet): what visits found, and who fell in the year that was foretold.
    `earlier` are outcomes of an earlier time, to hold the confirmed rate against; without them it is shown and not
    judged. `by` names the column of townships.

    Inputs: PSI = sum over bins of (now - then) ln(now / then), in shares; a bin that is empty on one side counts as
    half a household there, one that is empty on both sides does not count. It is drift at `psi_drift` and beyond what
    chance does to so few households (`psi_by_chance`). A rate has drifted when it differs beyond chance, and by more
    than the factor `ratio`.

    Raises InputError missing_column, wrong_type, bad_outcome, repeated_row, no_rows.

    >>> from medfloor.watch.profile import profile_of
    >>> then = pl.DataFrame({"household_id": [str(n) for n in range(1000)], "stays": [0, 1] * 500})
    >>> now = then.with_columns(stays=pl.Series([0] * 900 + [1] * 100))
    >>> found = drift(profile_of(then, [0.1] * 1000, line=0.5), now, [0.1] * 1000)
    >>> found.inputs.filter(pl.col("feature") == "stays").select(pl.col("psi").round(4), "band").row(0)
    (0.8789, 'drift')
    """
    if not features.height:
        raise InputError("no_rows", "there is no household this year; see --year and the years of the files")
    asked = shipped_drift_rules() if rules is None else rules
    found = numbers_of(features, scores, [name for name in profile.edges if name != SCORE])
    places = places_of(features, by)
    told = _told(outcomes, features, by)
    before = _told(earlier, features, by) if earlier is not None else None
    chances = pl.DataFrame({"household_id": features["household_id"].cast(pl.String), "score": found[SCORE]})
    return Drift(
        inputs=_inputs(profile, found, places, asked),
        alerts=_alerts(profile, found[SCORE], places, asked),
        confirmed=_confirmed(told, before, asked),
        calibration=_calibration(told, chances, asked),
        rules=asked,
        line=profile.line,
        not_kept=tuple(one for one in places if one not in profile.counts),
    )


def psi(then: Sequence[int] | npt.NDArray[np.int64], now: Sequence[int] | npt.NDArray[np.int64]) -> float:
    """Work out the population stability index of two counts over the same bins.

    0 where the shares are the same; it has no upper bound, and no sign: which of the two is first says nothing. NaN
    where there is nobody on one side.

    >>> round(psi([50, 50], [60, 40]), 6)  # 0.1 ln 1.2 - 0.1 ln 0.8
    0.040547
    """
    first, second = np.asarray(then, float), np.asarray(now, float)
    if not first.sum() or not second.sum():
        return math.nan
    used = (first > 0) | (second > 0)
    # An empty bin would make the index infinite; half a household is what a bin can hold and still be counted empty.
    shares = [np.maximum(one[used], 0.5) / one.sum() for one in (first, second)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def psi_by_chance(then: int, now: int, bins: int, level: float) -> float:
    """Give the PSI that is exceeded in only 100 - `level` percent of cases though nothing has moved.

    PSI is then, to first order, (1/then + 1/now) times chi-square with bins - 1 degrees of freedom: each difference of
    shares is that of two multinomial samples (compare Yurdakul 2018).

    >>> round(psi_by_chance(1000, 1000, 2, 95.0), 5)  # 3.8415 times 2 in a thousand
    0.00768
    """
    gammaincinv = ready("scipy.special").gammaincinv
    if bins < 2 or not then or not now:
        return math.nan
    return 2 * float(gammaincinv((bins - 1) / 2, level / 100)) * (1 / then + 1 / now)


def shipped_drift_rules() -> DriftRules:
    """Give the shipped numbers of what counts as drift.

    >>> shipped_drift_rules()["psi_drift"]
    0.25
    """
    return read_drift_rules(_FILE.read_text(encoding="utf-8"), where=_FILE.name, over=None)


def read_drift_rules(text: str, *, where: str, over: DriftRules | None) -> DriftRules:
    r"""Read numbers of what counts as drift (TOML) and lay them over others (None: over nothing).

    Raises InputError bad_drift_rules, which names what is wrong and where.

    >>> own = '[[parameter]]\nname = "ratio"\nvalue = 1.5'
    >>> read_drift_rules(own, where="own.toml", over=shipped_drift_rules())["ratio"]
    1.5
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("bad_drift_rules", f"{where} is no TOML: {error}") from None
    given = data.get("parameter", [])
    if not isinstance(given, list) or set(data) - {"parameter", "sources"}:
        raise InputError("bad_drift_rules", f"{where}: write [[parameter]] and [sources.NAME], and nothing else")
    sources = dict(over.sources) if over else {}
    for name, one in data.get("sources", {}).items():
        address = f" ({one['address']})" if one.get("address") else ""
        sources[name] = f"{one.get('title', name)}{address}"
    kept = {one.name: one for one in (over.parameters if over else ())}
    for number, one in enumerate(given, 1):
        name = one.get("name") if isinstance(one, dict) else None
        if name not in _LEAST_MOST:
            raise InputError("bad_drift_rules", f"{where}: parameter {number} is {name!r}; there are "
                             f"{', '.join(_LEAST_MOST)}")  # fmt: skip
        kept[name] = _parameter(one, kept.get(name), sources, f"{where}: {name}")
    made = DriftRules(tuple(kept.values()), sources)
    if made["psi_watch"] > made["psi_drift"]:
        raise InputError("bad_drift_rules", f"{where}: psi_watch is above psi_drift; it is where watching begins")
    return made


def _parameter(given: Mapping[str, Any], below: Parameter | None, sources: Mapping[str, str], at: str) -> Parameter:
    value, (least, most) = given.get("value"), _LEAST_MOST[given["name"]]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise InputError("bad_drift_rules", f"{at} = {value!r}; write a number between {least:g} and {most:g}")
    if given["name"] == "smallest_place" and value != int(value):
        raise InputError("bad_drift_rules", f"{at} = {value!r}; write a whole number")
    trust, source = given.get("trust", "yours"), given.get("source", "office")
    if trust not in _TRUSTS or source not in sources:
        raise InputError("bad_drift_rules", f"{at}: trust {trust!r} or source {source!r} is not known")
    unit = given.get("unit", below.unit if below else "")
    return Parameter(given["name"], float(value), unit, source, trust, str(given.get("words", "")))


def _inputs(
    profile: Profile,
    found: Mapping[str, npt.NDArray[np.float64]],
    places: Mapping[str, npt.NDArray[np.bool_]],
    rules: DriftRules,
) -> pl.DataFrame:
    rows = []
    for place, kept in profile.counts.items():
        if place not in places:
            continue
        for name, edges in profile.edges.items():
            before = np.asarray(kept[name], np.int64)
            now = binned(found[name][places[place]], edges)
            value = psi(before, now)
            many = int(((before > 0) | (now > 0)).sum())
            chance = psi_by_chance(int(before.sum()), int(now.sum()), many, rules["level"])
            rows.append({
                "place": place, "feature": name, "psi": value, "chance": chance,
                "missing_then": _share(before[-1], before.sum()), "missing_now": _share(now[-1], now.sum()),
                "band": _psi_band(value, chance, rules),
            })  # fmt: skip
    kinds = {"place": pl.String, "feature": pl.String, "psi": pl.Float64, "chance": pl.Float64,
             "missing_then": pl.Float64, "missing_now": pl.Float64, "band": pl.String}  # fmt: skip
    return pl.DataFrame(rows, schema=kinds).with_columns(pl.col("psi", "chance").fill_nan(None))


def _psi_band(value: float, chance: float, rules: DriftRules) -> str:
    if math.isnan(value):
        return "unknown"
    if value < rules["psi_watch"]:
        return "stable"
    # With one bin there is nothing that chance could do.
    if value <= chance:
        return "chance"
    return "drift" if value >= rules["psi_drift"] else "watch"


def _alerts(
    profile: Profile,
    score: npt.NDArray[np.float64],
    places: Mapping[str, npt.NDArray[np.bool_]],
    rules: DriftRules,
) -> pl.DataFrame:
    rows = []
    for place, among in places.items():
        now, alerted = int(among.sum()), int((score[among] >= profile.line).sum())
        before = (profile.alerted.get(place, 0), profile.households[place] if place in profile.alerted else 0)
        rows.append({"place": place, "households": now, "alerted": alerted,
                     **_compared(alerted, now, *before, rules)})  # fmt: skip
    kinds = {"place": pl.String, "households": pl.Int64, "alerted": pl.Int64, **_RATES}
    return pl.DataFrame(rows, schema=kinds)


_RATES = {"rate": pl.Float64, "low": pl.Float64, "high": pl.Float64, "rate_then": pl.Float64, "band": pl.String}


def _compared(some: int, many: int, some_then: int, many_then: int, rules: DriftRules) -> dict[str, Any]:
    """Hold a rate against an earlier one: Wilson's interval of it, and a band from the test of two proportions."""
    rate, then = _share(some, many), _share(some_then, many_then)
    low, high = _wilson(some, many, rules["level"])
    band = "unknown"
    if rate is not None and then is not None:
        both = (some + some_then) / (many + many_then)
        error = math.sqrt(both * (1 - both) * (1 / many + 1 / many_then))
        band = _rate_band(rate, then, abs(rate - then) > _z(rules["level"]) * error, rules)
    return {"rate": rate, "low": low, "high": high, "rate_then": then, "band": band}


def _rate_band(rate: float, then: float, beyond_chance: bool, rules: DriftRules) -> str:
    large = max(rate, then) > rules["ratio"] * min(rate, then)
    return "stable" if not large else "drift" if beyond_chance else "chance"


def _told(outcomes: pl.DataFrame | None, features: pl.DataFrame, by: str | None) -> pl.DataFrame:
    """Check a table of outcomes and give each the place of its household; places are everybody and its township."""
    kinds = {"household_id": pl.String, "outcome": pl.String, "fell": pl.Boolean, "place": pl.String}
    if outcomes is None:
        return pl.DataFrame(schema=kinds)
    for name in ("household_id", "outcome"):
        if name not in outcomes.columns:
            raise InputError("missing_column", f"outcomes has no column {name}; a household's row needs it")
    told = outcomes.with_columns(
        pl.col("household_id", "outcome").cast(pl.String),
        (pl.col("fell") if "fell" in outcomes.columns else pl.lit(None)).cast(pl.Boolean).alias("fell"),
    ).select("household_id", "outcome", "fell")
    strange = told.filter(~pl.col("outcome").is_in(list(OUTCOMES)))["outcome"].to_list()
    if strange:
        raise InputError("bad_outcome", f"outcomes: {strange[0]!r} is no outcome; write {', '.join(OUTCOMES)}, or "
                         "leave the cell empty")  # fmt: skip
    if told["household_id"].is_duplicated().any():
        raise InputError("repeated_rows", "outcomes: a household stands there twice; keep its last outcome")
    whole = told.with_columns(pl.lit(WHOLE).alias("place"))
    if by is None:
        return whole
    where = features.select(pl.col("household_id").cast(pl.String), pl.col(by).cast(pl.String).alias("place"))
    return pl.concat([whole, told.join(where, on="household_id").filter(pl.col("place").is_not_null())])


def _confirmed(told: pl.DataFrame, before: pl.DataFrame | None, rules: DriftRules) -> pl.DataFrame:
    counted = [(pl.col("outcome") == one).sum().alias(one) for one in OUTCOMES]
    earlier = {} if before is None else {
        row["place"]: (row["confirmed"], sum(row[one] for one in _DECIDED))
        for row in before.group_by("place").agg(counted).iter_rows(named=True)
    }  # fmt: skip
    rows = []
    for row in told.filter(pl.col("outcome").is_not_null()).group_by("place").agg(counted).sort("place").to_dicts():
        decided = sum(row[one] for one in _DECIDED)
        visited = row.pop("visited") + decided
        then = earlier.get(row["place"], (0, 0))
        rows.append({**row, "visited": visited, "decided": decided,
                     **_compared(row["confirmed"], decided, *then, rules)})  # fmt: skip
    kinds = {"place": pl.String, **dict.fromkeys(("visited", *_DECIDED, "decided"), pl.Int64), **_RATES}
    return pl.DataFrame(rows, schema=kinds)


def _calibration(told: pl.DataFrame, chances: pl.DataFrame, rules: DriftRules) -> pl.DataFrame:
    """Hold how many fell against how many the model expected among the same households (calibration in the large)."""
    known = told.filter(pl.col("fell").is_not_null()).join(chances, on="household_id")
    rows = []
    z = _z(rules["level"])
    for (place,), part in sorted(known.group_by("place"), key=lambda one: str(one[0][0])):
        score = part["score"].to_numpy()
        expected, observed = math.fsum(score), int(part["fell"].sum())
        # If the model is right, those who fall are drawn one by one with its probabilities.
        spread = math.sqrt(math.fsum(score * (1 - score)))
        ratio = None if not expected else observed / expected
        low, high = (None, None) if not expected else (
            max(0.0, 1 - z * spread / expected), 1 + z * spread / expected
        )  # fmt: skip
        band = "unknown"
        if expected:
            band = _rate_band(observed, expected, abs(observed - expected) > z * spread, rules)
        rows.append({"place": place, "households": part.height, "expected": expected, "observed": observed,
                     "ratio": ratio, "low": low, "high": high, "band": band})  # fmt: skip
    kinds = {"place": pl.String, "households": pl.Int64, "expected": pl.Float64, "observed": pl.Int64,
             "ratio": pl.Float64, "low": pl.Float64, "high": pl.Float64, "band": pl.String}  # fmt: skip
    return pl.DataFrame(rows, schema=kinds)


def _share(some: int, many: int) -> float | None:
    return float(some / many) if many else None


def _wilson(some: int, many: int, level: float) -> tuple[float | None, float | None]:
    """Give Wilson's interval (1927) of a rate, which holds for few cases and rates near 0 too."""
    if not many:
        return None, None
    z, rate = _z(level), some / many
    middle = (rate + z * z / (2 * many)) / (1 + z * z / many)
    half = z / (1 + z * z / many) * math.sqrt(rate * (1 - rate) / many + z * z / (4 * many * many))
    return max(0.0, middle - half), min(1.0, middle + half)


def _z(level: float) -> float:
    return float(ready("scipy.special").ndtri(0.5 + level / 200))


def _none(name: str) -> pl.Expr:
    return pl.lit(None, dtype=pl.Float64).alias(name)


def _cell(name: str, value: Any, lang: str) -> str:
    if name == "place":
        return str(value) or say("watch_drift.everybody", lang)
    if name == "feature":
        return say(key, lang) if knows(key := f"watch_feature.{value}", lang) else str(value)
    if name == "band":
        return say(f"watch_drift.band_{value}", lang)
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if name in ("psi", "chance", "ratio") else f"{value:,.1f}" if name == "expected" else (
        f"{100 * value:.1f} %"
    )  # fmt: skip
