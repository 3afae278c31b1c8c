"""Read for the commands of the risk model: the files of several years as a register, and a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import polars as pl

    from medfloor.watch.homes import Register
    from medfloor.watch.risk import Model
    from medfloor.watch.rules import Rules


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Be what the files hold: the register with households of all years, settlements, and what was refused."""

    register: Register
    settlements: pl.DataFrame
    rejected: pl.DataFrame
    synthetic: bool


def register_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the files of a register, and whose rules hold."""
    options = (
        click.option("--people", required=True, metavar="FILE", help="People: person_id, household_id, birth_date."),
        click.option("--households", required=True, metavar="FILE", help="Households with a column wave (the year): "
                     "size, income, consumption, food, township."),
        click.option("--settlements", required=True, multiple=True, metavar="FILE",
                     help="What medfloor settle wrote; repeat for files of several years."),
        click.option("--spells", metavar="FILE", help="Dated statuses (dibao, monitored, ...)."),
        click.option("--claims", metavar="FILE", help="Claims: chronic illness, stays, when care was last seen."),
        click.option("--rules", "file", metavar="FILE", help="Rules of your own (TOML), laid over the shipped ones."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def read_years(asked: dict[str, Any]) -> Read:
    """Read the files of `register_options`; households keep all their years.

    Raises InputError as the readers of intake.
    """
    import polars as pl

    from medfloor.intake.files import read_table
    from medfloor.intake.households import read_households
    from medfloor.intake.registers import is_made_up, read_register_files, with_residence
    from medfloor.watch.homes import Register
    from medfloor.watch.rules import load_rules

    files: Sequence[str] = asked["settlements"]
    settled = files[0]
    if len(files) > 1:
        settled = pl.concat([read_table(one, "settlements") for one in files], how="diagonal_relaxed")  # type: ignore[assignment]
    # Which statuses there are is not a matter of the day, so that any later one does.
    rules = load_rules(asked["file"] or asked.get("place") or "cn", on=date(2200, 1, 1))
    groups = sorted({one for rule in rules.rules for one in rule.listed("groups")})
    read = read_register_files(
        people=asked["people"], households=asked["households"], settlements=settled, spells=asked["spells"],
        claims=asked["claims"], groups=groups,
    )  # fmt: skip
    # The reader of a screening takes one year of the households; here all are needed.
    households = with_residence(read_households(asked["households"]).accepted)
    register = Register(read.people, households, read.spells, read.claims)
    return Read(register, read.settlements, read.rejected, is_made_up(read.people))


def check_year(settlements: pl.DataFrame, year: int, day: date) -> None:
    """Refuse a year of which nothing was settled by the day: everybody would look safe.

    Raises InputError no_settlements.
    """
    import polars as pl

    from medfloor.errors import InputError

    seen = (pl.col("benefit_year") == year) & (pl.col("settled_date") <= day)
    if settlements.filter(seen).is_empty():
        raise InputError(
            "no_settlements",
            f"--settlements has no settlement of {year} by {day}; give the file of that year, or another --year",
        )


def rules_of(asked: dict[str, Any], place: str) -> Callable[[date], Rules]:
    """Give the rules of a file or place, by the day on which they are in force."""
    from medfloor.watch.rules import load_rules

    return lambda day: load_rules(asked["file"] or place, on=day)


def read_model(file: str) -> Model:
    """Read a model as medfloor watch train wrote it.

    Raises InputError file_not_found, bad_model, changed_model.
    """
    from medfloor.errors import InputError
    from medfloor.watch.risk import model_of

    path = Path(file)
    if not path.is_file():
        raise InputError("file_not_found", f"there is no file {file}; give the model that medfloor watch train wrote")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise InputError("bad_model", f"{path.name} is no JSON; give what medfloor watch train wrote") from None
    return model_of(said)
