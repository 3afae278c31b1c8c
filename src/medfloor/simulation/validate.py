"""Settle a made-up county and hold what comes out against published figures: what only a settlement can show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from medfloor.measures.catastrophic import catastrophic
from medfloor.policy.load import PolicySet
from medfloor.settlement.batch import Law
from medfloor.settlement.settle import Settlements, settle
from medfloor.synthetic import Calibration, Check, County, Place, check, extra

FUNDS = ("pay_basic_fen", "pay_critical_illness_fen")
"""What the scheme's own fund pays: the tiers that the published ratio counts."""
THRESHOLD = 0.40
_LEVELS = {"primary": ("primary", "1"), "secondary": ("2",), "tertiary": ("3",)}


def validate(county: County, policy: str | PolicySet | Law | None = None) -> Calibration:
    """Settle a county's claims of its first year under a policy, and add what comes out to its calibration.

    Added are the in-scope ratio of stays (paid by basic and critical illness insurance, of what is in scope, per cent),
    the same by level, the recipients of critical illness insurance and their mean, own spending a head, and
    catastrophic spending: households whose own spending (claims and outside them) exceeds 40 % of consumption less
    food, and by the definition of WHO. `policy` is an address, a file or what was loaded of one; by default the
    place's own. A policy without a tier `basic` or `critical_illness` counts nothing for it. In a province each county
    is held against its own figures.

    Raises what `settle` raises.

    >>> from medfloor.synthetic import synthesise
    >>> validate(synthesise(2_000, seed=1)).rejected
    0
    """
    place = county.calibration.place
    policy = place.policy_address if policy is None else policy
    if county.counties:
        return _validate_province(county, policy)
    claims = county.claims.filter(pl.col("start_date").dt.year() == place.year)
    done = settle(claims, county.people, county.spells, policy)
    settled = done.fen.join(
        claims.select("claim_id", "care_type", "facility_level"), on="claim_id", how="left", maintain_order="left"
    )
    checks = (
        *_ratios(place, settled),
        *_critical_illness(place, settled, county),
        *_assistance(place, settled),
        *_burden(place, settled, county),
    )
    name = done.law.policies.versions[-1].id
    because = ": ".join(done.rejected.select("reason", "detail").row(0)) if done.rejected.height else ""
    return county.calibration.also(checks, settled_under=name, rejected=done.rejected.height, rejected_because=because)


def _validate_province(province: County, policy: str | PolicySet | Law) -> Calibration:
    """Settle each county of a province by itself; its checks stay together."""
    reports = [validate(one, policy) for one in province.counties]
    checks = tuple(replace(one, county=report.place.id) for report in reports for one in report.checks)
    rejected = sum(report.rejected or 0 for report in reports)
    because = next((report.rejected_because for report in reports if report.rejected), "")
    name = reports[0].settled_under
    return replace(province.calibration, checks=checks, settled_under=name, rejected=rejected, rejected_because=because)


def _ratios(place: Place, settled: pl.DataFrame) -> Iterator[Check]:
    stays = settled.filter(pl.col("care_type") == "inpatient")
    yield check(place.figure("settled.in_scope_ratio"), _ratio(stays))
    figure = place.figure("settled.in_scope_by_level")
    for part in figure.parts:
        yield check(figure, _ratio(stays.filter(pl.col("facility_level").is_in(_LEVELS[part]))), part=part)
    whole = float(stays["total_fen"].sum())
    like = place.figure("scope.of_stays")
    yield extra("settled.actual_ratio", "", "%", 100 * _paid(stays) / max(1.0, whole), like)
    whole = float(settled["total_fen"].sum())
    yield check(place.figure("burden.fund_share"), 100 * _paid(settled) / max(1.0, whole))


def _paid(settled: pl.DataFrame) -> float:
    return float(sum(settled[name].sum() for name in FUNDS if name in settled.columns))


def _ratio(stays: pl.DataFrame) -> float:
    return 100 * _paid(stays) / max(1.0, float(stays["in_scope_fen"].sum()))


def _critical_illness(place: Place, settled: pl.DataFrame, county: County) -> Iterator[Check]:
    if "pay_critical_illness_fen" not in settled.columns:
        return
    times = settled.filter(pl.col("pay_critical_illness_fen") > 0)
    persons, paid = times["person_id"].n_unique(), float(times["pay_critical_illness_fen"].sum()) / 100
    residents = max(1.0, float((county.people["scheme"] == "resident").sum()))
    figure = place.figure("settled.critical_illness")
    yield check(figure, 100 * persons / residents, part="share")
    yield check(figure, paid / max(1, persons), part="mean")
    # The source does not say whether it counts persons or claims; the product of the two numbers is the same.
    yield check(figure, 100 * times.height / residents, part="times")
    yield check(figure, paid / max(1, times.height), part="mean_time")
    yield check(figure, paid / residents, part="a_head")


def _assistance(place: Place, settled: pl.DataFrame) -> Iterator[Check]:
    if "pay_assistance_fen" not in settled.columns:
        return
    helped = settled.filter(pl.col("pay_assistance_fen") > 0)
    stay = pl.col("care_type") == "inpatient"
    for part, here in (("stay", helped.filter(stay)), ("visit", helped.filter(~stay))):
        mean = float(here["pay_assistance_fen"].sum()) / 100 / max(1, here.height)
        yield check(place.figure("settled.assistance"), mean, part=part)


def _burden(place: Place, settled: pl.DataFrame, county: County) -> Iterator[Check]:
    homes = with_own_spending(county, settled)
    own = float(homes["oop"].sum())
    yield check(place.figure("burden.own_share"), 100 * own / float(homes["consumption"].sum()))
    yield check(place.figure("burden.accounts"), own / float(homes["size"].sum()))
    figure = place.figure("burden.catastrophic")
    share = catastrophic(homes, definition="nonfood", thresholds=[THRESHOLD], rank_weighted=False)
    yield check(figure, 100 * float(share.value("headcount", threshold=THRESHOLD)))
    for definition in ("who", "budget"):
        at = THRESHOLD if definition == "who" else 0.10
        found = catastrophic(homes, definition=definition, thresholds=[at], rank_weighted=False)
        part = f"{definition}_{100 * at:.0f}"
        yield extra("burden.catastrophic", part, "%", 100 * float(found.value("headcount", threshold=at)), figure)


def with_own_spending(county: County, settled: pl.DataFrame | Settlements) -> pl.DataFrame:
    """Give a county's households with `oop`: their own part of settled claims and their spending outside them, yuan.

    `settled` has person_id and own_total_fen, one row a claim.
    """
    frame = settled.fen if isinstance(settled, Settlements) else settled
    homes = county.people.select("person_id", "household_id")
    own = frame.select("person_id", "own_total_fen").join(homes, on="person_id", how="left")
    own = own.group_by("household_id").agg((pl.col("own_total_fen").sum() / 100).alias("own"))
    joined = county.households.join(own, on="household_id", how="left", maintain_order="left")
    return joined.with_columns((pl.col("own").fill_null(0.0) + pl.col("oop_outside")).alias("oop")).drop("own")
