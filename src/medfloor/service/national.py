"""Speak the dialect of the national platform: its envelope, its inputs as our claims, our settlements as its setlinfo.

Pure functions: texts in, records out. The names of fields are those that hospital systems send and read; codes stand in
`national.toml`, each with how it is known. What the platform asks and nobody could tell us is listed in
docs/national.md, and is refused or left empty here, not invented.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from medfloor import tables
from medfloor.errors import InputError
from medfloor.intake.codes import code_reader
from medfloor.money import MAX_FEN, format_yuan, parse_fen
from medfloor.periods import OFFICE_ZONE
from medfloor.service.bodies.people import PersonAnswer, YearAnswer
from medfloor.service.bodies.settlements import ClaimBody, Preview
from medfloor.store.register import Identity

"""The platform writes the time of China, which has no summer time."""


MSGID_PATTERN = r"[0-9A-Za-z._-]{1,64}"
"""What a message is numbered with."""


@dataclass(frozen=True)
class Envelope:
    """Be a message as it came: which transaction, under which number, from whom, with which data."""

    infno: str
    msgid: str
    fixmedins_code: str | None
    data: Mapping[str, Any]
    does: str
    setting: str | None = None

    @property
    def request_key(self) -> str:
        """Give the request key: the platform's number of the message, so that a repeat is harmless."""
        return request_key(self.msgid)


def request_key(msgid: str) -> str:
    """Give the request key under which the ledger knows a message.

    >>> request_key("H1")
    'national:H1'
    """
    return f"national:{msgid}"


def read_envelope(message: Any, infno: str | None = None) -> Envelope:
    """Read a message; `infno` is the transaction that the address names, which must be that of the message.

    Raises InputError: national_envelope where something is missing or no text, national_transaction where it is one
    that is not spoken here.

    >>> sent = {"infno": "2304", "msgid": "H110105000012024031009000001", "input": {"data": {"psn_no": "p1"}}}
    >>> read_envelope(sent).does
    'settle'
    """
    if not isinstance(message, dict):
        raise InputError("national_envelope", "the message is no JSON object with infno, msgid and input")
    number = _text(message, "infno") or infno or ""
    known = codes()["transactions"]
    if number not in known or (infno is not None and infno != number):
        raise InputError(
            "national_transaction",
            f"this transaction is not spoken here, or not at this address; known: {', '.join(known)}",
        )
    msgid = _text(message, "msgid")
    if not msgid or not re.fullmatch(MSGID_PATTERN, msgid):
        raise InputError("national_envelope", "msgid must be 1 to 64 letters and digits; it makes a repeat harmless")
    provider = _id(message, "fixmedins_code", needed=False)
    asked = message.get("input")
    if not isinstance(asked, dict) or not asked:
        raise InputError("national_envelope", "input must be an object with data")
    data = asked.get("data", asked)
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict):
        raise InputError("national_envelope", "input.data must be one object")
    entry = known[number]
    return Envelope(number, msgid, provider, data, entry["does"], entry.get("setting"))


def claim_from(
    envelope: Envelope,
    *,
    provider_level: str | None = None,
    med_type: Mapping[str, str] | None = None,
    hosp_lv: Mapping[str, str] | None = None,
) -> ClaimBody:
    """Make our claim of the data of 2206, 2207, 2303 or 2304.

    `provider_level` is the level that the register of facilities gives; hosp_lv of the message goes before it.
    `med_type` and `hosp_lv` are a policy's own codes over the national ones. The platform takes dates, grade and
    diagnosis from earlier transactions (2201, 2401, 2402); here they stand in the same data: begntime, endtime (or
    dscgTime), hosp_lv, dise_codg. Raises InputError national_field for what is missing or cannot be read, and what a
    claim refuses.

    >>> sent = {"infno": "2304", "msgid": "m1", "fixmedins_code": "H1", "input": {"data": {
    ...     "mdtrt_id": "c1", "psn_no": "p1", "med_type": "21", "hosp_lv": "02",
    ...     "begntime": "2024-03-01 08:00:00", "endtime": "2024-03-10 10:00:00",
    ...     "medfee_sumamt": 150000, "fulamt_ownpay_amt": "20000.00", "inscp_scp_amt": 130000.00}}}
    >>> claim = claim_from(read_envelope(sent))
    >>> claim.care_type, claim.facility_level, claim.in_scope_fen
    ('inpatient', '3', 13000000)
    """
    data = envelope.data
    insutype = _text(data, "insutype")
    if insutype is not None and insutype not in codes()["insutype"]:
        raise _field("insutype", f"only {', '.join(codes()['insutype'])} are settled here")
    if _text(data, "mid_setl_flag") == "1":
        raise _field("mid_setl_flag", "a settlement in the middle of a stay is not spoken here")
    care = _coded("care_type", _needed(data, "med_type"), med_type, "med_type")
    grade = _text(data, "hosp_lv")
    level = provider_level if grade is None else _coded("facility_level", grade, hosp_lv, "hosp_lv")
    if level is None:
        raise _field("hosp_lv", "the level of this facility is not known; send it, or enter the facility")
    begin = _day(data, "begntime", "begndate")
    end = _day(data, "endtime", "enddate", "dscgTime", default=begin if care == "outpatient" else None)
    fields = {
        "claim_id": _id(data, "mdtrt_id"),
        "person_id": _id(data, "psn_no"),
        "care_type": care,
        "facility_level": level,
        "start_date": begin,
        "end_date": end,
        "settled_date": _day(data, "setl_time", default=end),
        "diagnosis": _text(data, "dise_codg"),
        "provider_id": envelope.fixmedins_code,
        "total_fen": _fen(data, "medfee_sumamt"),
        "off_catalogue_fen": _fen(data, "fulamt_ownpay_amt", 0),
        "over_limit_fen": _fen(data, "overlmt_selfpay", 0),
        "first_self_pay_fen": _fen(data, "preselfpay_amt", 0),
        "in_scope_fen": _fen(data, "inscp_scp_amt"),
    }
    try:
        return ClaimBody.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] in ("parts_not_total", "end_before_start"):
            raise InputError(first["type"], str(first["msg"])) from None
        raise _field(str(first["loc"][-1] if first["loc"] else "data"), str(first["msg"])) from None


def setl_output(
    envelope: Envelope, claim: ClaimBody, settled: Preview, *, scheme: str = "resident", now: datetime
) -> dict[str, Any]:
    """Give the output of 2206, 2207, 2303 and 2304: setlinfo and setldetail, amounts in yuan with two decimals.

    Personal accounts, employees' funds and the hospital's share are not settled here and stand at zero.
    """
    before = envelope.does == "preview"
    info: dict[str, Any] = {
        "setl_id": "" if before else settled.claim_id,
        "mdtrt_id": settled.claim_id,
        "psn_no": settled.person_id,
        "insutype": codes()["scheme"].get(scheme, {}).get("insutype", ""),
        "med_type": _text(envelope.data, "med_type") or "",
        "setl_time": _time(now),
        "medins_setl_id": envelope.msgid,
        **_amounts(settled),
    }
    return {"setlinfo": info, "setldetail": _details(settled, scheme, claim.in_scope_fen)}


def cancel_output(envelope: Envelope, settled: Preview, *, scheme: str = "resident", now: datetime) -> dict[str, Any]:
    """Give the output of 2208 and 2305: the setlinfo of the settlement taken back, with every amount below zero."""
    info = {
        "setl_id": f"{settled.claim_id}-R",
        "mdtrt_id": settled.claim_id,
        "psn_no": settled.person_id,
        "insutype": codes()["scheme"].get(scheme, {}).get("insutype", ""),
        "setl_time": _time(now),
        "medins_setl_id": envelope.msgid,
        **{name: value if name == "pool_prop_selfpay" else -value for name, value in _amounts(settled).items()},
    }
    return {"setlinfo": info, "setldetail": _details(settled, scheme, settled.in_scope_fen, sign=-1)}


def undone_by(envelope: Envelope) -> tuple[str, str, str]:
    """Read what 2601 takes back: the person, what the message did (settle or cancel), and its request key.

    Raises InputError national_field.
    """
    person_id = id_of(envelope.data, "psn_no")
    number, msgid = _needed(envelope.data, "oinfno"), _needed(envelope.data, "omsgid")
    does = codes()["transactions"].get(number, {}).get("does")
    if does not in ("settle", "cancel"):
        raise _field("oinfno", "only 2207, 2208, 2304 and 2305 can be taken back here")
    if not re.fullmatch(MSGID_PATTERN, msgid):
        raise _field("omsgid", "the msgid of the message that is to be taken back is needed")
    return person_id, does, request_key(msgid)


def person_output(person: PersonAnswer, *, year: int, whole: Identity | None = None) -> dict[str, Any]:
    """Give the output of 1101: baseinfo, insuinfo and idetinfo of a person; name and number masked unless given whole.

    insuinfo tells the enrolment that holds on the day asked for, and is empty for who is not insured on it.

    psn_idet_type carries our own name of the status, because the platform's list is given out by each region (1901) and
    is not public; memo says it in Chinese.
    """
    from medfloor.words import knows, say

    held_now = [
        one
        for one in person.enrolments
        if (one.valid_from is None or one.valid_from <= person.day)
        and (one.valid_to is None or person.day <= one.valid_to)
    ]
    enrolment = next((one for one in reversed(held_now) if one.benefit_year == year), None)
    scheme = enrolment.scheme if enrolment else "none"
    base = {
        "psn_no": person.person_id,
        "psn_cert_type": "01",
        "certno": (person.identity_number if whole is None else whole.identity_number) or "",
        "psn_name": (person.name if whole is None else whole.name) or "",
        "gend": codes()["gend"].get(person.sex or "", {}).get("code", "9"),
        "brdy": "" if person.birth_date is None else person.birth_date.isoformat(),
        "age": _age(person.birth_date, person.day),
    }
    insured: list[dict[str, Any]] = []
    if enrolment is not None and scheme in codes()["scheme"]:
        insured.append(
            {
                "balc": _yuan(0),
                "insutype": codes()["scheme"][scheme]["insutype"],
                "psn_type": codes()["psn_type"].get(f"{scheme}_{enrolment.insured_class}", {}).get("code", ""),
                "psn_insu_stas": "1",
                "psn_insu_date": "" if enrolment.valid_from is None else enrolment.valid_from.isoformat(),
                "paus_insu_date": "" if enrolment.valid_to is None else enrolment.valid_to.isoformat(),
                "cvlserv_flag": "0",
                "insuplc_admdvs": person.place[:6],
            }
        )
    held = [
        {
            "psn_idet_type": spell.group,
            "psn_type_lv": spell.detail or "",
            "memo": say(f"group.{spell.group}", "zh") if knows(f"group.{spell.group}", "zh") else spell.group,
            "begntime": "" if spell.from_date is None else f"{spell.from_date} 00:00:00",
            "endtime": "" if spell.to_date is None else f"{spell.to_date} 23:59:59",
        }
        for spell in person.spells
    ]
    return {"baseinfo": base, "insuinfo": insured, "idetinfo": held}


def accumulated_output(year: YearAnswer, *, scheme: str = "resident") -> dict[str, Any]:
    """Give the output of 5206: what a person used so far in a year, one row a kind of sum."""
    known = {
        "claims": Decimal(year.claims),
        "total": _yuan(year.total_fen),
        "deductible": _yuan(year.deductible_fen),
        **{tier: _yuan(fen) for tier, fen in year.payments_fen.items()},
    }
    return {
        "cuminfo": [
            {
                "insutype": codes()["scheme"].get(scheme, {}).get("insutype", ""),
                "year": str(year.benefit_year),
                "cum_ym": str(year.benefit_year),
                "cum_type_code": code,
                "cum": known[entry["from"]],
            }
            for code, entry in codes()["cum"].items()
            if entry["from"] in known
        ]
    }


@dataclass(frozen=True)
class Totals:
    """Be one side of a reconciliation: how many settlements, and their sums in fen."""

    settlements: int
    total_fen: int
    fund_fen: int


def period_of(data: Mapping[str, Any]) -> tuple[date, date]:
    """Read the first and last day of a reconciliation; raises InputError national_field."""
    first, last = _day(data, "stmt_begndate"), _day(data, "stmt_enddate")
    if last < first or (last - first).days > 366:
        raise _field("stmt_enddate", "a reconciliation covers one to 366 days")
    return first, last


def totals_from(data: Mapping[str, Any]) -> Totals:
    """Read the hospital's sums of 3201; raises InputError national_field."""
    count = _text(data, "fixmedins_setl_cnt") or ""
    if not re.fullmatch(r"[0-9]{1,9}", count):
        raise _field("fixmedins_setl_cnt", "a whole number is needed")
    return Totals(int(count), _fen(data, "medfee_sumamt"), _fen(data, "fund_pay_sumamt"))


def total_output(ours: Totals, theirs: Totals) -> dict[str, Any]:
    """Give the output of 3201: whether the sums are the same, and where they differ.

    >>> total_output(Totals(1, 100, 50), Totals(1, 100, 40))["stmtinfo"]["stmt_rslt"]
    '1'
    """
    same = ours == theirs
    words = (
        ""
        if same
        else "；".join(
            f"{name}：医保{a}，医院{b}"
            for name, a, b in (
                ("笔数", ours.settlements, theirs.settlements),
                ("医疗费总额", format_yuan(ours.total_fen), format_yuan(theirs.total_fen)),
                ("基金支付总额", format_yuan(ours.fund_fen), format_yuan(theirs.fund_fen)),
            )
            if a != b
        )
    )
    result = codes()["stmt_rslt"]["same" if same else "differs"]["code"]
    return {"stmtinfo": {"setl_optins": "", "stmt_rslt": result, "stmt_rslt_dscr": words}}


def rows_from(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the hospital's rows of 3202: mdtrt_id, medfee_sumamt, fund_pay_sumamt, refd_setl_flag; amounts in fen.

    The platform reads them from a file that was uploaded before (9101); here they stand in data.detail.
    """
    rows = data.get("detail")
    if not isinstance(rows, list) or not 1 <= len(rows) <= 20_000 or not all(isinstance(row, dict) for row in rows):
        raise _field("detail", "a list of 1 to 20,000 rows is needed; files are not taken here")
    return [
        {
            "claim_id": _id(row, "mdtrt_id"),
            "person_id": _id(row, "psn_no", needed=False),
            "total_fen": _fen(row, "medfee_sumamt", signed=True),
            "fund_fen": _fen(row, "fund_pay_sumamt", signed=True),
            "reversed": _text(row, "refd_setl_flag") == "1",
        }
        for row in rows
    ]


def detail_output(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give the output of 3202: one row a difference, with our amounts; none where both sides agree."""
    differs = codes()["stmt_rslt"]["differs"]["code"]
    return {
        "detail": [
            {
                "psn_no": row.get("person_id") or "",
                "mdtrt_id": row["claim_id"],
                "setl_id": row["claim_id"],
                "stmt_rslt": differs,
                "refd_setl_flag": "1" if row.get("reversed") else "0",
                "memo": row["memo"],
                "medfee_sumamt": _yuan(row.get("total_fen") or 0),
                "fund_pay_sumamt": _yuan(row.get("fund_fen") or 0),
                "acct_pay": _yuan(0),
            }
            for row in rows
        ]
    }


def answer(envelope: Envelope, output: Mapping[str, Any], *, received: datetime, now: datetime) -> dict[str, Any]:
    """Put an output into the envelope of an answer; infcode 0 says that it was done."""
    return _answer(envelope.msgid, 0, "", output, received, now)


def failure(msgid: str, code: str, sentence: str, *, received: datetime, now: datetime) -> dict[str, Any]:
    """Make the envelope of a refusal; infcode -1, the stable code in brackets before the sentence."""
    return _answer(msgid, -1, f"[{code}] {sentence}"[:200], {}, received, now)


def encode(message: Mapping[str, Any]) -> bytes:
    """Write a message as JSON, its amounts as numbers with two decimals.

    >>> encode({"maf_pay": Decimal("18357.9"), "cum": Decimal(3)})
    b'{"maf_pay":18357.90,"cum":3}'
    """
    return orjson.dumps(_written(message))


@functools.cache
def codes() -> dict[str, Any]:
    """Read the tables of codes, once."""
    return tomllib.loads(Path(__file__).with_name("national.toml").read_text(encoding="utf-8"))


def text_of(data: Mapping[str, Any], name: str) -> str | None:
    """Give a field of a message as trimmed text, None where it is missing; raises InputError national_field."""
    return _text(data, name)


def id_of(data: Mapping[str, Any], name: str) -> str:
    """Give a field of a message that must be an id; raises InputError national_field."""
    found = _id(data, name)
    assert found is not None
    return found


def _amounts(settled: Preview) -> dict[str, Any]:
    """Give the amounts of setlinfo; every field of the platform stands there, those not settled here with zero."""
    booked = {"hifp_pay": 0, "hifmi_pay": 0, "maf_pay": 0, "othfund_pay": 0}
    for tier, fen in settled.payments_fen.items():
        booked[codes()["field"].get(tier, {}).get("name", "othfund_pay")] += fen
    in_scope = settled.in_scope_fen
    share = Decimal(settled.payments_fen.get("basic", 0)) / in_scope if in_scope else Decimal(0)
    zero = (
        "cvlserv_pay",
        "hifes_pay",
        "hifob_pay",
        "hifdm_pay",
        "hosp_part_amt",
        "acct_pay",
        "acct_mulaid_pay",
        "balc",
    )
    return {
        "medfee_sumamt": _yuan(settled.total_fen),
        "fulamt_ownpay_amt": _yuan(settled.off_catalogue_fen),
        "overlmt_selfpay": _yuan(settled.over_limit_fen),
        "preselfpay_amt": _yuan(settled.first_self_pay_fen),
        "inscp_scp_amt": _yuan(in_scope),
        "act_pay_dedc": _yuan(settled.deductible_fen),
        "pool_prop_selfpay": share.quantize(Decimal("0.0001")),
        **{name: _yuan(fen) for name, fen in booked.items()},
        "fund_pay_sumamt": _yuan(settled.pay_total_fen),
        "psn_part_amt": _yuan(settled.own_total_fen),
        "psn_cash_pay": _yuan(settled.own_total_fen),
        **{name: _yuan(0) for name in zero},
    }


def _details(settled: Preview, scheme: str, in_scope_fen: int, sign: int = 1) -> list[dict[str, Any]]:
    """Give setldetail: one row a fund that paid."""
    funds = codes()["fund"].get(scheme) or codes()["fund"]["resident"]
    rows = []
    for tier, fen in settled.payments_fen.items():
        if not fen:
            continue
        fund = funds.get(tier, funds["other"])
        rows.append(
            {
                "fund_pay_type": fund["code"],
                "fund_pay_type_name": fund["name"],
                "inscp_scp_amt": _yuan(sign * in_scope_fen),
                # The limit that was left is not told apart by fund here; the platform's own rows carry 0 as well.
                "crt_payb_lmt_amt": _yuan(0),
                "fund_payamt": _yuan(sign * fen),
                "setl_proc_info": tier,
            }
        )
    return rows


def _answer(
    msgid: str, code: int, message: str, output: Mapping[str, Any], received: datetime, now: datetime
) -> dict[str, Any]:
    return {
        "infcode": code,
        "inf_refmsgid": msgid,
        "refmsg_time": _stamp(received),
        "respond_time": _stamp(now),
        "err_msg": message,
        "output": output,
    }


def _stamp(moment: datetime) -> str:
    return moment.astimezone(OFFICE_ZONE).strftime("%Y%m%d%H%M%S%f")[:17]


def _time(moment: datetime) -> str:
    return moment.astimezone(OFFICE_ZONE).strftime("%Y-%m-%d %H:%M:%S")


def _yuan(fen: int) -> Decimal:
    return Decimal(fen).scaleb(-2).quantize(Decimal("0.01"))


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        places = -int(value.as_tuple().exponent)
        text = f"{value:.2f}" if places == 1 else f"{value:f}"
        return orjson.Fragment(text.encode())
    if isinstance(value, Mapping):
        return {str(key): _written(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(one) for one in value]
    return value


def _field(name: str, why: str) -> InputError:
    """Make the error of one field; it says the field and never its value, which may be somebody's number."""
    return InputError("national_field", f"{name}: {why}")


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)) or len(str(value)) > 200:
        raise _field(name, "a short text is needed")
    text = str(value).strip()
    if not text.isprintable():
        raise _field(name, "it holds characters that cannot be printed")
    return text or None


def _needed(data: Mapping[str, Any], name: str) -> str:
    found = _text(data, name)
    if found is None:
        raise _field(name, "it is missing")
    return found


def _id(data: Mapping[str, Any], name: str, needed: bool = True) -> str | None:
    from medfloor.service.bodies.fields import ID_PATTERN

    found = _needed(data, name) if needed else _text(data, name)
    if found is not None and not re.fullmatch(ID_PATTERN, found):
        raise _field(name, "up to 64 letters, digits and . _ : @ - are needed")
    return found


def _coded(column: str, code: str, overrides: Mapping[str, str] | None, name: str) -> str:
    found = code_reader(tables.CLAIMS.column(column), overrides)(code.lower())
    if found is None or found < 0:
        raise _field(name, "this code is not known to the platform's list here or to the policy")
    return tables.CLAIMS.column(column).codes[found]


def _day(data: Mapping[str, Any], *names: str, default: date | None = None) -> date:
    """Read a day, which may have a time behind it; the first of the names that is there counts."""
    for name in names:
        text = _text(data, name)
        if text is None:
            continue
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.]{5,15})?", text):
            raise _field(name, "write it as YYYY-MM-DD or YYYY-MM-DD HH:MM:SS")
        try:
            day = date.fromisoformat(text[:10])
        except ValueError:
            raise _field(name, "it is no day of the calendar") from None
        if not 1900 <= day.year <= 2200:
            raise _field(name, "days lie between 1900 and 2200")
        return day
    if default is None:
        raise _field(names[0], "it is missing")
    return default


def _fen(data: Mapping[str, Any], name: str, default: int | None = None, *, signed: bool = False) -> int:
    value = data.get(name)
    if value is None or value == "":
        if default is None:
            raise _field(name, "it is missing")
        return default
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)) or len(str(value)) > 32:
        raise _field(name, "an amount in yuan is needed")
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,16}(\.[0-9]+)?", value.strip()):
        raise _field(name, "an amount in yuan is needed")
    try:
        fen = parse_fen(value)
    except (ValueError, ArithmeticError):
        raise _field(name, "an amount in yuan with at most two decimals is needed") from None
    if abs(fen) > MAX_FEN or (fen < 0 and not signed):
        raise _field(name, "an amount from 0 to 9 trillion yuan is needed")
    return fen


def _age(birth: date | None, day: date) -> str:
    if birth is None:
        return ""
    return str(day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day)))
