"""Take files of departments in, as a county office gets them."""

from __future__ import annotations

import io
import threading
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
import xlsxwriter

from medfloor import tables
from medfloor.errors import AccessError, InputError, NotFoundError, UsageError
from medfloor.store import listed, register, schema
from medfloor.store.departments import _table, department, departments, understand, word
from medfloor.store.engine import Store
from medfloor.store.extracts import read_extract
from medfloor.store.history import Touched
from medfloor.store.identity import _check_digit
from medfloor.store.imports import ImportReport, differences_of, import_file, list_imports, rejects_of, report_of
from medfloor.store.insured import poor_people
from medfloor.store.keys import Keyring
from medfloor.store.roles import Actor


def number(born: str, order: int) -> str:
    body = f"990981{born}{order:03d}"  # no place has this code, so that nobody has such a number
    return body + _check_digit(body)


ZHANG, LI, WANG = number("19500312", 21), number("19800707", 12), number("20150101", 33)
PEOPLE = f"""某旗人员花名册,,,,,
序号,姓名,身份证号,户口性质,户编号,行政区划
1,张三,{ZHANG},农村,H1,150981102001
2,李四,{LI.lower()},农业户口,H1,150981102001
3,王小五,{WANG},城镇,H2,150981103002
"""
DIBAO = f"姓名,身份证号,人员类别,认定日期,认定机关\n张三,{ZHANG},农村低保,2024-01-01,某旗民政局\n王小五,{WANG},孤儿,2024/3/5,某旗民政局\n"


@pytest.fixture
def take(store: Store, clerk: Actor, now: datetime, keyring: Keyring) -> Any:
    def taken(kind: str, text: str | bytes, source: str = "office", **asked: Any) -> ImportReport:
        content = text if isinstance(text, bytes) else text.encode("utf-8")
        asked.setdefault("actor", clerk)
        asked.setdefault("now", now)
        return import_file(store, kind, content, source, keyring=keyring, **asked)

    return taken


def who(store: Store, keyring: Keyring, identity: str) -> str:
    with store.reading() as connection:
        found = register.find(connection, keyring, identity)
    assert found is not None
    return found


def on(
    store: Store, keyring: Keyring, identity: str, day: date, known_at: datetime | None = None
) -> register.PersonRecord:
    with store.reading() as connection:
        return register.person_on(connection, who(store, keyring, identity), day, known_at)


def counts(report: ImportReport) -> tuple[int, int, int, int, int, int]:
    return report.rows_in, report.added, report.changed, report.ended, report.unchanged, report.rejected


# --- People ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_list_with_a_title_and_chinese_names_is_understood_in_every_encoding(
    take: Any, store: Store, keyring: Keyring, encoding: str
) -> None:
    report = take("people", PEOPLE.encode(encoding))
    assert counts(report) == (3, 3, 0, 0, 0, 0)
    assert report.columns == {
        "姓名": "name", "身份证号": "identity_number", "户口性质": "residence", "户编号": "household_id", "行政区划": "place"
    }  # fmt: skip
    assert report.ignored == ("序号",)
    zhang = on(store, keyring, ZHANG, date(2024, 6, 1))
    assert (zhang.birth_date, zhang.sex, zhang.residence, zhang.household_id, zhang.place) == (
        date(1950, 3, 12), "female" if int(ZHANG[16]) % 2 == 0 else "male", "rural", "H1", "150981102001"
    )  # fmt: skip


def test_the_same_file_again_changes_nothing_and_says_so(take: Any, store: Store) -> None:
    first, again = take("people", PEOPLE), take("people", PEOPLE)
    assert not first.repeated
    assert again.repeated
    assert again.import_id == first.import_id
    assert counts(again) == counts(first)
    with store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.person_fact)).scalar() == 3
    # With one blank more it is another file, and finds everything as it is.
    assert counts(take("people", PEOPLE + "\n")) == (3, 0, 0, 0, 3, 0)


def test_what_a_file_leaves_empty_is_not_erased_and_what_it_changes_holds_from_its_day(
    take: Any, store: Store, keyring: Keyring
) -> None:
    take("people", PEOPLE)
    report = take("people", f"身份证号,姓名,户口性质,户编号\n{ZHANG},张三,城镇,\n", as_of=date(2024, 5, 1))
    assert counts(report) == (1, 0, 1, 0, 0, 0)
    assert on(store, keyring, ZHANG, date(2024, 4, 30)).residence == "rural"
    after = on(store, keyring, ZHANG, date(2024, 5, 1))
    assert (after.residence, after.household_id) == ("urban", "H1")
    assert report.touched == (Touched(after.person_id, date(2024, 5, 1)),)
    with store.reading() as connection:
        (difference,) = differences_of(connection, report.import_id or 0)
    assert (difference["field"], difference["before"], difference["after"]) == ("residence", "rural", "urban")


def test_a_death_ends_statuses_and_enrolments_the_day_after(take: Any, store: Store, keyring: Keyring) -> None:
    take("people", PEOPLE)
    take("spells", DIBAO, "civil_affairs")
    take("enrolments", f"身份证号,参保年度,险种\n{ZHANG},2024,居民\n", "tax")
    report = take("people", f"身份证号,死亡日期,户口性质\n{ZHANG},2024-05-10,城镇\n", "hospital")
    assert report.not_taken == ("residence",), "a hospital does not say where people belong"
    last, gone = on(store, keyring, ZHANG, date(2024, 5, 10)), on(store, keyring, ZHANG, date(2024, 5, 11))
    assert last.enrolment is not None
    assert [status.group for status in last.statuses] == ["dibao"]
    assert gone.enrolment is None
    assert gone.statuses == ()
    assert gone.deceased_on == date(2024, 5, 10)
    assert gone.residence == "rural"
    late = take("spells", f"身份证号,人员类别,认定日期\n{ZHANG},特困,2024-06-01\n", "civil_affairs")
    assert late.reasons == {"after_death": 1}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("甲,110105194912310021,", "bad_identity_number"),
        ("甲,11010519491331002X,", "bad_identity_number"),
        ("甲,1101051949123100,", "bad_identity_number"),
        ("甲,1.10105194912310E+17,", "bad_identity_number"),
        ("甲,110105194912310000,", "bad_identity_number"),
        ("甲,11010519491231002X,男", "identity_disagrees"),
        ("甲,,男", "missing_value"),
        (f"甲,{ZHANG},其他", "unknown_code"),
        ("甲\x07,11010519491231002X,", "bad_text"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_with_its_reason_and_kept_sealed(
    take: Any, store: Store, keyring: Keyring, cells: str, reason: str
) -> None:
    report = take("people", f"姓名,身份证号,性别\n{cells}\n李四,{LI},\n")
    assert report.reasons == {reason: 1}
    assert counts(report) == (2, 1, 0, 0, 0, 1)
    assert reason in tables.REASONS
    with store.reading() as connection:
        (shown,) = rejects_of(connection, report.import_id or 0)
        assert shown["row"] == 2
        assert "cells" not in shown
        assert not any(cell and cell in shown["detail"] for cell in cells.split(","))
        (opened,) = rejects_of(connection, report.import_id or 0, keyring=keyring)
        assert opened["cells"]["姓名"] == cells.split(",")[0]


def test_old_numbers_of_fifteen_digits_are_the_same_people(take: Any, store: Store, keyring: Keyring) -> None:
    take("people", PEOPLE)
    old = ZHANG[:6] + ZHANG[8:17]
    assert counts(take("people", f"身份证号\n{old}\n")) == (1, 0, 0, 0, 1, 0)


def test_no_name_and_no_number_stands_in_the_file_of_the_store(
    take: Any, sqlite_store: Store, clerk: Actor, now: datetime, keyring: Keyring
) -> None:
    bad = PEOPLE + "4,赵六六,110105194912310021,农村,H3,150981103002\n"
    import_file(sqlite_store, "people", bad.encode(), "office", actor=clerk, now=now, keyring=keyring)
    import_file(sqlite_store, "spells", DIBAO.encode(), "civil_affairs", actor=clerk, now=now, keyring=keyring)
    address = Path(str(sqlite_store.engine.url.database))
    content = b"".join(file.read_bytes() for file in address.parent.glob(f"{address.name}*"))
    assert b"150981102001" in content
    for text in ("张三", "李四", "王小五", "赵六六", ZHANG, LI, WANG, "110105194912310021"):
        assert text.encode("utf-8") not in content


def test_an_identity_number_in_any_other_column_stands_nowhere_in_clear(
    take: Any, sqlite_store: Store, clerk: Actor, now: datetime, keyring: Keyring
) -> None:
    head = "人员编号,姓名,户编号,户口性质,行政区划\n"
    people = head + f"{ZHANG},张三,{ZHANG},农村,150981102001\n{LI.lower()},李四,{ZHANG},农村,150981102001\n"
    common: dict[str, Any] = {"actor": clerk, "now": now, "keyring": keyring}
    report = import_file(sqlite_store, "people", people.encode(), "office", **common)
    assert (report.added, report.rejected) == (2, 0)
    spells = f"身份证号,人员类别,认定日期,认定机关,认定文号\n{ZHANG},低保,2024-01-01,民政局{ZHANG},{ZHANG}号\n"
    import_file(sqlite_store, "spells", spells.encode(), "civil_affairs", **common)
    homes = f"户编号,家庭人口\n{ZHANG},2\n"
    import_file(sqlite_store, "households", homes.encode(), "civil_affairs", **common)
    zhang, li = (on(sqlite_store, keyring, one, date(2024, 6, 1)) for one in (ZHANG, LI))
    assert zhang.household_id == li.household_id
    assert zhang.statuses[0].evidence == f"{ZHANG[:3]}*************{ZHANG[-2:]}号"
    with sqlite_store.reading() as connection:
        home = register.household_on(connection, zhang.household_id or "", now.date())
    assert (home.size, len(home.members)) == (2, 2)
    # After a rotation the same household is found under the stand-in that it has.
    turned = keyring.with_coming().turned()
    assert zhang.household_id == turned.stand_ins(ZHANG)[1]
    common["keyring"] = turned
    again = import_file(sqlite_store, "households", f"户编号,家庭人口\n{ZHANG},3\n".encode(), "civil_affairs", **common)
    assert (again.added, again.changed) == (0, 1)
    address = Path(str(sqlite_store.engine.url.database))
    content = b"".join(file.read_bytes() for file in address.parent.glob(f"{address.name}*"))
    assert not any(one.encode() in content for one in (ZHANG, LI, LI.lower()))


def test_an_id_that_is_an_identity_number_is_refused_where_nothing_stands_in(
    store: Store, clerk: Actor, now: datetime, keyring: Keyring
) -> None:
    with pytest.raises(InputError) as told, store.writing() as connection:
        register.add_person(connection, keyring, now=now, person_id=ZHANG)
    assert told.value.code == "identity_as_id"
    with store.writing() as connection:
        one = register.add_person(connection, keyring, now=now)
    facts = {"household_id": ZHANG}
    with pytest.raises(InputError) as told, store.writing() as connection:
        register.record(connection, "person", one, facts, start=date(2024, 1, 1), actor=clerk, now=now)
    assert told.value.code == "identity_as_id"
    assert ZHANG not in told.value.message


# --- Matching -------------------------------------------------------------------------------------------------------


def test_name_and_birth_date_match_one_and_are_refused_for_two(take: Any, store: Store, keyring: Keyring) -> None:
    take("people", PEOPLE + f"4,李四,{number('19800707', 18)},农村,H3,150981103002\n")
    report = take(
        "spells",
        "姓名,出生日期,人员类别\n张 三,1950-03-12,低保\n李四,1980-07-07,低保\n李四,1990-01-01,低保\n,1990-01-01,低保\n",
        "civil_affairs",
    )
    assert report.matched == {"name_birth": 1}
    assert report.reasons == {"ambiguous_person": 1, "unknown_person": 2}
    # The sex tells the two apart only where it differs; a number that nobody has is of a third.
    other = take("spells", f"姓名,身份证号,人员类别\n李四,{number('19800707', 77)},低保\n", "civil_affairs")
    assert other.reasons == {"unknown_person": 1}


def test_a_row_with_the_number_of_another_is_refused_and_ends_nobody(take: Any, store: Store, keyring: Keyring) -> None:
    take("people", PEOPLE)
    take("spells", f"身份证号,人员类别\n{ZHANG},低保\n{LI},低保\n", "civil_affairs", as_of=date(2024, 1, 1))
    # Li's line was given the number of the line above; a masked letter disagrees with nothing.
    wrong = f"姓名,身份证号,人员类别\n张*,{ZHANG},低保\n李四,{ZHANG},低保\n"
    report = take("spells", wrong, "civil_affairs", full=True, as_of=date(2024, 2, 1))
    assert report.reasons == {"name_disagrees": 1}
    assert (report.ended, report.held_back) == (0, 1)
    assert on(store, keyring, LI, date(2024, 3, 1)).statuses
    assert take("enrolments", f"姓名,身份证号,参保年度\n李四,{ZHANG},2024\n", "tax").reasons == {"name_disagrees": 1}


def test_a_masked_name_does_not_replace_the_one_that_is_known(take: Any, store: Store, keyring: Keyring) -> None:
    take("people", PEOPLE)
    assert counts(take("people", f"姓名,身份证号\n张*,{ZHANG}\n", "hospital"))[2:] == (0, 0, 1, 0)
    with store.reading() as connection:
        assert register.identity_of(connection, keyring, who(store, keyring, ZHANG)).name == "张三"


def test_a_person_without_a_number_gets_it_from_a_later_list(take: Any, store: Store, keyring: Keyring) -> None:
    take("people", "psn_no,姓名,出生日期\nA7,张三,1950-03-12\n")
    report = take("people", f"姓名,身份证号\n张三,{ZHANG}\n")
    assert counts(report) == (1, 0, 1, 0, 0, 0)
    assert who(store, keyring, ZHANG) == "A7"
    conflict = take("people", f"psn_no,姓名,身份证号\nA7,张三,{LI}\n")
    assert conflict.reasons == {"identity_conflict": 1}
    take("people", f"psn_no,姓名,身份证号\nB1,李四,{LI}\n")
    crossed = take("people", f"psn_no,身份证号\nB1,{ZHANG}\n")
    assert crossed.reasons == {"identity_conflict": 1}
    twice = take("people", f"身份证号,姓名\n{WANG},王小五\n{WANG},王小五\n")
    assert twice.reasons == {"repeated_row": 1}


def test_a_township_takes_in_only_its_own(take: Any, store: Store) -> None:
    take("people", PEOPLE)
    town = Actor("town1", "county_clerk", "150981103")
    report = take("spells", DIBAO, "civil_affairs", actor=town)
    assert report.reasons == {"outside_place": 1}
    new = take("people", f"姓名,身份证号,行政区划\n赵六,{number('19700101', 4)},150981102001\n", actor=town)
    assert new.reasons == {"outside_place": 1}
    mine = take("people", f"姓名,身份证号\n赵六,{number('19700101', 4)}\n", actor=town)
    assert mine.added == 1
    with store.reading() as connection:
        places = connection.execute(sa.select(schema.person_fact.c.place)).scalars().all()
    assert places.count("150981103") == 1, "who comes without a place belongs to that of the office"


def test_only_who_may_import_does(take: Any, auditor: Actor) -> None:
    with pytest.raises(AccessError):
        take("people", PEOPLE, actor=auditor)


# --- Statuses -------------------------------------------------------------------------------------------------------


def test_a_department_states_its_own_statuses_only(take: Any, store: Store) -> None:
    take("people", PEOPLE)
    text = f"身份证号,人员类别\n{ZHANG},边缘易致贫户\n{LI},低保\n{WANG},骑士\n"
    report = take("spells", text, "rural_revitalisation")
    assert report.reasons == {"not_its_group": 1, "unknown_status": 1}
    assert report.added == 1
    with store.reading() as connection:
        (spell,) = connection.execute(sa.select(schema.spell)).mappings()
    assert (spell["group"], spell["detail"], spell["valid_from"]) == ("monitored", "edge", date(2024, 6, 3))
    with pytest.raises(UsageError, match="sends no people"):
        take("people", PEOPLE, "disabled_federation")
    codes = take("spells", f"身份证号,psn_idet_type\n{ZHANG},7019\n", "civil_affairs", codes={"7019": "dibao"})
    assert codes.added == 1


def test_a_whole_list_ends_who_is_missing_and_a_partial_one_nobody(take: Any, store: Store, keyring: Keyring) -> None:
    take("people", PEOPLE)
    take("spells", DIBAO, "civil_affairs")
    june = f"身份证号,人员类别,认定日期\n{LI},低保,2024-05-20\n"
    assert take("spells", june, "civil_affairs").ended == 0
    report = take("spells", june, "civil_affairs", full=True, as_of=date(2024, 6, 1))
    assert (report.ended, report.held_back, report.unchanged) == (1, 0, 1)
    assert on(store, keyring, ZHANG, date(2024, 5, 31)).statuses[0].group == "dibao"
    assert on(store, keyring, ZHANG, date(2024, 6, 1)).statuses == ()
    assert on(store, keyring, WANG, date(2024, 6, 1)).statuses[0].group == "orphan", "the list says nothing of orphans"
    assert report.touched == (Touched(who(store, keyring, ZHANG), date(2024, 6, 1)),)


def test_nobody_is_ended_while_a_refused_row_may_be_theirs(take: Any, store: Store, keyring: Keyring) -> None:
    take("people", PEOPLE)
    take("spells", DIBAO, "civil_affairs")
    garbled = f"身份证号,人员类别\n{LI},低保\n110105194912310021,低保\n"
    report = take("spells", garbled, "civil_affairs", full=True, as_of=date(2024, 6, 1))
    assert (report.ended, report.held_back) == (0, 1)
    stranger = f"身份证号,人员类别\n{LI},低保\n11010519491231002X,低保\n"
    report = take("spells", stranger, "civil_affairs", full=True, as_of=date(2024, 6, 1))
    assert (report.ended, report.held_back, report.reasons) == (1, 0, {"unknown_person": 1})


def test_a_list_that_begins_later_than_what_is_known_cuts_nothing_short(
    take: Any, store: Store, keyring: Keyring
) -> None:
    take("people", PEOPLE)
    take("spells", DIBAO, "civil_affairs")
    report = take("spells", f"身份证号,人员类别,开始日期\n{ZHANG},低保,2024-03-01\n", "civil_affairs")
    assert (report.unchanged, report.conflicts) == (1, 1)
    earlier = take("spells", f"身份证号,人员类别,开始日期\n{ZHANG},低保,2023-07-01\n", "civil_affairs")
    assert earlier.changed == 1
    assert earlier.touched == (Touched(who(store, keyring, ZHANG), date(2023, 7, 1)),)
    ends = take("spells", f"身份证号,人员类别,开始日期,结束日期\n{ZHANG},低保,2023-07-01,2024-04-30\n", "civil_affairs")
    assert ends.touched == (Touched(who(store, keyring, ZHANG), date(2024, 5, 1)),)
    assert on(store, keyring, ZHANG, date(2024, 5, 1)).statuses == ()


def test_a_dry_run_tells_all_and_keeps_nothing(take: Any, store: Store) -> None:
    report = take("people", PEOPLE, dry_run=True)
    assert (report.import_id, report.added) == (None, 3)
    with store.reading() as connection:
        assert list_imports(connection) == []
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.person)).scalar() == 0
        with pytest.raises(NotFoundError):
            report_of(connection, 1)
    assert not take("people", PEOPLE).repeated


# --- Enrolments and households --------------------------------------------------------------------------------------


def test_what_enrolling_costs_comes_from_the_law_where_the_file_is_silent(
    take: Any, store: Store, keyring: Keyring
) -> None:
    take("people", PEOPLE)
    take("spells", DIBAO, "civil_affairs")
    text = f"身份证号,参保年度,缴费日期,应缴金额\n{ZHANG},2025,2024-11-01,\n{LI},2025,2024-11-01,\n{WANG},2025,2024-11-01,123.45\n"
    report = take("enrolments", text, "tax", policy="cn/chongqing@2024-10-01")
    assert report.added == 3
    zhang, li, wang = (on(store, keyring, one, date(2025, 1, 1)).enrolment for one in (ZHANG, LI, WANG))
    assert zhang is not None and li is not None and wang is not None
    assert (zhang.premium_fen, zhang.subsidy_fen, zhang.subsidy_group) == (40_000, 36_000, "dibao")
    assert (li.premium_fen, li.subsidy_fen, li.subsidy_group) == (40_000, 0, None)
    assert (wang.premium_fen, wang.subsidy_fen) == (12_345, None)
    assert zhang.span.end == date(2026, 1, 1)
    assert report.touched == tuple(
        Touched(who(store, keyring, one), date(2025, 1, 1))
        for one in sorted((ZHANG, LI, WANG), key=lambda one: who(store, keyring, one))
    )


def test_who_changes_to_another_scheme_keeps_no_premium_of_the_residents(
    take: Any, store: Store, keyring: Keyring
) -> None:
    take("people", PEOPLE)
    take("spells", DIBAO, "civil_affairs")
    take(
        "enrolments", f"身份证号,参保年度,缴费日期\n{ZHANG},2025,2024-11-01\n", "tax", policy="cn/chongqing@2024-10-01"
    )
    text = f"身份证号,参保年度,险种,参保开始日期\n{ZHANG},2025,职工,2025-04-01\n"
    assert take("enrolments", text, "insurance", policy="cn/chongqing@2024-10-01").changed == 1
    before, after = (on(store, keyring, ZHANG, date(2025, month, 1)).enrolment for month in (3, 4))
    assert before is not None and after is not None
    assert (before.scheme, before.premium_fen, before.subsidy_fen) == ("resident", 40_000, 36_000)
    assert (after.scheme, after.premium_fen, after.subsidy_fen, after.paid_on) == ("employee", None, None, None)


def test_the_poor_who_are_not_enrolled_are_listed(take: Any, store: Store, keyring: Keyring) -> None:
    take("people", PEOPLE)
    take("spells", DIBAO, "civil_affairs")
    take("enrolments", f"身份证号,参保年度,应缴金额,资助金额,资助类别\n{ZHANG},2024,380,280,dibao\n", "insurance")
    with store.reading() as connection:
        poor = poor_people(connection, date(2024, 6, 1))
        assert [(one.groups, one.is_enrolled, one.subsidy_fen) for one in sorted(poor, key=lambda one: one.groups)] == [
            (("dibao",), True, 28_000), (("orphan",), False, None)
        ]  # fmt: skip
        assert [one.groups for one in poor_people(connection, date(2024, 6, 1), place="150981103")] == [("orphan",)]
        assert poor_people(connection, date(2024, 6, 1), groups=["tekun"]) == []


def test_households_are_compared_field_by_field(take: Any, store: Store) -> None:
    text = "户编号,家庭人口,家庭年收入,有无劳动能力,行政区划\nH1,3,12000.50,有,150981102001\nH2,1,-300,无,150981103002\nH2,1,5,无,150981103002\n"
    report = take("households", text, "civil_affairs")
    assert (report.added, report.reasons) == (2, {"repeated_row": 1})
    changed = take("households", "户编号,家庭年收入\nH1,13000\n", "civil_affairs", as_of=date(2024, 7, 1))
    assert changed.changed == 1
    with store.reading() as connection:
        found = register.household_on(connection, "H1", date(2024, 7, 1))
        (difference,) = differences_of(connection, changed.import_id or 0)
    assert (found.size, found.income_fen, found.labour_capacity) == (3, 1_300_000, True)
    assert (difference["field"], difference["before"], difference["after"]) == ("H1: income_fen", "1200050", "1300000")


def test_people_of_the_contract_come_with_their_enrolment(take: Any, store: Store) -> None:
    frame = pl.DataFrame({
        "person_id": ["1", "2", "3"], "household_id": ["a", "a", "b"], "birth_date": [date(1960, 1, 2)] * 3,
        "sex": ["male", "female", "2"], "scheme": ["resident", "employee", "none"], "residence": ["urban", "rural", None],
        "continuous_years": [5, None, 0], "family_doctor": [True, False, None],
        "enrolled_from": [None, date(2024, 3, 1), None], "max_expenditure": [1.5, 2.5, 3.5],
    })  # fmt: skip
    content = io.BytesIO()
    frame.write_parquet(content)
    report = take("people", content.getvalue())
    assert (report.added, report.ignored) == (3, ("max_expenditure",))
    with store.reading() as connection:
        known = register.known(connection, ["1", "2", "3", "nobody"])
    assert set(known) == {"1", "2", "3"}
    first, second, third = (known[one].person(date(2024, 2, 1)) for one in ("1", "2", "3"))
    assert (first.scheme, first.continuous_years, first.family_doctor, first.household_id) == ("resident", 5, True, "a")
    assert (second.scheme, known["2"].person(date(2024, 3, 1)).scheme) == ("none", "employee")
    assert (third.scheme, third.sex, third.birth_date) == ("none", "female", date(1960, 1, 2))


# --- Files ----------------------------------------------------------------------------------------------------------


def test_a_workbook_is_read_with_its_days_and_a_number_that_lost_digits_is_refused(take: Any) -> None:
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"in_memory": True})
    sheet = book.add_worksheet()
    day = book.add_format({"num_format": "yyyy/m/d"})
    sheet.write_row(0, 0, ["某旗低保花名册"])
    sheet.write_row(1, 0, ["姓名", "身份证号码", "死亡日期", "户编号"])
    sheet.write_row(2, 0, ["张三", ZHANG])
    sheet.write_datetime(2, 2, datetime(2024, 2, 29), day)
    sheet.write_number(2, 3, 17)
    sheet.write_row(3, 0, ["李四", int(LI[:17] + "0")])
    book.close()
    extract = read_extract(content.getvalue())
    assert extract.columns == ("姓名", "身份证号码", "死亡日期", "户编号")
    assert extract.rows[0] == ["张三", ZHANG, date(2024, 2, 29), "17"]
    report = take("people", content.getvalue())
    assert (report.added, report.reasons) == (1, {"bad_identity_number": 1})


def test_an_amount_of_a_workbook_is_what_the_workbook_shows() -> None:
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["户编号", "年收入"])
    sheet.write_row(1, 0, ["h1", 97190.14999999999])  # a sum of doubles; Excel shows 97190.15
    sheet.write_row(2, 0, ["h2", 0.1 + 0.2])
    book.close()
    assert [row[1] for row in read_extract(content.getvalue()).rows] == ["97190.15", "0.3"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\r\n\r\n", "empty_file"),
        ("姓名,姓名\n1,2\n".encode(), "ambiguous_column"),
        ("身份证号,公民身份号码\n1,2\n".encode(), "ambiguous_column"),
        ("甲,乙\n1,2\n".encode(), "missing_column"),
        ("姓名,身份证号\n1,2,3\n".encode(), "broken_csv"),
        ('姓名,身份证号\n"1,2\n'.encode(), "broken_csv"),
        (b"\xff\xff\x00\x81", "broken_csv"),
        (b"PAR1nonsense", "broken_parquet"),
        (b"PK\x03\x04nonsense", "broken_workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "unknown_format"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(take: Any, content: bytes, code: str) -> None:
    with pytest.raises(InputError) as error:
        take("people", content)
    assert error.value.code == code


def test_two_who_take_in_the_same_file_at_once_do_it_once(take: Any, store: Store) -> None:
    reports: list[ImportReport] = []
    threads = [threading.Thread(target=lambda: reports.append(take("people", PEOPLE))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.repeated for report in reports) == [False, True, True, True]
    assert len({report.import_id for report in reports}) == 1
    with store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.person)).scalar() == 3


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"source": "nobody"}, UsageError),
        ({"kind": "things"}, UsageError),
        ({"full": True}, UsageError),
    ],
)
def test_what_cannot_be_meant_is_refused(take: Any, asked: dict[str, Any], error: type[Exception]) -> None:
    terms = {"kind": "people", "source": "office", **asked}
    with pytest.raises(error):
        take(terms.pop("kind"), PEOPLE, terms.pop("source"), **terms)


def test_the_table_of_departments_names_only_what_there_is() -> None:
    table = _table()
    for name in departments():
        found = department(name)
        assert set(found.kinds) <= {"people", "households", "enrolments", "spells"}
        assert set(found.facts) <= set(register.LINES["person"].values)
    named = {column for columns in (table["who"], *table["columns"].values()) for column in columns}
    assert named - {"group"} == set(listed._READERS)
    for kind, codes in (
        ("sex", tables.SEXES),
        ("residence", tables.RESIDENCES),
        ("scheme", tables.SCHEMES),
        ("insured_class", tables.INSURED_CLASSES),
    ):
        assert tuple(table["words"][kind]) == codes
    for words in table["words"].values():
        plain = [text for ours, others in words.items() for text in (ours, *others)]
        assert len(plain) == len(set(plain))
    assert all(word("group", key) == key for key in table["in_law"])
    for kind in table["columns"]:
        spellings = [
            name
            for part in (table["who"], table["columns"][kind])
            for ours, others in part.items()
            for name in (ours, *others)
        ]
        assert kind == "households" or len(spellings) == len(set(spellings)), kind
        assert understand(
            ["姓名", "户编号"] if kind == "people" else ["户编号", "姓名"] if kind == "households" else ["姓名"], kind
        )


def test_days_are_read_as_offices_write_them() -> None:
    for text in ("2024-03-01", "2024/3/1", "20240301", "2024年3月1日", "2024.3.1", "2024-03-01 00:00:00"):
        assert listed._day(text) == date(2024, 3, 1)
    assert listed._long("长期") is None
    assert listed._long("9999-12-31") is None
    assert timedelta(days=1)
