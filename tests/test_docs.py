"""Run what the pages show: every console and Python block of README.md and docs, page by page in an empty folder.

A ```console block shows commands after `$ ` and what they print. A line of its own `...` stands for any lines, and
`...` within a line for any text. A ```python block runs in the same folder after the blocks before it; with `>>>` it is
a doctest. A block is left out only below a line `<!-- not run: why -->`. A page sees the folder `examples` of the
repository where there is one.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from medfloor import tables

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(
    r"^(?P<skip><!-- not run: [^\n]+ -->\n+)?```(?P<kind>console|python)\b[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
Shell = Callable[[str, Path], subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Block:
    """Be one fenced block that is to be run."""

    kind: str
    line: int
    text: str


def blocks_of(page: str) -> list[Block]:
    """List the blocks of a page that are to be run, with the line on which their text begins."""
    return [
        Block(found["kind"], page.count("\n", 0, found.start("text")) + 1, found["text"])
        for found in FENCE.finditer(page)
        if not found["skip"]
    ]


def commands_of(text: str) -> list[tuple[str, str]]:
    """Split a console block into commands (with their `\\` continuations) and the output shown below each."""
    pairs: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            pairs.append((line[2:], []))
        elif pairs and not pairs[-1][1] and pairs[-1][0].endswith("\\"):
            pairs[-1] = (f"{pairs[-1][0]}\n{line.removeprefix('> ')}", [])
        else:
            assert pairs, f"a console block begins with a command after `$ `, not with {line!r}"
            pairs[-1][1].append(line)
    return [(command, "\n".join(shown)) for command, shown in pairs]


def fits(shown: str, printed: str) -> bool:
    """Say whether what was printed is what the page shows; trailing blanks do not count."""
    pattern = []
    for line in shown.rstrip().splitlines():
        if line.strip() == "...":
            pattern.append(r"(?:[^\n]*\n)*?")
        else:
            pattern.append("[^\n]*".join(re.escape(part) for part in line.rstrip().split("...")) + "\n")
    text = "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())
    return re.fullmatch("".join(pattern), text) is not None


def run_console(block: Block, page: Path, folder: Path, shell: Shell) -> None:
    for command, shown in commands_of(block.text):
        done = shell(command, folder)
        assert fits(shown, done.stdout), (
            f"{page.relative_to(ROOT)}, block at line {block.line}: `{command}` (exit {done.returncode}) printed\n"
            f"{done.stdout}\nbut the page shows\n{shown}"
        )


def run_python(block: Block, page: Path, names: dict[str, object]) -> None:
    place = f"{page.relative_to(ROOT)}, block at line {block.line}"
    if ">>>" not in block.text:
        exec(compile(block.text, place, "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(block.text, names, place, str(page), block.line)
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.write, clear_globs=False)
    names.update(test.globs)
    assert runner.failures == 0, report.getvalue()


def pages_that_run() -> list[Path]:
    return [page for page in PAGES if blocks_of(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages_that_run()])
def test_a_page_shows_what_really_happens(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    # The first page starts each program from nothing, as whoever reads it does; the others save the reading of modules.
    shell: Shell = request.getfixturevalue("shell" if page == ROOT / "README.md" else "warm_shell")
    if (ROOT / "examples").is_dir():
        (tmp_path / "examples").symlink_to(ROOT / "examples")
    names: dict[str, object] = {"__name__": "__page__"}
    with contextlib.chdir(tmp_path):
        for block in blocks_of(page.read_text(encoding="utf-8")):
            if block.kind == "console":
                run_console(block, page, tmp_path, shell)
            else:
                run_python(block, page, names)


def test_no_block_escapes_by_a_fence_that_is_not_understood() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        opened = len(re.findall(r"^[ \t>]*(?:```+|~~~+)[ \t]*(?:console|python)\b", text, re.MULTILINE))
        assert opened == len(FENCE.findall(text)), f"{page.relative_to(ROOT)} has a block that would not be run"


def test_a_wrong_page_is_found_out(tmp_path: Path, shell: Shell) -> None:
    wrong = Block("console", 1, "$ printf 'paid 3\\nleft 4\\n'\npaid 3\nleft 5\n")
    with pytest.raises(AssertionError, match="left 4"):
        run_console(wrong, ROOT / "README.md", tmp_path, shell)
    with pytest.raises(AssertionError, match="Expected"):
        run_python(Block("python", 1, ">>> 1 + 1\n3\n"), ROOT / "README.md", {})


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("paid 1\nleft 2", "paid 1  \nleft 2\n\n", True),
        ("paid 1\n...\nend", "paid 1\na\nb\nend", True),
        ("paid 1\n...", "paid 1", True),
        ("in ... s", "in 0.31 s", True),
        ("in ... s", "in 0.31 s\nmore", False),
        ("paid 1", "", False),
        ("", "a line that the page hides", False),
    ],
)
def test_three_dots_stand_for_anything_and_nothing_else_does(shown: str, printed: str, same: bool) -> None:
    assert fits(shown, printed) is same


LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<to>[^)\s]+)\)")


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = [
        found["to"]
        for found in LINK.finditer(text)
        if not re.match(r"[a-z]+:|#", found["to"]) and not (page.parent / found["to"].partition("#")[0]).exists()
    ]
    assert not broken


def test_the_page_of_tables_lists_every_column_code_and_reason() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for table in (tables.CLAIMS, tables.PEOPLE, tables.SPELLS, tables.HOUSEHOLDS, tables.SURVEY):
        section = re.search(rf"^## {table.name}:.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        assert section is not None
        rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| ([^|]+) \|", section[0], re.MULTILINE)
        assert [(ours, national or None) for ours, national, _ in rows] == [(c.name, c.national) for c in table.columns]
        for (ours, _, holds), column in zip(rows, table.columns, strict=True):
            assert tuple(re.findall(r"`(\w+)`", holds.partition(";")[0])) == column.codes, ours
    listed = re.findall(r"^\| `(\w+)` \| [^|`]+ \|$", page.partition("| reason | meaning |")[2], re.MULTILINE)
    assert set(listed) == set(tables.REASONS)
