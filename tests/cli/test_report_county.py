"""`medfloor report county`, `policy` and `study` on a small made-up county: files, numbers, small cells, exit codes."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from pdf_words import words_of

from medfloor.cli.main import program

REFORM = Path(__file__).resolve().parents[2] / "examples" / "reforms" / "oop_cap.yaml"


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        program.main([str(one) for one in arguments])
    return int(end.value.code or 0)


def lost(cells: list[str], told: str) -> list[str]:
    """List the cells of a page that the PDF of the same report does not hold."""
    return [one for one in map(html.unescape, cells) if "".join(one.split()) not in told]


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "county"
    assert run("synthesise", "--people", 1000, "--seed", 3, "--out", folder) in (0, 1)
    return folder


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_county_is_reported_in_three_forms(county: Path, lang: str, tmp_path: Path) -> None:
    files = [tmp_path / f"report{one}" for one in (".pdf", ".html", ".xlsx")]
    asked = ["report", "county", county, "--name", "示范县", "--date", "2026-03-01", "--lang", lang]
    asked += ["--no-cliffs"] if lang == "en" else []
    assert run(*asked, *(part for one in files for part in ("--out", one))) == 0
    told, shown = words_of(files[0].read_bytes()), files[1].read_text("utf-8")
    cells = re.findall(r"<td[^>]*>([^<]+)</td>", shown)
    assert len(cells) > 200
    assert lost(cells, told) == []
    assert ("数据为虚构" if lang == "zh" else "The data are made up") in shown
    # A source says that it is a folder of tables, not a bare name.
    assert ("来源：文件夹 county 中的" if lang == "zh" else "Source: tables of people, households, statuses") in shown
    assert "示范县" in told
    assert ("待遇断崖" if lang == "zh" else "Cliffs") not in shown or lang == "zh"


def test_small_cells_are_hidden_and_cannot_be_worked_out(county: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert run("report", "county", county, "--few", 20, "--no-cliffs", "--date", "2026-03-01", "--out", out) == 0
    shown = out.read_text("utf-8")
    start = shown.index("Costs and reimbursement by status")
    table = shown[start : shown.index("</table>", start)]
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", table)
    hidden = [one for one in rows if "&lt;20" in one]
    assert len(hidden) != 1
    assert all(re.findall(r"<td>(.*?)</td>", one)[1:] == ["-"] * 6 for one in hidden)
    for people in (re.findall(r"<td>(.*?)</td>", one)[1] for one in rows if one not in hidden):
        assert int(people.replace(",", "")) >= 20


def test_the_sums_of_a_report_are_those_of_its_claims(county: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert run("report", "county", county, "--no-cliffs", "--date", "2026-03-01", "--out", out) == 0
    total = pl.read_parquet(county / "claims.parquet")["total"].cast(pl.Float64).sum()
    assert f"{total:,.2f}" in out.read_text("utf-8")


def test_claims_alone_say_what_lacks(county: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("claims.parquet", "people.parquet", "policy.yaml"):
        (bare / name).write_bytes((county / name).read_bytes())
    out = tmp_path / "report.html"
    assert run("report", "county", bare, "--no-cliffs", "--date", "2026-03-01", "--out", out) == 0
    shown = out.read_text("utf-8")
    assert "no usable data on consumption" in shown
    assert "Catastrophic" not in shown


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--year", "1999"], "no_claims"),
        (["--office"], "no_county"),
        (["--out", "x.docx"], "unknown_format"),
        (["--policy", "cn/nowhere"], "error"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    more: list[str], code: str, county: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", "county", county, "--no-cliffs", "--out", tmp_path / "report.pdf", *more) == 2
    said = capsys.readouterr().err
    assert code in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "report.pdf").exists()


def test_no_folder_and_no_option_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("report", "county", tmp_path / "nowhere", "--out", tmp_path / "a.pdf") == 2
    assert run("report", "county", tmp_path, "--out", tmp_path / "a.pdf") == 2
    assert "no_settlements" in capsys.readouterr().err


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_brief_is_short_and_reproducible(county: Path, lang: str, tmp_path: Path) -> None:
    asked = ["report", "policy", "--population", county, "--baseline", county / "policy.yaml", "--reform", REFORM]
    asked += ["--no-cliffs", "--behaviour", "none", "--lang", lang, "--date", "2026-03-01"]
    first, second, shown = (tmp_path / name for name in ("a.pdf", "b.pdf", "a.html"))
    assert run(*asked, "--out", first, "--out", shown) == 0
    told = words_of(first.read_bytes())
    cells = re.findall(r"<td>([^<]+)</td>", shown.read_text("utf-8"))
    assert len(cells) > 60
    assert lost(cells, told) == []
    assert ("年度自付封顶1万元" if lang == "zh" else "ayearlyceilingof10,000") in told
    assert len(re.findall(rb"/Type ?/Page\b", first.read_bytes())) <= 6
    if lang == "zh":
        assert run(*asked, "--out", second) == 0
        assert first.read_bytes() == second.read_bytes()


def test_a_study_is_printed(county: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"study{one}" for one in (".pdf", ".html", ".xlsx")]
    asked = ["report", "study", "county-ledger", "--data", county, "--date", "2026-03-01", "--lang", "zh"]
    assert run(*asked, *(part for one in files for part in ("--out", one))) in (0, 1)
    assert "003" in words_of(files[0].read_bytes())
    shown = files[1].read_text("utf-8")
    assert "<h2>1 " in shown
    assert ">sex<" not in shown
    assert run(*asked, "--set", "nothing", "--out", files[0]) == 2
    # No row of any form counts fewer than five cases or people; the note says so.
    assert "不足 5 人（例）的行不公布" in shown
    for head, body in re.findall(r"<thead><tr>(.*?)</tr></thead><tbody>(.*?)</tbody>", shown):
        heads = re.findall(r"<th[^>]*>(.*?)</th>", head)
        for row in re.findall(r"<tr>(.*?)</tr>", body):
            cells = dict(zip(heads, re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row), strict=True))
            counts = [cells[one] for one in ("病例", "人数", "参保人数") if one in cells]
            assert all(one in ("-", "0") or int(one.replace(",", "")) >= 5 for one in counts), row


def test_the_same_inputs_give_the_same_bytes_in_another_process_and_folder(county: Path, tmp_path: Path) -> None:
    """All three forms; in another place, under another seed of hashing, in another time zone."""
    made = []
    for number, zone in enumerate(("Asia/Shanghai", "America/New_York")):
        folder = tmp_path / f"run{number}"
        shutil.copytree(county, folder / "county")
        outs = [f"report{one}" for one in (".pdf", ".html", ".xlsx")]
        asked = [
            "report",
            "county",
            "county",
            "--name",
            "示范县",
            "--no-cliffs",
            "--lang",
            "zh",
            "--date",
            "2026-03-01",
        ]
        environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": str(number + 1)}
        command = [
            sys.executable,
            "-m",
            "medfloor.cli.main",
            *asked,
            *(part for one in outs for part in ("--out", one)),
        ]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        made.append([(folder / one).read_bytes() for one in outs])
    assert made[0] == made[1]
