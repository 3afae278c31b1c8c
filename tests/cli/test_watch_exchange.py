"""Send lists and take answers in at the command line, and screen the office's own store."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from medfloor.cli.register import command as register_command
from medfloor.cli.watch.exchange import command
from medfloor.cli.watch.screen import command as screen_command
from medfloor.errors import MedfloorError
from medfloor.store import new_keys, open_store, upgrade
from medfloor.store.identity import _check_digit
from medfloor.store.keys import write_keys

BODY = "99098119500312021"  # no place has this code, so that nobody has such a number
NUMBER = BODY + _check_digit(BODY)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    store = open_store(tmp_path / "medfloor.db")
    upgrade(store)
    store.close()
    write_keys(tmp_path / "medfloor.keys", new_keys())
    monkeypatch.delenv("MEDFLOOR_DATABASE", raising=False)
    monkeypatch.setenv("MEDFLOOR_KEYS_FILE", str(tmp_path / "medfloor.keys"))
    Path("people.csv").write_text(
        f"psn_no,姓名,身份证号,户口性质,户编号,行政区划\nA1,张三丰,{NUMBER},农村,H1,150981102001\n"
    )
    Path("homes.csv").write_text("户编号,行政区划,家庭人口,家庭年收入\nH1,150981102001,1,900\n")
    for kind, file in (("people", "people.csv"), ("households", "homes.csv")):
        run("import", file, "--kind", kind, "--source", "office", on=register_command)
    return tmp_path


def run(*arguments: str, code: int = 0, on: object = command) -> str:
    done = CliRunner().invoke(on, list(arguments))  # type: ignore[arg-type]
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_the_office_is_screened_and_a_list_goes_out_and_comes_back(office: Path) -> None:
    told = run("--office", "--out", "today", "--lang", "zh", on=screen_command)
    assert "新立个案 1 件" in told and "H1" not in told
    assert "H1" in Path("today/alerts.csv").read_text(encoding="utf-8")
    assert "new alerts" in run("--office", on=screen_command)
    assert "No household is waiting" in run("--office", "--pending", on=screen_command)

    told = run("send", "--department", "civil_affairs", "--out", "out")
    assert "1 person of 1 household;" in told and "was not read by this program" in told
    assert "张三丰" not in told and NUMBER not in told
    file = Path("out/list_1.csv")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(Path("out").stat().st_mode) == 0o700
    manifest = json.loads(Path("out/list_1.json").read_text(encoding="utf-8"))
    assert manifest["rows"] == 1 and "张三丰" not in Path("out/list_1.json").read_text(encoding="utf-8")

    with file.open(encoding="utf-8-sig", newline="") as lines:
        heads, row = list(csv.reader(lines))
    row[heads.index("result (result)")] = "属实"
    row[heads.index("status (status)")] = "低保"
    with Path("answer.csv").open("w", encoding="gb18030", newline="") as lines:
        csv.writer(lines).writerows([heads, row, ["ffffffff-000001", *row[1:]]])
    told = run("receive", "answer.csv", "--exchange", "1", code=1)
    assert "Rows 2 = new 1 + changed 0 + unchanged 0 + unanswered 0 + refused 1" in told
    assert "Open cases told: 1" in told and "unknown_reference  1" in told
    assert "此前已作为" in run("receive", "answer.csv", "--lang", "zh", code=1)

    assert "civil affairs" in run("list") and "民政" in run("list", "--lang", "zh")
    shown = run("show", "1", "--answers", code=1)
    assert manifest["sha256"] in shown and "the register does not know it" in shown and "张三丰" not in shown
    # The list went out in English; told in Chinese, nothing of it is English but the office's own text of the ground.
    told = run("show", "1", "--lang", "zh")
    assert "民政" in told and "verification" not in told.lower() and "reference" not in told
    run("show", "1", "--again", "again")
    assert Path("again/list_1.csv").read_bytes() == file.read_bytes()


def test_what_may_be_sent_is_listed_with_its_grounds(office: Path) -> None:
    told = run("send", "--purposes")
    assert "civil_affairs verify_hardship" in told and "no text read" in told
    assert "民政" in run("send", "--purposes", "--lang", "zh")


def test_misuse_names_the_next_step(office: Path) -> None:
    run("send", "--department", "civil_affairs", code=2)
    for code, asked in {
        "unknown_department": ("send", "--department", "police", "--out", "out"),
        "nothing_to_send": ("send", "--department", "health", "--out", "out"),
        "no_such_exchange": ("show", "9"),
        "file_not_found": ("receive", "none.csv"),
    }.items():
        with pytest.raises(MedfloorError) as error:
            run(*asked)
        assert error.value.code == code
    with pytest.raises(MedfloorError) as error:
        run("list", "--department", "police")
    assert error.value.code == "unknown_department"
    assert "No list was sent" in run("list", "--department", "health")
