"""Reforms without a browser: what a trial says is what settlement and simulation say, and what may not be done."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from office import Caller, OfficeAtWork

from medfloor.errors import ConflictError, NotFoundError, UsageError
from medfloor.policy.load import load_policy
from medfloor.policy.show import Entry, outline, show
from medfloor.service import reforms, trials
from medfloor.service.pages import bill_curve
from medfloor.service.pages.families import family_of
from medfloor.service.settings import Settings
from medfloor.settlement.settle import settle
from medfloor.simulation import Family, household
from medfloor.store.engine import Store

BEIJING = "cn/beijing@2024-01-01"
CAP = "tiers/critical_illness/parts/year/deductible/amount"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("small_sample")
FIRST = f"change:\n  {CAP}: 1000\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(jobs_folder=tmp_path / "jobs")


@pytest.fixture
def as_user(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> Callable[[str], tuple[OfficeAtWork, Caller]]:
    """Give a function that signs somebody of a role in as a browser."""

    def sign(role: str) -> tuple[OfficeAtWork, Caller]:
        office = open_office(sqlite_store)
        office.add_user(f"{role}_1", role)
        caller = office.signed_in(f"{role}_1")
        caller.headers |= {"accept": "text/html", "origin": "http://office.example"}
        caller.client.cookies.set("medfloor-language", "en")
        return office, caller

    return sign


def test_a_trial_says_what_settling_the_bill_says() -> None:
    family = Family(bill=200_000.0, in_scope=0.8, status=("dibao",))
    tried = trials.attempt(BEIJING, FIRST, family)
    assert tried.family is not None
    claims = pl.DataFrame(
        {
            "claim_id": ["c1"], "person_id": ["p1"], "care_type": ["inpatient"], "start_date": ["2024-06-01"],
            "end_date": ["2024-06-01"], "facility_level": ["3"], "total": [200_000], "off_catalogue": [40_000],
            "in_scope": [160_000],
        }
    )  # fmt: skip
    people = pl.DataFrame({"person_id": ["p1"], "birth_date": ["1979-01-01"]})
    spells = pl.DataFrame({"person_id": ["p1"], "group": ["dibao"], "from_date": ["2020-01-01"], "to_date": [None]})
    row = settle(claims, people, spells, BEIJING).settlements.row(0, named=True)
    before = {tier: old for tier, old, _ in tried.family.payers}
    assert {tier: round(float(row[f"pay_{tier}"]) * 100) for tier in before} == before
    assert tried.family.own_before == 20_000_000 - sum(before.values())
    assert tried.family.own_after < tried.family.own_before


def test_a_reform_that_changes_nothing_has_no_effect_and_one_that_does_has_winners() -> None:
    same = trials.attempt(BEIJING, "change: {}\n", Family())
    assert same.sample is not None and same.family is not None
    assert all(one.change == 0 for one in (*same.sample.protection, *same.sample.payers))
    assert (same.sample.everyone.better, same.sample.everyone.worse) == (0, 0)
    text = next(one.text for one in reforms.shipped() if one.key == "oop_cap")
    found = trials.attempt(BEIJING, text, Family()).sample
    assert found is not None and found.everyone.better > 0 and found.everyone.worse == 0
    payers = {one.name: one for one in found.payers}
    assert payers["all"].change == pytest.approx(-payers["own"].change)
    assert payers["oop_cap"].before == 0 and payers["oop_cap"].after == pytest.approx(payers["all"].change)


def test_a_law_that_lacks_a_number_says_so_and_a_foreign_reform_names_its_own() -> None:
    tried = trials.attempt("cn/national@2024-07-26", "change: {}\n", Family())
    assert tried.family is None and tried.family_error is not None
    assert tried.family_error.code == "policy_value_missing" and "/tmp" not in tried.family_error.message
    text = next(one.text for one in reforms.shipped() if one.key == "softer_cliff")
    with pytest.raises(trials.PolicyError, match=r"^reform\.yaml is written for cn/beijing"):
        trials.attempt("cn/jiangxi/nanchang@2025-01-01", text, Family())


@pytest.mark.heavy
def test_a_trial_on_the_whole_sample_takes_under_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "SAMPLE_PEOPLE", 10_000)
    trials._population.cache_clear()
    trials._world.cache_clear()
    trials.world_under(BEIJING)
    begun = time.perf_counter()
    assert trials.attempt(BEIJING, FIRST, Family()).sample is not None
    assert time.perf_counter() - begun < 2


def test_the_areas_of_a_curve_add_up_to_the_bill_and_cliffs_stand_where_they_are() -> None:
    address = "cn/neimenggu/ulanqab@2019-01-01"
    law = load_policy(address).versions[0]
    family, fields = family_of({"status": "registered_poor", "share": "100"}, law, law.from_)
    found = household(family, address, high=float(fields["high"]), points=trials.POINTS)
    figure = bill_curve.figure_of(found, {}, "zh")
    assert all(sum(row.paid) + row.own == row.bill for row in figure.rows)
    assert len(figure.cliffs) == len(found.cliffs)
    assert [one.at for one in figure.across] == sorted(one.at for one in figure.across)


def test_what_cannot_be_meant_in_a_form_is_as_usual() -> None:
    law = load_policy(BEIJING).versions[0]
    given = {"status": "<script>", "bill": "1e999", "share": "-1", "size": "0", "level": "9", "high": "7"}
    family, fields = family_of(given, law, law.from_)
    assert (family.status, family.bill, family.in_scope, family.size, fields["high"]) == ((), 50_000, 0.8, 3, "300000")
    assert family_of({"family": "dibao_cancer", "bill": "70,000"}, law, law.from_)[0].bill == 70_000


def test_the_outline_says_what_the_text_says_with_its_grounds() -> None:
    law = load_policy(BEIJING).versions[0]

    def every(entries: list[Entry]) -> Iterator[Entry]:
        for one in entries:
            yield one
            yield from every(one.entries)

    whole, told = show(law, "zh"), list(every(outline(law, "zh")))
    assert all(one.text in whole for one in told)
    quoted = [ground for one in told for ground in one.grounds if ground.quote]
    assert len(quoted) > 50 and all(str(ground.quote) in whole for ground in quoted)


def test_a_saved_reform_has_the_address_of_its_text(settings: Settings) -> None:
    kept = reforms.keep(settings, FIRST.replace("\n", "\r\n"), BEIJING, login="analyst1", now=NOW)
    again = reforms.keep(settings, FIRST, "cn/beijing@2026-01-01", login="other", now=NOW)
    assert kept == again == reforms.find(settings, reforms.key_of(FIRST))
    assert (kept.text, kept.saved_by, kept.over) == (FIRST, "analyst1", BEIJING)
    assert [one.key for one in reforms.saved(settings)] == [kept.key]
    for wrong in ("nothing", "0" * 16, "../../etc/passwd"):
        with pytest.raises(NotFoundError):
            reforms.find(settings, wrong)


def test_the_office_keeps_no_more_reforms_than_it_may(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reforms, "MOST", 1)
    reforms.keep(settings, FIRST, BEIJING, login="a", now=NOW)
    with pytest.raises(ConflictError):
        reforms.keep(settings, "change: {}", BEIJING, login="a", now=NOW)
    with pytest.raises(UsageError):
        reforms.keep(Settings(jobs_folder=settings.jobs_folder / "b"), "a: &x 1\nb: *x", BEIJING, login="a", now=NOW)
    assert not list((settings.jobs_folder / "b").rglob("*.yaml"))


def test_attacks_by_text_are_faults_and_only_who_runs_jobs_saves(
    as_user: Callable[[str], tuple[OfficeAtWork, Caller]],
) -> None:
    office, clerk = as_user("county_clerk")
    form = {"over": BEIJING, "text": FIRST}
    part = {"hx-request": "true"}
    for text in (
        "extends: /etc/passwd\n",
        "a: &x [1]\nb: [*x, *x]\n",
        "[" * 500,
        "a: [1\nb: 2\n",
        "",
        "change: 3\n",
        "x" * 140_000,
    ):
        answer = clerk.post("/policies/reforms/try", data=form | {"text": text}, headers=part)
        assert answer.status_code == 200 and 'role="alert"' in answer.text, text[:30]
        assert "/tmp/" not in answer.text and "root:" not in answer.text
    told = clerk.post("/policies/reforms/try", data=form | {"text": "change:\n  a: [1\nb: 2\n"}, headers=part).text
    assert re.search(r"line 3, column \d+", told)
    assert clerk.post("/policies/reforms/save", data=form).status_code == 403
    assert clerk.post("/policies/reforms/try", data=form | {"over": "../secret"}).status_code == 404
    clerk.headers.pop("x-csrf-token")
    assert clerk.post("/policies/reforms/try", data=form).status_code == 403
    assert not list(Path(office.settings.jobs_folder).glob("reforms/*"))


def test_pages_are_quick_and_work_without_scripts(as_user: Callable[[str], tuple[OfficeAtWork, Caller]]) -> None:
    _, analyst = as_user("analyst")
    paths = (
        "/policies", f"/policies/show?of={BEIJING}", f"/policies/compare?before=cn/beijing@2018-01-01&after={BEIJING}",
        f"/policies/reforms/new?over={BEIJING}", "/policies/reforms/oop_cap", f"/policies/cliffs?of={BEIJING}",
        "/policies/show?of=office", "/policies/show?of=us/rand-hie", "/policies/show?of=cn/chongqing",
        "/policies/compare", "/policies/show?of=cn/national@2024-07-26&status=dibao",
    )  # fmt: skip
    for path in paths:
        answer = analyst.get(path)
        assert answer.status_code == 200, (path, answer.text[:500])
    answer = analyst.post("/policies/reforms/try", data={"over": BEIJING, "text": FIRST, "family": "dibao_cancer"})
    assert answer.status_code == 200 and "200,000.00" in answer.text and "4 findings that the policy had" in answer.text
    saved = analyst.post("/policies/reforms/save", data={"over": BEIJING, "text": FIRST})
    assert saved.status_code == 303 and saved.headers["location"].startswith(
        f"/policies/reforms/{reforms.key_of(FIRST)}"
    )
    again = analyst.get(f"/policies/reforms/{reforms.key_of(FIRST)}/file")
    assert again.text == FIRST and again.headers["content-disposition"].startswith("attachment")
    wrong = analyst.post("/policies/reforms/save", data={"over": BEIJING, "text": "change: {nowhere: 1}\n"})
    assert wrong.status_code == 422 and "nowhere" in wrong.text
