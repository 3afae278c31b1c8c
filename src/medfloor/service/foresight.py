"""Work out for pages what looks ahead: prevention in the register and ledger, the model of risk that the office keeps.

What the store has not is read from the folder `watch` of the office's data folder, where somebody put it on purpose:
`model.json` (the model in use), `model_new.json` (one that may take its place), `card.json` (who signed), all as
`medfloor watch train` and `card` wrote them; `contracts`, `contacts`, `measurements` and `doctors` (.csv or .parquet)
as `medfloor watch prevention` takes them. A number of the whole office takes a second or more, so that it is worked out
once a day, or when somebody asks for it anew.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import sqlalchemy as sa

from medfloor.errors import InputError, UsageError
from medfloor.service import following
from medfloor.service.access import Acting
from medfloor.service.running import Running
from medfloor.store.cases import day_of
from medfloor.store.contracted import contracted
from medfloor.store.roles import place_prefix
from medfloor.store.schema import watch_case
from medfloor.store.watching import register_of, rules_of, settled_of

if TYPE_CHECKING:
    from medfloor.watch.card import Card
    from medfloor.watch.drift import Drift
    from medfloor.watch.prevention import Prevention
    from medfloor.watch.risk import Model

FOLDER = "watch"
"""Within the data folder."""

TABLES = ("contracts", "contacts", "measurements", "doctors")
FIGURES = ("coverage", "effect", "calibration", "capacity", "drift")

_MOST_BYTES = 32 * 1024 * 1024
_OUTCOME = {
    "verified": "visited", "published": "visited", "recognised": "confirmed", "helped": "confirmed",
    "risk_stable": "confirmed", "removed": "confirmed", "refused": "refused",
}  # fmt: skip
"""State of a case -> what a visit found, as `watch.drift.OUTCOMES` has it; who was not visited has none."""


@dataclass(frozen=True, slots=True)
class WorkedOut:
    """Be an answer, with the moment at which it was worked out."""

    at: datetime
    found: Any


def prevention_in(run: Running, acting: Acting, *, year: int, programme: str) -> WorkedOut:
    """Look over prevention within the place of who asks, in a year of the store.

    Raises InputError empty_file (no stays of the year), and what reading a table of the data folder raises.
    """
    key = ("prevention", acting.actor.place, year, programme)
    return _once(run, acting, key, lambda: _prevention(run, acting, year, programme))


def _prevention(run: Running, acting: Acting, year: int, programme: str) -> Prevention:
    from medfloor.intake.files import read_table
    from medfloor.watch.evidence import shipped_evidence
    from medfloor.watch.prevention import prevention_of

    illnesses = {code for group in shipped_evidence().groups for code in group.diagnoses}
    with run.store.reading() as connection:
        known = contracted(connection, acting.actor, year=year, day=following.today(acting), illnesses=illnesses)
    tables: dict[str, Any] = {name: read_table(file, name) for name, file in tables_of(run).items()}
    return prevention_of(known.people, known.claims, year=year, spells=known.spells, programme=programme, **tables)


def tables_of(run: Running) -> dict[str, Path]:
    """Find the tables for prevention in the office's folder: name -> file."""
    folder = folder_of(run)
    if folder is None:
        return {}
    there = ((name, folder / f"{name}{ending}") for name in TABLES for ending in (".parquet", ".csv"))
    return {name: file for name, file in there if file.is_file()}


def folder_of(run: Running) -> Path | None:
    """Give the folder of the watch within the office's data folder; None where there is none."""
    if run.settings.data_folder is None:
        return None
    found = run.settings.data_folder / FOLDER
    return found if found.is_dir() else None


def card_in(run: Running) -> Card | None:
    """Give the card of the model that the office keeps, with who signed, and a new model held against it.

    None where no model is kept. Raises InputError bad_model, changed_model, bad_signature, not_judged; ConflictError
    signature_changed.
    """
    folder = folder_of(run)
    if folder is None or not (folder / "model.json").is_file():
        return None
    names = ("model.json", "model_new.json", "card.json")
    return _card(folder, tuple(_stamp(folder / name) for name in names))


def drift_in(run: Running, acting: Acting, model: Model, *, year: int) -> WorkedOut:
    """Hold the office's households of a year against those that a model was judged on, township by township.

    Raises InputError: no_line, no_rows, no_settlements, bad_model (a model that keeps no profile).
    """
    return _once(run, acting, ("drift", model.hash, year), lambda: _drift(run, model, year))


def _drift(run: Running, model: Model, year: int) -> Drift:
    from medfloor.watch.drift import drift
    from medfloor.watch.features import features
    from medfloor.watch.profile import profile_from

    profile = profile_from(model.judged.get("profile", {}), where="model.json")
    last = date(year, 12, 31)
    with run.store.reading() as connection:
        rules = rules_of(connection, on=last)
        register = register_of(connection, as_of=last)
        settled = settled_of(connection, year=year)
        # What was foretold of a year is what visits found in the next.
        found_next = watch_case.c.found_on.between(date(year + 1, 1, 1), date(year + 1, 12, 31))
        asked = sa.select(watch_case.c.household_id, watch_case.c.state).where(found_next)
        states = [tuple(row) for row in connection.execute(asked).all()]
    if settled.filter(pl.col("benefit_year") == year).is_empty():
        raise InputError("no_settlements", f"the office settled nothing in {year}; name another year")
    lag = int(model.target.get("income_lag", 0))
    now = features(register, settled, rules, year=year, income_lag=lag)
    cases = pl.DataFrame(states, schema={"household_id": pl.String, "state": pl.String}, orient="row")
    outcomes = cases.select(
        "household_id", pl.col("state").replace_strict(_OUTCOME, default=None, return_dtype=pl.String).alias("outcome")
    ).join(now.select("household_id"), on="household_id", how="semi")
    return drift(profile, now, model.score(now), outcomes=outcomes, by="township")


def figure_of(name: str, found: Any, lang: str) -> bytes:
    """Draw a figure of `FIGURES` as SVG; the same answer is drawn once. Raises UsageError no_such_figure."""
    if name not in FIGURES:
        raise UsageError("no_such_figure", f"there is no figure {name!r}; there are {', '.join(FIGURES)}")
    return _drawn(name, found, lang)


@functools.lru_cache(maxsize=32)
def _drawn(name: str, found: Any, lang: str) -> bytes:
    from medfloor.reports import watch_pages, watch_prevention

    draw: Mapping[str, Callable[[Any, str], Any]] = {
        "coverage": watch_prevention.coverage_figure, "effect": watch_prevention.effect_figure,
        "calibration": watch_pages.calibration_figure, "capacity": watch_pages.capacity_figure,
        "drift": watch_pages.drift_figure,
    }  # fmt: skip
    return watch_prevention.svg_of(draw[name](found, lang))


def forget(run: Running, what: str) -> None:
    """Forget what was worked out of one kind (prevention, drift)."""
    for key in [one for one in list(run.worked_out) if one[0] == what]:
        run.worked_out.pop(key, None)


def _once(run: Running, acting: Acting, key: tuple[Any, ...], work: Callable[[], Any]) -> WorkedOut:
    """Give what was worked out today for the same question, or work it out."""
    with run.working_out:
        kept: WorkedOut | None = run.worked_out.get(key)
        # Whoever waited for another's answer to the same question takes it.
        if kept is None or day_of(kept.at) != following.today(acting):
            kept = WorkedOut(acting.now, work())
            if len(run.worked_out) >= _MOST_KEPT:
                run.worked_out.clear()
            run.worked_out[key] = kept
        return kept


_MOST_KEPT = 64


def _stamp(file: Path) -> tuple[int, int] | None:
    """Tell one state of a file from another, so that a card is read again only when somebody put another file there."""
    try:
        told = file.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size


@functools.lru_cache(maxsize=4)
def _card(folder: Path, stamps: tuple[tuple[int, int] | None, ...]) -> Card:
    from medfloor.watch.card import Card, checked, compare
    from medfloor.watch.risk import model_of

    model = model_of(_json(folder / "model.json", "bad_model"))
    signed: Any = ()
    if stamps[2] is not None:
        said = _json(folder / "card.json", "bad_signature")
        signed = said.get("signatures") if isinstance(said, dict) else None
        if not isinstance(signed, list):
            raise InputError("bad_signature", "card.json is no card; put there what medfloor watch card wrote")
    compared = None
    if stamps[1] is not None:
        compared = compare(model, model_of(_json(folder / "model_new.json", "bad_model")))
    return Card(model, compared, checked(signed))


def _json(file: Path, code: str) -> Any:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError(code, f"{file.name} is too large; put there what medfloor watch wrote")
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise InputError(code, f"{file.name} cannot be read; put there what medfloor watch wrote") from None


def is_of_whole_office(run: Running, acting: Acting) -> bool:
    """Say whether somebody is of the whole office: drift is of all its townships."""
    from medfloor.store.office import office_of

    with run.store.reading() as connection:
        return place_prefix(office_of(connection).place).startswith(place_prefix(acting.actor.place))
