"""Roll-out tables: what is refused and why, and who is under a policy since when."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import UsageError
from medfloor.evaluation import check_rollout, expose

GOOD = {
    "policy": "cii", "admin_level": "city", "admin_code": "420100", "start_date": "2013-07-01",
    "document_no": "made up", "url": None, "scope": "both", "note": None,
}  # fmt: skip


def rows(*changes: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([GOOD | one for one in changes], infer_schema_length=None)


STARTS = rows(
    {"admin_level": "province", "admin_code": "420000", "start_date": "2016-01-01"},
    {},
    {"admin_level": "county", "admin_code": "420106", "start_date": "2015-03-01"},
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"policy": ""}, "no_policy"),
        ({"admin_level": "town"}, "bad_level"),
        ({"admin_level": None}, "bad_level"),
        ({"admin_code": "4201"}, "bad_code"),
        ({"admin_code": None}, "bad_code"),
        ({"admin_code": "160100"}, "unknown_province"),
        ({"admin_code": "420106"}, "level_disagrees"),
        ({"admin_code": "420000"}, "level_disagrees"),
        ({"start_date": "2013"}, "bad_start"),
        ({"start_date": "2013-02-30"}, "bad_start"),
        ({"scope": "UEBMI"}, "bad_scope"),
    ],
)
def test_a_wrong_row_is_refused_with_its_reason(change: dict[str, object], reason: str) -> None:
    found = check_rollout(rows({"policy": "other"}, change))
    assert found.refused.select("row", "reason").rows() == [(2, reason)]
    assert found.accepted["policy"].to_list() == ["other"]
    for lang in ("zh", "en"):
        assert str(change[next(iter(change))] or "") in found.text(lang)


def test_rows_that_disagree_are_all_refused_and_equal_ones_once() -> None:
    found = check_rollout(rows({}, {"start_date": "2014-01-01"}, {"admin_code": "430100"}, {"admin_code": "430100"}))
    assert found.refused.select("row", "reason").rows() == [(1, "repeated"), (2, "repeated"), (4, "same_again")]
    assert found.accepted["admin_code"].to_list() == ["430100"]


def test_rows_in_are_accepted_and_refused_and_other_spellings_are_read() -> None:
    table = rows({"start_date": "2013/7/1"}, {"admin_level": "City", "admin_code": "430100", "scope": "nrcms"})
    table = table.with_columns(admin_code=pl.col("admin_code").cast(pl.Int64))
    found = check_rollout(table)
    assert found.accepted["start_date"].to_list() == [date(2013, 7, 1)] * 2
    assert found.accepted["scope"].to_list() == ["both", "NRCMS"]
    assert found.refused.is_empty()
    few = check_rollout(rows({}).select("policy", "admin_level", "admin_code", "start_date"))
    assert few.warnings[0].key == "rollout.no_source"


def test_the_more_special_place_goes_before() -> None:
    homes = pl.DataFrame(
        {"place": ["420106", "420102", "420200", "430100"] * 3, "wave": [2012] * 4 + [2014] * 4 + [2016] * 4}
    )
    found = expose(homes, STARTS, place="place", time="wave")
    first = found.frame.filter(pl.col("wave") == 2012)
    assert first["start"].to_list() == [2016.0, 2014.0, 2016.0, None]
    assert found.frame["treated"].to_list() == [0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 0]
    assert found.frame["years_exposed"].to_list()[-4:] == [1.0, 3.0, 0.0, 0.0]
    assert found.places["level"].to_list() == ["city", "county", "province", None]
    assert not found.warnings


def test_a_place_without_code_is_unknown_and_not_never_treated() -> None:
    homes = pl.DataFrame({"place": ["7", None, "420102"], "wave": [2018, 2018, 2018]})
    found = expose(homes, STARTS, place="place", time="wave")
    assert found.frame["treated"].to_list() == [None, None, 1]
    assert [one.key for one in found.warnings] == ["rollout.no_code"]


def test_numbers_of_the_survey_are_translated() -> None:
    homes = pl.DataFrame({"countyid": [1, 2, 3], "wave": [2018] * 3})
    crosswalk = pl.DataFrame({"countyid": [1, 2], "admin_code": ["420106", "430102"]})
    found = expose(homes, STARTS, place="countyid", time="wave", crosswalk=crosswalk)
    assert found.frame["treated"].to_list() == [1, 0, None]
    with pytest.raises(UsageError, match="several codes"):
        expose(
            homes,
            STARTS,
            place="countyid",
            time="wave",
            crosswalk=pl.concat([crosswalk, crosswalk.with_columns(admin_code=pl.lit("430102"))]),
        )


def test_codes_of_a_made_up_survey_are_taken_as_they_are() -> None:
    homes = pl.DataFrame({"county": [1, 2, 3], "wave": [2018] * 3})
    table = rows({"admin_code": "24"}, {"admin_level": "county", "admin_code": "2", "start_date": "2020-01-01"})
    crosswalk = pl.DataFrame({"county": [1, 2, 3], "province": [31, 31, 32], "city": [24, 24, 25]})
    found = expose(homes, table, place="county", time="wave", codes="any", crosswalk=crosswalk)
    assert found.frame["treated"].to_list() == [1, 0, 0]


def test_dates_of_interviews_decide_by_the_day() -> None:
    homes = pl.DataFrame(
        {
            "place": ["420102"] * 4, "wave": [2012, 2014, 2014, 2016],
            "day": [date(2012, 7, 1), date(2013, 6, 30), date(2014, 7, 1), date(2016, 7, 1)],
        }
    )  # fmt: skip
    found = expose(homes, STARTS, place="place", time="wave", when="day")
    assert found.frame["treated"].to_list() == [0, 0, 1, 1]
    assert found.frame["start"].to_list() == [2014.0] * 4
    assert found.frame["years_exposed"].to_list()[2] == pytest.approx(1.0, abs=0.002)
    text = expose(homes.with_columns(pl.col("day").cast(pl.String)), STARTS, place="place", time="wave", when="day")
    assert text.frame["treated"].to_list() == [0, 0, 1, 1]


def test_scope_and_policy_are_chosen_where_they_differ() -> None:
    table = rows({"scope": "NRCMS"}, {"scope": "URBMI", "start_date": "2015-01-01"}, {"policy": "integration"})
    homes = pl.DataFrame({"place": ["420102"], "wave": [2014]})
    with pytest.raises(UsageError) as error:
        expose(homes, table, place="place", time="wave")
    assert error.value.code == "choose_policy"
    with pytest.raises(UsageError) as error:
        expose(homes, table, place="place", time="wave", policy="cii")
    assert error.value.code == "choose_scope"
    rural = expose(homes, table, place="place", time="wave", policy="cii", scope="NRCMS")
    urban = expose(homes, table, place="place", time="wave", policy="cii", scope="URBMI")
    assert (rural.frame["treated"][0], urban.frame["treated"][0]) == (1, 0)
    with pytest.raises(UsageError) as error:
        expose(homes, table, place="place", time="wave", policy="other")
    assert error.value.code == "no_starts"


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(["420106", "420102", "420200", "110101", "9", None]), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_rows_keep_their_order_and_no_other_row_matters(places: list[str | None], random: object) -> None:
    waves = [random.choice([2012, 2014, 2016]) for _ in places]  # type: ignore[attr-defined]
    homes = pl.DataFrame({"place": places, "wave": waves}, schema={"place": pl.String, "wave": pl.Int64})
    whole = expose(homes, STARTS, place="place", time="wave").frame
    assert whole.select("place", "wave").equals(homes)
    for number, (place, wave) in enumerate(zip(places, waves, strict=True)):
        alone = expose(
            pl.DataFrame({"place": [place], "wave": [wave]}, schema=homes.schema), STARTS, place="place", time="wave"
        ).frame
        assert alone.select("treated", "years_exposed").row(0) == whole.select("treated", "years_exposed").row(number)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"place": "nowhere"}, "unknown_column"),
        ({"time": "place"}, "not_numbers"),
        ({"when": "wave"}, "not_dates"),
        ({"scope": "all"}, "choose_scope"),
        ({"codes": "iso"}, "bad_codes"),
        ({"place": "start"}, "reserved_name"),
    ],
)
def test_misuse_is_said(change: dict[str, str], code: str) -> None:
    homes = pl.DataFrame({"place": ["420106"], "wave": [2012]})
    homes = homes.with_columns(start=pl.lit("420106")) if change.get("place") == "start" else homes
    with pytest.raises(UsageError) as error:
        expose(homes, STARTS, **{"place": "place", "time": "wave"} | change)  # type: ignore[arg-type]
    assert error.value.code == code
