"""Load the stores that tests share (tests/store/stores.py)."""

from __future__ import annotations

import pytest
import stores


def pytest_configure(config: pytest.Config) -> None:
    stores.load_into(config)


@pytest.fixture(scope="session", autouse=True)
def _compiled_as_in_a_service() -> None:
    """Load the kernel: what the desk posts is then compiled, and verifying it asks the other engine."""
    from medfloor.settlement import kernel

    assert kernel.settle_segments
