"""`medfloor watch simulate` and `medfloor watch visits`: what they print, write and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program

TINY = ["watch", "simulate", "--people", "1000", "--years", "1", "--seeds", "2", "--processes", "1"]


def ran(*words: str) -> Result:
    return CliRunner().invoke(program, list(words))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("simulated")
    arms = "rule,rule_first_come,oracle"
    return ran(*TINY, "--arms", arms, "--out", str(folder / "all"), "--out", str(folder / "one.json")), folder


def test_a_simulation_says_that_it_is_synthetic_and_what_it_assumes(simulated: tuple[Result, Path]) -> None:
    done, _ = simulated
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("SYNTHETIC: 2 made-up counties")
    assert "Assumed, set by no document:" in done.stdout
    assert "a visit sees that it soon will be" in done.stdout
    assert "Everything is synthetic" in done.stdout


def test_a_simulation_writes_page_tables_figure_and_json(simulated: tuple[Result, Path]) -> None:
    _, folder = simulated
    names = {one.name for one in (folder / "all").iterdir()}
    assert names == {
        "page.html", "page.md", "simulated.json", "simulated.xlsx", "arms.csv", "arms.parquet", "averted.svg",
        "runs.csv", "runs.parquet",
    }  # fmt: skip
    plain = json.loads((folder / "one.json").read_text(encoding="utf-8"))
    assert plain["synthetic"] is True
    assert plain["arms"]["none"]["visits"]["mean"] == 0
    assert plain["arms"]["rule"]["averted"]["change"] == 0
    frame = pl.read_parquet(folder / "all" / "arms.parquet")
    assert frame["arm"].unique(maintain_order=True).to_list() == ["none", "rule", "rule_first_come", "oracle"]
    assert pl.read_csv(folder / "all" / "runs.csv").height == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--arms", "luck"], "there is no arm"), (["--set", "sees=2"], "a probability from 0 to 1"),
        (["--set", "luck=1"], "names: help_at_most"), (["--years", "9"], "ask for 1 to 5"),
        (["--people", "5"], "5 people"), (["--share", "3"], "share"), (["--status", "king"], "knows no status"),
        (["--out", "x.txt"], "ends in none of"), (["--out", "nowhere/x.csv"], "there is no folder"),
        (["--place", "cn/atlantis"], "atlantis"),
    ],
)  # fmt: skip
def test_misuse_is_told_before_a_county_is_made(words: list[str], said: str) -> None:
    done = ran(*TINY, "--arms", "rule", *words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_arms_and_assumptions_are_listed_in_chinese() -> None:
    done = ran("watch", "simulate", "--list", "--lang", "zh", "--set", "help_at_most=5000")
    assert done.exit_code == 0
    assert "先知（已知真相）" in done.stdout
    assert "自定" in done.stdout


@pytest.fixture
def alerts(tmp_path: Path) -> Path:
    path = tmp_path / "alerts.csv"
    path.write_text(
        "household_id,signal,kind,as_of,urgency,unit,spent,base,allowed\n"
        "h1,burden_in_scope,burden,2026-03-01,urgent,yuan,30000.00,41314.00,20657.00\n"
        "h2,after_medical,poverty,2026-03-01,routine,yuan,9000.00,20000.00,2400.00\n"
        "h2,not_enrolled,enrolment,2026-03-01,routine,people,,,\n"
        "h3,monitored_edge,poverty,2026-03-01,soon,yuan,,6000.00,8800.00\n",
        encoding="utf-8",
    )
    return path


def test_visits_go_to_the_greatest_harm_and_name_nobody_on_the_terminal(alerts: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.csv"
    done = ran("watch", "visits", str(alerts), "--capacity", "1", "--out", str(out), "--share", "0")
    assert done.exit_code == 1, done.output  # two of the three come after the third day
    assert "h1" not in done.stdout
    plan = pl.read_csv(out)
    assert plan["household_id"].to_list() == ["h1", "h3", "h2"]
    assert plan["from_date"].to_list() == ["2026-03-02", "2026-03-09", "2026-03-16"]
    assert plan["expected_harm"].to_list() == [5232.08, 700.0, 660.0]
    assert plan["late"].to_list() == [False, True, True]


def test_scores_and_townships_are_taken_from_their_files(alerts: Path, tmp_path: Path) -> None:
    scores, homes, out = tmp_path / "scores.csv", tmp_path / "homes.csv", tmp_path / "plan.parquet"
    scores.write_text("household_id,probability,rank\nh2,0.99,1\nh1,0.01,2\n", encoding="utf-8")
    homes.write_text("household_id,township\nh1,east\nh2,east\nh3,west\nh9,west\n", encoding="utf-8")
    words = ["--scores", str(scores), "--households", str(homes), "--capacity", "3", "--lang", "zh"]
    done = ran("watch", "visits", str(alerts), *words, "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "按乡镇" in done.stdout
    plan = pl.read_parquet(out)
    assert plan.select("household_id", "township").rows() == [("h2", "east"), ("h3", "west"), ("h1", "east")]


def test_first_come_takes_the_earliest(alerts: Path, tmp_path: Path) -> None:
    text = alerts.read_text(encoding="utf-8").replace("h3,monitored_edge,poverty,2026-03-01", "h3,x,poverty,2026-02-20")
    alerts.write_text(text, encoding="utf-8")
    out = tmp_path / "plan.csv"
    done = ran("watch", "visits", str(alerts), "--capacity", "5", "--method", "first_come", "--out", str(out))
    assert done.exit_code == 1
    assert pl.read_csv(out)["household_id"].to_list() == ["h3", "h1", "h2"]


def test_alerts_that_cannot_be_read_are_told(alerts: Path, tmp_path: Path) -> None:
    text = alerts.read_text(encoding="utf-8")
    for wrong, said in (
        (text.replace("30000.00", "much"), "amounts in yuan"),
        (text.replace("2026-03-01", "soon"), "--as-of"),
        (text.replace("household_id", "home"), "household_id"),
    ):
        alerts.write_text(wrong, encoding="utf-8")
        done = ran("watch", "visits", str(alerts), "--capacity", "1")
        assert done.exit_code == 2
        assert said in done.stderr
    assert ran("watch", "visits", str(tmp_path / "none.csv"), "--capacity", "1").exit_code == 2
    assert ran("watch", "visits", str(alerts), "--capacity", "0").exit_code == 2


def test_a_plan_may_not_replace_its_alerts(alerts: Path) -> None:
    done = ran("watch", "visits", str(alerts), "--capacity", "1", "--out", str(alerts))
    assert done.exit_code == 2


@pytest.mark.parametrize(("lang", "words"), [("en", "nobody waits"), ("zh", "无人等待入户")])
def test_a_month_without_an_alert_is_no_mistake(tmp_path: Path, lang: str, words: str) -> None:
    alerts, out = tmp_path / "alerts.csv", tmp_path / "plan.csv"
    alerts.write_text("household_id,signal,as_of,urgency\n", encoding="utf-8")
    done = ran("watch", "visits", str(alerts), "--capacity", "1", "--lang", lang, "--out", str(out))
    assert done.exit_code == 0 and words in done.output, done.output
    assert out.read_text(encoding="utf-8").startswith("week,")
