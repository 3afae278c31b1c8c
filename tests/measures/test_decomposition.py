"""Decomposition of the concentration index, its change, and horizontal inequity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import check, ids, table, vietnam

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design, concentration, horizontal_inequity, oaxaca_change, wagstaff_decomposition

ROWS = Design()
FACTORS = ["age", "educyr", "hhsize", "male", "farm"]


def shares() -> pl.DataFrame:
    return vietnam().with_columns(share=pl.col("oop") / pl.col("consumption"), male=pl.col("sex") == "male")


def synthetic(rows: int = 500, seed: int = 4) -> pl.DataFrame:
    """Make up two waves of households in 40 villages, whose spending follows age, illness and consumption."""
    rng = np.random.default_rng(seed)
    age, chronic = rng.uniform(20, 80, rows), (rng.random(rows) < 0.3) * 1.0
    consumption = rng.lognormal(3, 0.5, rows) * (1 + (age < 50))
    visits = rng.poisson(1 + 0.03 * age + 2 * chronic + 0.02 * consumption).astype(float)
    return pl.DataFrame(
        {
            "oop": rng.exponential(1, rows) * (1 + age / 40 + chronic) * consumption**0.3,
            "consumption": consumption,
            "visits": visits,
            "age": age,
            "chronic": chronic,
            "sex": np.where(rng.random(rows) < 0.5, "male", "female"),
            "region": rng.integers(1, 4, rows),
            "village": rng.integers(0, 40, rows),
            "weight": rng.uniform(1, 3, rows),
            "wave": np.where(rng.random(rows) < 0.5, "2018", "2020"),
        }
    )


# Answers of other packages


@pytest.mark.parametrize(
    ("name", "statistic"), [("E09_decomp_Ck", "determinant_index"), ("E10_decomp_pct", "percent_contribution")]
)
def test_decomposition_is_that_of_rineq(name: str, statistic: str) -> None:
    frame = table("rineq_housing2000")
    determinants = ["sex", "tenure", "place", "age"]
    # The column `weight` of this file is a body weight, so the design is said.
    found = wagstaff_decomposition(frame, of="bmi", rank="income", determinants=determinants, design=ROWS)
    of_each = found.rows.filter(statistic=statistic)["estimate"].to_list()
    if name == "E10_decomp_pct":
        of_each = [100 * one for one in (found.value("percent_residual"), *of_each)]
    check(name, *of_each)


@pytest.mark.parametrize("name", ids("H12"))
def test_contributions_residual_and_index_on_vietnam(name: str) -> None:
    frame = shares().filter(urban=name.rsplit("_", 1)[1])
    found = wagstaff_decomposition(frame, of="share", rank="per_head", determinants=FACTORS)
    contributions = found.rows.filter(statistic="determinant_contribution")["estimate"]
    check(name, *contributions, found.value("residual"), found.value("concentration_index"))


@pytest.mark.parametrize("name", ids("H12"))
def test_groups_are_decomposed_like_tables_of_their_own(name: str) -> None:
    found = wagstaff_decomposition(
        shares(), of="share", rank="per_head", determinants=FACTORS, by="urban", design=Design(psu="psu")
    )
    mine = found.rows.filter(group=name.rsplit("_", 1)[1])
    contributions = mine.filter(statistic="determinant_contribution")["estimate"]
    rest = [mine.filter(statistic=one)["estimate"][0] for one in ("residual", "concentration_index")]
    check(name, *contributions, *rest)


@pytest.mark.parametrize("name", ids("H11"))
def test_horizontal_inequity_on_rand(name: str) -> None:
    # The logarithm of incomes below one dollar is taken to be zero, as in the case.
    frame = table("randhie_y1").with_columns(
        age2=pl.col("xage") ** 2, ln_income=pl.max_horizontal("income", pl.lit(1.0)).log()
    )
    found = horizontal_inequity(
        frame, of="mdvis", rank="income", need=["xage", "age2", "female", "disea"], control=["ln_income"]
    )
    check(name, *(found.value(one) for one in ("concentration_index", "need_index", "horizontal_inequity")))


# What always holds


def test_contributions_and_residual_add_up_to_the_index() -> None:
    found = wagstaff_decomposition(synthetic(), determinants=["age", "chronic", "sex", "i.region"], by="wave")
    for part in found.rows.partition_by("group"):
        of = {one: part.filter(statistic=one)["estimate"] for one in set(part["statistic"])}
        index = of["concentration_index"][0]
        assert of["determinant_contribution"].sum() + of["residual"][0] == pytest.approx(index, rel=1e-9)
        assert of["explained"][0] == pytest.approx(of["determinant_contribution"].sum(), rel=1e-9)
        assert of["percent_contribution"].sum() + of["percent_residual"][0] == pytest.approx(1, rel=1e-9)
        products = of["elasticity"] * of["determinant_index"]
        assert products.to_list() == pytest.approx(of["determinant_contribution"].to_list(), rel=1e-9)
    assert found.value("concentration_index") == pytest.approx(concentration(synthetic()).estimate, rel=1e-12)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_units_of_a_determinant_move_neither_the_explained_part_nor_the_residual(
    seed: int, scale: float, shift: float
) -> None:
    frame = synthetic(60, seed)
    moved = frame.with_columns(age=pl.col("age") * scale + shift)
    one, two = (wagstaff_decomposition(each, determinants=["age", "chronic"], design=ROWS) for each in (frame, moved))
    for statistic in ("explained", "residual"):
        # Rounding grows with the ratio of shift to spread, here up to some hundreds.
        assert one.value(statistic) == pytest.approx(two.value(statistic), rel=1e-7, abs=1e-9)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_weights_of_k_are_k_copies(seed: int) -> None:
    frame = synthetic(40, seed).with_columns(weight=pl.Series(np.arange(40) % 3 + 1.0))
    copies = frame.select(pl.all().repeat_by(pl.col("weight").cast(pl.UInt32)).explode())
    weighted = wagstaff_decomposition(frame, determinants=["age", "chronic"])
    copied = wagstaff_decomposition(copies, determinants=["age", "chronic"], design=ROWS)
    assert weighted.rows["estimate"].to_list() == pytest.approx(copied.rows["estimate"].to_list(), rel=1e-8, abs=1e-10)


def test_a_category_by_number_is_the_same_as_by_name() -> None:
    frame = synthetic().with_columns(place=pl.format("{}", "region"), half=pl.col("region") / 2)
    numbers, names, halves = (
        wagstaff_decomposition(frame, determinants=["age", one]) for one in ("i.region", "place", "i.half")
    )
    assert numbers.rows["estimate"].to_list() == names.rows["estimate"].to_list() == halves.rows["estimate"].to_list()
    assert numbers.rows["determinant"].drop_nulls().unique(maintain_order=True).to_list() == [
        "age", "region=2", "region=3",
    ]  # fmt: skip


def test_change_is_the_sum_of_its_parts_both_ways() -> None:
    frame = synthetic()
    waves = wagstaff_decomposition(frame, determinants=["age", "chronic"], by="wave")
    index = [waves.value("concentration_index", group=wave) for wave in ("2018", "2020")]
    totals = {}
    for at in ("before", "after"):
        found = oaxaca_change(frame, determinants=["age", "chronic"], indices_at=at)
        assert found.value("change") == pytest.approx(index[1] - index[0], rel=1e-9)
        parts = [found.value(one, determinant=None) for one in ("change_from_inequality", "change_from_elasticity")]
        assert sum(parts) + found.value("change_of_residual") == pytest.approx(found.value("change"), rel=1e-9)
        for name in ("age", "chronic"):
            of_name = [
                found.value(one, determinant=name) for one in ("change_from_inequality", "change_from_elasticity")
            ]
            gone = [waves.value("determinant_contribution", determinant=name, group=one) for one in ("2018", "2020")]
            assert sum(of_name) == pytest.approx(gone[1] - gone[0], rel=1e-9)
            assert found.value("change_of_contribution", determinant=name) == pytest.approx(sum(of_name), rel=1e-9)
        totals[at] = parts
    assert totals["before"] != pytest.approx(totals["after"], rel=1e-3)


def test_change_has_the_error_of_the_difference() -> None:
    frame, design = synthetic(), Design(weight="weight", psu="village")
    found = oaxaca_change(frame, determinants=["age"], design=design)
    gap = concentration(frame, by="wave", against="2018", design=design).pick(group="2020", against="2018")
    assert found.pick("change").se == pytest.approx(gap.se, rel=1e-9)


def test_use_that_follows_need_alone_is_fair() -> None:
    frame = synthetic().with_columns(visits=2 + 3 * pl.col("chronic"))
    found = horizontal_inequity(frame, of="visits", need=["chronic"], control=["age"], quantiles=5)
    assert found.value("horizontal_inequity", quantile=None) == pytest.approx(0, abs=1e-12)
    standardised = found.rows.filter(statistic="standardised_use")["estimate"].to_list()
    assert standardised == pytest.approx([found.rows.filter(statistic="standardised_use")["estimate"][0]] * 5, rel=1e-9)


def test_inequity_is_the_index_of_standardised_use() -> None:
    frame = synthetic()
    need, control = ["age", "chronic"], ["region"]
    x = np.column_stack([np.ones(frame.height), frame.select(*need, *control).to_numpy()])
    w, y = frame["weight"].to_numpy(), frame["visits"].to_numpy()
    b = np.linalg.lstsq(x * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]
    expected = x[:, :3] @ b[:3] + b[3] * np.average(x[:, 3], weights=w)
    standardised = frame.with_columns(fair=y - expected + np.average(expected, weights=w))
    found = horizontal_inequity(frame, of="visits", need=need, control=control, quantiles=4)
    assert found.value("horizontal_inequity", quantile=None) == pytest.approx(
        concentration(standardised, of="fair").estimate, rel=1e-9
    )
    assert found.value("need_index", quantile=None) == pytest.approx(
        concentration(frame.with_columns(fair=expected), of="fair").estimate, rel=1e-9
    )


# Errors


MEASURES: dict[str, Any] = {
    "decomposition": lambda frame, design: wagstaff_decomposition(
        frame, determinants=["age", "chronic", "sex"], design=design
    ),
    "change": lambda frame, design: oaxaca_change(frame, determinants=["age", "chronic"], design=design),
    "inequity": lambda frame, design: horizontal_inequity(
        frame, of="visits", need=["age", "chronic"], control=["region"], quantiles=3, design=design
    ),
}


@pytest.mark.parametrize("measure", MEASURES)
def test_linearised_errors_agree_with_the_jackknife_over_villages(measure: str) -> None:
    frame = synthetic(2000)
    line = MEASURES[measure](frame, Design(weight="weight", psu="village"))
    jack = MEASURES[measure](frame, Design(weight="weight", psu="village", method="jackknife"))
    both = line.rows.select("statistic", "se", other=jack.rows["se"])
    # The jackknife also sees what is not linear: products of three estimates over 40 clusters, up to a tenth here.
    ratio = (both["se"] / both["other"]).to_numpy()
    assert np.abs(ratio - 1).max() < 0.1, both.filter(pl.Series(np.abs(ratio - 1) > 0.1))


# What cannot be computed


def test_a_determinant_with_a_mean_of_zero_still_contributes() -> None:
    frame = synthetic().with_columns(age=pl.col("age") - pl.col("age").mean())
    rounded = frame.with_columns(age=pl.col("age").sign() * 10)
    half = rounded.filter(pl.col("age") > 0)
    even = pl.concat([half, half.with_columns(age=-pl.col("age"), consumption=pl.col("consumption") * 2)])
    found = wagstaff_decomposition(even, determinants=["age"], design=ROWS)
    assert math.isnan(found.value("determinant_index", determinant="age"))
    assert math.isfinite(found.value("determinant_contribution", determinant="age"))


@pytest.mark.parametrize(
    ("determinants", "code"),
    [
        (["age", "one"], "collinear"),
        (["age", {"months": pl.col("age") * 12}], "collinear"),
        (["word"], "one_value"),
        (["ages"], "missing_column"),
        (["i.village_name"], "missing_column"),
    ],
)
def test_regressors_that_explain_nothing_are_refused(determinants: list[Any], code: str) -> None:
    frame = synthetic(60).with_columns(one=pl.lit(1.0), word=pl.lit("a"))
    named: dict[str, Any] = {}
    for one in determinants:
        named |= one if isinstance(one, dict) else {one: one}
    with pytest.raises(InputError) as caught:
        wagstaff_decomposition(frame, determinants=named)
    assert caught.value.code == code


def test_a_determinant_that_is_constant_in_one_group_leaves_that_group_empty() -> None:
    frame = synthetic().with_columns(lone=pl.col("wave") == "2018")
    found = wagstaff_decomposition(frame, determinants=["age", "lone"], by="wave")
    assert math.isnan(found.value("residual", group="2018"))
    assert math.isfinite(found.value("concentration_index", group="2018"))
    assert [note.key for note in found.notes] == ["concentration.undefined"]


@pytest.mark.parametrize(
    ("choices", "code"),
    [
        ({"by": "region"}, "two_groups"),
        ({"before": "2018"}, "two_groups"),
        ({"before": "2018", "after": "2018"}, "two_groups"),
        ({"before": "2018", "after": "2022"}, "no_such_group"),
        ({"indices_at": "end"}, "bad_choice"),
        ({"determinants": []}, "no_columns"),
    ],
)
def test_changes_between_what_is_not_there_are_refused(choices: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        oaxaca_change(synthetic(60), **({"determinants": ["age"]} | choices))
    assert caught.value.code == code


def test_a_column_cannot_be_need_and_control() -> None:
    with pytest.raises(UsageError, match="age cannot be need and control"):
        horizontal_inequity(synthetic(60), of="visits", need=["age"], control=["age"])


def test_results_speak_both_languages() -> None:
    for measure in MEASURES.values():
        found = measure(synthetic(), ROWS)
        assert "concentration index" in found.text("en")
        assert "集中指数" in found.text("zh")


def test_a_change_counts_the_rows_of_its_two_waves_that_have_a_weight() -> None:
    frame = synthetic().with_columns(
        weight=pl.when(pl.col("village") == 3).then(0.0).otherwise("weight"),
        wave=pl.when(pl.col("village") == 5).then(pl.lit("2016")).otherwise("wave"),
    )
    found = oaxaca_change(frame, determinants=["age"], before="2018", after="2020")
    counted = frame.filter(pl.col("weight") > 0, pl.col("wave") != "2016")
    change = found.pick("change")
    assert (change.n, change.weighted_n) == (counted.height, pytest.approx(counted["weight"].sum()))


def test_a_category_that_is_no_number_in_some_rows_has_no_class_for_them() -> None:
    frame = synthetic().with_columns(
        region=pl.when(pl.col("village") == 1).then(math.nan).otherwise(pl.col("region").cast(pl.Float64))
    )
    found = wagstaff_decomposition(frame, determinants=["i.region"])
    assert set(found.rows["determinant"].drop_nulls()) == {"region=2", "region=3"}
