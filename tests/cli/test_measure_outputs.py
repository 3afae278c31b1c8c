"""What every measure does with the files that it is told to write, and with tables that leave nothing to estimate."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """Make up 40 households, with three sets of replicate weights, and stand beside them."""
    place = pl.int_range(40)
    frame = pl.select(
        household_id=pl.concat_str(pl.lit("h"), place.cast(pl.String)),
        oop=20 * (place * 7 % 11),
        consumption=800 + 90 * place,
        income=900 + 80 * place,
        size=1 + place % 4,
        weight=1 + place % 3,
        rw1=place % 2 + 1.0,
        rw2=place % 3 + 1.0,
        rw3=place % 4 + 1.0,
        residence=pl.when(place % 2 == 0).then(pl.lit("urban")).otherwise(pl.lit("rural")),
        status=pl.when(place % 3 == 0).then(pl.lit("dibao")).otherwise(pl.lit("none")),
        total=400,
        paid=300,
        pay_basic=200,
        benefit=50,
        doctors=3,
        population=1000,
        lon=115 + place / 100,
        lat=pl.lit(30.5),
    )
    frame.write_csv(tmp_path / "homes.csv")
    frame.select("household_id", "total", "pay_basic").write_csv(tmp_path / "settled.csv")
    frame.select("doctors", "lon", "lat").write_csv(tmp_path / "clinics.csv")
    (tmp_path / "names.csv").write_text("ours,theirs\nfood,consumption\n", encoding="utf-8")
    (tmp_path / "printed.csv").write_text("percent,n\n12.50,8\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return frame


def measure(asked: str) -> Result:
    return CliRunner().invoke(program, ["measure", *shlex.split(asked)])


INPUTS = [
    ("catastrophic homes.csv", "homes.csv"),
    ("catastrophic homes.csv", "./homes.csv"),
    ("catastrophic homes.csv --map names.csv", "names.csv"),
    ("impoverishing homes.csv --line 300", "homes.csv"),
    ("poverty homes.csv --line 300", "homes.csv"),
    ("concentration homes.csv", "homes.csv"),
    ("progressivity homes.csv", "homes.csv"),
    ("incidence homes.csv", "homes.csv"),
    ("burden homes.csv --reference mean", "homes.csv"),
    ("reimbursement homes.csv --map oop=paid", "homes.csv"),
    ("cliff homes.csv --of paid --cutoff 2000", "homes.csv"),
    ("resources homes.csv", "homes.csv"),
    ("resources homes.csv --supply clinics.csv --radius 5", "clinics.csv"),
    ("consistency printed.csv", "printed.csv"),
    ("by-tier homes.csv --settlements settled.csv", "settled.csv"),
    ("survey homes.csv --value income", "homes.csv"),
]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("asked", "place"), INPUTS)
def test_no_input_is_ever_replaced_by_a_result(asked: str, place: str) -> None:
    before = Path(place).read_bytes()
    done = measure(f"{asked} --out {place}")
    assert done.exit_code == 2 and "one of the inputs" in done.stderr, done.stderr
    assert done.stdout == ""
    assert Path(place).read_bytes() == before


@pytest.mark.usefixtures("table")
def test_the_second_table_of_an_answer_replaces_no_input_either() -> None:
    Path("homes.csv").rename("found.2.csv")
    before = Path("found.2.csv").read_bytes()
    done = measure("poverty found.2.csv --line 300 --inequality gini --out found.csv")
    assert done.exit_code == 2 and "one of the inputs" in done.stderr
    assert Path("found.2.csv").read_bytes() == before


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("--out result.xlsx", ".html, .tex, .md, .csv, .parquet, .json"),
        ("--figure result.jpg", ".svg, .png, .pdf, .json"),
        ("--out nowhere/result.csv", "folder that is not there"),
        ("--figure nowhere/result.svg", "folder that is not there"),
        ("--out result.json --figure result.json", "two outputs"),
        ("--out homes.rejects.csv", "two outputs"),
        ("--figure result.svg --figure-statistic nothing", "it has headcount"),
    ],
)
@pytest.mark.parametrize("name", ["catastrophic homes.csv", "consistency printed.csv"])
def test_a_place_that_cannot_be_written_is_refused_at_once(name: str, given: str, words: str) -> None:
    if name.startswith("consistency") and ("rejects" in given or "statistic" in given):
        pytest.skip("these two name what belongs to the table of households")
    done = measure(f"{name} {given}")
    assert done.exit_code == 2 and words in done.stderr, done.stderr
    assert "statistic" in given or done.stdout == "", "the work was done before the place was looked at"


@pytest.mark.usefixtures("table")
def test_the_figure_shows_the_statistic_that_is_named() -> None:
    done = measure("catastrophic homes.csv --quantiles 5 --figure one.json --figure-statistic overshoot --lang zh")
    assert done.exit_code == 0, done.stderr
    assert json.loads(Path("one.json").read_text(encoding="utf-8"))["vconcat"][0]["title"]["text"] == [
        "灾难性卫生支出：超出度"
    ]


@pytest.mark.usefixtures("table")
def test_replicate_weights_of_a_csv_file_are_found_by_their_prefix() -> None:
    asked = "catastrophic homes.csv --method replicates --format json --replicate-weights"
    by_prefix, by_name = measure(f"{asked} rw"), measure(f"{asked} rw1,rw2,rw3")
    assert by_prefix.exit_code == 0, by_prefix.stderr
    assert by_prefix.stdout == by_name.stdout
    missing = measure(f"{asked} rw1,rw9")
    assert missing.exit_code == 2 and "no column rw9" in missing.stderr


def test_refused_rows_are_told_in_the_language_that_was_asked_for(table: pl.DataFrame) -> None:
    (table.with_columns(oop=pl.when(pl.int_range(40) == 3).then(pl.lit("inf")).otherwise(pl.lit("5")))).write_csv(
        "x.csv"
    )
    assert "1 of 40 rows could not be read" in measure("catastrophic x.csv").stderr
    done = measure("catastrophic x.csv --lang zh")
    assert done.exit_code == 1 and "40 行中有 1 行无法读取" in done.stderr


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("asked", ["--sign '<'", "--of impoverishing --line 300 --sign '>'"])
def test_a_sign_of_another_measure_is_refused(asked: str) -> None:
    done = measure(f"by-tier homes.csv --settlements settled.csv {asked}")
    assert done.exit_code == 2 and "bad_sign" in done.stderr


CONSTANT = [
    "catastrophic homes.csv --by residence --against rural",
    "concentration homes.csv --by residence --against rural",
    "progressivity homes.csv --payment oop,benefit --by residence --against rural",
    "incidence homes.csv --by residence --against rural",
    "poverty homes.csv --line 300 --inequality all --parts residence",
    "cliff homes.csv --status status --eligible dibao",
    "by-tier homes.csv --settlements settled.csv --of inequality",
    "survey homes.csv --value oop --by residence --against rural",
]


@pytest.mark.parametrize("asked", CONSTANT)
def test_where_all_are_alike_nothing_is_significant(asked: str, table: pl.DataFrame) -> None:
    # Sums of 0.1 and 0.7 leave roundings, which must not be tested against each other.
    alike = [pl.lit(value).alias(name) for name, value in (("oop", 0.1), ("consumption", 0.7), ("benefit", 0.3))]
    odd = [(pl.col("weight") * 0.37).alias("weight"), pl.lit(3).alias("size")]
    table.with_columns(*alike, *odd).write_csv("homes.csv")
    done = measure(f"{asked} --format json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    for result in told if isinstance(told, list) else [told]:
        for row in result["estimates"]:
            assert row["p"] is None or row["p"] > 0.05, row
            # An error below the last digits of the estimate, or of one, is none: nothing varies.
            assert row["se"] is None or row["statistic"] == "benefit_share" or _varies(row), row


def _varies(row: dict[str, float | str]) -> bool:
    counted = {"eligible_share", "population_share", "quintile_sum_ratio"}
    return row["statistic"] in counted or float(row["se"]) < 1e-9 * max(1.0, abs(float(row["estimate"] or 0)))


@pytest.mark.usefixtures("table")
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_an_interrupted_run_writes_nothing_and_gives_the_cursor_back() -> None:
    asked = "measure catastrophic homes.csv --method bootstrap --replicates 200000 --out out.csv --lang zh"
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "medfloor.cli.main", *asked.split()])
    told, sent, until = b"", False, time.monotonic() + 60
    while time.monotonic() < until:
        try:
            told += os.read(terminal, 65536)
        except OSError:
            break
        if not sent and "重复样本".encode() in told and b"%" in told:
            os.kill(child, signal.SIGINT)
            sent = True
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    assert told.rfind(b"\x1b[?25h") > told.rfind(b"\x1b[?25l"), "the cursor stays hidden"
    assert not Path("out.csv").exists() and not re.search(rb"Traceback", told)
    assert not [one for one in Path().iterdir() if one.name.endswith(".part")]
