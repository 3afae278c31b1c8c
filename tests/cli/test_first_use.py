"""First use: help imports nothing heavy, for every command, and small jobs import only what their work needs.

Structure, not time: `benchmarks/start.py` measures.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "altair", "diff_diff", "fastapi", "great_tables", "maketables", "matplotlib", "numba", "numpy", "pandas", "polars",
    "pyarrow", "pydantic", "pyfixest", "ruamel", "scipy", "scipy.interpolate", "scipy.optimize", "scipy.stats",
    "seaborn", "sklearn", "sqlalchemy", "statsmodels", "typst", "vl_convert", "xlsxwriter",
)  # fmt: skip

ALWAYS = {"numpy", "polars"}
"""What any command that reads a table imports."""

LAW = ALWAYS | {"pydantic", "ruamel"}
"""... and any that reads law."""

TEXT = LAW | {"pyarrow"}
"""... and a file of text with empty lines or cells, whose faults pyarrow places."""

JOBS: dict[str, set[str]] = {
    "settle CLAIMS --people PEOPLE --spells SPELLS --policy cn/beijing --out out.csv": TEXT,
    "explain C02 --claims CLAIMS --people PEOPLE --spells SPELLS --policy cn/beijing": TEXT,
    "policy show cn/beijing@2024-01-01": LAW,
    "policy list": LAW,
    "study list": set(),
    "measure consistency --percent 12.55 --of 417": LAW | {"pandas"},
    "evaluate panel panel.csv --unit home --time wave --treatment covered": LAW,
    "evaluate fixed-effects panel.csv --outcome oop --treatment covered --unit home --time wave --cluster city":
        LAW | {"pandas", "pyfixest", "pyarrow", "scipy"},
    "evaluate staggered panel.csv --outcome oop --start since --unit home --time wave --cluster city":
        LAW | {"pandas", "diff_diff", "pyarrow", "scipy"},
    "evaluate event-study panel.csv --outcome oop --start since --unit home --time wave --cluster city":
        LAW | {"pandas", "diff_diff", "pyfixest", "pyarrow", "scipy", "scipy.optimize"},
    "evaluate quantile panel.csv --outcome oop --treatment covered --time wave --cluster city --quantiles 0.5":
        LAW | {"pandas", "statsmodels", "pyarrow", "scipy", "scipy.optimize"},
    "watch screen --people people.csv --households households.csv --settlements settled.csv --out may": TEXT,
    "fund tiers": ALWAYS | {"scipy", "scipy.optimize"},
    "fund pool --draws 200": ALWAYS | {"scipy"},
    "fund project --years 2 --paths 20 --no-tornado": LAW | {"scipy", "scipy.optimize"},
}  # fmt: skip
"""A small job -> which of HEAVY it may import. A module that is not there is a promise to whoever waits for the job."""

_SAY = (
    "import sys, json, contextlib\n"
    "from medfloor.cli.main import program\n"
    "for line in json.loads(sys.argv[1]):\n"
    "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):\n"
    "        program(line, prog_name='medfloor')\n"
    "    print(json.dumps(sorted(set(json.loads(sys.argv[2])) & set(sys.modules))))\n"
)


def _imported(lines: list[list[str]], folder: Path) -> list[set[str]]:
    """Run command lines in one process, and give which heavy modules are there after each."""
    done = subprocess.run(
        [sys.executable, "-c", _SAY, json.dumps(lines), json.dumps(HEAVY)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [set(json.loads(line)) for line in done.stdout.splitlines()]


def _benchmark(name: str) -> Any:
    # Behind everything else, so that no benchmark stands in for a package of the same name.
    if str(ROOT / "benchmarks") not in sys.path:
        sys.path.append(str(ROOT / "benchmarks"))
    return importlib.import_module(name)


def _leaves() -> list[str]:
    import click

    from medfloor.cli.main import program

    def walk(command: click.Command, context: click.Context, path: tuple[str, ...]) -> list[str]:
        if not isinstance(command, click.Group):
            return [" ".join(path)]
        return [
            leaf
            for name in command.list_commands(context)
            if (one := command.get_command(context, name)) is not None
            for leaf in walk(one, click.Context(one, info_name=name, parent=context), (*path, name))
        ]

    return walk(program, click.Context(program), ())


def test_the_help_of_every_command_imports_nothing_heavy(tmp_path: Path) -> None:
    leaves = _leaves()
    found = _imported([[*leaf.split(), "--help"] for leaf in leaves], tmp_path)
    # One process for all: the first command after which something is there is the one that imported it.
    heavy = {leaf: modules for leaf, modules in zip(leaves, found, strict=True) if modules}
    assert not heavy, f"the help of {next(iter(heavy))!r} imports {sorted(next(iter(heavy.values())))}"


def test_every_command_has_a_small_job_that_is_timed() -> None:
    first_use = _benchmark("first_use")
    assert set(first_use.CASES) == set(_leaves())
    assert {case.place for case in first_use.CASES.values()} <= set(first_use.PLACES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("first-use")
    rows = [
        f"h{home},{wave},c{home % 6},{since},{int(wave >= since)},{100 + 7 * home + (wave * home * 31) % 17}"
        for home in range(24)
        for since in [(2014, 2016, 9999)[home % 3]]
        for wave in (2012, 2014, 2016, 2018)
    ]
    text = "\n".join(["home,wave,city,since,covered,oop", *rows]).replace(",9999,", ",,")
    (made / "panel.csv").write_text(f"{text}\n")
    for name, content in dict(_benchmark("first_use").PLACES["screen"].files).items():
        (made / name).write_text(content)
    return made


@pytest.mark.parametrize(
    ("line", "allowed"), [pytest.param(*job, id=job[0].partition(" -")[0]) for job in JOBS.items()]
)
def test_a_small_job_imports_only_what_its_work_needs(line: str, allowed: set[str], folder: Path) -> None:
    sample = ROOT / "src" / "medfloor" / "sample" / "beijing"
    for word, name in (("CLAIMS", "claims"), ("PEOPLE", "people"), ("SPELLS", "spells")):
        line = line.replace(f" {word} ", f" {sample / name}.csv ")
    imported = _imported([line.split()], folder)[0]
    assert imported <= allowed, f"also {sorted(imported - allowed)}"
