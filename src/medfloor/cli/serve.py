"""Be `medfloor serve`: the office as a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import database_option, keys_option

if TYPE_CHECKING:
    from pathlib import Path
    from socket import socket

    from medfloor.service import Settings

EXIT_NOT_STARTED = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@database_option
@keys_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="The port; 0: any.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that serve.")
@click.option("--settings", "file", metavar="FILE", help="A file of settings (TOML); default: MEDFLOOR_SETTINGS.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    database: str | None,
    keys: Path | None,
    host: str,
    port: int,
    workers: int,
    file: str | None,
) -> None:
    """Serve register, ledger and one-stop settlement over HTTP, until it is stopped (Ctrl-C, SIGTERM).

    The store must have been made by `medfloor admin init`. Settings come from variables MEDFLOOR_... or a file, secrets
    never from the command line; docs/service.md lists them. What was asked before a stop is still answered.

    \b
    Examples:
      medfloor serve
      MEDFLOOR_DATABASE=postgresql://office@db.example/medfloor medfloor serve --workers 2

    Exit codes: 0 stopped as asked, 2 misuse (no store, no keys, port taken), 3 it could not start.
    """
    import os

    from medfloor.service import settings_from

    if database is not None:
        _check_no_password(database)
        os.environ["MEDFLOOR_DATABASE"] = database
    if keys is not None:
        os.environ["MEDFLOOR_KEYS_FILE"] = str(keys)
    if file is not None:
        os.environ["MEDFLOOR_SETTINGS"] = file
    settings = settings_from(os.environ)
    _check_store(settings)
    listening = take_port(host, port)
    _tell(settings, host, listening.getsockname()[1])
    ctx.exit(0 if _serve(settings, listening, workers) else EXIT_NOT_STARTED)


def _check_no_password(database: str) -> None:
    """Refuse a password where every user of the machine reads it."""
    from urllib.parse import urlsplit

    from medfloor.errors import UsageError

    try:
        secret = "://" in database and (urlsplit(database).password or "password=" in database)
    except ValueError:
        secret = True
    if secret:
        raise UsageError(
            "password_on_command_line",
            "the address of --database holds a password, which others on this machine can read; set MEDFLOOR_DATABASE",
        )


def _check_store(settings: Settings) -> None:
    """Look at store and keys before the port is taken, so that a mistake is said in one line."""
    from medfloor.cli.opened import keyring, opened
    from medfloor.store.rotation import check_fit

    ring = keyring(settings.keys_file)
    with opened(settings.database) as store:
        check_fit(store, ring)


def take_port(host: str, port: int) -> socket:
    """Take a port. Raises UsageError (`port_taken`)."""
    import socket

    from medfloor.errors import UsageError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it: one whose other end has vanished without a word is closed by the system at last.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    try:
        listening.bind((host, port))
        # Only who listens holds a port: one that is bound can be bound again until the first of them listens.
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise UsageError(
            "port_taken",
            f"cannot listen on {host} port {port} ({error.strerror or 'no such address'}); choose another",
        ) from None
    listening.set_inheritable(True)
    return listening


def _tell(settings: Settings, host: str, port: int) -> None:
    from medfloor.service.routes.health import is_local

    shown = settings.database if "://" not in settings.database else "the store of MEDFLOOR_DATABASE"
    at = f"[{host}]" if ":" in host else host
    click.echo(f"medfloor serves {shown} on http://{at}:{port}; stop with Ctrl-C", err=True)
    if host != "localhost" and not is_local(host) and not (settings.https and settings.proxy):
        click.echo(
            "warning: others can reach this address, and no TLS is ended before it: passwords and people's data travel "
            "readable. Put a TLS proxy before it and set MEDFLOOR_HTTPS=1 and MEDFLOOR_PROXY=<its address>",
            err=True,
        )


def _serve(settings: Settings, listening: socket, workers: int) -> bool:
    """Serve until a signal, answer what was asked, and say whether it had started."""
    import gc
    import os
    import signal
    import tempfile

    import uvicorn
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config(
        "medfloor.service.app:from_environment",
        factory=True,
        workers=workers,
        access_log=False,  # our own log has templates of routes; paths hold the ids of people
        server_header=False,
        log_config=_LOGS,
        proxy_headers=bool(settings.proxy),
        forwarded_allow_ips=settings.proxy or "",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=30,
        ws="none",
        http="medfloor.service.heads:BoundedHeads",
    )
    # uvicorn raises the signal again after it has stopped in order; that stop is what was asked for.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    if workers == 1:
        server = uvicorn.Server(config)
        # Looked for again once it has started (`from_environment`, which comes after its imports).
        gc.disable()
        try:
            server.run(sockets=[listening])
        finally:
            gc.enable()
        return server.started
    with tempfile.TemporaryDirectory(prefix="medfloor-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        Multiprocess(config, sockets=[listening]).run()
    return True


_LOGS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"quiet": {"()": "medfloor.service.logs.QuietFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "quiet", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"uvicorn": {"level": "WARNING"}},
}
"""Lines of libraries in the form of ours; what they say in passing is left out."""
