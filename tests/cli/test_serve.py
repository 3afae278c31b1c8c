"""`medfloor serve`: started as people start it, asked over a socket, stopped in order."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from medfloor.store import register
from medfloor.store.engine import open_store
from medfloor.store.keys import keyring_from

PROGRAM = [sys.executable, "-m", "medfloor.cli.main"]
PASSWORD = "correct horse 7 battery"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set an office up as people do, once for all tests."""
    folder = tmp_path_factory.mktemp("furnished")
    done = run(folder, "admin", "init", "--place", "150981", "--policy", "cn/beijing")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(furnished: Path, tmp_path: Path) -> Path:
    shutil.copytree(furnished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDFLOOR_")}
    return {**kept, "MEDFLOOR_ADMIN_PASSWORD": PASSWORD, **more}


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def serving(folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    """Start the service on a free port, and give its address when it is ready."""
    log = folder / "serve.log"
    with log.open("w") as told:
        process = subprocess.Popen(
            [*PROGRAM, "serve", "--port", "0", *arguments], cwd=folder, env=environment(), stdout=told, stderr=told
        )
        try:
            address = ""
            for _ in range(300):
                text = log.read_text()
                if not address and "http://" in text:
                    address = text.partition("on ")[2].partition(";")[0]
                try:
                    if address and httpx.get(f"{address}/health/ready").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                assert process.poll() is None, text
                time.sleep(0.1)
            yield address, process, log
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_two_commands_make_an_office_that_answers_and_stops_in_order(folder: Path, number: signal.Signals) -> None:
    for address, process, log in serving(folder):
        answer = httpx.post(f"{address}/api/v1/session", json={"login": "admin", "password": PASSWORD})
        assert answer.status_code == 200 and answer.json()["role"] == "administrator"
        process.send_signal(number)
        assert process.wait(20) == 0
        lines = [json.loads(line) for line in log.read_text().splitlines()[1:]]
        assert lines[-1]["event"] == "stopped" and lines[-1]["drained"] is True
        assert "medfloor.db on http://127.0.0.1:" in log.read_text()


def test_several_workers_serve_and_count_together(folder: Path) -> None:
    for address, process, _ in serving(folder, "--workers", "2"):
        with httpx.Client() as client:
            for _ in range(20):
                assert client.get(f"{address}/health/live").status_code == 200
            text = client.get(f"{address}/metrics").text
        assert 'route="/health/live"' in text
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_what_is_missing_is_said_in_one_line_with_the_next_step(tmp_path: Path, folder: Path) -> None:
    nowhere = tmp_path / "empty"
    nowhere.mkdir()
    (nowhere / "medfloor.keys").write_bytes((folder / "medfloor.keys").read_bytes())
    (nowhere / "medfloor.keys").chmod(0o600)
    done = run(nowhere, "serve")
    assert done.returncode == 2 and "medfloor admin init" in done.stderr and not (nowhere / "medfloor.db").exists()
    done = run(folder, "serve", "--keys", str(tmp_path / "other.keys"))
    assert done.returncode == 2 and "[no_keys]" in done.stderr
    done = run(folder, "serve", MEDFLOOR_QUEUE="many")
    assert done.returncode == 2 and "MEDFLOOR_QUEUE" in done.stderr and "many" not in done.stderr


def test_a_password_on_the_command_line_is_refused(folder: Path) -> None:
    for address in ("postgresql://office:geheim@db.example/x", "postgresql://db.example/x?password=geheim"):
        done = run(folder, "serve", "--database", address)
        assert done.returncode == 2 and "[password_on_command_line]" in done.stderr and "geheim" not in done.stderr


def test_a_port_that_is_taken_is_said(folder: Path) -> None:
    for address, _, _ in serving(folder):
        done = run(folder, "serve", "--port", address.rpartition(":")[2])
        assert done.returncode == 2 and "[port_taken]" in done.stderr


def test_of_two_that_start_at_once_only_one_gets_the_port(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    both = [
        subprocess.Popen(
            [*PROGRAM, "serve", "--port", str(port)], cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        for _ in range(400):
            over = [one for one in both if one.poll() is not None]
            if over:
                break
            time.sleep(0.1)
        assert len(over) == 1
        assert over[0].returncode == 2
        assert over[0].stderr is not None
        said = over[0].stderr.read()
        assert "[port_taken]" in said and "Traceback" not in said
    finally:
        for one in both:
            one.kill()
            one.communicate()


def test_a_file_that_is_no_store_and_keys_of_another_office_are_said(tmp_path: Path, folder: Path) -> None:
    with open_store(folder / "medfloor.db").writing() as connection:
        keys = keyring_from({}, file=folder / "medfloor.keys")
        register.add_person(connection, keys, now=datetime(2024, 1, 1, tzinfo=UTC), person_id="p1", name="测试")
    other = tmp_path / "other"
    other.mkdir()
    assert run(other, "admin", "init", "--place", "150981", "--policy", "cn/beijing").returncode == 0
    done = run(folder, "serve", "--keys", str(other / "medfloor.keys"))
    assert done.returncode == 2 and "[key_missing]" in done.stderr
    (other / "medfloor.db").write_text("this is no database, and longer than its header would be\n" * 9)
    for command in (("serve",), ("ledger", "verify"), ("admin", "user", "list")):
        done = run(other, *command)
        assert done.returncode == 2 and "[store_broken]" in done.stderr, (command, done.stderr)


def test_a_server_that_does_not_answer_is_said_without_its_password(folder: Path) -> None:
    done = run(folder, "serve", MEDFLOOR_DATABASE="postgresql://office:geheim@127.0.0.1:1/x")
    assert done.returncode == 2 and "[store_away]" in done.stderr and "geheim" not in done.stderr


def test_listening_to_others_without_tls_warns(folder: Path) -> None:
    for address, _, log in serving(folder, "--host", "0.0.0.0"):
        assert address and "warning: others can reach this address" in log.read_text()
