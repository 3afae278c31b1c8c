"""Keep the house: floors, names, locks without addresses, and commands that CI and README share."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import medfloor

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "medfloor"
MODULES = sorted(SOURCE.rglob("*.py"))
BIN = Path(sys.executable).parent


def committed_files() -> list[Path]:
    """List what is committed or would be with `git add .`; outside a repository, every file that is not hidden."""
    asked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if asked.returncode == 0:
        found = [ROOT / name for name in asked.stdout.decode("utf-8").split("\0") if name]
    else:
        found = [file for file in ROOT.rglob("*") if not any(p.startswith(".") for p in file.relative_to(ROOT).parts)]
    return [file for file in found if file.is_file()]


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def marked_command(page: str, marker: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(rf"<!-- {marker} -->\n```sh\n([^\n]+)\n```\n<!-- end -->", text)
    assert len(found) == 1, f"{page} must have one line of shell between <!-- {marker} --> and <!-- end -->"
    return str(found[0])


# Floors


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_every_import_keeps_to_the_floors() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "named"),
    [
        ("money.py", "from medfloor import tables", "medfloor.money -> medfloor.tables"),
        ("policy/load.py", "import medfloor.intake", "medfloor.policy.load -> medfloor.intake"),
        ("policy/load.py", "import medfloor.settlement", "medfloor.policy.load -> medfloor.settlement"),
        ("settlement/reference.py", "import medfloor.settlement.kernel", "medfloor.settlement.reference"),
        ("tables.py", "import polars", "medfloor.tables -> polars"),
        ("policy/load.py", "import duckdb", "medfloor.policy.load -> duckdb"),
    ],
)
def test_a_wrong_import_fails_and_is_named(tmp_path: Path, file: str, line: str, named: str) -> None:
    shutil.copytree(SOURCE, tmp_path / "src" / "medfloor", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    wrong = tmp_path / "src" / "medfloor" / file
    wrong.write_text(f"{wrong.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert named in done.stdout


def test_a_module_without_a_floor_fails(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "src" / "medfloor", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "src" / "medfloor" / "leftovers.py").write_text('"""Hold leftovers."""\n', encoding="utf-8")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert "leftovers" in done.stdout


# Names and shape

LEFTOVERS = {"utils", "util", "common", "helpers", "helper", "core", "base", "misc", "shared", "lib"}


def test_no_room_or_module_is_for_leftovers() -> None:
    found = [path for path in SOURCE.rglob("*") if path.stem in LEFTOVERS]
    assert not found


def test_every_room_has_a_front_door() -> None:
    for folder in {module.parent for module in MODULES}:
        assert (folder / "__init__.py").is_file(), f"{folder.relative_to(ROOT)} has no __init__.py"


LONGER = {"settlement/kernel.py _settle": 200}
"""Functions that may be longer than a hundred lines, and how long. It may shrink and not grow."""


def test_no_function_is_longer_than_a_hundred_lines() -> None:
    sizes = {
        f"{module.relative_to(SOURCE)} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert not {name: size for name, size in sizes.items() if size > LONGER.get(name, 100)}
    assert not {name for name in LONGER if sizes.get(name, 0) <= 100}, "take it off the list"


def test_every_module_has_its_line_in_the_architecture_and_no_other_is_named() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([\w/]+\.py)` \|", page, re.MULTILINE))
    there = {str(m.relative_to(SOURCE)) for m in MODULES if m.name not in ("__init__.py", "__main__.py")}
    assert named == there


HEAVY = ["numba", "numpy", "polars", "pyarrow", "pydantic", "rich", "ruamel.yaml"]


def heavy_after(code: str) -> str:
    """Run code in a Python of its own, and give what it prints with the heavy packages that it loaded as last line."""
    report = f"print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{report}"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_medfloor_loads_nothing_heavy() -> None:
    assert heavy_after("import medfloor") == "[]\n"


def test_help_loads_nothing_heavy() -> None:
    printed = heavy_after(
        "from medfloor.cli.main import main\nsys.argv = ['medfloor', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    )
    assert "settle" in printed
    assert printed.endswith("[]\n")


def test_the_check_for_heavy_packages_sees_one() -> None:
    assert heavy_after("import numpy") == "['numpy']\n"


# What never enters

NEVER = {
    # One letter of each stands in brackets, so that this file does not hold what it looks for.
    "a package registry": re.compile(r"p[y]pi\.org|python[h]osted\.org|registry\.[n]pmjs|conda\.[a]naconda\.org", re.I),
    "an index or mirror": re.compile(r"index-url[ =]+[h]ttps?:|find-links[ =]+[./~]|[h]ttps?://\S+/simple\b", re.I),
    "a path of a machine": re.compile(r"(?<![\w.~-])/(?:[r]oot|[h]ome|[o]pt|[w]ork|[U]sers)/[\w.]|[f]ile:///"),
    "a Windows path of a machine": re.compile(r"[A-Z]:\\[U]sers\\", re.I),
}


def test_no_file_names_a_registry_or_a_machine() -> None:
    found = []
    for file in committed_files():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            text = file.read_bytes().decode("latin-1")
        for what, pattern in NEVER.items():
            hit = pattern.search(text)
            if hit:
                line = text.count("\n", 0, hit.start()) + 1
                found.append(f"{file.relative_to(ROOT)}:{line} holds {what}: {hit[0]!r}")
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "https://files." + "python" + "hosted.org/packages/x.whl",
        "--index-url=" + "https://mirror.example/cache/",
        "https:" + "//mirror.example/simple",
        "see /home" + "/anna/claims.csv",
        "at 'file:" + "///srv/wheels'",
        "C:\\" + "Users\\anna",
    ],
)
def test_an_address_of_a_registry_or_machine_would_be_found(text: str) -> None:
    assert any(pattern.search(text) for pattern in NEVER.values())


def test_uv_lock_stays_out() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert not [file for file in committed_files() if file.name == "uv.lock"]


# Locks

PEERS = ("policyengine-core.txt", "gettsim.txt")


def locked(name: str) -> dict[str, str]:
    """Give package -> its lines for one lock; packages with several markers have their lines joined."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    packages: dict[str, str] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", text.partition("\n")[2]):
        found = re.match(r"([a-z0-9._-]+)==", entry)
        if found:
            packages[found[1]] = packages.get(found[1], "") + entry
    return packages


def wanted(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~;\[ ]", item)[0].lower().replace(".", "-").replace("_", "-") for item in requirements}


@pytest.mark.parametrize("name", ["core.txt", "dev.txt", "spark.txt", *PEERS])
def test_a_lock_has_hashes_for_everything_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert ":/" + "/" not in text
    assert not re.search(r"^-", text, re.MULTILINE), "a lock sets no options; the index is the user's"
    without = [package for package, entry in locked(name).items() if "--hash=sha256:" not in entry]
    assert locked(name)
    assert not without


def test_the_locks_hold_what_the_project_asks_for() -> None:
    table = project()["project"]
    assert isinstance(table, dict)
    core, dev = wanted(table["dependencies"]), wanted(table["optional-dependencies"]["dev"])
    assert core <= set(locked("core.txt"))
    assert core | dev <= set(locked("dev.txt"))
    spark = wanted(table["optional-dependencies"]["spark"])
    assert spark <= set(locked("spark.txt"))
    assert not set(locked("spark.txt")) & set(locked("dev.txt")), "the test command stays quick"
    build = project()["build-system"]
    assert isinstance(build, dict)
    assert wanted(build["requires"]) <= dev, "the test command builds without isolation"


def test_both_locks_hold_the_same_versions() -> None:
    def versions(name: str) -> dict[str, set[str]]:
        return {package: set(re.findall(r"==\S+", entry)) for package, entry in locked(name).items()}

    core, dev = versions("core.txt"), versions("dev.txt")
    assert {package: dev.get(package) for package in core} == core


def test_every_locked_package_has_its_licence_written_down() -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    run, _, spark = page.partition("## For a cluster")
    spark, _, develop = spark.partition("## Only to test")
    develop, _, compare = develop.partition("## Only to compare")
    rows = re.compile(r"^\| ([a-z0-9._-]+) \| \S", re.MULTILINE)
    assert set(rows.findall(run)) - {"package"} == set(locked("core.txt"))
    assert set(rows.findall(spark)) - {"package"} == set(locked("spark.txt"))
    assert set(rows.findall(develop)) - {"package"} == set(locked("dev.txt")) - set(locked("core.txt"))
    peers = {package for name in PEERS for package in locked(name)}
    assert set(rows.findall(compare)) - {"package"} == peers - set(locked("dev.txt"))


# Commands


def test_ci_runs_the_test_command_of_the_readme() -> None:
    done = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run"), "--show"], capture_output=True, text=True, cwd="/", check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == marked_command("README.md", "test-command")
    assert [line.partition("/bin/")[2].split()[0] for line in lines[1:]] == ["ruff", "ruff", "mypy", "lint-imports"]
    installed = re.findall(r"pip install .*", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    # The README's command installs everything else; the cluster's lock comes before it, so that its tests run in CI.
    assert installed == ['pip install --quiet --require-hashes -r requirements/spark.txt"']


def test_both_languages_give_the_same_two_commands() -> None:
    for marker in ("run-command", "test-command"):
        assert marked_command("README.md", marker) == marked_command("README.zh.md", marker)


def test_the_commands_need_only_python_and_pip() -> None:
    for marker in ("run-command", "test-command"):
        steps = marked_command("README.md", marker).split(" && ")
        assert steps[0] == "python3 -m venv .venv"
        assert all(step.startswith(".venv/bin/") for step in steps[1:])


def test_the_package_carries_its_policies_catalogues_and_fonts(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        carried = set(wheel.namelist())
    there = {str(file.relative_to(SOURCE.parent)) for file in SOURCE.rglob("*") if file.is_file()}
    there = {name for name in there if "__pycache__" not in name}
    for kind in (".yaml", ".toml", ".ttf"):
        assert any(name.endswith(kind) for name in there), kind
    assert there <= carried
    assert any(name.endswith("licenses/src/medfloor/reports/fonts/OFL.txt") for name in carried)


def test_the_version_has_its_entry_in_the_changelog() -> None:
    page = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(medfloor.__version__)}\b", page, re.MULTILINE)


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability" in text
    assert "APPENDIX: How to apply the Apache License to your work" in text


def test_every_decision_is_listed_and_has_its_four_parts() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert pages
    for number, page in enumerate(pages, 1):
        text = page.read_text(encoding="utf-8")
        assert page.name.startswith(f"{number:04d}-")
        assert f"({page.name})" in listed
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Rejected", "Consequences"]
