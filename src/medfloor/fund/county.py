"""Count the base of a projection from a population: its people, its claims, and what each fund paid for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.fund.basis import LAST, Basis, national
from medfloor.fund.cohorts import AGES, SHAPE
from medfloor.fund.income import CLASSES
from medfloor.fund.offer import with_offer
from medfloor.fund.outgo import FUNDS, KIND_OF, STATUSES, Cells, counted, counted_people
from medfloor.fund.parameters import Parameters
from medfloor.fund.series import shipped_series
from medfloor.tables import INSURED_CLASSES, RESIDENCES, SCHEMES, SEXES
from medfloor.words import Phrase

if TYPE_CHECKING:
    from medfloor.fund.risks import Product, Risks

Array = npt.NDArray[np.float64]


def county(
    tables: Mapping[str, Any],
    policy: str,
    *,
    reforms: Sequence[str] = (),
    settled: pl.DataFrame | None = None,
    year: int | None = None,
    given: Mapping[str, float] | None = None,
    name: str = "population",
) -> Basis:
    """Count a base from a population: tables people, claims, spells (or None) of the data contract.

    Its claims are settled under `policy` with `reforms` laid over it, unless `settled` has the settlements (claim_id,
    total, pay_<tier>). Members are the people of the residents' scheme. Growth, shocks and standards are the
    nation's; class premiums are the policy's where it has them for the year. The reserve is `reserve.start` months, the
    nation's unless given.

    Raises UsageError many_years, no_such_parameter, bad_parameter; InputError no_rows; what reading and settling raise.
    """
    from medfloor.settlement.settle import law_of

    law = law_of(policy, list(reforms))
    people, base = _people_of(tables, law, year)
    frame, tiers = _settled(tables, law, settled, base)
    members = counted_people(people)
    nation = national(given=given)
    parameters = _of_policy(nation.parameters, law, base, dict(given or {}))
    cells = counted(people, frame, tiers)
    cells, parameters, offered = _commercial(people, frame, tiers, cells, members, parameters, base, dict(given or {}))
    outgo = float(cells.expected(members[None])[0, :2].sum())
    paid = frame.group_by("person_id").agg(pl.col("pay_basic").sum()) if "pay_basic" in frame.columns else None
    if paid is not None and "shock.random" not in (given or {}) and paid["pay_basic"].sum() > 0:
        of_all = np.zeros(people.height)
        of_all[: paid.height] = paid["pay_basic"].to_numpy()
        chance = float(of_all.std() / of_all.mean() / math.sqrt(people.height))
        parameters = parameters.with_value("shock.random", min(chance, 2.0), source="the claims", trust="derived")
    reserve = np.zeros(len(FUNDS))
    reserve[0] = parameters.value("reserve.start") / 12 * outgo
    reserve[2] = parameters.value("assistance.reserve") / 12 * float(cells.expected(members[None])[0, 2].sum())
    here = members.sum(axis=3)
    with np.errstate(divide="ignore", invalid="ignore"):
        assisted = np.where(here[..., None] > 0, members / here[..., None], [0.0, 0.0])
        known = members.sum(axis=(1, 2))
        rough = known[:, 1].sum() / known.sum()
    assisted = np.where(here[..., None] > 0, assisted, [1 - rough, rough])
    parameters = parameters.with_value("insured.assisted", 100 * float(rough), source="the population", trust="derived")
    made_up = _made_up(tables["people"])
    notes = [offered, Phrase("fund_project.nation_growth")]
    notes += [] if "reserve.start" in (given or {}) else [Phrase("fund_project.reserve_assumed")]
    return Basis(
        name, (("zh", name), ("en", name)), base, nation.book, parameters, here, np.ones(SHAPE), assisted, cells,
        reserve, nation.errors, tuple(notes), "+".join(_stem(one) for one in reforms) or "baseline", made_up,
    )  # fmt: skip


def _people_of(tables: Mapping[str, Any], law: Any, year: int | None) -> tuple[pl.DataFrame, int]:
    """Give the residents' scheme: person_id, age, sex, residence and status as numbers; and the year of the claims."""
    from medfloor.intake import read_people, read_spells
    from medfloor.intake.files import read_table
    from medfloor.policy.load import groups_of

    claims = tables["claims"] if isinstance(tables["claims"], pl.DataFrame) else read_table(tables["claims"], "claims")
    ends = claims["end_date" if "end_date" in claims.columns else "enddate"].cast(pl.String).str.slice(0, 4)
    years = sorted({int(one) for one in ends.drop_nulls().unique()})
    if year is None and len(years) > 1:
        raise UsageError(
            "many_years", f"the claims end in {', '.join(map(str, years))}; choose one with --year (year=)"
        )
    base = year if year is not None else years[0] if years else LAST
    if years and base not in years:
        raise UsageError("no_such_year", f"no claim ends in {base}; there are {', '.join(map(str, years))}")
    rows = read_people(tables["people"]).accepted
    rows = rows.filter(pl.col("scheme").is_null() | (pl.col("scheme") == SCHEMES.index("resident")))
    groups = set()
    if tables.get("spells") is not None:
        held = read_spells(tables["spells"], known_groups=groups_of(law.policies)).accepted
        groups = set(held["person_id"].to_list())
    people = rows.select(
        "person_id",
        (base - pl.col("birth_date").dt.year()).fill_null(40).clip(0, AGES - 1).cast(pl.Int64).alias("age"),
        pl.col("sex").cast(pl.Int64).fill_null(0),
        pl.col("residence").cast(pl.Int64).fill_null(0),
        pl.col("person_id").is_in(list(groups)).cast(pl.Int64).alias("status"),
    ).unique("person_id", keep="first", maintain_order=True)
    assert len(SEXES) == len(RESIDENCES) == len(STATUSES) == 2
    return people, base


def _settled(
    tables: Mapping[str, Any], law: Any, settled: pl.DataFrame | None, year: int
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Settle the claims of a year, or take what was settled; add the kind of each."""
    from medfloor.intake.files import read_table
    from medfloor.settlement import settle

    claims = tables["claims"] if isinstance(tables["claims"], pl.DataFrame) else read_table(tables["claims"], "claims")
    end, care = (ours if ours in claims.columns else theirs for ours, theirs in
                 (("end_date", "enddate"), ("care_type", "med_type")))  # fmt: skip
    claims = claims.filter(pl.col(end).cast(pl.String).str.slice(0, 4) == str(year))
    if settled is None:
        done = settle(claims, tables["people"], tables.get("spells"), law)
        frame, tiers = done.settlements, done.tiers
    else:
        frame = settled
        tiers = tuple(
            one.removeprefix("pay_") for one in frame.columns if one.startswith("pay_") and one != "pay_total"
        )
    if frame.is_empty() or "claim_id" not in frame.columns or not tiers:
        raise InputError("no_rows", "no claim was settled; check the policy's dates, or that the settlements have "
                         "claim_id, total and pay_<tier>")  # fmt: skip
    ids = "claim_id" if "claim_id" in claims.columns else "mdtrt_id"
    codes = law.policies.versions[-1].codes.med_type
    said = pl.col(care).cast(pl.String)
    kinds = claims.select(
        pl.col(ids).cast(pl.String).alias("claim_id"),
        (said.replace_strict(codes, default=said) if codes else said).alias("care"),
    )
    joined = frame.with_columns(pl.col("claim_id").cast(pl.String)).join(kinds, on="claim_id", how="inner")
    joined = joined.with_columns(
        pl.col("care").replace_strict(KIND_OF, default=1, return_dtype=pl.Int64).alias("kind"),
        pl.col("person_id").cast(pl.String),
        *(pl.col(one).cast(pl.Float64) for one in ("total", *(f"pay_{tier}" for tier in tiers))),
    )
    return joined, tiers


def _commercial(
    people: pl.DataFrame, frame: pl.DataFrame, tiers: tuple[str, ...], cells: Cells, members: Array,
    parameters: Parameters, year: int, given: dict[str, float],
) -> tuple[Cells, Parameters, Phrase]:  # fmt: skip
    """Take the commercial product as the policy's tier paid it, or else as it is priced for what people bore."""
    if "commercial" in tiers:
        for name in ("commercial.take_up", "commercial.take_up_assisted"):
            if name not in given:
                parameters = parameters.with_value(name, 100.0, source="the policy's tier", trust="derived", year=year)
        paid = float(cells.expected(members[None])[0, FUNDS.index("commercial")].sum())
        due = parameters.value("commercial.premium") * float(members.sum())
        if "commercial.payout" not in given and due > 0:
            payout = min(100 * paid / due, parameters["commercial.payout"].most)
            parameters = parameters.with_value(
                "commercial.payout", payout, source="the policy's tier", trust="derived", year=year
            )
        return cells, parameters, Phrase("fund_project.commercial_tier")

    def count(product: Product) -> Risks:
        # Imported here, because risks counts populations with this module.
        from medfloor.fund.risks import counted_risks

        borne = frame.group_by("person_id").agg(
            (pl.col("total").sum() - pl.sum_horizontal([pl.col(f"pay_{one}").sum() for one in tiers])).alias("own"),
            (pl.col("kind") == 2).any().alias("history"),
        )
        return counted_risks(people, borne, product, rng=np.random.default_rng(0), replicates=1)

    return with_offer(cells, members, parameters, year=year, given=given, count=count)


def _of_policy(parameters: Parameters, law: Any, year: int, given: Mapping[str, float]) -> Parameters:
    """Take premiums of classes from the policy where it has them for the year, as multiples of the standard."""
    from medfloor.policy.premiums import premium_for

    policy = law.policies.versions[-1]
    standard = shipped_series()["premium"]
    if not standard.has(year) or standard.value(year) <= 0:
        return parameters
    assert CLASSES == INSURED_CLASSES
    for name in CLASSES:
        if f"income.{name}" in given:
            continue
        try:
            due = premium_for(policy, name, benefit_year=year)
        except UsageError:
            continue
        multiple = due.personal_fen / 100 / standard.value(year)
        parameters = parameters.with_value(f"income.{name}", multiple, source="the policy's premiums", trust="derived")
    return parameters


def _made_up(people: Any) -> bool:
    from medfloor.intake.files import read_table

    frame = people if isinstance(people, pl.DataFrame) else read_table(people, "people")
    return "synthetic" in frame.columns and frame.height > 0 and str(frame["synthetic"][0]).lower() == "true"


def _stem(path: str) -> str:
    return str(path).replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or str(path)
