"""The one way in which plain values are written before they are hashed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfloor.store.entries import canonical

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_it_is_what_the_standard_library_writes(value: object) -> None:
    assert canonical(value) == json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def test_what_is_not_plain_is_refused() -> None:
    from datetime import date

    with pytest.raises(TypeError):
        canonical({"day": date(2024, 1, 1)})
