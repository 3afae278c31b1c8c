"""`medfloor fund pool` and `medfloor fund tiers`: exit codes, files, both languages."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

POOL = "fund pool --draws 200 --sizes 1000,100000"


def call(asked: str) -> Result:
    return CliRunner().invoke(program, shlex.split(asked))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("places") / "places.csv"
    file.write_text(
        "name,city,members,income,contribution,subsidy,claims,cost,ratio\n"
        "poor,east,80000,20000,400,800,0.2,8000,0.65\nrich,west,200000,60000,400,1000,0.22,9000,0.7\n",
        encoding="utf-8",
    )
    return file


def test_pool_tells_in_words_and_writes_everything(places: Path, tmp_path: Path) -> None:
    out = tmp_path / "result"
    done = call(f"{POOL} --places {places} --out {out} --lang zh")
    assert done.exit_code == 0, done.output
    assert "再分配" in done.output
    for name in ("page.html", "page.md", "pool.json", "pool.xlsx", "sizes.csv", "transfers.parquet", "sources.csv",
                 "figure_ruin.svg", "figure_transfers.svg"):  # fmt: skip
        assert (out / name).stat().st_size > 100, name
    assert json.loads((out / "pool.json").read_text(encoding="utf-8"))["synthetic"] is False


def test_a_pool_that_is_short_more_often_than_not_ends_with_one(places: Path) -> None:
    assert call(f"{POOL} --places {places} --use-response 0.3").exit_code == 1


def test_tiers_tell_in_words_and_write_files(tmp_path: Path) -> None:
    files = [tmp_path / f"tiers{ending}" for ending in (".html", ".md", ".json", ".xlsx", ".csv", ".png")]
    done = call(f"fund tiers {' '.join(f'--out {file}' for file in files)}")
    # Under free choice of the made-up tiers the fund pays more than it takes.
    assert done.exit_code == 1, done.output
    assert "Adverse selection" in done.output
    assert all(file.stat().st_size > 100 for file in files)
    assert files[-1].read_bytes().startswith(b"\x89PNG")
    assert call("fund tiers --subsidy 1000 --lang zh").exit_code == 0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("fund pool --months -1", "negative_reserve"),
        ("fund pool --share 2", "bad_parameter"),
        ("fund pool --sizes x", "bad_lines"),
        ("fund pool --sizes 0", "bad_pool"),
        ("fund pool --places nowhere.csv", "file_not_found"),
        ("fund pool --places a.csv --population b", "needs_no_population"),
        ("fund pool --population nowhere", "no_population"),
        ("fund pool --out x.doc", "unknown_format"),
        ("fund tiers --tier low=1,0.5", "bad_tiers"),
        ("fund tiers --members nowhere.csv", "file_not_found"),
        ("fund tiers --aversion -1", "bad_parameter"),
        ("fund tiers --out x.doc", "unknown_format"),
    ],
)
def test_misuse_is_told_in_one_line_and_ends_with_two(asked: str, code: str) -> None:
    done = call(asked)
    assert done.exit_code == 2, done.output
    assert f"error [{code}]" in done.output
    assert "Traceback" not in done.output
