"""The load on the office: what was answered over HTTP, what was posted and what a batch pays agree to the fen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.heavy
def test_a_small_load_reconciles_to_the_fen() -> None:
    command = [
        sys.executable, str(ROOT / "benchmarks" / "office.py"), "--seconds", "1", "--settlements", "300", "--people", "80",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "0 differ; answered but not posted: 0; posted but not in the batch: 0" in done.stdout
