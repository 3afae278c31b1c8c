"""One column of answers: nothing is lost without being counted."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.intake.answers import read_codes, read_flag, read_ids, read_insurance, read_numbers
from medfloor.layouts import shipped_layout

CODES = list(shipped_layout("cfps").missing)
KINDS = shipped_layout("cfps").insurance

answers = st.lists(
    st.one_of(
        st.none(), st.sampled_from([float(code) for code in CODES]), st.floats(-1e9, 1e9, allow_nan=False).map(round)
    ).map(lambda x: None if x is None else float(x)),
    max_size=40,
)


@settings(max_examples=50)
@given(answers, st.booleans())
def test_every_answer_is_a_value_or_empty_or_counted(given_answers: list[float | None], signed: bool) -> None:
    raw = pl.Series("x", given_answers, dtype=pl.Float64)
    read = read_numbers(raw, missing=CODES, signed=signed)
    counted = sum(rows for (_, read_as), rows in read.codes.items() if read_as == "missing")
    assert read.values.count() + raw.null_count() + counted == raw.len()
    kept = [x for x in given_answers if x is not None and x not in CODES and (signed or x >= 0)]
    assert read.values.drop_nulls().to_list() == kept


@settings(max_examples=50)
@given(answers)
def test_text_and_numbers_are_read_alike(given_answers: list[float | None]) -> None:
    raw = pl.Series("x", given_answers, dtype=pl.Float64)
    one, other = (
        read_numbers(raw, missing=CODES, zero=[-8]),
        read_numbers(raw.cast(pl.String), missing=CODES, zero=[-8]),
    )
    assert one.values.to_list() == other.values.to_list()
    assert one.codes == other.codes


def test_a_code_that_means_zero_is_zero_and_no_other_is() -> None:
    read = read_numbers(pl.Series([-8.0, -2.0, 10.0]), missing=CODES, zero=[-8])
    assert read.values.to_list() == [0.0, None, 10.0]
    assert read.codes == {("-2", "missing"): 1, ("-8", "zero"): 1}


def test_debts_stay_negative_and_other_negative_amounts_do_not() -> None:
    raw = pl.Series([-50_000.0, -1.0])
    assert read_numbers(raw, missing=CODES, signed=True).values.to_list() == [-50_000.0, None]
    read = read_numbers(raw, missing=CODES)
    assert read.values.to_list() == [None, None]
    assert read.codes["other_negative", "missing"] == 1


def test_text_that_is_no_number_is_counted() -> None:
    assert read_numbers(pl.Series(["12", "about 3", "", "."]), missing=CODES).codes == {("not_a_number", "missing"): 1}


def test_numbers_of_people_have_no_decimals_in_text() -> None:
    assert read_ids(pl.Series(["110001101.0", " 7 ", "-8", ""]), missing=CODES).values.to_list() == [
        "110001101", "7", None, None,
    ]  # fmt: skip
    assert read_ids(pl.Series([110001101.0, 0.0]), missing=CODES).values.to_list() == ["110001101", None]


def test_no_is_written_with_0_or_5() -> None:
    read = read_flag(pl.Series([1.0, 0.0, 5.0, 3.0, 79.0]), missing=CODES)
    assert read.values.to_list() == [1, 0, 0, None, None]
    assert read.codes == {("79", "missing"): 1, ("other_code", "missing"): 1}


def test_words_stay_words_where_a_file_has_words_instead_of_codes() -> None:
    assert read_codes(pl.Series(["urban", " rural "]), missing=CODES).values.to_list() == ["urban", "rural"]


def insurance(slots: dict[str, list[float]], words: dict[int, str], *, words_only: bool = False) -> dict[str, list]:  # type: ignore[type-arg]
    made = {name: pl.Series(name, values) for name, values in slots.items()}
    said = dict.fromkeys(made, words)
    values, _, _ = read_insurance(made, said, KINDS, missing=[*CODES, 79], words_only=words_only)
    return {name: column.to_list() for name, column in values.items()}


def test_several_insurances_stand_together_and_employee_goes_first() -> None:
    read = insurance({"s1": [5.0, 2.0, 78.0, -1.0, 4.0], "s2": [2.0, 4.0, -8.0, -8.0, -8.0]}, {})
    assert read["insurance_codes"] == ["2;5", "2;4", "78", None, "4"]
    assert read["insured"] == [1, 1, 0, None, 1]
    assert read["scheme"] == ["employee", "employee", "none", None, None]
    assert read["rural_cooperative"] == [1, 0, 0, None, 0]


def test_the_words_of_a_file_go_before_the_known_codes() -> None:
    read = insurance({"s1": [1.0, 2.0]}, {1: "新型农村合作医疗", 2: "以上都没有"})
    assert read["scheme"] == ["resident", "none"]


def test_a_pension_for_employees_is_no_health_insurance() -> None:
    read = insurance({"s1": [1.0, 2.0]}, {1: "城镇职工基本养老保险", 2: "城镇职工医疗保险"}, words_only=True)
    assert read["insured"] == [0, 1]


def test_codes_that_mean_something_else_tell_nothing_without_words() -> None:
    read = insurance({"s1": [5.0]}, {}, words_only=True)
    assert read == {"insurance_codes": ["5"], "insured": [None], "rural_cooperative": [None], "scheme": [None]}
    assert insurance({"s1": [5.0, 2.0]}, {}, words_only=True)["scheme"] == [None, None]
