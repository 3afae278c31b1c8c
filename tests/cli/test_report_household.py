"""`medfloor report household`: plain words, every fen, no code words, both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pdf_words import words_of

from medfloor.cli.main import program


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        program.main([str(one) for one in arguments])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    folder = tmp_path_factory.mktemp("letter")
    (folder / "claims.csv").write_text(
        "claim_id,person_id,care_type,start_date,end_date,facility_level,total,off_catalogue,in_scope,diagnosis\n"
        "c1,p1,inpatient,2024-03-01,2024-03-10,3,150000,20000,130000,C34\n"
        "c2,p1,inpatient,2024-06-01,2024-06-01,2,1000,0,1000,J18\n"
        "c3,p1,inpatient,2024-07-05,2024-07-01,2,1000,0,1000,J18\n",
        encoding="utf-8",
    )
    (folder / "people.csv").write_text("person_id\np1\n", encoding="utf-8")
    (folder / "spells.csv").write_text("person_id,group,from_date,to_date\np1,dibao,2020-01-01,\n", encoding="utf-8")
    return ["--claims", folder / "claims.csv", "--people", folder / "people.csv", "--policy", "cn/beijing"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_letter_tells_who_paid_and_what_is_left(files: list[object], lang: str, tmp_path: Path) -> None:
    out, shown = tmp_path / "letter.pdf", tmp_path / "letter.html"
    asked = ["report", "household", "c1", "--name", "王小明", "--sender", "示范县医疗保障局", "--date", "2026-03-01"]
    assert run(*asked, *files, "--lang", lang, "--out", out, "--out", shown) == 0
    told = words_of(out.read_bytes())
    assert all(one in told for one in ("王小明", "150,000.00", "96,525.00", "12393", "示范县医疗保障局"))
    text = shown.read_text("utf-8")
    amounts = [float(one.replace(",", "")) for one in re.findall(r"<td>([\d,.]+)</td>", text)]
    *paid, together, own, whole = amounts
    assert round(sum(paid), 2) == together
    assert round(together + own, 2) == whole == 150000.0
    # No code words: nothing with an underscore, no keys, no diagnosis.
    body = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert not re.search(r"[a-z]_[a-z]|C34|\bp1\b", re.sub(r"<[^>]+>", "", body))


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_many_bills_are_all_listed_and_the_dearest_explained(lang: str, tmp_path: Path) -> None:
    totals = [400 + 100 * (n * 7 % 10) for n in range(10)]
    rows = [f"c{n},p1,inpatient,2024-0{n % 9 + 1}-0{n // 9 + 1},2024-0{n % 9 + 1}-0{n // 9 + 1},2,{total},0,{total}\n"
            for n, total in enumerate(totals)]  # fmt: skip
    heads = "claim_id,person_id,care_type,start_date,end_date,facility_level,total,off_catalogue,in_scope\n"
    (tmp_path / "claims.csv").write_text(heads + "".join(rows), encoding="utf-8")
    (tmp_path / "people.csv").write_text("person_id\np1\n", encoding="utf-8")
    out = tmp_path / "letter.html"
    asked = ["--claims", tmp_path / "claims.csv", "--people", tmp_path / "people.csv", "--policy", "cn/beijing"]
    asked += ["--lang", lang, "--date", "2026-03-01", "--out", out]
    assert run("report", "household", *(f"c{n}" for n in range(10)), *asked) == 0
    text = out.read_text("utf-8")
    tables = re.findall(r"<table.*?</table>", text, flags=re.DOTALL)
    assert len(tables) == 1 + 4  # all in one, and who paid for each of four
    sums = [tuple(float(cell.replace(",", "")) for cell in re.findall(r"<td>([\d,.]+)</td>", row)[-3:])
            for row in re.findall(r"<tr>.*?</tr>", tables[0], flags=re.DOTALL)[1:]]  # fmt: skip
    assert [row[0] for row in sums[:-1]] == totals
    assert all(round(sum(column[:-1]), 2) == column[-1] for column in zip(*sums, strict=True))
    own = [row[2] for row in sums[:-1]]
    explained = {int(n) for n in re.findall(r"第 ?(\d+) ?笔|Bill (\d+):", text) for n in n if n}
    assert sorted(explained) == sorted(n + 1 for n in sorted(range(10), key=lambda n: -own[n])[:4])


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_bill_of_which_nothing_was_paid_says_why(lang: str, tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text(
        "claim_id,person_id,care_type,start_date,end_date,facility_level,total,off_catalogue,in_scope,diagnosis\n"
        "low,p1,inpatient,2025-03-01,2025-03-10,3,700,0,700,J18\n"
        "visit,p1,outpatient,2025-06-01,2025-06-01,2,150,0,150,J18\n"
        "outside,p1,inpatient,2025-07-01,2025-07-02,2,900,900,0,J18\n",
        encoding="utf-8",
    )
    (tmp_path / "people.csv").write_text("person_id\np1\n", encoding="utf-8")
    out = tmp_path / "letter.html"
    asked = ["--claims", tmp_path / "claims.csv", "--people", tmp_path / "people.csv", "--policy", "synthetic/cn-2025"]
    asked += ["--lang", lang, "--date", "2026-03-01", "--out", out]
    assert run("report", "household", "low", "visit", "outside", *asked) == 0
    text = re.sub(r"<style>.*?</style>", "", out.read_text("utf-8"), flags=re.DOTALL)
    assert not re.search(r"[a-z]_[a-z]|J18", re.sub(r"<[^>]+>", "", text))
    hows = [re.sub(r"<[^>]+>", "", one) for one in re.findall(r"<ul.*?</ul>", text, flags=re.DOTALL)][::2][:3]
    below, denied, outside = hows
    wanted = {
        "zh": ("没有超过这次的起付线 800.00 元", "按规定不支付这类费用（二级及以上机构的普通门诊）", "全部在保障范围之外"),
        "en": ("not above the first 800.00 yuan", "does not pay for this kind of care (ordinary outpatient care",
               "things that are not covered"),
    }  # fmt: skip
    assert all(one in how for one, how in zip(wanted[lang], hows, strict=True))
    assert text.count("原因见上" if lang == "zh" else "stands above") == 2
    # Those who are not registered, and care that a tier does not look at, are told so.
    assert ("登记为下列身份" if lang == "zh" else "registered as") in below
    assert ("它要求：住院或门诊慢特病" if lang == "zh" else "asks for: stay or special-disease visit") in denied
    assert ("没有需要它付的" if lang == "zh" else "nothing was left for it") in outside


def test_who_holds_a_status_is_told_so(files: list[object], tmp_path: Path) -> None:
    out = tmp_path / "letter.html"
    spells = Path(str(files[1])).parent / "spells.csv"
    asked = ["report", "household", "c1", *files, "--spells", spells, "--lang", "zh", "--date", "2026-03-01"]
    assert run(*asked, "--out", out) == 0
    assert "登记的身份：低保对象" in out.read_text("utf-8")
    assert run(*[one for one in asked if one not in ("--spells", spells)], "--out", out) == 0
    assert "可以向村（居）委会" in out.read_text("utf-8")


def test_several_bills_are_summed_up_and_a_refused_one_is_explained(files: list[object], tmp_path: Path) -> None:
    out = tmp_path / "letter.html"
    assert run("report", "household", "c1", "c2", "c3", *files, "--lang", "zh", "--out", out) == 1
    shown = out.read_text("utf-8")
    assert "您家这 2 笔费用一共 151,000.00 元" in shown
    assert "单据 c3 这次没有结算" in shown
    assert "补齐后可以再结算" in shown


def test_a_name_is_text_and_an_unknown_character_is_said(
    files: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, shown = tmp_path / "letter.pdf", tmp_path / "letter.html"
    asked = ["report", "household", "c1", *files, "--lang", "zh", "--name", "<b>#\U000f1234</b>"]
    assert run(*asked, "--out", out, "--out", shown) == 0
    said = capsys.readouterr().err
    assert "\U000f1234" in said and "〓" in said
    assert "<b>#〓</b>，您好" in words_of(out.read_bytes())
    assert "<b>" not in shown.read_text("utf-8")


def test_no_such_claim_and_overwriting_are_refused(
    files: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", "household", "c9", *files, "--out", tmp_path / "a.pdf") == 2
    assert "unknown_claim" in capsys.readouterr().err
    assert run("report", "household", "c1", *files, "--out", tmp_path / "a.csv") == 2
    assert run("report", "household", *files, "--out", tmp_path / "a.pdf") == 2
