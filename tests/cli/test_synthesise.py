"""The command `medfloor synthesise`."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.synthetic import shipped_place

TABLES = ("people", "households", "spells", "claims")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def synthesise(asked: str) -> Result:
    return CliRunner().invoke(program, ["synthesise", *shlex.split(asked)])


def test_a_county_is_written_with_its_calibration_and_settles(here: Path) -> None:
    done = synthesise("--people 50000 --seed 7 --out county")
    assert done.exit_code == 0, done.output
    assert "66 of 66 bars are held" in done.stdout
    report = json.loads((here / "county" / "calibration.json").read_text(encoding="utf-8"))
    assert report["synthetic"] is True
    assert (report["seed"], report["people"], report["place"], report["missed"]) == (7, 50_000, "cn-2025", [])
    for name in TABLES:
        file = here / "county" / f"{name}.parquet"
        assert report["tables_sha256"][file.name] == hashlib.sha256(file.read_bytes()).hexdigest()
    checks = pl.read_csv(here / "county" / "calibration.csv")
    assert checks.height == len(report["checks"])
    assert checks["trust"].null_count() == checks["source"].null_count() == 0
    tables = "county/claims.parquet --people county/people.parquet --spells county/spells.parquet"
    settled = CliRunner().invoke(
        program, shlex.split(f"settle {tables} --policy county/policy.yaml --out county/settled.parquet")
    )
    assert settled.exit_code == 0, settled.output


def test_a_missed_bar_gives_one_and_the_files_are_there(here: Path) -> None:
    done = synthesise("--people 1000 --seed 0 --out small --unsettled --format csv")
    # A thousand people have too few dear stays for the published spread; the files are written all the same.
    assert done.exit_code == 1, done.output
    assert "NO" in done.stdout
    assert all((here / "small" / f"{name}.csv").is_file() for name in TABLES)
    assert pl.read_csv(here / "small" / "claims.csv")["synthetic"].all()


def test_tables_of_another_format_are_not_left_beside_new_ones(here: Path) -> None:
    assert synthesise("--people 1000 --seed 0 --out small --unsettled").exit_code in (0, 1)
    before = (here / "small" / "claims.parquet").read_bytes()
    done = synthesise("--people 1000 --seed 1 --out small --unsettled --format csv")
    assert done.exit_code == 2
    assert "other_format" in done.stderr
    assert (here / "small" / "claims.parquet").read_bytes() == before
    assert not (here / "small" / "claims.csv").exists()


def test_the_law_of_a_place_may_lie_beside_its_file(here: Path) -> None:
    (here / "places").mkdir()
    (here / "places" / "law.yaml").write_bytes(Path(shipped_place().policy_address).read_bytes())
    (here / "places" / "mine.toml").write_text('id = "mine"\npolicy = "law.yaml"\n', encoding="utf-8")
    done = synthesise("--people 1000 --seed 0 --out mine --place places/mine.toml")
    assert done.exit_code in (0, 1), done.output  # so few people miss a bar in some seeds
    assert "Settled under synthetic/cn-2025; rows refused: 0." in done.stdout


def test_the_bytes_do_not_depend_on_the_process_or_its_threads(here: Path) -> None:
    digests = []
    for threads in ("1", "3"):
        command = [sys.executable, "-m", "medfloor.cli.main", "synthesise", "--people", "2000", "--seed", "5"]
        folder = here / threads
        done = subprocess.run(
            [*command, "--out", str(folder), "--unsettled"],
            env=os.environ | {"POLARS_MAX_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr  # so few people miss a bar in some seeds
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()})
    assert digests[0] == digests[1]


def test_the_report_speaks_chinese(here: Path) -> None:
    done = synthesise("--people 2000 --seed 0 --out small --unsettled --lang zh")
    assert "虚构" in done.stdout
    page = (here / "small" / "calibration.md").read_text(encoding="utf-8")
    assert page.startswith("# 虚构县的校准报告")
    assert "census5" in page
    assert "次均住院费用，级别：三级" in page  # a colon of the language


def test_a_place_file_and_another_law(here: Path) -> None:
    (here / "mine.toml").write_text(
        'id = "mine"\nname = { zh = "我县", en = "my county" }\n[sources]\nme = "my yearbook"\n[figures.population.male]\n'
        'value = 50.2\nunit = "%"\nyear = 2024\nsource = "me"\ntrust = "official"\n',
        encoding="utf-8",
    )
    done = synthesise("--people 3000 --seed 1 --out mine --place mine.toml --policy cn/jiangxi/nanchang@2025-01-01")
    assert done.exit_code in (0, 1), done.output  # so few people miss a bar in some seeds
    assert "my county" in done.stdout
    assert "cn/jiangxi/nanchang" in done.stdout
    assert json.loads((here / "mine" / "calibration.json").read_text(encoding="utf-8"))["place"] == "mine"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("--people 10 --seed 1 --out x", "bad_people"),
        ("--people 2000 --seed -1 --out x", "bad_seed"),
        ("--people 2000 --seed 1 --years 9 --out x", "bad_years"),
        ("--people 2000 --seed 1 --out x --place nowhere", "bad_place"),
        ("--people 2000 --seed 1 --out x --place gone.toml", "file_not_found"),
        ("--people 2000 --seed 1 --out x --place latin.toml", "bad_place"),
        ("--people 2000 --seed 1 --out x --place broken.toml", "bad_place"),
        ("--people 2000 --seed 1 --out x --policy cn/nowhere", "no policy"),
        ("--people 2000 --out x", "Missing option"),
    ],
)
def test_misuse_gives_two_and_writes_nothing(here: Path, asked: str, said: str) -> None:
    (here / "latin.toml").write_bytes('id = "köln"'.encode("latin-1"))
    (here / "broken.toml").write_text("id = ", encoding="utf-8")
    done = synthesise(asked)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (here / "x").exists()


def test_help_has_examples() -> None:
    done = synthesise("--help")
    assert "Examples:" in done.stdout
    assert "Exit codes:" in done.stdout


def test_lives_are_written_for_each_year_with_the_truth(here: Path) -> None:
    done = synthesise("--people 1000 --seed 2 --years 2 --lives --unsettled --format csv --out lived")
    assert done.exit_code == 1, done.output  # a bar is missed at a thousand people
    waves, truth = (pl.read_csv(here / "lived" / f"{name}.csv") for name in ("waves", "truth"))
    assert set(waves["wave"]) == {2025, 2026}
    assert waves["synthetic"].all() and truth["synthetic"].all()
    report = json.loads((here / "lived" / "calibration.json").read_text(encoding="utf-8"))
    assert {"waves.csv", "illness.csv", "truth.csv", "causes.csv"} <= set(report["tables_sha256"])
    again = synthesise("--people 1000 --seed 2 --years 2 --lives --unsettled --out lived")
    assert again.exit_code == 2
