"""Run the store on Debian's own PostgreSQL over loopback, as an office does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from medfloor.store import schema
from medfloor.store.engine import open_store
from medfloor.store.migrate import check, differences, upgrade

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def debian() -> Iterator[str]:
    """Start a cluster of its own; the user `postgres` runs it where we are root, because PostgreSQL refuses to."""
    programs = PROGRAMS[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="medfloor-debian-"))
    own = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        own = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    port = free_port()

    def run(*command: str) -> None:
        done = subprocess.run([*own, *command], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    run(str(programs / "initdb"), "-D", str(data), "-U", "medfloor", "--auth=trust", "--no-sync")
    run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://medfloor@127.0.0.1:{port}/postgres"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-m", "fast", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(not PROGRAMS, reason="Debian's PostgreSQL is not installed; .ci/run installs it")
def test_tables_come_up_on_debians_server_and_take_rows(debian: str) -> None:
    store = open_store(debian)
    try:
        upgrade(store)
        check(store)
        assert differences(store) == []
        with store.writing() as connection:
            connection.execute(schema.provider.insert().values(provider_id="H1", name="县医院"))
        with store.reading() as connection:
            assert connection.execute(sa.select(schema.provider.c.name)).scalar_one() == "县医院"
    finally:
        store.close()
