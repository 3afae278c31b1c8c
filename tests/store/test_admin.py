"""Set an office up at the command line, on both stores."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.store import audit, schema, users
from medfloor.store.engine import open_store
from medfloor.store.keys import keyring_from
from medfloor.store.office import office_of

PASSWORD = "correct horse battery"

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs `medfloor admin` in an empty folder."""
    folder = tmp_path / "office"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        if name.startswith("MEDFLOOR_") and name != "MEDFLOOR_HYPOTHESIS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("MEDFLOOR_ADMIN_PASSWORD", PASSWORD)

    def go(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(program, ["admin", *arguments])
        assert done.exit_code == code, done.output
        assert PASSWORD not in done.output
        return done

    return go


def test_an_office_is_set_up_by_one_command_and_again_without_harm(
    run: Run, empty_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDFLOOR_DATABASE", empty_address)
    assert "new" in run("init", "--place", "150981", "--policy", "cn/beijing", "--name", "县医保局").stdout
    keys = Path("medfloor.keys").read_text(encoding="utf-8")
    assert Path("medfloor.keys").stat().st_mode & 0o777 == 0o600
    again = run("init", "--place", "150982")
    assert "which was there" in again.stdout
    assert "there already" in again.stdout
    assert Path("medfloor.keys").read_text(encoding="utf-8") == keys
    store = open_store(empty_address)
    with store.reading() as connection:
        office = office_of(connection)
        assert (office.place, office.policy, office.name) == ("150982", "cn/beijing", "县医保局")
        assert [user.login for user in users.list_users(connection)] == ["admin"]
        assert audit.traces(connection)[0].by.startswith("local:")
    store.close()


def test_a_new_sqlite_store_is_private(run: Run) -> None:
    run("init")
    assert Path("medfloor.db").stat().st_mode & 0o777 == 0o600


def test_init_needs_a_password_and_a_policy_that_there_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "policy" in run("init", "--policy", "cn/nowhere", code=2).output
    assert not Path("medfloor.db").exists()
    monkeypatch.delenv("MEDFLOOR_ADMIN_PASSWORD")
    assert "no_password" in run("init", code=2).output
    Path("password").write_text(f"{PASSWORD}\nsecond line\n", encoding="utf-8")
    run("init", "--password-file", "password")
    run("user", "password", "admin", "--password-file", "password")
    Path("password").write_text("", encoding="utf-8")
    assert "weak_password" in run("user", "password", "admin", "--password-file", "password", code=2).output


def test_commands_before_init_say_what_to_do(run: Run) -> None:
    for command in (["backup", "a"], ["user", "list"], ["settings"], ["retention"]):
        assert "no_store" in run(*command, code=2).output
    Path("medfloor.db").touch()
    assert "schema_missing" in run("user", "list", code=2).output


def test_users_are_added_changed_and_disabled(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    assert "no_password" in run("user", "add", "clerk1", "--role", "county_clerk", code=2).output
    monkeypatch.setenv("MEDFLOOR_USER_PASSWORD", "another horse 77")
    run("user", "add", "clerk1", "--role", "county_clerk", "--place", "150981")
    run("user", "add", "officer1", "--role", "assistance_officer", "--no-password")
    run("user", "role", "clerk1", "--role", "auditor", "--place", "")
    run("user", "disable", "clerk1")
    listed = [line.split() for line in run("user", "list").stdout.splitlines()[2:]]
    assert listed == [
        ["admin", "administrator", "all", "password", "active"],
        ["clerk1", "auditor", "all", "password", "disabled"],
        ["officer1", "assistance_officer", "all", "nothing", "active"],
    ]
    run("user", "enable", "clerk1")
    run("user", "password", "clerk1")
    assert "last_administrator" in run("user", "disable", "admin", code=2).output
    assert "unknown_user" in run("user", "disable", "nobody", code=2).output


def test_settings_are_decided_together_or_not_at_all(run: Run) -> None:
    run("init")
    assert "bad_setting" in run("settings", "place=150981", "proposal_days=never", code=2).output
    assert "150981" not in run("settings").stdout
    assert "150981" in run("settings", "place=150981").stdout
    run("settings", "place", code=2)


def test_a_backup_is_taken_checked_and_restored(run: Run) -> None:
    run("init", "--place", "150981")
    run("backup", "a.backup")
    assert "whole" in run("restore", "a.backup", "--check").stdout
    run("restore", "a.backup", "--database", "new.db")
    assert "store_not_empty" in run("restore", "a.backup", "--database", "new.db", code=2).output
    assert "backup_exists" in run("backup", "a.backup", code=2).output
    run("restore", "a.backup", code=2)
    assert "150981" in run("settings", "--database", "new.db").stdout


def test_keys_are_checked_rotated_and_a_stopped_rotation_goes_on(run: Run, now: datetime) -> None:
    run("init")
    ring = keyring_from({})
    store = open_store("medfloor.db")
    with store.writing() as connection:
        connection.execute(
            schema.person.insert().values(
                person_id="p1", identity_cipher=ring.encrypt("E1"), identity_lookup=ring.lookup("E1"),
                created_at=now,
            )
        )  # fmt: skip
    store.close()
    assert "everything can be read" in run("keys", "check").stdout
    Path("medfloor.keys").write_text(ring.with_coming().text(), encoding="ascii")
    assert "not finished" in run("keys", "check", code=1).stdout
    assert "1 values" in run("keys", "rotate").stdout
    assert keyring_from({}).active != ring.active
    run("keys", "check")
    run("keys", "new", "other.keys")
    assert "MISSING" in run("keys", "check", "--keys", "other.keys", code=1).stdout
    assert "keys_exist" in run("keys", "new", "other.keys", code=2).output


def test_keys_of_a_variable_are_not_rotated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("keys", "new", "x.keys")
    monkeypatch.setenv("MEDFLOOR_KEYS", Path("x.keys").read_text(encoding="ascii"))
    assert "those of MEDFLOOR_KEYS" in run("init").stdout
    assert "keys_not_a_file" in run("keys", "rotate", code=2).output


def test_what_is_past_its_term_is_shown_then_deleted_with_its_folder(run: Run) -> None:
    run("init")
    Path("jobs/1").mkdir(parents=True)
    store = open_store("medfloor.db")
    with store.writing() as connection:
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        connection.execute(
            schema.job.insert().values(
                kind="measure", parameters="{}", state="done", created_by="a", created_at=long_ago,
                finished_at=long_ago, folder=str(Path("jobs/1").resolve()),
            )
        )  # fmt: skip
    assert "nothing was deleted" in run("retention").stdout
    assert Path("jobs/1").exists()
    assert "jobs          1" in run("retention", "--delete").stdout
    assert not Path("jobs/1").exists()
    with store.reading() as connection:
        assert connection.execute(sa.select(schema.job)).all() == []
    store.close()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["init"], "密钥"), (["user", "list"], "登录名"), (["backup", "b"], "字节"), (["restore", "a", "--check"], "完整"),
        (["restore", "a", "--database", "new.db"], "核验账本"), (["keys", "check"], "全部可以读取"),
        (["keys", "rotate"], "另存"), (["retention"], "--delete 才删除"), (["retention", "--delete"], "已删除"),
        (["export", "out", "--purpose", "x"], "单据：0"), (["user", "role", "admin", "--role", "administrator"], "角色"),
    ],
)  # fmt: skip
def test_every_command_speaks_chinese(run: Run, command: list[str], said: str) -> None:
    run("init")
    run("backup", "a")
    assert said in run(*command, "--lang", "zh").stdout


def test_an_export_is_written_as_tables(run: Run) -> None:
    run("init")
    assert "claims: 0" in run("export", "out", "--purpose", "study").stdout
    run("export", "out", "--purpose", "study", "--format", "csv")
    assert sorted(file.name for file in Path("out").iterdir()) == [
        f"{table}.{ending}" for table in ("cases", "claims", "people", "spells") for ending in ("csv", "parquet")
    ]
    assert pl.read_parquet("out/people.parquet").is_empty()
