"""Settle files in parts by person: every file that comes out is the one of a whole run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import (
    a_claim,
    claims_frame,
    examples,
    one_tier,
    people_frame,
    percent,
    policy_set,
    spells_frame,
    worlds,
    yuan,
)

from medfloor.errors import InputError, MissingValueError, OutputError
from medfloor.intake import pieces, read_table
from medfloor.policy.load import PolicySet, load_policy
from medfloor.settlement import chunks, partition, spool
from medfloor.settlement.chunks import Files, Tally, settle_files

OUTPUTS = ("out", "rejects", "trace", "closing", "differences")
TINY = 1
"""A limit that asks for as many parts as there are units."""


def files_in(folder: Path, claims: pl.DataFrame, people: pl.DataFrame, ending: str = ".csv", **more: Any) -> Files:
    """Write the tables into a folder, and name files for every output."""
    tables = {"claims": claims, "people": people, **{k: v for k, v in more.items() if isinstance(v, pl.DataFrame)}}
    for name, table in tables.items():
        path = folder / f"{name}{ending}"
        table.write_csv(path) if ending == ".csv" else table.write_parquet(path)
    inputs = {name: str(folder / f"{name}{ending}") for name in tables}
    return Files(**inputs, **{name: str(folder / f"whole-{name}{ending}") for name in OUTPUTS})


def settle_both_ways(files: Files, policy: str | PolicySet, limit: int = TINY, **options: Any) -> tuple[Tally, Tally]:
    """Settle the files whole and in parts, and hold every file that comes out against the other."""
    apart = replace(
        files, **{name: path.replace("whole-", "parts-") for name in OUTPUTS if (path := getattr(files, name))}
    )
    whole = settle_files(files, policy, **options)
    parts = settle_files(apart, policy, limit_memory=limit, **options)
    for name in OUTPUTS:
        one, other = getattr(files, name), getattr(apart, name)
        if one is None:
            continue
        assert Path(one).exists() == Path(other).exists(), name
        if Path(one).exists():
            assert Path(one).read_bytes() == Path(other).read_bytes(), name
    assert replace(parts, partitions=whole.partitions, files=whole.files) == whole
    assert parts.rows_in == parts.settled + parts.rejected
    assert parts.money_in_fen == parts.money_settled_fen + parts.money_rejected_fen
    assert not [path for path in Path(files.out).parent.iterdir() if path.name.startswith(".")]
    return whole, parts


FLAWS: Sequence[dict[str, Any]] = (
    {"total": "-1.00"},
    {"in_scope": "1.005"},
    {"claim_id": None},
    {"claim_id": " "},
    {"person_id": None},
    {"person_id": "zz"},
    {"person_id": "p00"},
    {"settled_date": "1999-01-01"},
    {"facility_level": "9"},
    {"own_limit": "much"},
)


@st.composite
def flawed_worlds(draw: Any) -> Any:
    """Draw law and history, with a few rows made wrong: flaws of their own, ids twice, stays and claims of others named."""
    world = draw(worlds(most_claims=10))
    rows = world.claims.to_dicts()
    if not rows:
        return world
    some = st.integers(0, len(rows) - 1)
    for _ in range(draw(st.integers(0, 4))):
        row, other = rows[draw(some)], rows[draw(some)]
        match draw(st.integers(0, 4)):
            case 0:
                row |= draw(st.sampled_from(FLAWS))
            case 1:
                row["claim_id"] = draw(st.sampled_from([other["claim_id"], f" {other['claim_id']}"]))
            case 2:
                row["continues"] = draw(st.sampled_from([other["claim_id"], "nowhere"]))
            case 3:
                row["reverses"] = draw(st.sampled_from([other["claim_id"], "nowhere"]))
            case 4:
                late = {"claim_id": f"r{len(rows)}", "reverses": other["claim_id"], "settled_date": "2025-12-31"}
                rows.append(other | late | {"continues": None})
    return replace(world, claims=pl.DataFrame(rows, schema=world.claims.schema))


@examples(24)
@given(flawed_worlds(), st.sampled_from([".csv", ".parquet"]), st.booleans())
def test_parts_give_what_a_whole_run_gives_under_random_law_with_random_flaws(
    world: Any, ending: str, in_order: bool
) -> None:
    claims, people = world.claims, world.people
    if in_order:  # then a part is a range of the file's rows
        claims, people = claims.drop_nulls("person_id").sort("person_id"), people.sort("person_id")
    with TemporaryDirectory() as folder:
        files = files_in(Path(folder), claims, people, ending, spells=world.spells)
        settle_both_ways(files, world.policies)


@examples(16)
@given(flawed_worlds(), st.booleans())
def test_parts_held_in_memory_give_what_a_whole_run_gives(world: Any, opened: bool) -> None:
    with TemporaryDirectory() as folder:
        files = files_in(Path(folder), world.claims, world.people, ".parquet", spells=world.spells)
        whole = settle_files(files, world.policies)
        if opened:  # with accumulators and earlier settlements, which are cut as well
            files = replace(
                files, opening=files.closing, closing=None, previous=files.out, out=f"{files.out}.2.parquet"
            )
            whole = settle_files(files, world.policies)
        named = [path for name in OUTPUTS if (path := getattr(files, name))]
        before = {path: Path(path).read_bytes() for path in named if Path(path).exists()}
        with patch.object(chunks, "AT_ONCE", 2):
            parts = settle_files(files, world.policies)
        assert parts == replace(whole, partitions=parts.partitions)
        assert {path: Path(path).read_bytes() for path in named if Path(path).exists()} == before


@examples(10)
@given(flawed_worlds(), st.integers(0, 12))
def test_parts_open_with_what_a_first_half_closed_with(world: Any, cut: int) -> None:
    with TemporaryDirectory() as folder:
        ordered = world.claims.sort("settled_date", "start_date", "claim_id")
        files = files_in(Path(folder), ordered.head(cut), world.people, spells=world.spells)
        settle_both_ways(files, world.policies)
        second = files_in(Path(folder), ordered.tail(-cut or ordered.height), world.people, spells=world.spells)
        settle_both_ways(replace(second, opening=files.closing, closing=None), world.policies)


PERSONS = [f"p{number:02d}" for number in range(20)]
HALF = policy_set(
    one_tier(
        {"deductible": {"per": "year", "amount": [yuan(100_000)]}, "per": "year", "brackets": [{"rate": [percent(50)]}]}
    )
)


def test_a_claims_file_that_grows_while_it_is_read_is_said_to_have_changed(tmp_path: Path) -> None:
    claims = claims_frame([a_claim(claim_id=f"c{number}", person_id=PERSONS[number % 5]) for number in range(20)])
    files = files_in(tmp_path, claims, people_frame([{"person_id": person} for person in PERSONS]), ".parquet")
    cut = chunks.cut
    with (
        patch.object(chunks, "AT_ONCE", 2),
        patch.object(chunks, "cut", lambda *given, **named: replace(cut(*given, **named), rows=19)),
        pytest.raises(InputError, match="changed while it was read") as caught,
    ):
        settle_files(files, HALF)
    assert caught.value.code == "broken_parquet"
    assert not Path(files.out).exists()


def people_of(persons: Sequence[str] = PERSONS, **columns: Any) -> pl.DataFrame:
    return people_frame([{"person_id": person, **columns} for person in persons])


def claims_of(*changes: dict[str, Any]) -> pl.DataFrame:
    """Give one claim a person, c00 to c19, changed where asked (by claim_id), and further rows."""
    rows = {f"c{p[1:]}": a_claim(f"c{p[1:]}", 200_000, person_id=p) for p in PERSONS}
    for change in changes:
        rows.setdefault(change["claim_id"], a_claim()).update(change)
    return claims_frame(list(rows.values()))


def reasons_in(path: str | None) -> dict[str, str]:
    assert path is not None
    return dict(read_table(path).select("claim_id", "reason").iter_rows())


def test_a_tiny_limit_makes_a_part_of_every_person(tmp_path: Path) -> None:
    _, parts = settle_both_ways(files_in(tmp_path, claims_of(), people_of()), HALF)
    assert parts.partitions == 20
    assert parts.settled == 20


def test_a_limit_in_which_all_fits_makes_one_part(tmp_path: Path) -> None:
    _, parts = settle_both_ways(files_in(tmp_path, claims_of(), people_of()), HALF, limit=10**9)
    assert parts.partitions == 1


@pytest.mark.parametrize(
    ("ending", "mixed", "parts"), [(".parquet", False, 7), (".parquet", True, 7), (".csv", False, 1)]
)
def test_a_large_file_is_taken_in_parts_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, mixed: bool, parts: int
) -> None:
    claims = claims_of({"claim_id": "c03", "total": "1"}, {"claim_id": "c07", "continues": "c15"})
    files = files_in(tmp_path, claims.reverse() if mixed else claims, people_of(), ending)
    whole = settle_files(files, HALF)
    before = {name: Path(getattr(files, name)).read_bytes() for name in ("out", "rejects", "trace", "closing")}
    monkeypatch.setattr(chunks, "AT_ONCE", 6)
    assert settle_files(files, HALF) == replace(whole, partitions=parts)
    assert {name: Path(getattr(files, name)).read_bytes() for name in before} == before


@pytest.mark.parametrize("batch", [3, 7, 1000])
def test_ranges_begin_where_a_person_does_also_between_rows_that_were_not_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    rows = [a_claim(f"c{n:03d}", 1_000, person_id=PERSONS[n * n // 500]) for n in range(100)]
    files = files_in(tmp_path, claims_frame(rows), people_of(), ".parquet")
    whole = settle_files(files, HALF)
    before = Path(files.out).read_bytes()
    monkeypatch.setattr(pieces, "BATCH", batch)
    monkeypatch.setattr(partition, "SAMPLE", 6)
    seen = spy_on_edges(monkeypatch)
    monkeypatch.setattr(chunks, "AT_ONCE", 20)
    parts = settle_files(files, HALF)
    assert parts == replace(whole, partitions=parts.partitions)
    assert parts.partitions > 3
    assert Path(files.out).read_bytes() == before
    persons = [row["person_id"] for row in rows]
    assert seen[0][0] == 0
    assert seen[0][-1] == 100
    assert all(persons[edge] != persons[edge - 1] for edge in seen[0][1:-1])


def spy_on_edges(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Note the edges that are found in files in order."""
    seen: list[list[int]] = []
    find = partition._edges_of

    def noting(*asked: Any) -> list[int]:
        seen.append(find(*asked))
        return seen[-1]

    monkeypatch.setattr(partition, "_edges_of", noting)
    return seen


def test_a_claim_id_twice_in_a_large_file_in_order_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "AT_ONCE", 6)
    claims = claims_of().with_columns(pl.col("claim_id").replace({"c18": "c02"}))
    tally = settle_files(files_in(tmp_path, claims, people_of(), ".parquet"), HALF)
    assert tally.reasons == {"duplicate_claim_id": 2}
    assert tally.partitions > 1


def test_progress_is_told_part_by_part(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    files = files_in(tmp_path, claims_of(), people_of())
    settle_files(files, HALF, limit_memory=TINY, progress=lambda *told: seen.append(told))
    assert seen == [("cut", 20, 20), *(("settle", number, 20) for number in range(1, 21))]


def test_naming_a_stay_of_another_part_has_the_reason_of_a_whole_run(tmp_path: Path) -> None:
    files = files_in(
        tmp_path,
        claims_of(
            {"claim_id": "c15", "continues": "c02"},
            {"claim_id": "c03", "continues": "c14"},
            {"claim_id": "c04", "continues": "nowhere"},
            {"claim_id": "r1", "person_id": "p19", "reverses": "c05"},
            {"claim_id": "r2", "person_id": "p00", "reverses": "c19", "settled_date": "2024-05-01"},
            {"claim_id": "r3", "person_id": "p07", "reverses": "nowhere"},
        ),
        people_of(),
    )
    settle_both_ways(files, HALF)
    assert reasons_in(files.rejects) == {
        "c15": "continues_other_person",
        "c03": "continues_other_person",
        "c04": "unknown_continues",
        "r1": "reversed_other_person",
        "r2": "reversed_other_person",
        "r3": "unknown_reversed",
    }


def test_naming_a_row_that_nobody_can_read_is_naming_nothing(tmp_path: Path) -> None:
    claims = claims_of(
        {"claim_id": "c02", "total": "-1"},
        {"claim_id": "c15", "continues": "c02"},
        {"claim_id": "c16", "reverses": "c02"},
    )
    twice = claims.filter(pl.col("claim_id") == "c07").with_columns(pl.lit("p01").alias("person_id"))
    files = files_in(tmp_path, pl.concat([claims_of_naming(claims, "c18", "c07"), twice]), people_of())
    settle_both_ways(files, HALF)
    found = reasons_in(files.rejects)
    assert found["c15"] == found["c18"] == "unknown_continues"
    assert found["c16"] == "unknown_reversed"
    assert found["c07"] == "duplicate_claim_id"


def claims_of_naming(claims: pl.DataFrame, claim_id: str, continues: str) -> pl.DataFrame:
    named = pl.when(pl.col("claim_id") == claim_id).then(pl.lit(continues)).otherwise(pl.col("continues"))
    return claims.with_columns(named.alias("continues"))


def test_a_stay_of_the_opening_that_is_anothers_in_the_file_is_refused_in_parts_too(tmp_path: Path) -> None:
    law = policy_set(
        one_tier({"deductible": {"per": "admission", "amount": [yuan(100)]}, "brackets": [{"rate": [percent(50)]}]})
    )
    first = files_in(tmp_path, claims_frame([a_claim("c02", person_id="p15")]), people_of())
    settle_files(first, law)
    files = files_in(
        tmp_path, claims_of({"claim_id": "c15", "continues": "c02", "settled_date": "2024-04-01"}), people_of()
    )
    settle_both_ways(replace(files, opening=first.closing, closing=None), law)
    assert reasons_in(files.rejects) == {"c15": "continues_other_person"}


def test_duplicates_of_persons_far_apart_are_refused_all(tmp_path: Path) -> None:
    claims = claims_of()
    again = claims.filter(pl.col("claim_id").is_in(["c00", "c19"])).with_columns(pl.lit("p10").alias("person_id"))
    blanks = claims.filter(pl.col("claim_id") == "c05").with_columns(pl.lit(" c05 ").alias("claim_id"))
    files = files_in(tmp_path, pl.concat([claims, again, blanks]), people_of())
    whole, _ = settle_both_ways(files, HALF)
    assert whole.reasons == {"duplicate_claim_id": 6}


def test_a_household_stays_in_one_part(tmp_path: Path) -> None:
    homes = people_frame(
        [{"person_id": p, "household_id": f"h{int(p[1:]) * 7 % 6}", "birth_date": "1950-01-01"} for p in PERSONS]
    ).with_columns(max_expenditure=pl.lit("300.00"))
    plans = spells_frame([{"person_id": p, "group": "plan_25", "from_date": "1970-01-01"} for p in PERSONS])
    visits = [
        a_claim(f"c{k:03d}", 10_000 + k, f"1976-03-{k % 28 + 1:02d}", person_id=PERSONS[k % 20], care_type="outpatient")
        for k in range(100)
    ]
    lost = a_claim("lost", day="1976-03-01", person_id="nobody")
    files = files_in(tmp_path, claims_frame([*visits, lost]), homes, spells=plans)
    whole, parts = settle_both_ways(files, "us/rand-hie")
    assert parts.partitions == 6
    assert whole.reasons == {"unknown_person": 1}
    # Six households with 100 visits of a little over 100 yuan reach the maximum of 300 each; a household cut in two would
    # reach it twice.
    assert whole.own_fen == 6 * 30_000


def test_files_without_rows_and_without_people_settle_in_parts(tmp_path: Path) -> None:
    settle_both_ways(files_in(tmp_path, claims_of().head(0), people_of()), HALF)
    whole, _ = settle_both_ways(files_in(tmp_path, claims_of(), people_of([])), HALF)
    assert whole.reasons == {"unknown_person": 20}


def test_blank_lines_and_carried_columns_come_through_parts_as_through_a_whole_run(tmp_path: Path) -> None:
    files = files_in(
        tmp_path, claims_of({"claim_id": "c03", "total": "1"}).with_columns(note=pl.lit("a, b")), people_of()
    )
    path = Path(files.claims)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], "", *lines[5:], ""]))
    whole, _ = settle_both_ways(files, HALF)
    assert whole.rows_in == 20
    assert read_table(files.out)["note"].to_list() == ["a, b"] * 19


def test_a_broken_file_is_named_in_parts_too(tmp_path: Path) -> None:
    files = files_in(tmp_path, claims_of(), people_of())
    text = Path(files.claims).read_text()
    for spoiled, code in ((text + "c99,p01\n", "broken_csv"), (text.replace("in_scope", "scope", 1), "missing_column")):
        Path(files.claims).write_text(spoiled)
        with pytest.raises(InputError) as caught:
            settle_files(files, HALF, limit_memory=TINY)
        assert caught.value.code == code
        assert files.claims in caught.value.message
    parquet = files_in(tmp_path, claims_of(), people_of(), ".parquet")
    whole = Path(parquet.claims).read_bytes()
    Path(parquet.claims).write_bytes(whole[:200] + bytes(600) + whole[800:])
    with pytest.raises(InputError) as caught:
        settle_files(parquet, HALF, limit_memory=TINY)
    assert caught.value.code == "broken_parquet"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_where_nothing_can_be_paid_without_an_unpublished_number_parts_stop_as_a_whole_run_does(tmp_path: Path) -> None:
    law = load_policy("cn/guangdong/dongguan-jiafu")
    files = files_in(tmp_path, claims_of(), people_of())
    for limit in (None, TINY):
        with pytest.raises(MissingValueError):
            settle_files(files, law, limit_memory=limit)
    assert not Path(files.out).exists()


def test_a_part_that_lacks_a_published_number_does_not_stop_the_others(tmp_path: Path) -> None:
    unpublished = {"unit": "percent"}  # no value
    rate = [{"when": {"sex": "female"}, **unpublished}, percent(50)]
    law = policy_set(one_tier({"brackets": [{"rate": rate}]}))
    people = people_frame([{"person_id": p, "sex": "female" if p < "p05" else "male"} for p in PERSONS])
    whole, _ = settle_both_ways(files_in(tmp_path, claims_of(), people), law)
    assert whole.reasons == {"policy_value_missing": 5}


def test_duplicates_are_found_with_a_few_ids_in_memory_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "LEAST_HASHES", 3)
    claims = claims_of()
    twice = claims.filter(pl.col("claim_id") == "c05").with_columns(pl.lit("p01").alias("person_id"))
    whole, _ = settle_both_ways(files_in(tmp_path, pl.concat([claims, twice]), people_of()), HALF)
    assert whole.reasons == {"duplicate_claim_id": 2}


def test_a_run_that_refuses_all_keeps_the_order_of_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "PIECE", 7)
    claims = claims_of().with_columns(pl.lit("9").alias("facility_level"))
    files = files_in(tmp_path, claims.sample(fraction=1.0, shuffle=True, seed=3), people_of())
    whole, _ = settle_both_ways(files, HALF)
    assert whole.reasons == {"unknown_facility_level": 20}


# --- what the files of a run hold --------------------------------------------------------------------------------------


def test_earlier_settlements_must_be_settlements(tmp_path: Path) -> None:
    files = files_in(tmp_path, claims_of(), people_of())
    for text, code in (
        ("id,pay_total\n1,2\n", "missing_column"),
        ("claim_id,total\nc00,2.00\n", "missing_column"),
        ("claim_id,pay_total\nc00,much\n", "bad_amount"),
        ("claim_id,pay_total\nc00,1.234\n", "bad_amount"),
        ("claim_id,pay_total\nc00,1.00\nc00,1.00\n", "duplicate_claim_id"),
    ):
        (tmp_path / "previous.csv").write_text(text)
        with pytest.raises(InputError) as caught:
            settle_files(replace(files, previous=str(tmp_path / "previous.csv")), HALF)
        assert caught.value.code == code
        assert "previous.csv" in caught.value.message


def test_previous_lists_the_consequences_of_a_late_claim_in_parts_too(tmp_path: Path) -> None:
    late = a_claim("late", 50_000, "2024-02-01", person_id="p05")
    early = files_in(tmp_path, claims_of(), people_of())
    settle_files(early, HALF)
    (tmp_path / "previous.csv").write_bytes(Path(early.out).read_bytes())
    files = files_in(tmp_path, pl.concat([claims_of(), claims_frame([late])]), people_of())
    whole, _ = settle_both_ways(replace(files, previous=str(tmp_path / "previous.csv")), HALF)
    assert (whole.differences, whole.owed_fen, whole.owes_fen) == (1, 25_000, 0)


def test_a_claim_that_was_settled_under_another_person_before_is_found_in_parts_too(tmp_path: Path) -> None:
    files = files_in(tmp_path, claims_of({"claim_id": "c03", "person_id": "p17"}), people_of())
    settle_files(files, HALF)
    previous, before = tmp_path / "previous.csv", read_table(files.out)
    for columns in ("claim_id,person_id,pay_basic,pay_total", "claim_id,pay_basic,pay_total"):
        before.select(columns.split(",")).write_csv(previous)
        now = files_in(tmp_path, claims_of({"claim_id": "c04", "total": "300000", "in_scope": "300000"}), people_of())
        whole, _ = settle_both_ways(replace(now, previous=str(previous)), HALF)
        assert whole.differences > 0


def test_rejects_and_differences_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    named = files_in(tmp_path, claims_of({"claim_id": "c03", "total": "1"}), people_of())
    files = replace(named, rejects=None, differences=None)
    first = settle_files(files, HALF)
    assert [kind for kind, _ in first.files] == ["settlements", "rejects", "trace", "closing"]
    settle_files(files_in(tmp_path, claims_of(), people_of()), HALF)
    second = settle_files(files, HALF)
    assert second.rejected == 0
    assert read_table(tmp_path / "whole-out.rejects.csv").height == 0


def test_sums_beyond_64_bits_are_exact(tmp_path: Path) -> None:
    most = 9 * 10**14
    rows = [a_claim(f"c{k}", most - k, person_id=f"q{k}") for k in range(10_400)]
    tally = settle_files(files_in(tmp_path, claims_frame(rows), people_of([f"q{k}" for k in range(10_400)])), HALF)
    assert tally.money_settled_fen == tally.money_in_fen == sum(most - k for k in range(10_400)) > 2**63
    assert tally.own_fen + sum(tally.paid_fen.values()) == tally.money_in_fen


def test_a_reversal_of_nothing_paid_is_counted(tmp_path: Path) -> None:
    claims = claims_of(
        {"claim_id": "c03", "total": "0", "in_scope": "0"},
        {"claim_id": "r", "person_id": "p03", "reverses": "c03", "settled_date": "2024-05-01"},
    )
    assert settle_files(files_in(tmp_path, claims, people_of()), HALF).reversals == 1


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_columns_are_carried_through_untouched_whatever_their_names(tmp_path: Path, ending: str) -> None:
    carried = {
        "_note": "x",
        "own_fen": 12_345,
        "pay_way": "cash",
        "hifp_pay": 1,
        "year": 1999,
        "备注": "好",
        "source": "a",
    }
    claims = claims_of().with_columns(pl.lit(value).alias(name) for name, value in carried.items())
    files = files_in(tmp_path, claims, people_of(), ending)
    settle_both_ways(files, HALF)
    out = read_table(files.out)
    for name, value in carried.items():
        assert set(out[name].cast(pl.String)) == {str(value)}, name
    settle_both_ways(files, HALF, columns="national")
    national = read_table(files.out)
    for name, value in carried.items():
        if name in ("hifp_pay", "year"):  # names of setlinfo, whose fields they give way to
            assert set(national[name].cast(pl.String)) != {str(value)}
        else:
            assert set(national[name].cast(pl.String)) == {str(value)}, name


@pytest.mark.parametrize("name", ["_person", "_unit", "__row", "row", "_key"])
def test_names_that_are_used_inside_are_refused_with_a_next_step(tmp_path: Path, name: str) -> None:
    files = files_in(tmp_path, claims_of().with_columns(pl.lit("x").alias(name)), people_of())
    for limit in (None, TINY):
        with pytest.raises(InputError, match="Rename it") as caught:
            settle_files(files, HALF, limit_memory=limit)
        assert caught.value.code == "reserved_column"


def test_an_output_that_fails_at_the_end_leaves_every_old_file_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path, claims_of(), people_of())
    settle_files(files, HALF)
    before = {name: Path(getattr(files, name)).read_bytes() for name in OUTPUTS}
    real = os.fsync
    done: list[int] = []

    def full(descriptor: int) -> None:
        done.append(descriptor)
        if len(done) == len(OUTPUTS):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        settle_files(files_in(tmp_path, claims_of({"claim_id": "c03", "total": "1"}), people_of()), HALF)
    assert {name: Path(getattr(files, name)).read_bytes() for name in OUTPUTS} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


# --- memory ------------------------------------------------------------------------------------------------------------

MEASURED = """
import json, sys
from medfloor.settlement.chunks import Files, settle_files
import numba

def peak():  # in bytes, of this program alone, which ru_maxrss is not
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024

base = peak()
tally = settle_files(Files(**json.loads(sys.argv[1])), "cn/beijing", limit_memory=int(sys.argv[2]))
print(json.dumps([tally.partitions, tally.settled, base, peak()]))
"""


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read where Linux tells it")
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_limit_of_1_gb_is_kept_with_three_million_claims(tmp_path: Path, ending: str) -> None:
    rows, persons = 3_000_000, 600_000
    number = pl.int_range(rows, eager=True)
    day = pl.date(2024, 1, 1) + pl.duration(days=(number * 7) % 300)
    total = (20_000 + (number * 7_919) % 9_000_000).cast(pl.Decimal(18, 2)) / 100
    claims = pl.DataFrame({"n": number}).select(
        claim_id=pl.format("c{}", "n"),
        person_id=pl.format("p{}", (pl.col("n") * 104_729 % persons).cast(pl.String).str.zfill(6)),
        care_type=pl.lit("inpatient"),
        start_date=day,
        end_date=day,
        facility_level=pl.lit("3"),
        total=total,
        in_scope=total,
    )
    people = pl.select(person_id=pl.format("p{}", pl.int_range(persons).cast(pl.String).str.zfill(6)))
    files = files_in(tmp_path, claims.with_columns(pl.col("total", "in_scope").cast(pl.Float64)), people, ending)
    del claims
    limit = 10**9
    for outputs in (("out",), ("out", "trace", "closing")):
        asked = {name: getattr(files, name) for name in ("claims", "people", *outputs)}
        call = [sys.executable, "-c", MEASURED, json.dumps(asked), str(limit)]
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        parts, settled, base, peak = json.loads(done.stdout)
        print(f"{ending} {outputs}: {parts} parts, {base / 1e6:.0f} MB before, {peak / 1e6:.0f} MB at the peak")
        assert settled == rows
        assert parts > 1
        assert peak < limit + base
