"""Settle by blocks without a cluster: executors read, cut and hand over rows, and every file is that of one machine.

`Nearby` stands in for Spark: it runs the same functions over the same Arrow batches, task by task, in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from polars.testing import assert_frame_equal
from test_chunks import OUTPUTS, files_in, flawed_worlds
from worlds import a_claim, claims_frame, examples, one_tier, people_frame, percent, policy_set, yuan

from medfloor.errors import InputError, UsageError
from medfloor.settlement.chunks import Files, Tally, settle_files
from medfloor.settlement.spark import blocks, engine, settle_on_spark

YEARLY = policy_set(
    one_tier(
        {"deductible": {"per": "year", "amount": [yuan(100_000)]}, "per": "year", "brackets": [{"rate": [percent(50)]}]}
    )
)


@dataclass(frozen=True)
class Nearby:
    """Be the little of a Spark table that blocks need: tasks, each a list of Arrow batches."""

    tasks: list[list[Any]]

    def mapInArrow(self, work: Callable[[Iterator[Any]], Iterator[Any]], _: str) -> Nearby:
        return Nearby([list(work(iter(task))) for task in self.tasks])

    def repartitionById(self, count: int, name: str) -> Nearby:
        tasks: list[list[Any]] = [[] for _ in range(count)]
        for task in reversed(self.tasks):  # in no order that could be relied on
            for batch in task:
                for at in range(batch.num_rows):
                    tasks[batch.column(name)[at].as_py() % count].append(batch.slice(at, 1))
        return Nearby(tasks)

    def collect(self) -> list[Any]:
        return [row for task in self.tasks for batch in task for row in batch.to_pylist()]

    def toArrow(self) -> Any:
        every = [batch for task in self.tasks for batch in task]
        named = pa.schema([("id", pa.string()), ("person", pa.string()), ("rows", pa.int64())])
        return pa.Table.from_batches(every, schema=named)


def session() -> Any:
    def numbers(first: int, end: int, _: int, count: int) -> Nearby:
        tasks = [[pa.RecordBatch.from_pydict({"id": [number]})] for number in range(first, end)]
        return Nearby(tasks + [[] for _ in range(count - len(tasks))])

    told = SimpleNamespace(get=lambda *_: "2")
    return SimpleNamespace(
        range=numbers, sparkContext=SimpleNamespace(defaultParallelism=2, getConf=lambda: told), conf=None
    )


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def opened(_: str | None) -> Iterator[Any]:
        yield session()

    def at_home(error: Any) -> Any:
        return error

    monkeypatch.setattr(engine, "spark_session", opened)
    monkeypatch.setattr(engine, "check_spark", lambda: None)
    for module in (blocks, engine.block_settler.__globals__):
        if isinstance(module, dict):
            monkeypatch.setitem(module, "carried_home", at_home)
        else:
            monkeypatch.setattr(module, "carried_home", at_home)


def held_against_one_machine(files: Files, policy: Any, rows_a_task: int = 5, piece: int = 4) -> Tally:
    far = replace(files, **{name: path.replace("whole-", "far-") for name in OUTPUTS if (path := getattr(files, name))})
    one = settle_files(files, policy)
    other = settle_on_spark(far, policy, rows_a_task=rows_a_task, piece=piece)
    for name in OUTPUTS:
        here, there = getattr(files, name), getattr(far, name)
        if here is None:
            continue
        assert Path(here).exists() == Path(there).exists(), name
        if here.endswith(".csv"):
            assert Path(here).read_bytes() == Path(there).read_bytes(), name
        else:
            assert_frame_equal(pl.read_parquet(here), pl.read_parquet(there))
    assert replace(other, partitions=1, files=one.files) == one
    assert not [path for path in Path(files.out).parent.iterdir() if path.name.startswith(".")]
    return one


@examples(40)
@given(flawed_worlds())
def test_random_laws_and_flawed_histories_come_out_as_on_one_machine(world: Any) -> None:
    with TemporaryDirectory() as folder:
        files = files_in(Path(folder), world.claims, world.people, ".parquet", spells=world.spells)
        if engine.law_of(world.policies, ()).layout.household:
            return  # there Spark joins persons with their households; see test_spark.py
        held_against_one_machine(files, world.policies)


@pytest.mark.parametrize(("batch", "block"), [(250_000, 50_000), (3, 2), (7, 1)])
def test_what_shows_in_the_whole_file_only_shows_across_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, block: int
) -> None:
    """Ids that occur twice, claims of others named, people unknown or without an id, all of them far apart."""
    monkeypatch.setattr(blocks, "BATCH", batch)
    monkeypatch.setattr(blocks, "BLOCK", block)
    persons = [f"p{n:02d}" for n in range(20)]
    rows = {f"c{p[1:]}": a_claim(f"c{p[1:]}", 200_000, person_id=p) for p in persons}
    for change in (
        {"claim_id": "c15", "continues": "c02"}, {"claim_id": "c03", "continues": " c14"},
        {"claim_id": "c04", "continues": "nowhere"}, {"claim_id": "c06", "person_id": None},
        {"claim_id": "c07", "person_id": " "}, {"claim_id": "c09", "person_id": "unknown"},
        {"claim_id": "c10", "continues": "c09"}, {"claim_id": "c11", "total": "-1"},
        {"claim_id": "c12", "continues": "c11"}, {"claim_id": "c13", "reverses": "c01"},
        {"claim_id": "c17", "continues": "c18"},
    ):  # fmt: skip
        rows[change["claim_id"]] |= change
    taken_back = a_claim("r1", person_id="p05", reverses="c05", settled_date="2024-05-01")
    claims = claims_frame([*rows.values(), taken_back])
    again = claims.filter(pl.col("claim_id") == "c18").with_columns(
        claim_id=pl.lit("\u3000c18"), person_id=pl.lit("p01")
    )
    third = again.with_columns(person_id=pl.lit(None, pl.String))
    people = people_frame([{"person_id": f" {p}"} for p in persons] + [{"person_id": None}])
    files = files_in(
        tmp_path, pl.concat([claims, again, third]).sample(fraction=1, shuffle=True, seed=1), people, ".parquet"
    )
    one = held_against_one_machine(files, YEARLY)
    assert one.reasons["duplicate_claim_id"] == 2  # the third lacks a person, which counts first
    assert one.reasons["continues_other_person"] == 3
    assert one.reversals == 1


def test_a_folder_by_place_and_month_is_read_by_the_executors(tmp_path: Path) -> None:
    rows = [a_claim(f"c{n:03d}", 50_000 + n, f"2024-{n % 4 + 1:02d}-05", person_id=f"p{n % 7}") for n in range(60)]
    claims = claims_frame(rows).with_columns(
        pl.col("care_type").cast(pl.Categorical), pl.col("facility_level").cast(pl.Enum(["1", "2", "3"])),
        empty=pl.lit(None), wide=pl.lit(2**64 - 1, pl.UInt64),
    )  # fmt: skip
    for number in range(6):
        at = tmp_path / "claims" / ("month=__HIVE_DEFAULT_PARTITION__" if number == 3 else f"month={number % 3:02d}")
        at.mkdir(parents=True, exist_ok=True)
        names = claims.columns[:: 1 - 2 * (number % 2)]
        claims[number * 10 : number * 10 + 10].select(names).write_parquet(at / f"{number}.parquet", row_group_size=4)
    people_frame([{"person_id": f"p{n}"} for n in range(6)]).write_parquet(tmp_path / "people.parquet")
    named = {name: f"{tmp_path}/whole-{name}.parquet" for name in ("out", "rejects")}
    one = held_against_one_machine(Files(f"{tmp_path}/claims", f"{tmp_path}/people.parquet", **named), YEARLY)
    assert one.reasons == {"unknown_person": 8}
    months = pl.read_parquet(named["out"])["month"]
    assert set(months.to_list()) == {"00", "01", "02", None}


def test_of_no_claims_nothing_comes(tmp_path: Path) -> None:
    files = files_in(tmp_path, claims_frame([a_claim()]).clear(), people_frame([{"person_id": "p"}]), ".parquet")
    assert held_against_one_machine(files, YEARLY).rows_in == 0


def test_wide_rows_are_shared_out_into_more_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = claims_frame([a_claim(f"c{n:02d}", person_id=f"p{n:02d}") for n in range(40)])
    claims = claims.with_columns(note=pl.lit("x" * 10_000))
    files = files_in(tmp_path, claims, people_frame([{"person_id": f"p{n:02d}"} for n in range(40)]), ".parquet")
    monkeypatch.setattr(engine, "BYTES_A_TASK", 100_000)
    assert settle_on_spark(files, YEARLY).partitions == 5


def test_more_keys_than_every_task_can_be_told_are_left_to_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [a_claim(f"c{n // 2}", person_id=f"p{n}") for n in range(6)]
    files = files_in(tmp_path, claims_frame(rows), people_frame([{"person_id": f"p{n}"} for n in range(6)]), ".parquet")
    monkeypatch.setattr(blocks, "FEW", 2)
    asked: list[bool] = []

    class Left(Exception):
        pass

    def by_unit(*_: Any) -> None:
        asked.append(True)
        raise Left

    monkeypatch.setattr(engine.Inputs, "by_unit", by_unit)
    with pytest.raises(Left):
        settle_on_spark(files, YEARLY)
    assert asked == [True]


def test_a_task_that_meets_far_more_than_its_share_says_only_that_they_are_many() -> None:
    ids = pl.DataFrame({"hash": pl.Series([n // 2 for n in range(4_000)], dtype=pl.UInt64)})
    for parts, kind, height in ((1_000_000, "many", 1), (1_000, "hash", 2_000)):
        told = [row for batch in blocks._Meet(parts)(iter([blocks._row(0, "id", ids)])) for row in batch.to_pylist()]
        assert [(row["kind"], blocks._unpacked(row["block"]).height) for row in told] == [(kind, height)]


def test_an_executor_that_does_not_see_a_file_says_so(tmp_path: Path) -> None:
    shape = blocks.Shape(pl.Schema({"claim_id": pl.String}), "claims")
    there = tmp_path / "there.parquet"
    pl.DataFrame({"claim_id": ["1"]}).write_parquet(there)
    for stretch, code, said in (
        (blocks.Stretch(f"{tmp_path}/elsewhere.parquet", 0, 1, 0), "cannot_read", "under the same path"),
        (blocks.Stretch(str(there), 0, 2, 0), "broken_parquet", "changed while it was read"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            list(blocks._Source("claims", shape, [[stretch]]).batches(0))
        assert caught.value.code == code


def test_texts_that_hash_otherwise_there_are_not_compared_with_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    work = blocks._each(lambda number: iter([done.append(number)]))
    numbers = [pa.RecordBatch.from_pydict({"id": [7]})]
    list(work(iter(numbers)))
    monkeypatch.setattr(blocks, "_PROBE", "of another version")
    with pytest.raises(UsageError, match=r"the same medfloor\[spark\]") as caught:
        list(work(iter(numbers)))
    assert caught.value.code == "spark_unlike"
    assert done == [7]


def test_inputs_are_looked_at_before_spark_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: str | None) -> Any:
        raise AssertionError("Spark was started")

    monkeypatch.setattr(engine, "spark_session", never)
    files = files_in(tmp_path, claims_frame([a_claim()]), people_frame([{"person_id": "p"}]), ".parquet")
    for name in ("claims", "people", "spells", "opening", "previous"):
        with pytest.raises(InputError, match=r"lost\.parquet is not there"):
            settle_on_spark(replace(files, **{name: f"{tmp_path}/lost.parquet"}), YEARLY)
    (tmp_path / "people.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError) as caught:
        settle_on_spark(files, YEARLY)
    assert caught.value.code == "broken_parquet"
