"""Places: every figure has its source and trust, and a wrong file is told what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from medfloor.errors import InputError
from medfloor.policy.load import load_policy
from medfloor.synthetic import place_from, shipped_place
from medfloor.words import LANGS, knows

ROOT = Path(__file__).resolve().parents[2]
MARGINS = ROOT.parent / "shared" / "data" / "margins.yaml"
MALE = '[figures.population.male]\nvalue = 50.2\nunit = "%"\nyear = 2024\nsource = "me"\ntrust = "official"\n'
HEAD = 'id = "mine"\n[sources]\nme = "my yearbook"\n'


def test_every_shipped_figure_has_a_source_and_every_source_a_figure() -> None:
    place = shipped_place()
    assert {figure.source for figure in place.figures} <= dict(place.sources).keys()
    assert all(figure.note for figure in place.figures if figure.trust == "derived")


def test_every_figure_that_is_reported_has_a_name_in_both_languages() -> None:
    for figure in shipped_place().figures:
        if figure.rule != "none":
            for lang in LANGS:
                assert knows(f"synthetic_figure.{figure.name.replace('.', '_')}", lang)


def test_only_assumptions_and_recalled_figures_come_from_ourselves() -> None:
    for figure in shipped_place().figures:
        assert (figure.source == "ours") == (figure.trust == "assumption"), figure.name
        assert (figure.source == "recalled") == (figure.trust == "unverified"), figure.name


@pytest.mark.skipif(not MARGINS.is_file(), reason="the collection of published margins is not beside the repository")
def test_shipped_figures_are_those_of_the_collection() -> None:
    from ruamel.yaml import YAML

    margins = YAML(typ="safe", pure=True).load(MARGINS.read_text(encoding="utf-8"))
    place, national = shipped_place(), margins["national"]
    assert list(place.parts("income.fifths").values()) == margins["income"]["quintile_means"]["values"][2025]
    assert place.value("care.cost_of_stay") == national["resident_cost_per_admission"]["values"][2025]
    assert place.value("care.admissions") == national["resident_hospitalisation_rate"]["values"][2025]
    levels = national["resident_cost_per_admission_by_level"]["values"]
    tertiary = levels[2025]["tertiary"]
    assert place.parts("care.cost_by_level") == {
        name: round(levels[2021][name] * tertiary / levels[2021]["tertiary"])
        for name in ("primary", "secondary", "tertiary")
    }
    assert place.value("settled.in_scope_ratio") == national["resident_in_scope_inpatient_ratio"]["values"][2025]
    assert place.value("population.urban") == margins["demography"]["census2020"]["urban_share"]["value"]
    insured = national["insured_residents"]["values"][2025]
    for name, visits, cost in (
        ("visit", "visits", "outpatient"),
        ("chronic_visit", "chronic_visits", "chronic_outpatient"),
    ):
        count = national[f"resident_{cost}_visits"]["values"][2025]
        assert place.value(f"care.{visits}") == pytest.approx(count / insured, rel=5e-4)  # shipped with four digits
        money = national[f"resident_{cost}_cost"]["values"][2025] * 1e4 / count
        assert place.value(f"care.cost_of_{name}") == pytest.approx(money, rel=5e-4)


def test_the_law_of_the_place_loads_and_says_that_it_is_made_up() -> None:
    policy = load_policy(shipped_place().policy_address).versions[0]
    assert policy.id == "synthetic/cn-2025"
    assert (
        "law of no place" in policy.note["en"]
        if isinstance(policy.note, dict)
        else "law of no place" in str(policy.note)
    )


def test_a_file_replaces_what_it_says_and_keeps_the_rest() -> None:
    place = place_from(HEAD + MALE)
    assert (place.value("population.male"), place.value("population.urban")) == (50.2, 63.89)
    assert place.figure("population.male").rule == "relative"  # the bar is kept where none is given
    assert place.name("zh") == "mine"


@pytest.mark.parametrize("file", sorted((ROOT / "examples" / "places").glob("*.toml")), ids=lambda path: path.stem)
def test_places_to_copy_from_are_read(file: Path) -> None:
    place = place_from(file.read_text(encoding="utf-8"), where=file.name)
    assert all(one.note or one.trust == "assumption" for _, county in place.counties for one in county.figures
               if one not in shipped_place().figures)  # fmt: skip


def test_a_county_keeps_what_it_does_not_replace_of_its_province() -> None:
    of_county = MALE.replace("figures.", "counties.figures.").replace("50.2", "48")
    place = place_from(HEAD + MALE + '[[counties]]\nid = "a"\npeople = 40\n' + of_county +
                       '[[counties]]\nid = "b"\npeople = 60\n')  # fmt: skip
    (small, first), (large, second) = place.counties
    assert (small, large) == (0.4, 0.6)
    assert [one.value("population.male") for one in (place, first, second)] == [50.2, 48, 50.2]
    assert place.digest != place_from(HEAD + MALE).digest


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("id = ", "bad_place", "not TOML"),
        (MALE, "bad_place", "an id of its own"),
        ('id = "x"\ncolour = "red"\n', "bad_place", "colour is no field"),
        ('id = "x"\nextends = "cn-1900"\n', "bad_place", "no place 'cn-1900'"),
        (HEAD + MALE.replace("population.male", "population.males"), "unknown_figure", "nearest is population.male"),
        (HEAD + MALE.replace('unit = "%"', 'unit = "share"'), "bad_place", "give it in '%'"),
        (HEAD + MALE.replace('unit = "%"\n', ""), "bad_place", "unit is missing"),
        (HEAD + MALE.replace("50.2", "-3"), "bad_place", "below zero"),
        (HEAD + MALE.replace("50.2", '"half"'), "bad_place", "not a number"),
        (HEAD + MALE.replace("2024", "24"), "bad_place", "year"),
        (HEAD + MALE.replace('"me"\ntrust', '"you"\ntrust'), "bad_place", "not under"),
        (HEAD + MALE.replace('"official"', '"certain"'), "bad_place", "trust 'certain'"),
        (HEAD + MALE + 'bar = { about = 1 }\n', "bad_place", "write bar"),
        (HEAD + MALE + 'values = { a = 1 }\n', "bad_place", "either value or values"),
        (HEAD + MALE + 'colour = "red"\n', "bad_place", "no field colour"),
        (HEAD + MALE.replace("value = 50.2", "values = { men = 50.2 }"), "bad_place", "needs the parts"),
        (
            HEAD + MALE.replace("population.male", "population.age").replace(
                "value = 50.2", 'values = { "0-14" = 20, "15-59" = 60, "60-64" = 5, "65+" = 10 }'
            ),
            "bad_place",
            "come to 95",
        ),
        (HEAD + "[figures]\npopulation = 3\n", "bad_place", "not a table"),
        ('id = "x"\ncounties = 3\n', "bad_place", "as a table"),
        ('id = "x"\n[[counties]]\nid = "a"\n', "bad_place", "people is missing"),
        ('id = "x"\n[[counties]]\nid = "a"\npeople = 60\n', "bad_place", "come to 60"),
        ('id = "x"\n[[counties]]\nid = "a"\npeople = 100\npolicy = "q"\n', "bad_place", "policy is no field"),
        ('id = "x"\n[[counties]]\nid = "a"\npeople = 50\n[[counties]]\nid = "a"\npeople = 50\n', "bad_place", "two counties"),
        ('id = "x"\n[[counties]]\npeople = 100\n', "bad_place", "an id of its own"),
        (HEAD + MALE.replace("value = 50.2", "value = 150"), "bad_place", "beyond 100"),
        (
            HEAD + MALE.replace("population.male", "population.oldest").replace("50.2", "0").replace('"%"', '"years"'),
            "bad_place",
            "above zero",
        ),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_what_is_wrong(text: str, code: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        place_from(text, where="my.toml")
    assert raised.value.code == code
