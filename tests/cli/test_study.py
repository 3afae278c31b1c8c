"""`medfloor study`: list, describe, run, and the exit codes in both languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medfloor.cli.main import program
from medfloor.studies import STUDIES, about_study
from medfloor.studies.study import Section, Study
from medfloor.words import Phrase


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        program.main([*arguments])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    assert run("survey", "example", "cfps", "--out", str(folder), "--seed", "2", "--scale", "0.03") == 0
    return folder


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_studies_are_listed_and_described(lang: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("study", "list", "--lang", lang) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in STUDIES)
    assert run("study", "describe", "cii-poverty", "--lang", lang) == 0
    assert ("大病保险" if lang == "zh" else "critical illness insurance") in capsys.readouterr().out


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_run_with_findings_ends_with_1_and_writes_its_folder(
    lang: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "study"
    asked = ["study", "run", "urrbmi-relative-poverty", "--data", str(files), "--lang", lang, "--set", "draws=20"]
    assert run(*asked, *(["--out", str(out)] if lang == "zh" else [])) == 1
    told = capsys.readouterr().out
    assert ("虚构数据" if lang == "zh" else "MADE-UP DATA") in told
    if lang == "zh":
        assert (out / "report.html").is_file()
        assert (out / "tables.xlsx").is_file()


def test_a_run_without_findings_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Study(about_study("cii-poverty"), (Section("data", Phrase("cii.title_data")),), "files", False, {"seed": 1})
    monkeypatch.setattr("medfloor.studies.run_study", lambda *_, **__: found)
    for lang in ("zh", "en"):
        assert run("study", "run", "cii-poverty", "--data", str(tmp_path), "--format", "json", "--lang", lang) == 0
        assert json.loads(capsys.readouterr().out)["study"] == "cii-poverty"


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["describe", "poverty"], "no_such_study"),
        (["run", "cii-poverty", "--data", "NOWHERE"], "file_not_found"),
        (["run", "cii-poverty", "--data", "EMPTY"], "no_cfps_files"),
        (["run", "cii-poverty", "--data", "EMPTY", "--set", "permutations"], "bad_setting"),
        (["run", "cii-poverty", "--data", "EMPTY", "--set", "speed=1"], "no_such_setting"),
        (["run", "cii-poverty", "--data", "EMPTY", "--out", "EMPTY"], "would_replace_input"),
        (["run", "cii-poverty", "--data", "EMPTY", "--out", "FILE"], "cannot_write"),
    ],
)
def test_misuse_ends_with_2_and_one_line(
    arguments: list[str], code: str, lang: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    places = {"EMPTY": str(tmp_path / "empty"), "NOWHERE": str(tmp_path / "nowhere"), "FILE": str(tmp_path / "file")}
    assert run("study", *(places.get(one, one) for one in arguments), "--lang", lang) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith(f"error [{code}]")
    assert len(told.splitlines()) == 1
