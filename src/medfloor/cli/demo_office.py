"""Serve the office of a made-up county, for `medfloor demo --serve`: fill it once, then run the service on loopback."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medfloor.cli.serve import take_port
from medfloor.errors import UsageError
from medfloor.terminal import aligned
from medfloor.words import say

if TYPE_CHECKING:
    from socket import socket

    from medfloor.store.engine import Store
    from medfloor.store.keys import Keyring
    from medfloor.store.office import MadeUp

HOST = "127.0.0.1"
STORE, KEYS, MAKING = "office.db", "office.keys", "making"


def serve_demo(folder: Path, *, people: int, port: int, lang: str, opens: bool) -> bool:
    """Fill the folder unless it holds a made-up office already, and serve it to this machine alone until Ctrl-C.

    Gives whether the service had started. Raises UsageError: port_taken, not_a_demo (the folder holds something else).
    """
    with take_port(HOST, port) as listening:
        click.echo(say("demo_office.loud", lang))
        click.echo()
        began = time.monotonic()
        if not (folder / STORE).exists():
            _make(folder, people, lang, began)
        store, ring, mark = _opened(folder)
        try:
            address = f"http://{HOST}:{listening.getsockname()[1]}"
            _tell(address, folder, mark, lang)
            return _run(store, ring, mark, folder, listening, _ready(address, opens, lang))
        finally:
            store.close()


def _make(folder: Path, people: int, lang: str, began: float) -> None:
    """Fill a store beside its place, and put it there when it is whole."""
    from medfloor.service import demonstration
    from medfloor.store.engine import open_store
    from medfloor.store.keys import new_keys, write_keys
    from medfloor.store.migrate import upgrade

    making = folder / MAKING
    if folder.exists() and any(one.name != MAKING for one in folder.iterdir()):
        raise UsageError("not_a_demo", f"{folder} holds something else; name another folder with --folder")
    # What a run left that was broken off.
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    making.chmod(0o700)

    def tell(step: str) -> None:
        click.echo(f"{time.monotonic() - began:5.1f} s  {say(f'demo_office.{step}', lang)}")

    ring = new_keys()
    write_keys(making / KEYS, ring)
    store = open_store(making / STORE)
    try:
        upgrade(store)
        filled = demonstration.fill(store, ring, people=people, now=datetime.now(UTC), tell=tell)
    finally:
        store.close()
    os.replace(making / KEYS, folder / KEYS)
    os.replace(making / STORE, folder / STORE)
    shutil.rmtree(making)
    counts = {"people": filled.people, "claims": filled.claims, "cases": filled.cases, "arrears": filled.arrears}
    click.echo(f"{time.monotonic() - began:5.1f} s  {say('demo_office.filled', lang, **counts)}")
    click.echo()


def _opened(folder: Path) -> tuple[Store, Keyring, MadeUp]:
    from medfloor.store.engine import open_store
    from medfloor.store.keys import keyring_from
    from medfloor.store.migrate import check
    from medfloor.store.office import made_up

    store = open_store(folder / STORE)
    try:
        check(store)
        with store.reading() as connection:
            mark = made_up(connection)
        if mark is None:
            raise UsageError("not_a_demo", f"{folder} holds a real office; medfloor serve serves it, not the demo")
        return store, keyring_from({}, file=folder / KEYS), mark
    except BaseException:
        store.close()
        raise


def _tell(address: str, folder: Path, mark: MadeUp, lang: str) -> None:
    from medfloor.periods import OFFICE_ZONE
    from medfloor.service.demonstration import PASSWORD, PEOPLE

    heads = [say(f"demo_office.{name}", lang) for name in ("login", "role", "place")]
    rows = [heads] + [
        [login, say(f"role.{role}", lang), place or say("account.every_place", lang)]
        for login, role, place, _ in PEOPLE
    ]
    for line in aligned(rows, right=()):
        click.echo(f"  {line}")
    click.echo()
    click.echo(say("demo_office.password", lang, password=PASSWORD))
    day = mark.clock(datetime.now(UTC)).astimezone(OFFICE_ZONE).date()
    click.echo(say("demo_office.today", lang, day=day.isoformat(), folder=folder))
    click.echo(say("demo_office.address", lang, address=address))


def _ready(address: str, opens: bool, lang: str) -> Callable[[], None]:
    def ready() -> None:
        if opens:
            import webbrowser

            webbrowser.open(f"{address}/language?to={lang}&next=/")

    return ready


def _run(store: Store, ring: Keyring, mark: MadeUp, folder: Path, listening: socket, ready: Callable[[], None]) -> bool:
    """Serve in this process, by the made-up office's clock; its log goes into the folder."""
    import signal
    import sys

    import uvicorn

    from medfloor.service.app import create_app
    from medfloor.service.logs import log_of
    from medfloor.service.pages import policies
    from medfloor.service.settings import settings_from

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                ready()

    # The feeder computes while the loop answers; the loop must not wait five milliseconds for its turn.
    sys.setswitchinterval(0.0005)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn raises the signal again after it has stopped in order; that stop is what was asked for.
        signal.signal(number, lambda *_: None)
    # A page asks for its files all at once; nobody but this machine can ask at all.
    settings = settings_from(
        {}, database=str(folder / STORE), jobs_folder=folder / "jobs", hosts=f"{HOST},localhost", strangers_a_second=200
    )
    with (folder / "service.log").open("a", encoding="utf-8") as log:
        app = create_app(
            settings, store=store, keyring=ring, clock=lambda: mark.clock(datetime.now(UTC)), log=log_of(log)
        )
        policies.warm()
        server = Server(
            uvicorn.Config(
                app, access_log=False, server_header=False, log_config=None, timeout_graceful_shutdown=10, ws="none",
                http="medfloor.service.heads:BoundedHeads",
            )
        )  # fmt: skip
        server.run(sockets=[listening])
        return server.started
