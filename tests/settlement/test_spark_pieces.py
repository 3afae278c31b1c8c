"""Settle the batches of a task in whole units, without a cluster: where a batch ends changes nothing."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from worlds import a_claim, claims_frame, examples, one_tier, people_frame, percent, policy_set, yuan

from medfloor.cli.main import program
from medfloor.errors import InputError, OutputError, UsageError
from medfloor.intake import FolderReplacement, check_written, read_claims, scan_table
from medfloor.settlement.batch import Law
from medfloor.settlement.chunks import Files
from medfloor.settlement.settle import settle
from medfloor.settlement.spark import session, settle_on_spark
from medfloor.settlement.spark.inputs import KINDS, ROW, Shape, as_came, scratch, spark_type
from medfloor.settlement.spark.pieces import Job, Output, Parts, whole_units
from medfloor.settlement.work import TEMPORARY, sweep

LAW = Law.of(
    policy_set(
        one_tier(
            {
                "deductible": {"per": "year", "amount": [yuan(100_000)]},
                "per": "year",
                "brackets": [{"rate": [percent(50)]}],
            }
        )
    )
)


def batches_of(units: str, cuts: Sequence[int]) -> list[Any]:
    ends = [0, *sorted(cuts), len(units)]
    return [pa.RecordBatch.from_pydict({"unit": list(units[a:b]), "at": list(range(a, b))}) for a, b in pairwise(ends)]


@examples(100)
@given(
    st.text("abcdef", max_size=40).map(lambda text: "".join(sorted(text))),
    st.lists(st.integers(0, 40), max_size=8),
    st.integers(1, 50),
)
def test_pieces_are_whole_units_in_order_wherever_a_batch_ends(units: str, cuts: list[int], rows: int) -> None:
    pieces = list(whole_units(iter(batches_of(units, [min(cut, len(units)) for cut in cuts])), rows))
    found = ["".join(u for batch in piece for u in batch["unit"].to_pylist()) for piece in pieces]
    assert "".join(found) == units
    assert [n for piece in pieces for batch in piece for n in batch["at"].to_pylist()] == list(range(len(units)))
    for one, other in pairwise(found):
        assert not set(one) & set(other)
    longest = max((units.count(unit) for unit in set(units)), default=0)
    assert all(
        len(piece) < rows + 2 * longest + max((b.num_rows for p in pieces for b in p), default=0) for piece in found
    )


def rows_of(claims: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """Lay claims and people out as Spark hands them to a task of one machine, by person."""
    parts = []
    for kind, table in (("people", people), ("claims", claims)):
        packed = table.select(pl.struct(pl.all()).alias(kind), pl.col("person_id").alias("unit"))
        parts.append(packed.with_row_index(ROW).with_columns(pl.lit(KINDS.index(kind)).alias("kind")))
    return pl.concat(parts, how="diagonal").with_columns(pl.col(ROW).cast(pl.Int64)).sort("unit", "kind", ROW)


def settle_in_batches(folder: Path, rows: pl.DataFrame, job: Job, size: int) -> tuple[int, pl.DataFrame]:
    """Settle rows that come in batches of some size; give what was paid, and the settlements."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    batches = table.to_batches(max_chunksize=size)
    with Parts(job, 0) as parts:
        for piece in whole_units(iter(batches), job.piece):
            parts.settle(piece)
    found = [pl.read_parquet(folder / "out" / name) for name in parts.done.files.get("out", {})]
    return parts.done.tally["paid_fen"].get("basic", 0), pl.concat(found) if found else pl.DataFrame()


def job_in(folder: Path, claims: pl.DataFrame, people: pl.DataFrame, piece: int) -> Job:
    outputs = {name: Output(str(folder / name), decimal=False) for name in ("out", "rejects", "differences")}
    return Job(
        LAW, Shape(claims.schema, "claims"), Shape(people.schema, "people"), None, None, "ours", outputs, False, piece
    )


PEOPLE = people_frame([{"person_id": f"p{number}"} for number in range(4)])
CLAIMS = claims_frame(
    [a_claim(f"c{n:02d}", 30_000 + n, f"2024-03-{n % 28 + 1:02d}", person_id=f"p{n % 4}") for n in range(80)]
)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_year_that_goes_on_in_the_next_batch_is_settled_once(tmp_path: Path, size: int) -> None:
    whole = settle(CLAIMS, PEOPLE, policy=LAW)
    paid, rows = settle_in_batches(tmp_path, rows_of(CLAIMS, PEOPLE), job_in(tmp_path, CLAIMS, PEOPLE, piece=1), size)
    assert paid == whole.paid_fen["basic"]
    assert rows["claim_id"].to_list() == whole.fen["claim_id"].to_list()


def test_without_carrying_over_the_last_unit_money_would_be_lost_silently() -> None:
    # The trap that this module exists for (decision 0018): batch by batch the year begins anew, and nothing fails.
    whole = settle(CLAIMS, PEOPLE, policy=LAW)
    by_person = CLAIMS.sort("person_id")
    naive = [settle(by_person[at : at + 7], PEOPLE, policy=LAW) for at in range(0, CLAIMS.height, 7)]
    assert sum(part.rejected.height for part in naive) == 0
    assert sum(part.paid_fen["basic"] for part in naive) < whole.paid_fen["basic"]


def test_a_task_without_claims_writes_nothing(tmp_path: Path) -> None:
    paid, rows = settle_in_batches(tmp_path, rows_of(CLAIMS.head(0), PEOPLE), job_in(tmp_path, CLAIMS, PEOPLE, 1), 3)
    assert (paid, rows.height) == (0, 0)
    assert not list(tmp_path.iterdir())


def test_rows_come_back_from_spark_with_their_own_types() -> None:
    mine = pl.DataFrame(
        {"a": [1, 2], "b": ["x", None], "c": [None, None]},
        schema={"a": pl.UInt8, "b": pl.Categorical, "c": pl.Null},
    )
    theirs = mine.select(
        pl.col("a").cast(pl.Int16).alias("c0"),
        pl.col("b").cast(pl.String).alias("c1"),
        pl.lit(None, pl.Int32).alias("c2"),
    )
    back = as_came(theirs.select(pl.struct(pl.all()).alias("claims"))["claims"], mine.schema)
    assert back.schema == mine.schema
    assert back.equals(mine)


@pytest.mark.parametrize("dtype", [pl.Datetime("ns"), pl.List(pl.String), pl.Time(), pl.Duration("us")])
def test_a_column_that_spark_cannot_carry_is_named(dtype: pl.DataType) -> None:
    with pytest.raises(InputError, match=r"when is of type .*without --engine spark") as caught:
        spark_type(dtype, "claims.parquet", "when")
    assert caught.value.code == "wrong_type"


# --- what is asked of the machine -------------------------------------------------------------------------------------


def test_without_pyspark_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(UsageError, match=r"pip install 'medfloor\[spark\]'") as caught, session.spark_session():
        raise AssertionError
    assert caught.value.code == "spark_missing"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--engine", "spark"], "error [spark_missing]"),
        (["--engine", "spark", "--threads", "2"], "error [not_with_spark]: --threads"),
        (["--spark-master", "local[2]"], "error [spark_not_asked]"),
    ],
)
def test_the_command_ends_with_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], says: str
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    CLAIMS.write_parquet(tmp_path / "claims.parquet")
    PEOPLE.write_parquet(tmp_path / "people.parquet")
    named = [f"{tmp_path}/claims.parquet", "--people", f"{tmp_path}/people.parquet", "--out", f"{tmp_path}/out.csv"]
    done = CliRunner().invoke(program, ["settle", *named, "--policy", "cn/beijing", *options])
    assert done.exit_code == 2
    assert done.output.startswith(says)
    assert len(done.output.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["claims.parquet", "people.parquet"]


def test_without_java_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="openjdk-17-jre-headless") as caught:
        session._check_java()
    assert caught.value.code == "java_missing"


def test_an_error_of_an_executor_is_the_error_at_home() -> None:
    class PySparkError(Exception):
        __module__ = "pyspark.errors"

    told = session.carried_home(InputError("bad_amount", "closing.csv: basic_paid holds 'much'"))
    with pytest.raises(InputError, match="holds 'much'") as caught, session.spark_errors("settling"):
        raise PySparkError(f"Job aborted: Traceback ...\n{told}\n at org.apache.spark")
    assert caught.value.code == "bad_amount"
    with (
        pytest.raises(OutputError, match=r"settling failed on the cluster: Job aborted\. ") as other,
        session.spark_errors("settling"),
    ):
        raise PySparkError("Job aborted.\n\tat org.apache.spark.Scheduler")
    assert other.value.code == "spark_failed"


def test_a_stack_trace_that_py4j_logs_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def log(path: str, words: str) -> None:
        record = logging.LogRecord("root", logging.ERROR, path, 1, words, None, None)
        logging.getLogger().handle(record)

    shown = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(shown)
    try:
        with session.quietly():
            with session.quietly():
                pass
            log("/site-packages/py4j/java_gateway.py", "interrupted")
            logging.getLogger("py4j.clientserver").error("broken pipe")
            log("/src/medfloor/x.py", "ours")
        log("/site-packages/py4j/java_gateway.py", "later")
    finally:
        logging.getLogger().removeHandler(shown)
    assert capsys.readouterr().err.split() == ["ours", "later"]


def test_an_executor_whose_python_lacks_the_program_is_told_so() -> None:
    told = "An exception was thrown from the Python worker:\nTraceback ...\nModuleNotFoundError: No module named 'medfloor'"
    failure = type("PythonException", (Exception,), {"__module__": "pyspark.errors"})(told)
    with pytest.raises(OutputError) as raised, session.spark_errors("settling"):
        raise failure
    assert "No module named 'medfloor' in the Python of an executor; set spark.pyspark.python" in raised.value.message


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_by_place_and_month_is_read_like_a_file(tmp_path: Path) -> None:
    for place, month, number in (("东城", "01", 0), ("0102", "02", 1)):
        at = tmp_path / "claims" / f"place={place}" / f"month={month}"
        at.mkdir(parents=True)
        CLAIMS[number * 40 : number * 40 + 40].write_parquet(at / "p.parquet")
        (at / "_SUCCESS").touch()
        (at / ".p.parquet.crc").touch()
    claims = read_claims(f"{tmp_path}/claims")
    assert claims.carried[-2:] == ("place", "month")
    assert claims.accepted["place"].unique(maintain_order=True).to_list() == ["0102", "东城"]
    assert claims.accepted["month"].dtype == pl.String
    one = settle(f"{tmp_path}/claims", PEOPLE, policy=LAW)
    assert one.paid_fen == settle(CLAIMS, PEOPLE, policy=LAW).paid_fen


def test_a_folder_without_a_parquet_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder without a Parquet file") as caught:
        scan_table(tmp_path)
    assert caught.value.code == "file_not_found"


def test_a_folder_takes_the_place_of_an_older_one_of_ours_only(tmp_path: Path) -> None:
    target = tmp_path / "settled"
    for text in ("first", "second"):
        new = FolderReplacement(target)
        (new.here / "p.parquet").write_text(text)
        (new.here / "of-a-failed-attempt.parquet").write_text("no")
        new.keep({"p.parquet": 1})
        new.publish()
        assert (target / "p.parquet").read_text() == text
        assert sorted(path.name for path in target.iterdir()) == ["_medfloor.json", "p.parquet"]
    dropped = FolderReplacement(target)
    dropped.drop()
    assert [path.name for path in tmp_path.iterdir()] == ["settled"]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").touch()
    with pytest.raises(OutputError, match=r"did not write \(thesis.txt\)"):
        FolderReplacement(foreign)


def test_what_somebody_put_into_a_folder_of_ours_is_not_deleted_with_it(tmp_path: Path) -> None:
    new = FolderReplacement(tmp_path / "settled")
    (new.here / "month=2024-01").mkdir()
    (new.here / "month=2024-01" / "p.parquet").touch()
    new.keep({"month=2024-01/p.parquet": 1})
    new.publish()
    (tmp_path / "settled" / ".nfs0001").touch()  # what a file system leaves is not in the way
    FolderReplacement(tmp_path / "settled").drop()
    (tmp_path / "settled" / "month=2024-01" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"did not write \(month=2024-01/thesis.txt\)") as caught:
        FolderReplacement(tmp_path / "settled")
    assert caught.value.code == "cannot_write"
    (tmp_path / "settled" / "_medfloor.json").write_text("[]")
    with pytest.raises(OutputError, match="did not write"):
        FolderReplacement(tmp_path / "settled")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["settled"]


def test_parts_of_a_run_that_goes_on_are_not_swept_away_by_another(tmp_path: Path) -> None:
    def aged(folder: Path) -> Path:
        os.utime(folder, (0, 0))
        return folder

    out = str(tmp_path / "settled.parquet")
    with scratch(out) as folder:
        (folder / "part.parquet").touch()
        sweep([out])
        assert aged(folder).exists()
        sweep([out])
        assert (folder / "part.parquet").exists()
        shutil.copytree(folder, tmp_path / f"{TEMPORARY}killed")
        aged(tmp_path / f"{TEMPORARY}killed")
        sweep([out])
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert not list(tmp_path.iterdir())


def test_an_output_folder_may_not_hold_an_input(tmp_path: Path) -> None:
    CLAIMS.write_parquet(tmp_path / "claims.parquet")
    PEOPLE.write_parquet(tmp_path / "people.parquet")
    files = Files(f"{tmp_path}/claims.parquet", f"{tmp_path}/people.parquet", out=f"{tmp_path}/")
    with pytest.raises(OutputError) as caught:
        settle_on_spark(files, LAW)
    assert caught.value.code == "would_replace_input"


@pytest.mark.parametrize(
    ("out", "trace", "code"),
    [
        ("settled/", "settled/trace.parquet", "same_output"),
        ("claims/settled.parquet", None, "would_replace_input"),
        ("settled.parquet", "closed/trace.parquet", "cannot_write"),
    ],
)
def test_outputs_that_could_not_be_written_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, trace: str | None, code: str
) -> None:
    """A file in a folder that is read or replaced as a whole, or in one that the user may not write to."""
    made = tempfile.mkdtemp

    def mkdtemp(prefix: str, dir: Path) -> str:
        if Path(dir).name == "closed":
            raise PermissionError(13, "Permission denied")
        return made(prefix=prefix, dir=dir)

    for name in ("claims", "settled", "closed"):
        (tmp_path / name).mkdir()
    CLAIMS.write_parquet(tmp_path / "claims" / "p.parquet")
    PEOPLE.write_parquet(tmp_path / "people.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(OutputError) as caught:
        settle_on_spark(Files("claims", "people.parquet", out=out, trace=trace), LAW)
    assert caught.value.code == code
    assert str(trace or out) in caught.value.message
    assert not list(tmp_path.rglob(".*"))


def test_parts_that_other_machines_wrote_elsewhere_are_missed(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    check_written([tmp_path / "a.parquet"], "settled.parquet")
    with pytest.raises(OutputError, match=r"settled.parquet: 1 files .* not there\. Every machine") as caught:
        check_written([tmp_path / "a.parquet", tmp_path / "b.parquet"], "settled.parquet")
    assert caught.value.code == "cannot_write"
