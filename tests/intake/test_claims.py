"""What becomes of claims on their way in: accepted in the inside form, or refused with a reason."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfloor.errors import InputError
from medfloor.intake import read_claims
from medfloor.money import MAX_FEN, format_yuan
from medfloor.tables import AREAS, CARE_TYPES, CLAIMS, FACILITY_LEVELS, REASONS, REFERRALS

ROW: dict[str, Any] = {
    "claim_id": "C1",
    "person_id": "P1",
    "care_type": "inpatient",
    "start_date": "2024-05-01",
    "end_date": "2024-05-03",
    "settled_date": "2024-05-04",
    "facility_level": "3",
    "area": "local",
    "referral": "regular",
    "continues": None,
    "reverses": None,
    "diagnosis": "I21.9",
    "provider_id": "H1",
    "total": "150000.00",
    "off_catalogue": "12000.00",
    "over_limit": "3000.00",
    "first_self_pay": "5000.00",
    "in_scope": "130000.00",
}


def table(*changes: dict[str, Any]) -> pl.DataFrame:
    """Make one row a change, each with a claim_id of its own unless it is what changes."""
    rows = [{**ROW, "claim_id": f"C{i}", **change} for i, change in enumerate(changes)]
    return pl.DataFrame(rows, schema=dict.fromkeys({**ROW, **changes[0]}, pl.String))


def refused(change: dict[str, Any]) -> tuple[str, str]:
    claims = read_claims(table({}, change))
    assert claims.accepted["claim_id"].to_list() == ["C0"]
    assert claims.rejected.height == 1
    return claims.rejected["reason"][0], claims.rejected["detail"][0]


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"claim_id": " "}, "missing_value", "claim_id is empty"),
        ({"person_id": None}, "missing_value", "person_id is empty"),
        ({"total": ""}, "missing_value", "total is empty"),
        ({"end_date": None}, "missing_value", "end_date is empty"),
        ({"facility_level": ""}, "missing_value", "facility_level is empty"),
        ({"start_date": "2024-02-30"}, "bad_date", "start_date is '2024-02-30', which is not a day written YYYY-MM-DD"),
        ({"start_date": "2024-5-1"}, "bad_date", "2024-5-1"),
        ({"start_date": "20240501"}, "bad_date", "20240501"),
        ({"settled_date": "0000-01-01"}, "bad_date", "settled_date"),
        ({"settled_date": "tomorrow"}, "bad_date", "tomorrow"),
        ({"total": "1,500.00"}, "bad_amount", "total is '1,500.00', which is not a plain decimal number"),
        ({"over_limit": "1e3"}, "bad_amount", "over_limit is '1e3'"),
        ({"in_scope": "nan"}, "bad_amount", "nan"),
        ({"in_scope": "１３"}, "bad_amount", "１３"),
        ({"in_scope": "-0.01"}, "negative_amount", "in_scope is '-0.01', which is below zero"),
        ({"off_catalogue": "12000.005"}, "three_decimals", "off_catalogue is '12000.005', which has more than two"),
        ({"total": "9000000000000.01"}, "amount_too_large", "9 trillion"),
        ({"total": "1" * 30}, "amount_too_large", "9 trillion"),
        ({"total": "150000.01"}, "parts_not_total", "is 150000.00, but total is 150000.01"),
        ({"end_date": "2024-04-30"}, "end_before_start", "end_date is 2024-04-30, before start_date 2024-05-01"),
        ({"care_type": "dental"}, "unknown_care_type", "care_type is 'dental'"),
        ({"facility_level": "4"}, "unknown_facility_level", "facility_level is '4'"),
        ({"area": "abroad"}, "unknown_code", "area is 'abroad'"),
        ({"referral": "maybe"}, "unknown_code", "referral is 'maybe'"),
    ],
)
def test_each_fault_of_a_row_has_its_reason_and_says_column_and_value(
    change: dict[str, Any], reason: str, words: str
) -> None:
    found, detail = refused(change)
    assert found == reason
    assert words in detail
    assert found in REASONS


def test_every_row_of_a_repeated_claim_id_is_refused() -> None:
    claims = read_claims(table({"claim_id": "A"}, {"claim_id": "B"}, {"claim_id": " A "}, {"claim_id": "A"}))
    assert claims.accepted["claim_id"].to_list() == ["B"]
    assert claims.rejected["reason"].to_list() == ["duplicate_claim_id"] * 3
    assert claims.rejected["claim_id"].to_list() == ["A", " A ", "A"]


def test_a_row_with_a_fault_of_its_own_still_makes_its_claim_id_ambiguous() -> None:
    claims = read_claims(table({"claim_id": "A"}, {"claim_id": "A", "total": "x"}))
    assert claims.rejected["reason"].to_list() == ["duplicate_claim_id", "bad_amount"]


def test_accepted_claims_have_every_column_in_its_inside_form() -> None:
    frame = read_claims(table({})).accepted
    assert frame.columns == [column.inside for column in CLAIMS.columns] + ["row"]
    row = frame.row(0, named=True)
    assert row["total_fen"] == 15_000_000
    assert row["in_scope_fen"] == 13_000_000
    assert CARE_TYPES[row["care_type"]] == "inpatient"
    assert FACILITY_LEVELS[row["facility_level"]] == "3"
    assert row["settled_date"] == date(2024, 5, 4)
    assert frame.schema["care_type"] == pl.UInt8
    assert frame.schema["total_fen"] == pl.Int64
    assert frame.schema["continues"] == pl.String


def test_absent_columns_and_empty_cells_get_the_defaults_of_the_contract() -> None:
    needed = [column.name for column in CLAIMS.columns if column.required]
    whole = table({"off_catalogue": "0", "over_limit": "0", "first_self_pay": "0", "total": "130000"})
    empty = whole.with_columns(
        pl.lit(" ").alias(n) for n in whole.columns if n not in needed and n not in ("continues", "reverses")
    )
    for frame in (whole.select(needed), empty):
        row = read_claims(frame).accepted.row(0, named=True)
        assert AREAS[row["area"]] == "local"
        assert REFERRALS[row["referral"]] == "regular"
        assert row["settled_date"] == row["end_date"] == date(2024, 5, 3)
        assert row["off_catalogue_fen"] == row["over_limit_fen"] == row["first_self_pay_fen"] == 0
        assert row["diagnosis"] is None
        assert row["continues"] is None


def test_a_reversal_needs_no_amounts_care_type_or_level_and_counts_no_money() -> None:
    bare = dict.fromkeys(("care_type", "facility_level", "total", "in_scope", "off_catalogue", "over_limit"))
    odd = {"total": "-150000", "in_scope": "x", "first_self_pay": "0.001"}
    claims = read_claims(table({}, {**bare, "reverses": "C0"}, {**odd, "reverses": "C0"}))
    assert claims.rejected.is_empty()
    assert claims.accepted["total_fen"].to_list() == [15_000_000, 0, 0]
    assert claims.accepted["in_scope_fen"].to_list() == [13_000_000, 0, 0]
    assert claims.accepted["facility_level"].null_count() == 0
    assert claims.money_in_fen == 15_000_000


def test_a_reversal_without_a_person_is_refused() -> None:
    assert refused({"reverses": "C0", "person_id": ""})[0] == "missing_value"


def national(**change: Any) -> pl.DataFrame:
    row = {
        "MDTRT_ID": "C1", "psn_no": "P1", "med_type": "2101", "begndate": "2024-05-01 08:30:00",
        "enddate": "2024-05-03T10:00:00", "setl_time": "2024-05-04 23:59:59", "hosp_lv": "02",
        "medfee_sumamt": "100.00", "inscp_scp_amt": "100.00", "total_note": "原样",
    }  # fmt: skip
    return pl.DataFrame([{**row, **change}], schema=dict.fromkeys({**row, **change}, pl.String))


def test_the_national_platforms_names_and_codes_are_read() -> None:
    claims = read_claims(national())
    assert claims.national
    assert claims.carried == ("total_note",)
    row = claims.accepted.row(0, named=True)
    assert (row["start_date"], row["end_date"]) == (date(2024, 5, 1), date(2024, 5, 3))
    assert row["settled_date"] == date(2024, 5, 4)
    assert CARE_TYPES[row["care_type"]] == "inpatient"
    assert FACILITY_LEVELS[row["facility_level"]] == "3"
    assert row["total_note"] == "原样"
    assert not read_claims(table({})).national


@pytest.mark.parametrize(
    ("code", "ours"),
    [("21", "inpatient"), ("2102", "inpatient"), ("24", "inpatient"), ("52", "inpatient"), ("11", "outpatient"),
     ("13", "outpatient"), ("19", "outpatient"), ("14", "special_outpatient"), ("1403", "special_outpatient"),
     ("9901", "two_disease"), ("Outpatient ", "outpatient")],
)  # fmt: skip
def test_each_national_kind_of_care_is_one_of_ours(code: str, ours: str) -> None:
    assert CARE_TYPES[read_claims(national(med_type=code)).accepted["care_type"][0]] == ours


@pytest.mark.parametrize(
    ("code", "ours"),
    [("01", "3"), ("04", "3"), ("05", "2"), ("07", "2"), ("08", "1"), ("10", "1"), ("11", "primary"), ("3", "3"),
     ("Primary", "primary"), ("2.0", "2")],
)  # fmt: skip
def test_each_national_grade_is_one_of_our_levels(code: str, ours: str) -> None:
    assert FACILITY_LEVELS[read_claims(national(hosp_lv=code)).accepted["facility_level"][0]] == ours


def test_a_place_overrides_national_codes_and_the_longest_prefix_wins() -> None:
    def read(code: str) -> str:
        claims = read_claims(national(med_type=code), med_type={"99": "outpatient", "9901": "special_outpatient"})
        return CARE_TYPES[claims.accepted["care_type"][0]]

    assert read("9901") == "special_outpatient"
    assert read("9907") == "outpatient"
    level = read_claims(national(hosp_lv="11"), hosp_lv={"11": "1"}).accepted["facility_level"][0]
    assert FACILITY_LEVELS[level] == "1"


def test_grades_that_lost_their_leading_zeros_are_not_taken_for_levels() -> None:
    frame = pl.concat([national(MDTRT_ID=f"C{i}", hosp_lv=code) for i, code in enumerate(["3", "5", "8"])])
    with pytest.raises(InputError, match="leading zeros") as caught:
        read_claims(frame)
    assert caught.value.code == "lost_zeros"


TYPED = [
    (pl.Int64, 150000, 130000, 15_000_000),
    (pl.UInt32, 150000, 130000, 15_000_000),
    (pl.Float64, 1842.6, 1842.6, 184_260),
    (pl.Float64, 0.1 + 0.2, 0.3, 30),
    (pl.Decimal(18, 2), Decimal("1842.60"), Decimal("1842.60"), 184_260),
    (pl.Decimal(38, 6), Decimal("1842.600000"), Decimal("1842.600000"), 184_260),
    (pl.Decimal(18, 0), Decimal(7), Decimal(7), 700),
]


@pytest.mark.parametrize(("dtype", "total", "in_scope", "fen"), TYPED)
def test_parquet_money_may_be_integer_float_or_decimal(
    dtype: Any, total: Any, in_scope: Any, fen: int, tmp_path: Path
) -> None:
    frame = pl.DataFrame(
        {
            "claim_id": [1],
            "person_id": [2],
            "care_type": [21],
            "start_date": [datetime(2024, 5, 1, 8)],
            "end_date": [date(2024, 5, 3)],
            "facility_level": [3],
            "total": pl.Series([total], dtype=dtype),
            "in_scope": pl.Series([in_scope], dtype=dtype),
        }
    ).with_columns(off_catalogue=(pl.col("total") - pl.col("in_scope")).round(2))
    frame.write_parquet(tmp_path / "claims.parquet")
    claims = read_claims(tmp_path / "claims.parquet")
    assert claims.rejected.is_empty()
    assert claims.accepted["total_fen"].to_list() == [fen]
    assert claims.accepted["claim_id"].to_list() == ["1"]
    assert claims.accepted["start_date"].to_list() == [date(2024, 5, 1)]
    assert claims.decimal_money == isinstance(dtype, pl.Decimal)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "bad_amount"),
        (float("inf"), "bad_amount"),
        (-0.01, "negative_amount"),
        (1.005, "three_decimals"),
        (1e13, "amount_too_large"),
        (None, "missing_value"),
        (Decimal("1.005"), "three_decimals"),
        (Decimal("-1"), "negative_amount"),
        (Decimal("9000000000000.010"), "amount_too_large"),
        (9_000_000_000_001, "amount_too_large"),
        (-1, "negative_amount"),
    ],
)
def test_typed_money_is_refused_with_the_same_reasons(value: Any, reason: str) -> None:
    dtype = pl.Decimal(38, 3) if isinstance(value, Decimal) else pl.Int64 if isinstance(value, int) else pl.Float64
    frame = table({}).with_columns(total=pl.Series([value], dtype=dtype))
    claims = read_claims(frame)
    assert claims.rejected["reason"].to_list() == [reason]


def test_the_largest_amount_is_read_exactly_in_every_type() -> None:
    near = MAX_FEN - 1
    for dtype in (pl.String, pl.Float64, pl.Decimal(18, 2)):
        amount = pl.Series([format_yuan(near)]).cast(dtype) if dtype != pl.Float64 else pl.Series([near / 100])
        frame = table({"off_catalogue": "0", "over_limit": "0", "first_self_pay": "0"})
        claims = read_claims(frame.with_columns(total=amount, in_scope=amount))
        assert claims.accepted["total_fen"].to_list() == [near]


def test_money_of_many_rows_of_the_largest_amount_does_not_overflow() -> None:
    rows = 11_000
    frame = table({"total": format_yuan(MAX_FEN), "in_scope": format_yuan(MAX_FEN), "over_limit": "0"})
    frame = pl.concat([frame.with_columns(off_catalogue=pl.lit("0"), first_self_pay=pl.lit("0"))] * rows)
    frame = frame.with_columns(claim_id=pl.int_range(rows).cast(pl.String))
    assert read_claims(frame).money_in_fen == rows * MAX_FEN


def test_columns_outside_the_contract_are_carried_untouched() -> None:
    extra = table({}).with_columns(备注=pl.lit(" 住院 "), score=pl.lit(0.1), tags=pl.lit(3))
    claims = read_claims(extra)
    assert claims.carried == ("备注", "score", "tags")
    assert claims.accepted.select("备注", "score", "tags").row(0) == (" 住院 ", 0.1, 3)


def test_rejected_rows_come_back_exactly_as_they_came() -> None:
    frame = table({"total": " 1,5 ", "care_type": "Inpatient"}).rename({"total": "medfee_sumamt"})
    claims = read_claims(frame.with_columns(note=pl.lit("x")))
    assert claims.rejected.drop("reason", "detail").equals(frame.with_columns(note=pl.lit("x")))
    assert "medfee_sumamt (total) is" in claims.rejected["detail"][0]


def test_a_corrected_rejects_file_can_be_fed_in_again() -> None:
    first = read_claims(table({"total": "x"})).rejected
    second = read_claims(first)
    assert second.rejected.columns == first.columns
    mended = read_claims(first.with_columns(total=pl.lit("150000")))
    assert mended.accepted.height == 1


def test_no_detail_holds_an_identity_or_a_diagnosis() -> None:
    claims = read_claims(table({"person_id": "110101199001011234", "diagnosis": "F20.0", "total": "1.234"}))
    detail = claims.rejected["detail"][0]
    assert "110101" not in detail
    assert "F20" not in detail


def test_refusing_later_moves_rows_and_their_money() -> None:
    claims = read_claims(table({}, {"total": "x"}, {}, {}))
    late = pl.DataFrame({"row": [3, 0, 1], "reason": ["unknown_person"] * 3, "detail": ["not in people"] * 3})
    after = claims.refuse(late)
    assert after.accepted["row"].to_list() == [2]
    assert after.rejected["reason"].to_list() == ["unknown_person", "bad_amount", "unknown_person"]
    assert after.rejected["claim_id"].to_list() == ["C0", "C1", "C3"]
    assert after.money_in_fen == after.accepted["total_fen"].sum() + after.money_rejected_fen


def test_a_table_of_no_rows_is_read() -> None:
    claims = read_claims(table({}).clear())
    assert claims.rows_in == claims.accepted.height == claims.rejected.height == claims.money_in_fen == 0
    assert claims.accepted.schema["total_fen"] == pl.Int64
    assert claims.rejected.columns[-2:] == ["reason", "detail"]


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        (table({}).drop("total").with_columns(totel=pl.lit("1")), "missing_column", "nearest column present is totel"),
        (table({}).drop("in_scope"), "missing_column", "inscp_scp_amt"),
        (table({}).with_columns(psn_no=pl.lit("1")), "ambiguous_column", "person_id"),
        (table({}).with_columns(Total=pl.lit("1")), "ambiguous_column", "Total"),
        (table({}).with_columns(row=pl.lit("1")), "reserved_column", "row"),
        (table({}).with_columns(total=pl.lit(1.5, pl.Float32)), "wrong_type", "Float32"),
        (table({}).with_columns(start_date=pl.lit(20240501)), "wrong_type", "start_date"),
        (table({}).with_columns(person_id=pl.lit(True)), "wrong_type", "person_id"),
    ],
)
def test_a_table_that_cannot_be_used_at_all_raises(frame: pl.DataFrame, code: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_claims(frame)
    assert caught.value.code == code


NUMBERISH = st.text(alphabet="0123456789.-+ e,", max_size=22) | st.decimals(
    -(10**15), 10**15, places=3, allow_nan=False
).map(str)


@given(st.lists(NUMBERISH | st.text(max_size=6), min_size=1, max_size=20))
def test_any_text_is_an_exact_amount_or_refused(texts: list[str]) -> None:
    frame = table(*[{"over_limit": text, "total": "1"} for text in texts])
    claims = read_claims(frame)
    told = dict(zip(claims.rejected["claim_id"], claims.rejected["reason"], strict=True))
    for i, text in enumerate(texts):
        reason = told[f"C{i}"]  # the parts never make 1 yuan, so that every row is refused and says how it was read
        plain = text.strip()
        if reason == "parts_not_total":
            assert plain == "" or Decimal(plain) * 100 == int(Decimal(plain) * 100) >= 0
        elif reason == "negative_amount":
            assert Decimal(plain) < 0
        elif reason == "three_decimals":
            assert Decimal(plain) * 100 != int(Decimal(plain) * 100)
        elif reason == "amount_too_large":
            assert abs(Decimal(plain)) * 100 > MAX_FEN
        else:
            assert reason == "bad_amount"


@given(st.lists(st.integers(0, MAX_FEN), min_size=1, max_size=20), st.sampled_from(["text", "float", "decimal"]))
def test_an_amount_with_two_decimals_is_read_to_the_fen(amounts: list[int], kind: str) -> None:
    yuan = [format_yuan(fen) for fen in amounts]
    series = {
        "text": pl.Series(yuan, dtype=pl.String),
        "float": pl.Series([float(text) for text in yuan], dtype=pl.Float64),
        "decimal": pl.Series([Decimal(text) for text in yuan], dtype=pl.Decimal(18, 2)),
    }[kind]
    frame = table(*[{} for _ in amounts]).drop("off_catalogue", "over_limit", "first_self_pay")
    claims = read_claims(frame.with_columns(total=series, in_scope=series))
    assert claims.accepted["total_fen"].to_list() == amounts


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "claim_id": st.sampled_from(["A", "B", "", " A"]),
        "person_id": st.sampled_from(["P", "", None]),
        "care_type": st.sampled_from(["inpatient", "11", "??", ""]),
        "start_date": st.sampled_from(["2024-05-01", "2024-05-09", "2024-13-01", ""]),
        "settled_date": st.sampled_from(["2024-05-05", "", "x"]),
        "total": st.sampled_from(["150000", "150000.00", "1", "-1", "0.001", "", "x", "9" * 14]),
        "over_limit": st.sampled_from(["3000", "3000.0", "", "-3000"]),
        "reverses": st.sampled_from([None, "C0", " "]),
    },
)


@given(st.lists(CHANGES, min_size=1, max_size=12))
def test_rows_and_money_in_are_those_accepted_and_rejected(changes: list[dict[str, Any]]) -> None:
    claims = read_claims(table({}, *changes))
    assert claims.rows_in == len(changes) + 1 == claims.accepted.height + claims.rejected.height
    assert claims.money_in_fen == claims.accepted["total_fen"].sum() + claims.money_rejected_fen
    assert set(claims.rejected["reason"]) <= REASONS.keys()
    assert claims.rejected["detail"].null_count() == 0
    assert sorted([*claims.accepted["row"], *claims.rejected_rows]) == list(range(claims.rows_in))
    sums = claims.accepted.select(
        whole=pl.sum_horizontal("off_catalogue_fen", "over_limit_fen", "first_self_pay_fen", "in_scope_fen")
    )
    assert sums["whole"].to_list() == claims.accepted["total_fen"].to_list()
    assert claims.accepted["claim_id"].n_unique() == claims.accepted.height
