"""`medfloor simulate` and `medfloor household`: what they print and write, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from made_small import BEIJING, small

from medfloor.cli.main import program

ROOT = Path(__file__).resolve().parents[2]
CAP = str(ROOT / "examples" / "reforms" / "oop_cap.yaml")
STEP = str(ROOT / "examples" / "reforms" / "softer_cliff.yaml")


def call(*args: str) -> Result:
    return CliRunner().invoke(program, list(args), prog_name="medfloor")


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("county")
    return write(folder, small(600))


def write(folder: Path, pop) -> Path:  # type: ignore[no-untyped-def]
    for name in ("claims", "people", "households", "spells"):
        getattr(pop, name).write_parquet(folder / f"{name}.parquet")
    return folder


def simulated(county: Path, out: Path, *more: str) -> Result:
    return call(
        "simulate", "--population", str(county), "--baseline", BEIJING, "--reform", CAP, "--out", str(out), *more
    )


def test_a_simulation_writes_its_page_and_tables(county: Path, tmp_path: Path) -> None:
    done = simulated(county, tmp_path / "out", "--reform", f"{CAP}+{STEP}", "--no-cliffs", "--lang", "zh")
    assert done.exit_code == 0, done.output
    assert "受益与受损" in done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {
        "page.md",
        "page.html",
        "households.md",
        "simulation.json",
        "simulation.xlsx",
        "protection.csv",
        "funds.parquet",
    } <= names
    plain = json.loads((tmp_path / "out" / "simulation.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in plain["scenarios"]] == ["baseline", "oop_cap", "oop_cap+softer_cliff"]


def test_a_response_stands_beside_no_response(county: Path, tmp_path: Path) -> None:
    done = simulated(
        county, tmp_path / "out", "--behaviour", "stated", "--draws", "3", "--no-cliffs", "--households", "0",
        "--line", "9000", "--catastrophic", "budget:25%", "--by", "residence", "--method", "bootstrap",
        "--replicates", "20",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "(stated)" in done.output and "(none)" in done.output
    rows = pl.read_parquet(tmp_path / "out" / "protection.parquet")
    assert set(rows["response"]) == {"none", "stated"}


def test_two_populations_and_two_counties_are_told_apart(county: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write(other, small(600, seed=9))
    several = simulated(county, tmp_path / "several", "--population", str(other), "--no-cliffs")
    assert several.exit_code == 0, several.output
    assert "2 populations" in several.output
    pooled = call(
        "simulate", "--population", f"{county}+{other}", "--baseline", BEIJING, "--no-cliffs", "--reform",
        str(ROOT / "examples" / "reforms" / "provincial_pooling.yaml"), "--out", str(tmp_path / "pooled"),
    )  # fmt: skip
    assert pooled.exit_code == 0, pooled.output
    assert "as one pool" in pooled.output


def test_refused_claims_end_with_one_and_are_told(county: Path, tmp_path: Path) -> None:
    pop = small(600)
    assert isinstance(pop.claims, pl.DataFrame)
    folder = tmp_path / "county"
    folder.mkdir()
    write(folder, pop)
    pop.claims.with_columns(pl.lit("nobody").alias("person_id")).head(1).vstack(pop.claims.tail(-1)).write_parquet(
        folder / "claims.parquet"
    )
    done = simulated(folder, tmp_path / "out", "--no-cliffs")
    assert done.exit_code == 1, done.output
    assert "unknown_person 1" in done.output


def test_a_survey_is_simulated_with_its_assumption(tmp_path: Path) -> None:
    survey = tmp_path / "survey.csv"
    survey.write_text(
        "hid,hosp,clinic,years,cons,kg\na,30000,500,70,40000,12000\na,0,100,40,40000,12000\n"
        "b,80000,0,35,60000,15000\nc,0,3000,50,30000,9000\nd,500,10,20,20000,8000\n"
    )
    asked = ["--survey", str(survey), "--map", "household_id=hid,inpatient=hosp,outpatient=clinic,age=years"]
    asked += ["--map", "consumption=cons,food=kg", "--baseline", BEIJING, "--reform", CAP, "--no-cliffs"]
    done = call("simulate", *asked, "--in-scope", "80%", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "80 % of every amount is assumed" in done.output
    missing = call("simulate", *asked, "--out", str(tmp_path / "out"))
    assert missing.exit_code == 2
    assert "no_assumption" in missing.output


ASIDE = """hid,hosp,clinic,cons,kg
a,30000,500,40000,12000
a,,100,40000,12000
b,80000,0,60000,15000
c,-8,3000,30000,9000
d,500,ten,20000,8000
e,500,10,,8000
f,900,10,50000,8000
"""


def surveyed(tmp_path: Path, text: str, *more: str) -> Result:
    (tmp_path / "survey.csv").write_text(text)
    return call(
        "simulate", "--survey", str(tmp_path / "survey.csv"), "--map",
        "household_id=hid,inpatient=hosp,outpatient=clinic,consumption=cons,food=kg", "--in-scope", "0.8",
        "--baseline", BEIJING, "--reform", CAP, "--no-cliffs", "--draws", "0", "--out", str(tmp_path / "out"), *more,
    )  # fmt: skip


def test_survey_households_with_missing_or_wrong_cells_are_set_aside_with_reasons(tmp_path: Path) -> None:
    done = surveyed(tmp_path, ASIDE)
    assert done.exit_code == 1, done.output
    rejects = pl.read_csv(tmp_path / "out.rejects.csv")
    assert dict(rejects.select("household_id", "reason").filter(pl.col("household_id") != "a").iter_rows()) == {
        "c": "negative_amount", "d": "bad_number", "e": "missing_value",
    }  # fmt: skip
    assert rejects.filter(pl.col("household_id") == "a")["reason"].sort().to_list() == [
        "bad_household",
        "missing_value",
    ]
    # 30,500 + 100 of a, 3,000 of c (its -8 is no amount), 500 of d, 510 of e; 80,000 + 910 are used.
    assert "5 of 7 rows of the survey (4 households)" in done.output
    assert "115,520.00 yuan = used 80,910.00 + set aside 34,610.00" in done.output
    plain = json.loads((tmp_path / "out" / "simulation.json").read_text(encoding="utf-8"))
    assert (plain["households"], plain["rows_set_aside"]) == (2, 5)


def test_missing_spending_is_zero_only_where_that_is_asked_for(tmp_path: Path) -> None:
    text = "hid,hosp,clinic,cons,kg\na,30000,500,40000,12000\na,,100,40000,12000\nb,80000,0,60000,15000\n"
    done = surveyed(tmp_path, text, "--missing-spending", "zero")
    assert done.exit_code == 0, done.output
    assert "1 missing amounts of spending were taken as zero" in done.output
    assert not (tmp_path / "out.rejects.csv").exists()


def test_a_survey_of_which_no_row_can_be_used_ends_with_two(tmp_path: Path) -> None:
    done = surveyed(tmp_path, "hid,hosp,clinic,cons,kg\na,,500,40000,12000\nb,x,0,60000,15000\n")
    assert done.exit_code == 2, done.output
    assert "no_rows" in done.output and "--missing-spending zero" in done.output


def test_a_household_without_consumption_is_set_aside_from_a_population(tmp_path: Path) -> None:
    folder = tmp_path / "county"
    folder.mkdir()
    pop = small(600)
    write(folder, pop)
    homes = pop.households.with_columns(
        pl.when(pl.int_range(pl.len()) > 2).then(pl.col("consumption")).alias("consumption")
    )
    homes.write_parquet(folder / "households.parquet")
    done = simulated(folder, tmp_path / "out", "--no-cliffs", "--draws", "0")
    assert done.exit_code == 1, done.output
    assert "3 households cannot be measured" in done.output
    assert pl.read_csv(tmp_path / "out.rejects.csv")["reason"].to_list() == ["missing_value"] * 3


def test_the_response_stands_there_unasked_and_the_page_is_one_page(county: Path, tmp_path: Path) -> None:
    done = simulated(county, tmp_path / "out", "--reform", STEP)
    assert done.exit_code == 0, done.output
    assert "(stated)" in done.output and "(none)" in done.output and "10 draws" in done.output
    assert len((tmp_path / "out" / "page.md").read_text(encoding="utf-8").splitlines()) < 120
    assert "Winners and losers" in (tmp_path / "out" / "appendix.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--population", "nowhere"], "no_population"),
        ([], "no_people"),
        (["--population", "nowhere", "--survey", "x.csv"], "no_people"),
    ],
)
def test_misuse_of_simulate_ends_with_two(args: list[str], code: str, tmp_path: Path) -> None:
    done = call("simulate", *args, "--baseline", BEIJING, "--reform", CAP, "--out", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert code in done.output
    assert not (tmp_path / "out").exists()


def test_fresh_populations_stand_beside_a_made_up_one_only(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    pop = small(600)
    write(real, pop)
    pop.people.drop("synthetic").write_parquet(real / "people.parquet")
    refused = simulated(real, tmp_path / "out", "--fresh", "2")
    assert refused.exit_code == 2 and "not_made_up" in refused.output
    made = call("synthesise", "--people", "1000", "--seed", "1", "--out", str(tmp_path / "made"))
    assert made.exit_code in (0, 1), made.output
    done = simulated(tmp_path / "made", tmp_path / "out", "--fresh", "2", "--no-cliffs", "--households", "0")
    assert done.exit_code == 0, done.output
    assert "3 populations" in done.output


def test_misuse_of_choices_ends_with_two(county: Path, tmp_path: Path) -> None:
    for more, code in (
        (["--catastrophic", "nonfood"], "bad_threshold"),
        (["--line", "nonsense"], "no_such_line"),
        (["--reform", "nothing.yaml"], "reform_not_found"),
        (["--draws", "1"], "bad_draws"),
        (["--behaviour", "none", "--forgone", "0.1"], "no_response"),
        (["--behaviour", "stated", "--forgone", "much"], "bad_number"),
        (["--behaviour", "stated", "--forgone", "-0.1"], "bad_share"),
        (["--behaviour", "stated", "--elasticities", "none.toml"], "bad_elasticities"),
    ):
        done = simulated(county, tmp_path / "out", *more)
        assert done.exit_code == 2, done.output
        assert code in done.output


def test_a_household_is_told_written_and_drawn(tmp_path: Path) -> None:
    for ending in ("csv", "parquet", "json", "xlsx"):
        out = tmp_path / f"curve.{ending}"
        done = call("household", "--policy", BEIJING, "--reform", CAP, "--points", "11", "--out", str(out))
        assert done.exit_code == 0, done.output
        assert "1,000,000" in done.output
        assert out.stat().st_size
    figure = tmp_path / "curve.svg"
    done = call(
        "household", "--policy", BEIJING, "--vary", "income", "--status-line", "dibao=17000", "--points", "21",
        "--figure", str(figure), "--lang", "zh",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "悬崖" in done.output
    assert "<svg" in figure.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--in-scope", "1.5"], "bad_share"),
        (["--status-line", "dibao"], "bad_line"),
        (["--day", "soon"], "bad_date"),
        (["--low", "9", "--high", "3"], "bad_points"),
        (["--reform", "nothing.yaml"], "reform_not_found"),
        (["--figure", "curve.gif"], "unknown_format"),
        (["--out", "curve.gif"], "unknown_format"),
        (["--out", "nowhere/curve.csv"], "cannot_write"),
        (["--high", "0"], "bad_points"),
        (["--high", "inf"], "bad_points"),
        (["--status", "foo"], "bad_choice"),
        (["--status-line", "dibao=17000"], "bad_line"),
        (["--vary", "income", "--status-line", "dibao=nan"], "bad_family"),
    ],
)
def test_misuse_of_household_ends_with_two(args: list[str], code: str) -> None:
    done = call("household", "--policy", BEIJING, "--points", "3", *args)
    assert done.exit_code == 2, done.output
    assert code in done.output


def test_the_care_is_on_the_day_of_the_pinned_policy() -> None:
    asked = ["--policy", "cn/neimenggu/ulanqab@2020-06-01", "--points", "3"]
    assert "2020-06-01" in call("household", *asked).output
    assert "2020-07-01" in call("household", *asked, "--day", "2020-07-01").output


def test_help_has_examples_and_exit_codes() -> None:
    for name in ("simulate", "household"):
        done = call(name, "--help")
        assert done.exit_code == 0
        assert "Examples:" in done.output and "Exit codes:" in done.output
