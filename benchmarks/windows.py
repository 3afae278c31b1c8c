"""The job that depends on order: the same simple schedule claim by claim, by the kernel, DuckDB's windows and Polars.

Everybody starts from the same integer columns in random order, made ready in the program's own form, sorts them, and
ends with three payments a claim.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from contest import Columns, Peer

POLICY = Path(__file__).with_name("three_tiers.yaml")
SQL = """
with sorted as (
  select *, row_number() over w as admission from claims window w as (partition by person order by day, id)
), basic as (
  select *, greatest(0, amount - case level when 0 then 10000 when 1 then 30000 when 2 then 80000 else 130000 end
                        // (case when admission > 1 then 2 else 1 end)) as eligible,
    case level when 0 then 9000 when 1 then 8000 when 2 then 7800 else 6500 end as rate from sorted
), cut as (
  select *, (eligible * rate + 5000) // 10000 as due from basic
), one as (
  select *, sum(due) over w as reached from cut window w as (partition by person order by day, id)
), two as (
  select *, (least(10000000, reached) - least(10000000, reached - due))::bigint as pay1 from one
), three as (
  select *, amount - pay1 as burden,
    sum(amount - pay1) over (partition by person order by day, id) as year from two
), four as (
  select *, greatest(0, year - 1500000) as after, greatest(0, year - burden - 1500000) as before from three
), five as (
  select *, ((least(after, 5000000) * 6000 + greatest(0, after - 5000000) * 7000 + 5000) // 10000
           - (least(before, 5000000) * 6000 + greatest(0, before - 5000000) * 7000 + 5000) // 10000)::bigint as pay2
  from four
), six as (
  select *, burden - pay2 as remains, sum(burden - pay2) over (partition by person order by day, id) as year2 from five
), seven as (
  select *, (year2 * share + 5000) // 10000 as s1, ((year2 - remains) * share + 5000) // 10000 as s0
  from (select *, case status when 1 then 10000 when 2 then 8000 else 0 end as share from six)
)
select id, pay1, pay2, (least(2000000, s1) - least(2000000, s0))::bigint as pay3 from seven
"""


def columns(claims: int, seed: int = 3) -> Columns:
    """Make up integer columns in random order; status is 0 none, 1 tekun, 2 dibao, amounts are fen."""
    rng = np.random.default_rng(seed)
    people = claims // 5
    person = rng.integers(0, people, claims)
    status = rng.choice(3, people, p=[0.9, 0.02, 0.08])
    return {
        "id": np.arange(claims),
        "person": person,
        "day": 19_723 + rng.integers(0, 366, claims),
        "level": rng.integers(0, 4, claims),
        "status": status[person],
        "amount": np.minimum(np.exp(rng.normal(13, 1.3, claims)), 1e8).astype(np.int64),
    }


class Kernel:
    """Sort by person, ask the law about each kind of claim, run; one processor."""

    package = "medfloor"
    repeats = 5

    def ready(self, given: Columns) -> Any:
        import polars as pl

        from medfloor.settlement.settle import law_of

        return given, law_of(str(POLICY)), pl.Series(given["id"]).cast(pl.String).str.zfill(9)

    def work(self, made: Any) -> Any:
        return _with_kernel(*made)

    def result(self, worked: Any) -> np.ndarray:
        order, pay = worked
        paid = np.empty_like(pay)
        paid[:, order] = pay
        return paid


class Polars:
    """Sort, then cumulative sums over persons; all processors."""

    package = "polars"
    repeats = 5

    def ready(self, given: Columns) -> Any:
        import polars as pl

        return pl.DataFrame(given)

    def work(self, made: Any) -> Any:
        return _with_polars(made)

    def result(self, worked: Any) -> np.ndarray:
        return worked.sort("id").select("pay1", "pay2", "pay3").to_numpy().T


class DuckDB:
    """Windows over a table in its own format; one processor."""

    package = "duckdb"
    repeats = 3
    threads: int | None = 1

    def ready(self, given: Columns) -> Any:
        import duckdb

        connection = duckdb.connect()
        if self.threads:
            connection.execute(f"set threads to {self.threads}")
        connection.register("given", given)
        connection.sql("create table claims as select * from given")
        connection.unregister("given")
        return connection

    def work(self, made: Any) -> Any:
        return made.sql(SQL).to_arrow_table()

    def result(self, worked: Any) -> np.ndarray:
        order = np.argsort(worked["id"].to_numpy())
        return np.stack([worked[name].to_numpy()[order] for name in ("pay1", "pay2", "pay3")])


class DuckDBWide(DuckDB):
    """With all processors."""

    threads = None


def _with_polars(data: Any) -> Any:
    import polars as pl

    def running(name: str) -> Any:
        return pl.col(name).cum_sum().over("person")

    half_up = 5000
    deductible = pl.col("level").replace_strict({0: 10000, 1: 30000, 2: 80000, 3: 130000}, return_dtype=pl.Int64)
    rate = pl.col("level").replace_strict({0: 9000, 1: 8000, 2: 7800, 3: 6500}, return_dtype=pl.Int64)
    share = pl.col("status").replace_strict({0: 0, 1: 10000, 2: 8000}, return_dtype=pl.Int64)
    divisor = pl.when(pl.int_range(pl.len()).over("person") > 0).then(2).otherwise(1)

    def worth(x: Any) -> Any:
        low, high = x.clip(0, 5_000_000), (x - 5_000_000).clip(0)
        return (low * 6000 + high * 7000 + half_up) // 10000

    return (
        data.lazy()
        .sort("person", "day", "id")
        .with_columns(due=((pl.col("amount") - deductible // divisor).clip(0) * rate + half_up) // 10000)
        .with_columns(reached=running("due"))
        .with_columns(
            pay1=pl.col("reached").clip(0, 10_000_000) - (pl.col("reached") - pl.col("due")).clip(0, 10_000_000)
        )
        .with_columns(burden=pl.col("amount") - pl.col("pay1"))
        .with_columns(year=running("burden"))
        .with_columns(
            pay2=worth((pl.col("year") - 1_500_000).clip(0))
            - worth((pl.col("year") - pl.col("burden") - 1_500_000).clip(0))
        )
        .with_columns(remains=pl.col("burden") - pl.col("pay2"))
        .with_columns(year2=running("remains"))
        .with_columns(
            s1=(pl.col("year2") * share + half_up) // 10000,
            s0=((pl.col("year2") - pl.col("remains")) * share + half_up) // 10000,
        )
        .select("id", "pay1", "pay2", pay3=pl.col("s1").clip(0, 2_000_000) - pl.col("s0").clip(0, 2_000_000))
        .collect()
    )


def _with_kernel(data: Columns, law: Any, ids: Any) -> tuple[np.ndarray, np.ndarray]:
    """Settle by the kernel: sort by person, ask the law about each kind of claim, run. Gives (order, payments)."""
    from medfloor.policy.compile import profiles_of, resolve_kinds
    from medfloor.settlement.kernel import settle_segments
    from medfloor.settlement.scope import Columns as Kinds
    from medfloor.settlement.scope import SpellColumns, kinds_of
    from medfloor.settlement.sequence import order_of, segments_of

    n = len(ids)
    zero = np.broadcast_to(np.int8(0), n)
    year = np.broadcast_to(np.int32(2024), n)
    order = order_of(data["person"], year, data["day"], data["day"], ids)
    counts = np.bincount(data["person"])
    person = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    level = data["level"].astype(np.int8)[order]  # small columns are gathered small
    status = data["status"].astype(np.int8)[order]
    amount = data["amount"][order]
    unknown = np.broadcast_to(np.int8(-1), n)
    given = Kinds(
        zero, level, zero, zero, zero, unknown, unknown, unknown, zero, unknown, unknown, unknown, amount,
        np.zeros(0, np.int64), zero, zero, zero, zero, year, status.astype(np.int64),
    )  # fmt: skip
    # A status as a spell: "person" points to one of three ranges of spells: none, tekun, dibao.
    marks = SpellColumns(
        np.array([0, 0, 1, 2]), np.array([0, 1]), np.array([-10, -10]), np.array([10, 10]), ("tekun", "dibao")
    )
    kind, kinds = kinds_of(law.policies, law.dimensions, given, marks)
    rules, index, _ = resolve_kinds(law.policies, kinds)
    profile = np.array(index, np.int32)[kind]
    profiles = profiles_of(rules, law.layout, ())
    segments = segments_of(person, year)
    pay = np.empty((3, n), np.int64)
    none64, none32 = np.zeros(1, np.int64), np.zeros(0, np.int32)
    settle_segments(
        0, len(segments.unit), segments.start, profile, amount, np.zeros((3, 0), np.int64), np.zeros((0, n), np.int64),
        none32, none32, profiles.first, profiles.steps, profiles.brackets, profiles.pots, profiles.repeats,
        profiles.rounding, profiles.ceilings, profiles.ceiling_rows, np.array(law.layout.initial, np.int64),
        np.array(law.layout.shared, bool), none64, np.zeros((0, len(law.layout.names)), np.int64),
        np.zeros((1, 1, 7), np.int64), 1, 0, none64, np.zeros((0, 10), np.int64), pay, np.empty(n, np.int64),
        np.empty(n, np.int64),
    )  # fmt: skip
    return order, pay


PEERS: dict[str, type[Peer]] = {"kernel": Kernel, "polars": Polars, "duckdb": DuckDB, "duckdb-wide": DuckDBWide}
NAMES = {
    "kernel": "medfloor, kernel with sorting, 1 thread",
    "polars": "Polars, sort and cumulative sums, all processors",
    "duckdb": "DuckDB windows, 1 thread",
    "duckdb-wide": "DuckDB windows, all processors",
}
