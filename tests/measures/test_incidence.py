"""Benefit incidence by quantile, and net transfers: who pays for whom."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import table

from medfloor.errors import InputError, UsageError
from medfloor.measures import Benefit, Design, concentration, incidence, net_transfer
from medfloor.measures.rank import quantile_groups

ROWS = Design()


def pool(rows: int = 600, seed: int = 8) -> pl.DataFrame:
    """Make up a pool in which everyone pays the same and the towns, which are richer, use more: a reverse subsidy."""
    rng = np.random.default_rng(seed)
    village = rng.integers(0, 40, rows)
    urban = village % 4 == 0
    consumption = rng.lognormal(3, 0.5, rows) * np.where(urban, 2.0, 1.0)
    cost = rng.exponential(300, rows) * np.where(urban, 2.0, 1.0)
    return pl.DataFrame(
        {
            "benefit": 0.6 * cost,
            "total": cost,
            "oop": 0.4 * cost,
            "visits": rng.poisson(2, rows) * 1.0,
            "fees": rng.exponential(30, rows),
            "contribution": np.full(rows, 200.0),
            "subsidy": np.where(urban, 0.0, 50.0),
            "consumption": consumption,
            "size": rng.integers(1, 6, rows) * 1.0,
            "village": village,
            "weight": rng.uniform(1, 3, rows),
            "residence": np.where(urban, "urban", "rural"),
        }
    )


# Incidence


def test_shares_and_means_by_quintile_are_those_of_the_groups() -> None:
    frame = pool()
    found = incidence(frame, rank_by="household")
    w, b, x = (frame[name].to_numpy() for name in ("weight", "benefit", "consumption"))
    group = quantile_groups(x, w, 5)[0]
    for place in range(5):
        inside = group == place
        share = (w * b)[inside].sum() / (w * b).sum()
        label = str(place + 1)
        assert found.value("benefit_share", quantile=label) == pytest.approx(share, rel=1e-9)
        mean = np.average(b[inside], weights=w[inside])
        assert found.value("mean_benefit", quantile=label) == pytest.approx(mean, rel=1e-9)
    assert found.rows.filter(statistic="benefit_share")["estimate"].sum() == pytest.approx(1, rel=1e-12)


def test_ties_at_a_cut_belong_below_as_in_stata() -> None:
    frame = table("randhie_y1").with_columns(oop=pl.min_horizontal(pl.col("coins") / 100 * pl.col("meddol"), "mdeoff"))
    found = incidence(frame, benefit=Benefit(total="meddol", oop="oop"), rank="income", design=ROWS)
    benefit = (frame["meddol"] - frame["oop"]).to_numpy()
    group = quantile_groups(frame["income"].to_numpy(), np.ones(frame.height), 5)[0]
    shares = np.bincount(group, benefit) / benefit.sum()
    assert found.rows.filter(statistic="benefit_share")["estimate"].to_list() == pytest.approx(
        shares.tolist(), rel=1e-9
    )


def test_indices_over_all_are_those_of_concentration() -> None:
    frame = pool()
    found = incidence(frame)
    index = concentration(frame, of="benefit").estimate
    gini = concentration(frame.with_columns(y=pl.col("consumption") / pl.col("size")), of="y", rank="y").estimate
    assert found.value("benefit_concentration", quantile=None) == pytest.approx(index, rel=1e-9)
    assert found.value("rank_gini", quantile=None) == pytest.approx(gini, rel=1e-9)
    assert found.value("benefit_kakwani", quantile=None) == pytest.approx(index - gini, rel=1e-9)


def test_benefits_worked_out_three_ways() -> None:
    frame = pool().with_columns(grant=pl.lit(100.0))
    given = incidence(frame).value("mean_benefit", quantile=None)
    assert incidence(frame, benefit=Benefit(total="total", oop="oop")).value(
        "mean_benefit", quantile=None
    ) == pytest.approx(given, rel=1e-12)
    for subsidy in (100, "grant"):
        found = incidence(frame, benefit=Benefit(use="visits", unit_subsidy=subsidy, fee="fees"))
        expected = np.average(frame["visits"] * 100 - frame["fees"], weights=frame["weight"])
        assert found.value("mean_benefit", quantile=None) == pytest.approx(expected, rel=1e-9)
    assert found.special["negative_benefit"] > 0
    assert "incidence.negative" in [note.key for note in found.notes]
    floored = incidence(frame, benefit=Benefit(use="visits", unit_subsidy=100, fee="fees", floor=True))
    assert "negative_benefit" not in floored.special
    assert floored.value("mean_benefit", quantile=None) > found.value("mean_benefit", quantile=None)


@pytest.mark.parametrize(
    "benefit",
    [
        Benefit(),
        Benefit(total="total"),
        Benefit(use="visits"),
        Benefit(benefit="benefit", total="total", oop="oop"),
        Benefit(use="visits", unit_subsidy=1, oop="oop"),
    ],
)
def test_a_benefit_that_is_not_said_in_one_way_is_refused(benefit: Benefit) -> None:
    with pytest.raises(UsageError, match="in one way"):
        incidence(pool(20), benefit=benefit)


def test_errors_of_shares_and_means_know_that_cuts_are_estimated() -> None:
    rng = np.random.default_rng(11)
    found: list[list[float]] = []
    errors: list[list[float]] = []
    for _ in range(300):
        x = rng.lognormal(0, 0.8, 400)
        frame = {"benefit": x + rng.exponential(0.3, 400), "consumption": x}
        rows = incidence(frame, quantiles=3).rows.filter(pl.col("quantile").is_not_null())
        found.append(rows["estimate"].to_list())
        errors.append(rows["se"].to_list())
    ratio = np.mean(errors, axis=0) / np.std(found, axis=0)
    # 300 samples know a standard deviation to 1/sqrt(600) = 4 %. With the cuts taken as given the errors of means in
    # the groups, whose benefits follow the rank, would be too small by one to two fifths.
    assert np.abs(ratio - 1).max() < 0.15, ratio


def test_linearised_errors_of_indices_agree_with_the_jackknife() -> None:
    design = {"weight": "weight", "psu": "village"}
    line = incidence(pool(), design=Design(**design)).rows.filter(pl.col("quantile").is_null())
    jack = incidence(pool(), design=Design(**design, method="jackknife")).rows.filter(pl.col("quantile").is_null())
    # Two estimates of one error over 40 clusters, whose difference is of the order of 1/40.
    assert np.abs((line["se"] / jack["se"]).to_numpy() - 1).max() < 0.06


def test_nothing_given_to_anyone_is_undefined() -> None:
    found = incidence({"benefit": [0.0, 0.0, 0.0], "consumption": [1, 2, 3]}, quantiles=2)
    assert found.rows.filter(statistic="benefit_share")["estimate"].null_count() == 2
    assert math.isnan(found.value("benefit_concentration", quantile=None))
    assert found.special["no_benefit"] == 3


def test_equal_ranks_leave_the_upper_quantiles_empty() -> None:
    found = incidence({"benefit": [1.0, 2.0, 3.0], "consumption": [7, 7, 7]}, quantiles=3)
    assert found.rows.filter(statistic="benefit_share")["estimate"].to_list() == [1.0, 0.0, 0.0]
    assert found.value("benefit_concentration", quantile=None) == pytest.approx(0, abs=1e-12)
    assert math.isnan(found.value("mean_benefit", quantile="3"))


# Net transfers


def test_the_reverse_subsidy_is_seen_and_tested() -> None:
    found = net_transfer(pool(), by="residence", against="urban", rank="consumption", rank_by="household")
    rural, urban = (found.value("share_gap", group=group) for group in ("rural", "urban"))
    assert rural == pytest.approx(-urban, rel=1e-9)
    assert rural < 0 < urban
    assert found.pick("share_gap", group="rural").rows["p"][0] < 0.01
    assert found.value("relative_return", group="rural") < 1 < found.value("relative_return", group="urban")
    assert found.value("reverse_subsidy") > 0
    assert found.value("return_rate", group="rural", against="urban") < 0


def test_every_number_is_what_its_formula_says() -> None:
    frame = pool()
    found = net_transfer(frame, subsidy="subsidy", by="residence")
    w, b, c, s = (frame[name].to_numpy() for name in ("weight", "benefit", "contribution", "subsidy"))
    inside = (frame["residence"] == "rural").to_numpy()
    mine = w * inside
    expected = {
        "mean_benefit": np.average(b, weights=mine),
        "mean_contribution": np.average(c, weights=mine),
        "mean_subsidy": np.average(s, weights=mine),
        "net_transfer": np.average(b - c - s, weights=mine),
        "return_rate": (mine @ b) / (mine @ (c + s)),
        "own_return": (mine @ b) / (mine @ c),
        "population_share": mine.sum() / w.sum(),
        "benefit_share": (mine @ b) / (w @ b),
        "contribution_share": (mine @ (c + s)) / (w @ (c + s)),
    }
    for statistic, value in expected.items():
        assert found.value(statistic, group="rural") == pytest.approx(value, rel=1e-9), statistic
    gap = expected["benefit_share"] - expected["contribution_share"]
    assert found.value("share_gap", group="rural") == pytest.approx(gap, rel=1e-9)
    relative = found.value("return_rate", group="rural") / found.value("return_rate")
    assert found.value("relative_return", group="rural") == pytest.approx(relative, rel=1e-9)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_shares_of_all_groups_add_up_and_gaps_cancel(seed: int) -> None:
    found = net_transfer(pool(50, seed), rank="consumption", quantiles=4)
    for statistic, whole in (
        ("population_share", 1),
        ("benefit_share", 1),
        ("contribution_share", 1),
        ("share_gap", 0),
    ):
        rows = found.rows.filter(statistic=statistic, by="quantile")
        assert rows["estimate"].sum() == pytest.approx(whole, rel=1e-9, abs=1e-12), statistic


def test_amounts_per_head_count_people() -> None:
    frame = pool()
    found = net_transfer(frame, per_head=True)
    people = (frame["weight"] * frame["size"]).to_numpy()
    net = ((frame["benefit"] - frame["contribution"]) / frame["size"]).to_numpy()
    assert found.value("net_transfer") == pytest.approx(np.average(net, weights=people), rel=1e-9)
    assert found.pick("net_transfer").weighted_n == pytest.approx(people.sum())


def test_linearised_errors_agree_with_the_jackknife_over_villages() -> None:
    design = {"weight": "weight", "psu": "village"}
    asked: dict[str, Any] = {"by": "residence", "against": "urban", "rank": "consumption", "subsidy": "subsidy"}
    line = net_transfer(pool(), **asked, design=Design(**design)).rows
    jack = net_transfer(pool(), **asked, design=Design(**design, method="jackknife")).rows
    both = line.select("statistic", "group", "against", "se", other=jack["se"]).filter(pl.col("other") > 1e-9)
    ratio = (both["se"] / both["other"]).to_numpy()
    # The ten towns are few clusters, so linear and jackknife errors may differ by the order of one in ten.
    assert np.abs(ratio - 1).max() < 0.12, both.filter(pl.Series(np.abs(ratio - 1) >= 0.12))


def test_errors_of_shares_know_the_rest_of_the_pool() -> None:
    found = net_transfer(pool(), by="residence", design=Design(psu="village"))
    gap = {group: found.pick("share_gap", group=group).se for group in ("rural", "urban")}
    assert gap["rural"] == pytest.approx(gap["urban"], rel=1e-9)  # what one group has more, the other has less


def test_a_group_that_pays_nothing_has_no_return() -> None:
    frame = {"benefit": [5.0, 3.0, 2.0], "contribution": [0.0, 0.0, 4.0], "group": ["free", "free", "paying"]}
    found = net_transfer(frame, by="group")
    assert math.isnan(found.value("return_rate", group="free"))
    assert math.isnan(found.value("relative_return", group="free"))
    assert found.value("share_gap", group="free") == pytest.approx(0.8)
    assert found.special["no_contribution"] == 2
    assert "concentration.undefined" in [note.key for note in found.notes]


@pytest.mark.parametrize("choices", [{"quantiles": 5}, {"rank": "consumption", "quantiles": 1}])
def test_quantiles_without_rank_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="quantile groups"):
        net_transfer(pool(20), **choices)


def test_a_missing_contribution_column_is_named() -> None:
    with pytest.raises(InputError, match="contribution"):
        net_transfer(pool(20).drop("contribution"))


def test_results_speak_both_languages() -> None:
    found = net_transfer(pool(), by="residence", rank="consumption")
    assert "reverse subsidy" in found.text("en")
    assert "逆向补贴" in found.text("zh")
    assert "受益归属分析" in incidence(pool()).text("zh")


def test_a_subsidy_is_divided_by_heads_like_all_the_rest() -> None:
    homes = {"benefit": [60.0, 10.0], "contribution": [20.0, 5.0], "subsidy": [10.0, 5.0], "size": [2.0, 1.0]}
    found = net_transfer(homes, subsidy="subsidy", per_head=True)
    # Three people: (60 + 10 - 20 - 5 - 10 - 5) / 3.
    assert found.value("net_transfer") == pytest.approx(30 / 3)
    assert found.value("return_rate") == pytest.approx(70 / 40)
