"""Load the stores that tests share (tests/store/stores.py)."""

from __future__ import annotations

import pytest
import stores


def pytest_configure(config: pytest.Config) -> None:
    stores.load_into(config)
