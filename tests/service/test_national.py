"""Speak the national platform's dialect: converters alone, then over HTTP."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from county import BEFORE, NAME, NUMBER, SYSTEM, claim, message, settle_in
from office import OfficeAtWork

from medfloor.errors import InputError
from medfloor.intake.codes import HOSP_LV, MED_TYPE
from medfloor.service import national
from medfloor.service.routes.national import NEEDS
from medfloor.store import register
from medfloor.store.chain import verify
from medfloor.store.roles import PERMISSIONS

URL = "/api/v1/national"
TRUSTS = {"seen", "inferred", "general_knowledge"}


def test_every_code_says_how_it_is_known() -> None:
    def marks(table: Any) -> list[Any]:
        if isinstance(table, dict) and "trust" in table:
            return [table["trust"]]
        return [mark for one in table.values() for mark in marks(one)]

    found = marks(national.codes())
    assert len(found) > 40
    assert set(found) <= TRUSTS


def test_every_transaction_has_what_it_does_and_needs() -> None:
    does = {entry["does"] for entry in national.codes()["transactions"].values()}
    assert does == set(NEEDS)
    assert set(NEEDS.values()) <= set(PERMISSIONS)


@pytest.mark.parametrize("code", MED_TYPE)
def test_kinds_of_care_are_read_as_intake_reads_them(code: str) -> None:
    sent = message("2304", med_type=code)
    assert national.claim_from(national.read_envelope(sent)).care_type == MED_TYPE[code]


@pytest.mark.parametrize("code", HOSP_LV)
def test_grades_are_read_as_intake_reads_them(code: str) -> None:
    assert national.claim_from(national.read_envelope(message(hosp_lv=code))).facility_level == HOSP_LV[code]


@pytest.mark.parametrize(
    "data",
    [
        {"medfee_sumamt": "1e5"}, {"medfee_sumamt": 1.005}, {"medfee_sumamt": True}, {"medfee_sumamt": -1},
        {"medfee_sumamt": "9" * 30}, {"medfee_sumamt": float("inf")}, {"medfee_sumamt": None}, {"inscp_scp_amt": 0},
        {"begntime": "2024-02-30"}, {"begntime": "yesterday"}, {"endtime": "2024-02-01"}, {"med_type": "41"},
        {"hosp_lv": "99"}, {"insutype": "510"}, {"psn_no": "p 1"}, {"psn_no": ""}, {"mdtrt_id": "a" * 65},
        {"mid_setl_flag": "1"}, {"dise_codg": "I21\u0007"}, {"mdtrt_id": {"a": 1}},
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_settled_is_refused_and_its_values_are_not_said(data: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        national.claim_from(national.read_envelope(message(**data)))
    assert caught.value.code in ("national_field", "parts_not_total", "end_before_start")
    assert "yesterday" not in caught.value.message


@pytest.mark.parametrize(
    "sent",
    [
        None, [], "x", {}, {"infno": "2304"}, {"infno": "9999", "msgid": "m", "input": {"data": {}}},
        {"infno": "2304", "msgid": "m' OR 1=1", "input": {"data": {}}}, {"infno": "2304", "msgid": "m", "input": []},
        {"infno": "2304", "msgid": "m", "input": {"data": [1, 2]}}, {"infno": {"a": 1}, "msgid": "m", "input": {"data": {}}},
    ],
)  # fmt: skip
def test_an_envelope_that_cannot_be_read_is_refused(sent: Any) -> None:
    with pytest.raises(InputError):
        national.read_envelope(sent)


def test_amounts_are_numbers_with_two_decimals() -> None:
    assert national.encode({"a": [Decimal("5"), Decimal("0.10"), Decimal("7.5")]}) == b'{"a":[5,0.10,7.50]}'


def test_pre_settling_and_settling_give_setlinfo_and_setldetail(office: OfficeAtWork) -> None:
    settle_in(office, p1="dibao")
    clerk = office.as_role("county_clerk")
    before = clerk.post(f"{URL}/2303", json=message("2303", "m0"))
    assert before.status_code == 200, before.text
    assert before.json()["output"]["setlinfo"]["setl_id"] == ""
    answer = clerk.post(f"{URL}/2304", json=message())
    told = answer.json()
    assert (told["infcode"], told["inf_refmsgid"], told["err_msg"]) == (0, "m1", "")
    info = told["output"]["setlinfo"]
    assert '"hifp_pay":96525.00' in answer.text
    assert info["medfee_sumamt"] == pytest.approx(info["fund_pay_sumamt"] + info["psn_part_amt"], abs=0.001)
    paid = {row["fund_pay_type"]: row["fund_payamt"] for row in told["output"]["setldetail"]}
    assert set(paid) == {"390100", "390200", "610100"}
    assert sum(paid.values()) == pytest.approx(info["fund_pay_sumamt"], abs=0.001)
    assert (info["hifp_pay"], info["hifmi_pay"], info["maf_pay"]) == (paid["390100"], paid["390200"], paid["610100"])
    same = {**before.json()["output"]["setlinfo"], "setl_id": "c1", "medins_setl_id": "m1"}
    assert info == same
    again = clerk.post(f"{URL}/2304", json=message())
    assert again.json()["output"] == told["output"]
    other = clerk.post(f"{URL}/2304", json=message(claim_id="c2"))
    assert (other.status_code, other.json()["infcode"], other.json()["inf_refmsgid"]) == (409, -1, "m1")
    assert other.json()["err_msg"].startswith("[key_reused]")


def test_an_outpatient_visit_is_settled_and_cancelled(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    visit = {
        "med_type": "11", "hosp_lv": "08", "begntime": "2024-04-02 09:00:00", "endtime": "", "medfee_sumamt": 800,
        "fulamt_ownpay_amt": 0, "inscp_scp_amt": 800,
    }  # fmt: skip
    settled = clerk.post(f"{URL}/2207", json=message("2207", "v1", "v1", **visit)).json()
    assert settled["infcode"] == 0, settled
    cancel = message("2208", "v2", "v1", setl_id="v1")
    done = clerk.post(f"{URL}/2208", json=cancel).json()
    assert done["infcode"] == 0, done
    for name in ("medfee_sumamt", "fund_pay_sumamt", "psn_part_amt", "hifp_pay"):
        assert done["output"]["setlinfo"][name] == -settled["output"]["setlinfo"][name]
    again = clerk.post(f"{URL}/2208", json=cancel).json()
    assert again["output"] == done["output"]
    twice = clerk.post(f"{URL}/2208", json=message("2208", "v3", "v1"))
    assert twice.json()["err_msg"].startswith("[reversed_twice]")
    wrong = clerk.post(f"{URL}/2208", json=message("2208", "v4", "v1", person_id="p2"))
    assert (wrong.status_code, wrong.json()["infcode"]) == (404, -1)


def test_a_message_whose_answer_never_came_is_taken_back(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    visit = {"med_type": "11", "hosp_lv": "08", "medfee_sumamt": 800, "fulamt_ownpay_amt": 0, "inscp_scp_amt": 800}
    assert clerk.post(f"{URL}/2207", json=message("2207", "v1", "v1", **visit)).status_code == 200

    def undo(msgid: str, number: str, lost: str, person_id: str = "p1") -> Any:
        data = {"psn_no": person_id, "oinfno": number, "omsgid": lost}
        return clerk.post(f"{URL}/2601", json={"infno": "2601", "msgid": msgid, "input": {"data": data}})

    for wrong in (undo("w1", "2207", "other"), undo("w2", "2207", "v1", "p2"), undo("w3", "2208", "v1")):
        assert wrong.status_code == 404 and wrong.json()["err_msg"].startswith("[no_such_claim]"), wrong.text
    assert undo("w4", "1101", "v1").json()["err_msg"].startswith("[national_field]")
    done = undo("u1", "2207", "v1")
    assert (done.status_code, done.json()["infcode"]) == (200, 0), done.text
    assert clerk.get("/api/v1/settlements/v1").json()["state"] == "reversed"
    assert undo("u1", "2207", "v1").json()["infcode"] == 0
    assert undo("u2", "2207", "v1").json()["err_msg"].startswith("[reversed_twice]")
    # Taking back the message that took it back lets the claim stand again, once.
    assert undo("u3", "2208", "u1").json()["infcode"] == 0
    assert undo("u3", "2208", "u1").json()["infcode"] == 0
    assert clerk.get("/api/v1/settlements/v1").json()["state"] == "settled"
    assert verify(office.store).whole
    for role in ("assistance_officer", "auditor"):
        data = {"psn_no": "p1", "oinfno": "2207", "omsgid": "v1"}
        sent = {"infno": "2601", "msgid": "x1", "input": {"data": data}}
        assert office.as_role(role).post(f"{URL}/2601", json=sent).status_code == 403


def test_who_is_not_insured_on_the_day_has_no_insurance(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    with small_office.store.writing() as connection:
        values = {"benefit_year": 2024, "scheme": "resident"}
        start, end = date(2020, 1, 1), date(2021, 1, 1)
        common: dict[str, Any] = {"actor": SYSTEM, "now": BEFORE}
        register.record(connection, "enrolment", "p2", values, start=start, end=end, **common)
        register.end(connection, "enrolment", "p3", day=date(2024, 1, 2), **common)
    clerk = small_office.as_role("county_clerk")

    def insured(person_id: str) -> list[str]:
        asked = {"infno": "1101", "msgid": "q1", "input": {"data": {"psn_no": person_id}}}
        return [one["psn_insu_date"] for one in clerk.post(f"{URL}/1101", json=asked).json()["output"]["insuinfo"]]

    assert insured("p2") == ["2024-01-01"]
    assert insured("p3") == []


def test_cancelling_above_the_limit_waits_for_a_second_person(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")
    clerk.post(f"{URL}/2304", json=message())
    waits = clerk.post(f"{URL}/2305", json=message("2305", "m2"))
    assert (waits.status_code, waits.json()["infcode"]) == (409, -1)
    assert waits.json()["err_msg"].startswith("[needs_second_person]")
    assert clerk.get("/api/v1/settlements/c1").json()["state"] == "settled"


def test_a_person_is_told_with_identities_and_insurance_and_masked(office: OfficeAtWork) -> None:
    settle_in(office, p1="dibao")
    clerk = office.as_role("county_clerk")
    asked = {"infno": "1101", "msgid": "q1", "input": {"data": {"mdtrt_cert_type": "02", "mdtrt_cert_no": NUMBER}}}
    answer = clerk.post(f"{URL}/1101", json=asked)
    output = answer.json()["output"]
    assert output["baseinfo"]["psn_no"] == "p1"
    assert [one["insutype"] for one in output["insuinfo"]] == ["390"]
    assert [(one["psn_idet_type"], one["memo"]) for one in output["idetinfo"]] == [("dibao", "低保对象")]
    assert NUMBER not in answer.text
    assert NAME not in answer.text
    whole = clerk.post(f"{URL}/1101", json=asked, headers={"Reveal-Reason": "returned payment"}).json()["output"]
    assert (whole["baseinfo"]["certno"], whole["baseinfo"]["psn_name"]) == (NUMBER, NAME)
    nobody = clerk.post(f"{URL}/1101", json={**asked, "input": {"data": {"psn_no": "far"}}})
    assert (nobody.status_code, nobody.json()["infcode"]) == (404, -1)


def test_what_a_year_has_used_is_told_by_kind(small_office: OfficeAtWork) -> None:
    settle_in(small_office, p1="dibao")
    clerk = small_office.as_role("county_clerk")
    info = clerk.post(f"{URL}/2304", json=message()).json()["output"]["setlinfo"]
    asked = {"infno": "5206", "msgid": "q2", "input": {"data": {"psn_no": "p1", "cum_ym": "202403"}}}
    rows = clerk.post(f"{URL}/5206", json=asked).json()["output"]["cuminfo"]
    used = {one["cum_type_code"]: one["cum"] for one in rows}
    assert used == {
        "C0000": 1, "F0000": 150000.0, "Q0000": info["act_pay_dedc"], "D390101": info["hifp_pay"],
        "D390201": info["hifmi_pay"], "D610101": info["maf_pay"],
    }  # fmt: skip


def test_totals_and_rows_are_reconciled(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    info = clerk.post(f"{URL}/2304", json=message()).json()["output"]["setlinfo"]
    clerk.post("/api/v1/settlements", json=claim("c2", "p2"))
    period = {"stmt_begndate": "2024-03-01", "stmt_enddate": "2024-03-31"}
    both = 2 * Decimal(str(info["fund_pay_sumamt"]))
    sums = {"medfee_sumamt": 300000, "fund_pay_sumamt": str(both), "acct_pay": 0, "fixmedins_setl_cnt": 2}

    def ask(infno: str, **data: Any) -> dict[str, Any]:
        sent = {"infno": infno, "msgid": "t1", "fixmedins_code": "H1", "input": {"data": {**period, **data}}}
        found: dict[str, Any] = clerk.post(f"{URL}/{infno}", json=sent).json()
        return found

    assert ask("3201", **sums)["output"]["stmtinfo"]["stmt_rslt"] == "0"
    differs = ask("3201", **{**sums, "fixmedins_setl_cnt": 3})["output"]["stmtinfo"]
    assert (differs["stmt_rslt"], "笔数" in differs["stmt_rslt_dscr"]) == ("1", True)
    row = {"mdtrt_id": "c1", "psn_no": "p1", "medfee_sumamt": 150000, "fund_pay_sumamt": info["fund_pay_sumamt"]}
    rows = [row, {**row, "mdtrt_id": "c2", "fund_pay_sumamt": 1}, {**row, "mdtrt_id": "theirs"}]
    found = ask("3202", detail=rows)["output"]["detail"]
    assert [(one["mdtrt_id"], one["memo"]) for one in found] == [("c2", "金额不一致"), ("theirs", "医保无此记录")]
    assert ask("3202", detail=rows[:1])["output"]["detail"][0]["memo"] == "医院无此记录"


def test_roles_and_addresses_hold_here_too(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    assert small_office.stranger().post(f"{URL}/2304", json=message()).status_code == 401
    assert small_office.as_role("analyst").post(f"{URL}/2304", json=message()).status_code == 403
    assert small_office.as_role("auditor", place="").post(f"{URL}/2304", json=message()).status_code == 403
    clerk = small_office.as_role("county_clerk")
    for path, sent in (("2304", message("2207")), ("9001", message("9001")), ("2304", [1]), ("abc", message())):
        answer = clerk.post(f"{URL}/{path}", json=sent)
        assert (answer.status_code, answer.json()["infcode"]) == (422, -1)
    far = clerk.post(f"{URL}/2304", json=message(person_id="far"))
    assert (far.status_code, far.json()["infcode"]) == (404, -1)


def test_stamps_are_of_chinas_time() -> None:
    envelope = national.read_envelope(message())
    moment = datetime(2024, 3, 10, 1, 0, 0, 123_456, tzinfo=UTC)
    assert national.answer(envelope, {}, received=moment, now=moment)["refmsg_time"] == "20240310090000123"
