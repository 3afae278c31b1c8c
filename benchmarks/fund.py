"""The fund: paths of a projection, and what beside them has a bar. Each part prints a table of its own."""

from __future__ import annotations

from pathlib import Path

from timing import best, table


def main() -> None:
    """Print the tables of all parts."""
    projection()
    pooling()
    benefits()
    supervision()


def projection() -> None:
    """Time 10,000 paths of 20 years from the published series to the result, with fans and probabilities."""
    from medfloor.fund import backtest, national, project, tornado

    basis = national()
    paths, _ = best(lambda: project(basis, years=20, paths=10_000))
    tested, _ = best(lambda: backtest(paths=10_000))
    swung, _ = best(lambda: tornado(lambda given: national(given=given), years=20))
    table(
        "A projection of four funds over 20 years",
        [
            ["what", "seconds", "asked"],
            ["10,000 paths, with fans, lines and first years", f"{paths:.2f}", "≤ 2"],
            ["back-test, 10,000 paths of 3 years", f"{tested:.2f}", "-"],
            ["tornado, all parameters with a range at both ends", f"{swung:.2f}", "-"],
        ],
    )


def supervision(claims: int = 10_000_000) -> None:
    """Time all rules over a file of claims against DuckDB scanning and sorting it, in processes of their own."""
    from files import OUT, measure

    paths = _tiled(OUT, claims)
    names = dict(zip(("claims", "people"), map(str, paths), strict=True))
    plain, first = measure(_SCAN.format(**names), 2)
    ours, second = measure(_SUPERVISE.format(**names), 2)
    table(
        f"Supervision of {claims:,} claims, shuffled",
        [
            ["what", "seconds", "times DuckDB", "peak, GB", "asked"],
            ["DuckDB: scan and sort the claims", f"{plain:.1f}", "1", f"{first:.1f}", "-"],
            ["supervise, claims and people", f"{ours:.1f}", f"{ours / plain:.2f}", f"{second:.1f}", "≤ 6 times"],
        ],
    )


_SCAN = """
import duckdb
duckdb.sql("SET enable_progress_bar = false")
order = "person_id, start_date, claim_id"
duckdb.sql(f"SELECT * FROM read_parquet('{claims}') ORDER BY {{order}}").to_arrow_table()
"""
_SUPERVISE = """
from medfloor.fund.supervision import supervise
supervise({claims!r}, people={people!r}, memory_gb=16)
"""


def _tiled(folder: Path, claims: int) -> tuple[Path, Path]:
    """Write copies of a made-up county with planted errors, under other names of people, claims and facilities."""
    import polars as pl

    from medfloor.fund.supervision import plant
    from medfloor.synthetic import synthesise

    paths = folder / f"supervised-{claims}.parquet", folder / f"supervised-people-{claims}.parquet"
    if all(path.is_file() for path in paths):
        return paths
    folder.mkdir(exist_ok=True)
    county = synthesise(200_000, seed=1)
    made = plant(county.claims, county.people, seed=7)
    copies = -(-claims // made.claims.height)

    def tiled(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
        return pl.concat(
            frame.with_columns(pl.col(name) + f"-{copy:02d}" for name in columns) for copy in range(copies)
        )

    whole = tiled(made.claims, ["claim_id", "person_id", "provider_id"]).head(claims)
    whole.sample(fraction=1.0, shuffle=True, seed=1).write_parquet(paths[0])
    tiled(made.people, ["person_id"]).write_parquet(paths[1])
    return paths


def benefits() -> None:
    """Time twenty years of closed and open loop, and a price with its variants and years."""
    from medfloor.fund import adjust, national, price, pricing_parameters, product_of, stated_risks

    basis, known = national(), pricing_parameters()
    product = product_of(known)
    loops, _ = best(lambda: adjust(basis, years=20, paths=10_000))
    priced, _ = best(lambda: price(stated_risks(known, product), product, known))
    table(
        "Benefits adjusted, a product priced",
        [
            ["what", "seconds", "asked"],
            ["10,000 paths of 20 years, closed and open loop", f"{loops:.2f}", "-"],
            ["a price with variants, interval and ten years", f"{priced:.2f}", "-"],
        ],
    )


def pooling() -> None:
    """Time the chance of ruin of four million members with a common shock, and hold it against simulation."""
    import numpy as np

    from medfloor.fund.losses import lognormal, losses, risk, simulate_losses
    from medfloor.fund.places import shipped_counties
    from medfloor.fund.pooling import pool
    from medfloor.fund.tiers import tiering

    city = risk(4_000_000, 0.207, lognormal(7674, 1.8))
    exact, made = best(lambda: losses([city], common=0.05))
    asked, chance = best(lambda: made.exceeds(1.02 * made.mean))
    drawn = simulate_losses([city], draws=200_000, rng=np.random.default_rng(1), common=0.05)
    gap = 100 * abs(chance - float((drawn > 1.02 * made.mean).mean()))
    pooled, _ = best(lambda: pool(shipped_counties()))
    tiered, _ = best(tiering)
    table(
        "Ruin, pooling and tiers",
        [
            ["what", "found", "asked"],
            ["ruin of 4 million members with a common shock, seconds", f"{exact + asked:.2f}", "≤ 5"],
            ["its distance from 200,000 simulated years, points", f"{gap:.2f}", "≤ 0.2"],
            ["twelve counties, five designs, 10,000 years, seconds", f"{pooled:.2f}", "-"],
            ["one tier or several, seconds", f"{tiered:.2f}", "-"],
        ],
    )


if __name__ == "__main__":
    main()
