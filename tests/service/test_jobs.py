"""Work in the background: asked, followed, cancelled, asked again, and not lost with a server that died."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from office import Caller, OfficeAtWork

from medfloor.service import jobs
from medfloor.store import schema
from medfloor.store.engine import Store
from medfloor.store.roles import Actor

ANALYST = Actor("analyst_1", "analyst", "150981")
TABLE = "household_id,size,income,consumption,food,oop\n" + "".join(
    f"h{n},{1 + n % 5},{9000 + 211 * n},{8000 + 137 * n},{3000 + 17 * n},{(n % 7) * 900}\n" for n in range(60)
)
MEASURE = {"kind": "measure", "measure": "catastrophic", "table": "survey.csv", "language": "en"}


@pytest.fixture
def job_office(sqlite_store: Store, open_office: Callable[..., OfficeAtWork], tmp_path: Path) -> OfficeAtWork:
    data = tmp_path / "data"
    data.mkdir()
    (data / "survey.csv").write_text(TABLE)
    (tmp_path / "medfloor.keys").write_text("not for jobs")
    office = open_office(sqlite_store, jobs=True, data_folder=data)
    office.running.jobs.beat = 0.1
    return office


def until(caller: Caller, number: int, *states: str) -> dict[str, object]:
    for _ in range(300):
        found: dict[str, object] = caller.get(f"/api/v1/jobs/{number}").json()
        if found["state"] in states:
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_a_measure_is_worked_out_in_the_background_and_its_files_fetched(job_office: OfficeAtWork) -> None:
    analyst = job_office.as_role("analyst")
    asked = analyst.post("/api/v1/jobs", json=MEASURE)
    assert asked.status_code == 202
    number = asked.json()["id"]
    done = until(analyst, number, "done", "failed")
    assert (done["state"], done["progress"]) == ("done", 100), done
    assert "result.csv" in done["files"]  # type: ignore[operator]
    file = analyst.get(f"/api/v1/jobs/{number}/files/result.json")
    assert file.status_code == 200 and "attachment" in file.headers["content-disposition"]
    assert json.loads(file.text)
    assert analyst.get(f"/api/v1/jobs/{number}/files/other.csv").json()["code"] == "no_file"
    assert [one["id"] for one in analyst.get("/api/v1/jobs").json()["jobs"]] == [number]


def test_a_job_reads_nothing_outside_of_the_data_folder(job_office: OfficeAtWork) -> None:
    analyst = job_office.as_role("analyst")
    for name in ("../medfloor.keys", "/etc/passwd", "..", ".hidden", "a/b", "survey.csv/.."):
        assert analyst.post("/api/v1/jobs", json={**MEASURE, "table": name}).status_code == 422
    absent = analyst.post("/api/v1/jobs", json={**MEASURE, "table": "other.csv"}).json()["id"]
    assert until(analyst, absent, "failed")["message"] == "no_data"


@pytest.mark.parametrize("given", [{"by": ["household_id"]}, {"columns": {"who": "household_id"}, "by": ["who"]}])
def test_a_table_is_not_told_apart_by_single_people(job_office: OfficeAtWork, given: dict[str, object]) -> None:
    analyst = job_office.as_role("analyst")
    number = analyst.post("/api/v1/jobs", json={**MEASURE, **given}).json()["id"]
    failed = until(analyst, number, "failed", "done")
    assert (failed["message"], failed["files"]) == ("small_groups", [])


def test_a_reform_of_a_job_hides_no_bomb(job_office: OfficeAtWork) -> None:
    analyst = job_office.as_role("analyst")
    bomb = "a: &a [1, 1]\nb: &b [*a, *a]\nreform: {c: [*b, *b]}\n"
    number = analyst.post("/api/v1/jobs", json={"kind": "simulate", "people": 1000, "reforms": [bomb]}).json()["id"]
    assert until(analyst, number, "failed", "done")["message"] == "policy_text"


def test_a_job_that_cannot_be_done_fails_with_a_code_and_may_be_asked_again(job_office: OfficeAtWork) -> None:
    analyst = job_office.as_role("analyst")
    number = analyst.post("/api/v1/jobs", json={**MEASURE, "columns": {"oop": "nowhere"}}).json()["id"]
    failed = until(analyst, number, "failed")
    assert isinstance(failed["message"], str) and failed["message"].islower() and failed["files"] == []
    assert analyst.post(f"/api/v1/jobs/{number}/cancel").json()["code"] == "job_over"
    again = analyst.post(f"/api/v1/jobs/{number}/retry").json()
    assert again["state"] == "waiting" and again["message"] is None
    until(analyst, number, "failed")


def test_a_simulation_is_cancelled_and_its_process_ends(job_office: OfficeAtWork) -> None:
    analyst = job_office.as_role("analyst")
    body = {"kind": "simulate", "people": 50_000, "reforms": ["reform: {}"], "draws": 50}
    number = analyst.post("/api/v1/jobs", json=body).json()["id"]
    until(analyst, number, "running")
    assert analyst.post(f"/api/v1/jobs/{number}/cancel").json()["state"] == "cancelled"
    next_one = analyst.post("/api/v1/jobs", json=MEASURE).json()["id"]
    assert until(analyst, next_one, "done", "failed")["state"] == "done"
    assert until(analyst, number, "cancelled")["files"] == []


def test_a_running_job_of_a_dead_server_becomes_failed_and_may_be_asked_again(
    store: Store, open_office: Callable[..., OfficeAtWork]
) -> None:
    office = open_office(store)
    analyst = office.as_role("analyst")
    now = office.clock.now
    with store.writing() as connection:
        number = jobs.ask(connection, "measure", {}, actor=ANALYST, now=now)
        connection.execute(
            schema.job.update().values(state="running", owner="dead:1", seen_at=now, started_at=now, progress=40)
        )
        assert office.running.jobs._take(connection) is None
    office.clock.forward(seconds=61)
    with store.writing() as connection:
        assert office.running.jobs._take(connection) is None
    found = analyst.get(f"/api/v1/jobs/{number}").json()
    assert (found["state"], found["message"]) == ("failed", "server_gone")
    assert analyst.post(f"/api/v1/jobs/{number}/retry").json()["state"] == "waiting"


def test_two_servers_do_not_take_the_same_job(store: Store, open_office: Callable[..., OfficeAtWork]) -> None:
    office = open_office(store)
    other = jobs.Jobs(
        store, office.settings, clock=office.clock, log=office.running.log, metrics=office.running.metrics
    )
    with store.writing() as connection:
        number = jobs.ask(connection, "measure", {}, actor=ANALYST, now=office.clock.now)
    first = store.attempt(office.running.jobs._take)
    assert first is not None and first[0] == number
    assert store.attempt(other._take) is None
    office.clock.now += timedelta(seconds=30)
    assert store.attempt(lambda connection: office.running.jobs._still_mine(connection, number=number, progress=20))
    assert not store.attempt(lambda connection: other._still_mine(connection, number=number, progress=30))


def test_only_so_many_jobs_wait(small_office: OfficeAtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfloor.service.jobs.WAITING_MOST", 2)
    small_office.app.state.running.settings = small_office.settings.model_copy(update={"jobs": True})
    analyst = small_office.as_role("analyst")
    codes = [analyst.post("/api/v1/jobs", json=MEASURE).status_code for _ in range(3)]
    assert codes == [202, 202, 409]
    listed = analyst.get("/api/v1/jobs", params={"limit": 1}).json()
    older = analyst.get("/api/v1/jobs", params={"cursor": listed["next"]}).json()
    assert ([one["id"] for one in listed["jobs"]], [one["id"] for one in older["jobs"]]) == ([2], [1])
    assert analyst.get("/api/v1/jobs/3").json()["code"] == "no_job"


def test_a_service_that_runs_no_jobs_says_so(small_office: OfficeAtWork) -> None:
    answer = small_office.as_role("analyst").post("/api/v1/jobs", json=MEASURE)
    assert (answer.status_code, answer.json()["code"]) == (503, "jobs_off")
