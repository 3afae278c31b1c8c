"""Lists to other departments and their answers, on both stores."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from medfloor.errors import AccessError, ConflictError, InputError, MedfloorError, NotFoundError, UsageError
from medfloor.store import audit, schema
from medfloor.store.answers import Answered, answers_of, receive, refused_of
from medfloor.store.cases import case_of_household
from medfloor.store.engine import Store
from medfloor.store.exchange import Sending, exchange_of, exchanges, forget_due, forgotten_due, send, sent_again
from medfloor.store.exchange_terms import COLUMNS, all_terms, terms_of
from medfloor.store.identity import _check_digit
from medfloor.store.imports import import_file
from medfloor.store.keys import Keyring
from medfloor.store.roles import Actor
from medfloor.store.rotation import check_keys, rotate
from medfloor.store.watching import screen_office


def number(born: str, order: int) -> str:
    body = f"990981{born}{order:03d}"  # no place has this code, so that nobody has such a number
    return body + _check_digit(body)


ZHANG, LI, WANG, ZHAO = number("19500312", 21), number("20100707", 12), number("19850101", 33), number("19700101", 44)
PEOPLE = f"""psn_no,姓名,身份证号,户口性质,户编号,行政区划
A1,张三,{ZHANG},农村,H1,150981102001
A2,李四,{LI},农村,H1,150981102001
A3,王五,{WANG},农村,H2,150981103002
A4,赵六,{ZHAO},农村,H3,150982101001
A5,无号,,农村,H1,150981102001
"""
HOMES = """户编号,行政区划,家庭人口,家庭年收入
H1,150981102001,3,9000
H2,150981103002,1,3000
H3,150982101001,1,2000
"""


@pytest.fixture
def office(store: Store, keyring: Keyring, now: datetime) -> Store:
    """Give a store with three households under the line, screened; H3 belongs to another county."""
    everywhere = Actor("clerk0", "county_clerk", "", "zh")
    for kind, text in (("people", PEOPLE), ("households", HOMES)):
        report = import_file(store, kind, text.encode(), "office", actor=everywhere, now=now, keyring=keyring)
        assert not report.rejected, report.reasons
    seen = Actor("officer0", "assistance_officer", "", "zh")
    found = screen_office(store, year=2024, as_of=date(2024, 6, 3), actor=seen, now=now)
    assert {row["household_id"] for row in found.screening.alerts.to_dicts()} == {"H1", "H2", "H3"}
    return store


def sent(office: Store, keyring: Keyring, actor: Actor, now: datetime, **asked: Any) -> Sending:
    return send(office, keyring, terms_of(asked.pop("department", "civil_affairs")), actor=actor, now=now, **asked)


def rows_of(sending: Sending) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(sending.content.decode("utf-8-sig")))
    return [{(name or "").rpartition("(")[2].rstrip(")"): cell for name, cell in row.items()} for row in reader]


def answer(rows: list[dict[str, str]], **filled: dict[str, str]) -> bytes:
    """Write the list back, with cells of single people (by name) changed."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow(row | filled.get(row["name"], {}))
    return text.getvalue().encode("utf-8-sig")


def test_a_list_holds_what_the_purpose_needs_of_whom_the_actor_sees(
    office: Store, keyring: Keyring, officer: Actor, now: datetime
) -> None:
    made = sent(office, keyring, officer, now)
    rows = rows_of(made)
    assert [(row["name"], row["identity_number"], row["household_id"]) for row in rows] == [
        ("张三", ZHANG, "H1"),
        ("李四", LI, "H1"),
        ("王五", WANG, "H2"),
    ]
    assert made.without_number == 1 and made.rows == 3 and made.households == 2
    assert {row["result"] for row in rows} == {""}
    assert "赵六" not in made.content.decode() and "birth_date" not in rows[0]
    manifest = made.manifest
    assert manifest["sha256"] == hashlib.sha256(made.content).hexdigest()
    assert [one["name"] for one in manifest["columns"]] == ["reference", *terms_of("civil_affairs").columns]
    assert manifest["keep_until"] == str(made.keep_until) == "2024-11-30"
    assert all(one["trust"] for one in manifest["grounds"]) and "张三" not in json.dumps(manifest, ensure_ascii=False)
    with office.reading() as connection:
        traces = audit.traces(connection, action="send_list")
        kept = connection.execute(sa.select(schema.exchange_row)).all()
    assert {one.person_id for one in traces} == {"A1", "A2", "A3"}
    assert all(ZHANG.encode() not in bytes(one.sealed_row) and "张" not in one.reference for one in kept)


def test_each_purpose_sends_only_its_columns(office: Store, keyring: Keyring, officer: Actor, now: datetime) -> None:
    made = sent(office, keyring, officer, now, department="education")
    assert [row["name"] for row in rows_of(made)] == ["李四"]  # the only one of school age
    assert set(rows_of(made)[0]) == {
        "reference", "name", "identity_number", "place", "result", "status", "decision", "measure", "day",
    }  # fmt: skip
    with pytest.raises(UsageError) as error:
        sent(office, keyring, officer, now, department="health")
    assert error.value.code == "nothing_to_send"


def test_who_may_not_send_sends_nothing(
    office: Store, keyring: Keyring, clerk: Actor, auditor: Actor, officer: Actor, now: datetime
) -> None:
    for actor in (clerk, auditor):
        with pytest.raises(AccessError):
            sent(office, keyring, actor, now)
    made = sent(office, keyring, officer, now)
    elsewhere = Actor("officer9", "assistance_officer", "150982", "zh")
    with office.reading() as connection:
        assert [one.exchange_id for one in exchanges(connection, auditor)] == [made.exchange_id]
        assert exchanges(connection, elsewhere) == []
        with pytest.raises(NotFoundError):
            exchange_of(connection, made.exchange_id, elsewhere)
        with pytest.raises(AccessError):
            exchanges(connection, clerk)


def test_an_answer_is_matched_compared_and_told_to_the_case(
    office: Store, keyring: Keyring, officer: Actor, now: datetime
) -> None:
    made = sent(office, keyring, officer, now)
    rows = rows_of(made)
    content = answer(
        rows,
        张三={
            "result": "属实",
            "status": "农村低保",
            "decision": "纳入低保",
            "day": "2024/6/1",
            "own_in_scope": "7.00",
        },
        李四={"result": "不属实", "status": "孤儿"},
    )
    done = receive(office, keyring, content, actor=officer, now=now)
    assert (done.added, done.unanswered, done.rejected, done.rows_in) == (2, 1, 0, 3)
    assert done.echoes == ((2, "own_in_scope"),)
    assert done.noted == 1 and done.opened == 0
    with office.writing() as connection:
        found = answers_of(connection, keyring, made.exchange_id, officer, now=now)
        case = case_of_household(connection, "H1", actor=officer, keyring=keyring)
        spells = connection.execute(sa.select(schema.spell)).all()
        head, _ = exchange_of(connection, made.exchange_id, officer)
    assert [(one["person_id"], one["result"], one["status"], one["differs"]) for one in found] == [
        ("A1", "confirmed", "dibao", "not_in_register"),
        ("A2", "not_confirmed", "orphan", None),
    ]
    assert case is not None and case.case.state == "found"  # told, not decided
    assert case.case.events[-1].kind == "alerted" and case.case.events[-1].signals == ("department:civil_affairs",)
    assert "纳入低保" in case.case.events[-1].reason
    assert spells == [] and head.answered == 2


def test_the_same_file_changes_nothing_and_another_answer_is_noticed(
    office: Store, keyring: Keyring, officer: Actor, now: datetime
) -> None:
    rows = rows_of(sent(office, keyring, officer, now))
    first = answer(rows, 张三={"result": "属实"}, 王五={"result": "无法核实"})
    one = receive(office, keyring, first, actor=officer, now=now)
    again = receive(office, keyring, first, actor=officer, now=now)
    assert again.repeated and (again.answer_id, again.added) == (one.answer_id, one.added)
    later = receive(
        office, keyring, answer(rows, 张三={"result": "属实"}, 王五={"result": "是"}), actor=officer, now=now
    )
    assert (later.added, later.changed, later.unchanged, later.noted) == (0, 1, 1, 1)
    with office.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.exchange_answer)).scalar_one() == 2


def test_what_answers_no_row_that_was_sent_is_refused_with_a_reason(
    office: Store, keyring: Keyring, officer: Actor, now: datetime
) -> None:
    other = rows_of(sent(office, keyring, officer, now, department="education"))
    made = sent(office, keyring, officer, now)
    rows = rows_of(made)
    yes = {"result": "属实"}
    rows = [row | yes for row in rows]
    rows[2] |= {"status": "残疾人"}
    rows += [
        rows[0] | {"reference": "ffffffff-000001"},
        rows[0],
        rows[0] | {"reference": other[0]["reference"]},
        rows[0] | {"reference": ""},
    ]
    rows[1] |= {"name": "别人"}
    done = receive(office, keyring, answer(rows), actor=officer, now=now, exchange_id=made.exchange_id)
    assert done.reasons == {
        "unknown_reference": 2, "repeated_row": 1, "other_exchange": 1, "name_disagrees": 1, "not_its_group": 1,
    }  # fmt: skip
    assert (done.rows_in, done.added, done.rejected) == (7, 1, 6)
    with office.reading() as connection:
        told = refused_of(connection, made.exchange_id, officer)
    assert len(told) == 6
    assert not any(text in json.dumps(told, ensure_ascii=False) for text in ("别人", "张三", ZHANG))
    bad = answer(
        rows_of(made), 张三={"result": "也许"}, 李四={"day": "昨天", "result": "是"}, 王五={"identity_number": ZHAO}
    )
    once = receive(office, keyring, bad, actor=officer, now=now)
    assert once.reasons == {"unknown_code": 1, "bad_date": 1, "identity_conflict": 1}


def test_a_number_that_a_spreadsheet_rounded_says_nothing(
    office: Store, keyring: Keyring, officer: Actor, now: datetime
) -> None:
    rows = rows_of(sent(office, keyring, officer, now))
    done = receive(
        office, keyring, answer(rows, 张三={"identity_number": "9.9E+17", "result": "是"}), actor=officer, now=now
    )
    assert (done.added, done.rejected) == (1, 0)


@pytest.mark.parametrize(
    ("content", "error", "code"),
    [
        (b"name,result\nA,yes\n", InputError, "missing_column"),
        ("流水号,核实结果,是否属实\nx,是,是\n".encode(), InputError, "ambiguous_column"),
        ("流水号,核实结果\nx-000001,是\n".encode(), NotFoundError, "no_such_exchange"),
    ],
)
def test_a_file_that_is_no_answer_is_refused_whole(
    office: Store,
    keyring: Keyring,
    officer: Actor,
    now: datetime,
    content: bytes,
    error: type[MedfloorError],
    code: str,
) -> None:
    with pytest.raises(error) as raised:
        receive(office, keyring, content, actor=officer, now=now)
    assert raised.value.code == code


def test_cases_are_opened_only_where_that_is_asked(
    office: Store, keyring: Keyring, officer: Actor, now: datetime
) -> None:
    newcomers = "psn_no,姓名,身份证号,户编号,行政区划\nB1,新人," + number("19600101", 55) + ",H9,150981102001\n"
    everywhere = Actor("clerk0", "county_clerk", "", "zh")
    import_file(office, "people", newcomers.encode(), "office", actor=everywhere, now=now, keyring=keyring)
    made = sent(office, keyring, officer, now, households=["H9", "H3", "none"])
    assert made.rows == 1 and made.outside == 2
    rows = rows_of(made)
    quiet = receive(office, keyring, answer(rows, 新人={"result": "是"}), actor=officer, now=now)
    assert (quiet.noted, quiet.opened, quiet.without_case) == (0, 0, 1)
    told = answer(rows, 新人={"result": "是", "measure": "临时救助"})
    done: Answered = receive(office, keyring, told, actor=officer, now=now, open_cases=True)
    assert (done.changed, done.opened) == (1, 1)
    with office.reading() as connection:
        case = case_of_household(connection, "H9", actor=officer, keyring=keyring)
    assert case is not None and case.case.source == "department" and case.case.state == "found"


def test_a_list_is_made_again_byte_by_byte_until_its_term_is_over(
    office: Store, keyring: Keyring, officer: Actor, now: datetime
) -> None:
    made = sent(office, keyring, officer, now, lang="en")
    receive(office, keyring, answer(rows_of(made), 张三={"result": "yes"}), actor=officer, now=now)
    content, manifest = sent_again(office, keyring, made.exchange_id, actor=officer, now=now)
    assert content == made.content and manifest == dict(made.manifest)
    after = now + timedelta(days=181)
    with office.writing() as connection:
        assert forgotten_due(connection, now=now) == 0
        assert forgotten_due(connection, now=after) == 4 == forget_due(connection, now=after)
        assert forgotten_due(connection, now=after) == 0
        assert exchange_of(connection, made.exchange_id, officer)[1]["sha256"] == manifest["sha256"]
        assert answers_of(connection, keyring, made.exchange_id, officer, now=after)[0]["result"] is None
    for again in (
        lambda: sent_again(office, keyring, made.exchange_id, actor=officer, now=after),
        lambda: receive(office, keyring, answer(rows_of(made), 王五={"result": "是"}), actor=officer, now=after),
    ):
        with pytest.raises(ConflictError) as error:
            again()
        assert error.value.code == "exchange_over"


def test_a_rotation_of_keys_takes_lists_and_answers_along(
    office: Store, keyring: Keyring, officer: Actor, now: datetime
) -> None:
    made = sent(office, keyring, officer, now)
    receive(office, keyring, answer(rows_of(made), 张三={"result": "是"}), actor=officer, now=now)
    coming = keyring.with_coming()
    rotate(office, coming)
    turned = coming.turned()
    assert check_keys(office, turned).whole
    assert sent_again(office, turned, made.exchange_id, actor=officer, now=now)[0] == made.content


def test_what_was_sent_and_came_back_is_never_changed(
    office: Store, keyring: Keyring, officer: Actor, now: datetime
) -> None:
    made = sent(office, keyring, officer, now)
    receive(office, keyring, answer(rows_of(made), 张三={"result": "是"}), actor=officer, now=now)
    for table in (schema.exchange, schema.exchange_answer):
        with pytest.raises(sa.exc.DBAPIError, match="only added"), office.writing() as connection:
            connection.execute(table.delete())


def test_every_shipped_purpose_sends_known_columns_on_a_ground_with_a_source() -> None:
    for one in all_terms():
        assert set(one.columns) <= set(COLUMNS) and one.grounds and 1 <= one.term_days <= 730
        assert all(ground.source and ground.trust for ground in one.grounds)
        assert one.zh and one.en and one.title("zh") == one.zh


@pytest.mark.parametrize(
    "text",
    [
        "[departments.x.y]\nzh = 'a'\n",
        "[departments.civil_affairs.verify_hardship]\ncolumns = ['diagnosis']\n",
        "[departments.civil_affairs.verify_hardship]\ngrounds = []\n",
        "[departments.civil_affairs.verify_hardship]\ngrounds = ['none']\n",
        "[departments.civil_affairs.verify_hardship]\nterm_days = 10000\n",
        "[departments.civil_affairs.verify_hardship]\nwhom = 'ages'\n",
        "[departments.civil_affairs]\nverify_hardship = 3\n",
        "[grounds.own]\ntext = 'x'\n[departments.civil_affairs.verify_hardship]\ngrounds = ['own']\n",
        "[other]\n",
        "not toml",
    ],
)
def test_terms_of_the_offices_own_are_checked(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        terms_of("civil_affairs", file=file)
    assert error.value.code == "bad_terms"


def test_terms_of_the_offices_own_are_laid_over_the_shipped(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(
        "[grounds.ours]\ntext = '协议'\nsource = '某医保〔2024〕1号'\n"
        "[departments.civil_affairs.verify_hardship]\ngrounds = ['ours']\nterm_days = 30\n",
        encoding="utf-8",
    )
    one = terms_of("civil_affairs", file=file)
    assert one.term_days == 30 and one.grounds[0].trust == "yours" and not one.unread
    assert terms_of("civil_affairs").term_days == 180
    for wrong in (("nobody", None), ("civil_affairs", "other")):
        with pytest.raises(UsageError):
            terms_of(*wrong)
