"""What a study says of few people is hidden before it is printed, and cannot be worked out from what stays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import polars as pl

from medfloor.measures import catastrophic
from medfloor.studies.about import Quotation
from medfloor.studies.pages import draw
from medfloor.studies.small_cells import without_few
from medfloor.studies.study import Claim, Picture, Section, Study, Table
from medfloor.words import Phrase

TITLE = Phrase("study_title.county-ledger")


def shown(frame: pl.DataFrame, few: int = 5, **values: object) -> tuple[Any, Section]:
    claim = Claim(Quotation("003", "x"), Phrase.of("county_ledger.found_insured", **values))
    section = Section("a", TITLE, tables=(Table("t", TITLE, frame),), claims=(claim,))
    whole: Any = SimpleNamespace(sections=(section,))
    # Only the sections matter here.
    study = Study(
        about=cast(Any, None), sections=whole.sections, data="", synthetic=False, settings={},
    )  # fmt: skip
    (made,) = without_few(study, few).sections
    return made.tables[0], made


def test_a_small_row_goes_and_the_next_smallest_with_it() -> None:
    frame = pl.DataFrame({"sex": ["a", "b", "c"], "cases": [3, 40, 9], "people": [3, 30, 8], "cost": [1.0, 2.0, 3.0]})
    table, section = shown(frame, insured="3", people="1,000")
    assert table.content["cases"].to_list() == [None, 40, None]
    assert table.content["cost"].to_list() == [None, 2.0, None]
    assert table.content["sex"].to_list() == ["a", "b", "c"]
    assert "5" in table.notes[0].say("zh")
    assert dict(section.claims[0].found.values) == {"insured": "<5", "people": "1,000"}


def test_the_fewest_of_several_counts_decides_and_each_way_is_a_whole_of_its_own() -> None:
    frame = pl.DataFrame({"by": ["x", "x", "y", "y"], "group": list("abcd"), "cases": [9, 9, 9, 9],
                          "people": [2, 8, 9, 9]})  # fmt: skip
    table, _ = shown(frame)
    assert table.content["cases"].to_list() == [None, None, 9, 9]


def test_what_hides_nothing_stays_the_same() -> None:
    frame = pl.DataFrame({"group": ["a", "b"], "cases": [5, 0], "share": [1.0, None]})
    table, section = shown(frame, insured="3", people="4")
    assert table.content is frame
    assert dict(section.claims[0].found.values) == {"insured": "3", "people": "4"}


def test_a_figure_of_which_every_group_is_hidden_says_so_in_its_place() -> None:
    frame = pl.DataFrame({"oop": [1.0, 2.0] * 4, "consumption": [5.0] * 8, "place": list("aaabbbbb")})
    picture = Picture("p", TITLE, catastrophic(frame, by=["place"], thresholds=[0.1]), "groups")
    # Of three and five the three are hidden, and the five with them, or they could be worked out from the sum.
    study = Study(about=cast(Any, None), sections=(Section("a", TITLE, pictures=(picture,)),), data="",
                  synthetic=False, settings={})  # fmt: skip
    ((left,),) = (one.pictures for one in without_few(study, 5).sections)
    assert left.undrawn is not None
    for lang, told in (("zh", "没有画出"), ("en", "is not drawn")):
        said = draw(left, lang)
        assert isinstance(said, str)
        assert told in said
        assert TITLE.say(lang) in said
        assert "5" in said
    assert without_few(study, 3).sections[0].pictures[0].undrawn is None
