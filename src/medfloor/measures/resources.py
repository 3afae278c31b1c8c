"""Measure how doctors, beds and spending lie between places: Gini, Theil, agglomeration, what lacks to a norm."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, errors_of, evaluate
from medfloor.measures.influence import Array, Quantity, total
from medfloor.measures.rank import Ranking
from medfloor.measures.replicate import Progress
from medfloor.measures.result import SCHEMA, Result
from medfloor.measures.sample import Grouping, Sample, Source, Table, column, frame_of, take
from medfloor.words import Phrase

_LABELS: dict[str, pl.DataType] = {"between": pl.String(), "place": pl.String()}
_MOST_POINTS = 1_000


def resources(
    table: Table,
    *,
    resource: Source = "doctors",
    people: Source = "population",
    area: Source | None = None,
    norm: float | None = None,
    per: float = 1_000.0,
    place: str | None = None,
    by: str | Sequence[str] | None = None,
    against: str | None = None,
    design: Design | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure how evenly a resource lies between places, by people and by area. One row a place.

    With r_i, p_i and a_i the shares of place i in the resource, the people and the area:

    - `density`: resource for `per` people (`density_area`: for a unit of area);
    - `gini_people`: the Gini of resources over people, places in the order of r_i / p_i; `gini_area` over area;
    - `theil_people`: sum of r ln(r/p) (Theil 1967); `mld_people`: sum of p ln(p/r), the form common in Chinese studies
      of health resources, undefined where a place has none; `dissimilarity_people`: sum of |r - p| / 2, the share of
      the resource that would have to move. The same with `_area`;
    - for each grouping of `by`: `theil_..._within` and `_between` (they add up, Theil 1967), the same for `mld`;
      `gini_..._within`, `_between`, `_overlap` (Pyatt 1976; the overlap is Dagum's 1997 transvariation); each also as
      `..._share` of the whole;
    - with `area`, for each group and, if `place` names their column, each place: `hrad` = r/a (health resource
      agglomeration degree), `pad` = p/a (population agglomeration degree), `hrad_pad` their ratio r/p, as used in
      Chinese studies of resource allocation; above 1, more than the share of the area (or people);
    - with a `norm` for `per` people (2.59 staff per 1,000): places below it, people living there, and what they lack.

    The rows are taken to be all places there are, so that there are no standard errors; with a `design` they are a
    sample and have them. `curves["lorenz"]` has p (share of people or area), share (of the resource), curve and group.

    Raises UsageError: bad_norm, no_such_group; InputError: what `take` raises, negative_value, nothing_to_share.

    >>> counties = {"doctors": [10.0, 30.0], "population": [10_000.0, 10_000.0]}
    >>> found = resources(counties, norm=2.59)
    >>> found.value("density"), found.value("gini_people"), round(found.value("lacking"), 1)
    (2.0, 0.25, 15.9)
    """
    if norm is not None and not (norm > 0 and math.isfinite(norm)):
        raise UsageError("bad_norm", f"a norm of {norm} is no number above zero; 2.59 means 2.59 for {per:g} people")
    if not (per > 0 and math.isfinite(per)):
        raise UsageError("bad_norm", f"'for {per} people' means nothing; give 1000 or another number above zero")
    census = design is None
    design = Design(method="none") if design is None else design
    frame = frame_of(table)
    sample = take(frame, {"resource": resource, "people": people, "area": area}, by=by, design=design)
    _check(sample, {"resource": _told(resource, "resource"), "people": _told(people, "people"), "area": str(area)})
    scales = ["people"] if area is None else ["people", "area"]
    sample = sample.noting(**_special(sample, scales))
    frames = [evaluate(sample, _estimator(scales, norm, per), labels=_LABELS, against=against, progress=progress)]
    whole = replace(sample, groupings=())
    for grouping in sample.groupings:
        parted = whole.also(group=grouping.code.astype(np.float64))
        frames.append(evaluate(parted, _decomposition(scales, grouping), labels=_LABELS, progress=progress))
    if place is not None:
        names = column(frame, place, "place").cast(pl.String)
        frames.append(_places(sample, names, norm, per, area is not None))
    return Result(
        measure="resources",
        rows=pl.concat(frames),
        definition=Phrase.of(
            "resources.definition",
            resource=_told(resource, "resource"),
            over=Phrase("resources.people" if area is None else "resources.people_and_area"),
        ),
        weight=sample.weighted_by,
        errors=Phrase("resources.census") if census else errors_of(sample),
        line=None if norm is None else Phrase.of("resources.norm", norm=f"{norm:g}", per=f"{per:,g}"),
        sign="" if norm is None else "<",
        level=design.level,
        special=sample.special,
        notes=tuple(_notes(sample, scales)),
        curves={"lorenz": _lorenz(sample, scales)},
    )


def _check(sample: Sample, names: dict[str, str]) -> None:
    for key, values in sample.columns.items():
        name = f"column {names[key]}"
        if (values < 0).any():
            at = int(np.argmax(values < 0))
            row = at if sample.kept is None else int(np.flatnonzero(sample.kept)[at])
            raise InputError(
                "negative_value",
                f"{name} is {values[at]:g} in row {row + 1}; amounts are zero or above. Correct the row",
            )
        if not (values * (sample.weight > 0) > 0).any():
            raise InputError(
                "nothing_to_share", f"{name} is zero in every place, so that it has no shares; check the column"
            )


def _special(sample: Sample, scales: Sequence[str]) -> dict[str, int]:
    counts = {"without_resource": int((sample["resource"] == 0).sum())}
    for scale in scales:
        number = int((sample[scale] == 0).sum())
        if number:
            counts[f"without_{scale}"] = number
    return counts


def _notes(sample: Sample, scales: Sequence[str]) -> Iterator[Phrase]:
    seen = sample.weight > 0
    bare = seen & (sample["resource"] == 0)
    if any((bare & (sample[scale] > 0)).any() for scale in scales):
        yield Phrase("resources.no_mld")
    for scale in scales:
        if (seen & (sample[scale] == 0) & (sample["resource"] > 0)).any():
            yield Phrase.of("resources.no_theil", over=Phrase(f"resources.{scale}"))


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """Be places in the order of resource per person (or area), ready for any weights."""

    name: str
    amount: Array
    size: Array
    ranking: Ranking
    logs: Array

    @classmethod
    def of(cls, name: str, amount: Array, size: Array) -> _Scale:
        """Rank the places; where nobody lives, any resource is more than everywhere else."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where((amount == 0) & (size == 0), 0.0, amount / size)
            logs = np.log(rate)
        return cls(name, amount, size, Ranking.of(rate), logs)

    def gini(self, weight: Array) -> Quantity:
        """Estimate 2 S / (R P) - 1."""
        return 2.0 * self.rank_sum(weight) / (total(weight, self.amount) * total(weight, self.size)) - 1.0

    def rank_sum(self, weight: Array) -> Quantity:
        """Estimate S, the sum of each resource times the people of places that have less (and half of those level)."""
        order = self.ranking.order
        held = (weight * self.amount)[order]
        beneath = self.ranking.below((weight * self.size)[order])

        def influence() -> Array:
            over = float(held.sum()) - self.ranking.below(held)
            return self.ranking.place(self.amount[order] * beneath + self.size[order] * over)

        return total(weight, influence, float(held @ beneath))

    def theil(self, weight: Array) -> Quantity:
        """Estimate the sum of r ln(r/p); infinite, and so not defined, where a place has resources and nobody."""
        with np.errstate(invalid="ignore"):
            terms = np.where(self.amount > 0, self.amount * self.logs, 0.0)
        return self._entropy(weight, terms, self.amount, self.size)

    def mld(self, weight: Array) -> Quantity:
        """Estimate the sum of p ln(p/r); not defined where people have nothing at all."""
        with np.errstate(invalid="ignore"):
            terms = np.where(self.size > 0, -self.size * self.logs, 0.0)
        return self._entropy(weight, terms, self.size, self.amount)

    def _entropy(self, weight: Array, terms: Array, own: Array, other: Array) -> Quantity:
        seen = weight > 0
        if not np.isfinite(terms[seen]).all():
            return Quantity(math.nan)
        known = np.where(np.isfinite(terms), terms, 0.0)
        whole, rest = total(weight, own), total(weight, other)
        return total(weight, known) / whole - (whole / rest).log()

    def dissimilarity(self, weight: Array) -> Quantity:
        """Estimate half the sum of |r - p|."""
        held, there = total(weight, self.amount), total(weight, self.size)
        if held.value == 0 or there.value == 0:
            return Quantity(math.nan)
        side = np.sign(self.amount / held.value - self.size / there.value)
        return 0.5 * (total(weight, side * self.amount) / held - total(weight, side * self.size) / there)


def _estimator(scales: Sequence[str], norm: float | None, per: float) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        amount, people = columns["resource"], columns["people"]
        made = [_Scale.of(name, amount, columns[name]) for name in scales]
        short = None if norm is None else _Shortfall.of(amount, people, norm / per)

        def bound(weight: Array) -> Iterator[Statistic]:
            yield Statistic("resource_total", total(weight, amount), "count")
            yield Statistic("density", per * (total(weight, amount) / total(weight, people)), "amount")
            if "area" in columns:
                yield Statistic("density_area", total(weight, amount) / total(weight, columns["area"]), "index")
            for scale in made:
                yield Statistic(f"gini_{scale.name}", scale.gini(weight), "index")
                yield Statistic(f"theil_{scale.name}", scale.theil(weight), "index")
                yield Statistic(f"mld_{scale.name}", scale.mld(weight), "index")
                yield Statistic(f"dissimilarity_{scale.name}", scale.dissimilarity(weight), "percent")
            if short is not None:
                yield from short.statistics(weight)

        return bound

    return bind


@dataclass(frozen=True, slots=True, eq=False)
class _Shortfall:
    """Be what each place lacks to a norm per person."""

    below: npt.NDArray[np.bool_]
    lacking: Array
    needed: Array
    people: Array

    @classmethod
    def of(cls, amount: Array, people: Array, norm: float) -> _Shortfall:
        """Compare with the norm; a place that meets it to a part in a million million is not below it."""
        needed = norm * people
        below = amount < needed * (1 - 1e-12)
        return cls(below, np.where(below, needed - amount, 0.0), needed, people)

    def statistics(self, weight: Array) -> Iterator[Statistic]:
        """Yield how many places and people are below the norm, and what they lack."""
        there = np.where(self.below, self.people, 0.0)
        yield Statistic("places_below", total(weight, self.below), "count")
        yield Statistic("places_below_share", total(weight, self.below) / total(weight, 1.0), "proportion")
        yield Statistic("people_below", total(weight, there), "count")
        yield Statistic("people_below_share", total(weight, there) / total(weight, self.people), "percent")
        yield Statistic("lacking", total(weight, self.lacking), "amount")
        yield Statistic("lacking_share", total(weight, self.lacking) / total(weight, self.needed), "percent")


def _decomposition(scales: Sequence[str], grouping: Grouping) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        codes = columns["group"].astype(np.int64)
        parted = {name: _Parted.of(name, columns["resource"], columns[name], codes, grouping) for name in scales}
        labels = {"between": grouping.name}

        def bound(weight: Array) -> Iterator[Statistic]:
            for name in scales:
                for measure, pieces in parted[name].pieces(weight).items():
                    for piece in [one for one in pieces if one != "whole"]:
                        quantity = pieces[piece]
                        yield Statistic(f"{measure}_{name}_{piece}", quantity, "index", labels)
                        yield Statistic(
                            f"{measure}_{name}_{piece}_share", quantity / pieces["whole"], "percent", labels
                        )
            if "area" in columns:
                for code, label in enumerate(grouping.labels):
                    held, people, land = (
                        total(weight, np.where(codes == code, values, 0.0)) / total(weight, values)
                        for values in (columns["resource"], columns["people"], columns["area"])
                    )
                    here = {"between": grouping.name, "place": label}
                    yield Statistic("hrad", held / land, "index", here)
                    yield Statistic("pad", people / land, "index", here)
                    yield Statistic("hrad_pad", held / people, "index", here)

        return bound

    return bind


@dataclass(frozen=True, slots=True, eq=False)
class _Parted:
    """Be places in groups, each group in its own order, and all of them in one."""

    whole: _Scale
    parts: list[_Scale]
    rows: list[npt.NDArray[np.intp]]
    codes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, name: str, amount: Array, size: Array, codes: npt.NDArray[np.int64], grouping: Grouping) -> _Parted:
        """Part the places."""
        rows = [np.flatnonzero(codes == code) for code in range(len(grouping.labels))]
        parts = [_Scale.of(name, amount[one], size[one]) for one in rows]
        return cls(_Scale.of(name, amount, size), parts, rows, codes)

    def pieces(self, weight: Array) -> dict[str, dict[str, Quantity]]:
        """Split Gini, Theil and mean log deviation into what is within groups and what is between them.

        With R_g and P_g what a group has and how many live there, S_g its rank sum and S_b that of the groups:
        Gini within = sum of r_g p_g G_g = (2 sum of S_g - sum of R_g P_g) / (R P), between = 2 S_b / (R P) - 1.
        """
        amount, size = self.whole.amount, self.whole.size
        both = total(weight, amount) * total(weight, size)
        gini = {"whole": self.whole.gini(weight), "within": self._within(weight) / both}
        gini["between"] = 2.0 * self._between(weight, "gini") / both - 1.0
        overlap = gini["whole"] - gini["within"] - gini["between"]
        # Groups that do not overlap leave rounding only, which must not be read as an overlap below zero.
        gini["overlap"] = overlap.chain(0.0, 1.0) if abs(overlap.value) < 1e-14 else overlap
        found = {"gini": gini}
        for name, own, other in (("theil", amount, size), ("mld", size, amount)):
            entire = self.whole.theil(weight) if name == "theil" else self.whole.mld(weight)
            mine, theirs = total(weight, own), total(weight, other)
            between = self._between(weight, name) / mine - (mine / theirs).log()
            found[name] = {"whole": entire, "within": entire - between, "between": between}
        return found

    def _sums(self, weight: Array) -> tuple[Array, Array]:
        number = len(self.parts)
        return (
            np.asarray(np.bincount(self.codes, weight * self.whole.amount, number), np.float64),
            np.asarray(np.bincount(self.codes, weight * self.whole.size, number), np.float64),
        )

    def _within(self, weight: Array) -> Quantity:
        held, there = self._sums(weight)
        sums = [part.rank_sum(weight[rows]) for part, rows in zip(self.parts, self.rows, strict=True)]

        def influence() -> Array:
            out = np.empty(len(weight))
            for one, rows in zip(sums, self.rows, strict=True):
                out[rows] = one.influence()
            return 2 * out - self.whole.amount * there[self.codes] - self.whole.size * held[self.codes]

        return total(weight, influence, 2 * sum(one.value for one in sums) - float(held @ there))

    def _between(self, weight: Array, name: str) -> Quantity:
        """Estimate a function of the groups' sums; a row's influence is the slope in the sums of its group."""
        held, there = self._sums(weight)
        if name == "gini":
            groups = _Scale.of(name, held, there)
            beneath = groups.ranking.place(groups.ranking.below(there[groups.ranking.order]))
            over = held.sum() - groups.ranking.place(groups.ranking.below(held[groups.ranking.order]))
            value, slopes = float(held @ beneath), (beneath, over)
        else:
            own, other = (held, there) if name == "theil" else (there, held)
            if ((own > 0) & (other == 0)).any():
                return Quantity(math.nan)
            # A group without a share adds nothing: x ln x goes to zero.
            ratio = np.divide(own, other, out=np.ones(len(own)), where=(own > 0) & (other > 0))
            logs = np.log(ratio)
            value = float(own @ logs)
            slopes = (logs + 1, -ratio) if name == "theil" else (-ratio, logs + 1)

        def influence() -> Array:
            out = self.whole.amount * slopes[0][self.codes] + self.whole.size * slopes[1][self.codes]
            return np.asarray(out, np.float64)

        return total(weight, influence, value)


def _places(sample: Sample, names: pl.Series, norm: float | None, per: float, area: bool) -> pl.DataFrame:
    """Give each place its density, its agglomeration degrees and what it lacks, as rows without errors."""
    kept = names if sample.kept is None else names.filter(pl.Series(sample.kept))
    amount, people, weight = sample["resource"], sample["people"], sample.weight
    share = {name: values / float(weight @ values) for name, values in sample.columns.items()}
    made: dict[str, tuple[str, Array]] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        made["density"] = "amount", per * amount / people
        if area:
            made["hrad"] = "index", share["resource"] / share["area"]
            made["pad"] = "index", share["people"] / share["area"]
            made["hrad_pad"] = "index", share["resource"] / share["people"]
    if norm is not None:
        made["lacking"] = "amount", _Shortfall.of(amount, people, norm / per).lacking
    frames = [place_rows(statistic, kind, values, kept, weight) for statistic, (kind, values) in made.items()]
    return pl.concat(frames).filter(pl.Series(np.tile(weight > 0, len(frames))))


def place_rows(statistic: str, kind: str, values: Array, names: pl.Series, weight: Array) -> pl.DataFrame:
    """Make rows of a result of one number a place; one that is not finite is null."""
    finite = np.where(np.isfinite(values), values, np.nan)
    frame = pl.DataFrame({"place": names, "estimate": finite, "weighted_n": weight})
    nothing = {name: pl.lit(None, dtype) for name, dtype in SCHEMA.items()}
    known = {
        "kind": pl.lit(kind),
        "estimate": pl.col("estimate").fill_nan(None),
        "n": pl.lit(1, pl.Int64),
        "weighted_n": pl.col("weighted_n"),
    }
    return frame.select(
        statistic=pl.lit(statistic),
        between=pl.lit(None, pl.String),
        place=pl.col("place"),
        by=pl.lit(None, pl.String),
        group=pl.lit(None, pl.String),
        against=pl.lit(None, pl.String),
        **(nothing | known),
    )


def _lorenz(sample: Sample, scales: Sequence[str]) -> pl.DataFrame:
    """Draw the Lorenz curves of the whole and of each group."""
    parts: list[tuple[str | None, npt.NDArray[np.bool_]]] = [(None, np.ones(len(sample), np.bool_))]
    for grouping in sample.groupings:
        parts += [(label, grouping.code == code) for code, label in enumerate(grouping.labels)]
    frames = []
    for name in scales:
        for label, rows in parts:
            weight = sample.weight[rows]
            size, amount = weight * sample[name][rows], weight * sample["resource"][rows]
            if size.sum() > 0 and amount.sum() > 0:
                frames.append(
                    lorenz_points(size, amount).select("p", "share", curve=pl.lit(name), group=pl.lit(label, pl.String))
                )
    return pl.concat(frames)


def lorenz_gini(weight: Array, amount: Array, size: Array) -> Quantity:
    """Estimate the Gini of an amount over sizes (people, area), in the order of amount for one of them.

    >>> lorenz_gini(np.ones(2), np.array([10.0, 30.0]), np.array([1.0, 1.0])).value
    0.25
    """
    return _Scale.of("", amount, size).gini(weight)


def lorenz_points(size: Array, amount: Array) -> pl.DataFrame:
    """Give points of a Lorenz curve from (0, 0) to (1, 1), at most a thousand of them.

    >>> lorenz_points(np.array([1.0, 1.0]), np.array([3.0, 1.0])).rows()
    [(0.0, 0.0), (0.5, 0.25), (1.0, 1.0)]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(size > 0, amount / size, np.where(amount > 0, np.inf, 0.0))
    order = np.argsort(rate, kind="stable")
    points = [np.concatenate([[0.0], np.cumsum(one[order])]) / one.sum() for one in (size, amount)]
    at = np.unique(np.linspace(0, len(order), min(len(order) + 1, _MOST_POINTS)).round().astype(np.int64))
    return pl.DataFrame({"p": points[0][at], "share": points[1][at]})


def _told(source: Source, name: str) -> str:
    return source if isinstance(source, str) else name
