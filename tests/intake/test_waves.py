"""Waves of households: core households go on, split-offs begin anew, and three ways are counted."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.intake.waves import Linked, link_waves


def panel(*rows: tuple[str, str, str | None, dict[str, str]]) -> pl.DataFrame:
    made: list[dict[str, Any]] = [
        {"wave": wave, "household_id": number, "respondent_id": who,
         **{f"earlier_{w}": earlier.get(w) for w in ("2010", "2012", "2014")}}
        for wave, number, who, earlier in rows
    ]  # fmt: skip
    schema = {"wave": pl.String, "household_id": pl.String, "respondent_id": pl.String}
    return pl.DataFrame(made, schema=schema | {f"earlier_{w}": pl.String for w in ("2010", "2012", "2014")})


FAMILY = panel(
    ("2010", "A", "p1", {}),
    ("2012", "A", "p1", {"2010": "A"}),
    ("2012", "B", "p3", {"2010": "A"}),
    ("2014", "A", "p2", {"2010": "A", "2012": "A"}),
    ("2014", "B", "p3", {"2010": "A", "2012": "B"}),
)


def units(linked: Linked, link: str, between: str) -> int:
    return int(next(row["units"] for row in linked.links if (row["link"], row["between"]) == (link, between)))


def test_who_leaves_a_household_begins_a_chain_of_its_own() -> None:
    linked = link_waves(FAMILY, link="household")
    assert linked.frame["panel_id"].to_list() == ["A", "A", "B", "A", "B"]
    assert linked.frame["split_off"].to_list() == [None, 0, 1, 0, 0]
    assert linked.frame["previous_wave"].to_list() == [None, "2010", "2010", "2012", "2012"]
    assert not linked.lost.any()


def test_all_three_ways_are_counted_whichever_is_chosen() -> None:
    for link in ("household", "respondent", "balanced"):
        linked = link_waves(FAMILY, link=link)  # type: ignore[arg-type]
        assert units(linked, "household", "any wave") == 2
        assert units(linked, "household", "every wave") == units(linked, "balanced", "any wave") == 1
        assert units(linked, "respondent", "any wave") == 3
        assert units(linked, "respondent", "two or more waves") == 2
        assert units(linked, "household", "2012-2014") == 2
        assert units(linked, "respondent", "2012-2014") == 1


def test_only_chains_in_every_wave_are_balanced() -> None:
    linked = link_waves(FAMILY, link="balanced")
    assert linked.frame.filter(~linked.lost)["household_id"].to_list() == ["A", "A", "A"]


def test_the_respondent_links_across_households() -> None:
    moved = panel(("2010", "A", "p1", {}), ("2012", "C", "p1", {}), ("2012", "D", "p1", {}), ("2012", "E", None, {}))
    linked = link_waves(moved, link="respondent")
    # Somebody who answers for two households in one wave links the first of them only.
    assert linked.frame["panel_id"].to_list() == ["p1", "p1", None, None]
    assert int(linked.lost.sum()) == 2


def test_a_household_that_came_back_goes_on() -> None:
    linked = link_waves(panel(("2010", "A", None, {}), ("2014", "A", None, {"2010": "A"})), link="household")
    assert linked.frame["panel_id"].to_list() == ["A", "A"]
    assert linked.frame["previous_wave"].to_list() == [None, "2010"]


def test_who_left_a_household_that_is_never_seen_again_is_still_a_split_off() -> None:
    linked = link_waves(panel(("2010", "A", None, {}), ("2012", "X", None, {"2010": "A"})), link="household")
    assert linked.frame["panel_id"].to_list() == ["A", "X"]
    assert linked.frame["split_off"].to_list() == [None, 1]


def test_the_same_number_links_where_the_file_gives_no_earlier_one() -> None:
    linked = link_waves(panel(("2010", "A", None, {}), ("2012", "A", None, {})), link="household")
    assert linked.frame["panel_id"].to_list() == ["A", "A"]


@pytest.mark.parametrize("link", ["household", "respondent", "balanced"])
@settings(max_examples=30)
@given(data=st.data())
def test_a_chain_has_one_row_a_wave_and_no_row_is_lost(link: str, data: st.DataObject) -> None:
    numbers = ["A", "B", "C", "D"]
    rows, before = [], {"2010": [], "2012": [], "2014": []}  # type: ignore[var-annotated]
    for wave in before:
        for number in data.draw(st.lists(st.sampled_from(numbers), unique=True, max_size=4)):
            earlier = {w: data.draw(st.sampled_from(there)) for w, there in before.items() if w < wave and there}
            rows.append((wave, number, data.draw(st.sampled_from(["p1", "p2", "p3", None])), earlier))
            before[wave].append(number)
    linked = link_waves(panel(*rows), link=link)  # type: ignore[arg-type]
    assert linked.frame.height == len(rows)
    kept = linked.frame.filter(~linked.lost)
    assert kept["panel_id"].null_count() == 0
    assert not kept.select(pl.struct("wave", "panel_id").is_duplicated().any()).item()


def test_shuffled_rows_give_the_same_links() -> None:
    one = link_waves(FAMILY, link="household").frame.sort("wave", "household_id")
    other = link_waves(FAMILY.reverse(), link="household").frame.sort("wave", "household_id")
    assert one.equals(other)
