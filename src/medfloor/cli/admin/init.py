"""Be `medfloor admin init`: make what an office needs; on a store that is there, bring its tables up."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medfloor.cli.admin.passwords import ask_password
from medfloor.cli.opened import database_option, keys_option, lang_option, local_actor, moment, opened
from medfloor.words import say

if TYPE_CHECKING:
    import sqlalchemy as sa

    from medfloor.store.engine import Store


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@database_option
@keys_option
@click.option("--place", metavar="CODE", help="Division code of the office, such as 150981.")
@click.option("--policy", metavar="ADDRESS", help="Policy by which it settles, such as cn/beijing.")
@click.option("--name", metavar="TEXT", help="How the office is called.")
@click.option("--admin", "login", metavar="LOGIN", default="admin", show_default=True, help="The first administrator.")
@click.option(
    "--password-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File whose first line is the administrator's password.  [else MEDFLOOR_ADMIN_PASSWORD, or asked]",
)
@lang_option
def command(
    database: str | None,
    keys: Path | None,
    place: str | None,
    policy: str | None,
    name: str | None,
    login: str,
    password_file: Path | None,
    lang: str,
) -> None:
    """Make the tables, the settings, the keys file and the first administrator of an office.

    What is there already stays: a keys file is never overwritten, an administrator is only added where there is none,
    and tables of an older version are brought up (back them up first).

    \b
    Examples:
      medfloor admin init
      medfloor admin init --place 150981 --policy cn/beijing --password-file admin.password
      medfloor admin init --database postgresql://medfloor@127.0.0.1/medfloor --keys /etc/medfloor/keys
    """
    from medfloor.store.migrate import upgrade

    now = moment()
    if policy:
        from medfloor.policy.load import load_policy

        load_policy(policy)
    with opened(database, checked=False) as store:
        version = upgrade(store)
        click.echo(say("admin.init_store", lang, kind=store.kind, version=version))
        click.echo(say("admin.init_keys", lang, keys=_keys(keys, lang)))
        _settings(store, {"place": place, "policy": policy, "name": name}, now, lang)
        admin = _administrator(store, login, password_file, now, lang)
        click.echo(say("admin.init_admin", lang, admin=admin))
    click.echo(say("admin.init_care", lang))


def _keys(keys: Path | None, lang: str) -> str:
    from medfloor.store.keys import DEFAULT_FILE, KEYS, KEYS_FILE, keyring_from, new_keys, write_keys

    if keys is None and os.environ.get(KEYS) and not os.environ.get(KEYS_FILE):
        keyring_from(os.environ)
        return say("admin.keys_of_variable", lang, name=KEYS)
    path = Path(keys or os.environ.get(KEYS_FILE) or DEFAULT_FILE)
    if path.exists():
        keyring_from(os.environ, file=path)
        return say("admin.keys_there", lang, path=path)
    write_keys(path, new_keys())
    return say("admin.keys_fresh", lang, path=path)


def _settings(store: Store, given: dict[str, str | None], now: datetime, lang: str) -> None:
    from medfloor.store.office import decide_setting, office_of

    def decide(connection: sa.Connection) -> None:
        for name, value in given.items():
            if value is not None:
                decide_setting(connection, name, value, actor=local_actor(), now=now)

    store.attempt(decide)
    with store.reading() as connection:
        office = office_of(connection)
    place = office.place or say("admin.not_decided", lang, option="--place")
    click.echo(say("admin.init_place", lang, place=place))
    policy = office.policy or say("admin.not_decided", lang, option="--policy")
    click.echo(say("admin.init_policy", lang, policy=policy))


def _administrator(store: Store, login: str, password_file: Path | None, now: datetime, lang: str) -> str:
    from medfloor.store.users import create_user, list_users

    with store.reading() as connection:
        there = [user.login for user in list_users(connection) if user.role == "administrator" and user.active]
    if there:
        return say("admin.admin_there", lang, logins=", ".join(there))
    password = ask_password(password_file, "MEDFLOOR_ADMIN_PASSWORD", whose=login, lang=lang)
    actor = local_actor()
    user = store.attempt(
        lambda connection: create_user(connection, login, role="administrator", password=password, actor=actor, now=now)
    )
    return say("admin.admin_new", lang, login=user.login)
