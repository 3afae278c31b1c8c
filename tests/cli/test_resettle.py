"""`medfloor resettle`: who is owed (应补) and who owes (应退) after statuses were corrected."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.intake import read_table

CLAIMS = (
    "claim_id,person_id,care_type,start_date,end_date,facility_level,total,off_catalogue,in_scope,note\n"
    "c1,p1,inpatient,2024-03-01,2024-03-10,3,150000,20000,130000,a\n"
    "c2,p2,inpatient,2024-03-01,2024-03-10,3,150000,20000,130000,b\n"
)
POOR = "p1,dibao,2024-01-01,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "claims.csv").write_text(CLAIMS)
    (tmp_path / "people.csv").write_text("person_id\np1\np2\n")
    (tmp_path / "none.csv").write_text("person_id,group,from_date,to_date\n")
    (tmp_path / "poor.csv").write_text(f"person_id,group,from_date,to_date\n{POOR}")
    return tmp_path


def resettle(folder: Path, before: str, after: str, *more: str) -> Result:
    given = [str(folder / "claims.csv"), "--people", str(folder / "people.csv"), "--policy", "cn/beijing"]
    lists = ["--spells-before", str(folder / before), "--spells-after", str(folder / after)]
    return CliRunner().invoke(program, ["resettle", *given, *lists, *more])


def test_a_recognition_that_came_late_is_owed(folder: Path) -> None:
    out, sums = folder / "changes.csv", folder / "sums.csv"
    result = resettle(folder, "none.csv", "poor.csv", "--out", str(out), "--people-out", str(sums))
    assert result.exit_code == 0, result.output
    assert "owed more" in result.output
    assert "The fund owes 28,392.77 yuan to 1 people; 0 people are to return 0.00 yuan." in result.output
    row = read_table(out).row(0, named=True)
    assert (row["claim_id"], row["direction"], row["difference"]) == ("c1", "owed", "28392.77")
    assert (row["pay_assistance_before"], row["pay_assistance_after"]) == ("0.00", "18357.92")
    assert (row["pay_critical_illness_before"], row["pay_critical_illness_after"]) == ("1842.60", "11877.45")
    people = read_table(sums).rows(named=True)
    assert people == [
        {
            "person_id": "p1", "benefit_year": "2024", "claims": "1", "before": "98367.60", "after": "126760.37",
            "difference": "28392.77", "direction": "owed",
        }
    ]  # fmt: skip


def test_a_status_that_was_withdrawn_is_to_be_returned(folder: Path) -> None:
    result = resettle(folder, "poor.csv", "none.csv", "--out", str(folder / "changes.csv"), "--lang", "zh")
    assert result.exit_code == 0, result.output
    assert "应退" in result.output
    assert "28,392.77" in result.output
    row = read_table(folder / "changes.csv").row(0, named=True)
    assert (row["claim_id"], row["direction"], row["difference"]) == ("c1", "owes", "-28392.77")


@pytest.mark.parametrize(("lang", "words"), [("en", "owed more"), ("zh", "应补")])
def test_the_report_is_in_both_languages(folder: Path, lang: str, words: str) -> None:
    result = resettle(folder, "none.csv", "poor.csv", "--lang", lang)
    assert result.exit_code == 0
    assert words in result.output
    assert [path.name for path in folder.iterdir() if path.suffix != ".csv"] == []
    assert not (folder / "changes.csv").exists()


def test_nothing_changed_is_said(folder: Path) -> None:
    result = resettle(folder, "poor.csv", "poor.csv", "--out", str(folder / "changes.parquet"))
    assert result.exit_code == 0
    assert pl.read_parquet(folder / "changes.parquet").height == 0


@pytest.mark.parametrize("spoiled", ["none.csv", "poor.csv"])
def test_rows_refused_under_either_list_are_kept_with_a_reason_and_exit_code_1(folder: Path, spoiled: str) -> None:
    with (folder / spoiled).open("a") as file:
        file.write("p2,dibao,2024-13-01,\n")
    result = resettle(folder, "none.csv", "poor.csv", "--out", str(folder / "changes.csv"))
    assert result.exit_code == 1
    assert "bad_spell  1" in result.output
    rejects = read_table(folder / "changes.rejects.csv")
    assert rejects.select("claim_id", "note", "reason").rows() == [("c2", "b", "bad_spell")]
    assert read_table(folder / "changes.csv")["claim_id"].to_list() == ["c1"]
    (folder / spoiled).write_text((folder / spoiled).read_text().replace("2024-13-01", "2024-12-01"))
    again = resettle(folder, "none.csv", "poor.csv", "--out", str(folder / "changes.csv"))
    assert again.exit_code == 0
    assert read_table(folder / "changes.rejects.csv").height == 0


def test_misuse_is_exit_code_2_and_writes_nothing(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    for code, result in (
        ("file_not_found", resettle(folder, "none.csv", "nowhere.csv", "--out", str(folder / "o.csv"))),
        ("would_replace_input", resettle(folder, "none.csv", "poor.csv", "--out", str(folder / "poor.csv"))),
        ("same_output", resettle(folder, "none.csv", "poor.csv", "--out", str(folder / "o.csv"), "--people-out", str(folder / "o.csv"))),
        ("missing_claims", CliRunner().invoke(program, ["resettle", "--people", "p.csv", "--spells-before", "a.csv",
                                                        "--spells-after", "b.csv", "--policy", "cn/beijing"])),
    ):  # fmt: skip
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith(f"error [{code}]: ")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_the_largest_differences_come_first_and_the_rest_is_counted(folder: Path) -> None:
    persons = [f"q{k:02d}" for k in range(25)]
    with (folder / "claims.csv").open("a") as file:
        file.writelines(
            f"d{p},{p},inpatient,2024-03-01,2024-03-10,3,{100000 + k * 1000},0,{100000 + k * 1000},\n"
            for k, p in enumerate(persons)
        )
    (folder / "people.csv").write_text("person_id\np1\np2\n" + "".join(f"{p}\n" for p in persons))
    (folder / "poor.csv").write_text(
        "person_id,group,from_date,to_date\n" + "".join(f"{p},dibao,2024-01-01,\n" for p in persons)
    )
    lines = resettle(folder, "none.csv", "poor.csv").output.splitlines()
    shown = [line.split()[0] for line in lines if line.startswith("q")]
    assert shown == [f"q{k:02d}" for k in range(24, 4, -1)]
    assert any("5" in line and "more" in line for line in lines)
