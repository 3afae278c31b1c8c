"""A panel looked over: counts by hand, drops, and what does not matter."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_panels import panel

from medfloor.errors import UsageError
from medfloor.evaluation import look_over

SMALL = pl.DataFrame(
    {
        "home": ["a", "a", "a", "b", "b", "c", "d", "d", "d", "e", None],
        "wave": [2012, 2014, 2018, 2012, 2018, 2014, 2012, 2014, 2018, 2012, 2012],
        "on": [0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0],
        "oop": [1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 1.0],
    }
)


def test_counts_are_those_of_a_count_by_hand() -> None:
    found = look_over(SMALL, unit="home", time="wave", treatment="on")
    assert found.counts == {
        "rows": 10, "units": 5, "waves": 3, "balanced": 2, "singletons": 2, "gaps": 1,
        "switch_on": 1, "switch_off": 0, "switch_both": 1, "always": 2, "never": 1,
    }  # fmt: skip
    assert found.waves["entered"].to_list() == [4, 1, 0]
    assert found.waves["left"].to_list() == [1, 1, 3]
    assert found.patterns.rows() == [("111", 2), ("101", 1), ("100", 1), ("010", 1)]
    assert found.cohorts.rows() == [(2012.0, 1, 1), (2014.0, 3, 7), (None, 1, 2)]
    assert found.frame["wave_index"].to_list() == [1, 2, 3, 1, 3, 2, 1, 2, 3, 1]
    assert found.frame["cohort"].to_list() == [2014, 2014, 2014, None, None, 2014, 2014, 2014, 2014, 2012]
    assert found.drops[0].of == "home"
    assert [one.key for one in found.warnings] == ["panel.goes_off"]


def test_every_drop_is_counted_with_the_units_it_cost() -> None:
    found = look_over(
        SMALL, unit="home", time="wave", treatment="on", needed=["oop"], drop_singletons=True, balanced=True
    )
    assert [(drop.reason, drop.rows, drop.units) for drop in found.drops] == [
        ("missing", 1, 0), ("missing", 1, 0), ("singleton", 2, 2), ("unbalanced", 4, 2),
    ]  # fmt: skip
    assert found.frame.height + sum(drop.rows for drop in found.drops) == SMALL.height
    assert found.frame["home"].unique().to_list() == ["d"]


def test_a_dose_has_switchers_and_no_cohorts() -> None:
    dose = SMALL.drop_nulls("home").with_columns(on=pl.col("on") * 0.5)
    found = look_over(dose, unit="home", time="wave", treatment="on")
    assert "cohort" not in found.frame.columns
    assert found.counts["switch_on"] == 1
    assert "always" not in found.counts
    assert "rises and falls" in found.text("en") and "begins" not in found.text("en")
    assert "有升有降" in found.text("zh") and "政策开始" not in found.text("zh")
    assert [one.key for one in found.warnings] == ["panel.goes_down"]


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_order_and_labels_of_waves_do_not_matter(random: object) -> None:
    homes = panel()
    order = list(range(homes.height))
    random.shuffle(order)  # type: ignore[attr-defined]
    found = look_over(homes, unit="home", time="wave", treatment="covered")
    other = look_over(
        homes[order].with_columns(wave=(pl.col("wave") - 2010) / 2), unit="home", time="wave", treatment="covered"
    )
    assert other.counts == found.counts
    assert other.patterns.equals(found.patterns)
    assert other.frame["wave_index"].to_list() == found.frame[order]["wave_index"].to_list()


def test_it_is_told_in_both_languages() -> None:
    found = look_over(panel(), unit="home", time="wave", treatment="covered")
    assert "units never treated" in found.text("en")
    assert "从未受政策的个体" in found.text("zh")
    assert found.to_dict("zh")["counts"]["units"] == found.counts["units"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"unit": "nowhere"}, "unknown_column"), ({"time": "home"}, "not_numbers"), ({"unit": "on"}, "repeated_rows")],
)
def test_misuse_is_said(changes: dict[str, str], code: str) -> None:
    with pytest.raises(UsageError) as error:
        look_over(SMALL, **{"unit": "home", "time": "wave"} | changes)  # type: ignore[arg-type]
    assert error.value.code == code


def test_a_balanced_panel_may_be_empty() -> None:
    with pytest.raises(UsageError, match="no row is left"):
        look_over(SMALL.filter(pl.col("home").is_in(["c", "b"])), unit="home", time="wave", balanced=True)
