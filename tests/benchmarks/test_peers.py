"""One run of all peers: the other jobs small, and a run that meets peers which are missing, fail, wait or differ."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")

pytestmark = pytest.mark.peers

JOB = """
import time
import numpy as np


class Ours:
    package, repeats, adds = "numpy", 2, 0

    def ready(self, given):
        return given["amount"]

    def work(self, made):
        return made * 2 + self.adds

    def result(self, worked):
        return worked


class Fails(Ours):
    def work(self, made):
        raise ValueError("this peer cannot")


class Missing(Ours):
    def ready(self, given):
        import a_package_that_nobody_has


class Waits(Ours):
    def ready(self, given):
        time.sleep(600)


class Alone(Ours):
    package = "gettsim"


PEERS = {"ours": Ours, "fails": Fails, "missing": Missing, "waits": Waits, "alone": Alone}
"""


def module(name: str) -> Any:
    if BENCHMARKS not in sys.path:
        sys.path.append(BENCHMARKS)  # behind everything else
    return importlib.import_module(name)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "made_up_job.py").write_text(JOB, encoding="utf8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "made_up_job", raising=False)
    return "made_up_job"


GIVEN = {"amount": np.arange(5)}


def results(job: str, given: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    """Let peers work in this process; what is compared is what they work out, not how long they take."""
    peers = module(job).PEERS
    found = {}
    for name in names:
        peer = peers[name]()
        found[name] = peer.result(peer.work(peer.ready(given)))
    return found


def test_windows_and_expressions_pay_what_the_kernel_pays() -> None:
    pytest.importorskip("duckdb", reason="duckdb is not installed; `pip install -r requirements/dev.txt` brings it")
    found = results("windows", module("windows").columns(20_000), ["kernel", "polars", "duckdb", "duckdb-wide"])
    assert found["kernel"].shape == (3, 20_000) and (found["kernel"].sum(axis=1) > 0).all()
    for name in ("polars", "duckdb", "duckdb-wide"):
        assert np.array_equal(found[name], found["kernel"]), name


def test_svy_estimates_what_we_estimate() -> None:
    pytest.importorskip("svy", reason="svy is not installed; `pip install -r requirements/dev.txt` brings it")
    designs = module("designs")
    found = results("designs", designs.columns(20_000), list(designs.PEERS))
    for name, ours in designs.PAIRS.items():
        assert found[name] == pytest.approx(found[ours], rel=1e-9), name


@pytest.mark.heavy
def test_the_libraries_estimate_what_we_estimate() -> None:
    panel = module("evaluate").made_panel(400)
    estimators = module("estimators")
    found = results("estimators", {name: panel[name].to_numpy() for name in panel.columns}, list(estimators.PEERS))
    for name, ours in estimators.PAIRS.items():
        assert found[name] == pytest.approx(found[ours], rel=1e-9), name


def test_a_peer_that_cannot_is_said_and_the_others_go_on(job: str) -> None:
    contest, seen = module("contest"), []
    names = ["fails", "missing", "alone", "ours"]
    told, found = contest.run(
        job, GIVEN, names=names, pythons={"alone": "/nowhere/python"}, timeout=60,
        after=lambda known, _: seen.append(len(known)),
    )  # fmt: skip
    assert found["ours"].tolist() == [0, 2, 4, 6, 8] and set(found) == {"ours"}
    assert len(told["ours"]["seconds"]) == len(told["ours"]["busy"]) == 2 * contest.WORKS
    assert told["ours"]["version"] == f"numpy {np.__version__}"
    assert told["fails"]["failed"] == "failed: ValueError: this peer cannot"
    assert "a_package_that_nobody_has" in told["missing"]["missing"]
    assert "just peers-setup" in told["alone"]["missing"]
    assert seen == [1, 2, 3, 4, 4, 4]  # known after each peer was made ready and after each turn


def test_a_peer_that_takes_too_long_is_ended(job: str) -> None:
    told, found = module("contest").run(job, GIVEN, names=["waits"], timeout=1)
    assert told["waits"]["failed"] == "took longer than 1 s" and not found


def run_of(job: str, correct: Any) -> dict[str, Any]:
    names = {"ours": "medfloor", "fails": "a failing one"}
    part = module("peers").Part(job, "A job", lambda: GIVEN, names, lambda _: "ours", correct, ["off"])
    return {"job 5": part}


def test_a_run_is_kept_printed_shown_and_resumed(
    job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = module("peers")
    monkeypatch.setattr(peers, "parts", lambda *_: run_of(job, lambda _, found: {name: ["0"] for name in found}))
    monkeypatch.setattr(module("made_up_job"), "PEERS", {k: module("made_up_job").PEERS[k] for k in ("ours", "fails")})
    monkeypatch.setattr(peers.signal, "signal", lambda *_: None)
    out = tmp_path / "kept.json"
    with pytest.raises(SystemExit, match="nothing is kept"):
        peers.main(["--out", str(out), "--show"])
    peers.main(["--out", str(out)])
    first = capsys.readouterr().out
    assert "### A job (load " in first and "| medfloor (numpy " in first
    assert "a failing one: failed: ValueError: this peer cannot." in first
    kept = json.loads(out.read_text(encoding="utf8"))
    assert kept["parts"]["job 5"]["done"] and len(kept["parts"]["job 5"]["load"]) == 2
    for again in ("--show", "--resume"):
        peers.main(["--out", str(out), again])
        assert capsys.readouterr().out == first


def test_no_table_is_printed_where_medfloor_differs(
    job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = module("peers")
    monkeypatch.setattr(peers.signal, "signal", lambda *_: None)

    def refuse(*_: object) -> dict[str, list[str]]:
        raise peers.Differs("medfloor is not what numpy pays")

    monkeypatch.setattr(peers, "parts", lambda *_: run_of(job, refuse))
    with pytest.raises(SystemExit, match="not what numpy pays"):
        peers.main(["--out", str(tmp_path / "kept.json")])
    assert "|" not in capsys.readouterr().out
    assert json.loads((tmp_path / "kept.json").read_text(encoding="utf8"))["parts"] == {}


def test_a_fen_too_much_of_ours_is_refused() -> None:
    annual, peers = module("annual"), module("peers")
    given = annual.columns(1_000)
    exact = annual.Numpy().work(given)
    assert peers._to_the_fen(given, {"kernel": exact})["kernel"][0] == "0"
    with pytest.raises(peers.Differs):
        peers._to_the_fen(given, {"kernel": exact + np.eye(3, 1_000, dtype=np.int64)})
    with pytest.raises(peers.Differs):
        peers._same_payments({}, {"kernel": exact, "polars": exact + 1})
