"""Work out what is known to be true of made-up data, so that estimates can be held against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.intake import poverty_lines
from medfloor.studies.panels import CATASTROPHIC, SHARES, line_of

WORLDS = "truth_households.csv"
MOST = 40
"""As many numbers of a truth.json in a form that is not known are shown."""

_KEYS = ("wave", "household_id", "start", "income_per_head", "income_per_head_0")


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Be what is true of made-up data.

    `effects` are mean effects on the rows under the policy by outcome, worked out from both worlds of each household
    ({} where the folder does not tell them); `told` is what truth.json says, as paths and numbers.
    """

    effects: Mapping[str, float]
    rows: int
    told: pl.DataFrame


def read_truth(folder: Path, homes: pl.DataFrame, lines: pl.DataFrame) -> Truth | None:
    """Read the truth beside made-up files; None where there is none.

    With truth_households.csv (both worlds of each household) the effects are those on the rows of `homes` that came
    under the policy after the first wave. Relative poverty is held against the line of the world as it is in both
    worlds, as a comparison with others under the same line does; with `_lines` each world has its own, so that the rise
    of the line counts as well.
    """
    told = _told(folder / "truth.json")
    worlds = _worlds(folder / WORLDS)
    if worlds is None:
        return None if told.is_empty() else Truth({}, 0, told)
    drawn = homes.join(worlds, on=["year", "household_id"], how="inner")
    first = drawn["year"].min()
    lines_0 = poverty_lines(
        drawn.select("wave", "residence", income_per_head="income_per_head_0", size=pl.col("size").fill_null(1.0),
                     weight=pl.col("weight").fill_null(1.0)),
        shares=SHARES,
    )  # fmt: skip
    under = drawn.filter((pl.col("true_start") <= pl.col("year")) & (pl.col("true_start") > first))
    return Truth(_effects(under, lines, lines_0), under.height, told)


def _worlds(file: Path) -> pl.DataFrame | None:
    if not file.is_file():
        return None
    frame = pl.read_csv(file, infer_schema_length=None)
    if not set(_KEYS) <= set(frame.columns):
        return None
    return frame.with_columns(pl.col("household_id").cast(pl.String)).rename(
        {"wave": "year", "start": "true_start", **{name: f"{name}_1" for name in frame.columns
                                                   if f"{name}_0" in frame.columns}}
    )  # fmt: skip


def _effects(under: pl.DataFrame, lines: pl.DataFrame, lines_0: pl.DataFrame) -> dict[str, float]:
    def poor(column: str, line: dict[str, float]) -> pl.Expr:
        at = pl.col("wave").replace_strict(line, default=None, return_dtype=pl.Float64)
        return (pl.col(column) < at).cast(pl.Float64)

    with_policy, without = "income_per_head_1", "income_per_head_0"
    absolute = line_of(lines, "absolute", area="rural")
    made = {"poor_absolute": poor(with_policy, absolute) - poor(without, absolute)}
    for share in SHARES:
        moved = line_of(lines, "relative", area="all", share=share)
        still = line_of(lines_0, "relative", area="all", share=share)
        name = f"poor_{round(100 * share)}"
        made[name] = poor(with_policy, moved) - poor(without, moved)
        made[f"{name}_lines"] = poor(with_policy, moved) - poor(without, still)
    above = (pl.col(with_policy) > 0) & (pl.col(without) > 0)
    made["ln_income"] = pl.when(above).then(pl.col(with_policy).log() - pl.col(without).log())
    if {"oop_0", "consumption_0", "food_0"} <= set(under.columns):
        made["ln_oop"] = (pl.col("oop_1") + 1).log() - (pl.col("oop_0") + 1).log()
        che = [
            (
                (pl.col(f"oop_{w}") > 0)
                & (pl.col(f"oop_{w}") > CATASTROPHIC * (pl.col(f"consumption_{w}") - pl.col(f"food_{w}")))
            ).cast(pl.Float64)
            for w in (1, 0)
        ]
        made["che"] = che[0] - che[1]
        made["oop_share"] = pl.col("oop_1") / pl.col("consumption_1") - pl.col("oop_0") / pl.col("consumption_0")
    if "unhealthy_0" in under.columns:
        made["unhealthy"] = pl.col("unhealthy_1") - pl.col("unhealthy_0")
    # An effect is of the rows whose outcome is known, as an estimate is.
    means = under.select(
        expression.filter(pl.col(name.removesuffix("_lines")).is_not_null()).mean().alias(name)
        for name, expression in made.items()
    )
    return {name: float(value) for name, value in means.row(0, named=True).items() if value is not None}


def _told(file: Path) -> pl.DataFrame:
    """Flatten the effects that a truth.json tells, in whatever form, to paths and numbers."""
    schema = {"path": pl.String, "value": pl.Float64}
    if not file.is_file():
        return pl.DataFrame(schema=schema)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return pl.DataFrame(schema=schema)
    effects = content.get("effects", content) if isinstance(content, dict) else content
    found: list[tuple[str, float]] = []
    _flatten("", effects, found)
    return pl.DataFrame(found[:MOST], schema=schema, orient="row")


def _flatten(path: str, item: Any, found: list[tuple[str, float]]) -> None:
    if isinstance(item, dict):
        for name, value in item.items():
            _flatten(f"{path}.{name}" if path else str(name), value, found)
    elif isinstance(item, (int, float)) and not isinstance(item, bool):
        found.append((path, float(item)))
