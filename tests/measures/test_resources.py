"""How resources lie between places, and who reaches them. All tables here are synthetic."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.measures.catchment import EARTH_KM, two_step_floating_catchment
from medfloor.measures.design import Design
from medfloor.measures.resources import resources

ALL = ("gini", "theil", "mld")


def counties(rows: int = 200, seed: int = 1) -> pl.DataFrame:
    """Make counties of three kinds with people, area, doctors and a name."""
    rng = np.random.default_rng(seed)
    people, kind = rng.gamma(2, 1e5, rows), rng.integers(0, 3, rows)
    return pl.DataFrame(
        {
            "doctors": people / 1000 * rng.gamma(4, 0.5, rows) * (1 + kind),
            "population": people,
            "km2": rng.gamma(1, 1000, rows),
            "residence": np.array(["urban", "rural", "mixed"])[kind],
            "county": [f"c{place}" for place in range(rows)],
        }
    )


def gini_by_pairs(amount: np.ndarray, size: np.ndarray) -> float:
    share, rate = size / size.sum(), amount / size
    return float((np.outer(share, share) * np.abs(rate[:, None] - rate[None, :])).sum() / (2 * share @ rate))


def test_indices_are_their_textbook_formulas() -> None:
    frame = counties()
    found = resources(frame, area="km2")
    for name, column in (("people", "population"), ("area", "km2")):
        amount, size = frame["doctors"].to_numpy(), frame[column].to_numpy()
        r, p = amount / amount.sum(), size / size.sum()
        assert found.value(f"gini_{name}") == pytest.approx(gini_by_pairs(amount, size), rel=1e-12)
        assert found.value(f"theil_{name}") == pytest.approx((r * np.log(r / p)).sum(), rel=1e-10)
        assert found.value(f"mld_{name}") == pytest.approx((p * np.log(p / r)).sum(), rel=1e-10)
        assert found.value(f"dissimilarity_{name}") == pytest.approx(np.abs(r - p).sum() / 2, rel=1e-12)
    assert found.value("density") == pytest.approx(1000 * frame["doctors"].sum() / frame["population"].sum())
    assert found.value("density_area") == pytest.approx(frame["doctors"].sum() / frame["km2"].sum())


@pytest.mark.parametrize("over", ["people", "area"])
def test_parts_add_up_to_the_whole_and_are_what_their_formulas_say(over: str) -> None:
    frame = counties()
    found = resources(frame, area="km2", by="residence")
    column = {"people": "population", "area": "km2"}[over]
    groups = {key[0]: part for key, part in frame.group_by("residence")}
    r = {key: part["doctors"].sum() / frame["doctors"].sum() for key, part in groups.items()}
    p = {key: part[column].sum() / frame[column].sum() for key, part in groups.items()}
    own = {key: {name: found.value(f"{name}_{over}", group=key) for name in ALL} for key in groups}
    weights = {"gini": {key: r[key] * p[key] for key in groups}, "theil": r, "mld": p}
    for name in ALL:
        pieces = [found.value(f"{name}_{over}_{piece}") for piece in ("within", "between")]
        pieces += [found.value(f"gini_{over}_overlap")] if name == "gini" else []
        # Sums of a few hundred terms: rounding only.
        assert sum(pieces) == pytest.approx(found.value(f"{name}_{over}"), abs=1e-12)
        assert pieces[0] == pytest.approx(sum(weights[name][key] * own[key][name] for key in groups), abs=1e-12)
        shares = found.rows.filter(pl.col("statistic").str.contains(f"^{name}_{over}_.*_share$"))["estimate"]
        assert shares.sum() == pytest.approx(1, abs=1e-12)
    means = [np.array([one[key] for key in groups]) for one in (r, p)]
    assert found.value(f"gini_{over}_between") == pytest.approx(gini_by_pairs(*means), abs=1e-12)
    between = sum(r[key] * math.log(r[key] / p[key]) for key in groups)
    assert found.value(f"theil_{over}_between") == pytest.approx(between, abs=1e-12)


def test_groups_that_do_not_overlap_leave_no_overlap() -> None:
    frame = {"doctors": [1.0, 2.0, 10.0, 12.0], "population": [1000.0] * 4, "residence": ["rural"] * 2 + ["urban"] * 2}
    assert resources(frame, by="residence").value("gini_people_overlap") == pytest.approx(0, abs=1e-15)


def test_agglomeration_degrees_are_shares_over_shares() -> None:
    frame = {
        "doctors": [30.0, 10.0],
        "population": [1000.0, 1000.0],
        "km2": [100.0, 300.0],
        "county": ["A", "B"],
        "residence": ["urban", "rural"],
    }
    found = resources(frame, area="km2", place="county", by="residence")
    for place, between, degrees in (("A", None, (3.0, 2.0, 1.5)), ("urban", "residence", (3.0, 2.0, 1.5)), ("B", None, (1 / 3, 2 / 3, 0.5))):  # fmt: skip
        values = [found.value(name, place=place, between=between) for name in ("hrad", "pad", "hrad_pad")]
        assert values == pytest.approx(degrees)
    assert found.value("density", place="A") == 30


def test_township_health_centres_fall_short_of_the_norm_of_seed_004() -> None:
    # Printed there: 1.56 staff in township health centres per 1,000 rural people, 2.59 the national average.
    found = resources({"doctors": [1.56], "population": [1000.0]}, norm=2.59)
    assert found.value("lacking") == pytest.approx(1.03)
    assert found.value("lacking_share") == pytest.approx(1.03 / 2.59)
    assert found.value("places_below") == 1


def test_a_norm_counts_places_people_and_what_lacks_and_no_surplus_makes_up_for_it() -> None:
    frame = {"doctors": [1.0, 2.0, 30.0], "population": [1000.0, 1000.0, 2000.0]}
    found = resources(frame, norm=2.0)
    assert found.value("places_below") == 1
    assert found.value("people_below") == 1000
    assert found.value("people_below_share") == 0.25
    assert found.value("lacking") == 1
    assert resources(frame, norm=20, per=10_000).value("lacking") == 1


def test_linearised_and_jackknife_errors_agree_where_places_are_a_sample() -> None:
    options = {"area": "km2", "norm": 2.59, "by": "residence", "against": "urban"}
    rows = {
        method: resources(counties(300), design=Design(method=method), **options).rows
        for method in ("linearised", "jackknife")
    }
    kept = [name for name in rows["linearised"]["statistic"].unique() if "resource" not in name]
    for name in kept:
        mine, other = (rows[method].filter(pl.col("statistic") == name)["se"].to_list() for method in rows)
        # Indices of skewed shares bend, in groups of a hundred places more than in the whole; totals do not.
        assert mine == pytest.approx(other, rel=0.12, abs=1e-12), name


def test_places_are_a_census_without_errors_unless_a_design_is_given() -> None:
    found = resources(counties())
    assert found.rows["se"].null_count() == found.rows.height
    assert found.errors.key == "resources.census"
    assert resources(counties(), design=Design()).pick("gini_people").se > 0


def test_places_without_the_resource_or_without_people_are_counted_and_defined_as_far_as_they_can_be() -> None:
    frame = {"doctors": [0.0, 2.0, 3.0, 0.0], "population": [1000.0, 1000.0, 0.0, 0.0]}
    found = resources(frame)
    assert found.special == {"missing": 0, "without_resource": 2, "without_people": 2}
    assert math.isnan(found.value("mld_people"))
    assert math.isnan(found.value("theil_people"))
    # Lorenz: half the people have nothing, the rest two fifths; three fifths lie where nobody lives.
    assert found.value("gini_people") == pytest.approx(1 - (0.5 * 0.4))
    assert {note.key for note in found.notes} == {"resources.no_mld", "resources.no_theil"}
    bare = resources({"doctors": [0.0, 4.0], "population": [1000.0, 1000.0]})
    assert bare.value("theil_people") == pytest.approx(math.log(2))
    assert bare.value("gini_people") == pytest.approx(0.5)


def test_a_group_with_nothing_has_no_index_of_its_own_and_the_whole_stays_defined() -> None:
    frame = {"doctors": [0.0, 0.0, 2.0, 4.0], "population": [1e3] * 4, "residence": ["rural"] * 2 + ["urban"] * 2}
    found = resources(frame, by="residence", area="population", norm=1)
    assert math.isnan(found.value("gini_people", group="rural"))
    assert found.value("gini_people_within") + found.value("gini_people_between") + found.value(
        "gini_people_overlap"
    ) == pytest.approx(found.value("gini_people"))
    assert found.value("theil_people_between") == pytest.approx(math.log(2))
    assert math.isnan(found.value("mld_people_between"))
    assert found.value("hrad", place="rural", between="residence") == 0


def test_one_place_equal_places_and_ties_have_no_inequality() -> None:
    for frame in (
        {"doctors": [3.0], "population": [10.0]},
        {"doctors": [1.0, 2.0, 4.0], "population": [10.0, 20.0, 40.0]},
    ):
        found = resources(frame)
        for name in (*ALL, "dissimilarity"):
            assert found.value(f"{name}_people") == pytest.approx(0, abs=1e-15)
    with_error = resources({"doctors": [3.0], "population": [10.0]}, design=Design())
    assert math.isnan(with_error.pick("gini_people").se)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"doctors": [-1.0, 1.0]}, "negative_value"),
        ({"doctors": [0.0, 0.0]}, "nothing_to_share"),
        ({"population": [0.0, 0.0]}, "nothing_to_share"),
        ({"doctors": [math.inf, 1.0]}, "infinite_value"),
        ({"doctors": [None, None]}, "no_rows"),
    ],
)
def test_tables_that_cannot_be_shared_out_are_refused(change: dict[str, object], code: str) -> None:
    with pytest.raises(InputError) as found:
        resources({"doctors": [1.0, 2.0], "population": [10.0, 20.0], **change})
    assert found.value.code == code


@pytest.mark.parametrize("options", [{"norm": 0}, {"norm": math.nan}, {"per": 0}])
def test_norms_that_mean_nothing_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError) as found:
        resources(counties(5), **options)
    assert found.value.code == "bad_norm"


def test_missing_values_leave_a_place_out_and_are_counted() -> None:
    frame = counties(20).with_columns(doctors=pl.when(pl.col("county") == "c3").then(None).otherwise(pl.col("doctors")))
    found = resources(frame, place="county")
    assert found.special["missing"] == 1
    assert "c3" not in found.rows["place"].to_list()
    assert found.rows.filter(pl.col("place") == "c4").height == 1


@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.001, 7.0, 1e6]))
@settings(max_examples=25)
def test_scale_replication_and_order_change_no_index(seed: int, scale: float) -> None:
    frame = counties(40, seed)
    plain = resources(frame, area="km2", by="residence")
    changes: list[Callable[[pl.DataFrame], pl.DataFrame]] = [
        lambda one: one.with_columns(pl.col("doctors", "km2") * scale),
        lambda one: pl.concat([one, one]),
        lambda one: one.sample(fraction=1, shuffle=True, seed=seed),
    ]
    names = [
        f"{name}_{over}{rest}" for name in ALL for over in ("people", "area") for rest in ("", "_within", "_between")
    ]
    for change in changes:
        other = resources(change(frame), area="km2", by="residence")
        for name in names:
            assert other.value(name) == pytest.approx(plain.value(name), rel=1e-8, abs=1e-10)
    for over in ("people", "area"):
        assert 0 <= plain.value(f"gini_{over}") < 1
        assert plain.value(f"theil_{over}") >= 0
        assert plain.value(f"gini_{over}_overlap") >= -1e-12
        assert 0 <= plain.value(f"dissimilarity_{over}") <= plain.value(f"gini_{over}") + 1e-12


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_a_place_split_in_two_equal_halves_and_tied_places_in_any_order_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = counties(20, seed).with_columns(doctors=pl.col("population") * pl.Series(rng.integers(1, 4, 20)) / 1000)
    halves = pl.concat([frame, frame]).with_columns(pl.col("doctors", "population") / 2)
    other = halves.sample(fraction=1, shuffle=True, seed=seed)
    for name in (*ALL, "dissimilarity"):
        mine, theirs = (resources(one).value(f"{name}_people") for one in (frame, other))
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_lorenz_curve_runs_from_corner_to_corner_and_is_thinned() -> None:
    found = resources(counties(5000), by="residence", area="km2")
    curve = found.curves["lorenz"]
    for _, part in curve.group_by("curve", "group"):
        assert part.height <= 1000
        assert part.row(0)[:2] == (0.0, 0.0)
        assert part.row(-1)[:2] == pytest.approx((1.0, 1.0))
        assert (part["share"] <= part["p"] + 1e-12).all()
    whole = resources(counties(50)).curves["lorenz"]
    area = float(np.trapezoid(whole["share"], whole["p"]))
    # Twice the area between curve and diagonal is the Gini.
    assert 1 - 2 * area == pytest.approx(resources(counties(50)).value("gini_people"), rel=1e-12)


def test_the_result_says_what_it_is_in_both_languages() -> None:
    found = resources(counties(), area="km2", by="residence", norm=2.59)
    assert "all places there are" in found.text("en")
    assert "卫生资源集聚度" in found.text("zh")
    assert "泰尔指数" in found.text("zh")
    assert found.line is not None
    assert found.line.say("en") == "2.59 for 1,000 people"


# Two-step floating catchment


def plane(rows: int = 40, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Make clinics and villages on a plane of 60 by 60 km."""
    rng = np.random.default_rng(seed)
    clinics = {"x_km": rng.uniform(0, 60, 12), "y_km": rng.uniform(0, 60, 12), "doctors": rng.integers(1, 9, 12) * 1.0}
    villages = {
        "x_km": rng.uniform(0, 60, rows),
        "y_km": rng.uniform(0, 60, rows),
        "population": rng.gamma(2, 500, rows),
    }
    return pl.DataFrame(clinics), pl.DataFrame({**villages, "name": [f"v{place}" for place in range(rows)]})


def by_loops(clinics: pl.DataFrame, villages: pl.DataFrame, radius: float, gaussian: bool) -> list[float]:
    """Work access out as Luo and Wang (2003) write it, with Dai's (2010) weights where asked."""

    def weight(one: dict[str, float], other: dict[str, float]) -> float:
        d = math.hypot(one["x_km"] - other["x_km"], one["y_km"] - other["y_km"])
        if d > radius:
            return 0.0
        return (math.exp(-0.5 * (d / radius) ** 2) - math.exp(-0.5)) / (1 - math.exp(-0.5)) if gaussian else 1.0

    there = list(villages.iter_rows(named=True))
    found = [0.0] * len(there)
    for clinic in clinics.iter_rows(named=True):
        crowd = sum(one["population"] * weight(one, clinic) for one in there)
        for place, one in enumerate(there):
            found[place] += weight(one, clinic) * clinic["doctors"] / crowd if crowd else 0.0
    return [1000 * one for one in found]


@pytest.mark.parametrize("decay", [None, "gaussian"])
def test_access_is_what_two_loops_give(decay: str | None) -> None:
    clinics, villages = plane()
    found = two_step_floating_catchment(clinics, villages, radius_km=12, decay=decay, place="name")
    access = by_loops(clinics, villages, 12, decay is not None)
    rows = found.rows.filter(pl.col("statistic") == "access")
    assert rows["estimate"].to_list() == pytest.approx(access, rel=1e-12)
    people = villages["population"].to_numpy()
    nobody = np.array(access) == 0
    assert found.value("without_access") == pytest.approx(people[nobody].sum())
    assert found.value("access_mean") == pytest.approx((people * access).sum() / people.sum())


@given(seed=st.integers(0, 10_000), radius=st.floats(1, 80), gaussian=st.booleans())
@settings(max_examples=25)
def test_what_is_reached_is_all_that_there_is(seed: int, radius: float, gaussian: bool) -> None:
    clinics, villages = plane(seed=seed)
    found = two_step_floating_catchment(clinics, villages, radius_km=radius, decay="gaussian" if gaussian else None)
    reached = clinics["doctors"].sum() * (1 - found.value("unreached"))
    assert found.value("access_mean") * villages["population"].sum() / 1000 == pytest.approx(reached, abs=1e-9)


def test_degrees_are_measured_over_the_ground() -> None:
    # One degree along the equator is 111.2 km; at 60 degrees north half of it.
    degree = math.radians(1) * EARTH_KM
    for lat, reach in ((0.0, degree), (60.0, degree / 2)):
        clinics = {"lon": [0.0], "lat": [lat], "doctors": [1.0]}
        villages = {"lon": [1.0], "lat": [lat], "population": [1000.0]}
        for radius, access in ((reach * 1.001, 1.0), (reach * 0.998, 0.0)):
            found = two_step_floating_catchment(clinics, villages, radius_km=radius)
            assert found.value("access_mean") == access
    over = two_step_floating_catchment(
        {"lon": [179.9], "lat": [0.0], "doctors": [1.0]},
        {"lon": [-179.9], "lat": [0.0], "population": [1000.0]},
        radius_km=30,
    )
    assert over.value("access_mean") == 1


def test_a_place_exactly_at_the_radius_and_one_at_the_facility_belong() -> None:
    clinics = {"x_km": [0.0], "y_km": [0.0], "doctors": [2.0]}
    villages = {"x_km": [0.0, 10.0], "y_km": [0.0, 0.0], "population": [500.0, 500.0]}
    assert two_step_floating_catchment(clinics, villages, radius_km=10).value("access_low") == 2
    assert two_step_floating_catchment(clinics, villages, radius_km=10, decay="gaussian").value("access_low") == 0


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"radius_km": 0}, UsageError, "bad_radius"),
        ({"decay": "linear"}, UsageError, "bad_choice"),
        ({"coordinates": ("lon", "lat")}, InputError, "missing_column"),
        ({"people": "doctors"}, InputError, "missing_column"),
    ],
)
def test_misuse_of_catchments_is_refused_by_name(change: dict[str, object], error: type[Exception], code: str) -> None:
    clinics, villages = plane()
    with pytest.raises(error) as found:
        two_step_floating_catchment(clinics, villages, **{"radius_km": 5, **change})
    assert found.value.code == code  # type: ignore[attr-defined]


def test_coordinates_that_are_none_are_refused() -> None:
    clinics, villages = plane()
    with pytest.raises(InputError) as found:
        two_step_floating_catchment(clinics.drop("x_km"), villages, radius_km=5)
    assert found.value.code == "no_coordinates"
    metres = {"lon": [100_000.0], "lat": [0.0]}
    with pytest.raises(InputError) as found:
        two_step_floating_catchment({**metres, "doctors": [1.0]}, {**metres, "population": [1.0]}, radius_km=5)
    assert found.value.code == "bad_coordinates"


def test_too_many_pairs_are_refused_before_memory_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfloor.measures.catchment.MOST_PAIRS", 100)
    clinics, villages = plane()
    with pytest.raises(UsageError, match="shrink the radius"):
        two_step_floating_catchment(clinics, villages, radius_km=100)


def test_nobody_in_reach_is_a_defined_answer() -> None:
    clinics, villages = plane()
    found = two_step_floating_catchment(clinics.with_columns(pl.col("x_km") + 1000), villages, radius_km=5)
    assert found.value("access_mean") == 0
    assert found.value("unreached") == 1
    assert found.value("without_access_share") == pytest.approx(1)
    assert math.isnan(found.value("gini_access"))
    assert found.special["unreached"] == 12
    assert "两步移动搜索法" in found.text("zh")


def test_a_place_at_the_radius_belongs_also_where_its_distance_is_rounded() -> None:
    clinics = {"x_km": [0.0], "y_km": [0.0], "doctors": [2.0]}
    # 0.1 + 0.2 is a little more than 0.3 in doubles.
    villages = {"x_km": [0.1 + 0.2], "y_km": [0.0], "population": [1000.0]}
    assert two_step_floating_catchment(clinics, villages, radius_km=0.3).value("access_mean") == pytest.approx(2)


def test_the_access_that_a_tenth_falls_short_of_is_that_of_people_and_not_of_places() -> None:
    clinics = {"x_km": [0.0], "y_km": [0.0], "doctors": [1.9]}
    villages = {"x_km": [0.0, 50.0], "y_km": [0.0, 0.0], "population": [950.0, 50.0]}
    # Five people in a hundred have nothing; one place of two has.
    assert two_step_floating_catchment(clinics, villages, radius_km=5).value("access_low") == pytest.approx(2)


def test_a_radius_of_thousands_of_kilometres_is_measured_along_the_ground() -> None:
    clinics = {"lon": [0.0], "lat": [0.0], "doctors": [2.0]}
    east = [math.degrees(km / EARTH_KM) for km in (2990, 3010)]
    villages = {"lon": east, "lat": [0.0, 0.0], "population": [1000.0, 1000.0]}
    assert two_step_floating_catchment(clinics, villages, radius_km=3000).value("without_access") == 1000


def test_a_place_at_the_norm_does_not_fall_short_of_it_whatever_rounding_says() -> None:
    assert 0.018 < 2 / 1000 * 9
    places = {"doctors": [0.018, 1.0], "population": [9.0, 1000.0]}
    found = resources(places, norm=2.0)
    assert found.value("places_below") == 1
    weighted = resources({**places, "weight": [3.0, 1.0]}, norm=2.0, design=Design(weight="weight"))
    assert weighted.value("places_below_share") == pytest.approx(1 / 4)
