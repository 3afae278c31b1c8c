"""Screen files at the command line: what settle and synthesise wrote, counts that name nobody, no second alert."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from medfloor.cli.watch.screen import command
from medfloor.errors import MedfloorError
from medfloor.watch import ALERTS


@pytest.fixture
def county(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give files of three households: one burdened in both years, one quiet, one whose rows have faults."""
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("person_id,household_id\np1,h1\np2,h2\np3,h3\n")
    Path("households.csv").write_text(
        "household_id,size,income,residence,township\nh1,2,60000,rural,East\nh2,3,90000,rural,West\nh3,1,none,rural,West\n"
    )
    heads = "claim_id,person_id,benefit_year,settled_date,pay_basic,own_in_scope,own_total\n"
    Path("settled.csv").write_text(
        heads
        + "c1,p1,2025,2025-05-20,100,23000,29000.50\nc2,p2,2025,2025-06-01,0,10,20\nc3,p9,2025,2025-06-01,0,1,1.00\n"
    )
    Path("before.csv").write_text(heads + "c0,p1,2024,2024-05-20,100,100,100\n")
    return tmp_path


FILES = ("--people", "people.csv", "--households", "households.csv", "--settlements", "settled.csv")


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(command, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_files_become_alerts_with_reasons_and_all_rows_and_money_are_accounted_for(county: Path) -> None:
    told = run(*FILES, "--previous", "before.csv", "--out", "may", code=1)
    assert "as of 2025-06-01" in told and "the last of the settlements" in told
    assert "4 rows = 2 of the year + 1 of the year before + 0 of other times + 1 refused" in told
    assert "29,121.50 = 29,020.50 + 100.00 + 0.00 + 1.00 refused" in told
    assert "households  bad_amount  1" in told and "settlements  unknown_person  1" in told
    assert "h1" not in told and "p1" not in told
    assert "East" in told
    alerts = pl.read_csv("may/alerts.csv")
    assert {name.removesuffix("_fen") for name in ALERTS} <= set(alerts.columns)
    first = alerts.filter(pl.col("signal") == "burden_in_scope").row(0, named=True)
    assert (first["household_id"], first["spent"], first["allowed"]) == ("h1", 23000.0, 20657.0)
    assert "23,000.00 yuan" in first["why"] and first["unless"].startswith("It would not have fired")
    record = json.loads(Path("may/screening.json").read_text(encoding="utf-8"))
    assert record["alerts"] == alerts.height == record["outputs"]["alerts.csv"]["rows"]
    assert record["rules"] and record["standing"]["previous"] is True and record["inputs"].keys() == {
        "people.csv", "households.csv", "settled.csv", "before.csv"}  # fmt: skip
    homes = pl.read_csv("may/households.csv")
    assert homes.filter(pl.col("household_id") == "h3")["not_asked"].item() != ""
    assert pl.read_csv("may/rejected.csv").height == 2 and Path("may/absent.csv").exists()


def test_files_are_written_though_nobody_reads_to_the_end(county: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*words: object, **how: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("medfloor.cli.watch.screen.click.echo", closed)
    CliRunner().invoke(command, [*FILES, "--out", "may"])
    assert pl.read_csv("may/alerts.csv").height


def test_settlements_by_place_and_month_give_the_same_and_are_in_the_record(county: Path) -> None:
    run(*FILES, "--out", "may", code=1)
    for month, part in pl.read_csv("settled.csv").partition_by("benefit_year", as_dict=True).items():
        at = Path("settled") / "place=East" / f"month={month[0]}"
        at.mkdir(parents=True)
        part.with_columns(pl.col("settled_date").str.to_date()).write_parquet(at / "part-0.parquet")
    run(*FILES[:-1], "settled", "--out", "again", code=1)
    for name in ("alerts.csv", "households.csv", "rejected.csv"):
        assert Path("may", name).read_bytes() == Path("again", name).read_bytes()
    hashes = [json.loads(Path(at, "screening.json").read_text(encoding="utf-8"))["inputs"] for at in ("may", "again")]
    assert hashes[0]["people.csv"] == hashes[1]["people.csv"]
    assert len(hashes[1]["settled"]) == 64


def test_the_same_month_again_raises_no_second_alert_and_says_so(county: Path) -> None:
    run(*FILES, "--out", "may", code=1)
    told = run(*FILES, "--known", "may", "--out", "again", "--format", "parquet", "--lang", "zh", code=1)
    assert pl.read_parquet("again/alerts.parquet").height == 0
    assert pl.read_parquet("again/households.parquet")["suppressed"].sum() == pl.read_csv("may/alerts.csv").height
    assert "已预警" in told
    later = run(
        *FILES, "--known", "may/alerts.csv", "--known", "again", "--as-of", "2025-12-31", "--out", "late", code=1
    )
    assert "as of 2025-12-31" in later and pl.read_csv("late/alerts.csv").height > 0


def test_one_household_and_the_first_page_are_told_in_words(county: Path) -> None:
    told = run(*FILES, "--one", "h1", "--lang", "zh")
    assert "23,000.00 元" in told and not Path("may").exists()
    assert "no" in run(*FILES, "--one", "h2").lower()
    assert "h1" in run(*FILES, "--page", "1", code=1)
    run(*FILES, "--out", "may", code=1)
    assert "known already" in run(*FILES, "--known", "may", "--one", "h1")
    with pytest.raises(MedfloorError) as error:
        run(*FILES, "--one", "h7")
    assert error.value.code == "no_such_household"


def test_rules_are_listed_with_value_source_and_trust(county: Path) -> None:
    told = run("--list", "--as-of", "2025-06-01")
    assert "share_poor = 25 percent; the office's own choice" in told and "monitoring" in told
    assert "https://" in told
    assert "监测线" in run("--list", "--lang", "zh", "--place", "520102")
    Path("own.toml").write_text(
        'place = "520102"\n[[signal]]\nsignal = "burden_in_scope"\nfrom = 2025-01-01\n[signal.values]\n'
        'share_poor = { value = 20, unit = "percent" }\n'
    )
    assert "share_poor = 20 percent; your file" in run("--list", "--rules", "own.toml", "--as-of", "2025-06-01")


def test_what_cannot_be_meant_is_refused_before_anything_is_written(county: Path) -> None:
    run("--people", "people.csv", "--out", "may", code=2)
    run(*FILES, code=2)
    codes = {
        "files_or_office": ("--office", *FILES, "--out", "may"),
        "cannot_write": (*FILES, "--out", "people.csv"),
        "file_not_found": (*FILES, "--known", ".", "--out", "may"),
        "no_settlements": (*FILES, "--year", "2020", "--out", "may"),
    }
    for code, asked in codes.items():
        with pytest.raises(MedfloorError) as error:
            run(*asked)
        assert error.value.code == code
    run(*FILES, "--out", "may", code=1)
    before = {path.name: path.read_bytes() for path in Path("may").iterdir()}
    codes = {
        "would_replace_input": (*FILES, "--known", "may", "--out", "may"),
        "other_screening": (*FILES, "--as-of", "2025-12-31", "--out", "may"),
        "other_format": (*FILES, "--format", "parquet", "--out", "may"),
    }
    for code, asked in codes.items():
        with pytest.raises(MedfloorError) as error:
            run(*asked)
        assert error.value.code == code
    assert before == {path.name: path.read_bytes() for path in Path("may").iterdir()}
    run(*FILES, "--out", "may", code=1)  # the same day may be done again
    assert not list(county.glob(".*.part"))


def test_a_made_up_county_is_screened_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medfloor.intake import write_table
    from medfloor.settlement import settle
    from medfloor.synthetic import shipped_place, synthesise

    monkeypatch.chdir(tmp_path)
    county = synthesise(1000, seed=5)
    for name, frame in county.tables.items():
        write_table(frame, f"{name}.csv", money_columns=[])
    law = shipped_place().policy_address
    for columns in ("ours", "national"):
        settled = settle(
            county.claims,
            county.people,
            county.spells,
            law,
            columns=columns,
            engine="reference",  # type: ignore[arg-type]
        )
        write_table(settled.settlements, f"{columns}.csv", money_columns=[])
        given = [part for name in county.tables for part in (f"--{name}", f"{name}.csv")]
        told = run(*given, "--settlements", f"{columns}.csv", "--out", f"of_{columns}", "--format", "parquet")
        assert "Made-up data" in told
    ours, national = (pl.read_parquet(f"of_{name}/alerts.parquet") for name in ("ours", "national"))
    assert ours.height and ours.equals(national)
    assert ours["as_of"].unique().to_list() == [date(2025, 12, 31)] or ours["year"].unique().to_list() == [2025]


def test_the_last_folder_knows_all_earlier_alerts(county: Path) -> None:
    run(*FILES, "--out", "june", code=1)
    found = pl.read_csv("june/alerts.csv").height
    assert found and pl.read_csv("june/known.csv").height == 0
    run(*FILES, "--known", "june", "--as-of", "2025-07-01", "--out", "july", code=1)
    run(*FILES, "--known", "july", "--as-of", "2025-08-30", "--out", "august", code=1)
    assert [pl.read_csv(f"{month}/alerts.csv").height for month in ("july", "august")] == [0, 0]
    assert pl.read_csv("august/known.csv").equals(pl.read_csv("july/known.csv"))
    # The last day of silence was 30 August.
    run(*FILES, "--known", "august", "--as-of", "2025-08-31", "--out", "autumn", code=1)
    assert pl.read_csv("autumn/alerts.csv").height == found


@pytest.mark.parametrize("day", ["2025/8/18", "", "soon"])
def test_an_earlier_alert_whose_day_cannot_be_read_is_not_raised_again_in_silence(county: Path, day: str) -> None:
    run(*FILES, "--out", "june", code=1)
    text = Path("june/alerts.csv").read_text(encoding="utf-8")
    assert "2025-08-30" in text
    Path("edited.csv").write_text(text.replace("2025-08-30", day), encoding="utf-8")
    with pytest.raises(MedfloorError) as error:
        run(*FILES, "--known", "edited.csv", "--out", "again")
    assert error.value.code == "bad_date" and not Path("again").exists()


def test_one_household_is_told_what_the_screening_of_all_says(county: Path) -> None:
    Path("claims.csv").write_text(
        "claim_id,person_id,care_type,start_date,end_date,facility_level,diagnosis,total,in_scope\n"
        "q1,p1,special_outpatient,2025-01-10,2025-01-10,2,I10,100,100\n"
    )
    # Claims that end months before say nothing of who has no care: neither among all nor of one.
    asked = (*FILES, "--claims", "claims.csv", "--as-of", "2025-12-01")
    assert "not seen (" not in run(*asked, "--one", "h1") and "not seen (" not in run(*asked, "--page", "3", code=1)
    assert "not seen (" in run(*asked, "--claims-until", "2025-12-01", "--one", "h1")


def test_residence_is_read_in_words_of_an_office_and_one_that_is_none_is_not_asked(county: Path) -> None:
    Path("homes.csv").write_text("household_id,size,income,residence\nh1,2,100,农村\nh2,2,100,moon\nh3,2,100,城镇\n")
    asked = [*FILES]
    asked[asked.index("households.csv")] = "homes.csv"
    run(*asked, "--out", "may", code=1)
    homes = pl.read_csv("may/households.csv")
    assert homes["residence"].to_list() == ["rural", "moon", "urban"]
    kept = homes["not_asked"].fill_null("").str.contains("monitored_edge;monitored_sudden").to_list()
    assert kept == [False, True, False]
    edge = pl.read_csv("may/alerts.csv").filter(pl.col("signal") == "monitored_edge")
    assert edge["household_id"].to_list() == ["h1"]
