"""Cut tables into numbered pieces, on the disk and in memory."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from medfloor.intake import HeldPieces, Pieces, number_of

SCHEMA = pl.Schema({"person": pl.String, "amount": pl.Int64})


def pieces_of(kind: str, folder: Path) -> Pieces | HeldPieces:
    return HeldPieces() if kind == "held" else Pieces(folder, "claims", "claims.csv")


@pytest.mark.parametrize("kind", ["held", "written"])
def test_a_piece_has_its_rows_of_all_batches_in_their_order(kind: str, tmp_path: Path) -> None:
    pieces = pieces_of(kind, tmp_path)
    for first in (0, 4):
        frame = pl.DataFrame({"person": ["b", "a", "b", "c"], "amount": range(first, first + 4)}, schema=SCHEMA)
        pieces.append(frame, number_of(["b", "c"], frame["person"]))
    assert [pieces.read(number, SCHEMA)["amount"].to_list() for number in range(4)] == [
        [1, 5],
        [0, 2, 4, 6],
        [3, 7],
        [],
    ]
    assert pieces.read(3, SCHEMA).schema == SCHEMA


def test_a_held_piece_is_let_go() -> None:
    pieces = HeldPieces()
    pieces.append(pl.DataFrame({"person": ["a", "b"], "amount": [1, 2]}), pl.Series([0, 1], dtype=pl.UInt16))
    pieces.drop(0)
    assert pieces.read(0, SCHEMA).height == 0
    assert pieces.read(1, SCHEMA)["amount"].to_list() == [2]


def test_keys_below_the_first_bound_and_empty_ones_are_of_the_first_range() -> None:
    assert number_of(["b", "c"], pl.Series(["a", "b", "bz", "c", "z", None])).to_list() == [0, 1, 1, 2, 2, 0]
    assert number_of([], pl.Series(["a"])).to_list() == [0]
