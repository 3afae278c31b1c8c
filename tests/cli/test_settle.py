"""`medfloor settle` from outside: what a clerk gives it, what comes back, and that nothing is ever lost."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from polars.testing import assert_frame_equal

from medfloor.cli import settle as settle_command
from medfloor.cli.main import program
from medfloor.cli.settle import Progress, memory_of
from medfloor.errors import UsageError
from medfloor.intake import read_table
from medfloor.tables import SETTLEMENT_KEYS, SETTLEMENT_SUMS

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "src" / "medfloor" / "sample" / "beijing"
EXAMPLES = ROOT / "examples"
Row = dict[str, Any]


def run(*args: object) -> Result:
    return CliRunner().invoke(program, [str(arg) for arg in args])


def a_row(claim_id: str, person_id: str = "p1", day: str = "2024-03-01", total: str = "1500.00", **changes: Any) -> Row:
    row = {"claim_id": claim_id, "person_id": person_id, "care_type": "inpatient", "start_date": day, "end_date": day}
    row |= {"settled_date": day, "facility_level": "3", "total": total, "off_catalogue": "0.00", "in_scope": total}
    return {**row, "note": f"keep {claim_id}", **changes}


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows as a CSV or Parquet file of text, as an office exports them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    frame = pl.DataFrame([{n: row.get(n) for n in names} for row in rows], schema=dict.fromkeys(names, pl.String))
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path


PEOPLE: Sequence[Row] = ({"person_id": "p1"}, {"person_id": "p2"}, {"person_id": "p3"})
GOOD = (a_row("c1"), a_row("c2", "p2", total="88000.10"), a_row("c3", "p3", "2024-05-01"))


def settle(
    folder: Path, claims: Iterable[Row] = GOOD, people: Sequence[Row] = PEOPLE, *more: object, **kind: str
) -> Result:
    """Settle rows under Beijing's policy into out.csv in a folder; options may follow."""
    ending = kind.get("ending", ".csv")
    given = write(folder / f"claims{ending}", list(claims))
    policy = kind.get("policy", "cn/beijing")
    people_file = write(folder / f"people{ending}", people)
    return run("settle", given, "--people", people_file, "--policy", policy, "--out", folder / f"out{ending}", *more)


def yuan_in(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def summed_up(output: str) -> dict[str, tuple[int, Decimal]]:
    """Read rows and yuan out of the English summary."""
    lines = [line.split() for line in output.splitlines()]
    counted = [line for line in lines if len(line) == 3 and line[0] in ("in", "settled", "refused")]
    return {name: (int(rows.replace(",", "")), yuan_in(yuan)) for name, rows, yuan in counted}


def assert_nothing_is_lost(folder: Path, output: str, ending: str = ".csv") -> pl.DataFrame:
    """See that rows and money in are those settled and refused, and that refused rows are as they came; give them."""
    claims, out = read_table(folder / f"claims{ending}"), read_table(folder / f"out{ending}")
    rejects = read_table(folder / f"out.rejects{ending}")
    said = summed_up(output)
    assert said["in"][0] == claims.height == out.height + rejects.height
    assert said["settled"][0] == out.height
    assert said["refused"][0] == rejects.height
    assert said["in"][1] == said["settled"][1] + said["refused"][1]
    assert rejects.columns == [*claims.columns, "reason", "detail"]
    kept = rejects.drop("reason", "detail")
    assert kept.join(claims, on=claims.columns, how="anti", nulls_equal=True).height == 0
    assert set(out["claim_id"]) | set(rejects["claim_id"].drop_nulls().str.strip_chars()) >= set(
        claims["claim_id"].drop_nulls().str.strip_chars()
    )
    return rejects


# --- bad rows ----------------------------------------------------------------------------------------------------------

BAD_ROWS: dict[str, tuple[Row, str, str]] = {
    "total": ({"total": "1500.01"}, "parts_not_total", "1500.01"),
    "negative": ({"total": "-1500.00", "in_scope": "-1500.00"}, "negative_amount", "-1500.00"),
    "three decimals": ({"off_catalogue": "0.005"}, "three_decimals", "0.005"),
    "words": ({"total": "1,500.00"}, "bad_amount", "1,500.00"),
    "nine trillion": ({"total": "9000000000000.01", "in_scope": "9000000000000.01"}, "amount_too_large", "9 trillion"),
    "end before start": ({"start_date": "2024-06-02"}, "end_before_start", "2024-06-02"),
    "no day": ({"start_date": "2024-02-30"}, "bad_date", "2024-02-30"),
    "level": ({"facility_level": "4"}, "unknown_facility_level", "'4'"),
    "care type": ({"care_type": "dentist"}, "unknown_care_type", "dentist"),
    "person": ({"person_id": "p9"}, "unknown_person", "person_id"),
    "before the policy": ({"settled_date": "1999-12-31"}, "outside_policy_dates", "1999-12-31"),
    "nothing": ({"total": None}, "missing_value", "total"),
    "nobody's stay": ({"continues": "c9"}, "unknown_continues", "continues"),
    "another's stay": ({"continues": "c2"}, "continues_other_person", "continues"),
    "nobody's claim": ({"reverses": "c9"}, "unknown_reversed", "reverses"),
}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_refused_with_its_own_reason_and_the_rest_is_settled(
    tmp_path: Path, name: str, ending: str
) -> None:
    change, reason, said = BAD_ROWS[name]
    result = settle(tmp_path, [*GOOD, a_row("bad", "p1", "2024-06-01") | change], ending=ending)
    assert result.exit_code == 1, result.output
    rejects = assert_nothing_is_lost(tmp_path, result.output, ending)
    assert rejects.select("claim_id", "reason").rows() == [("bad", reason)]
    assert said in rejects["detail"].item()
    assert f"  {reason}  1" in result.output
    assert read_table(tmp_path / f"out{ending}")["claim_id"].to_list() == ["c1", "c2", "c3"]


def test_all_rows_of_a_claim_id_that_occurs_twice_are_refused(tmp_path: Path) -> None:
    result = settle(tmp_path, [*GOOD, a_row("c2", "p3")])
    assert result.exit_code == 1
    assert assert_nothing_is_lost(tmp_path, result.output)["reason"].to_list() == ["duplicate_claim_id"] * 2


BAD_PEOPLE: dict[str, tuple[Sequence[Row], str]] = {
    "two schemes": (
        ({"person_id": "p2", "scheme": "resident"}, {"person_id": "p2", "scheme": "employee"}),
        "overlapping_schemes",
    ),
    "two rows": (({"person_id": "p2"}, {"person_id": "p2"}), "duplicate_person"),
    "unreadable": (({"person_id": "p2", "birth_date": "long ago"},), "bad_person"),
}


@pytest.mark.parametrize("name", BAD_PEOPLE)
def test_claims_of_a_person_who_cannot_be_read_are_refused_and_no_others(tmp_path: Path, name: str) -> None:
    rows, reason = BAD_PEOPLE[name]
    result = settle(tmp_path, GOOD, [PEOPLE[0], *rows, PEOPLE[2]])
    assert result.exit_code == 1
    assert assert_nothing_is_lost(tmp_path, result.output).select("claim_id", "reason").rows() == [("c2", reason)]


def test_a_status_that_cannot_be_read_refuses_the_claims_of_its_person(tmp_path: Path) -> None:
    spells = write(
        tmp_path / "spells.csv", [{"person_id": "p2", "group": "dibao", "from_date": "2024-13-01", "to_date": None}]
    )
    result = settle(tmp_path, GOOD, PEOPLE, "--spells", spells)
    assert result.exit_code == 1
    assert assert_nothing_is_lost(tmp_path, result.output).select("claim_id", "reason").rows() == [("c2", "bad_spell")]


def test_several_flaws_are_counted_apart_and_the_money_reconciles(tmp_path: Path) -> None:
    flawed = [a_row(f"b{k}", "p2", "2024-07-01") | change for k, (change, _, _) in enumerate(BAD_ROWS.values())]
    result = settle(tmp_path, [*GOOD, *flawed])
    assert result.exit_code == 1
    rejects = assert_nothing_is_lost(tmp_path, result.output)
    counts = dict(rejects["reason"].value_counts().iter_rows())
    for reason, count in counts.items():
        assert f"{reason}" in result.output
        assert count >= 1
    assert len(counts) >= len(BAD_ROWS) - 2


# --- files and commands that cannot be meant ---------------------------------------------------------------------------


def assert_refused(result: Result, code: str, *said: str) -> None:
    """See that a run ended with exit code 2 and one line that names the code, and the given words."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith(f"error [{code}]: "), result.stderr
    for words in said:
        assert words in result.stderr


def test_a_missing_column_names_the_file_both_spellings_and_the_nearest_name(tmp_path: Path) -> None:
    rows = [{("totl" if name == "total" else name): value for name, value in row.items()} for row in GOOD]
    assert_refused(settle(tmp_path, rows), "missing_column", "claims.csv", "total", "medfee_sumamt", "totl")
    assert not (tmp_path / "out.csv").exists()


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    settle(tmp_path, ending=".parquet")
    whole = (tmp_path / "claims.parquet").read_bytes()
    before = (tmp_path / "out.parquet").read_bytes()
    for spoiled in (whole[: len(whole) // 2], b"not at all", b""):
        (tmp_path / "claims.parquet").write_bytes(spoiled)
        arguments = ("settle", tmp_path / "claims.parquet", "--people", tmp_path / "people.parquet")
        result = run(*arguments, "--policy", "cn/beijing", "--out", tmp_path / "out.parquet")
        assert_refused(result, "broken_parquet", "claims.parquet", "again")
    assert (tmp_path / "out.parquet").read_bytes() == before


def test_a_csv_file_in_a_chinese_legacy_code_page_is_refused_with_the_next_step(tmp_path: Path) -> None:
    settle(tmp_path, [a_row("c1", note="好")])
    text = (tmp_path / "claims.csv").read_text()
    (tmp_path / "claims.csv").write_bytes(text.encode("gbk"))
    arguments = ("settle", tmp_path / "claims.csv", "--people", tmp_path / "people.csv", "--policy", "cn/beijing")
    assert_refused(run(*arguments, "--out", tmp_path / "o.csv"), "broken_csv", "GBK", "UTF-8")


def test_a_policy_file_with_a_typo_names_file_line_and_the_nearest_key(tmp_path: Path) -> None:
    text = (EXAMPLES / "policies" / "small-city.yaml").read_text(encoding="utf-8")
    policy = tmp_path / "city.yaml"
    policy.write_text(text.replace("brackets", "brakets", 1), encoding="utf-8")
    line = next(
        number for number, words in enumerate(policy.read_text(encoding="utf-8").splitlines(), 1) if "brakets" in words
    )
    result = settle(tmp_path, policy=str(policy))
    assert_refused(result, "policy_invalid", f"city.yaml, line {line}", "nearest known key is brackets")


MISUSES: dict[str, tuple[Sequence[str], str, str]] = {
    "unknown policy": (["--policy", "cn/beijng"], "policy_not_found", "did you mean cn/beijing?"),
    "a day before the policy": (["--policy", "cn/beijing@2001-01-01"], "policy_not_found", "2018-01-01"),
    "unknown reform": (["--reform", "nowhere.yaml"], "reform_not_found", "nowhere.yaml"),
    "memory in words": (["--limit-memory", "lots"], "bad_memory", "4GB"),
    "no memory": (["--limit-memory", "0GB"], "bad_memory", "0GB"),
    "unknown ending": (["--out", "out.xlsx"], "unknown_format", "out.xlsx"),
    "no such folder": (["--out", "nowhere/out.csv"], "cannot_write", "nowhere/out.csv"),
    "one file for two outputs": (["--out", "o.csv", "--trace", "o.csv"], "same_output", "o.csv"),
    "no such opening": (["--opening", "nowhere.csv"], "file_not_found", "nowhere.csv"),
    "no such statuses": (["--spells", "nowhere.csv"], "file_not_found", "nowhere.csv"),
    "no such earlier settlements": (["--previous", "nowhere.csv"], "file_not_found", "nowhere.csv"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_is_one_line_with_the_value_and_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    options, code, said = MISUSES[name]
    monkeypatch.chdir(tmp_path)
    result = settle(tmp_path, GOOD, PEOPLE, *options)
    assert_refused(result, code, said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["claims.csv", "people.csv"]


@pytest.mark.parametrize("option", ["--out", "--rejects", "--trace", "--closing", "--differences"])
@pytest.mark.parametrize("limit", [(), ("--limit-memory", "1KB")])
def test_no_output_may_stand_over_an_input(tmp_path: Path, option: str, limit: tuple[str, ...]) -> None:
    settle(tmp_path)
    before = (tmp_path / "claims.csv").read_bytes()
    (tmp_path / "link.csv").symlink_to(tmp_path / "claims.csv")
    for name in ("claims.csv", "link.csv"):
        result = settle(tmp_path, GOOD, PEOPLE, option, tmp_path / name, *limit)
        assert_refused(result, "would_replace_input", name)
    assert (tmp_path / "claims.csv").read_bytes() == before


def test_a_folder_in_the_place_of_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "all.csv").mkdir()
    arguments = (
        "settle",
        tmp_path / "all.csv",
        "--people",
        write(tmp_path / "p.csv", PEOPLE),
        "--policy",
        "cn/beijing",
    )
    assert_refused(run(*arguments, "--out", tmp_path / "o.csv"), "file_not_found", "all.csv is a folder")
    claims = write(tmp_path / "c.csv", GOOD)
    arguments = ("settle", claims, "--people", tmp_path / "p.csv", "--policy", "cn/beijing")
    assert_refused(run(*arguments, "--out", tmp_path / "all.csv"), "cannot_write", "all.csv")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everywhere")
def test_a_folder_that_may_not_be_read_or_written_is_named(tmp_path: Path) -> None:
    claims = write(tmp_path / "c.csv", GOOD)
    people = write(tmp_path / "p.csv", PEOPLE)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    for limit in ((), ("--limit-memory", "1KB")):
        result = run("settle", claims, "--people", people, "--policy", "cn/beijing", "--out", closed / "o.csv", *limit)
        assert result.exit_code == 2
        assert "closed" in result.stderr
    claims.chmod(0)
    result = run("settle", claims, "--people", people, "--policy", "cn/beijing", "--out", tmp_path / "o.csv")
    assert_refused(result, "cannot_read", "c.csv")


def test_a_policy_that_was_not_published_whole_is_refused_until_a_reform_supplies_the_numbers(tmp_path: Path) -> None:
    rows = [a_row("c1", day="2023-08-01", total="50000.00", off_catalogue="50000.00", in_scope="0.00")]
    for limit in ((), ("--limit-memory", "1KB")):
        result = settle(tmp_path, rows, PEOPLE, *limit, policy="cn/guangdong/dongguan-jiafu")
        assert_refused(result, "policy_value_missing", "--reform", "change:", "tiers/commercial/parts/cover")
        assert not (tmp_path / "out.csv").exists()
    reform = tmp_path / "supplied.yaml"
    part = "tiers/commercial/parts/cover"
    reform.write_text(f"change: {{{part}/deductible/amount: 20000, {part}/brackets/only/rate: 80}}\n")
    result = settle(tmp_path, rows, PEOPLE, "--reform", reform, policy="cn/guangdong/dongguan-jiafu")
    assert result.exit_code == 0, result.output
    assert read_table(tmp_path / "out.csv")["pay_commercial"].to_list() == ["24000.00"]


def test_memory_is_read_as_people_write_it() -> None:
    assert memory_of("1.5GB") == memory_of("1.5 gib") == 1_500_000_000
    for nonsense in ("", "GB", "4 4GB", "-1GB", "1e9", "0", "9" * 400):
        with pytest.raises(UsageError):
            memory_of(nonsense)


# --- a full disk, an interruption --------------------------------------------------------------------------------------

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv = ["medfloor", *sys.argv[2:]]
from medfloor.cli.main import main
main()
"""


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("limit", [(), ("--limit-memory", "1KB")])
def test_a_full_disk_leaves_the_old_output_whole_and_nothing_half_made(
    tmp_path: Path, ending: str, limit: tuple[str, ...]
) -> None:
    claims = write(tmp_path / "claims.csv", [a_row(f"c{k:03d}", f"p{k % 3 + 1}") for k in range(400)])
    people = write(tmp_path / "people.csv", PEOPLE)
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = ["settle", str(claims), "--people", str(people), "--policy", "cn/beijing", "--engine", "reference"]
    arguments += ["--out", str(folder / f"o{ending}"), "--trace", str(folder / f"t{ending}"), *limit]
    for name in ("o", "t"):
        (folder / f"{name}{ending}").write_text("old")
    call = [sys.executable, "-c", LIMITED, "4000", *arguments]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error [cannot_write]: ")
    assert "unchanged" in done.stderr
    assert {path.name: path.read_text() for path in folder.iterdir()} == {f"o{ending}": "old", f"t{ending}": "old"}


def test_an_interrupted_run_leaves_the_old_output_whole_and_exits_130(tmp_path: Path) -> None:
    people = [{"person_id": f"p{k:04d}"} for k in range(1500)]
    claims = write(tmp_path / "claims.csv", [a_row(f"c{k}", f"p{k:04d}") for k in range(1500)])
    write(tmp_path / "people.csv", people)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "o.csv").write_text("old")
    call = [sys.executable, "-m", "medfloor.cli.main", "settle", str(claims), "--people", str(tmp_path / "people.csv")]
    call += ["--policy", "cn/beijing", "--out", str(folder / "o.csv"), "--limit-memory", "1KB"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 120
        while not list(folder.glob(".o.*.part")) and time.monotonic() < until:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said.strip() == "interrupted; what was not finished was not written"
    assert [path.name for path in folder.iterdir()] == ["o.csv"]
    assert (folder / "o.csv").read_text() == "old"


# --- what comes out ----------------------------------------------------------------------------------------------------


def settle_sample(folder: Path, *more: object, claims: Path | None = None, ending: str = ".csv") -> Result:
    """Settle the shipped sample into a folder."""
    spells = () if "--spells" in more else ("--spells", SAMPLE / "spells.csv")
    policy = () if "--policy" in more else ("--policy", "cn/beijing")
    given = ("settle", claims or SAMPLE / "claims.csv", "--people", SAMPLE / "people.csv", *spells, *policy)
    return run(*given, "--out", folder / f"out{ending}", *more)


def test_settlements_have_the_columns_of_the_contract_in_order_and_every_row_adds_up(tmp_path: Path) -> None:
    result = settle_sample(tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""  # no progress bar where nobody watches
    out = read_table(tmp_path / "out.csv")
    pays = ["pay_basic", "pay_critical_illness", "pay_assistance"]
    assert out.columns == [*SETTLEMENT_KEYS, *pays, *SETTLEMENT_SUMS, "case"]
    money = out.with_columns(pl.col(n).cast(pl.Decimal(20, 2)) for n in out.columns[5:15])
    assert money.filter(pl.col("total") != pl.col("pay_total") + pl.col("own_total")).height == 0
    assert money.filter(pl.col("own_total") != pl.col("own_in_scope") + pl.col("own_outside")).height == 0
    assert money.filter(pl.col("pay_total") != sum(pl.col(n) for n in pays)).height == 0
    assert out["person_id"].is_sorted()
    first = out.row(0, named=True)
    assert (first["pay_basic"], first["pay_critical_illness"], first["own_total"]) == (
        "96525.00",
        "1842.60",
        "51632.40",
    )


def test_parquet_in_and_out_gives_what_csv_gives(tmp_path: Path) -> None:
    claims = pl.read_csv(SAMPLE / "claims.csv", infer_schema=False)
    money = ("total", "off_catalogue", "over_limit", "first_self_pay", "in_scope")
    typed = claims.with_columns(
        *(pl.col(name).cast(pl.Float64) for name in money),
        *(pl.col(name).str.to_date() for name in ("start_date", "end_date", "settled_date")),
        pl.col("care_type").cast(pl.Categorical),
    )
    typed.write_parquet(tmp_path / "claims.parquet")
    exact = claims.with_columns(pl.col(name).cast(pl.Decimal(18, 2)) for name in money)
    exact.write_parquet(tmp_path / "exact.parquet")
    settle_sample(tmp_path)
    text = read_table(tmp_path / "out.csv")
    for name, kind in (("claims", pl.Float64), ("exact", pl.Decimal(18, 2))):
        assert settle_sample(tmp_path, claims=tmp_path / f"{name}.parquet", ending=".parquet").exit_code == 0
        out = pl.read_parquet(tmp_path / "out.parquet")
        assert out.schema["pay_total"] == kind
        assert_frame_equal(out.select(pl.all().cast(pl.String)), text.select(_as_parquet_shows(text, kind)))
        settle_sample(tmp_path, claims=tmp_path / f"{name}.parquet")
        assert_frame_equal(read_table(tmp_path / "out.csv"), text)


def _as_parquet_shows(text: pl.DataFrame, kind: Any) -> list[pl.Expr]:
    money = [n for n in text.columns if n in ("total", "in_scope", *SETTLEMENT_SUMS) or n.startswith("pay_")]
    return [(pl.col(n).cast(kind).cast(pl.String) if n in money else pl.col(n)).alias(n) for n in text.columns]


NATIONAL_NAMES = {
    "claim_id": "mdtrt_id", "person_id": "psn_no", "care_type": "med_type", "start_date": "begndate",
    "end_date": "enddate", "settled_date": "setl_time", "facility_level": "hosp_lv", "total": "medfee_sumamt",
    "off_catalogue": "fulamt_ownpay_amt", "over_limit": "overlmt_selfpay", "first_self_pay": "preselfpay_amt",
    "in_scope": "inscp_scp_amt",
}  # fmt: skip
MED_TYPES = {"inpatient": "2101", "outpatient": "11", "special_outpatient": "1402", "two_disease": "9901"}
HOSP_LEVELS = {"3": "02", "2": "06", "1": "09", "primary": "11"}


def national_sample(folder: Path) -> Path:
    """Write the sample as the national platform would: its names, its codes, times of day in dates."""
    claims = pl.read_csv(SAMPLE / "claims.csv", infer_schema=False)
    claims = claims.with_columns(
        pl.col("care_type").replace_strict(MED_TYPES),
        pl.col("facility_level").replace_strict(HOSP_LEVELS),
        pl.col("settled_date") + " 10:30:00",
    )
    claims.rename(NATIONAL_NAMES).write_csv(folder / "national.csv")
    return folder / "national.csv"


def test_an_extract_of_the_national_platform_is_paid_like_our_own_columns(tmp_path: Path) -> None:
    settle_sample(tmp_path)
    ours = read_table(tmp_path / "out.csv")
    assert settle_sample(tmp_path, claims=national_sample(tmp_path)).exit_code == 0
    assert_frame_equal(read_table(tmp_path / "out.csv"), ours)


def test_national_columns_have_every_field_of_setlinfo_and_reconcile(tmp_path: Path) -> None:
    settle_sample(tmp_path)
    ours = read_table(tmp_path / "out.csv")
    assert settle_sample(tmp_path, "--columns", "national", "--rejects", tmp_path / "r.csv").exit_code == 0
    out = read_table(tmp_path / "out.csv")
    fields = ["act_pay_dedc", "hifp_pay", "hifmi_pay", "maf_pay", "othfund_pay", "fund_pay_sumamt", "psn_part_amt"]
    rest = [
        "cvlserv_pay",
        "hifes_pay",
        "hifob_pay",
        "hifdm_pay",
        "hosp_part_amt",
        "acct_pay",
        "psn_cash_pay",
        "acct_mulaid_pay",
        "balc",
    ]
    keys = [NATIONAL_NAMES[n] for n in ("claim_id", "person_id", "settled_date", "total", "in_scope")]
    assert {*fields, *rest, *keys, "pool_prop_selfpay"} <= set(out.columns)
    pairs = {
        "claim_id": "mdtrt_id",
        "pay_basic": "hifp_pay",
        "pay_critical_illness": "hifmi_pay",
        "own_total": "psn_part_amt",
    }
    pairs |= {
        "pay_assistance": "maf_pay",
        "pay_total": "fund_pay_sumamt",
        "deductible": "act_pay_dedc",
        "total": "medfee_sumamt",
    }
    for one, other in pairs.items():
        assert ours[one].to_list() == out[other].to_list(), other
    money = out.with_columns(pl.col(n).cast(pl.Decimal(20, 2)) for n in (*fields, *rest, "medfee_sumamt"))
    funds = sum(pl.col(n) for n in ("hifp_pay", "hifmi_pay", "maf_pay", "othfund_pay", *rest[:4]))
    assert money.filter(pl.col("fund_pay_sumamt") != funds).height == 0
    whole = pl.col("fund_pay_sumamt") + pl.col("psn_part_amt") + pl.col("hosp_part_amt")
    assert money.filter(pl.col("medfee_sumamt") != whole).height == 0
    assert money.filter(pl.col("psn_part_amt") != pl.col("psn_cash_pay") + pl.col("acct_pay")).height == 0


@pytest.mark.parametrize("columns", ["ours", "national"])
def test_columns_that_the_contract_does_not_know_come_through(tmp_path: Path, columns: str) -> None:
    rows = [a_row("c1", note='a "b", 好\nc', pay_way="cash", 编号="007", _id="9")]
    assert settle(tmp_path, rows, PEOPLE, "--columns", columns).exit_code == 0
    out = read_table(tmp_path / "out.csv")
    assert out.select("note", "pay_way", "编号", "_id").rows() == [('a "b", 好\nc', "cash", "007", "9")]


def test_the_trace_adds_up_to_the_settlements(tmp_path: Path) -> None:
    assert settle_sample(tmp_path, "--trace", tmp_path / "trace.csv").exit_code == 0
    trace, out = read_table(tmp_path / "trace.csv"), read_table(tmp_path / "out.csv")
    brackets = [name for name in trace.columns if name.startswith("bracket_")]
    assert brackets == [f"bracket_{k + 1}" for k in range(len(brackets))] != []
    head = ["claim_id", "tier", "group", "base", "deductible", "eligible"]
    assert trace.columns == [*head, *brackets, "before_cap", "cap_left", "pay", "source"]
    assert trace["source"].null_count() == 0
    paid = trace.with_columns(pl.col("pay").cast(pl.Decimal(20, 2))).group_by("claim_id").agg(pl.col("pay").sum())
    kept = out.filter(~pl.col("claim_id").is_in(["C21", "C22"])).join(paid, on="claim_id", how="left")
    assert kept.height == out.height - 2  # a claim taken back, and the row that takes it back, are in no trace
    assert kept.filter(pl.col("pay_total").cast(pl.Decimal(20, 2)) != pl.col("pay").fill_null(0)).height == 0
    stays = trace.filter(pl.col("claim_id") == "C02")
    assert stays.select("tier", "group").rows() == [
        ("basic", "none"),
        ("critical_illness", "dibao"),
        ("assistance", "dibao"),
    ]


def test_a_year_in_two_files_is_settled_as_in_one(tmp_path: Path) -> None:
    claims = [
        a_row("s1", day="2024-02-01", total="700.00", facility_level="1"),
        a_row("s2", day="2024-02-02", total="42000.00", continues="s1"),
        a_row("s3", day="2024-08-01", total="60000.00"),
        a_row("s4", "p2", "2024-09-01", total="260000.00"),
        a_row("s5", "p2", "2024-01-01", total="160000.00"),
    ]
    early = [row for row in claims if row["claim_id"] in ("s1", "s5")]
    late = [row for row in claims if row not in early]
    for name in ("whole", "first", "second"):
        (tmp_path / name).mkdir()
    assert settle(tmp_path / "whole", claims, PEOPLE, "--closing", tmp_path / "whole.csv").exit_code == 0
    assert settle(tmp_path / "first", early, PEOPLE, "--closing", tmp_path / "may.parquet").exit_code == 0
    options = ("--opening", tmp_path / "may.parquet", "--closing", tmp_path / "halves.csv")
    assert settle(tmp_path / "second", late, PEOPLE, *options).exit_code == 0
    assert (tmp_path / "halves.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    drop = pl.all().exclude("sequence")
    whole = read_table(tmp_path / "whole" / "out.csv").select(drop).sort("claim_id")
    halves = [read_table(tmp_path / name / "out.csv").select(drop) for name in ("first", "second")]
    assert_frame_equal(pl.concat(halves).sort("claim_id"), whole)


def test_a_late_claim_changes_what_follows_it_and_previous_lists_it(tmp_path: Path) -> None:
    early = [a_row("c1", day="2024-05-01", total="20000.00")]
    assert settle(tmp_path, early).exit_code == 0
    (tmp_path / "out.csv").rename(tmp_path / "earlier.csv")
    late = [*early, a_row("c0", day="2024-02-01", total="20000.00")]
    result = settle(tmp_path, late, PEOPLE, "--previous", tmp_path / "earlier.csv")
    assert result.exit_code == 0
    found = read_table(tmp_path / "out.differences.csv")
    # The stay is the second of the year now: half of 1,300 is deducted less, of which 75 % (78 % above 30,000) is paid.
    assert found.select("claim_id", "tier", "difference").rows() == [
        ("c1", "basic", "487.50"),
        ("c1", "total", "487.50"),
    ]
    assert "Settlements that changed: 1. The fund owes 487.50 yuan more" in result.output


def test_a_reversal_takes_a_claim_back_and_lists_what_changed(tmp_path: Path) -> None:
    rows = [a_row("c0", day="2024-02-01"), a_row("c1", day="2024-05-01", total="20000.00")]
    rows.append(
        {"claim_id": "r0", "person_id": "p1", "start_date": "2024-06-01", "end_date": "2024-06-01", "reverses": "c0"}
    )
    assert settle(tmp_path, rows).exit_code == 0
    out = read_table(tmp_path / "out.csv")
    assert out["claim_id"].to_list() == ["c0", "c1", "r0"]
    pays = dict(out.select("claim_id", pl.col("pay_total").cast(pl.Decimal(20, 2))).iter_rows())
    assert pays["c0"] == -pays["r0"] > 0
    found = read_table(tmp_path / "out.differences.csv")
    assert found.select("claim_id", "tier", "difference").rows() == [
        ("c1", "basic", "-487.50"),
        ("c1", "total", "-487.50"),
    ]


def test_reforms_are_applied_one_after_the_other(tmp_path: Path) -> None:
    half, cap = EXAMPLES / "reforms" / "half_deductible.yaml", EXAMPLES / "reforms" / "oop_cap.yaml"
    pays = {}
    pinned = ("--policy", "cn/beijing@2024-01-01")
    for name, reforms in (("none", []), ("half", [half]), ("both", [half, cap])):
        options = [option for reform in reforms for option in ("--reform", reform)]
        result = settle_sample(tmp_path, *pinned, *options)
        assert result.exit_code == 0, result.output
        pays[name] = read_table(tmp_path / "out.csv").filter(pl.col("claim_id") == "C01").row(0, named=True)
    assert "pay_oop_cap" not in pays["half"]
    # Half of 30,404 less is deducted from the burden of 33,475: 60 % of 15,202 more is paid.
    assert Decimal(pays["half"]["pay_critical_illness"]) - Decimal(pays["none"]["pay_critical_illness"]) == Decimal(
        "9121.20"
    )
    assert Decimal(pays["both"]["own_in_scope"]) == 10_000


def test_a_policy_may_be_pinned_or_a_file(tmp_path: Path) -> None:
    row = a_row("c1", day="2020-03-01", total="150000.00")
    tiers = {}
    city = str(EXAMPLES / "policies" / "small-city.yaml")
    for policy in ("cn/beijing", "cn/beijing@2020-01-01", "cn/beijing@2024-01-01", city):
        assert (
            settle(
                tmp_path, [row | {"settled_date": "2025-01-01"}] if policy == city else [row], policy=policy
            ).exit_code
            == 0
        )
        out = read_table(tmp_path / "out.csv")
        tiers[policy] = [name for name in out.columns if name.startswith("pay_") and name != "pay_total"]
    assert "pay_assistance" in tiers["cn/beijing"]
    assert tiers["cn/beijing@2020-01-01"] == ["pay_basic", "pay_critical_illness"]
    assert tiers["cn/beijing@2024-01-01"] == ["pay_basic", "pay_critical_illness", "pay_assistance"]
    assert tiers[city] == ["pay_basic", "pay_assistance"]


def test_the_summary_is_printed_in_both_languages_and_reconciles(tmp_path: Path) -> None:
    rows = [*GOOD, a_row("bad", total="10.00", in_scope="9.00")]
    english = settle(tmp_path, rows).output
    chinese = settle(tmp_path, rows, PEOPLE, "--lang", "zh").output
    assert summed_up(english)["in"] == (4, Decimal("91010.10"))
    for text in ("按 cn/beijing 结算", "读入", "已结算", "拒收", "基本医疗保险", "out.rejects.csv"):
        assert text in chinese
    numbers = [[w for w in text.split() if w[0].isdigit()] for text in (english, chinese)]
    assert numbers[0] == numbers[1]
    paid = [yuan_in(line.split()[-3]) for line in english.splitlines() if line.endswith("%")]
    assert sum(paid[:-1]) == paid[-1] == Decimal("91000.10")


def test_refused_rows_go_beside_the_output_or_where_they_are_sent(tmp_path: Path) -> None:
    rows = [*GOOD, a_row("bad", total="10.00", in_scope="9.00")]
    settle(tmp_path, rows)
    assert (tmp_path / "out.rejects.csv").exists()
    (tmp_path / "out.rejects.csv").unlink()
    settle(tmp_path, rows, PEOPLE, "--rejects", tmp_path / "why.parquet")
    assert not (tmp_path / "out.rejects.csv").exists()
    assert pl.read_parquet(tmp_path / "why.parquet")["note"].to_list() == ["keep bad"]
    settle(tmp_path, GOOD, PEOPLE, "--rejects", tmp_path / "why.parquet")
    assert pl.read_parquet(tmp_path / "why.parquet").height == 0


OUTPUTS = ("out", "out.rejects", "out.differences", "trace", "closing")


def all_outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.csv").read_bytes() for name in OUTPUTS if (folder / f"{name}.csv").exists()}


def test_the_same_and_shuffled_input_give_the_same_bytes(tmp_path: Path) -> None:
    claims = pl.read_csv(SAMPLE / "claims.csv", infer_schema=False)
    more = ("--trace", tmp_path / "trace.csv", "--closing", tmp_path / "closing.csv")
    seen = []
    for seed in (None, None, 1, 2):
        (claims if seed is None else claims.sample(fraction=1.0, shuffle=True, seed=seed)).write_csv(tmp_path / "c.csv")
        assert settle_sample(tmp_path, *more, claims=tmp_path / "c.csv").exit_code == 0
        seen.append(all_outputs(tmp_path))
    assert len(seen[0]) == 4
    assert seen[1:] == seen[:1] * 3


@pytest.mark.parametrize("columns", ["ours", "national"])
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_limited_memory_gives_the_same_files(tmp_path: Path, columns: str, ending: str) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    claims = pl.read_csv(SAMPLE / "claims.csv", infer_schema=False)
    bad = claims.head(3).with_columns(
        pl.concat_str(pl.lit("X"), "claim_id").alias("claim_id"), pl.lit("9").alias("total")
    )
    again = claims.tail(2).with_columns(pl.lit("P01").alias("person_id"))
    pl.concat([claims, bad, again]).write_csv(tmp_path / "c.csv")
    for folder, limit in ((whole, ()), (parts, ("--limit-memory", "1KB"))):
        folder.mkdir()
        more = (
            "--trace",
            folder / f"trace{ending}",
            "--closing",
            folder / f"closing{ending}",
            "--columns",
            columns,
            *limit,
        )
        assert settle_sample(folder, *more, claims=tmp_path / "c.csv", ending=ending).exit_code == 1
    assert sorted(p.name for p in whole.iterdir()) == sorted(p.name for p in parts.iterdir())
    for path in whole.iterdir():
        if ending == ".csv":
            assert path.read_bytes() == (parts / path.name).read_bytes()
        else:
            assert_frame_equal(pl.read_parquet(path), pl.read_parquet(parts / path.name))


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("limit", [(), ("--limit-memory", "1KB")])
def test_files_without_rows_settle_to_files_without_rows(tmp_path: Path, ending: str, limit: tuple[str, ...]) -> None:
    write(tmp_path / f"claims{ending}", GOOD)
    write(tmp_path / f"people{ending}", PEOPLE)
    for name in ("claims", "people"):
        empty = read_table(tmp_path / f"{name}{ending}").head(0)
        empty.write_csv(tmp_path / f"{name}.csv") if ending == ".csv" else empty.write_parquet(
            tmp_path / f"{name}.parquet"
        )
    given = ("settle", tmp_path / f"claims{ending}", "--people", tmp_path / f"people{ending}", "--policy", "cn/beijing")
    more = (
        "--trace",
        tmp_path / f"t{ending}",
        "--closing",
        tmp_path / f"c{ending}",
        "--rejects",
        tmp_path / f"r{ending}",
    )
    result = run(*given, "--out", tmp_path / f"out{ending}", *more, *limit)
    assert result.exit_code == 0, result.output
    for name in ("out", "t", "c", "r"):
        table = read_table(tmp_path / f"{name}{ending}")
        assert table.height == 0
        assert table.width > 5
    assert summed_up(result.output)["in"] == (0, Decimal(0))


def test_an_output_keeps_the_permissions_of_the_file_that_it_replaces(tmp_path: Path) -> None:
    settle(tmp_path)
    (tmp_path / "out.csv").chmod(0o600)
    settle(tmp_path)
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600


def test_csv_output_is_read_back_by_other_programs(tmp_path: Path) -> None:
    settle(tmp_path, [a_row("c1", note='say "yes", twice')])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8"))))
    assert rows[0]["note"] == 'say "yes", twice'
    assert rows[0]["total"] == "1500.00"


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for lang, lines in (
        (
            "en",
            ["going on: 1 of 4 parts are done already", "cut 5,000,000 of 9,000,000 claims", "settled 2 of 4 parts"],
        ),
        ("zh", ["接着上次继续：4 份中已完成 1 份", "已分割 5,000,000 / 9,000,000 条费用记录", "已结算 2 / 4 份"]),
    ):
        told = (("kept", 1, 4), ("cut", 5_000_000, 9_000_000), ("settle", 2, 4), ("settle", 1, 1))
        for seconds, expected in ((3600, lines[:1]), (0, lines)):
            monkeypatch.setattr(settle_command, "SECONDS_A_LINE", seconds)
            with Progress(False, lang) as shown:
                for one in told:
                    shown.show(*one)
            assert capsys.readouterr().err.splitlines() == expected


def test_progress_is_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(True, "en") as shown:
        for one in (("cut", 3, 3), ("kept", 1, 2), ("settle", 1, 2), ("settle", 2, 2)):
            shown.show(*one)
    told = capsys.readouterr().err
    assert "cutting" in told
    assert "going on: 1 of 2" in told
    assert "settling" in told


def test_a_folder_to_work_in_is_gone_at_the_end_and_refused_where_it_holds_other_things(tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert settle(tmp_path, GOOD, PEOPLE, "--limit-memory", "1", "--work", work).exit_code == 0
    assert not work.exists()
    assert_refused(settle(tmp_path, GOOD, PEOPLE, "--work", tmp_path), "not_a_work_folder", "name an empty folder")
