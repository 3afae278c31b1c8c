"""Be a group of commands that are imported when they are used, so that help starts at once."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Be a group that knows its commands by name and short help only.

    `helps` says both, in the order of the list; the command itself is `command` in the module of that name in
    `package` (- becomes _), or of the name that `modules` gives. `noun` is what a command is called to people.
    """

    def __init__(
        self,
        *args: Any,
        helps: Mapping[str, str],
        package: str,
        noun: str = "command",
        modules: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(*args, **extra)
        self.helps, self.package, self.noun, self.modules = helps, package, noun, modules or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which a newcomer meets them."""
        return list(self.helps)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command; by_tier is by-tier too."""
        name = cmd_name.replace("_", "-")
        if name not in self.helps:
            return None
        module = importlib.import_module(f"{self.package}.{self.modules.get(name, name.replace('-', '_'))}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and name the nearest one for a mistyped name without importing all of them."""
        if args and args[0].replace("_", "-") not in self.helps and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.helps, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.helps)}."
            ctx.fail(f"no such {self.noun} {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from their short helps, importing none."""
        with formatter.section(f"{self.noun.capitalize()}s"):
            formatter.write_dl(list(self.helps.items()))
