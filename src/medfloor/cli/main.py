"""Be the program `medfloor`: find the command that was asked for, and say in one line what went wrong.

A subject's module is imported when it is used, so that `medfloor --help` starts at once. Exit codes: 0 done, 1 done
with findings or rejections, 2 misuse (or a file that cannot be read or written), 70 a bug of ours, 130 interrupted,
141 the reader of our output went away.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from medfloor import __version__
from medfloor.cli.groups import LazyGroup
from medfloor.errors import MedfloorError

SUBJECTS: dict[str, str] = {
    "demo": "Settle a shipped sample under Beijing's rules and show the result.",
    "settle": "Settle a file of claims under a policy.",
    "explain": "Explain one settled claim, tier by tier.",
    "resettle": "Report who is owed or owes after statuses were corrected.",
    "apply": "Work out the yearly assistance that households apply for.",
    "policy": "List, show, check and compare policies.",
    "survey": "Read CFPS, CHARLS or any survey to panels of households and people.",
    "synthesise": "Make up a county that meets published figures.",
    "measure": "Measure financial protection and equity, with survey errors.",
    "evaluate": "Say whether a policy worked, on a panel of households or people.",
    "study": "Run studies as programs: from survey files to the tables of a paper.",
    "simulate": "Say what reforms change, for whom, and what they cost.",
    "optimise": "Find the best package that a budget can buy.",
    "household": "Follow one family through all tiers, before and after a reform.",
    "fund": "Say whether the fund lasts, who shares its risk, what must be looked at.",
    "watch": "Find households at risk in time, help, follow, let them go by rule.",
    "report": "Print reports: a county's year, a policy brief, a study, a family's letter.",
    "register": "Keep who is insured and who is poor, from departments' files.",
    "ledger": "Settle against the office's store, show years and arrears, verify.",
    "admin": "Set an office up: store, backups, users, keys, settings.",
    "serve": "Serve the office over HTTP: register, ledger, one-stop settlement.",
}
"""Subcommand -> its short help. The command itself is `command` in medfloor/cli/<name>.py."""

EXIT_MISUSE = 2
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
EXIT_READER_GONE = 141


class Program(LazyGroup):
    """Be the group of all commands, whose errors are said in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out the command; a reader that goes away (`| head`) ends it quietly."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_output()
            raise click.exceptions.Exit(EXIT_READER_GONE) from None
        return result

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run the program and exit with its code."""
        extra["standalone_mode"] = False
        try:
            result = super().main(args, prog_name or "medfloor", **extra)
        except (Exception, KeyboardInterrupt) as error:
            sys.exit(_say_error(error))
        sys.exit(result if isinstance(result, int) else 0)


@click.command(
    cls=Program,
    helps=SUBJECTS,
    package="medfloor.cli",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="medfloor")
def program() -> None:
    """Settle medical claims under real law, and say where each yuan comes from.

    \b
    Examples:
      medfloor demo
      medfloor policy show cn/beijing@2023-01-01 --lang en
      medfloor settle claims.csv --people people.csv --policy cn/beijing --out settled.parquet

    Exit codes: 0 done, 1 done with findings or rejections, 2 misuse.
    """


def main() -> None:
    """Be the console script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a Chinese character gets its number, never a traceback.
            stream.reconfigure(errors="backslashreplace")
    # Set before Polars is imported, which puts a handler of its own before this one.
    signal.signal(signal.SIGINT, _interrupt)
    _look_for_garbage_later()
    program.main()


_FIRST_OBJECTS = 200_000
"""So many objects that hold others are made by the imports of a command of ours with charts."""


def _look_for_garbage_later() -> None:
    """Look for garbage in circles when the first objects are there, then as often as Python does.

    What imports make stays, and Python looks through all of it several times: a tenth of a small job.
    """
    usual = gc.get_threshold()

    def as_usual(phase: str, told: dict[str, int]) -> None:
        gc.set_threshold(*usual)
        gc.callbacks.remove(as_usual)

    gc.callbacks.append(as_usual)
    gc.set_threshold(_FIRST_OBJECTS, *usual[1:])


def _interrupt(number: int, frame: object) -> None:
    """Interrupt once: what cleans up after an interruption is not interrupted itself.

    Polars raises KeyboardInterrupt too when it is at work, so that one Ctrl-C would come twice.
    """
    if not isinstance(sys.exc_info()[1], (KeyboardInterrupt, click.Abort)):
        raise KeyboardInterrupt


def _say_error(error: BaseException) -> int:
    """Say an error in one line on stderr, and give the exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        click.echo("interrupted; what was not finished was not written", err=True)
        return EXIT_INTERRUPTED
    if os.environ.get("MEDFLOOR_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, MedfloorError):
        click.echo(f"error [{error.code}]: {error.message}", err=True)
        return EXIT_MISUSE
    if isinstance(error, OSError):
        click.echo(_about_files(error), err=True)
        return EXIT_MISUSE
    click.echo(
        f"error [bug]: {type(error).__name__} inside medfloor; its message is kept back, because it may hold personal "
        "data. Set MEDFLOOR_DEBUG=1 to see the traceback, and report it without the data",
        err=True,
    )
    return EXIT_BUG


def _about_files(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"error [disk_full]: the disk is full{where}; free some space or write elsewhere"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"error [permission]: not allowed{where}; check the permissions of the file and its folder"
    if error.errno == errno.ENOENT:
        return f"error [file_not_found]: there is no such file or folder{where}; check the path"
    return f"error [file]: {error.strerror or type(error).__name__}{where}"


def _forget_output() -> None:
    """Point stdout at nothing, so that closing it does not complain about the reader that went away."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
