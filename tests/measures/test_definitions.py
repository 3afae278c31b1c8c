"""A frame of a result keeps its labels."""

from __future__ import annotations

from medfloor.measures import compare_definitions


def test_a_label_that_shares_its_name_with_the_words_is_kept_in_the_frame() -> None:
    homes = {"oop": [0.0, 5.0, 30.0, 50.0], "consumption": [100.0] * 4, "food": [60.0, 60.0, 20.0, 50.0]}
    frame = compare_definitions(homes).to_frame()
    assert {"budget", "nonfood"} <= set(frame["definition"])
    assert frame["definition_in_words"].n_unique() == 1
