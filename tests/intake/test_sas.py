"""Files of SAS: .sas7bdat as the releases of CFPS hold it, read like the Stata files of the same data."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from sas_files import write_sas

from medfloor.errors import InputError
from medfloor.intake import read_cfps, read_microdata
from medfloor.synthetic.cfps import write_cfps

TABLE = pl.DataFrame({
    "PID": [110001101.0, 110001102.0, 110001103.0], "QC7A": [5.5, -8.0, None], "name": ["北京", "辽宁", None],
})  # fmt: skip


def test_another_program_reads_the_same_bytes_alike(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = write_sas(TABLE, tmp_path / "table.sas7bdat")
    theirs = pandas.read_sas(path, encoding="utf-8")
    assert theirs["PID"].tolist() == TABLE["PID"].to_list()
    assert theirs["QC7A"].tolist()[:2] == [5.5, -8.0] and theirs["QC7A"].isna().tolist() == [False, False, True]
    assert theirs["name"].tolist()[:2] == ["北京", "辽宁"]


@pytest.mark.parametrize("ending", [".sas7bdat", ".SAS7BDAT"])
def test_numbers_text_and_missing_values_come_as_they_are(tmp_path: Path, ending: str) -> None:
    path = write_sas(TABLE, tmp_path / f"table{ending}")
    read = read_microdata(path, mapping="oop=QC7A,person_id=PID", numbers=["oop"], labels=["person_id", "name"])
    assert read.accepted["oop"].to_list() == [5.5, -8.0, None]
    assert read.accepted["name"].to_list() == ["北京", "辽宁", None]


@pytest.mark.parametrize("capitals", [False, True])
def test_cfps_of_sas_reads_like_cfps_of_stata(tmp_path: Path, capitals: bool) -> None:
    write_cfps(tmp_path / "stata", seed=4, scale=0.01, waves=[2018, 2020])
    made = write_cfps(tmp_path / "csv", seed=4, scale=0.01, waves=[2018, 2020], form="csv")
    (tmp_path / "sas").mkdir()
    for name in made.files:
        frame = pl.read_csv(tmp_path / "csv" / name, infer_schema_length=None)
        if capitals:
            # The release of 2020 mixes: FOOD beside expense, PID beside pid.
            frame = frame.rename({old: old.upper() for i, old in enumerate(frame.columns) if i % 2})
        write_sas(frame, (tmp_path / "sas" / name).with_suffix(".sas7bdat"))
    one, other = read_cfps(tmp_path / "stata"), read_cfps(tmp_path / "sas")
    assert other.households.equals(one.households)
    assert other.people.equals(one.people)


def test_a_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_sas(TABLE, tmp_path / "table.sas7bdat")
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(InputError) as caught:
        read_microdata(path, mapping="oop=QC7A", numbers=["oop"])
    assert caught.value.code == "broken_survey_file"
