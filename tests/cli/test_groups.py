"""Groups of commands know their commands by name, and import none until it is used."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from medfloor.cli.groups import LazyGroup
from medfloor.cli.main import program

GROUPS = ["measure", "survey", "evaluate", "fund"]


def _group(name: str) -> LazyGroup:
    found = program.get_command(click.Context(program), name)
    assert isinstance(found, LazyGroup)
    return found


@pytest.mark.parametrize("name", GROUPS)
def test_every_command_that_a_group_lists_can_be_imported(name: str) -> None:
    group = _group(name)
    context = click.Context(group)
    for command in group.list_commands(context):
        assert isinstance(group.get_command(context, command), click.Command)
    assert group.get_command(context, "no-such") is None


@pytest.mark.parametrize("name", GROUPS)
def test_a_mistyped_command_names_its_nearest(name: str) -> None:
    group = _group(name)
    first = group.list_commands(click.Context(group))[0]
    with pytest.raises(click.UsageError, match=f"did you mean {first}"):
        group.resolve_command(click.Context(group), [first + "x"])


def test_the_list_of_commands_is_written_without_importing_one() -> None:
    script = (
        "import sys, contextlib\n"
        "from medfloor.cli.main import program\n"
        "with contextlib.suppress(SystemExit):\n"
        "    program(['fund', '--help'], prog_name='medfloor')\n"
        "assert not [m for m in sys.modules if m.startswith('medfloor.cli.fund.')], 'a command was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "supervise" in done.stdout
