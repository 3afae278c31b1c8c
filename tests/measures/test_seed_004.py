"""The tables and figures of a study of poor households, from synthetic households with its margins."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design, catastrophic, seed_004
from medfloor.measures.result import Result
from medfloor.measures.seed_004 import NATIONAL

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "seed_004.py"


@cache
def households() -> pl.DataFrame:
    made: pl.DataFrame = runpy.run_path(str(EXAMPLE))["households"]()
    return made


@cache
def results() -> dict[str, Result]:
    return {one.measure.removeprefix("seed_004_"): one for one in seed_004(households())}


def percent(part: str, statistic: str, **labels: object) -> float:
    return round(100 * results()[part].value(statistic, **labels), 2)


def test_the_sample_is_that_of_the_study() -> None:
    found = dict(
        households()
        .group_by("registered", "province")
        .len()
        .select(key=pl.concat_str("registered", "province", separator=" "), n="len")
        .rows()
    )
    assert found == {"yes Hubei": 250, "yes Jiangxi": 446, "no Hubei": 50, "no Jiangxi": 367}


def test_shares_are_those_that_the_study_printed() -> None:
    printed = {
        ("table_1", "chronic_disease_prevalence", "yes"): 40.37,
        ("table_1", "chronic_disease_prevalence", None): 36.48,
        ("table_1", "major_disease_prevalence", "yes"): 15.80,
        ("figure_1", "hospitalisation_rate", "yes"): 22.70,
        ("figure_1", "hospitalisation_rate", "no"): 9.83,
        ("figure_2", "catastrophic_incidence", "yes"): 17.24,
        ("figure_2", "catastrophic_incidence", "no"): 25.66,
    }
    for (part, statistic, group), value in printed.items():
        assert percent(part, statistic, group=group, **({} if group else {"by": None})) == value


def test_two_printed_shares_cannot_be_met_and_the_report_says_so() -> None:
    assert percent("table_1", "major_disease_prevalence", group="no") == 12.47  # printed: 12.55
    assert percent("table_1", "major_disease_prevalence") == 14.56  # printed: 14.22
    wrong = results()["printed"].rows.filter(statistic="consistent", verdict="impossible")
    assert wrong["percent"].to_list() == ["12.55", "14.22"]


def test_bands_of_reimbursement_are_those_that_the_study_printed() -> None:
    bands = ("<50%", "50-75%", "75-90%", ">=90%")
    assert [round(percent("figures_3_4", "reimbursement_band", group="yes", band=one)) for one in bands] == [
        21,
        50,
        20,
        9,
    ]
    assert percent("figures_3_4", "reimbursement_band", group="no", band="<50%") == 50
    assert percent("figures_3_4", "reimbursement_band", group="no", band=">=90%") == 0


def test_own_payments_are_those_of_table_2() -> None:
    table_2 = results()["table_2"]
    names = ("own_maximum", "own_minimum", "own_median", "own_mean")
    told = {group: [round(table_2.value(name, group=group), 2) for name in names] for group in ("yes", "no")}
    assert told == {"yes": [160_000, 0, 1_000, 9_415.57], "no": [400_000, 0, 10_000, 49_697.89]}


def test_own_payments_over_income_are_as_the_text_of_the_study_says() -> None:
    assert percent("figure_5", "income_band", group="no", band=">=90%") > 50  # "more than half"
    assert percent("figure_5", "income_band", group="no", band="<50%") < 20  # "only a few"


def test_catastrophic_spending_differs_between_the_groups_as_the_notes_say() -> None:
    row = results()["figure_2"].pick("pearson_chi2", by="registered").rows.row(0, named=True)
    assert (round(row["estimate"], 2), round(row["p"], 4)) == (11.38, 0.0007)


def test_catastrophic_spending_is_that_of_the_measure_of_this_name() -> None:
    other = catastrophic(households(), definition="nonfood", by="registered", rank_weighted=False)
    for group in ("yes", "no"):
        own = results()["figure_2"].pick("catastrophic_incidence", group=group)
        assert own.estimate == pytest.approx(other.value("headcount", group=group), rel=1e-12)
        assert own.se == pytest.approx(other.pick("headcount", group=group).se, rel=1e-12)


@pytest.mark.parametrize("statistic", NATIONAL)
def test_every_part_stands_beside_the_national_value_that_was_printed(statistic: str) -> None:
    (found,) = [one for one in results().values() if statistic in one.rows["statistic"].to_list()]
    assert found.value("yardstick", of=statistic) == NATIONAL[statistic].value
    for group in ("yes", "no"):
        off = found.value("less_yardstick", of=statistic, group=group)
        assert off == pytest.approx(found.value(statistic, group=group) - NATIONAL[statistic].value)
    assert any(NATIONAL[statistic].source.say("en") in note.say("en") for note in found.notes)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_part_reads_well(lang: str) -> None:
    for part, found in results().items():
        told = found.text(lang)
        assert {"en": "Study of poor households", "zh": "贫困户研究"}[lang] in told, part
        assert "seed_004" not in told


def test_another_definition_a_design_and_missing_values_are_taken() -> None:
    frame = households().with_columns(psu=pl.int_range(pl.len()) // 20, oop=pl.when(pl.col("size") > 1).then("oop"))
    found = seed_004(frame, definition="budget", design=Design(psu="psu"))
    incidence = found[2]
    assert incidence.special["missing_catastrophic_event"] == (frame["oop"].null_count())
    assert "all consumption" in incidence.definition.say("en")
    assert "pearson_chi2" not in incidence.rows["statistic"].to_list()


def test_a_table_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match="registered"):
        seed_004(households().drop("registered"))
    with pytest.raises(UsageError, match="no definition 'wealth'"):
        seed_004(households(), definition="wealth")  # type: ignore[arg-type]


def test_national_values_are_those_of_the_text_of_the_study() -> None:
    # Its tables and paragraphs: 12.80, 35.2, 14.7, 16.50 and 47.2 %, 4,466 yuan, 30.55 %.
    printed = {
        "major_disease_prevalence": 0.1280,
        "chronic_disease_prevalence": 0.352,
        "hospitalisation_rate": 0.147,
        "catastrophic_incidence": 0.1650,
        "own_mean": 4466.0,
        "own_share": 0.472,
        "own_income_share": 0.3055,
    }
    assert {name: one.value for name, one in NATIONAL.items()} == printed


def test_edges_are_those_of_both_kinds_of_band() -> None:
    parts = {one.measure: one for one in seed_004(households(), edges=[0.2, 0.6])}
    for part, statistic in (("seed_004_figures_3_4", "reimbursement_band"), ("seed_004_figure_5", "income_band")):
        bands = parts[part].rows.filter(statistic=statistic)["band"].unique(maintain_order=True).to_list()
        assert bands[:3] == ["<20%", "20-60%", ">=60%"]


def test_catastrophic_spending_stays_with_its_household_where_others_miss_a_value() -> None:
    frame = households().with_columns(oop=pl.when(pl.int_range(pl.len()) % 5 > 0).then("oop"))
    incidence = seed_004(frame)[2]
    plain = seed_004(frame.drop_nulls("oop"))[2]
    for group in ("yes", "no"):
        found = incidence.pick("catastrophic_incidence", group=group)
        assert found.estimate == plain.value("catastrophic_incidence", group=group)
        assert found.n == frame.drop_nulls("oop").filter(registered=group).height
