"""Read spells: which status a person held from which day to which."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from medfloor.errors import InputError
from medfloor.intake.cells import make_cells, text_of
from medfloor.intake.files import Scan, Source, scan_table, survey
from medfloor.intake.layout import Layout, match_columns
from medfloor.intake.rows import order_fault, sift
from medfloor.tables import SPELLS

_CHINESE = {
    "特困人员": "tekun",
    "孤儿": "orphan",
    "事实无人抚养儿童": "orphan",
    "低保对象": "dibao",
    "低保边缘家庭成员": "dibao_marginal",
    "返贫致贫人口": "returned_poor",
    "建档立卡贫困人口": "registered_poor",
    "防止返贫监测对象": "monitored",
    "因病致贫重病患者": "illness_poor",
}
"""The law's own words for the groups, so that a list from a civil-affairs bureau can be read as it is."""


@dataclass(frozen=True, eq=False, slots=True)
class Spells:
    """Be the status intervals of one input.

    `accepted` has person_id, group, from_date and to_date (both inclusive; null is open), then the carried columns.
    `bad` lists the intervals that cannot be read: person_id, reason (bad_spell), detail. No interval of such a person
    is among the accepted. `bad_rows` says where the bad stand in the input.
    """

    accepted: pl.DataFrame
    bad: pl.DataFrame
    columns_in: tuple[str, ...]
    carried: tuple[str, ...]
    rows_in: int
    national: bool
    bad_rows: pl.Series


def read_spells(
    source: Source | None,
    known_groups: Sequence[str],
    *,
    psn_idet_type: Mapping[str, str] | None = None,
) -> Spells:
    """Read spells from a CSV or Parquet file, or from a frame; None stands for nobody with a status.

    `known_groups` are the groups that the policy declares; `psn_idet_type` a place's own codes for them (no national
    list of these codes is published). Raises InputError unknown_group, and as `read_claims`.

    >>> frame = pl.DataFrame({"person_id": ["1"], "group": ["dibao"], "from_date": ["2024-03-01"], "to_date": [None]})
    >>> read_spells(frame, ["tekun", "dibao"]).accepted["group"].to_list()
    ['dibao']
    """
    if source is None:
        source = pl.DataFrame(schema=dict.fromkeys(SPELLS.names, pl.String))
    scan = scan_table(source, "spells")
    layout = match_columns(scan, SPELLS, reserved=("row",))
    scan, distinct = survey(scan, [layout.given["group"]])
    names = _group_names(scan, layout, distinct[layout.given["group"]], known_groups, psn_idet_type or {})
    cells = make_cells(scan, layout, distinct)
    sifted = sift(scan, layout, cells, order_fault(cells, "from_date", "to_date", "bad_spell"))
    frame = sifted.frame.with_columns(
        pl.col("group").replace_strict(list(names), list(names.values()), default=None, return_dtype=pl.String)
    )
    bad = sifted.faults.join(frame.select("row", "person_id"), on="row", how="left", maintain_order="left")
    rows, bad = bad["row"], bad.select("person_id", pl.lit("bad_spell").alias("reason"), "detail")
    if bad.height:
        frame = frame.join(sifted.faults, on="row", how="anti", maintain_order="left")
        frame = frame.join(bad, on="person_id", how="anti", maintain_order="left")
    return Spells(frame.drop("row"), bad, scan.names, layout.carried, sifted.frame.height, layout.national, rows)


def spells_keys(source: Source | None, known_groups: Sequence[str]) -> tuple[Scan, pl.Expr]:
    """Look at a file of spells as a whole, so that it can be read in parts: the scan, and whose each row is.

    Raises InputError as `read_spells`.
    """
    if source is None:
        source = pl.DataFrame(schema=dict.fromkeys(SPELLS.names, pl.String))
    scan = scan_table(source, "spells")
    layout = match_columns(scan, SPELLS, reserved=("row",))
    scan, distinct = survey(scan, [layout.given["group"]])
    _group_names(scan, layout, distinct[layout.given["group"]], known_groups, {})
    make_cells(scan, layout, distinct)
    return scan, text_of(scan, layout, "person_id")


def _group_names(
    scan: Scan, layout: Layout, distinct: pl.Series, known_groups: Sequence[str], local: Mapping[str, str]
) -> dict[str, str]:
    """Map each distinct spelling of a group to the policy's name of it."""
    known = {group.lower(): group for group in known_groups}
    names: dict[str, str] = {}
    for text in sorted({str(value).strip() for value in distinct.drop_nulls()} - {""}):
        group = local.get(text) or known.get(text.lower()) or known.get(_CHINESE.get(text, ""))
        if group is None or group not in known_groups:
            near = difflib.get_close_matches(text.lower(), known, 1, 0.0)
            raise InputError(
                "unknown_group",
                f"{scan.place}: {layout.label('group')} holds '{text[:40]}', a group that the policy does not know"
                + (f"; the nearest it knows is {known[near[0]]}. " if near else ". ")
                + "Mend the value, or declare the group under `groups:` in the policy file.",
            )
        names[text] = group
    return names
