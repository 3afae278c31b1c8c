"""Look at joining the urban and rural schemes in a survey: who is in which scheme, what joining goes with, equity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from medfloor.errors import InputError
from medfloor.evaluation.result import Fit
from medfloor.intake import read_table
from medfloor.measures.concentration import concentration
from medfloor.measures.incidence import net_transfer
from medfloor.measures.result import Result
from medfloor.studies.about import Quotation, Setting
from medfloor.studies.exposure import expose_homes
from medfloor.studies.findings import FORMS, row_of, rows_frame, told
from medfloor.studies.panels import Panels, first_of
from medfloor.studies.study import Claim, Picture, Section, Table, attempt
from medfloor.words import Phrase

OUTCOMES = ("che", "ln_oop", "oop_share", "any_stay", "any_care", "poor_50")
MODERN = ("che", "ln_oop")
COVARIATES = ("size", "child_share", "elderly", "urban")
ESTIMATORS = ("twfe", "callaway_santanna", "sun_abraham", "imputation")
JOINING = ("integrat", "urrbmi", "urban_rural", "urban-rural", "整合", "统一", "城乡居民")
"""What the name of a policy of joining has in it, in a roll-out table that has several."""


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Be households with when they came under the joined scheme: `covered`, `start`, `place`; and how that is known."""

    homes: pl.DataFrame
    found: tuple[Phrase, ...]
    warnings: tuple[Phrase, ...]


def _words(name: str, /, **values: object) -> Phrase:
    return Phrase.of(f"integration.{name}", **values)


def schemes(panels: Panels) -> Section:
    """Say who is in which scheme, by wave and residence."""
    title = _words("title_schemes")
    people = panels.people.filter(pl.col("residence").is_not_null())
    asked = ("enrolled", "rural_cooperative", "merged", "employee")
    there = [one for one in asked if one in people.columns and people[one].null_count() < people.height]
    if not there:
        return Section("schemes", title, undone=(_words("undone_schemes"),))
    frame = (
        people.group_by("year", "residence")
        .agg(pl.len().alias("people"), *(pl.col(one).cast(pl.Float64).mean().alias(_SCHEMES[one]) for one in there))
        .sort("year", "residence", descending=[False, True])
    )
    forms = {"year": "plain", "people": "count", **dict.fromkeys(_SCHEMES.values(), "percent")}
    table = Table("schemes", title, frame, forms=forms, notes=(_words("note_schemes"),))
    return Section("schemes", title, (_words("text_schemes"),), (table,))


_SCHEMES = {
    "enrolled": "in_residents",
    "rural_cooperative": "in_cooperative",
    "merged": "in_joined",
    "employee": "in_employees",
}


def joining(panels: Panels, folder: Path, settings: Mapping[str, Setting]) -> Joined:
    """Say when each household came under the joined scheme: by a roll-out table of it, else by what people report.

    Reported: a household is under it from the first wave in which somebody of it names the joined scheme (code 6); only
    households of which somebody was in a residents' scheme in their first wave are compared. Code 6 is asked from
    2018 on, so that nobody joins earlier.

    Raises InputError no_exposure and what `expose_homes` raises.
    """
    given = {name: None if settings[name] is None else str(settings[name]) for name in ("rollout", "crosswalk")}
    policy = _policy(folder, given["rollout"], settings["policy"])
    if policy is not None or given["rollout"] is not None:
        made = expose_homes(panels.homes, folder, rollout=given["rollout"], crosswalk=given["crosswalk"], policy=policy)
        return Joined(made.homes, made.found, made.warnings)
    people = panels.people
    if people["merged"].fill_null(0.0).max() in (None, 0.0):
        raise InputError(
            "no_exposure",
            "nothing tells who is under the joined scheme: the folder has no roll-out table of it (rollout.csv, policy "
            "urban_rural_integration), and nobody in the files of people names it (code 6, from 2018 on)",
        )
    member = people.drop_nulls("household_id").group_by("wave", "household_id").agg(joined=pl.col("merged").max())
    homes = panels.homes.join(member, on=["wave", "household_id"], how="left", maintain_order="left")
    homes = first_of(homes, "panel_id", "enrolled", "first_enrolled").filter(pl.col("first_enrolled") == 1)
    homes = first_of(first_of(homes, "panel_id", "county", "first_county"), "panel_id", "region", "first_region")
    start = pl.col("year").filter(pl.col("joined") == 1).min().over("panel_id")
    place = next(
        (one for one in ("first_county", "first_region") if homes[one].null_count() < homes.height), "panel_id"
    )
    homes = homes.with_columns(start=start.cast(pl.Float64), place=pl.col(place)).with_columns(
        covered=(pl.col("start").is_not_null() & (pl.col("year") >= pl.col("start"))).cast(pl.Float64)
    )
    share = float(homes.filter(pl.col("start").is_not_null())["panel_id"].n_unique() / homes["panel_id"].n_unique())
    return Joined(
        homes,
        (_words("reported", share=f"{100 * share:.1f} %", homes=f"{homes['panel_id'].n_unique():,}"),),
        (_words("only_reported"),),
    )


def effect(
    panels: Panels, folder: Path, settings: Mapping[str, Setting], quote: Quotation
) -> tuple[Section, tuple[Phrase, ...]]:
    """Estimate what joining goes with, by two-way fixed effects and modern estimators; give warnings beside."""
    title = _words("title_effect")
    undone: list[Phrase] = []
    known = attempt(title, lambda: joining(panels, folder, settings), undone)
    if known is None:
        return Section(
            "effect", title, claims=(Claim(quote, _words("not_known"), "not_tried"),), undone=tuple(undone)
        ), ()
    homes = known.homes.filter(pl.col("covered").is_not_null())
    fits: dict[str, Fit] = {}
    rows, modern, pictures = [], [], []
    for outcome in OUTCOMES:
        if homes[outcome].null_count() == homes.height:
            continue
        what = Phrase.of("integration.effect_on", outcome=Phrase(f"study_value.{outcome}"))
        fit = attempt(what, _fixed_effects(homes, outcome), undone)
        if fit is not None:
            fits[outcome] = fit
            rows.append(row_of(fit.pick("covered"), check="joined", outcome=outcome))
        if outcome in MODERN and fit is not None:
            found = attempt(what, _staggered(homes, outcome), undone)
            if found is not None:
                modern.append(Table(f"modern_{outcome}", what, found))
            event = attempt(what, _events(homes, outcome), undone)
            if event is not None:
                pictures.append(Picture(f"event_{outcome}", what, event))
    if not fits:
        return Section(
            "effect", title, claims=(Claim(quote, _words("not_known"), "not_tried"),), undone=tuple(undone)
        ), ()
    tables = (
        Table("effect", title, rows_frame(rows).drop("check"), forms=FORMS),
        Table(
            "effect_regressions",
            _words("title_regressions"),
            tuple(fits.values()),
            titles=tuple(Phrase(f"study_value.{one}") for one in fits),
        ),
        *modern,
    )
    first = "che" if "che" in fits else next(iter(fits))
    here = told(fits[first].pick("covered"), first)
    # The document gives no estimate and no direction of its own, so that there is nothing to judge.
    claim = Claim(quote, here, None)
    section = Section(
        "effect", title, (_words("text_effect"),), tables, tuple(pictures), known.found, (claim,), tuple(undone)
    )
    return section, known.warnings


def equity(panels: Panels, quote: Quotation) -> Section:
    """Hold town and country beside each other by wave: own spending, catastrophic spending, concentration indices."""
    title = _words("title_equity")
    rows: list[dict[str, object]] = []
    undone: list[Phrase] = []
    last: Result | None = None
    for year in panels.waves:
        homes = panels.homes.filter(pl.col("year") == year).drop_nulls(["oop", "income_head", "residence"])
        homes = _known_only(homes)
        if homes["residence"].n_unique() < 2:
            continue
        found = attempt(_words("wave", year=year), _index(homes), undone)
        if found is not None:
            rows += _by_residence(found, homes, year)
            last = found
    if last is None:
        return Section(
            "equity",
            title,
            claims=(Claim(quote, _words("not_known"), "not_tried"),),
            undone=tuple(undone) or (_words("undone_equity"),),
        )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    forms = {
        "year": "plain",
        "households": "count",
        "mean_oop": "amount",
        "che_rate": "percent",
        "oop_of_consumption": "percent",
        **dict.fromkeys(("index", "se", "low", "high"), "index"),
        "p": "p",
    }
    rural, urban = (frame.filter(pl.col("residence") == one).row(-1, named=True) for one in ("rural", "urban"))
    text = _words(
        "found_equity",
        year=rural["year"],
        rural=_percent(rural["che_rate"]),
        urban=_percent(urban["che_rate"]),
        index_rural=_index_text(rural["index"]),
        index_urban=_index_text(urban["index"]),
        p=_p(rural["p"]),
    )
    return Section(
        "equity",
        title,
        (_words("text_equity"),),
        (
            Table("equity", title, frame, forms=forms, notes=(_words("note_index"),)),
            Table("equity_last", _words("title_equity_last"), last),
        ),
        (Picture("equity_last", _words("title_equity_last"), replace(last, curves={}), "groups"),),
        claims=(Claim(quote, text, None),),
        undone=tuple(undone),
    )


def _known_only(table: pl.DataFrame) -> pl.DataFrame:
    """Leave out a size or a weight that no row has: a measure would find no row that is complete."""
    return table.drop(
        name for name in ("size", "weight") if name in table.columns and table[name].null_count() == table.height
    )


def flat_benefits(panels: Panels, quote: Quotation) -> Section:
    """Ask who gets the benefit of a pool to which all pay the same: town or country, poor or better-off."""
    title = _words("title_flat")
    undone: list[Phrase] = []
    tables, claim = [], None
    for year in reversed(panels.waves):
        people = panels.people.filter((pl.col("year") == year) & (pl.col("enrolled") == 1)).drop_nulls(
            ["medical_total", "oop", "residence", "income_head"]
        )
        people = _known_only(people)
        if people.height and people["residence"].n_unique() > 1:
            found = attempt(_words("wave", year=year), _flat(people), undone)
            if found is not None:
                kept = found.rows.filter(
                    ~pl.col("statistic").is_in(["net_transfer", "return_rate", "mean_contribution"])
                )
                tables.append(Table(f"flat_{year}", _words("title_flat_of", year=year), replace(found, rows=kept)))
                claim = claim or Claim(quote, *reverse_told(found, year=year))
    if claim is None:
        return Section(
            "flat",
            title,
            claims=(Claim(quote, _words("not_known"), "not_tried"),),
            undone=tuple(undone) or (_words("undone_flat"),),
        )
    return Section("flat", title, (_words("text_flat"),), tuple(tables), claims=(claim,), undone=tuple(undone))


def reverse_told(found: Result, *, year: object) -> tuple[Phrase, str]:
    """Say what the country gets and pays of the pool; the verdict asks whether it gets less than it pays."""
    gap = found.pick("share_gap", group="rural")
    p = gap.rows["p"][0]
    text = _words(
        "found_reverse",
        year=year,
        benefit=_percent(found.value("benefit_share", group="rural")),
        paid=_percent(found.value("contribution_share", group="rural")),
        gap=f"{100 * gap.estimate:.1f}",
        low=f"{100 * gap.interval[0]:.1f}",
        high=f"{100 * gap.interval[1]:.1f}",
    )
    return text, "unclear" if p is None or p >= 0.05 else "same" if gap.estimate < 0 else "other"


def _policy(folder: Path, rollout: str | None, asked: Setting) -> str | None:
    """Find the policy of joining in the roll-out table: the one that was asked for, or the one whose name says so."""
    if asked is not None:
        return str(asked)
    file = Path(rollout) if rollout else next(iter(sorted(folder.glob("rollout*.csv"))), None)
    if file is None or not file.is_file():
        return None
    table = read_table(file)
    names = table["policy"].drop_nulls().cast(pl.String).unique().sort().to_list() if "policy" in table.columns else []
    told = [one for one in names if any(word in one.lower() for word in JOINING)]
    return told[0] if len(told) == 1 else None


def _covariates(homes: pl.DataFrame) -> list[str]:
    return [one for one in COVARIATES if homes[one].null_count() < homes.height]


def _fixed_effects(homes: pl.DataFrame, outcome: str) -> Callable[[], Fit]:
    from medfloor.evaluation.fixed_effects import two_way_fixed_effects

    return lambda: two_way_fixed_effects(
        homes,
        outcome=outcome,
        treatment="covered",
        unit="panel_id",
        time="year",
        cluster="place",
        covariates=_covariates(homes),
    )


def _staggered(homes: pl.DataFrame, outcome: str) -> Callable[[], Fit]:
    from medfloor.evaluation.staggered import staggered

    return lambda: staggered(
        homes,
        outcome=outcome,
        start="start",
        unit="panel_id",
        time="year",
        cluster="place",
        estimators=ESTIMATORS,
        by=("event",),
    )


def _events(homes: pl.DataFrame, outcome: str) -> Callable[[], Fit]:
    from medfloor.evaluation.event_study import event_study

    return lambda: event_study(
        homes,
        outcome=outcome,
        start="start",
        unit="panel_id",
        time="year",
        cluster="place",
        estimator="callaway_santanna",
        honest=False,
    )


def _index(homes: pl.DataFrame) -> Callable[[], Result]:
    return lambda: concentration(
        homes,
        of="oop",
        rank="income_head",
        rank_by="household",
        by="residence",
        against="urban",
        unit="person" if "size" in homes.columns else "household",
    )


def _by_residence(found: Result, homes: pl.DataFrame, year: int) -> list[dict[str, object]]:
    weight = pl.col("weight").fill_null(0.0) if "weight" in homes.columns and homes["weight"].sum() > 0 else pl.lit(1.0)
    rows: list[dict[str, object]] = []
    difference = found.rows.filter(pl.col("against") == "urban")["p"]
    for residence in ("rural", "urban"):
        part = homes.filter(pl.col("residence") == residence).with_columns(weight.alias("_w"))
        row = found.pick("concentration_index", group=residence, against=None).rows.row(0, named=True)
        rows.append(
            {
                "year": year,
                "residence": residence,
                "households": part.height,
                "mean_oop": _mean(part, "oop"),
                "oop_of_consumption": _mean(part, "oop_share"),
                "che_rate": _mean(part, "che"),
                "index": row["estimate"],
                "se": row["se"],
                "low": row["low"],
                "high": row["high"],
                "p": difference[0] if residence == "rural" and difference.len() else None,
            }
        )
    return rows


def _mean(part: pl.DataFrame, name: str) -> float | None:
    there = part.filter(pl.col(name).is_not_null())
    weight = float(there["_w"].sum())
    return float((there[name] * there["_w"]).sum()) / weight if weight > 0 else None


def _flat(people: pl.DataFrame) -> Callable[[], Result]:
    # All pay the same, so that what counts is the share of each group: the amount itself does not matter.
    given = people.with_columns(benefit=(pl.col("medical_total") - pl.col("oop")).clip(0, None), flat=pl.lit(1.0))
    return lambda: net_transfer(
        given, benefit="benefit", contribution="flat", by="residence", rank="income_head", rank_by="household"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _index_text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _p(p: float | None) -> str:
    return "-" if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}"
