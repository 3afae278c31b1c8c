"""A made-up harmonised CHARLS: what the reader makes of the file is what was made."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyreadstat
import pytest
from polars.testing import assert_frame_equal

from medfloor.cli.main import program
from medfloor.errors import OutputError, UsageError
from medfloor.intake import read_charls
from medfloor.layouts import shipped_layout
from medfloor.synthetic.charls import SAYS, WAVES, MadeCharls, write_charls


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        program.main([*arguments])
    return int(end.value.code or 0)


def same(read: pl.DataFrame, truth: pl.DataFrame, key: str) -> None:
    """Compare the columns that the truth has, in the order of waves and numbers, exactly."""
    order = ["wave", key]
    assert_frame_equal(read.select(truth.columns).sort(order), truth.sort(order), check_dtypes=False, check_exact=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeCharls:
    return write_charls(tmp_path_factory.mktemp("charls"), seed=3, scale=0.05)


@pytest.mark.parametrize("form", ["dta", "sav", "csv", "parquet", "xpt"])
@pytest.mark.parametrize("capitals", [False, True])
def test_the_panels_are_the_truth(tmp_path: Path, form: str, capitals: bool) -> None:
    made = write_charls(tmp_path, seed=5, scale=0.02, form=form, capitals=capitals)  # type: ignore[arg-type]
    read = read_charls(made.path)
    assert read.rejects.height == 0
    same(read.people, made.people, "person_id")
    same(read.households, made.households, "household_id")


def test_the_panels_of_the_command_are_the_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, panel = tmp_path / "made", tmp_path / "panel"
    assert run("survey", "example", "charls", "--out", str(out), "--seed", "2", "--scale", "0.02") == 0
    assert "SYNTHETIC" in capsys.readouterr().out
    assert run("survey", "charls", str(out / "H_CHARLS_D_Data.dta"), "--out", str(panel), "--lang", "zh") == 0
    assert "合成数据" in capsys.readouterr().out
    for name, key in (("people", "person_id"), ("households", "household_id")):
        text = dict.fromkeys(("wave", "person_id", "household_id", "psu"), pl.String)
        truth = pl.read_csv(out / f"truth_{name}.csv", schema_overrides=text, infer_schema_length=None)
        same(pl.read_parquet(panel / f"{name}.parquet"), truth, key)
    assert (panel / "report" / "poverty_lines.csv").is_file()
    homes = str(panel / "households.parquet")
    assert run("measure", "catastrophic", homes, "--definition", "nonfood", "--by", "wave") == 0


def test_the_report_counts_what_was_made(made: MadeCharls) -> None:
    read = read_charls(made.path)
    links = {(a, b): (u, r) for a, b, u, r in read.findings.links.iter_rows()}
    assert links["person", "any wave"] == (made.truth["people"], made.truth["person_waves"])
    assert links["household", "any wave"] == (made.truth["households"], made.truth["household_waves"])
    differing = read.findings.dropped.filter(pl.col("reason") == "household_answers_differ")["rows"].sum()
    assert differing == made.truth["parted"] > 0
    assert set(read.findings.columns["status"]) == {"read", "not_asked"}


def test_shares_are_those_of_the_file_but_for_what_was_left_out(made: MadeCharls) -> None:
    read = read_charls(made.path)
    for wave, told in made.truth["shares"].items():
        people = read.people.filter(pl.col("wave") == wave)
        # Stays are always answered, so that this share is exact.
        assert people["hospitalised"].mean() == pytest.approx(told["hospitalised"], abs=1e-12)
        homes = read.households.filter(pl.col("wave") == wave).drop_nulls(["oop", "consumption"])
        # About 480 homes of about 500: five standard errors of a share of .1 among the left-out are under .03.
        above = float((homes["oop"] > 0.1 * homes["consumption"]).mean())  # type: ignore[arg-type]
        assert abs(above - told["above_tenth_of_consumption"]) < 0.03


def test_nobody_who_did_not_answer_has_a_row(made: MadeCharls) -> None:
    raw, _ = pyreadstat.read_dta(str(made.path), output_format="polars")
    read = read_charls(made.path)
    for at, wave in enumerate(WAVES, start=1):
        answered = raw.filter(pl.col(f"r{at}iwstat") == 1)["ID"].sort().to_list()
        assert read.people.filter(pl.col("wave") == str(wave))["person_id"].sort().to_list() == answered
        assert len(answered) < raw.height


def test_the_file_has_the_names_of_the_layout_and_says_that_it_is_made_up(made: MadeCharls) -> None:
    raw, meta = pyreadstat.read_dta(str(made.path), output_format="polars")
    layout = shipped_layout("charls")
    names = {name for v in (*layout.household, *layout.person) for wave in WAVES for name in v.names(wave)[:1]}
    assert names <= {name.lower() for name in raw.columns}
    assert (raw["synthetic"] == 1).all() and SAYS.startswith((meta.file_label or "none")[:20])
    assert json.loads((made.path.parent / "truth.json").read_text(encoding="utf-8"))["synthetic"] is True


def test_the_same_seed_gives_the_same_values_and_a_wave_does_not_depend_on_others(tmp_path: Path) -> None:
    one = write_charls(tmp_path / "one", seed=5, scale=0.02, form="csv")
    other = write_charls(tmp_path / "other", seed=5, scale=0.02, form="csv")
    assert one.path.read_bytes() == other.path.read_bytes()
    alone = write_charls(tmp_path / "alone", seed=5, scale=0.02, form="csv", waves=[2015])
    assert alone.people.equals(one.people.filter(pl.col("wave") == "2015"))
    assert write_charls(tmp_path / "next", seed=6, scale=0.02).truth != one.truth
    same(read_charls(alone.path).people, alone.people, "person_id")


def test_misuse_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for told, code in (
        ({"seed": -1}, "bad_seed"), ({"seed": 1, "scale": 9.0}, "bad_scale"), ({"seed": 1, "waves": [2012]}, "no_such_wave"),
    ):  # fmt: skip
        with pytest.raises(UsageError) as caught:
            write_charls(tmp_path, **told)  # type: ignore[arg-type]
        assert caught.value.code == code
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(OutputError) as failed:
        write_charls(tmp_path / "taken", seed=1, scale=0.02)
    assert failed.value.code == "cannot_write"
    assert run("survey", "example", "charls", "--out", str(tmp_path), "--seed", "1", "--english") == 2
    assert "error [only_for_cfps]" in capsys.readouterr().err
