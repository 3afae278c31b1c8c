"""Be `medfloor admin user`: add, list, disable, enable, password, role."""

from __future__ import annotations

from pathlib import Path

import click

from medfloor.cli.admin.passwords import ask_password
from medfloor.cli.opened import database_option, lang_option, local_actor, moment, opened
from medfloor.words import say

_PASSWORD_FILE = click.option(
    "--password-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File whose first line is the password.  [else MEDFLOOR_USER_PASSWORD, or asked]",
)
_ROLE = click.option(
    "--role",
    required=True,
    metavar="ROLE",
    help="county_clerk, assistance_officer, fund_supervisor, analyst, auditor or administrator.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Add, list and disable users, set passwords and roles.

    \b
    Examples:
      medfloor admin user add clerk1 --role county_clerk --place 150981
      medfloor admin user list
      medfloor admin user disable clerk1
    """


@command.command()
@click.argument("login")
@_ROLE
@click.option("--place", metavar="CODE", default="", help="Division code; sees what lies within it.  [default: all]")
@click.option("--display-name", metavar="TEXT", default="", help="How the user is called on pages.")
@click.option("--language", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
@click.option("--no-password", is_flag=True, help="The user comes by the office's own log-in (OIDC) only.")
@_PASSWORD_FILE
@database_option
@lang_option
def add(
    login: str,
    role: str,
    place: str,
    display_name: str,
    language: str,
    no_password: bool,
    password_file: Path | None,
    database: str | None,
    lang: str,
) -> None:
    """Add the user LOGIN.

    \b
    Example:
      medfloor admin user add clerk1 --role county_clerk --place 150981 --password-file clerk1.password
    """
    from medfloor.store.users import create_user

    with opened(database) as store:
        password = (
            None if no_password else ask_password(password_file, "MEDFLOOR_USER_PASSWORD", whose=login, lang=lang)
        )
        user = store.attempt(
            lambda connection: create_user(
                connection,
                login,
                role=role,
                place=place,
                display_name=display_name,
                language=language,
                password=password,
                actor=local_actor(),
                now=moment(),
            )
        )
    click.echo(say("admin.user_added", lang, login=user.login, role=user.role))


@command.command("list")
@database_option
@lang_option
def list_(database: str | None, lang: str) -> None:
    """List all users.

    \b
    Example:
      medfloor admin user list
    """
    from medfloor.store.users import list_users
    from medfloor.terminal import aligned

    now = moment()
    with opened(database) as store, store.reading() as connection:
        users = list_users(connection)
    rows = [[say(f"admin.{head}", lang) for head in ("login", "role", "place", "comes_by", "state")]]
    for user in users:
        ways = [way for way, has in (("by_password", user.has_password), ("by_oidc", user.oidc_subject)) if has]
        comes_by = " ".join(say(f"admin.{way}", lang) for way in ways or ["by_nothing"])
        locked = user.locked_until is not None and user.locked_until > now
        state = "disabled" if not user.active else "locked" if locked else "active"
        place = user.place or say("admin.all_places", lang)
        rows.append([user.login, user.role, place, comes_by, say(f"admin.{state}", lang)])
    click.echo("\n".join(aligned(rows)))


@command.command()
@click.argument("login")
@database_option
@lang_option
def disable(login: str, database: str | None, lang: str) -> None:
    """Disable the user LOGIN and end all sessions and tokens.

    \b
    Example:
      medfloor admin user disable clerk1
    """
    _set_active(login, database, lang, active=False)


@command.command()
@click.argument("login")
@database_option
@lang_option
def enable(login: str, database: str | None, lang: str) -> None:
    """Enable the user LOGIN again, and unlock the account.

    \b
    Example:
      medfloor admin user enable clerk1
    """
    _set_active(login, database, lang, active=True)


@command.command()
@click.argument("login")
@_PASSWORD_FILE
@database_option
@lang_option
def password(login: str, password_file: Path | None, database: str | None, lang: str) -> None:
    """Give the user LOGIN another password, and end all sessions and tokens.

    \b
    Example:
      medfloor admin user password clerk1
    """
    from medfloor.store.users import set_password

    with opened(database) as store:
        text = ask_password(password_file, "MEDFLOOR_USER_PASSWORD", whose=login, lang=lang)
        store.attempt(lambda c: set_password(c, login, text, actor=local_actor(), now=moment()))
    click.echo(say("admin.user_password", lang, login=login))


@command.command()
@click.argument("login")
@_ROLE
@click.option("--place", metavar="CODE", help="Another division code.  [default: as it is]")
@database_option
@lang_option
def role(login: str, role: str, place: str | None, database: str | None, lang: str) -> None:
    """Give the user LOGIN another role.

    \b
    Example:
      medfloor admin user role clerk1 --role assistance_officer
    """
    from medfloor.store.users import set_role

    with opened(database) as store:
        user = store.attempt(lambda c: set_role(c, login, role=role, place=place, actor=local_actor(), now=moment()))
    click.echo(say("admin.user_role", lang, login=user.login, role=user.role))


def _set_active(login: str, database: str | None, lang: str, *, active: bool) -> None:
    from medfloor.store.users import set_active

    with opened(database) as store:
        user = store.attempt(lambda c: set_active(c, login, active=active, actor=local_actor(), now=moment()))
    click.echo(say("admin.user_active" if user.active else "admin.user_disabled", lang, login=user.login))
