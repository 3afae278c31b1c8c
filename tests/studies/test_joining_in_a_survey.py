"""Joining the schemes in a survey of the layout of CFPS: what people report, a roll-out table, and the command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from made_cfps import drop_columns, made

from medfloor.studies import run_study
from medfloor.studies.integration import EQUITY, POOLING, SUSTAINED
from medfloor.studies.joined_survey import equity, joining
from medfloor.studies.panels import read_panels
from medfloor.studies.study import Study
from medfloor.synthetic.cfps import write_cfps

Shell = Callable[[str, Path], subprocess.CompletedProcess[str]]
PLAIN = {"rollout": None, "crosswalk": None, "policy": None}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cfps")
    write_cfps(folder, seed=2, scale=0.04, waves=[2014, 2016, 2018, 2020])
    return folder


@pytest.fixture(scope="module")
def study(files: Path) -> Study:
    return run_study("integration", files, waves="2014-2020")


def test_who_reports_the_joined_scheme_is_joined_from_then_on(files: Path) -> None:
    homes = joining(read_panels(files, waves="2014-2020"), files, PLAIN).homes
    assert homes.filter(pl.col("start").is_not_null() & (pl.col("year") < pl.col("start")))["covered"].sum() == 0
    assert homes.filter(pl.col("year") >= pl.col("start"))["covered"].min() == 1
    # The made-up survey has code 6 from 2018 on, as the real one.
    assert homes["start"].min() >= 2018  # type: ignore[operator]


def test_what_people_report_is_flagged_as_no_design(study: Study) -> None:
    assert "integration.only_reported" in {one.key for one in study.warnings}


def test_town_and_country_stand_beside_each_other_in_every_wave(study: Study) -> None:
    frame = study.table("equity").content
    assert isinstance(frame, pl.DataFrame)
    assert frame.group_by("year").len()["len"].to_list() == [2, 2, 2, 2]
    assert frame["index"].is_between(-1, 1).all()
    assert frame["che_rate"].is_between(0, 1).all()


def test_where_all_pay_the_same_shares_paid_in_are_shares_of_people(study: Study) -> None:
    rows = study.table("flat_2018").content.rows  # type: ignore[union-attr]
    wide = rows.filter(pl.col("group").is_not_null()).pivot(on="statistic", index="group", values="estimate")
    assert wide["contribution_share"].to_list() == pytest.approx(wide["population_share"].to_list())


def test_a_table_of_joining_goes_before_what_people_report(files: Path, tmp_path: Path) -> None:
    for file in files.iterdir():
        (tmp_path / file.name).symlink_to(file)
    table = pl.read_csv(tmp_path / "rollout_sim.csv", infer_schema=False)
    (tmp_path / "rollout_sim.csv").unlink()
    joined = table.with_columns(policy=pl.lit("urban_rural_integration"))
    pl.concat([table, joined]).write_csv(tmp_path / "rollout.csv")
    found = joining(read_panels(tmp_path, waves="2014-2020"), tmp_path, PLAIN)
    assert "integration.only_reported" not in {one.key for one in found.warnings}
    assert found.homes["start"].drop_nulls().min() < 2018  # type: ignore[operator]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_command_tells_a_study_in_both_languages(lang: str, warm_shell: Shell, tmp_path: Path) -> None:
    done = warm_shell(f"medfloor study describe integration --lang {lang}", tmp_path)
    assert done.returncode == 0
    assert "向“一制一档”过渡" in done.stdout


def test_exit_codes_say_whether_something_is_undone_or_lacking(warm_shell: Shell, tmp_path: Path) -> None:
    done = warm_shell("python " + str(Path(__file__).resolve().parents[2] / "examples" / "seed_004.py"), tmp_path)
    assert done.returncode == 0
    (tmp_path / "survey").mkdir()
    (tmp_path / "seed_004.csv").rename(tmp_path / "survey" / "households.csv")
    done = warm_shell("medfloor study run two-provinces --data survey --out out --lang zh", tmp_path)
    assert done.returncode == 1, done.stdout
    told = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert told["study"] == "two-provinces"
    assert (tmp_path / "out" / "tables" / "figures_3_4.csv").is_file()
    for lang in ("zh", "en"):
        done = warm_shell(f"medfloor study run county-ledger --data survey --lang {lang}", tmp_path)
        assert done.returncode == 2
        assert "no_settlements" in done.stdout


def test_a_survey_without_weights_counts_each_household_once(tmp_path: Path) -> None:
    folder = made(tmp_path / "files", scale=0.01)
    drop_columns(folder, "fswt_natcs", "rswt_natcs")
    panels = read_panels(folder)
    assert panels.homes["weight"].null_count() == panels.homes.height
    section = equity(panels, EQUITY)
    assert not section.undone
    frame = section.tables[0].content
    assert isinstance(frame, pl.DataFrame)
    homes = panels.homes.filter((pl.col("year") == 2018) & (pl.col("residence") == "rural"))
    mean = homes.drop_nulls(["oop", "income_head"])["oop"].mean()
    # The same sum over the same rows, so that only the order of adding may differ.
    assert frame.filter(residence="rural", year=2018)["mean_oop"].item() == pytest.approx(mean, rel=1e-12)


def test_what_the_document_printed_is_told_also_where_there_is_no_county(study: Study) -> None:
    told = {claim.printed: claim.verdict for section in study.sections for claim in section.claims}
    assert told[POOLING] == told[SUSTAINED] == "not_tried"
