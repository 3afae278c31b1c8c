"""Do the work of a job, in a process of its own: simulate reforms, measure over a table, screen the register, ....

What is kept as pages beside the files is made in `laboratory.py`, `funding.py` and `measuring.py`.

The process says how far it is and how it ended through a pipe; what went wrong is told as a code, because a message may
quote a table.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from medfloor.errors import MedfloorError, NotFoundError
from medfloor.service.policy_files import source_of
from medfloor.store.office import Office

WORK = {
    "simulate": "laboratory:simulated", "optimise": "laboratory:optimised", "project": "funding:projected",
    "contrast": "funding:contrasted", "backtest": "funding:backtested", "pool": "funding:pooled",
    "adjust": "funding:adjusted", "supervise": "funding:supervised", "measure": "measuring:measured",
    "study": "measuring:studied",
}  # fmt: skip
"""Kind of a job -> the module of this room and its function that does it; each takes a `Task`."""


@dataclass(frozen=True, slots=True)
class Task:
    """Be one job: what was asked, the folder for its results, where tables lie, the store, and whom to tell how far."""

    asked: dict[str, Any]
    folder: Path
    data: Path | None
    office: str | None
    tell: Callable[[int, int], None]

    @property
    def made(self) -> date:
        """Give the day that stands on the results."""
        return date.fromisoformat(self.asked["made"]) if "made" in self.asked else date.today()

    @property
    def smallest_cell(self) -> int:
        """Give the fewest people that a group may have."""
        found: int = self.asked.get("smallest_cell", Office().smallest_cell)
        return found

    def law(self, name: str) -> str:
        """Give what `load_policy` takes for a policy of the library, or one of the office's own (own/<hash>).

        Raises NotFoundError (`policy_not_found`).
        """
        return source_of(self.folder.parent, name)

    def inside(self, name: str) -> Path:
        """Give a file or folder of the office's data folder. Raises NotFoundError (`no_data`)."""
        if self.data is not None:
            place = (self.data / name).resolve()
            if place.parent == self.data.resolve() and place.exists():
                return place
        raise NotFoundError("no_data", "the office's data folder (MEDFLOOR_DATA_FOLDER) has nothing of this name")


def carry_out(
    told: Connection, kind: str, parameters: str, folder: str, data: str | None, office: str | None = None
) -> None:
    """Do one job and write its files into `folder`; tell ("progress", per cent), then ("done"|"failed", code).

    `office` is the address of the store, for a job that needs it.
    """
    # The server decides when work ends; its own Ctrl-C must not end it half-way with a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)  # settlements come first
    _end_with_server()
    try:
        asked = json.loads(parameters)
        if kind == "screen":
            assert office is not None, "a screening is of a store"
            _screen(asked, Path(folder), office)
        else:
            module, name = WORK[kind].split(":")
            work = getattr(importlib.import_module(f"medfloor.service.{module}"), name)
            work(Task(asked, Path(folder), Path(data) if data else None, office, _teller(told)))
        told.send(("done", None))
    except MedfloorError as error:
        told.send(("failed", error.code))
    except Exception as error:
        told.send(("failed", f"bug_inside:{type(error).__name__}"[:64]))
    finally:
        told.close()


def _end_with_server() -> None:
    """End when the server is gone: nobody would hear how the work ended, and it may be asked for again meanwhile."""
    server = multiprocessing.parent_process()
    if server is None:
        return

    def watch() -> None:
        server.join()
        os._exit(1)

    threading.Thread(target=watch, name="server", daemon=True).start()


def _teller(told: Connection) -> Any:
    def tell(done: int, whole: int) -> None:
        told.send(("progress", 100 * done // max(1, whole)))

    return tell


def _screen(asked: dict[str, Any], folder: Path, office: str) -> None:
    """Screen the whole register; leave the counts, which name nobody."""
    from medfloor.store.engine import open_store
    from medfloor.store.roles import Actor
    from medfloor.store.watching import run_of, screen_office

    actor, now = Actor(asked["login"], asked["role"], asked["place"]), datetime.fromisoformat(asked["now"])
    store = open_store(office)
    try:
        as_of = date.fromisoformat(asked["as_of"])
        made = screen_office(store, year=asked["year"], as_of=as_of, actor=actor, now=now)
        with store.reading() as connection:
            run = run_of(connection, made.run)
    finally:
        store.close()
    counts = {name: getattr(run, name) for name in ("households", "alerts", "suppressed", "cases")}
    (folder / "screening.json").write_text(json.dumps({"screening": run.id, **counts}), encoding="utf-8")
