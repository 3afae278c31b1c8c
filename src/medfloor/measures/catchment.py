"""Measure how well people reach a resource: the two-step floating catchment area, with coordinates of both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.measures.design import Design
from medfloor.measures.estimate import Bound, Estimator, Statistic, evaluate
from medfloor.measures.influence import Array, Quantity, total
from medfloor.measures.rank import quantile
from medfloor.measures.resources import lorenz_gini, lorenz_points, place_rows
from medfloor.measures.result import Result
from medfloor.measures.sample import Sample, Source, Table, column, frame_of, take
from medfloor.words import Phrase

Decay = Literal["gaussian"]
EARTH_KM = 6371.0088
"""Mean radius of the earth (IUGG)."""

MOST_PAIRS = 50_000_000
_LABELS: dict[str, pl.DataType] = {"between": pl.String(), "place": pl.String()}


def two_step_floating_catchment(
    supply: Table,
    demand: Table,
    *,
    radius_km: float,
    decay: Decay | None = None,
    resource: Source = "doctors",
    people: Source = "population",
    coordinates: tuple[str, str] | None = None,
    per: float = 1_000.0,
    place: str | None = None,
) -> Result:
    """Measure access to a resource by the two-step floating catchment area method (Luo and Wang 2003).

    `supply` has one row a facility with `resource`, `demand` one row a place with `people`; both have the coordinates,
    `lon` and `lat` in degrees or `x_km` and `y_km` (found by name if `coordinates` is not given). Distances are
    straight lines, on a sphere for degrees; roads are not known. Step 1: each facility's resource for those within the
    radius, R_j = S_j / sum of P_k W(d_kj); step 2: each place's access A_i = sum of R_j W(d_ij), for `per` people. W is
    1 within the radius and 0 beyond; decay "gaussian": (exp(-(d/radius)^2 / 2) - exp(-1/2)) / (1 - exp(-1/2)) (Dai
    2010).

    `access_mean` weighs places by people: it is all reached resource over all people. `access_median`, `access_low`
    (the lowest tenth's border) and `gini_access` are over people too. `without_access` counts people with nothing in
    reach.
    `unreached` is the share of the resource that has nobody in its radius. With `place` (a column of `demand`) there is
    one row of `access` a place. Places are all there are, so there are no errors. `curves["lorenz"]` as in `resources`.

    Raises UsageError: bad_radius, bad_choice, many_pairs; InputError: what `take` raises, no_coordinates,
    bad_coordinates, negative_value.

    >>> clinics = {"x_km": [0.0, 50.0], "y_km": [0.0, 0.0], "doctors": [2.0, 3.0]}
    >>> villages = {"x_km": [1.0, 49.0], "y_km": [0.0, 0.0], "population": [1000.0, 3000.0], "name": ["A", "B"]}
    >>> found = two_step_floating_catchment(clinics, villages, radius_km=10, place="name")
    >>> found.value("access", place="A"), found.value("access", place="B"), found.value("access_mean")
    (2.0, 1.0, 1.25)
    """
    if not (radius_km > 0 and math.isfinite(radius_km)):
        raise UsageError("bad_radius", f"a radius of {radius_km} km reaches nobody; give kilometres above zero")
    if decay not in (None, "gaussian"):
        raise UsageError("bad_choice", f"there is no decay {decay!r}; use gaussian, or none")
    supplied, asked = frame_of(supply), frame_of(demand)
    names = coordinates or _coordinates(supplied, asked)
    east, north = names
    census = Design(method="none")
    facilities = take(supplied, {"resource": resource, "east": east, "north": north}, design=census)
    places = take(asked, {"people": people, "east": east, "north": north}, design=census)
    _check(facilities, places)
    degrees = _in_degrees(names, facilities, places)
    access, reached = _access(facilities, places, radius_km, decay, degrees)
    sample = places.also(access=per * access).noting(
        facilities=len(facilities), facilities_missing=facilities.special["missing"], unreached=int((~reached).sum())
    )
    lost = float(facilities["resource"][~reached].sum()) / float(facilities["resource"].sum())
    frames = [evaluate(sample, _estimator(lost), labels=_LABELS)]
    if place is not None:
        text = column(asked, place, "place").cast(pl.String)
        kept = text if sample.kept is None else text.filter(pl.Series(sample.kept))
        frames.append(place_rows("access", "amount", sample["access"], kept, sample.weight))
    curves = {}
    if (access * sample["people"]).any():
        points = lorenz_points(sample["people"], access * sample["people"])
        curves["lorenz"] = points.select("p", "share", curve=pl.lit("people"), group=pl.lit(None, pl.String))
    return Result(
        measure="catchment",
        rows=pl.concat(frames),
        definition=Phrase.of(
            "resources.catchment",
            radius=f"{radius_km:g}",
            decay=Phrase("resources.gaussian" if decay else "resources.no_decay"),
            distance=Phrase("resources.sphere" if degrees else "resources.plane"),
            per=f"{per:,g}",
        ),
        weight=places.weighted_by,
        errors=Phrase("resources.census"),
        special=sample.special,
        curves=curves,
    )


def _coordinates(*frames: pl.DataFrame) -> tuple[str, str]:
    for names in (("lon", "lat"), ("x_km", "y_km")):
        if all(name in frame.columns for frame in frames for name in names):
            return names
    raise InputError(
        "no_coordinates", "supply and demand need the columns lon and lat (degrees), or x_km and y_km, both the same"
    )


def _check(facilities: Sample, places: Sample) -> None:
    for sample, name in ((facilities, "resource"), (places, "people")):
        if (sample[name] < 0).any():
            raise InputError(
                "negative_value",
                f"{name} is {sample[name].min():g} in a row; amounts are zero or above. Correct the row",
            )
        if not sample[name].any():
            raise InputError(
                "nothing_to_share", f"{name} is zero in every row, so that nothing can be reached; check the column"
            )


def _in_degrees(names: tuple[str, str], *samples: Sample) -> bool:
    if not names[0].lower().startswith(("lon", "lng")):
        return False
    for sample in samples:
        if (np.abs(sample["east"]) > 180).any() or (np.abs(sample["north"]) > 90).any():
            raise InputError(
                "bad_coordinates",
                f"{names[0]} or {names[1]} leaves -180 to 180 or -90 to 90 degrees; kilometres stand in x_km and y_km",
            )
    return True


def _access(
    facilities: Sample, places: Sample, radius_km: float, decay: str | None, degrees: bool
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Give each place's access, and which facilities have people in reach."""
    from scipy.spatial import cKDTree

    # On the sphere the tree compares chords, which grow with the distance along the ground.
    reach = radius_km
    if degrees:
        reach = 2 * math.sin(min(radius_km / EARTH_KM, math.pi) / 2)
    points = [
        _on_sphere(one) if degrees else np.column_stack([one["east"], one["north"]]) for one in (facilities, places)
    ]
    trees = [cKDTree(one) for one in points]
    # A place exactly at the radius belongs, also where its distance is rounded.
    reach *= 1 + 1e-12
    pairs = int(trees[0].count_neighbors(trees[1], reach))
    if pairs > MOST_PAIRS:
        raise UsageError(
            "many_pairs",
            f"{pairs:,} pairs of facility and place lie within {radius_km:g} km, more than can be held at once; shrink "
            "the radius, or put places together",
        )
    near = trees[0].sparse_distance_matrix(trees[1], reach, output_type="ndarray")
    j, k, distance = near["i"], near["j"], near["v"]
    if degrees:
        distance = 2 * EARTH_KM * np.arcsin(np.minimum(distance / 2, 1.0))
    weights = np.ones(len(distance))
    if decay == "gaussian":
        # Rounding must not turn the weight at the radius itself below zero.
        weights = np.maximum((np.exp(-((distance / radius_km) ** 2) / 2) - math.exp(-0.5)) / (1 - math.exp(-0.5)), 0.0)
    crowd = np.bincount(j, weights * places["people"][k], minlength=len(facilities))
    reached = crowd > 0
    ratio = np.divide(facilities["resource"], crowd, out=np.zeros(len(facilities)), where=reached)
    return np.asarray(np.bincount(k, weights * ratio[j], minlength=len(places)), np.float64), reached


def _on_sphere(sample: Sample) -> Array:
    lon, lat = np.radians(sample["east"]), np.radians(sample["north"])
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _estimator(lost: float) -> Estimator:
    def bind(columns: Mapping[str, Array]) -> Bound:
        access, people = columns["access"], columns["people"]

        def bound(weight: Array) -> Iterator[Statistic]:
            mass = weight * people
            nothing = np.where(access == 0, people, 0.0)
            yield Statistic("access_mean", total(weight, people * access) / total(weight, people), "amount")
            yield Statistic("access_median", Quantity(quantile(access, mass, 0.5)), "amount", known=False)
            yield Statistic("access_low", Quantity(quantile(access, mass, 0.1)), "amount", known=False)
            yield Statistic("gini_access", lorenz_gini(weight, people * access, people), "index")
            yield Statistic("without_access", total(weight, nothing), "count")
            yield Statistic("without_access_share", total(weight, nothing) / total(weight, people), "percent")
            yield Statistic("unreached", Quantity(lost), "percent", known=False)

        return bound

    return bind
