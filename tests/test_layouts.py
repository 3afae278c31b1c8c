"""The layouts of surveys: names by wave, each with its source."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from medfloor.errors import InputError
from medfloor.layouts import Layout, read_layout, shipped_layout

ROOT = Path(__file__).resolve().parents[1]
VARMAP = ROOT.parent / "shared" / "data" / "cfps_varmap.json"

RENAMED = {
    "hid": "household_id", "urban": "residence", "province": "region", "famsize": "size", "inc_net": "income",
    "inc_net_2010comparable": "income_comparable", "inc_pc": "income_per_head",
    "inc_pc_2010comparable": "income_per_head_comparable", "expense": "consumption", "med": "medical",
    "med_raw": "oop", "w_cs": "weight", "w_panel": "panel_weight", "pid": "person_id", "male": "sex",
    "edu": "education", "eduy": "education_years", "hosp": "hospitalised", "hosp_cost_total": "inpatient_cost",
    "outp_cost": "outpatient_cost", "med_total": "medical_total",
}  # fmt: skip


@pytest.mark.parametrize("name", ["cfps", "charls"])
def test_every_column_of_a_layout_says_who_its_names_are_from(name: str) -> None:
    layout = shipped_layout(name)
    for part in ("household", "person", "roster"):
        for variable in layout.part(part):  # type: ignore[arg-type]
            letters = variable.sources.split(",")
            assert letters and set(letters) <= set(layout.sources), variable.name
            assert set(variable.waves) <= set(layout.waves)
            assert set(variable.unverified) <= set(variable.waves)


def test_names_are_written_in_small_letters() -> None:
    layout = shipped_layout("cfps")
    names = [n for v in (*layout.household, *layout.person, *layout.roster) for ns in v.waves.values() for n in ns]
    assert all(name == name.lower() for name in names)


def test_medical_expenses_have_another_number_in_2012() -> None:
    oop = shipped_layout("cfps").variable("household", "oop")
    assert oop.names(2012) == ("fp509",)
    assert oop.names(2014) == oop.names(2022) == ("fp511",)


@pytest.mark.skipif(not VARMAP.is_file(), reason="the research notes lie outside the repository and are not here")
def test_the_layout_has_the_names_and_letters_of_the_map_that_it_was_made_from() -> None:
    told = json.loads(VARMAP.read_text(encoding="utf-8"))
    layout = shipped_layout("cfps")
    for part in ("household", "person"):
        for theirs, names in told[part].items():
            if theirs in ("file", "design", "respondent_pid", "srh", "insurance"):
                continue  # read in another way: by kind of file, by roster, by slots
            variable = layout.variable(part, RENAMED.get(theirs, theirs))  # type: ignore[arg-type]
            for wave, text in names.items():
                if wave.isdigit() and text:
                    assert variable.names(int(wave))[0] in re.findall(r"[a-z_0-9]+", text), (theirs, wave)
            letters = set(re.findall(r"\b[A-K]\b", names.get("src", "")))
            assert letters <= set(variable.sources.split(",")), theirs


def test_a_layout_of_ones_own_is_read(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'survey = "X"\nwaves = [2010]\n[[household]]\nname = "oop"\nkind = "money"\nwaves = { 2010 = "med" }\n',
        encoding="utf-8",
    )
    layout = read_layout(own)
    assert isinstance(layout, Layout)
    assert layout.variable("household", "oop").names(2010) == ("med",)


def test_a_layout_that_extends_another_adds_names_and_keeps_the_rest(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'extends = "cfps"\n[[person]]\nname = "hospitalised"\nkind = "yes_no"\nwaves = { 2012 = "qp501" }\n'
        '[[person]]\nname = "smokes"\nkind = "yes_no"\nwaves = { 2018 = "qq201" }\n',
        encoding="utf-8",
    )
    layout = read_layout(own)
    stay = layout.variable("person", "hospitalised")
    assert (stay.names(2012), stay.names(2010)) == (("qp501",), ("qp6",))
    assert stay.sources.endswith("own")
    assert layout.variable("person", "smokes").names(2018) == ("qq201",)
    assert layout.household == shipped_layout("cfps").household


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("survey = 1", "'waves' is missing"),
        ("survey = ", "Invalid value"),
        ('survey = "X"\nwaves = [2010]\n[[household]]\nname = "oop"\nkind = "coins"\n', "has the kind 'coins'"),
    ],
)
def test_a_wrong_layout_says_what_is_wrong(tmp_path: Path, text: str, why: str) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=why) as caught:
        read_layout(wrong)
    assert caught.value.code == "bad_layout"


def test_a_layout_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_layout(tmp_path / "none.toml")
    assert caught.value.code == "file_not_found"
