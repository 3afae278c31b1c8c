"""Work of measures and studies: measure protection and equity over a table or made-up people, and run studies."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.errors import InputError
from medfloor.service.results import keep
from medfloor.service.work import Task
from medfloor.words import say

if TYPE_CHECKING:
    from medfloor.measures.result import Result

_NEEDS = {
    "catastrophic": ["oop", "consumption"], "impoverishing": ["oop", "consumption", "size"],
    "poverty": ["consumption", "size"], "concentration": ["oop", "consumption"],
    "incidence": ["benefit", "consumption"], "cliff": ["income", "oop", "size"],
}  # fmt: skip
_NUMBERS = ["oop", "consumption", "income", "benefit", "food", "size", "weight", "fpc"]
_SURVEYS = ("cii-poverty", "urrbmi-relative-poverty", "integration")
_LAW = "synthetic/cn-2025"
_SCALE = 0.1
_PEOPLE = 3_000


def measured(task: Task) -> None:
    """Measure over a table of the data folder or over made-up people, and keep figures, tables and errors."""
    from medfloor.measures.sample import design_in
    from medfloor.reports import write_table
    from medfloor.reports.laid_out import measure_printout, sheets_of_record

    asked = task.asked
    if asked["table"] is None:
        frame, about = (
            _made_up(asked["people"], asked["seed"]),
            [("made_up", f"{asked['people']:,}"), ("seed", str(asked["seed"]))],
        )
    else:
        frame, about = _read(task), [("population", asked["table"])]
    _check_groups(frame, asked["by"], task.smallest_cell)
    task.tell(20, 100)
    common: dict[str, Any] = {"by": asked["by"] or None, "design": design_in(frame)}
    results = _results(asked, frame, common)
    task.tell(70, 100)
    for ending in ("csv", "json", "html", "md"):
        write_table(results[0][1], task.folder / f"result.{ending}", asked["language"])

    def named(lang: str) -> list[tuple[str, Result]]:
        return [(say(f"measured.{key}", lang), result) for key, result in results]

    keep(
        task.folder,
        lambda made, lang: measure_printout(
            named(lang), made=made, lang=lang, title=say(f"measured.title_{asked['measure']}", lang),
            marks=[say("measured.made_up", lang)] if asked["table"] is None else (),
        ),
        lambda lang: sheets_of_record(named(lang), lang),
        {key: result.to_frame("en") for key, result in results},
        made=task.made,
        facts=[*about, *_asked(asked)],
    )  # fmt: skip


def studied(task: Task) -> None:
    """Run a study on a folder of data or on made-up files, and keep it as the paper would print it."""
    from medfloor.studies import run_study
    from medfloor.studies.pages import _sheet, rows_of
    from medfloor.studies.paper import study_paper
    from medfloor.studies.small_cells import without_few

    asked = task.asked
    with tempfile.TemporaryDirectory(prefix="medfloor-study-") as made_up:
        if asked["data"]:
            data, about = task.inside(asked["data"]), [("population", asked["data"])]
        else:
            data, about = Path(made_up), [("made_up_files", str(asked["seed"]))]
            _write_made_up(data, asked["study"], asked["seed"])
        task.tell(25, 100)
        # Where the files lay on the server is nobody's business; `about` says which data they are.
        found = replace(run_study(asked["study"], data, seed=asked["seed"]), data="")
    if asked["data"]:
        found = without_few(found, task.smallest_cell)
    task.tell(70, 100)
    keep(
        task.folder,
        lambda made, lang: study_paper(found, made=made, lang=lang),
        lambda lang: [_sheet(one, lang) for one in found.tables()],
        {f"table-{number}": rows_of(one, "en") for number, one in enumerate(found.tables(), 1)},
        made=task.made,
        facts=about,
    )


def _asked(asked: dict[str, Any]) -> list[tuple[str, str]]:
    """Say what was asked for beyond the measure: its line where it has one, groups, and columns by other names."""
    told = [("line", asked["line"])] if asked["line"] and asked["measure"] in ("poverty", "impoverishing") else []
    told += [("cutoff", f"{asked['cutoff']:,g}")] if asked["cutoff"] and asked["measure"] == "cliff" else []
    told += [("by", ", ".join(asked["by"]))] if asked["by"] else []
    pairs = ", ".join(f"{ours}={theirs}" for ours, theirs in asked["columns"].items())
    return told + ([("columns", pairs)] if pairs else [])


def _results(asked: dict[str, Any], frame: pl.DataFrame, common: dict[str, Any]) -> list[tuple[str, Result]]:
    """Give the results of a measure, each with the key of its title; the first is the one that was asked for."""
    from medfloor import measures

    kind = asked["measure"]
    if kind == "catastrophic":
        found = [
            ("catastrophic", measures.catastrophic(frame, **common)),
            ("definitions", measures.compare_definitions(frame, **common)),
        ]
        return [
            *found,
            ("quantiles", measures.catastrophic(frame, thresholds=[0.1], quantiles=5, design=common["design"])),
        ]
    if kind == "impoverishing":
        return [("impoverishing", measures.impoverishing(frame, line=asked["line"], **common))]
    if kind == "poverty":
        return [("poverty", measures.poverty(frame, line=asked["line"], **common))]
    if kind == "concentration":
        of_means = measures.concentration(frame, of="consumption", **common)
        return [("concentration", measures.concentration(frame, ordinates=10, **common)), ("lorenz", of_means)]
    if kind == "incidence":
        return [("incidence", measures.incidence(frame, **common))]
    return _cliff(asked, frame, common)


def _cliff(asked: dict[str, Any], frame: pl.DataFrame, common: dict[str, Any]) -> list[tuple[str, Result]]:
    """Measure who is worse off just above a line of income a head; a half of the median where none is given."""
    from medfloor.measures import notch

    heads = frame.filter(pl.col("size") > 0).with_columns(
        income=pl.col("income") / pl.col("size"), oop=pl.col("oop") / pl.col("size")
    )
    middle = heads["income"].median()
    if not isinstance(middle, int | float):
        raise InputError("no_rows", "no household has an income and a size")
    line = asked["cutoff"] or round(middle / 2, 2)
    near = heads.filter((pl.col("income") - line).abs() <= line / 2)
    from medfloor.measures.sample import design_in

    return [("cliff", notch(near, cutoff=line, by=common["by"], design=design_in(near)))]


def _read(task: Task) -> pl.DataFrame:
    from medfloor.intake import read_microdata

    asked = task.asked
    read = read_microdata(
        task.inside(asked["table"]),
        mapping=[f"{ours}={theirs}" for ours, theirs in asked["columns"].items()],
        numbers=_NUMBERS,
        labels=["stratum", "psu", *asked["by"]],
        required=_NEEDS[asked["measure"]],
    )
    return read.accepted


def _made_up(people: int, seed: int) -> pl.DataFrame:
    """Make households up, with what they bear and what is paid for them under the law of the made-up county."""
    from medfloor.simulation import World, fresh_populations
    from medfloor.simulation.scenario import scenario

    population = next(iter(fresh_populations(1, people, seed=seed)))
    world = World.of(population, scenario(_LAW).law, threads=1)
    homes = world.households({"law": world.settle()})
    return homes.rename({"own_law": "oop", "paid_law": "benefit"})


def _write_made_up(folder: Path, study: str, seed: int) -> None:
    """Write made-up files that a study can read: a survey in the layout of CFPS, or a county with its law."""
    if study in _SURVEYS:
        from medfloor.synthetic.cfps import write_cfps

        write_cfps(folder, seed=seed, scale=_SCALE)
        return
    from medfloor.intake.files import write_table
    from medfloor.synthetic import synthesise
    from medfloor.synthetic.place import shipped_place

    for name, table in synthesise(_PEOPLE, seed=seed).tables.items():
        write_table(table, folder / f"{name}.parquet", money_columns=[])
    (folder / "policy.yaml").write_bytes(Path(shipped_place().policy_address).read_bytes())


def _check_groups(frame: pl.DataFrame, by: list[str], smallest: int) -> None:
    """Refuse groups of so few rows that they tell of single people: by a name or a number each would be one.

    Raises InputError (`small_groups`).
    """
    sizes = frame.group_by(by).len()["len"] if by else [frame.height]
    if any(size < smallest for size in sizes):
        raise InputError("small_groups", f"a group has fewer than {smallest} rows, which is the office's smallest cell")
