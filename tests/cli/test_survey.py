"""`medfloor survey`: panels and report in a folder, and the exit codes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from medfloor.cli.main import program


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        program.main([*arguments])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    assert run("survey", "example", "cfps", "--out", str(folder), "--seed", "2", "--scale", "0.02") == 0
    return folder


def test_cfps_becomes_panels_that_measures_read(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "panel"
    assert run("survey", "cfps", str(files), "--out", str(out), "--waves", "2014-2018") == 0
    told = capsys.readouterr().out
    assert "SYNTHETIC" in told and "2016" in told and "balanced" in told
    homes = pl.read_parquet(out / "households.parquet")
    assert homes["wave"].unique().sort().to_list() == ["2014", "2016", "2018"]
    assert sorted(file.name for file in (out / "report").iterdir()) == [
        "codes.csv", "columns.csv", "dropped.csv", "files.csv", "links.csv", "poverty_lines.csv",
    ]  # fmt: skip
    assert run("measure", "catastrophic", str(out / "households.parquet"), "--definition", "nonfood") == 0
    assert run("measure", "poverty", str(out / "households.parquet"), "--line", "median:0.5", "--by", "wave") == 0
    assert "strata" in capsys.readouterr().out
    assert not (out / "rejects.csv").exists()


def test_csv_panels_measure_as_parquet_does(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for form in ("parquet", "csv"):
        out = tmp_path / form
        assert run("survey", "cfps", str(files), "--out", str(out), "--waves", "2018", "--form", form) == 0
        capsys.readouterr()
        assert run("measure", "catastrophic", str(out / f"households.{form}"), "--format", "csv") == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


def test_poverty_lines_stand_in_the_report_with_their_trust(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "panel"
    assert run("survey", "cfps", str(files), "--out", str(out), "--waves", "2014") == 0
    lines = pl.read_csv(out / "report" / "poverty_lines.csv", schema_overrides={"wave": pl.String})
    published = lines.filter(pl.col("kind") == "published")
    assert published.select("wave", "value", "trust").rows() == [("2014", 2800.0, "official")]
    assert set(lines["kind"]) == {"absolute", "published", "relative"}


def test_it_speaks_chinese(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("survey", "cfps", str(files), "--out", str(tmp_path / "p"), "--lang", "zh", "--link", "balanced") == 0
    told = capsys.readouterr().out
    assert "合成数据" in told and "平衡面板" in told
    assert run("survey", "cfps", str(files), "--out", str(tmp_path / "p"), "--lang", "zh", "--prices", "2010") == 0
    assert "2010 年价格" in capsys.readouterr().out


def test_refused_rows_end_with_1_and_stand_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pl.DataFrame({"fid18": [1, 1]}).write_csv(tmp_path / "cfps2018famecon_202101.csv")
    out = tmp_path / "panel"
    assert run("survey", "cfps", str(tmp_path), "--out", str(out)) == 1
    assert "1 rows were refused" in capsys.readouterr().err
    assert pl.read_csv(out / "rejects.csv")["reason"].to_list() == ["duplicate_row"]
    pl.DataFrame({"fid18": [1]}).write_csv(tmp_path / "cfps2018famecon_202101.csv")
    assert run("survey", "cfps", str(tmp_path), "--out", str(out)) == 0
    # What an earlier run refused does not stay beside the new panel.
    assert pl.read_csv(out / "rejects.csv").height == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["cfps", "nowhere", "--out", "OUT"], "file_not_found"),
        (["cfps", "FILES", "--out", "OUT", "--waves", "2011"], "no_such_wave"),
        (["cfps", "FILES", "--out", "OUT", "--waves", "all"], "bad_waves"),
        (["cfps", "FILES", "--out", "OUT", "--prices", "1950"], "no_price_index"),
        (["cfps", "FILES", "--out", "OUT", "--layout", "FILES/truth.json"], "bad_layout"),
        (["charls", "FILES/truth.json", "--out", "OUT"], "unknown_format"),
        (["map", "FILES/rollout_sim.csv", "--map", "oop=nothing", "--out", "OUT"], "unknown_column"),
        (
            ["map", "FILES/rollout_sim.csv", "--map", "region=admin_code", "--missing", "x", "--out", "OUT"],
            "bad_missing",
        ),
        (["example", "cfps", "--out", "OUT", "--seed", "1", "--scale", "9"], "bad_scale"),
        (["example", "cfps", "--out", "OUT", "--seed", "-1"], "bad_seed"),
        (["cfps", "FILES", "--out", "OUT", "--waves", "2018-2012"], "bad_waves"),
    ],
)
def test_misuse_ends_with_2_and_its_code(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: str
) -> None:
    told = [a.replace("FILES", str(files)).replace("OUT", str(tmp_path / "out")) for a in arguments]
    assert run("survey", *told) == 2
    assert f"error [{code}]" in capsys.readouterr().err


def test_any_survey_is_read_by_a_mapping(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.csv").write_text("hh,med,tot\n1,-8,900\n2,50,1000\n3,x,5\n", encoding="utf-8")
    out = tmp_path / "panel"
    told = ["--map", "household_id=hh,oop=med,consumption=tot", "--missing", "-1,-8", "--zero", "oop=-8"]
    assert run("survey", "map", str(tmp_path / "s.csv"), *told, "--out", str(out), "--form", "csv") == 1
    assert "-8  zero" in capsys.readouterr().out
    assert (out / "households.csv").read_text(encoding="utf-8") == (
        "household_id,oop,consumption\n1,0.0,900.0\n2,50.0,1000.0\n"
    )
    assert (out / "rejects.csv").is_file()


def test_an_input_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "households.csv"
    file.write_text("hh,med\n1,5\n", encoding="utf-8")
    told = ["--map", "household_id=hh,oop=med", "--out", str(tmp_path), "--form", "csv"]
    assert run("survey", "map", str(file), *told) == 2
    assert "error [would_replace_input]" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "hh,med\n1,5\n"


def test_charls_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.csv").write_text("ID,householdID,r1agey,hh1ctot\n1,1,60,500\n", encoding="utf-8")
    assert run("survey", "charls", str(tmp_path / "c.csv"), "--out", str(tmp_path / "panel")) == 0
    assert "CHARLS" in capsys.readouterr().out
    assert pl.read_parquet(tmp_path / "panel" / "households.parquet")["consumption"].to_list() == [500.0]


@pytest.mark.parametrize("command", ["cfps", "charls", "map", "example"])
def test_every_command_has_help_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("survey", command, "--help") == 0
    assert f"medfloor survey {command}" in capsys.readouterr().out
