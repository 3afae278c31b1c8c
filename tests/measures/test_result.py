"""Results: picked, told in both languages, turned into frames and plain data, and never changed."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import polars as pl
import pytest

from medfloor.errors import UsageError
from medfloor.measures import Design, Result, survey
from medfloor.measures.catastrophic import catastrophic
from medfloor.measures.result import figure_text
from medfloor.terminal import width_of


def homes(n: int = 200, seed: int = 9) -> pl.DataFrame:
    """Make households; nothing in them was observed."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "consumption": rng.lognormal(8, 0.6, n).round(2),
            "oop": (rng.lognormal(5, 1.5, n) * (rng.random(n) > 0.2)).round(2),
            "size": rng.integers(1, 7, n),
            "psu": rng.integers(0, 20, n),
            "residence": [None if one > 0.98 else "urban" if one > 0.5 else "rural" for one in rng.random(n)],
        }
    )


def measured(**more: object) -> Result:
    return catastrophic(homes(), thresholds=[0.1, 0.25], by="residence", against="urban", **more)  # type: ignore[arg-type]


def test_one_estimate_is_picked_by_its_name_and_labels() -> None:
    result = measured()
    assert result.value("headcount", threshold=0.1) == result.pick("headcount", threshold=0.1).estimate
    rural = result.pick("headcount", threshold=0.1, group="rural")
    assert rural.rows.height == 1 and rural.rows["against"].item() is None
    off = result.pick("headcount", threshold=0.1, group="rural", against="urban")
    assert off.estimate == pytest.approx(rural.estimate - result.value("headcount", threshold=0.1, group="urban"))
    assert result.pick("headcount", threshold=0.1).interval[0] < result.value("headcount", threshold=0.1)
    assert (
        result.pick("overshoot", threshold=0.25).n == 200 and result.pick("overshoot", threshold=0.25).weighted_n == 200
    )


def test_a_threshold_is_found_however_it_is_written() -> None:
    assert measured().value("headcount", threshold=0.1 + 1e-17) == measured().value("headcount", threshold=1 / 10)


@pytest.mark.parametrize(
    ("pick", "said"),
    [
        (lambda r: r.estimate, r"has \d+ estimates; choose one with pick"),
        (lambda r: r.pick("headcont"), "no statistic 'headcont' here; it has 'headcount'"),
        (lambda r: r.pick("headcount", threshold=0.3), "no threshold 0.3 here; it has 0.1, 0.25"),
        (lambda r: r.pick("headcount", tier="basic"), "no label 'tier'; it has statistic, threshold"),
        (lambda r: r.pick("headcount", group="town"), "no group 'town' here"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(pick: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        pick(measured())  # type: ignore[operator]


def test_asking_for_one_number_of_many_shows_how_to_choose() -> None:
    with pytest.raises(UsageError) as caught:
        _ = measured().estimate
    example = caught.value.message.split("such as ")[1]
    assert eval(f"measured().{example}.estimate") == measured().value("headcount", threshold=0.1)


def test_a_result_cannot_be_changed() -> None:
    result = measured()
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.measure = "other"  # type: ignore[misc]
    before = result.rows.clone()
    result.pick("headcount", threshold=0.1)
    result.text("zh")
    result.to_dict()
    assert result.rows.equals(before)


def test_frames_carry_the_definition_beside_each_estimate() -> None:
    frame = measured().to_frame("zh")
    assert frame.height == measured().rows.height
    assert frame["definition"].n_unique() == 1 and "自付" in frame["definition"][0]
    assert json.loads(frame["special"][0])["missing"] == 0 and frame["level"][0] == 0.95


def test_plain_data_are_json_with_null_for_what_is_not_defined() -> None:
    result = survey.ratio({"y": [1.0], "x": [0.0]}, value="y", over="x")
    told = json.loads(json.dumps(result.to_dict("zh"), allow_nan=False))
    assert told["estimates"][0]["estimate"] is None and told["estimates"][0]["n"] == 1
    assert told["definition"]["en"] and told["definition"]["zh"] and told["notes"]
    assert math.isnan(result.estimate) and math.isnan(result.se)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_text_has_a_table_for_all_one_for_groups_and_one_for_differences(lang: str) -> None:
    text = measured(quantiles=5).text(lang)
    heads = {"en": ["By residence", "By residence: difference from urban", "By quantile"],
             "zh": ["按城乡", "按城乡：与城镇之差", "按分位组"]}[lang]  # fmt: skip
    lines = text.split("\n")
    assert all(head in lines for head in heads), lines
    assert ("(missing)" if lang == "en" else "（缺失）") in text
    assert "None" not in text and "nan" not in text and "null" not in text


def test_rows_of_a_statistic_stand_together_and_its_name_once() -> None:
    lines = measured(rank_weighted=False).text().split("\n")
    start = lines.index("By residence")
    table = lines[start + 2 : lines.index("", start)]
    # Three statistics, two thresholds, three groups (urban, rural, missing).
    assert len(table) == 18
    assert [line.split("  ")[0] for line in table if not line.startswith(" ")] == [
        "headcount",
        "overshoot",
        "mean positive overshoot",
    ]


def test_labels_that_all_rows_share_stand_above_the_table() -> None:
    text = catastrophic(homes(), thresholds=[0.1], rank_weighted=False).text()
    assert "threshold: 0.1\n" in text
    head = next(line for line in text.split("\n") if line.startswith("statistic"))
    assert "threshold" not in head and "group" not in head and " p " not in head


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_columns_are_aligned_also_where_characters_are_wide(lang: str) -> None:
    lines = survey.mean(homes(), value="oop", by="residence").text(lang).split("\n")
    table = [line for line in lines if line.endswith(tuple("0123456789")) and "  " in line]
    assert len({width_of(line) for line in table[1:]}) == 1


def test_special_cases_and_notes_are_told() -> None:
    frame = homes().with_columns(oop=pl.when(pl.col("psu") == 3).then(None).otherwise(pl.col("oop")))
    text = catastrophic(frame, thresholds=[0.1]).text()
    assert f"rows left out because a value is missing: {(frame['psu'] == 3).sum()}" in text


def test_a_result_without_rows_is_told_too() -> None:
    result = dataclasses.replace(measured(), rows=measured().rows.clear())
    assert "Catastrophic" in result.text() and "灾难性" in result.text("zh")


def test_a_result_of_plain_numbers_needs_no_groups() -> None:
    whole = survey.mean(homes(), value="oop")
    plain = dataclasses.replace(whole, rows=whole.rows.drop("by", "group", "against"))
    assert plain.text() == whole.text() and plain.pick("mean").estimate == whole.estimate


def test_results_print_in_english() -> None:
    result = survey.mean(homes(), value="oop", design=Design())
    assert str(result) == result.text("en") and "Definition: weighted mean" in str(result)


def test_numbers_are_written_as_their_kind_is_read() -> None:
    assert figure_text(0.1234, "percent") == "12.34 %" and figure_text(1234.5, "count") == "1,234"
    assert figure_text(0.0123, "amount") == "0.0123" and figure_text(0.0, "amount") == "0.00"
    assert figure_text(None, "index") == "-" and figure_text(math.nan, "index") == "-"
    assert figure_text(0.00001, "index", "p") == "<0.0001" and figure_text(7, "index", "df") == "7.00"


def test_one_in_ten_thousand_is_not_less_than_that() -> None:
    assert figure_text(0.0001, "index", "p") == "0.0001"


def test_plain_data_carry_the_counts_of_special_cases() -> None:
    result = measured()
    assert result.special
    assert result.to_dict()["special"] == dict(result.special)
