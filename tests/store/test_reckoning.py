"""See that a command's few claims, reckoned without compiled code, come out as at the desk of a service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import bill

from medfloor.errors import InputError, MedfloorError, UsageError
from medfloor.periods import Span
from medfloor.settlement import engines
from medfloor.settlement.scope import Person, Spell
from medfloor.store import books as room
from medfloor.store.books import Books
from medfloor.store.engine import open_store
from medfloor.store.reckoning import Reckoned, on_top

PERSON = Person("p1", "h1", birth_date=date(1960, 5, 2), scheme="resident", residence="rural")
POOR = [Spell("dibao", Span(date(2024, 1, 1), date(2024, 12, 31)))]


@pytest.fixture(scope="module")
def books() -> Books:
    """Give the books of an empty store, under a law with yearly and per-stay deductibles, caps and assistance."""
    return Books.of(open_store("sqlite:///:memory:"), "cn/beijing")


def reckoned(
    books: Books, number: int, asked: Mapping[str, Any], poor: bool, before: Mapping[str, int], *, loaded: bool
) -> Reckoned | tuple[type, str]:
    day = date(2024, 2, 1) + timedelta(days=number)
    one = bill(f"c{number}", day=day, start_date=day, end_date=day, settled_date=day, **asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "is_loaded", lambda: loaded)
        try:
            return on_top(books, one, PERSON, POOR if poor else [], dict(before))
        except MedfloorError as error:
            return type(error), error.code


@given(
    st.lists(
        st.tuples(
            st.fixed_dictionaries({
                "care_type": st.sampled_from(["inpatient", "outpatient", "special_outpatient", "no_such"]),
                "facility_level": st.sampled_from(["primary", "1", "2", "3"]),
                "yuan": st.sampled_from([1, 300, 5_000, 130_000, 900_000, 90_000_000_000_000]),
                "referral": st.sampled_from(["regular", "unreferred", "emergency"]),
                "first_self_pay_fen": st.sampled_from([0, 0, 7]),
            }),
            st.booleans(),
        ),
        min_size=1, max_size=6,
    )
)  # fmt: skip
@settings(max_examples=60)
def test_few_claims_come_out_as_at_the_desk(books: Books, asked: list[tuple[dict[str, Any], bool]]) -> None:
    before: Mapping[str, int] = {}
    for number, (one, poor) in enumerate(asked):
        plain, desk = (reckoned(books, number, one, poor, before, loaded=loaded) for loaded in (False, True))
        if isinstance(desk, tuple):
            assert plain == desk  # the same refusal, by kind and code
            continue
        assert isinstance(plain, Reckoned)
        assert plain.result() == desk.result()
        assert plain.input() == desk.input()
        before = desk.after


def test_after_a_few_claims_compiled_code_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    books = Books.of(open_store("sqlite:///:memory:"), "cn/beijing")
    monkeypatch.setattr(room, "is_loaded", lambda: False)
    monkeypatch.setattr(room, "few", lambda: 2)
    assert [books.begin_sparingly() for _ in range(4)] == [True, True, False, False]
    monkeypatch.setattr(room, "is_loaded", lambda: True)
    assert not Books.of(books.store, "cn/beijing").begin_sparingly()


def test_a_kernel_that_is_being_loaded_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "medfloor.settlement.kernel", ModuleType("medfloor.settlement.kernel"))
    assert not engines.is_loaded()


def test_one_claim_needs_no_compiler() -> None:
    code = (
        "import sys\n"
        "from datetime import date\n"
        "from ledgers import bill\n"
        "from medfloor.settlement.scope import Person\n"
        "from medfloor.store.books import Books\n"
        "from medfloor.store.engine import open_store\n"
        "from medfloor.store.reckoning import on_top\n"
        "books = Books.of(open_store('sqlite:///:memory:'), 'cn/beijing')\n"
        "done = on_top(books, bill('c1'), Person('p1', 'h1'), [], {})\n"
        "print(done.amounts.pay['basic'], 'numba' in sys.modules)\n"
    )
    paths = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["9652500", "False"]


def test_what_the_desk_refuses_is_refused_without_it(books: Books) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UsageError) as caught:
        patch.setattr(room, "is_loaded", lambda: False)
        on_top(books, bill("c1", extra={"nobody_reads": 1}), PERSON, [], {})
    assert caught.value.code == "unknown_column"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(InputError) as refused:
        patch.setattr(room, "is_loaded", lambda: False)
        on_top(books, bill("c1", total_fen=5), PERSON, [], {})
    assert refused.value.code == "parts_not_total"
