"""Ask for a password: from a file, a variable or the terminal, never from the command line, where others see it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from medfloor.errors import UsageError
from medfloor.words import say


def ask_password(file: Path | None, variable: str, *, whose: str, lang: str) -> str:
    """Give the password of a file's first line, else of a variable, else ask twice at the terminal.

    Raises UsageError (`no_password`) where there is no terminal to ask at.
    """
    if file is not None:
        lines = file.read_text(encoding="utf-8").splitlines()
        return lines[0] if lines else ""
    if os.environ.get(variable):
        return os.environ[variable]
    if not sys.stdin.isatty():
        raise UsageError("no_password", f"give the password with --password-file or in {variable}")
    answer: str = click.prompt(
        say("admin.password_of", lang, login=whose), hide_input=True, confirmation_prompt=True, err=True
    )
    return answer
