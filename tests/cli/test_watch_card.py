"""The commands `medfloor watch card` and `medfloor watch drift`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from made_homes import homes, model

from medfloor.cli.main import program
from medfloor.watch.risk import Model

REGISTER = "--people people.csv --households waves.csv --settlements settled.csv --year 2024"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where the model in use and a new one lie."""
    monkeypatch.chdir(tmp_path)
    keep(model(), "model.json")
    keep(model("logistic", 21), "new.json")
    return tmp_path


def keep(trained: Model, name: str) -> None:
    Path(name).write_text(json.dumps(trained.to_dict(), ensure_ascii=False), encoding="utf-8")


def run(line: str, code: int = 0) -> Result:
    done = CliRunner().invoke(program, ["watch", *line.split()])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def refused(line: str, code: str) -> None:
    """Run what cannot be done: exit code 2 and one line with the code, and no traceback."""
    done = run(line, 2)
    assert f"[{code}]" in done.output
    assert "Traceback" not in done.output


def test_the_card_is_printed_and_written_in_both_languages() -> None:
    told = run("card model.json --out card.md --out card.json")
    assert "What the visits reach" in told.stdout
    assert "card.md" in told.stderr
    assert "入户能找到多少" in run("card model.json --lang zh --out card.html").stdout
    assert Path("card.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads(Path("card.json").read_text(encoding="utf-8"))["hash"] == model().hash


def test_a_changed_model_is_refused_by_both_commands() -> None:
    text = Path("model.json").read_text(encoding="utf-8")
    Path("model.json").write_text(text.replace('"synthetic": true', '"synthetic": false'), encoding="utf-8")
    register()
    for line in ("card model.json --out card.md", f"drift model.json {REGISTER}", "card new.json --compare model.json"):
        refused(line, "changed_model")
    assert not Path("card.md").exists()


def test_a_signed_comparison_stays_in_the_next_card() -> None:
    first = "card new.json --compare model.json --sign --by Li --on 2026-01-15 --note more_years --out first.json"
    assert "Li agreed" in run(first).stdout
    run("card model.json --compare new.json --sign --by Wang --on 2026-02-01 --refused --note no --history first.json "
        "--out second.json")  # fmt: skip
    kept = json.loads(Path("second.json").read_text(encoding="utf-8"))["signatures"]
    assert [(one["by"], one["accepted"], one["new_hash"]) for one in kept] == [
        ("Li", True, model("logistic", 21).hash), ("Wang", False, model().hash)
    ]  # fmt: skip
    edited = json.loads(Path("second.json").read_text(encoding="utf-8"))
    edited["signatures"][1]["accepted"] = True
    Path("second.json").write_text(json.dumps(edited), encoding="utf-8")
    refused("card model.json --history second.json", "signature_changed")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("card model.json --out card.txt", "unknown_format"),
        ("card model.json --by Li", "needs_sign"),
        ("card model.json --sign --by Li --on 2026-01-15", "needs_signature"),
        ("card model.json --sign --by Li --on today --out c.json", "bad_day"),
        ("card model.json --sign --by Li --on 2026-01-15 --out c.json", "nothing_compared"),
        ("card new.json --compare model.json --sign --by Li --on 2026-01-15 --out c.json", "needs_note"),
        ("card model.json --compare model.json", "same_model"),
        ("card none.json", "file_not_found"),
        ("card model.json --history none.json", "file_not_found"),
        ("card model.json --history model.json", "bad_signature"),
    ],
)
def test_misuse_is_named(line: str, code: str) -> None:
    refused(line, code)


def register(rise: int = 1) -> None:
    """Write the files that the features of the judged year would come from; what was paid is `rise` times that."""
    now = homes(1500, 3, 2024)
    people, waves, settled = ["person_id,household_id"], ["household_id,wave,size,income,residence,township"], [
        "claim_id,person_id,benefit_year,settled_date,own_in_scope,own_total"
    ]  # fmt: skip
    for row in now.head(300).iter_rows(named=True):
        name, size = row["household_id"], int(row["size"])
        people.append(f"p{name},{name}")
        waves.append(f"{name},2024,{size},{row['income_fen'] / 100:.2f},{row['residence']},{row['township']}")
        if row["own_total_fen"]:
            paid = rise * row["own_total_fen"] / 100
            settled.append(f"c{name},p{name},2024,2024-05-01,{0.7 * paid:.2f},{paid:.2f}")
    for file, lines in (("people", people), ("waves", waves), ("settled", settled)):
        Path(f"{file}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_drift_is_found_named_and_written() -> None:
    register(rise=8)
    Path("visits.csv").write_text("household_id,outcome,fell\nh000001,confirmed,yes\nh000002,,no\nh000003,visited,\n")
    told = run(
        f"drift model.json {REGISTER} --outcomes visits.csv --out drift.csv --out drift.html --out drift.json", 1
    )
    assert "DRIFT" in told.stdout and "h000001" not in told.stdout
    found = json.loads(Path("drift.json").read_text(encoding="utf-8"))
    moved = {row["feature"] for row in found["inputs"] if row["band"] == "drift" and row["place"] == ""}
    assert "own_total" in moved and "income_head" not in moved
    assert (found["confirmed"][0]["visited"], found["calibration"][0]["households"]) == (2, 2)
    assert Path("drift.html").read_text(encoding="utf-8").count("<svg") == 1
    assert "漂移" in run(f"drift model.json {REGISTER} --lang zh --by none --out drift.md", 1).stdout


def test_lines_of_ones_own_decide_what_drift_is() -> None:
    register(rise=8)
    own = "".join(f'[[parameter]]\nname = "{name}"\nvalue = 90\n' for name in ("psi_drift", "psi_watch", "ratio"))
    Path("own.toml").write_text(own)
    assert "No drift found" in run(f"drift model.json {REGISTER} --by none --lines own.toml", 0).stdout


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("--outcomes visits.csv", "bad_outcome"),
        ("--lines none.toml", "file_not_found"),
        ("--lines visits.csv", "bad_drift_rules"),
        ("--out drift.xyz", "unknown_format"),
        ("--by village", "missing_column"),
    ],
)
def test_what_drift_cannot_use_is_refused(more: str, code: str) -> None:
    register()
    Path("visits.csv").write_text("household_id,outcome,fell\nh000001,confirmed,perhaps\n")
    refused(f"drift model.json {REGISTER} {more}", code)


def test_help_has_examples_and_exit_codes() -> None:
    for name in ("card", "drift"):
        told = run(f"{name} --help").stdout
        assert "Examples:" in told and "Exit codes:" in told
