"""Settle on a real cluster, a master and two workers on loopback: every file is the one of a local run.

One test runs all the checks, one behind the other, so that one cluster and one session serve them all, however many
processes the tests run in. It needs pyspark and Java, and says so where they are missing.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import clusters
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from measures_on_spark import CHECKS as MEASURES
from polars.testing import assert_frame_equal
from screening_on_spark import CHECKS as SCREENING
from test_chunks import OUTPUTS, files_in, flawed_worlds
from worlds import a_claim, claims_frame, one_tier, people_frame, percent, policy_set, spells_frame, yuan

from medfloor.errors import InputError, MissingValueError
from medfloor.policy.load import load_policy
from medfloor.settlement.chunks import Files, Tally, settle_files
from medfloor.settlement.spark import settle_on_spark

MUST = os.environ.get("MEDFLOOR_TEST_SPARK") == "must"
"""Whether a missing cluster is an error: `.ci/run` says so, which installs what is needed."""

pytestmark = pytest.mark.skipif(not MUST and clusters.missing() is not None, reason=str(clusters.missing()))

YEARLY = policy_set(
    one_tier(
        {"deductible": {"per": "year", "amount": [yuan(100_000)]}, "per": "year", "brackets": [{"rate": [percent(50)]}]}
    )
)
TINY = {"rows_a_task": 5, "piece": 4}
"""Tasks and pieces of a few rows; the session's batches have three."""


@contextmanager
def session_on(address: str) -> Iterator[None]:
    """Hold one session open on the cluster, which `settle_on_spark` finds."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(address).appName("tests")
    for key, value in {
        "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": "512m", "spark.log.level": "OFF", "spark.ui.showConsoleProgress": "false",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1", "spark.sql.codegen.wholeStage": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "3", "spark.sql.shuffle.partitions": "2",
    }.items():  # fmt: skip
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    try:
        yield
    finally:
        session.stop()
        gateway = SparkContext._gateway
        if gateway is not None:  # the JVM of this process goes too
            gateway.shutdown()
            gateway.proc.stdin.close()
            gateway.proc.wait(20)
            SparkContext._gateway = SparkContext._jvm = None


@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cluster_of_two_workers_gives_what_one_machine_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    # Short-lived Java: compiled quickly rather than well.
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--driver-java-options -XX:TieredStopAtLevel=1 pyspark-shell")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    assert clusters.missing() is None, clusters.missing()
    failed: list[str] = []
    took: list[str] = []
    wanted = os.environ.get("MEDFLOOR_SPARK_CHECKS", "")
    with clusters.cluster(tmp_path) as running, session_on(running.address):
        for check in CHECKS:
            if not re.search(wanted, check.__name__):
                continue
            folder = Path(mkdtemp(dir=tmp_path))
            begun = time.monotonic()
            try:
                check(folder, running)
            except Exception as error:  # the others are still worth knowing
                failed.append(f"{check.__name__}: {type(error).__name__}: {str(error)[:3000]}")
                if wanted:
                    raise
            took.append(f"{time.monotonic() - begun:5.1f} s {check.__name__}")
    print("\n".join(took))
    assert not failed, "\n\n".join(failed)


def settle_both_ways(files: Files, policy: Any, columns: Any = "ours", **sizes: int) -> tuple[Tally, Tally]:
    """Settle here and on the cluster, and hold every file that comes out against the other."""
    there = replace(
        files, **{name: path.replace("whole-", "spark-") for name in OUTPUTS if (path := getattr(files, name))}
    )
    one = settle_files(files, policy, columns=columns)
    other = settle_on_spark(there, policy, columns=columns, **(sizes or TINY))
    for name in OUTPUTS:
        here, far = getattr(files, name), getattr(there, name)
        if here is None:
            continue
        assert Path(here).exists() == Path(far).exists(), name
        if here.endswith(".csv"):
            assert Path(here).read_bytes() == Path(far).read_bytes(), name
        else:
            assert_frame_equal(pl.read_parquet(here), pl.read_parquet(far))
    assert replace(other, partitions=1, files=one.files) == one
    assert not [path for path in Path(files.out).parent.iterdir() if path.name.startswith(".")]
    return one, other


def random_laws_and_flawed_histories(folder: Path, _: Any) -> None:
    numbers = iter(range(1000))

    @settings(
        max_examples=3, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(flawed_worlds())
    def hold(world: Any) -> None:
        number = next(numbers)
        at = folder / str(number)
        at.mkdir()
        files = files_in(at, world.claims, world.people, (".csv", ".parquet")[number % 2], spells=world.spells)
        settle_both_ways(files, world.policies)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hold()


def what_shows_in_the_whole_file_only(folder: Path, _: Any) -> None:
    """Ids that occur twice, claims of others named, people unknown or without an id, all of them far apart."""
    persons = [f"p{n:02d}" for n in range(20)]
    rows = {f"c{p[1:]}": a_claim(f"c{p[1:]}", 200_000, person_id=p) for p in persons}
    for change in (
        {"claim_id": "c15", "continues": "c02"}, {"claim_id": "c03", "continues": " c14"},
        {"claim_id": "c04", "continues": "nowhere"}, {"claim_id": "c06", "person_id": None},
        {"claim_id": "c09", "person_id": "unknown"}, {"claim_id": "c10", "continues": "c09"},
        {"claim_id": "c11", "total": "-1"}, {"claim_id": "c12", "continues": "c11"},
        {"claim_id": "c13", "reverses": "c01"}, {"claim_id": "c17", "continues": "c18"},
    ):  # fmt: skip
        rows[change["claim_id"]] |= change
    taken_back = a_claim("r1", person_id="p05", reverses="c05", settled_date="2024-05-01")
    claims = claims_frame([*rows.values(), taken_back])
    ideographic = {"claim_id": "\u3000c18", "person_id": "p01"}
    again = claims.filter(pl.col("claim_id") == "c18").with_columns(pl.lit(v).alias(k) for k, v in ideographic.items())
    people = people_frame([{"person_id": f" {p}", "household_id": f"h{int(p[1:]) * 7 % 6}"} for p in persons])
    files = files_in(folder, pl.concat([claims, again]).sample(fraction=1, shuffle=True, seed=1), people)
    one, _ = settle_both_ways(files, YEARLY)
    assert one.reasons["duplicate_claim_id"] == 2
    assert one.reasons["continues_other_person"] == 3
    assert one.reversals == 1
    assert one.differences == 0


def households_that_reach_a_maximum(folder: Path, _: Any) -> None:
    persons = [f"p{n:02d}" for n in range(20)]
    homes = people_frame(
        [{"person_id": p, "household_id": f"h{int(p[1:]) * 7 % 6}", "birth_date": "1950-01-01"} for p in persons]
    ).with_columns(max_expenditure=pl.lit("300.00"))
    moved = homes.head(1).with_columns(household_id=pl.lit("h5"), enrolled_from=pl.lit("1976-03-10"))
    homes = pl.concat(
        [homes.with_columns(enrolled_to=pl.when(pl.col("person_id") == "p00").then(pl.lit("1976-03-09"))), moved]
    )
    plans = spells_frame([{"person_id": p, "group": "plan_25", "from_date": "1970-01-01"} for p in persons])
    visits = [
        a_claim(f"c{k:03d}", 10_000 + k, f"1976-03-{k % 28 + 1:02d}", person_id=persons[k % 20], care_type="outpatient")
        for k in range(100)
    ]
    lost = a_claim("lost", day="1976-03-01", person_id="nobody")
    files = files_in(folder, claims_frame([*visits, lost]), homes, ".parquet", spells=plans)
    one, _ = settle_both_ways(files, "us/rand-hie")
    assert one.reasons == {"unknown_person": 1}
    assert one.own_fen == 6 * 30_000


def halves_of_a_year_and_a_late_claim(folder: Path, _: Any) -> None:
    rows = [a_claim(f"c{n:02d}", 70_000 + n, f"2024-{n % 12 + 1:02d}-05", person_id=f"p{n % 5}") for n in range(40)]
    people = people_frame([{"person_id": f"p{n}"} for n in range(5)])
    claims = claims_frame(rows).sort("settled_date")
    first = files_in(folder, claims.head(20), people)
    settle_files(first, YEARLY)
    (folder / "opening.csv").write_bytes(Path(str(first.closing)).read_bytes())
    (folder / "previous.csv").write_bytes(Path(first.out).read_bytes())
    second = files_in(folder, claims.tail(20), people)
    settle_both_ways(replace(second, opening=str(folder / "opening.csv")), YEARLY)
    late = claims_frame([a_claim("late", 10_000, "2024-01-02", person_id="p1")])
    files = files_in(folder, pl.concat([claims.head(20), late]), people)
    one, _ = settle_both_ways(replace(files, previous=str(folder / "previous.csv")), YEARLY)
    assert one.differences > 0


def folders_by_place_and_month(folder: Path, _: Any) -> None:
    """Read a folder by place and month, of two files each; write one, whose rows are those of a local run.

    Its name would be a pattern to Spark, and in the second files the columns stand the other way round.
    """
    rows = [
        a_claim(
            f"c{n:03d}",
            50_000 + n,
            f"2024-{n % 12 + 1:02d}-05",
            person_id=f"p{n % 7:02d}",
            diagnosis="C50" if n % 3 else None,
        )
        for n in range(120)
    ]
    claims = claims_frame(rows).with_columns(pl.col("care_type").cast(pl.Categorical), note=pl.lit(1, pl.UInt8))
    for (place, month), part in claims.with_columns(
        place=pl.when(pl.col("person_id") < "p03").then(pl.lit("东城/1")).otherwise(pl.lit("02 %")),
        month=pl.col("settled_date").str.head(7),
    ).partition_by("place", "month", as_dict=True).items():  # fmt: skip
        at = (
            folder
            / "claims [1]"
            / f"place={str(place).replace('/', '%2F').replace('%', '%25') if '/' not in str(place) else str(place).replace('/', '%2F')}"
            / f"month={month}"
        )
        at.mkdir(parents=True)
        for number, half in enumerate((part.head(3), part.tail(-3))):
            names = [name for name in claims.columns[:: 1 - 2 * number] if name not in ("place", "month")]
            half.select(names).write_parquet(at / f"part-{number}.parquet")
    people_frame([{"person_id": f"p{n:02d}"} for n in range(6)]).write_parquet(folder / "people.parquet")
    files = Files(
        f"{folder}/claims [1]", f"{folder}/people.parquet", out=f"{folder}/whole-out.parquet",
        rejects=f"{folder}/whole-rejects.parquet",
    )  # fmt: skip
    one, _ = settle_both_ways(files, YEARLY)
    assert one.reasons == {"unknown_person": 17}
    for _again in range(2):  # the second replaces the first
        tally = settle_on_spark(
            replace(files, out=f"{folder}/out/", rejects=None, trace=f"{folder}/trace/"), YEARLY, **TINY
        )
    assert [kind for kind, _ in tally.files] == ["settlements", "rejects", "trace"]
    written = sorted(path.name for path in (folder / "out").iterdir())
    assert written == ["_medfloor.json", "place=02 %25", "place=东城%2F1"]
    order = ("person_id", "benefit_year", "sequence")
    there = pl.read_parquet(f"{folder}/out/**/*.parquet", hive_partitioning=True, try_parse_hive_dates=False)
    here = pl.read_parquet(files.out)
    assert_frame_equal(there.select(here.columns).sort(order), here)
    # Within each place and month the files, by name, are in the order of a local run.
    for at in (folder / "out").glob("*/*"):
        mine = pl.concat(pl.read_parquet(path, hive_partitioning=False) for path in sorted(at.iterdir()))
        assert mine.select(order).equals(mine.select(order).sort(order))
    rejects = pl.concat(pl.read_parquet(path) for path in (folder / "out.rejects").glob("*.parquet"))
    assert rejects.height == 17
    assert len(list((folder / "trace").glob("*.parquet"))) > 1


def errors_are_those_of_a_local_run(folder: Path, _: Any) -> None:
    people = people_frame([{"person_id": "p0"}])
    files = files_in(folder, claims_frame([a_claim()]), people)
    bad = folder / "opening.csv"
    bad.write_text("person_id,benefit_year,basic_paid\np0,2024,much\n")
    law = load_policy("cn/beijing")
    settle_files(files, law)
    name = next(name for name in pl.read_csv(str(files.closing)).columns if name.startswith("basic"))
    bad.write_text(f"person_id,benefit_year,{name}\np0,2024,much\n")
    asked = replace(files, opening=str(bad), closing=None)
    messages = []
    for run in (settle_files, settle_on_spark):
        with pytest.raises(InputError) as caught:
            run(asked, law)
        messages.append((caught.value.code, caught.value.message))
    assert messages[0] == messages[1]
    before = Path(files.out).read_bytes()
    with pytest.raises(MissingValueError):
        settle_on_spark(files, load_policy("cn/guangdong/dongguan-jiafu"))
    assert Path(files.out).read_bytes() == before


def an_executor_killed_in_the_middle_changes_nothing(folder: Path, running: clusters.Cluster) -> None:
    """One household has a fifth of the claims, most others lie in one range, and an executor dies half way."""
    many = 24_000
    number = pl.int_range(many, eager=True)
    person = pl.when(number % 5 == 0).then(pl.lit("p500")).otherwise(pl.format("p5{}", number * 7919 % 2_000))
    claims = pl.DataFrame({"n": number}).select(
        claim_id=pl.format("c{}", "n"), person_id=person, care_type=pl.lit("inpatient"), facility_level=pl.lit("3"),
        start_date=pl.date(2024, 1, 1) + pl.duration(days=pl.col("n") % 300),
        total=(20_000 + pl.col("n") * 7_919 % 90_000).cast(pl.Decimal(18, 2)) / 100,
    ).with_columns(end_date="start_date", in_scope="total")  # fmt: skip
    people = claims.select(pl.col("person_id").unique())
    files = files_in(folder, claims, people, ".parquet")
    one = settle_files(files, "cn/beijing")
    there = replace(files, **{name: str(folder / f"far-{name}.parquet") for name in OUTPUTS})
    answer: list[Any] = []

    def run() -> None:
        try:
            answer.append(settle_on_spark(there, "cn/beijing", rows_a_task=1_000, piece=200))
        except BaseException as error:
            answer.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until = time.monotonic() + 120
    while thread.is_alive() and time.monotonic() < until:
        if list(folder.glob(".medfloor-*/out/*.parquet")):  # some task is done, others are not
            break
        time.sleep(0.02)
    victims = running.executors()
    assert thread.is_alive(), "the job ended before anything could be killed"
    assert victims, "no executor was found"
    os.kill(victims[0].pid, signal.SIGKILL)
    thread.join(240)
    assert isinstance(answer[0], Tally), answer[0]
    assert replace(answer[0], partitions=1, files=one.files) == one
    for name in OUTPUTS:
        here, far = Path(str(getattr(files, name))), Path(str(getattr(there, name)))
        assert_frame_equal(pl.read_parquet(here), pl.read_parquet(far))
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


CHECKS: tuple[Callable[[Path, clusters.Cluster], None], ...] = (
    random_laws_and_flawed_histories,
    what_shows_in_the_whole_file_only,
    households_that_reach_a_maximum,
    halves_of_a_year_and_a_late_claim,
    folders_by_place_and_month,
    errors_are_those_of_a_local_run,
    *MEASURES,
    *SCREENING,
    an_executor_killed_in_the_middle_changes_nothing,
)
