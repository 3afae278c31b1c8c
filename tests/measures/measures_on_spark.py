"""What the one test on a Spark cluster checks of measures: every answer is, byte for byte, that of one machine.

`tests/settlement/test_spark.py` runs `CHECKS` on its cluster.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from click.testing import CliRunner, Result
from test_tiers import county

from medfloor.cli.measure import command
from medfloor.errors import MedfloorError
from medfloor.intake import partition_path

HOMES, SETTLED, PEOPLE = "homes.parquet", "settled", "people"


def measure(*arguments: str, spark: bool = False) -> Result:
    """Run `medfloor measure`."""
    return CliRunner().invoke(command, [*arguments, *(["--engine", "spark"] if spark else [])])


def held_against(folder: Path, arguments: str, code: int = 0) -> Result:
    """Ask here and on the cluster; both print the same, end alike, and write the same rejects."""
    answers = []
    for spark in (False, True):
        words = [str(folder / one) if (folder / one).exists() else one for one in arguments.split()]
        last = measure(*words, "--rejects", str(folder / f"rejects-{spark}.csv"), spark=spark)
        error = last.exception
        if isinstance(error, MedfloorError):  # which `main` says in one line
            answers.append((2, error.code, error.message))
        else:
            assert not error or isinstance(error, SystemExit), "".join(traceback.format_exception(error))
            answers.append((last.exit_code, last.stdout, last.stderr.replace(f"rejects-{spark}", "rejects")))
    assert answers[0] == answers[1], "\n".join([arguments, *(str(answer)[:1000] for answer in answers)])
    assert answers[0][0] == code, answers[0]
    here, there = folder / "rejects-False.csv", folder / "rejects-True.csv"
    assert here.exists() == there.exists() == (code == 1)
    if code == 1:
        assert here.read_bytes() == there.read_bytes()
        here.unlink()
        there.unlink()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    return last


def lay_out(folder: Path, homes: int = 150) -> pl.DataFrame:
    """Write a county: households in a file, people by place, settlements by place and month, with some taken back."""
    households, settlements, people = county(homes)
    rng = np.random.default_rng(8)
    households.with_columns(
        area=pl.Series(rng.choice(["北", "南", "西"], homes)), low_income=pl.Series(rng.random(homes) < 0.3)
    ).write_parquet(folder / HOMES)
    back = settlements.gather(rng.choice(settlements.height, 12, replace=False))
    back = back.with_columns(-pl.col(pl.Float64), claim_id=pl.lit("back-") + pl.col("claim_id"))
    rows = pl.concat([settlements, back]).sample(fraction=1, shuffle=True, seed=4)
    rows = rows.with_columns(
        residence=pl.Series(rng.choice(["urban", "rural"], rows.height)),
        age=pl.Series(rng.choice(["0-17", "18-59", "60+"], rows.height)),
        own_total=(pl.col("total") - pl.col("pay_total")).round(2),
        income=pl.Series(rng.choice([0.0, 9_000.0, 30_000.0], rows.height)),
        **{f"note_{place}": pl.lit("not needed") for place in range(5)},
    )
    spread(rows, folder / SETTLED, months=True)
    spread(people, folder / PEOPLE, months=False)
    return rows


def spread(rows: pl.DataFrame, folder: Path, *, months: bool) -> None:
    """Lay rows by place, and by month where asked, two files each."""
    keys = {"place": ["110101", "110102"]} | ({"month": ["2024-01", "2024-02"]} if months else {})
    number = pl.int_range(rows.height, eager=True)
    step = 1
    for name, values in keys.items():
        rows = rows.with_columns(pl.Series(name, [values[k] for k in number // step % len(values)]))
        step *= len(values)
    for values, part in rows.partition_by(*keys, as_dict=True, maintain_order=True).items():
        at = folder / partition_path(dict(zip(keys, map(str, values), strict=True)))
        at.mkdir(parents=True)
        half = part.height // 2
        for name, some in (("a", part.head(half)), ("b", part.tail(-half))):
            some.drop(*keys).write_parquet(at / f"{name}.parquet")


def by_tier_is_that_of_one_machine(folder: Path, _: Any) -> None:
    lay_out(folder)
    asked = f"by-tier {HOMES} --settlements {SETTLED} --people {PEOPLE}"
    done = held_against(folder, f"{asked} --by residence --by area --by low_income --format json")
    assert '"group": "北"' in done.stdout
    # Of people in households that are not there, some claims are left out; tiers are joined, another measure is taken.
    pl.read_parquet(folder / HOMES).tail(-5).write_parquet(folder / "few.parquet")
    few = asked.replace(HOMES, "few.parquet")
    some = "--unknown leave_out --tiers basic,critical_illness+assistance --of impoverishing --line 6000 --unit person"
    held_against(folder, f"{few} {some} --year 2024 --by area --against 北 --format csv")
    held_against(folder, f"{asked} --tiers basic,luck", 2)


def burden_and_reimbursement_are_those_of_one_machine(folder: Path, _: Any) -> None:
    rows = lay_out(folder)
    held_against(folder, f"burden {SETTLED} --reference mean --by residence --by age --format json")
    held_against(folder, f"burden {SETTLED} --reference median --by place --by month --format csv")
    held_against(folder, f"reimbursement {SETTLED} --by residence --by age --format json")
    held_against(folder, f"cliff {SETTLED} --status residence --eligible rural --map paid=pay_total --format json")
    # Text that is no number: those rows are refused, and are told as they came.
    text = rows.with_columns(
        total=pl.when(pl.int_range(pl.len()) % 50 == 7).then(pl.lit("much")).otherwise(pl.col("total").cast(pl.String))
    )
    spread(text, folder / "text", months=True)
    held_against(folder, "burden text --reference 20000 --by residence --format csv", 1)
    held_against(folder, f"by-tier {HOMES} --settlements text --people {PEOPLE}", 2)


def funds_that_pay_nothing_and_claims_that_name_others(folder: Path, _: Any) -> None:
    """The national platform's names, a fund with zeros only, and a column that says what was taken back; and CSV."""
    rows = lay_out(folder, 60)
    names = {"claim_id": "mdtrt_id", "person_id": "psn_no", "total": "medfee_sumamt", "pay_basic": "hifp_pay"}
    names |= {"pay_critical_illness": "hifmi_pay", "pay_assistance": "maf_pay", "pay_total": "fund_pay_sumamt"}
    national = rows.rename(names).drop("own_total").with_columns(hifob_pay=pl.lit(0.0), hifes_pay=pl.lit(0.0))
    back = pl.col("mdtrt_id").str.starts_with("back-")
    reverses = pl.when(back).then(pl.col("mdtrt_id").str.strip_prefix("back-"))
    spread(national.with_columns(reverses=reverses), folder / "national", months=False)
    held_against(folder, "burden national --reference mean --by residence --format json")
    held_against(folder, "reimbursement national --by age --format csv")
    done = held_against(folder, f"by-tier {HOMES} --settlements national --people {PEOPLE} --format csv")
    assert "hifob" not in done.stdout
    rows.write_csv(folder / "settled.csv")
    held_against(folder, "burden settled.csv --reference mean --by residence --format csv")


CHECKS: tuple[Callable[[Path, Any], None], ...] = (
    by_tier_is_that_of_one_machine,
    burden_and_reimbursement_are_those_of_one_machine,
    funds_that_pay_nothing_and_claims_that_name_others,
)
