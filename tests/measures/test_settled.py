"""Settlements as cases: under the platform's names, and without what was taken back."""

from __future__ import annotations

import polars as pl
import pytest

from medfloor.errors import InputError
from medfloor.measures import burden, reimbursement
from medfloor.measures.settled import in_our_names, without_taken_back
from medfloor.settlement.results import NATIONAL_FUNDS
from medfloor.tables import NATIONAL_SETTLEMENTS

ROWS = {
    "claim_id": ["a", "b", "c", "d", "e"],
    "person_id": ["p", "p", "q", "p", "q"],
    "total": [100.0, 300.0, 300.0, -300.0, 0.1],
    "in_scope": [90.0, 300.0, 300.0, -300.0, 0.1],
    "pay_basic": [60.0, 200.0, 200.0, -200.0, 0.1],
    "pay_assistance": [30.0, 0.0, 0.0, 0.0, 0.0],
    "pay_total": [90.0, 200.0, 200.0, -200.0, 0.1],
    "own_total": [10.0, 100.0, 100.0, -100.0, 0.0],
}
SETTLED = pl.DataFrame(ROWS)


def test_a_settlement_that_was_taken_back_is_no_case() -> None:
    found = burden(SETTLED, reference="mean")
    assert found.special["taken_back"] == 1 and "negative_cost" not in found.special
    assert found.pick("safe_share", tier="assistance").n == 3
    # Money is what the settlements come to: 400.1 in all, 350.1 paid.
    assert found.value("burden_reduction", tier="basic") == pytest.approx(260.1 / 400.1)
    assert found.value("burden_reduction", tier="assistance") == pytest.approx(290.1 / 400.1)


def test_only_the_same_persons_settlement_is_taken_back() -> None:
    kept, pairs = without_taken_back(SETTLED, total="total", paid=["pay_basic", "pay_assistance"])
    assert (kept["claim_id"].to_list(), pairs) == (["a", "c", "e"], 1)
    nobody = SETTLED.drop("person_id")
    assert without_taken_back(nobody, total="total", paid=["pay_basic"])[1] == 0
    assert burden(nobody, reference="mean").special["negative_cost"] == 1


def test_two_equal_reversals_take_back_two_and_a_third_stays() -> None:
    given = pl.DataFrame({"person_id": ["p"] * 5, "total": [5.0, 5.0, -5.0, -5.0, -5.0], "pay_basic": [0.0] * 5})
    kept, pairs = without_taken_back(given, total="total", paid=["pay_basic"])
    assert (kept["total"].to_list(), pairs) == ([-5.0], 2)


def test_the_columns_claim_id_and_reverses_say_what_was_taken_back() -> None:
    given = pl.DataFrame(
        {"claim_id": ["a", "b", "c"], "reverses": ["", None, "a"], "total": [9.0, 9.0, 9.0], "pay_basic": [1.0] * 3}
    )
    kept, pairs = without_taken_back(given, total="total", paid=["pay_basic"])
    assert (kept["claim_id"].to_list(), pairs) == (["b"], 1)


def test_nothing_left_after_reversals_is_said() -> None:
    given = {"person_id": ["p", "p"], "total": [5.0, -5.0], "pay_basic": [1.0, -1.0]}
    with pytest.raises(InputError, match="taken back"):
        burden(given, reference="mean")


def test_reimbursement_takes_settlements_as_they_are() -> None:
    found = reimbursement(SETTLED)
    assert found.value("real_ratio") == pytest.approx(290.1 / 400.1)
    assert found.value("in_scope_ratio") == pytest.approx(290.1 / 390.1)
    assert found.value("own_maximum") == 100.0
    assert found.special["taken_back"] == 1


def test_the_platforms_names_give_the_same() -> None:
    names = {ours: theirs for theirs, ours in NATIONAL_SETTLEMENTS.items()}
    national = SETTLED.rename({one: names[one] for one in SETTLED.columns}).with_columns(
        pl.lit(0.0).alias("hifes_pay"), pl.lit(0.0).alias("hifmi_pay")
    )
    assert "total" not in national.columns
    one, other = burden(SETTLED, reference="mean"), burden(national, reference="mean")
    for tier in ("basic", "assistance"):
        assert other.value("burden_reduction", tier=tier) == one.value("burden_reduction", tier=tier)
    # Critical illness insurance is there in every place; funds that most do not have are left out where they are zero.
    assert other.rows["tier"].unique().sort().drop_nulls().to_list() == [
        "assistance", "basic", "before", "critical_illness",
    ]  # fmt: skip
    assert reimbursement(national).value("real_ratio") == reimbursement(SETTLED).value("real_ratio")


def test_names_of_funds_are_those_that_settle_writes() -> None:
    for tier, fund in NATIONAL_FUNDS.items():
        assert NATIONAL_SETTLEMENTS[fund] == f"pay_{tier}"


def test_a_table_with_our_names_stays_as_it_is() -> None:
    assert in_our_names(SETTLED).columns == SETTLED.columns


def test_a_column_that_was_asked_for_keeps_its_name() -> None:
    given = pl.DataFrame({"medfee_sumamt": [10.0], "hifp_pay": [6.0], "hifob_pay": [0.0]})
    found = burden(given, total="medfee_sumamt", tiers=["hifp_pay", "hifob_pay"], reference="mean")
    assert found.value("burden_reduction", tier="hifob_pay") == pytest.approx(0.6)
