"""Lay out the tables and figures of a study of poor households in Hubei and Jiangxi, on any data of that shape.

The study ("seed 004" of this project): the establishment of a multi-level medical security system after 2020, with 696
registered and 417 non-registered poor households. It printed two tables, five figures and a handful of national values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.bands import Closed
from medfloor.measures.capacity import EuropeRule, SocietalLine, WhoRule
from medfloor.measures.catastrophic import (
    DEFINITIONS,
    STANDARDS,
    Definition,
    Rules,
    capacity_of,
    defined,
    is_catastrophic,
)
from medfloor.measures.consistency import consistency
from medfloor.measures.design import Design
from medfloor.measures.reimbursement import RATES, Part, reimbursement
from medfloor.measures.result import Result
from medfloor.measures.sample import Table, frame_of, take
from medfloor.measures.yardstick import Yardstick
from medfloor.words import Phrase

SURVEY = Phrase("seed_004.health_services_survey")

NATIONAL = {
    "major_disease_prevalence": Yardstick(0.1280, SURVEY),
    "chronic_disease_prevalence": Yardstick(0.352, SURVEY),
    "hospitalisation_rate": Yardstick(0.147, SURVEY),
    "catastrophic_incidence": Yardstick(0.1650, Phrase("seed_004.cfps")),
    "own_mean": Yardstick(4466.0, SURVEY),
    "own_share": Yardstick(0.472, SURVEY),
    "own_income_share": Yardstick(0.3055, Phrase("seed_004.printed_2018")),
}
"""National values as the study printed them. The mean own payment is a stay's, the others are of rural residents."""

PRINTED = (
    ("chronic disease, registered", "40.37", 696, "chronic disease, both"),
    ("chronic disease, both", "36.48", 1113, None),
    ("major disease, registered", "15.80", 696, "major disease, both"),
    ("major disease, non-registered", "12.55", 417, "major disease, both"),
    ("major disease, both", "14.22", 1113, None),
    ("hospitalisation, registered", "22.70", 696, None),
    ("hospitalisation, non-registered", "9.83", 417, None),
    ("catastrophic, registered", "17.24", 696, None),
    ("catastrophic, non-registered", "25.66", 417, None),
)
"""The percentages that the study printed with two decimals: what, percentage, n, part of."""


def seed_004(
    table: Table,
    *,
    registered: str = "registered",
    definition: Definition = "nonfood",
    threshold: float = 0.40,
    edges: Sequence[float] = (0.5, 0.75, 0.9),
    closed: Closed = "left",
    design: Design | None = None,
) -> list[Result]:
    """Make tables 1 and 2 and figures 1 to 5 of the study, by registered and non-registered households.

    The table has one row a household: `registered` (two groups, any words), major_disease, chronic_disease and
    hospitalised (yes or no), total and reimbursed (of hospital care), oop (all that the household paid for health),
    income, consumption, food, and what the `definition` of catastrophic spending needs. The study divides by "ability
    to pay" without saying how that was measured; here it is consumption less food unless another definition is named.

    In order: table 1 (major and chronic disease), figure 1 (hospitalisation), figure 2 (catastrophic spending), figures
    3 and 4 (reimbursement bands), table 2 (own payments for hospital care), figure 5 (own payments over income), each
    with tests of difference between the groups and against the national value that the study printed (`NATIONAL`);
    last, whether its printed percentages are possible at all (`consistency`).

    Raises what `reimbursement` and `catastrophic` raise.

    >>> homes = {
    ...     "registered": ["yes", "yes", "no", "no"], "major_disease": [1, 0, 0, 1], "chronic_disease": [1, 1, 0, 0],
    ...     "hospitalised": [1, 1, 1, 1], "total": [10.0] * 4, "reimbursed": [9.0, 8.0, 4.0, 3.0],
    ...     "oop": [1.0, 2.0, 6.0, 7.0], "income": [20.0] * 4, "consumption": [25.0] * 4, "food": [10.0] * 4,
    ... }
    >>> results = seed_004(homes)
    >>> [one.measure for one in results][:3]
    ['seed_004_table_1', 'seed_004_figure_1', 'seed_004_figure_2']
    >>> results[2].value("catastrophic_incidence", group="no"), results[3].value("reimbursement_band", band="<50%")
    (0.5, 0.5)
    """
    frame = frame_of(table)
    rules = Rules(WhoRule(), EuropeRule(), SocietalLine.of(2017))
    frame = frame.with_columns(_catastrophic(frame, definition, threshold, rules, design))
    shared: dict[str, Any] = {"by": registered, "design": design, "edges": edges, "closed": closed}

    def part(name: str, only: Sequence[Part], flags: Sequence[str] = (), **further: Any) -> Result:
        kept = frame.drop([one for one in RATES if one not in flags], strict=False)
        found = reimbursement(kept, parts=only, yardsticks=NATIONAL, **shared, **further)
        return replace(found, measure=f"seed_004_{name}")

    incidence = part("figure_2", ["rates"], rates={"catastrophic_incidence": "catastrophic_event"})
    share = Phrase.of("seed_004.over", share=f"{100 * threshold:g}", definition=defined(definition, rules))
    return [
        part("table_1", ["rates"], ["major_disease", "chronic_disease"]),
        part("figure_1", ["rates"], ["hospitalised"]),
        replace(incidence, definition=share, sign=STANDARDS[definition].sign),
        part("figures_3_4", ["ratios"], ["hospitalised"]),
        part("table_2", ["own"], ["hospitalised"]),
        part("figure_5", ["income"], ["hospitalised"], income_edges=edges),
        _possible(),
    ]


def _catastrophic(
    frame: pl.DataFrame, definition: str, threshold: float, rules: Rules, design: Design | None
) -> pl.Series:
    """Say of each household whether its spending is catastrophic, null where a column is missing."""
    if definition not in DEFINITIONS:
        raise UsageError("no_such_definition", f"there is no definition {definition!r}; use {', '.join(DEFINITIONS)}")
    standard = STANDARDS[definition]
    names = ["oop", "consumption", *standard.needs, *(["size"] if definition in ("who", "sdg") else [])]
    sample = take(frame, {name: name for name in names}, design=design)
    able = capacity_of(sample, definition, rules).amount
    event = is_catastrophic(sample["oop"], able, threshold, standard.sign).astype(np.float64)
    if sample.kept is not None:
        full = np.full(frame.height, np.nan)
        full[sample.kept] = event
        event = full
    return pl.Series("catastrophic_event", event).fill_nan(None)


def _possible() -> Result:
    names, percents, n, part_of = zip(*PRINTED, strict=True)
    found = consistency({"label": list(names), "percent": list(percents), "n": list(n), "part_of": list(part_of)})
    return replace(found, measure="seed_004_printed")
