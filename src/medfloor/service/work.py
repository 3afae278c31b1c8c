"""Do the work of a job, in a process of its own: simulate reforms, or measure over a table.

The process says how far it is and how it ended through a pipe; what went wrong is told as a code, because a message may
quote a table.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfloor.errors import InputError, MedfloorError, NotFoundError
from medfloor.store.office import Office

if TYPE_CHECKING:
    import polars as pl


def carry_out(told: Connection, kind: str, parameters: str, folder: str, data: str | None) -> None:
    """Do one job and write its files into `folder`; tell ("progress", per cent), then ("done"|"failed", code)."""
    # The server decides when work ends; its own Ctrl-C must not end it half-way with a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)  # settlements come first
    try:
        asked = json.loads(parameters)
        work = {"simulate": _simulate, "measure": _measure}[kind]
        work(asked, Path(folder), Path(data) if data else None, _teller(told))
        told.send(("done", None))
    except MedfloorError as error:
        told.send(("failed", error.code))
    except Exception as error:
        told.send(("failed", f"bug_inside:{type(error).__name__}"[:64]))
    finally:
        told.close()


def _teller(told: Connection) -> Any:
    def tell(done: int, whole: int) -> None:
        told.send(("progress", 100 * done // max(1, whole)))

    return tell


def _simulate(asked: dict[str, Any], folder: Path, data: Path | None, tell: Any) -> None:
    from medfloor.reports.simulation import write_simulation
    from medfloor.service.policy_texts import write_policy
    from medfloor.simulation import fresh_populations, read_population, simulate

    reforms = [
        str(write_policy(folder / f"reform-{number}.yaml", text)) for number, text in enumerate(asked["reforms"], 1)
    ]
    if asked["population"]:
        populations = [read_population(_inside(data, asked["population"]), year=asked["year"])]
    else:
        populations = list(fresh_populations(1, asked["people"], seed=asked["seed"]))
    tell(5, 100)
    result = simulate(
        populations,
        asked["baseline"],
        reforms,
        draws=asked["draws"],
        seed=asked["seed"],
        progress=lambda done, whole: tell(5 + 90 * done // max(1, whole), 100),
    )
    if asked["population"]:
        # Single households of the office's own population are told to nobody: analysts ask for jobs, too.
        result = replace(result, changed=())
    write_simulation(result, folder, asked["language"])


def _measure(asked: dict[str, Any], folder: Path, data: Path | None, tell: Any) -> None:
    from medfloor import measures
    from medfloor.intake import read_microdata
    from medfloor.measures.sample import design_in
    from medfloor.reports import write_table

    needs = {
        "catastrophic": ["oop", "consumption"], "impoverishing": ["oop", "consumption", "size"],
        "poverty": ["consumption", "size"], "concentration": ["oop", "consumption"],
    }[asked["measure"]]  # fmt: skip
    read = read_microdata(
        _inside(data, asked["table"]),
        mapping=[f"{ours}={theirs}" for ours, theirs in asked["columns"].items()],
        numbers=["oop", "consumption", "income", "food", "size", "weight", "fpc"],
        labels=["stratum", "psu", *asked["by"]],
        required=needs,
    )
    _check_groups(read.accepted, asked["by"], asked.get("smallest_cell", Office().smallest_cell))
    tell(10, 100)
    design = design_in(read.accepted)
    common: dict[str, Any] = {"by": asked["by"] or None, "design": design}
    if asked["measure"] == "catastrophic":
        result = measures.catastrophic(read.accepted, **common)
    elif asked["measure"] == "impoverishing":
        result = measures.impoverishing(read.accepted, line=asked["line"], **common)
    elif asked["measure"] == "poverty":
        result = measures.poverty(read.accepted, line=asked["line"], **common)
    else:
        result = measures.concentration(read.accepted, **common)
    tell(90, 100)
    for ending in ("csv", "json", "html", "md"):
        write_table(result, folder / f"result.{ending}", asked["language"])


def _check_groups(frame: pl.DataFrame, by: list[str], smallest: int) -> None:
    """Refuse groups of so few rows that they tell of single people: by a name or a number each would be one.

    Raises InputError (`small_groups`).
    """
    sizes = frame.group_by(by).len()["len"] if by else [frame.height]
    if any(size < smallest for size in sizes):
        raise InputError("small_groups", f"a group has fewer than {smallest} rows, which is the office's smallest cell")


def _inside(data: Path | None, name: str) -> Path:
    """Give a file or folder of the office's data folder. Raises NotFoundError (`no_data`)."""
    if data is not None:
        place = (data / name).resolve()
        if place.parent == data.resolve() and place.exists():
            return place
    raise NotFoundError("no_data", "the office's data folder (MEDFLOOR_DATA_FOLDER) has nothing of this name")
