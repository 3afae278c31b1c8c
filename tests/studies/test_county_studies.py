"""The studies of counties and households: quotations, what constructed cases must give, and what cannot be done."""

from __future__ import annotations

import re
import runpy
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.evaluation import two_way_fixed_effects
from medfloor.intake import write_table
from medfloor.settlement import settle
from medfloor.studies import about_study, run_study
from medfloor.studies.chapters import chapter_of, chapters
from medfloor.studies.county import read_county
from medfloor.studies.ledger import ledger_of
from medfloor.studies.levels import write_levels
from medfloor.studies.pages import _named
from medfloor.studies.study import Reason, Study
from medfloor.studies.two_provinces import by_law, with_probabilities
from medfloor.synthetic import synthesise
from medfloor.synthetic.place import shipped_place
from medfloor.words import knows, say

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ROOT.parent / "shared" / "seeds"
NAMES = ("integration", "county-ledger", "two-provinces")


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make up a small county once."""
    folder = tmp_path_factory.mktemp("county")
    made = synthesise(3_000, seed=3)
    for name, table in made.tables.items():
        write_table(table, folder / f"{name}.parquet")
    (folder / "policy.yaml").write_bytes(Path(shipped_place().policy_address).read_bytes())
    return folder


@cache
def example(name: str) -> pl.DataFrame:
    """Give the constructed rows of examples/seed_<name>.py."""
    made = runpy.run_path(str(ROOT / "examples" / f"seed_{name}.py"))
    frame: pl.DataFrame = made["cases" if name == "003" else "households"]()
    return frame


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("ledger")
    example("003").write_csv(folder / "settlements.csv")
    return run_study("county-ledger", folder, reference="income")


@pytest.fixture(scope="module")
def provinces(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("provinces")
    example("004").write_csv(folder / "households.csv")
    return run_study("two-provinces", folder, policy="cn/beijing@2024-01-01")


def frame_of(study: Study, name: str) -> pl.DataFrame:
    content = study.table(name).content
    assert isinstance(content, pl.DataFrame)
    return content


def verdicts(study: Study) -> dict[str, str | None]:
    return {claim.printed.text[:40]: claim.verdict for section in study.sections for claim in section.claims}


# What the documents printed


@pytest.mark.parametrize("name", NAMES)
def test_every_quotation_stands_word_for_word_in_its_document(name: str) -> None:
    about = about_study(name)
    files = sorted(SEEDS.glob(f"{about.seed}_*.txt"))
    if not files:
        pytest.skip("the folder shared/seeds with the source documents is not beside the repository")
    # One document is broken into lines as it was printed, so that blanks and breaks count alike.
    document = re.sub(r"\s+", " ", files[0].read_text(encoding="utf-8"))
    assert about.printed
    assert [one.text for one in about.printed if one.text not in document] == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_study_tells_all_about_itself_in_both_languages(name: str, lang: str) -> None:
    about = about_study(name)
    text = about.text(lang)
    assert all(option.name in text for option in about.options)
    assert bool(re.search("[\u4e00-\u9fff]", about.question.say(lang))) is (lang == "zh")


def test_constructed_cases_give_the_printed_figures_of_the_ledger(ledger: Study) -> None:
    spectrum = dict(frame_of(ledger, "spectrum").select("chapter", "cases").iter_rows())
    assert (spectrum["circulatory"], spectrum["respiratory"]) == (1394, 346)
    crossed = {(row[0], row[1]): row[2] for row in frame_of(ledger, "risk").iter_rows()}
    assert (crossed["low", "safe"], crossed["high", "safe"]) == (1041.0, 961.0)
    assert verdicts(ledger)["After all compensations,a total of 2002 "] == "same"


def test_the_printed_percentages_of_the_ledger_are_those_of_its_counts(ledger: Study) -> None:
    possible = frame_of(ledger, "possible")
    assert possible["verdict"].to_list() == ["possible"] * 5
    assert [int(one) for one in possible["counts"]] == possible["printed_count"].to_list()


def test_what_the_cases_do_not_tell_is_said_and_not_made_up(ledger: Study) -> None:
    # The constructed cases have neither people nor statuses nor kinds of care.
    undone = {one.key for section in ledger.sections for one in section.undone}
    assert {"county_ledger.undone_by_sex", "county_ledger.undone_by_age", "county_ledger.undone_by_stays"} <= undone
    assert {one.key for one in ledger.warnings} == {"county_ledger.no_statuses", "county_ledger.no_care_type"}
    assert verdicts(ledger)["In the sample of the poor population,all"] == "not_tried"


def test_constructed_households_give_the_printed_figures_of_the_two_provinces(provinces: Study) -> None:
    assert frame_of(provinces, "sample")["households"].sum() == 1113
    found = verdicts(provinces)
    # The difference in major disease (15.80 and 12.47 %) is what such samples give by chance.
    assert found["the morbidity rate of major diseases amo"] == "unclear"
    rest = {text: one for text, one in found.items() if "morbidity" not in text}
    assert set(rest.values()) == {None, "not_tried", "same"}


def test_made_up_data_say_so(county: Path) -> None:
    for name in NAMES:
        study = run_study(name, county)
        assert study.synthetic
        assert "MADE-UP DATA" in study.text("en")
        assert "虚构" in study.text("zh")


# The ledger


def test_codes_belong_to_the_chapter_whose_range_holds_them() -> None:
    for name, (first, last) in chapters().items():
        assert chapter_of(pl.Series([first, f"{last}.9", first.lower()])).to_list() == [name] * 3
    assert chapter_of(pl.Series(["E91", "K94", "", "12", None])).to_list() == ["no_chapter"] * 5


def test_chapters_do_not_overlap() -> None:
    ends = [edge for pair in sorted(chapters().values()) for edge in pair]
    assert ends == sorted(ends)


def test_cases_are_stays_of_people_with_a_status(county: Path) -> None:
    read = read_county(county)
    cases = ledger_of(read, people="poor", case="stay").cases
    poor = read.with_status()["claim_id"]
    stays = read.paid.filter((pl.col("care_type") == "inpatient") & pl.col("claim_id").is_in(poor.implode()))
    assert sorted(cases["case_id"]) == sorted(stays["claim_id"])
    assert cases["chapter"].null_count() == cases["age"].null_count() == cases["sex"].null_count() == 0


def test_what_tiers_paid_and_patients_bear_is_the_cost(county: Path) -> None:
    cases = ledger_of(read_county(county), people="all", case="claim").cases
    paid = cases.select(pl.sum_horizontal(pl.col("^pay_(basic|critical_illness|assistance)$")) + pl.col("own"))
    # Amounts are fen in doubles; sums of four of them miss by far less than half a fen.
    assert (paid.to_series() - cases["total"]).abs().max() < 0.005  # type: ignore[operator]


def test_a_person_as_a_case_bears_what_all_claims_left(county: Path) -> None:
    read = read_county(county)
    by_claim = ledger_of(read, people="all", case="claim").cases
    by_person = ledger_of(read, people="all", case="person").cases
    assert by_person.height == by_claim["person_id"].n_unique()
    assert by_person["own"].sum() == pytest.approx(by_claim["own"].sum())


def test_settlements_that_were_written_give_the_same_as_claims_settled_here(county: Path, tmp_path: Path) -> None:
    done = settle(
        county / "claims.parquet", county / "people.parquet", county / "spells.parquet", str(county / "policy.yaml")
    )
    write_table(done.settlements, tmp_path / "settlements.csv")
    for name in ("claims", "people", "households", "spells"):
        (tmp_path / f"{name}.parquet").write_bytes((county / f"{name}.parquet").read_bytes())
    here, there = run_study("county-ledger", county), run_study("county-ledger", tmp_path)
    for name in ("spectrum", "tiers", "groups", "risk"):
        assert frame_of(here, name).equals(frame_of(there, name)), name


def test_settlements_under_the_platforms_names_are_understood(county: Path, tmp_path: Path) -> None:
    done = settle(
        county / "claims.parquet", county / "people.parquet", county / "spells.parquet", str(county / "policy.yaml"),
        columns="national",
    )  # fmt: skip
    assert done.national_fen is not None
    write_table(done.national_fen, tmp_path / "settlements.csv")
    study = run_study("county-ledger", tmp_path, people="all", case="claim")
    assert frame_of(study, "tiers")["tier"].to_list() == ["basic", "critical_illness", "assistance", "own"]


@settings(max_examples=10)
@given(order=st.permutations(range(40)))
def test_the_order_of_rows_changes_nothing(order: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = example("003").head(40)
    folders = [tmp_path_factory.mktemp("rows") for _ in range(2)]
    rows.write_csv(folders[0] / "settlements.csv")
    rows[order].write_csv(folders[1] / "settlements.csv")
    one, other = (run_study("county-ledger", folder, reference="income") for folder in folders)
    for name in ("spectrum", "risk"):
        # Sums of the same amounts in another order differ in the last digits.
        assert (
            frame_of(one, name)
            .drop("cost_share", "mean_cost", "cost", strict=False)
            .equals(frame_of(other, name).drop("cost_share", "mean_cost", "cost", strict=False))
        )


# Two provinces


def test_weights_undo_a_draw_with_probability_proportional_to_size() -> None:
    villages = pl.DataFrame({"psu": ["a", "b", "c"], "households": [100.0, 300.0, 600.0]})
    homes = pl.DataFrame({"psu": ["a"] * 2 + ["b"] * 2})
    frame, table = with_probabilities(homes, villages)
    assert table is not None
    # Two of three are drawn; c would have a chance above 1 and is drawn for certain, so that one is left for a and b.
    assert table["chance"].to_list() == [0.25, 0.75]
    assert frame["weight"].to_list() == [200.0, 200.0, 200.0, 200.0]


def test_a_village_that_the_frame_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="1 villages of the sample"):
        with_probabilities(pl.DataFrame({"psu": ["x"]}), pl.DataFrame({"psu": ["a"], "households": [9.0]}))


def test_villages_beside_the_survey_give_weights(tmp_path: Path) -> None:
    homes = example("004").with_columns(psu=pl.concat_str("province", pl.int_range(pl.len()) % 5))
    homes.write_csv(tmp_path / "households.csv")
    sizes = homes["psu"].unique().sort()
    pl.DataFrame({"psu": [*sizes, "more"], "households": [400] * (len(sizes) + 1)}).write_csv(tmp_path / "villages.csv")
    study = run_study("two-provinces", tmp_path)
    assert frame_of(study, "pps").height == len(sizes)
    assert not study.warnings


def test_the_law_repays_more_with_a_status_whatever_the_bill() -> None:
    ratios = by_law("cn/beijing@2024-01-01")
    assert (ratios["dibao"] > ratios["none"]).all()
    assert ratios["none"].is_between(0, 1).all()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"registered": pl.lit("yes")}, "not_two_groups"),
        ({"registered": pl.lit("perhaps")}, "not_yes_no"),
        ({"oop": None}, "missing_column"),
    ],
)
def test_a_survey_that_cannot_be_used_is_refused_in_one_line(
    change: dict[str, pl.Expr | None], code: str, tmp_path: Path
) -> None:
    homes = example("004")
    for name, value in change.items():
        homes = homes.drop(name) if value is None else homes.with_columns(value.alias(name))
    homes.write_csv(tmp_path / "households.csv")
    with pytest.raises(InputError) as refused:
        run_study("two-provinces", tmp_path)
    assert refused.value.code == code
    assert "\n" not in refused.value.message


# Joining the schemes


def test_joining_gives_the_countryside_what_the_points_took(county: Path) -> None:
    study = run_study("integration", county, points=10)
    told = study.table("groups").content.rows.filter(pl.col("by") == "residence")  # type: ignore[union-attr]
    bills = dict(told.filter(pl.col("statistic") == "bill_change").select("group", "estimate").iter_rows())
    assert bills["rural"] < 0
    assert bills["urban"] == 0
    # The premium of the town falls to the one level, that of the country rises to it.
    whole = dict(told.filter(pl.col("statistic") == "mean_change").select("group", "estimate").iter_rows())
    assert whole["rural"] > bills["rural"]
    assert whole["urban"] < 0


def test_without_points_or_gap_joining_changes_nothing(county: Path) -> None:
    study = run_study("integration", county, points=0, gap=0)
    extra = study.table("funds").content.rows.filter(pl.col("statistic") == "extra")  # type: ignore[union-attr]
    assert extra["estimate"].abs().max() == 0
    before, after = (study.table(f"transfer_{one}").content.rows["estimate"] for one in ("before", "one_level"))  # type: ignore[union-attr]
    assert before.equals(after)


def test_shares_of_town_and_country_add_up(county: Path) -> None:
    rows = run_study("integration", county).table("transfer_one_level").content.rows  # type: ignore[union-attr]
    for name in ("population_share", "benefit_share", "contribution_share"):
        part = rows.filter((pl.col("statistic") == name) & pl.col("group").is_not_null())
        assert part["estimate"].sum() == pytest.approx(1)


def test_pooling_moves_between_regions_and_makes_nothing(county: Path, tmp_path: Path) -> None:
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        for file in county.iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    south = pl.read_parquet(tmp_path / "south" / "claims.parquet").filter(pl.col("care_type") != "inpatient")
    south.write_parquet(tmp_path / "south" / "claims.parquet")
    rows = run_study("integration", tmp_path).table("regions").content.rows  # type: ignore[union-attr]
    moved = dict(rows.filter(pl.col("statistic") == "transfer").select("region", "estimate").iter_rows())
    # The region without stays keeps more by itself, and gives in one fund; fen in doubles cancel to less than a fen.
    assert moved["north"] > 0 > moved["south"]
    assert sum(moved.values()) == pytest.approx(0, abs=0.01)


def test_the_fund_of_years_to_come_is_told_before_joining_and_joined(county: Path) -> None:
    study = run_study("integration", county, years=6)
    assert study.section("sustainability").undone == ()
    rows = frame_of(study, "years")
    first = rows["projected"][0]
    assert rows["projected"].to_list() == list(range(first, first + 6))
    # The countryside is paid more once joined, and premiums come to about the same: less is left each year.
    assert (rows["months_joined"] < rows["months_before"]).all()
    assert (rows["below_joined"] >= rows["below_before"]).all()
    assert rows.null_count().sum_horizontal().item() == 0
    same = run_study("integration", county, years=6, points=0.0, gap=0.0)
    alike = frame_of(same, "years")
    # Where nothing is joined nothing changes; premiums of people are summed in doubles.
    assert alike["months_joined"].to_list() == pytest.approx(alike["months_before"].to_list(), rel=1e-9)


def test_years_that_cannot_be_projected_are_refused(county: Path) -> None:
    for years in (0, -3, 76):
        with pytest.raises(UsageError, match="use 1 to 75"):
            run_study("integration", county, years=years)


def test_the_files_of_the_three_laws_hold_for_a_place_with_a_law_of_its_own(tmp_path: Path) -> None:
    levels = write_levels(tmp_path, "cn/jiangxi/nanchang@2025-01-01", year=2025, points=5, gap=0.1)
    assert all(one.is_file() for one in (levels.before, levels.one_level, levels.one_fund))


# What is said in Chinese


def test_reasons_are_said_in_chinese_and_told_in_full_in_english() -> None:
    error = UsageError("no_variation", "'poor' is 1 in all rows; nothing can be said of it")
    assert Reason.of_error(error).say("en") == error.message
    assert Reason.of_error(error).say("zh") == say("why.no_variation", "zh")
    assert Reason.of_error(UsageError("unheard_of", "a message")).say("zh") == "a message"


def test_figures_of_fits_name_outcomes_in_words() -> None:
    rows = pl.DataFrame({"place": [0, 0, 1, 1, 2, 2] * 4, "poor_50": [0.0, 1.0, 1.0, 0.0, 1.0, 1.0] * 4})
    rows = rows.with_columns(x=pl.int_range(24) * 7 % 5)
    fit = two_way_fixed_effects(rows, outcome="poor_50", treatment="x", unit="place", cluster="place")
    named = _named(fit, "zh")
    assert named.rows["outcome"].unique().to_list() == [say("study_value.poor_50", "zh")]
    assert fit.rows["outcome"].unique().to_list() == ["poor_50"]
    assert "poor_50" in named.equation.say("zh")


def test_every_error_that_a_study_may_meet_has_a_reason_in_chinese() -> None:
    rooms = ("evaluation", "measures", "studies", "settlement", "simulation", "fund", "intake", "reports")
    files = [file for room in rooms for file in (ROOT / "src" / "medfloor" / room).rglob("*.py")]
    raised = {
        code for file in files
        for code in re.findall(r'(?:Usage|Input)Error\(\s*f?"(\w+)",', file.read_text(encoding="utf-8"))
    }  # fmt: skip
    assert len(raised) > 200
    lacking = sorted(code for code in raised if not knows(f"why.{code}", "zh"))
    assert not lacking, f"reasons.toml lacks {lacking}; docs/rejects.md has their words"


# What is lacking


@pytest.mark.parametrize(
    ("name", "code"),
    [("integration", "no_data"), ("county-ledger", "no_settlements"), ("two-provinces", "no_households")],
)
def test_an_empty_folder_is_refused_with_what_is_lacking(name: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        run_study(name, tmp_path)
    assert refused.value.code == code
    assert "\n" not in refused.value.message


def test_claims_without_a_law_ask_for_one(county: Path, tmp_path: Path) -> None:
    for name in ("claims", "people"):
        (tmp_path / f"{name}.parquet").write_bytes((county / f"{name}.parquet").read_bytes())
    with pytest.raises(UsageError) as refused:
        run_study("county-ledger", tmp_path)
    assert refused.value.code == "no_law"


@pytest.mark.parametrize(("name", "value"), [("reference", "much"), ("reference", "-3"), ("case", "visit")])
def test_a_setting_that_there_is_not_is_refused(name: str, value: str, county: Path) -> None:
    with pytest.raises(UsageError) as refused:
        run_study("county-ledger", county, **{name: value})
    assert refused.value.code == "bad_setting"
