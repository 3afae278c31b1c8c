"""What a cluster hands to measures, without a cluster: parts give what the whole gives, and errors are the same."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from test_tiers import county

from medfloor.cli.measure import command
from medfloor.errors import InputError, MedfloorError, OutputError, UsageError
from medfloor.intake import REFUSED, read_microdata, reading_of, scan_table
from medfloor.measures import cluster
from medfloor.measures.burden import burden
from medfloor.measures.cluster import Wanted, _added, _cases, _Rows, is_whole, sums_of_task, taken_back
from medfloor.measures.reimbursement import reimbursement
from medfloor.measures.settled import Cases, small_funds, without_taken_back
from medfloor.measures.stages import Added, stages_of, used_columns
from medfloor.settlement.spark import ROW, Table

CELLS = st.one_of(
    st.sampled_from(["12.50", " 7", "-3", "1e3", ".", "", "NA", "much", "1,200", "inf", "0.01"]), st.none()
)


def parted(frame: pl.DataFrame, cuts: list[int]) -> list[pl.DataFrame]:
    """Cut a frame at some places."""
    ends = sorted({0, frame.height, *(cut % (frame.height + 1) for cut in cuts)})
    return [frame.slice(begin, end - begin) for begin, end in pairwise(ends)]


def settled_as_read(claims: pl.DataFrame) -> dict[str, Any]:
    """Say what `medfloor measure by-tier` reads of settlements."""
    paid = [name for name in claims.columns if name.startswith("pay_")]
    return {"numbers": ["total", *paid], "labels": ["person_id", "benefit_year"], "required": ["total"]}


def added_in_parts(
    claims: pl.DataFrame,
    people: pl.DataFrame,
    cuts: list[int],
    tiers: list[str] | None,
    year: int | None,
    path: str = "settled",
) -> Added:
    """Add up settlements as executors and driver do: task by task, batch by batch. Polars does what Spark does."""
    asked = settled_as_read(claims)
    reading = reading_of(claims.lazy(), **asked)
    schema = pl.Schema({name: claims.schema[name] for name in reading.columns})
    table = Table(scan_table(claims.lazy()), claims.height, (), lambda _: None)
    rows = _Rows(Wanted(path, **asked), reading, table, schema)
    packed = claims.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW),
        pl.struct(pl.col(name).alias(f"c{place}") for place, name in enumerate(schema)).alias("rows"),
    )
    used = used_columns(reading.names, tiers)
    sums = [
        pl.DataFrame(pl.from_arrow(batch))
        for task, part in enumerate(parted(packed, cuts))
        for batch in sums_of_task(
            iter(part.to_arrow().to_batches(max_chunksize=9)), rows.reader(), "person_id", used,
            year=year, funds=small_funds(reading.names), task=task,
        )
    ]  # fmt: skip
    frame = pl.concat(sums).join(people, left_on="key", right_on="person_id", how="left").drop("key")
    frame = frame.rename({"household_id": "key"}).group_by("key", "__note").agg(pl.all().sum())
    assert is_whole(frame, claims.height)
    return _added(frame, rows, used, 0)


@given(
    cuts=st.lists(st.integers(0, 400), max_size=6),
    tiers=st.sampled_from([None, ["basic", "critical_illness+assistance"], ["assistance"]]),
    year=st.sampled_from([None, 2024, 2023]),
    fault=st.sampled_from(["", "missing", "off", "unknown", "other year", "idle", "pays once"]),
)
@settings(max_examples=40)
def test_settlements_added_up_in_parts_are_those_added_up_at_once(
    cuts: list[int], tiers: list[str] | None, year: int | None, fault: str
) -> None:
    homes, claims, people = county(40)
    fourth = pl.int_range(pl.len()) == 4
    if fault == "missing":
        claims = claims.with_columns(pay_basic=pl.when(~fourth).then("pay_basic"))
    if fault == "off":
        claims = claims.with_columns(pay_total=pl.col("pay_total") + fourth.cast(pl.Float64))
    if fault == "idle":
        claims = claims.with_columns(pay_hifob=pl.lit(0.0))
    if fault == "pays once":  # in one task, and in no other
        paid = fourth.cast(pl.Float64)
        claims = claims.with_columns(pl.col("total", "pay_total") + paid, pay_hifob=paid)
    if fault == "unknown":
        people = people.tail(-5)
    if fault == "other year":
        claims = claims.with_columns(benefit_year=pl.when(fourth).then(2023).otherwise("benefit_year"))
    answers: list[Any] = []
    read = read_microdata(claims.lazy(), **settled_as_read(claims)).accepted
    for given_ in (
        lambda: stages_of(homes, read, people=people, tiers=tiers, year=year),
        lambda: stages_of(homes, added_in_parts(claims, people, cuts, tiers, year), tiers=tiers, year=year),
    ):
        try:
            answers.append(given_())
        except MedfloorError as error:
            answers.append((error.code, error.message))
    here, there = answers
    if isinstance(here, tuple):
        assert there == here
        return
    assert_frame_equal(here.frame, there.frame, check_exact=True)
    assert (here.names, here.counts, here.notes) == (there.names, there.counts, there.notes)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, st.sampled_from(["a ", "", "b", None])), min_size=1, max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=4),
)
def test_a_table_read_in_parts_is_the_table_read_at_once(rows: list[Any], cuts: list[int]) -> None:
    """Also where only the whole table says that a text column of an expression holds numbers."""
    frame = pl.DataFrame(rows, schema={"cost": pl.String, "other": pl.String, "ward": pl.String}, orient="row")
    asked: dict[str, Any] = {"mapping": "total=cost,twice=other*2", "numbers": ["total", "twice"], "labels": ["ward"]}
    try:
        whole = read_microdata(frame.lazy(), **asked)
    except MedfloorError as error:
        with pytest.raises(type(error)) as caught:
            reading_of(frame.lazy(), **asked)
        assert caught.value.message == error.message
        return
    reading = reading_of(frame.lazy(), **asked)
    parts = pl.concat([reading.read(part.select(reading.columns)) for part in parted(frame, cuts)])
    accepted = parts.filter(~pl.col(REFUSED)).drop(REFUSED)
    assert_frame_equal(accepted, whole.accepted.select(accepted.columns))
    assert_frame_equal(reading.rejects(frame.lazy(), parts[REFUSED].arg_true()), whole.rejects)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["p", "q", None]), st.sampled_from([9.0, -9.0, 5.0, -5.0]), st.sampled_from([1.0, 2.0])
        ),
        min_size=1,
        max_size=14,
    ),
    named=st.booleans(),
    links=st.lists(st.sampled_from(["c0", "c1", "c2", " ", None]), min_size=14, max_size=14),
)
def test_rows_taken_back_are_found_among_the_few_that_can_be(
    rows: list[Any], named: bool, links: list[str | None]
) -> None:
    frame = pl.DataFrame(rows, schema={"person_id": pl.String, "total": pl.Float64, "paid": pl.Float64}, orient="row")
    frame = frame.with_columns(paid=pl.col("paid") * pl.col("total").sign())
    if named:
        ids = [f"c{place}" for place in range(frame.height)]
        frame = frame.with_columns(claim_id=pl.Series(ids), reverses=pl.Series(links[: frame.height], dtype=pl.String))
    kept, pairs = without_taken_back(frame, total="total", paid=["paid"])
    there = frame.with_row_index(ROW).cast({ROW: pl.Int64}).lazy()
    gone, found = taken_back(there, frame.columns, "total", ["paid"])
    left = there.join(gone.lazy(), on=ROW, how="anti").sort(ROW).drop(ROW).collect()
    assert_frame_equal(left, kept)
    assert found == pairs


@pytest.mark.parametrize("named", [False, True])
def test_cases_that_executors_read_are_those_of_one_machine_in_the_order_of_the_file(
    named: bool, tmp_path: Path
) -> None:
    _, settled, _ = county(30)
    back = settled.gather([4, 9]).with_columns(-pl.col(pl.Float64), claim_id=pl.lit("back-") + pl.col("claim_id"))
    reverses = pl.when(pl.col("claim_id").str.starts_with("back-")).then(pl.col("claim_id").str.strip_prefix("back-"))
    rows = pl.concat([settled, back]).with_columns(
        reverses=reverses if named else pl.lit(None, pl.String), pay_hifob=pl.lit(0.0),
        total=pl.when(pl.int_range(pl.len()) == 17).then(pl.lit("much")).otherwise(pl.col("total").cast(pl.String)),
    ).drop([] if named else ["claim_id", "reverses"])  # fmt: skip
    path = str(tmp_path / "settled.parquet")
    rows.write_parquet(path)
    asked = {
        "numbers": ["total", "pay_basic", "pay_hifob"],
        "labels": ["person_id", *(["claim_id", "reverses"] * named)],
    }
    reading = reading_of(path, **asked)
    scan = scan_table(path)
    read = _Rows(Wanted(path, **asked), reading, Table(scan, rows.height, (), lambda _: None), scan.schema)
    numbered = rows.select(reading.columns).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW))
    parts = [reading.read(part.drop(ROW)).with_columns(part[ROW]) for part in reversed(parted(numbered, [5, 20, 40]))]
    micro, cases = _cases(read, pl.concat(parts).lazy(), lambda _: ("total", ["pay_basic"]), ())
    whole = read_microdata(path, **asked)
    kept, pairs = without_taken_back(whole.accepted, total="total", paid=["pay_basic"])
    assert pairs == 2 and cases is not None and cases.taken_back == pairs
    assert_frame_equal(cases.accepted, kept.select(cases.accepted.columns))
    assert cases.accepted.columns == [
        "total",
        "pay_basic",
    ]  # without a fund that pays nothing, and what only names rows
    assert_frame_equal(micro.rejects, whole.rejects)
    assert (micro.rejects.height, micro.rows_in) == (1, rows.height)


def test_cases_that_a_cluster_read_are_measured_as_a_table_is() -> None:
    rows = pl.DataFrame(
        {
            "person_id": ["p", "p", "q", "r"], "total": [100.0, -100.0, 400.0, 50.0],
            "pay_basic": [60.0, -60.0, 100.0, 20.0], "pay_total": [60.0, -60.0, 100.0, 20.0],
        }
    )  # fmt: skip
    cases = Cases(rows.tail(2).drop("person_id"), 1)
    for measure, asked in ((burden, {"reference": "mean"}), (reimbursement, {})):
        here, there = measure(rows, **asked), measure(cases, **asked)
        assert there.to_dict("en") == here.to_dict("en")
        assert there.special["taken_back"] == 1


def test_a_folder_is_read_as_a_file_is(tmp_path: Path) -> None:
    cases = pl.DataFrame({"total": ["100", "400", "much"], "pay_basic": [60.0, 100.0, 0.0], "ward": ["a", "b", "b"]})
    cases.write_parquet(tmp_path / "cases.parquet")
    for number in range(3):
        at = tmp_path / "cases" / f"month=2024-0{number + 1}"
        at.mkdir(parents=True)
        cases.slice(number, 1).write_parquet(at / "part.parquet")
    told = [
        CliRunner().invoke(command, ["burden", str(tmp_path / name), "--reference", "mean", "--format", "json"])
        for name in ("cases.parquet", "cases")
    ]
    assert told[0].stdout == told[1].stdout
    assert [one.exit_code for one in told] == [1, 1]
    assert (tmp_path / "cases.rejects.csv").is_file()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (["burden", "x.csv", "--reference", "mean", "--spark-master", "local[1]"], "spark_not_asked"),
        (["reimbursement", "x.csv", "--report", "seed-004", "--engine", "spark"], "not_with_spark"),
        (["cliff", "x.csv", "--cutoff", "5", "--engine", "spark"], "not_with_spark"),
    ],
)
def test_what_makes_no_sense_with_a_cluster_is_refused(
    asked: list[str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("total,pay_basic\n1,1\n", encoding="utf-8")
    error = CliRunner().invoke(command, asked).exception
    assert isinstance(error, UsageError)
    assert error.code == code


def test_the_first_row_that_executors_refuse_is_told_as_one_machine_tells_it(tmp_path: Path) -> None:
    _, claims, people = county(20)
    much = pl.when(pl.int_range(pl.len()).is_in([7, 23, 31])).then(pl.lit("much"))
    claims = claims.with_columns(total=much.otherwise(pl.col("total").cast(pl.String)))
    claims.write_parquet(tmp_path / "settled.parquet")
    rejects = read_microdata(claims.lazy(), **settled_as_read(claims)).rejects
    with pytest.raises(InputError) as caught:
        added_in_parts(claims, people, [3, 25], None, None, str(tmp_path / "settled.parquet"))
    assert caught.value.code == "bad_rows"
    assert f"3 of {claims.height}" in caught.value.message and rejects["detail"][0] in caught.value.message


def test_sums_ask_for_a_year_where_there_are_several() -> None:
    homes, claims, people = county(5)
    added = added_in_parts(claims, people, [3], None, None)
    assert added.facts.years == {"2024"}
    added.facts.years = {"2023", "2024"}
    with pytest.raises(UsageError, match="2023, 2024"):
        stages_of(homes, added)
    added.facts.years, added.facts.two_households = {"2024"}, 2
    with pytest.raises(InputError, match="2 person_id"):
        stages_of(homes, added)


def test_files_that_are_not_there_are_told_before_spark_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("Spark was started")

    monkeypatch.setattr(cluster, "spark_session", never)
    monkeypatch.setattr(cluster, "check_spark", lambda: None)
    settled = tmp_path / "settled.parquet"
    pl.DataFrame({"person_id": ["p"], "total": [1.0], "pay_basic": [1.0]}).write_parquet(settled)
    there = Wanted(str(settled), numbers=["total", "pay_basic"], labels=["person_id"])
    lost = Wanted(str(tmp_path / "lost.parquet"))
    for ask in (
        lambda: cluster.add_up(lost),
        lambda: cluster.add_up(there, lost),
        lambda: cluster.read_cases(lost),
    ):
        with pytest.raises(InputError, match=r"lost\.parquet is not there"):
            ask()
    with pytest.raises(OutputError, match="no folder for parts") as caught:
        cluster.read_cases(there, beside=str(tmp_path / "nowhere" / "out.csv"))
    assert caught.value.code == "cannot_write"
    assert [path.name for path in tmp_path.iterdir()] == ["settled.parquet"]
