"""Make up claims and people for the benchmarks: random, seeded, in the columns of the data contract (synthetic)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

START = np.datetime64("2024-01-01")


def claims_and_people(
    claims: int, people: int, seed: int = 7, shuffled: bool = False
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Give claims (sorted by person and date unless shuffled), people and spells; money in yuan as Float64."""
    rng = np.random.default_rng(seed)
    frame = _claims(rng, claims, (0, people))
    if shuffled:
        frame = frame.sample(fraction=1.0, shuffle=True, seed=seed)
    return frame, *_folk(rng, (0, people))


def _claims(
    rng: np.random.Generator, claims: int, persons: tuple[int, int], first: int = 0, in_order: bool = True
) -> pl.DataFrame:
    """Give claims, numbered from `first`, of persons from one number up to another, in their order or in none."""
    person = rng.integers(*persons, claims)
    person = np.sort(person) if in_order else person
    start = rng.integers(0, 360, claims)
    if in_order:
        order = np.lexsort((start, person))
        person, start = person[order], start[order]
    care = rng.choice(4, claims, p=[0.25, 0.6, 0.1, 0.05])
    days = np.where(care == 0, rng.integers(0, 20, claims), 0)
    level = rng.choice(4, claims, p=[0.3, 0.2, 0.25, 0.25])
    size = np.where(care == 0, 9.0, 5.5)
    total = np.minimum(np.exp(rng.normal(size, 1.1)), 2e6)
    total_fen = (total * 100).astype(np.int64)
    off_fen = (total_fen * rng.uniform(0, 0.15, claims)).astype(np.int64)
    first_fen = (total_fen * rng.uniform(0, 0.10, claims)).astype(np.int64)
    names = np.array(["inpatient", "outpatient", "special_outpatient", "two_disease"])
    levels = np.array(["primary", "1", "2", "3"])
    referrals = np.array(["regular", "referred", "unreferred", "emergency"])
    number = np.arange(first, first + claims)
    if not in_order:
        number = number * 7_919 % 10**9  # so that the ids neither rise nor occur twice
    return pl.DataFrame(
        {
            "claim_id": pl.Series(number).cast(pl.String).str.zfill(9),
            "person_id": pl.Series(person).cast(pl.String).str.zfill(8),
            "care_type": pl.Series(names).gather(care),
            "start_date": pl.Series(START + start.astype("timedelta64[D]")).cast(pl.Date),
            "end_date": pl.Series(START + (start + days).clip(0, 365).astype("timedelta64[D]")).cast(pl.Date),
            "facility_level": pl.Series(levels).gather(level),
            "referral": pl.Series(referrals).gather(rng.choice(4, claims, p=[0.6, 0.2, 0.1, 0.1])),
            "total": total_fen / 100,
            "off_catalogue": off_fen / 100,
            "first_self_pay": first_fen / 100,
            "in_scope": (total_fen - off_fen - first_fen) / 100,
        }
    )


def _folk(rng: np.random.Generator, persons: tuple[int, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give people from the first up to the last number, and the spells of every twelfth of them."""
    people = persons[1] - persons[0]
    ids = pl.Series(np.arange(*persons)).cast(pl.String).str.zfill(8)
    births = np.datetime64("1934-01-01") + rng.integers(0, 88 * 365, people).astype("timedelta64[D]")
    folk = pl.DataFrame(
        {
            "person_id": ids,
            "household_id": pl.Series(np.arange(*persons) // 3).cast(pl.String).str.zfill(8),
            "birth_date": pl.Series(births).cast(pl.Date),
            "sex": pl.Series(np.array(["male", "female"])).gather(rng.integers(0, 2, people)),
            "continuous_years": rng.choice([0, 1, 3, 6], people, p=[0.05, 0.15, 0.3, 0.5]),
        }
    )
    poor = rng.choice(people, people // 12, replace=False)
    spells = pl.DataFrame(
        {
            "person_id": ids.gather(poor),
            "group": pl.Series(np.array(["tekun", "dibao", "dibao_marginal"])).gather(
                rng.choice(3, len(poor), p=[0.1, 0.5, 0.4])
            ),
            "from_date": pl.Series(START + rng.integers(-400, 300, len(poor)).astype("timedelta64[D]")).cast(pl.Date),
            "to_date": pl.Series([None] * len(poor), dtype=pl.Date),
        }
    )
    return folk, spells


BLOCK = 1_000_000


def stream(folder: Path, claims: int, shuffled: bool = False, seed: int = 7) -> tuple[Path, Path, Path]:
    """Write claims, five a person, people and spells as Parquet once, however many, a million claims at a time."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{n}-{claims}-{'mixed' if shuffled else 'ordered'}.parquet" for n in _STREAMED)
    if all(path.exists() for path in paths):
        return paths  # type: ignore[return-value]
    written: list[pq.ParquetWriter] = []
    for first in range(0, claims, BLOCK):
        size = min(BLOCK, claims - first)
        rng = np.random.default_rng([seed, first])
        mine = (first // 5, max(first // 5 + 1, (first + size) // 5))
        rows = _claims(rng, size, (0, claims // 5) if shuffled else mine, first, in_order=not shuffled)
        tables = [each.to_arrow(compat_level=pl.CompatLevel.oldest()) for each in (rows, *_folk(rng, mine))]
        if not written:
            written = [pq.ParquetWriter(p, t.schema, compression="zstd") for p, t in zip(paths, tables, strict=True)]
        for writer, each in zip(written, tables, strict=True):
            writer.write_table(each, row_group_size=BLOCK // 4)
    for writer in written:
        writer.close()
    return paths  # type: ignore[return-value]


_STREAMED = ("claims", "people", "spells")


def files(folder: Path, claims: int, people: int, shuffled: bool = False) -> tuple[Path, Path, Path]:
    """Write claims, people and spells as Parquet once, and give their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = f"{claims}-{people}-{'shuffled' if shuffled else 'sorted'}"
    paths = tuple(folder / f"{name}-{mark}.parquet" for name in ("claims", "people", "spells"))
    if not all(path.exists() for path in paths):
        for frame, path in zip(claims_and_people(claims, people, shuffled=shuffled), paths, strict=True):
            frame.write_parquet(path)
    return paths  # type: ignore[return-value]
