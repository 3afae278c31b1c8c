"""CFPS is read whole and every missing answer is accounted for; tried on made-up files in its layout."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pyreadstat
import pytest

from medfloor import tables
from medfloor.errors import InputError, UsageError
from medfloor.intake import Survey, read_cfps
from medfloor.intake.cfps_files import find_cfps_files
from medfloor.layouts import shipped_layout
from medfloor.synthetic.cfps import MadeFiles, write_cfps

SCALE = 0.03  # about 440 households in 2010: each check takes seconds and still meets every code
WAVES = ["2010", "2012", "2014", "2016", "2018", "2020", "2022"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeFiles:
    return write_cfps(tmp_path_factory.mktemp("cfps"), seed=7, scale=SCALE)


@pytest.fixture(scope="module")
def survey(made: MadeFiles) -> Survey:
    return read_cfps(made.folder)


def rows_of(made: MadeFiles, kind: str) -> dict[str, int]:
    return {name[4:8]: rows for name, rows in made.truth["rows"].items() if kind in name}


# Rows


def test_no_household_is_lost_and_none_comes_twice(made: MadeFiles, survey: Survey) -> None:
    counts = dict(survey.households["wave"].value_counts().iter_rows())
    assert counts == rows_of(made, "famecon")
    assert not survey.households.select(pl.struct("wave", "household_id").is_duplicated().any()).item()
    assert survey.rejects.height == 0


def test_people_are_the_sum_of_their_files_less_those_in_two(made: MadeFiles, survey: Survey) -> None:
    counts = dict(survey.people["wave"].value_counts().iter_rows())
    joined = dict(
        survey.findings.dropped.filter(pl.col("reason") == "joined_with_other_file").select("wave", "rows").iter_rows()
    )
    for wave in WAVES:
        rows = sum(
            rows
            for name, rows in made.truth["rows"].items()
            if name[4:8] == wave and "fam" not in name and "crossyear" not in name
        )
        assert counts[wave] == rows - joined.get(wave, 0)
        assert counts[wave] == made.world.people[int(wave)].height


def test_every_row_says_that_it_is_synthetic(survey: Survey) -> None:
    assert survey.households["synthetic"].all()
    assert survey.people["synthetic"].all()
    assert survey.findings.remarks[0].key == "surveys.synthetic"


def test_values_are_those_that_were_made(made: MadeFiles, survey: Survey) -> None:
    for wave in WAVES:
        truth = made.world.households[int(wave)].select(
            pl.col("number").cast(pl.String).alias("household_id"), "income", "oop", "food", "size", "respondent"
        )
        read = survey.households.filter(pl.col("wave") == wave).join(
            truth, on="household_id", suffix="_true", validate="1:1"
        )
        assert read.height == truth.height
        for name in ("income", "oop", "food", "size"):
            both = read.drop_nulls(name)
            assert both.height > 0.9 * read.height
            assert (both[name] == both[f"{name}_true"]).all()
        assert (read["respondent_id"] == read["respondent"].cast(pl.String)).all()


# Missing codes


def test_every_code_that_was_written_is_counted(made: MadeFiles, survey: Survey) -> None:
    layout = shipped_layout("cfps")
    codes = survey.findings.codes
    checked = 0
    for file, columns in made.truth["codes"].items():
        if "crossyearid" in file:
            continue
        wave = int(file[4:8])
        part = "household" if "famecon" in file else "person"
        for variable in layout.part(part):  # type: ignore[arg-type]
            if variable.kind in ("slots", "id") or variable.otherwise.get(wave):
                continue
            names = variable.names(wave, child="child" in file)
            name = next((name for name in names if name in columns), None)
            if name is None:
                continue
            found = codes.filter((pl.col("file") == file) & (pl.col("column") == variable.name))
            read = dict(found.group_by("code").agg(pl.col("rows").sum()).iter_rows())
            assert {code: read.get(code, 0) for code in columns[name]} == columns[name], (file, variable.name)
            checked += 1
    assert checked > 100


def test_values_and_missing_answers_add_up_to_the_rows(survey: Survey) -> None:
    told = survey.findings.columns
    assert (told["values"] + told["missing"] == told["rows"]).all()
    lost = (
        survey.findings.codes.filter(pl.col("read_as") == "missing")
        .group_by("file", "column")
        .agg(pl.col("rows").sum())
    )
    both = told.filter(pl.col("status") == "read", pl.col("column") == "income").join(
        lost, on=["file", "column"], suffix="_lost"
    )
    assert (both["missing"] == both["rows_lost"]).all()


def test_debts_and_losses_are_kept(survey: Survey) -> None:
    homes = survey.households
    assert (homes["net_assets"] < -10).sum() > 20
    assert (homes["income"] < -10).sum() >= 1
    assert (homes["oop"].drop_nulls() >= 0).all()


def test_no_stay_means_that_nothing_was_spent_on_stays(survey: Survey) -> None:
    asked = survey.people.filter(pl.col("wave").is_in(["2014", "2018", "2020"]))
    nobody = asked.filter(pl.col("hospitalised") == 0)
    assert (nobody["inpatient_cost"].drop_nulls() == 0).all()
    # A few answers were overwritten with codes other than -8.
    assert nobody["inpatient_cost"].null_count() < 0.06 * nobody.height


def test_nothing_spent_though_in_hospital_is_missing(tmp_path: Path) -> None:
    homes = pl.DataFrame({"FID18": [1.0, 2.0], "fincome1": [100.0, 200.0]})
    homes.write_csv(tmp_path / "cfps2018famecon_202101.csv")
    pl.DataFrame({
        "pid": [11.0, 12.0, 21.0], "fid18": [1.0, 1.0, 2.0], "qc401": [1.0, 0.0, 1.0], "qc7a": [-8.0, -8.0, 0.0],
    }).write_csv(tmp_path / "cfps2018person_202012.csv")  # fmt: skip
    read = read_cfps(tmp_path)
    assert read.people["inpatient_cost"].to_list() == [None, 0.0, 0.0]
    codes = read.findings.codes.filter(pl.col("column") == "inpatient_cost")
    assert sorted(codes.select("code", "read_as", "rows").rows()) == [("-8", "missing", 1), ("-8", "zero", 1)]


def test_what_does_not_apply_to_a_child_gives_way_to_what_was_said_for_it(tmp_path: Path) -> None:
    pl.DataFrame({"fid18": [1.0], "fincome1": [100.0]}).write_csv(tmp_path / "cfps2018famecon_202101.csv")
    children = {"pid": [11.0, 12.0, 13.0, 14.0], "fid18": [1.0] * 4}
    asked = pl.DataFrame({**children, "qc401": [-8.0, -8.0, 0.0, -8.0], "qc7a": [-8.0, -8.0, -8.0, 40.0]})
    asked.write_csv(tmp_path / "cfps2018person_202012.csv")
    proxy = pl.DataFrame({**children, "qc401": [1.0, 1.0, 0.0, 1.0], "qc7a": [5000.0, -1.0, -8.0, 90.0]})
    proxy.write_csv(tmp_path / "cfps2018childproxy_202012.csv")
    # 11: the proxy's amount; 12: a stay whose cost nobody knows; 13: no stay; 14: what the child said itself.
    assert read_cfps(tmp_path).people["inpatient_cost"].to_list() == [5000.0, None, 0.0, 40.0]


# Names


def test_medical_expenses_of_2012_come_from_their_own_number(made: MadeFiles, survey: Survey) -> None:
    taken = survey.findings.columns.filter((pl.col("column") == "oop") & (pl.col("table") == "household"))
    assert dict(taken.select("wave", "taken_from").iter_rows()) == {
        "2010": "fh402", "2012": "fp509", "2014": "fp511", "2016": "fp511", "2018": "fp511", "2020": "fp511",
        "2022": "fp511",
    }  # fmt: skip
    for wave in WAVES:
        oop = survey.households.filter(pl.col("wave") == wave)["oop"]
        assert oop.count() > 0.9 * oop.len(), wave


def test_a_number_of_another_wave_is_never_taken(tmp_path: Path) -> None:
    # fp509 asks for something else from 2014 on: without fp511 there is no answer, and the report says so.
    pl.DataFrame({"fid14": [1.0], "fp509": [70.0]}).write_csv(tmp_path / "cfps2014famecon_201906.csv")
    read = read_cfps(tmp_path)
    assert "oop" not in read.households.columns
    told = read.findings.columns.filter(pl.col("column") == "oop")
    assert told["status"].to_list() == ["not_in_file"]


def test_health_of_2010_is_never_pooled_with_later_health(survey: Survey) -> None:
    first = survey.people["wave"] == "2010"
    assert survey.people.filter(first)["health"].null_count() == first.sum()
    assert survey.people.filter(~first)["health_2010"].null_count() == (~first).sum()
    assert survey.people.filter(first)["health_2010"].count() > 0


def test_insurance_of_2010_is_known_by_its_words(made: MadeFiles, survey: Survey) -> None:
    first = survey.people.filter(pl.col("wave") == "2010")
    assert first["insured"].count() == first.height
    truth = made.world.people[2010].with_columns(person_id=pl.col("number").cast(pl.String))
    both = first.join(truth.select("person_id", "kind"), on="person_id")
    assert ((both["kind"] == 5) == (both["rural_cooperative"] == 1)).all()


def test_a_wave_without_a_known_name_says_so(survey: Survey) -> None:
    told = survey.findings.columns.filter((pl.col("column") == "hospitalised") & (pl.col("wave") == "2012"))
    assert set(told["status"]) == {"not_known"}
    told = survey.findings.columns.filter((pl.col("column") == "weight") & (pl.col("wave") == "2010"))
    assert "unverified" in set(told["status"])


# Files


@pytest.mark.parametrize(
    ("form", "english", "capitals"),
    [("dta", True, False), ("dta", False, True), ("sav", True, True), ("xpt", False, True), ("csv", False, False)],
)
def test_every_release_reads_alike(made: MadeFiles, tmp_path: Path, form: str, english: bool, capitals: bool) -> None:
    write_cfps(tmp_path, seed=7, scale=SCALE, waves=[2012, 2018], form=form, english=english, capitals=capitals)  # type: ignore[arg-type]
    one = read_cfps(made.folder, waves=[2012, 2018])
    other = read_cfps(tmp_path)
    assert other.households.equals(one.households)
    assert other.people.equals(one.people)


def test_the_newest_release_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    frame = pl.DataFrame({"fid18": [1.0]})
    for name in (
        "cfps2018famecon_202101.csv",
        "cfps2018famecon_202512.csv",
        "ecfps2018famecon_202512.csv",
        "notes.csv",
    ):
        frame.write_csv(tmp_path / name)
    used, others = find_cfps_files(tmp_path)
    assert [file.place for file in used] == ["cfps2018famecon_202512.csv"]
    assert others == [
        ("cfps2018famecon_202101.csv", "older_release"),
        ("ecfps2018famecon_202512.csv", "same_release"),
        ("notes.csv", "not_cfps"),
    ]
    files = read_cfps(tmp_path).findings.files
    assert dict(files.select("file", "used").iter_rows())["cfps2018famecon_202512.csv"]


def test_files_in_folders_of_their_own_are_found(tmp_path: Path) -> None:
    (tmp_path / "CFPS2018").mkdir()
    pl.DataFrame({"fid18": [1.0]}).write_csv(tmp_path / "CFPS2018" / "ECFPS2018FAMECON_202101.CSV")
    assert read_cfps(tmp_path).households["household_id"].to_list() == ["1"]


def test_rows_without_a_number_and_second_rows_are_refused(tmp_path: Path) -> None:
    pl.DataFrame({"fid16": [1.0, 1.0, None, 2.0], "fincome1": [5.0, 6.0, 7.0, 8.0]}).write_csv(
        tmp_path / "cfps2016famecon_201807.csv"
    )
    read = read_cfps(tmp_path)
    assert read.households.select("household_id", "income").rows() == [("1", 5.0), ("2", 8.0)]
    assert read.rejects.select("fincome1", "reason").rows() == [("7.0", "missing_value"), ("6.0", "duplicate_row")]
    assert read.findings.dropped["rows"].to_list() == [1, 1]


# Panels


def test_the_three_ways_hold_what_was_made(made: MadeFiles, survey: Survey) -> None:
    truth = made.truth["links"]
    links = {(a, b): n for a, b, n, _ in survey.findings.links.iter_rows()}
    assert links["household", "any wave"] == truth["households"]
    assert links["household", "every wave"] == links["balanced", "any wave"] == truth["in_every_wave"]
    assert survey.households.filter(pl.col("split_off") == 1)["panel_id"].n_unique() == truth["split_off"]


def test_a_balanced_panel_has_every_household_in_every_wave(made: MadeFiles) -> None:
    read = read_cfps(made.folder, waves=[2012, 2014, 2016], link="balanced")
    counts = read.households.group_by("panel_id").len()["len"]
    assert set(counts) == {3}
    lost = read.findings.dropped.filter(pl.col("reason") == "not_in_every_wave")["rows"].to_list()
    assert lost == [sum(made.world.households[w].height for w in (2012, 2014, 2016)) - read.households.height]


def test_adults_and_children_come_from_the_roster(survey: Survey) -> None:
    both = survey.households.drop_nulls(["adults", "children"])
    assert both.height == survey.households.height
    assert (both["adults"] + both["children"] == both["size"]).all()


def test_money_is_brought_to_the_prices_of_one_year(made: MadeFiles, survey: Survey) -> None:
    real = read_cfps(made.folder, prices=2010, index=dict.fromkeys(range(2011, 2023), 110.0))
    for wave in ("2010", "2014"):
        level = 1.1 ** (int(wave) - 2010)
        one = survey.households.filter(pl.col("wave") == wave)["oop"].drop_nulls()
        other = real.households.filter(pl.col("wave") == wave)["oop"].drop_nulls()
        # A product of four doubles against a power: a few units in the last place.
        assert other.to_list() == pytest.approx((one / level).to_list(), rel=1e-12)
    assert real.households["size"].equals(survey.households["size"])


# The contract


def test_panels_have_the_columns_of_the_contract(survey: Survey) -> None:
    place = {"region", "county", "residence", "size", "stratum", "psu", "file_kind", "synthetic"}
    homes = set(tables.SURVEY_HOUSEHOLDS.names)
    assert set(survey.households.columns) == homes - {"price_level"} | {"synthetic"}
    assert set(survey.people.columns) == set(tables.SURVEY_PEOPLE.names) | place


def test_the_page_lists_every_column(root: Path) -> None:
    page = (root / "docs" / "cfps.md").read_text(encoding="utf-8")
    for head, table in (("households", tables.SURVEY_HOUSEHOLDS), ("people", tables.SURVEY_PEOPLE)):
        section = page.partition(f"## Columns: {head}")[2].partition("\n## ")[0]
        listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert [name for name in listed if name != "file_kind"] == list(table.names)


# Misuse


def test_a_folder_without_cfps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_cfps(tmp_path)
    assert caught.value.code == "no_cfps_files"


def test_a_wave_that_is_not_there_is_refused(made: MadeFiles) -> None:
    with pytest.raises(InputError, match="no famecon file of 2011; there are those of 2010") as caught:
        read_cfps(made.folder, waves=[2011])
    assert caught.value.code == "no_such_wave"


def test_a_file_without_household_numbers_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"fid16": [1.0]}).write_csv(tmp_path / "cfps2018famecon_202101.csv")
    with pytest.raises(InputError, match="no column fid18") as caught:
        read_cfps(tmp_path)
    assert caught.value.code == "no_household_number"


def test_a_column_in_two_spellings_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"fid18": [1.0], "FID18": [2.0]}).write_csv(tmp_path / "cfps2018famecon_202101.csv")
    with pytest.raises(InputError) as caught:
        read_cfps(tmp_path)
    assert caught.value.code == "ambiguous_column"


def test_a_stata_file_with_a_column_in_two_spellings_says_so(tmp_path: Path) -> None:
    """Stata tells fid18 and FID18 apart, so that a user's own file may have both."""
    path = tmp_path / "cfps2018famecon_202101.dta"
    pyreadstat.write_dta(pl.DataFrame({"fid18": [1.0], "FID18": [2.0]}), str(path), version=14)
    with pytest.raises(InputError) as caught:
        read_cfps(tmp_path)
    assert caught.value.code == "ambiguous_column"


def test_the_children_of_2022_may_be_in_a_file_of_their_own(tmp_path: Path) -> None:
    """The English release of 2022 has ecfps2022child_202410."""
    pl.DataFrame({"fid22": [1]}).write_csv(tmp_path / "ecfps2022famecon_202410.csv")
    pl.DataFrame({"pid": [1], "fid22": [1], "age": [40]}).write_csv(tmp_path / "ecfps2022person_202410.csv")
    pl.DataFrame({"pid": [2], "fid22": [1], "age": [5]}).write_csv(tmp_path / "ecfps2022child_202410.csv")
    people = read_cfps(tmp_path).people
    assert people.select("person_id", "age", "file_kind").rows() == [("1", 40.0, "person"), ("2", 5.0, "child")]


@pytest.mark.parametrize(
    "name",
    [
        "cfps2018person_202012.csv", "ecfps2018person_202012.csv", "CFPS2018PERSON_202012.CSV", "cfps2018person.csv",
        "cfps_2018_person.csv", "cfps2018_person_202012.csv", "Cfps2018person_170630.csv", "cfps2018person_092019compress.csv",
    ],
)  # fmt: skip
def test_names_of_files_vary(tmp_path: Path, name: str) -> None:
    pl.DataFrame({"FID18": [1]}).write_csv(tmp_path / "cfps2018famecon_202101.csv")
    pl.DataFrame({"PID": [7], "FID18": [1]}).write_csv(tmp_path / name)
    assert read_cfps(tmp_path).people["person_id"].to_list() == ["7"]


def test_a_file_of_cfps_of_an_unknown_kind_is_told_from_others(tmp_path: Path) -> None:
    pl.DataFrame({"fid12": [1]}).write_csv(tmp_path / "cfps2012famecon_201906.csv")
    for name in ("cfps2012famros_092015compress.csv", "notes.csv"):
        pl.DataFrame({"fid12": [1]}).write_csv(tmp_path / name)
    files = read_cfps(tmp_path).findings.files.filter(~pl.col("used"))
    assert files.select("file", "why").rows() == [
        ("cfps2012famros_092015compress.csv", "unknown_kind"), ("notes.csv", "not_cfps"),
    ]  # fmt: skip


def test_a_panel_of_people_in_one_wave_is_not_in_every_wave(tmp_path: Path) -> None:
    pl.DataFrame({"fid16": [1]}).write_csv(tmp_path / "cfps2016famecon_201807.csv")
    pl.DataFrame({"fid18": [1]}).write_csv(tmp_path / "cfps2018famecon_202101.csv")
    pl.DataFrame({"pid": [7], "fid18": [1]}).write_csv(tmp_path / "cfps2018person_202012.csv")
    links = {(a, b): u for a, b, u, _ in read_cfps(tmp_path).findings.links.iter_rows()}
    assert links["person", "any wave"] == 1 and links["person", "every wave"] == 0


def test_another_way_of_linking_is_misuse(made: MadeFiles) -> None:
    with pytest.raises(UsageError) as caught:
        read_cfps(made.folder, link="village")  # type: ignore[arg-type]
    assert caught.value.code == "no_such_link"
