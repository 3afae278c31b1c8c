"""Screen a million made-up people: in memory, and from files to files, against plain group-bys of the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import polars as pl
from timing import best, table

PEOPLE = int(os.environ.get("MEDFLOOR_PEOPLE", "1_000_000"))
_MADE = 100_000
_YEAR, _DAY = 2026, date(2026, 12, 31)


def files(folder: Path, people: int) -> dict[str, Path]:
    """Write the files of a register: a county of 100,000 with two settled years, copied until there are enough."""
    from medfloor.settlement import settle
    from medfloor.synthetic import shipped_place, synthesise

    made = min(people, _MADE)
    county = synthesise(made, seed=1, years=2)
    settled = settle(county.claims, county.people, county.spells, shipped_place().policy_address).settlements
    tables = {**county.tables, "settlements": settled}
    paths = {}
    for name, frame in tables.items():
        ids = [one for one in ("household_id", "person_id", "claim_id") if one in frame.columns]
        copies = [
            frame.with_columns(pl.concat_str(pl.lit(f"{number}."), pl.col(one)).alias(one) for one in ids)
            for number in range(people // made)
        ]
        paths[name] = folder / f"{name}.parquet"
        pl.concat(copies).write_parquet(paths[name])
    return paths


def plain(paths: dict[str, Path], out: Path) -> int:
    """Do the least that any screening does: sum what each household bore, and write who is above one line."""
    people = pl.read_parquet(paths["people"], columns=["person_id", "household_id"])
    settled = pl.read_parquet(paths["settlements"], columns=["person_id", "benefit_year", "own_in_scope", "own_total"])
    pl.read_parquet(paths["claims"], columns=["person_id", "start_date", "diagnosis", "care_type"])
    homes = pl.read_parquet(paths["households"])
    borne = (
        settled.filter(pl.col("benefit_year") == _YEAR)
        .join(people, on="person_id")
        .group_by("household_id")
        .agg(pl.col("own_in_scope", "own_total").sum())
    )
    found = homes.join(borne, on="household_id", how="left")
    found.write_csv(out / "households.csv")
    above = found.filter(pl.col("own_total") > 0.5 * pl.col("income"))
    above.write_csv(out / "alerts.csv")
    return above.height


def main() -> None:
    """Print seconds of one run, with the ratio to the plain group-by."""
    from medfloor.intake.registers import read_register_files
    from medfloor.watch import Register, load_rules, screen

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = files(folder, PEOPLE)
        least, _ = best(lambda: plain(paths, folder), 3)
        start = time.perf_counter()
        read = read_register_files(**paths, year=_YEAR)
        reading = time.perf_counter() - start
        register = Register(read.people, read.households, read.spells, read.claims)
        rules = load_rules("cn", on=_DAY)
        in_memory, found = best(
            lambda: screen(register, read.settlements, rules, year=_YEAR, as_of=_DAY),
            2,
        )  # fmt: skip
        alerts, settlements = found.alerts.height, read.settlements.height
        rows = [["what", "seconds", "times plain Polars", "asked"]]
        rows.append(["Polars: read the same columns, sum a household, compare, write", f"{least:.2f}", "1", ""])
        rows.append(
            ["`read_register_files` of the same files, all checks", f"{reading:.2f}", f"{reading / least:.1f}", ""]
        )
        rows.append(["`screen` in memory", f"{in_memory:.2f}", f"{in_memory / least:.1f}", "< 20 s"])
        for kind in ("parquet", "csv"):
            took = command(paths, folder / "out", kind)
            asked = "< 20 s" if kind == "parquet" else ""
            rows.append(
                [f"`medfloor watch screen`, Parquet in, {kind} out", f"{took:.2f}", f"{took / least:.1f}", asked]
            )
        table(f"Screening of {PEOPLE:,} people, {settlements:,} settlements, {alerts:,} alerts", rows)


def command(paths: dict[str, Path], out: Path, kind: str) -> float:
    """Run the command in a process of its own, and give its seconds from start to end."""
    shutil.rmtree(out, ignore_errors=True)
    given = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    asked = [*given, "--year", str(_YEAR), "--as-of", str(_DAY), "--format", kind, "--out", str(out)]
    program = "import sys; from medfloor.cli.main import main; sys.argv[0] = 'medfloor'; main()"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, "watch", "screen", *asked], capture_output=True, check=False)
    took = time.perf_counter() - start
    assert done.returncode in (0, 1), done.stderr.decode()
    return took


if __name__ == "__main__":
    main()
