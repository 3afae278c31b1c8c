"""Policies of the office's own: brought as text or chosen as a file, they are read, drawn, reformed and tried."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from office import Caller, OfficeAtWork

from medfloor.errors import ConflictError, InputError, NotFoundError
from medfloor.policy.load import load_policy
from medfloor.service import jobs, laboratory, policy_files, reforms
from medfloor.service.pages import policies as pages
from medfloor.service.problems import title_of
from medfloor.service.work import Task
from medfloor.simulation import Family, household
from medfloor.store.engine import Store
from medfloor.store.schema import job

RATE = "tiers/basic/parts/stay/brackets/only/rate"
OWN = (
    "extends: synthetic/cn-2025\nid: cn/our-county\nname: {zh: 我县, en: Our <b>county}\nfrom: 2026-01-01\n"
    f"change:\n  {RATE}: 71\n"
)
REFORM = f"change:\n  {RATE}: 91\n"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("small_sample")


@pytest.fixture
def as_user(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> Callable[..., tuple[OfficeAtWork, Caller]]:
    """Give a function that signs somebody of a role in as a browser, at an office with a policy."""

    def sign(role: str, policy: str = "cn/beijing", **given: Any) -> tuple[OfficeAtWork, Caller]:
        office = open_office(sqlite_store, policy=policy, **given)
        office.add_user(f"{role}_1", role)
        caller = office.signed_in(f"{role}_1")
        caller.headers |= {"accept": "text/html", "origin": "http://office.example"}
        caller.client.cookies.set("medfloor-language", "en")
        office.app.state.running.settings = office.settings.model_copy(update={"jobs": True})
        return office, caller

    return sign


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a policy file that extends another file beside it, as offices have them on their disk."""
    folder = tmp_path_factory.mktemp("laws")
    (folder / "base.yaml").write_text(OWN, encoding="utf-8")
    file = folder / "law.yaml"
    file.write_text(f"extends: base.yaml\nid: cn/ours\nfrom: 2026-02-01\nchange:\n  {RATE}: 72\n", encoding="utf-8")
    return file


def test_a_file_takes_a_day_as_the_library_does(tmp_path: Path) -> None:
    file = tmp_path / "law.yaml"
    file.write_text("extends: cn/beijing\nname: {zh: 甲, en: A}\n", encoding="utf-8")
    found = load_policy(f"{file}@2023-06-01")
    assert found.pinned and [one.from_.isoformat() for one in found.versions] == ["2023-01-01"]
    assert len(load_policy(str(file)).versions) == 4 and not load_policy(str(file)).pinned
    for wrong in (f"{file}@2001-01-01", f"{tmp_path / 'none.yaml'}@2023-01-01"):
        with pytest.raises(Exception, match=r"not in force|no policy file"):
            load_policy(wrong)


def test_what_is_kept_is_the_law_that_settles(tmp_path: Path, chosen: Path) -> None:
    law = load_policy(str(chosen)).versions[-1]
    address = policy_files.snapshot(tmp_path, law)
    again = policy_files.load_own(tmp_path, address).versions[-1]
    assert again.model_dump(exclude={"extends"}) == law.model_dump(exclude={"extends"})
    assert policy_files.snapshot(tmp_path, law) == address
    family = Family(bill=80_000.0, day=law.from_)
    mine = household(family, policy_files.source_of(tmp_path, address), points=5)
    assert mine.rows.equals(household(family, str(chosen), points=5).rows)
    # A snapshot is no policy that somebody brought.
    assert not policy_files.kept(tmp_path)


def test_the_office_keeps_no_more_policies_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = policy_files.keep(tmp_path, OWN.replace("\n", "\r\n"), login="a", now=NOW)
    assert policy_files.keep(tmp_path, OWN, login="b", now=NOW) == first
    assert [(one.address, one.saved_by) for one in policy_files.kept(tmp_path)] == [(first, "a")]
    monkeypatch.setattr(policy_files, "MOST", 1)
    with pytest.raises(ConflictError):
        policy_files.keep(tmp_path, OWN.replace("71", "73"), login="a", now=NOW)
    for wrong in ("own/" + "0" * 16, "own/../../x", "own/"):
        with pytest.raises(NotFoundError):
            policy_files.source_of(tmp_path, wrong)


def test_a_policy_that_the_office_chose_as_a_file_works_like_the_librarys(
    as_user: Callable[..., tuple[OfficeAtWork, Caller]], chosen: Path
) -> None:
    office, analyst = as_user("analyst", str(chosen))
    shown = analyst.get("/policies/show?of=office").text
    assert "Our &lt;b&gt;county" in shown and "72 %" in shown and 'class="own-line"' in shown
    address = re.findall(r"own/[0-9a-f]{16}", shown)[0]
    assert str(chosen.parent) not in shown and str(office.settings.jobs_folder) not in shown
    compared = analyst.get(f"/policies/compare?before=synthetic/cn-2025@2025-01-01&after={address}").text
    assert "other-line" in compared and re.search(r"<caption>3 changes;|<caption>[4-9] changes;", compared)
    assert f'<option value="{address}"' in analyst.get("/policies/reforms/new?over=office").text
    tried = analyst.post("/policies/reforms/try", data={"over": address, "text": REFORM}).text
    assert "On a made-up county" in tried and 'role="alert"' not in tried
    wrong = analyst.post("/policies/reforms/try", data={"over": address, "text": "tiers/nix: 1\n"}).text
    assert 'role="alert"' in wrong
    assert str(office.settings.jobs_folder) not in wrong
    foreign = next(one.text for one in reforms.shipped() if one.key == "softer_cliff")
    told = analyst.post("/policies/reforms/try", data={"over": address, "text": foreign}).text
    assert str(office.settings.jobs_folder) not in told
    saved = analyst.post("/policies/reforms/save", data={"over": address, "text": REFORM})
    assert address in analyst.get(saved.headers["location"]).text
    # A job over it names what settles now, and not what the office may choose later.
    sent = {"kind": "simulate", "baseline": "office", "people": "1000", "pasted": REFORM}
    asked = analyst.post("/laboratory", data=sent)
    with office.store.reading() as connection:
        row = jobs.find(connection, int(asked.headers["location"].rpartition("/")[2]))
    assert f'"baseline": "{address}"' in row["parameters"]
    task = Task({}, office.running.jobs.folder_of(1), None, None, lambda *_: None)
    assert load_policy(task.law(address)).versions[-1].id == "cn/ours"


def test_a_policy_is_brought_as_a_file_or_as_text(as_user: Callable[..., tuple[OfficeAtWork, Caller]]) -> None:
    office, analyst = as_user("analyst")
    brought = analyst.post("/policies/own", data={"text": ""}, files={"file": ("law.yaml", OWN.encode(), "text/yaml")})
    assert brought.status_code == 303, brought.text[:300]
    address = re.findall(r"own/[0-9a-f]{16}", brought.headers["location"])[0]
    assert "Our &lt;b&gt;county" in analyst.get("/policies").text
    assert "71 %" in analyst.get(brought.headers["location"]).text
    assert analyst.get(f"/policies/{address}/file").text == OWN
    assert "notes" in analyst.get(f"/policies/{address}/check").text
    for text, told in (
        ("", "empty or too long"), (OWN.replace("71", "x"), "is not a number"), ("extends: /etc/passwd\n", "extends"),
        (OWN.replace("synthetic/cn-2025", "own/" + "0" * 16), "extends"), ("a: [1\nb: 2", "line 2"),
        ("extends: cn/beijing\nname: {zh: 甲, en: A}\n", "several versions"), ("x" * 600_000, "empty or too long"),
    ):  # fmt: skip
        answer = analyst.post("/policies/own", data={"text": text})
        assert answer.status_code == 422 and 'role="alert"' in answer.text and told in answer.text, (text[:40], told)
        assert "/tmp" not in answer.text and "root:" not in answer.text and (text[:40] in answer.text or "<" in text)
    latin = analyst.post("/policies/own", data={}, files={"file": ("law.yaml", b"\xff\xfe", "text/yaml")})
    assert "UTF-8" in latin.text and latin.status_code == 422
    analyst.headers.pop("x-csrf-token")
    assert analyst.post("/policies/own", data={"text": OWN}).status_code == 403
    assert len(list((office.settings.jobs_folder / "policies").glob("*.json"))) == 1


def test_who_runs_no_jobs_brings_no_policy(as_user: Callable[..., tuple[OfficeAtWork, Caller]]) -> None:
    _, clerk = as_user("county_clerk")
    assert clerk.post("/policies/own", data={"text": OWN}).status_code == 403
    assert clerk.get("/policies/own").status_code == 403 and "/policies/own" not in clerk.get("/policies").text


def test_a_form_of_the_laboratory_says_what_is_wrong_and_loses_nothing(
    as_user: Callable[..., tuple[OfficeAtWork, Caller]],
) -> None:
    office, analyst = as_user("analyst")
    good = {"kind": "simulate", "people": "1000", "baseline": "cn/beijing@2024-01-01", "reforms": "oop_cap"}
    for changed, told in (
        ({"reforms": ""}, "Choose a reform"), ({"reforms": "0" * 16}, "no longer there"),
        ({"pasted": "change:\n  nowhere: 1\n"}, "line 2"), ({"baseline": "cn/nowhere"}, "no such policy"),
        ({"baseline": "../x"}, "not written as"), ({"population": "office", "year": ""}, "sim-year-error"),
        ({"baseline": "own/" + "0" * 16}, "no such policy"), ({"reforms": "softer_cliff",
         "baseline": "cn/jiangxi/nanchang@2025-01-01"}, "cannot be laid over"),
    ):  # fmt: skip
        sent = {name: value for name, value in (good | changed).items() if value or name != "reforms"}
        answer = analyst.post("/laboratory", data=sent)
        assert answer.status_code == 422 and told in answer.text, (changed, told)
        assert "^" not in re.sub(r"<textarea.*?</textarea>", "", answer.text, flags=re.S)
    searched = analyst.post("/laboratory", data={"kind": "optimise", "looks": "1", "vary": "# my own levers"}).text
    assert "# my own levers" in searched and "opt-looks-error" in searched and "sim-people-error" not in searched
    with office.store.reading() as connection:
        assert not jobs.newest(connection)


def test_a_failure_is_said_in_words(as_user: Callable[..., tuple[OfficeAtWork, Caller]]) -> None:
    office, analyst = as_user("analyst")
    sent = {"kind": "simulate", "people": "1000", "baseline": "synthetic/cn-2025", "reforms": "oop_cap"}
    where = analyst.post("/laboratory", data=sent).headers["location"]
    vague = {title_of("nothing_of_this_name", status, "en") for status in (422, 500)}
    for code in ("server_stopped", "server_gone", "worker_died", "no_consumption", "no_claims_of_year"):
        with office.store.writing() as connection:
            connection.execute(job.update().values(state="failed", message=code))
        for lang in ("zh", "en"):
            assert title_of(code, 422, lang) not in vague
        assert title_of(code, 422, "en") in html.unescape(analyst.get(where).text)
    with office.store.writing() as connection:
        connection.execute(job.update().values(state="failed", message="bug_inside:KeyError"))
    assert title_of("bug_inside", 500, "en") in html.unescape(analyst.get(where).text)


def test_a_year_without_consumption_says_so(
    monkeypatch: pytest.MonkeyPatch, sqlite_store: Store, tmp_path: Path
) -> None:
    import polars as pl

    from medfloor.store import office_year

    nothing = pl.DataFrame({"household_id": ["h1"], "size": [1], "consumption": [None]})
    found = office_year.OfficeYear(pl.DataFrame(), pl.DataFrame(), nothing, pl.DataFrame())
    monkeypatch.setattr(office_year, "office_year", lambda *_: found)
    task = Task({"office_year": 2026}, tmp_path, None, "sqlite:///:memory:", lambda *_: None)
    with pytest.raises(InputError) as caught:
        laboratory.population_for(task)
    assert caught.value.code == "no_consumption"


def test_nobody_waits_for_cliffs(
    as_user: Callable[..., tuple[OfficeAtWork, Caller]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, analyst = as_user("analyst")
    pages._search.cache_clear()
    monkeypatch.setattr(pages, "SOON", 0.0)
    first = analyst.get("/policies/cliffs?of=us/rand-hie").text
    assert "Looking for cliffs" in first and "No cliff" not in first
    ends = time.monotonic() + 30
    while "Looking for cliffs" in (later := analyst.get("/policies/cliffs?of=us/rand-hie").text):
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert "hx-get" not in later.partition("<main")[2]


def test_groups_of_few_people_are_in_no_result() -> None:
    import polars as pl

    @dataclass(frozen=True)
    class Rows:
        rows: pl.DataFrame

    @dataclass(frozen=True)
    class Found:
        protection: Rows
        payers: Rows
        groups: Rows
        use: Rows
        with_premiums: Rows | None

    some = Rows(pl.DataFrame({"group": [None, "a", "b"], "n": [100, 9, 10]}))
    kept: Any = laboratory._without_few(Found(some, some, some, some, some), 10)  # type: ignore[arg-type]
    for name in ("protection", "payers", "groups", "use", "with_premiums"):
        assert getattr(kept, name).rows["group"].to_list() == [None, "b"], name
