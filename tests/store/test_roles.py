"""Say who may do what, and who sees which place."""

from __future__ import annotations

import pytest

from medfloor.errors import AccessError
from medfloor.store.roles import PERMISSIONS, ROLES, Actor, may, place_prefix, require, sees

CHANGES = {name for name in PERMISSIONS if not name.startswith(("read_", "verify_", "reveal_"))}


def test_every_role_has_only_known_permissions_and_every_permission_a_role() -> None:
    held = set().union(*ROLES.values())
    assert held == set(PERMISSIONS)


def test_the_auditor_reads_everything_and_changes_nothing() -> None:
    assert ROLES["auditor"] >= {name for name in PERMISSIONS if name.startswith("read_")}
    assert not ROLES["auditor"] & CHANGES


def test_the_analyst_sees_no_person_and_the_administrator_neither() -> None:
    for role in ("analyst", "administrator"):
        assert not ROLES[role] & {"read_person", "reveal_identity", "read_settlements", "settle", "reverse"}


def test_who_decides_on_a_reversal_settles_nothing_and_who_settles_decides_nothing() -> None:
    for held in ROLES.values():
        assert not (held & {"settle"} and held & {"decide_reversal", "decide_status"})


def test_a_role_that_is_not_known_may_nothing(clerk: Actor) -> None:
    stranger = Actor("x", "emperor")
    assert not any(may(stranger, name) for name in PERMISSIONS)
    with pytest.raises(AccessError) as refused:
        require(stranger, "settle")
    assert refused.value.code == "forbidden"
    require(clerk, "settle")


@pytest.mark.parametrize(
    ("own", "place", "seen"),
    [
        ("", "", True),
        ("", "150981", True),
        ("150981", "150981102", True),
        ("150981", "15098", False),
        ("150981", "", False),
        ("150981102", "150981", False),
        ("150981102", "150981102003", True),
        ("150981102", "150981103003", False),
        ("150900", "150981", True),
        ("150000", "150981", True),
        ("150981102000", "150981102003", True),
        ("150981000000", "150981102003", True),
    ],
)
def test_a_place_sees_what_lies_within_it(own: str, place: str, seen: bool) -> None:
    assert sees(Actor("a", "county_clerk", own), place) is seen


def test_a_prefix_is_never_longer_than_the_code() -> None:
    assert place_prefix("") == ""
    assert place_prefix("110000") == "11"
