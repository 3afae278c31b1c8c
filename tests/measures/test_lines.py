"""Poverty lines: published ones, relative ones, and how people write them."""

from __future__ import annotations

import numpy as np
import pytest
from protection_cases import check, ids

from medfloor.errors import UsageError
from medfloor.measures.capacity import SocietalLine
from medfloor.measures.lines import Line, RelativeLine, name_of_line, poverty_line, poverty_lines, read_line, value_of
from medfloor.words import LANGS

MEDIANS = {"I07": (2017, (1.5, 2.0, 6.0, 20.0)), "I08": (2021, (3.0, 3.4, 6.0, 20.0))}


@pytest.mark.parametrize("name", ids("I07", "I08"))
def test_the_societal_line_is_that_of_the_world_bank(name: str) -> None:
    base, medians = MEDIANS[name[:3]]
    check(name, *(SocietalLine.of(base).at(median) for median in medians))


def test_every_line_says_where_it_comes_from_and_how_far_to_trust_it() -> None:
    lines = poverty_lines()
    assert len({line.name for line in lines}) == len(lines) == 27
    for line in lines:
        assert line.source
        assert line.trust in ("official", "secondary", "unverified")
        # A line that nobody could read up says so; none of the others does.
        assert ("no source" in line.source) == (line.trust == "unverified")
        for lang in LANGS:
            assert line.words.say(lang)


def test_chinas_line_is_of_a_year_and_for_a_period() -> None:
    year = poverty_line("cn-2010", year=2014)
    assert (year.value, year.year, year.name) == (2800.0, 2014, "cn-2010@2014")
    assert poverty_line("cn-2010", year=2014, days=36.5).value == pytest.approx(280.0)
    about = poverty_line("cn-2010", year=2020)
    assert about.about
    assert "about 4,000" in about.words.say("en")
    assert "2800" in year.words.say("zh").replace(",", "")


def test_a_line_in_dollars_is_turned_into_money_and_period() -> None:
    assert poverty_line("wb-2.15", ppp=4.0, days=365).value == pytest.approx(2.15 * 4 * 365)
    assert poverty_line("wb-3.00", ppp=1.0, days=1).value == 3.0


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        ({"name": "cn-2011"}, "no_such_line", "did you mean cn-2010"),
        ({"name": "cn-2010"}, "no_such_year", "2010, 2011, 2012"),
        ({"name": "cn-2010", "year": 2009}, "no_such_year", "no value of cn-2010 for 2009"),
        ({"name": "cn-2010", "year": 2015, "ppp": 4.0}, "bad_ppp", "is in yuan"),
        ({"name": "wb-2.15"}, "no_ppp", "international dollars of 2017"),
        ({"name": "wb-2.15", "ppp": -1.0}, "bad_ppp", "above zero"),
        ({"name": "wb-2.15", "ppp": 1.0, "days": 0.0}, "bad_ppp", "above zero"),
        ({"name": "wb-2.15", "ppp": 1.0, "year": 2021}, "no_such_year", "there are 2017"),
    ],
)
def test_a_line_that_is_not_there_is_refused_and_the_others_are_named(
    asked: dict[str, object], code: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as found:
        poverty_line(**asked)  # type: ignore[arg-type]
    assert found.value.code == code


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1883.5459", "1883.5459"),
        (" 2e3 ", "2000"),
        ("median:0.6", "median:0.6"),
        ("mean:50%", "mean:0.5"),
        ("cn-2010@2018", "cn-2010@2018"),
        ("cn-2010", "cn-2010@2016"),
        ("wb-2.15", "wb-2.15"),
        ("societal-2021", "societal-2021"),
    ],
)
def test_a_line_is_read_as_people_write_it(text: str, name: str) -> None:
    found = read_line(text, year=2016, ppp=2.0)
    assert found is not None
    assert name_of_line(found) == name


def test_what_is_no_line_may_be_a_column() -> None:
    assert read_line("pline") is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("-5", "bad_line"),
        ("0", "bad_line"),
        ("inf", "bad_line"),
        ("nan", "bad_line"),
        ("median:x", "bad_line"),
        ("median:0", "bad_line"),
        ("societal-2017", "no_ppp"),
        ("wb-9.99", "no_such_line"),
    ],
)
def test_a_line_that_means_nothing_is_refused(text: str, code: str) -> None:
    with pytest.raises(UsageError) as found:
        read_line(text)
    assert found.value.code == code


def test_a_societal_line_of_an_unknown_base_is_refused() -> None:
    with pytest.raises(UsageError) as found:
        read_line("societal-1999", ppp=1.0)
    assert found.value.code == "unknown_base"


def test_the_centre_of_a_relative_line_is_the_median_or_the_mean() -> None:
    with pytest.raises(UsageError, match="not of 'mode'"):
        RelativeLine(0.6, "mode")  # type: ignore[arg-type]


def test_relative_and_societal_lines_are_worked_out_from_people() -> None:
    y, w = np.array([2.0, 8.0, 14.0]), np.array([1.0, 1.0, 2.0])
    assert value_of(RelativeLine(0.5, "mean"), y, w)[0] == pytest.approx(0.5 * 9.5)
    # Half of the weight lies at or below 8, so the median is midway to the next value (Stata's rule).
    assert value_of(RelativeLine(0.5), y, w)[0] == pytest.approx(0.5 * 11)
    value, words = value_of(SocietalLine.of(2017), y, w)
    assert value == pytest.approx(1.15 + 0.5 * 11)
    assert "2.15" in words.say("en")
    assert value_of(Line(7.0), y, w)[0] == 7.0
