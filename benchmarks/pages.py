"""Time every page of an office with 50,000 people and 500,000 claims in the store: what the server takes for each.

The office is made by `large_office.py` in about a minute of processor time (`--keep` keeps it for the next run), and
can be carried to PostgreSQL (`--postgresql`). Then every address that a browser can ask for (a test compares the list
with the service's routes) is asked for five times by those who work there, in Chinese and in English, in this process;
the first answer, for which laws and templates are read, is told apart. Processor time (with PostgreSQL's) stands beside
that of the clock, which says little while other work runs. Exit code 1 if a page takes more than 300 ms.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# `office` is that of the tests, and not the benchmark beside this one.
sys.path[:0] = [*(str(HERE.parent / "tests" / name) for name in ("pages", "service", "store")), str(HERE)]

LIMIT_MS = 300.0
TIMES = 5
LANGS = ("zh", "en")


def main() -> int:
    """Print a table of pages, slowest first; give 1 if one is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--claims", type=int, default=500_000)
    parser.add_argument("--keep", type=Path, help="a folder: the filled store is kept there, and used if it is there")
    parser.add_argument("--only", default="", help="only pages whose address holds this")
    parser.add_argument("--postgresql", action="store_true", help="carry the store to a PostgreSQL and measure that")
    asked = parser.parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="medfloor-pages-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if not (folder / "office.db").exists():
            from large_office import fill

            fill(folder, asked.people, asked.claims)
        with _store(folder, postgresql=asked.postgresql) as (store, database):
            return measure(store, folder, database, only=asked.only)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _store(folder: Path, *, postgresql: bool) -> Iterator[tuple[Any, int | None]]:
    """Open the store; gives it and the id of PostgreSQL's first process."""
    from medfloor.store.engine import open_store
    from medfloor.store.migrate import upgrade

    store = open_store(folder / "office.db")
    upgrade(store)
    if not postgresql:
        yield store, None
        store.close()
        return
    from stores import carry, start_server

    store.close()
    data = folder / "postgresql"
    fresh = not data.exists()
    data.mkdir(mode=0o755, exist_ok=True)
    server = start_server(data / "data")
    try:
        address = str(server.get_uri())
        store = open_store(address)
        upgrade(store)
        if fresh:
            began = time.monotonic()
            carry(folder / "office.db", address)
            print(f"{time.monotonic() - began:7.1f} s  carried to PostgreSQL", flush=True)
        yield store, int((data / "data" / "postmaster.pid").read_text().split()[0])
        store.close()
    finally:
        server.stop()


def measure(store: Any, folder: Path, database: int | None, *, only: str = "") -> int:
    """Ask for each page as its people do; print what the server took."""
    from large_office import COPIES
    from office import running_office
    from screens import MISSING, every_page
    from timing import machine, table

    from medfloor.service.demonstration import TODAY, at
    from medfloor.service.settings import Settings
    from medfloor.store.keys import keyring_from
    from medfloor.store.office import decide_setting
    from medfloor.store.roles import Actor

    said = {"jobs": False, "jobs_folder": folder / "jobs", "strangers_a_second": 10_000, "requests_a_second": 10_000,
            "logins_a_minute": 1_000}  # fmt: skip
    office = running_office(store, keyring_from({}, file=folder / "keys"), Settings.model_validate(said), policy=None)
    office.clock.now = at(TODAY)
    with store.writing() as connection:
        decide_setting(connection, "place", "990181", actor=Actor("admin", "administrator"), now=at(TODAY))
    known = _known(store) | _kept(office, folder)
    office.clock.forward(minutes=5)  # from when nothing was posted
    callers, found, slow = {"": office.stranger()}, [], 0
    for login, path in every_page():
        if only not in path:
            continue
        if login not in callers:
            callers[login] = _signed_in(office, login)
        for lang in LANGS:
            one = _ask(callers[login], path.replace("arrears/1", f"arrears/{COPIES}").format_map(known), lang, database)
            slow += one[1] > LIMIT_MS or one[3] > LIMIT_MS or (one[-1] not in (200, 303) and path not in MISSING)
            found.append((login, path, lang, *one))
            print(f"{login:8} {path:60} {lang} {one[1]:7.0f} ms of processors {one[3]:7.0f} ms {one[-1]}", flush=True)
    office.stop()
    heads = ["login", "page", "lang", "bytes", "first ms", "median ms", "best ms", "of processors ms", "status"]
    rows = [
        [login, path, lang, f"{size:,}", f"{first:.0f}", f"{median:.0f}", f"{best:.0f}", f"{worked:.0f}", str(status)]
        for login, path, lang, size, worked, median, best, first, status in sorted(found, key=lambda row: -row[4])
    ]
    table(f"Pages of an office: what the server takes ({store.kind}, {len(rows)} measured)", [heads, *rows])
    print(f"\n{date.today()}, {machine()}, load {os.getloadavg()[0]:.1f}; too slow: {slow}")
    return 1 if slow else 0


def _ask(caller: Any, path: str, lang: str, database: int | None) -> tuple[int, float, float, float, float, int]:
    """Ask some times: bytes, median of processors, median, best and first of the clock in ms, status."""
    from screens import headers_of

    from medfloor.service.pages.frame import LANGUAGE_COOKIE

    took, worked = [], []
    caller.client.cookies.set(LANGUAGE_COOKIE, lang)
    for _ in range(TIMES):
        begun, busy = time.perf_counter(), _busy(database)
        answer = caller.get(path, headers=headers_of(path))
        took.append(1000 * (time.perf_counter() - begun))
        worked.append(1000 * (_busy(database) - busy))
    return (
        len(answer.content), statistics.median(worked), statistics.median(took), min(took), took[0], answer.status_code
    )  # fmt: skip


def _busy(database: int | None) -> float:
    """Give the processor seconds of this process and of PostgreSQL's so far."""
    here = time.process_time()
    if database is None:
        return here
    import psutil

    for one in psutil.Process(database).children(recursive=True):
        try:
            times = one.cpu_times()
            here += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return here


def _signed_in(office: Any, login: str) -> Any:
    from medfloor.service.demonstration import PASSWORD

    caller = office.stranger()
    answer = caller.post("/api/v1/session", json={"login": login, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    caller.headers["x-csrf-token"] = answer.json()["csrf_token"]
    return caller


def _known(store: Any) -> dict[str, str]:
    """Find the person with most claims, their household, a claim of theirs, a published case, a screening."""
    import sqlalchemy as sa

    from medfloor.service.pages.frame import static
    from medfloor.store.schema import claim, person_fact, screening, watch_case

    with store.reading() as connection:
        person = connection.execute(
            sa.select(claim.c.person_id)
            .group_by(claim.c.person_id)
            .order_by(sa.func.count().desc(), claim.c.person_id)
            .limit(1)
        ).scalar_one()
        one = connection.execute(sa.select(claim.c.claim_id).where(claim.c.person_id == person).limit(1)).scalar_one()
        home = connection.execute(
            sa.select(person_fact.c.household_id).where(person_fact.c.person_id == person)
        ).scalar_one()
        case = connection.execute(
            sa.select(watch_case.c.case_id).where(watch_case.c.state == "published").order_by("case_id").limit(1)
        ).scalar_one()
        run = connection.execute(sa.select(sa.func.max(screening.c.id))).scalar_one()
    named = {"person": person, "claim": one, "household": home, "case": case, "screening": str(run)}
    return named | {"static": static("pages.css")}


def _kept(office: Any, folder: Path) -> dict[str, str]:
    """Find, or make once, what people of the office asked for: a batch, a list sent out, and jobs with results."""
    import sqlalchemy as sa

    from medfloor import policy
    from medfloor.service import policy_files
    from medfloor.store.schema import exchange, import_run, job

    with office.store.reading() as connection:
        sent = connection.execute(sa.select(sa.func.max(exchange.c.id))).scalar()
    if sent is None:
        _send(office)
        _work(office)
    # Any policy does that is a plain text.
    text = (Path(policy.__file__).parent / "library" / "cn" / "shandong" / "2015-01-01.yaml").read_text("utf-8")
    own = policy_files.keep(folder / "jobs", text, login="analyst", now=office.clock.now)
    with office.store.reading() as connection:
        sent = connection.execute(sa.select(sa.func.max(exchange.c.id))).scalar_one()
        batch = connection.execute(
            sa.select(sa.func.max(import_run.c.id)).where(import_run.c.kind == "claims")
        ).scalar_one()
        jobs = {
            kind: str(number)
            for kind, number in connection.execute(sa.select(job.c.kind, sa.func.max(job.c.id)).group_by(job.c.kind))
        }
    return {
        "exchange": str(sent), "batch": str(batch), "measures": jobs["measure"], "laboratory": jobs["simulate"],
        "fund": jobs["supervise"], "project": jobs["project"], "own": own.removeprefix("own/"),
    }  # fmt: skip


def _send(office: Any) -> None:
    """Send a list of all cases out, and settle a file of 600 claims of which 100 are refused."""
    import sqlalchemy as sa

    from medfloor.store.schema import person_fact

    officer, clerk = _signed_in(office, "officer"), _signed_in(office, "clerk")
    token = {"csrf_token": officer.headers["x-csrf-token"]}
    answer = officer.post("/watch/exchange", data={**token, "purpose": "civil_affairs/verify_hardship"})
    assert answer.status_code == 303, answer.text
    with office.store.reading() as connection:
        people = connection.execute(sa.select(person_fact.c.person_id).distinct().limit(500)).scalars().all()
    lines = [
        f"b{at},{person},inpatient,2026-06-01,2026-06-04,2,1000.00,100.00,900.00"
        for at, person in enumerate([*people, *("nobody",) * 100])
    ]
    heads = "claim_id,person_id,care_type,start_date,end_date,facility_level,total,off_catalogue,in_scope"
    file = ("claims.csv", "\n".join([heads, *lines]).encode())
    token = {"csrf_token": clerk.headers["x-csrf-token"]}
    answer = clerk.post("/settle/batch", data=token, files={"file": file})
    assert answer.status_code == 303, answer.text


def _work(office: Any) -> None:
    """Put 300 jobs into the store as if they had been done; four of them have results, one of these 5,000 leads."""
    import polars as pl
    from test_results import laid_out

    from medfloor.service import jobs
    from medfloor.service.results import LEADS
    from medfloor.store.roles import Actor
    from medfloor.store.schema import job

    people, newest = {"analyst": ("simulate", "project", "measure"), "head": ("supervise",)}, dict[str, int]()
    for login, kinds in people.items():
        actor = Actor(login, {"analyst": "analyst", "head": "fund_supervisor"}[login], "990181")
        with office.store.writing() as connection:
            for kind in kinds * 75:
                said = {"measure": "catastrophic"} if kind == "measure" else {"kind": kind, "office_year": 2026}
                newest[kind] = jobs.ask(connection, kind, said, actor=actor, now=office.clock.now)
            connection.execute(job.update().values(state="done", progress=100))
    for number in newest.values():
        laid_out(office.running.jobs.folder_of(number))
    known, count = _known(office.store), 5_000
    leads = pl.DataFrame(
        {
            "rank": range(1, count + 1), "rule": ["duplicate"] * count, "claim_id": [known["claim"]] * count,
            "others": [None] * count, "item": [None] * count, "person_id": [known["person"]] * count,
            "provider_id": ["H21"] * count, "day": [date(2026, 3, 1)] * count, "value": [2.0] * count,
            "limit": [1.0] * count, "money_fen": [80_000] * count,
            **{f"{name}@{lang}": [name] * count for name in ("title", "reason") for lang in LANGS},
        },
        schema_overrides={"others": pl.String, "item": pl.String},
    )  # fmt: skip
    leads.write_parquet(office.running.jobs.folder_of(newest["supervise"]) / "shown" / LEADS)


if __name__ == "__main__":
    sys.exit(main())
