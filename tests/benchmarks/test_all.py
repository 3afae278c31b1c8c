"""`python benchmarks` runs what is there, one process each, and goes on behind one that ends with an error."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def names() -> list[str]:
    text = (ROOT / "benchmarks" / "__main__.py").read_text(encoding="utf-8")
    return re.findall(r'^    "(\w+)",$', text, re.MULTILINE)


def test_every_benchmark_of_the_list_can_be_run_as_a_file() -> None:
    assert len(names()) > 10
    for name in names():
        assert 'if __name__ == "__main__":' in (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8"), name


def test_every_benchmark_that_the_page_tells_of_is_there() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`benchmarks/(\w+)\.py`", page))
    assert "peers" in told
    assert told <= set(names()) | {"first_use"}


def test_one_that_ends_with_an_error_does_not_keep_the_next_from_running(tmp_path: Path) -> None:
    for name in ("__main__.py", "timing.py"):
        shutil.copy(ROOT / "benchmarks" / name, tmp_path)
    says = "import sys\n\nif __name__ == '__main__':\n    print('{}', sys.argv[1:])\n    sys.exit({})\n"
    (tmp_path / "kernel.py").write_text(says.format("first", "'too slow'"), encoding="utf-8")
    (tmp_path / "country.py").write_text(says.format("second", 0), encoding="utf-8")
    done = subprocess.run([sys.executable, str(tmp_path), "kernel", "country"], capture_output=True, encoding="utf-8")
    assert done.stdout.splitlines()[1:] == ["first []", "second []"]
    assert done.stderr.splitlines() == ["too slow", "ended with an error, or slower than asked for: kernel"]
    assert done.returncode == 1
    wrong = subprocess.run([sys.executable, str(tmp_path), "kernl"], capture_output=True, encoding="utf-8")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "no benchmark is called kernl" in wrong.stderr
