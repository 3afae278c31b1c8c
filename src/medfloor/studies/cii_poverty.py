"""Ask whether critical illness insurance reduced absolute and relative poverty of households (seed 000).

A household panel of CFPS 2012 to 2018, two-way fixed effects as the source document has it, estimators made for
staggered starts beside it, concentration indices of medical spending, the mechanisms that the document names, and what
the shipped policies say of the insurance itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.studies.about import About, Option, Quotation, Setting
from medfloor.words import Phrase

if TYPE_CHECKING:
    from medfloor.evaluation.result import Fit
    from medfloor.studies.exposure import Exposed
    from medfloor.studies.panels import Panels
    from medfloor.studies.study import Picture, Section, Study, Table
    from medfloor.studies.truth import Truth

SEED = "000"

DATA = Quotation(
    SEED,
    "this paper uses panel data from CFPS 2012-2018 to construct absolute and relative poverty measures using "
    "households as the unit of analysis",
)
POVERTY = Quotation(
    SEED,
    "uses a two-way fixed effects model to empirically analyse that GHI has a significant impact on reducing the "
    "occurrence of absolute poverty,but does not effectively alleviate relative poverty",
)
EQUITY = Quotation(
    SEED,
    "this paper analyses the concentration index of household medical expenditure indicators between the rich and poor "
    "groups and finds that there is still a large gap,and the equity of the catastrophic insurance poverty reduction "
    "mechanism still needs to be improved",
)
ACCESS = Quotation(SEED, "guaranteeing equal access to health care resources for all to alleviate entitlement poverty")
COMPENSATION = Quotation(
    SEED, "providing secondary compensation to cover high medical expenses to deal with income poverty"
)
CAPABILITY = Quotation(
    SEED,
    "improving health and working hours to enhance the endogenous motivation to reduce poverty to deal with capability "
    "poverty through various system elements",
)
HISTORY = Quotation(
    SEED,
    "The major illness insurance system for urban and rural residents,established in 2012 and fully implemented since "
    "2015",
)
ELEMENTS = Quotation(SEED, "there are still many problems with the system design of the GHI in practice")
CAPPING = Quotation(
    SEED, "explore the shift from fund capping to out-of-pocket capping to improve the level of protection"
)


def _words(part: str, *names: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(f"cii_{part}.{name}") for name in names)


ABOUT = About(
    name="cii-poverty",
    seed=SEED,
    title=Phrase("study_title.cii-poverty"),
    question=Phrase("cii_about.question"),
    data=_words("about", "data_files", "data_rollout", "data_made_up"),
    design=_words("about", "design_panel", "design_exposure", "design_outcomes", "design_estimators", "design_errors"),
    equations=_words("about", "equation_twfe", "equation_event", "equation_line", "equation_index"),
    tables=_words("about", "table_panel", "table_poverty", "table_effects", "table_modern", "table_checks",
                  "table_groups", "table_equity", "table_mechanisms", "table_elements", "table_truth"),
    needs=_words("about", "needs_data", "needs_rollout", "needs_hours", "needs_dollars"),
    limits=_words("about", "limit_numbers", "limit_exposure", "limit_trends", "limit_line", "limit_names"),
    options=(
        Option("waves", "2012-2018", Phrase("studies.option_waves")),
        Option("rollout", None, Phrase("studies.option_rollout")),
        Option("crosswalk", None, Phrase("studies.option_crosswalk")),
        Option("policy", None, Phrase("studies.option_policy")),
        Option("layout", None, Phrase("studies.option_layout")),
        Option("permutations", 500, Phrase("studies.option_permutations")),
    ),
    printed=(DATA, POVERTY, EQUITY, ACCESS, COMPENSATION, CAPABILITY, HISTORY, ELEMENTS, CAPPING),
)  # fmt: skip

MAIN = ("poor_absolute", "poor_40", "poor_50", "poor_60", "ln_income")
KEY = ("poor_absolute", "poor_50", "ln_income")
COVARIATES = ("size", "child_share", "elderly", "urban")
ESTIMATORS = ("twfe", "callaway_santanna", "sun_abraham", "imputation")
FEW_PLACES = 40
"""Below this many places the wild bootstrap stands beside the errors."""


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Be all that the sections need."""

    panels: Panels
    exposed: Exposed
    truth: Truth | None
    seed: int
    settings: Mapping[str, Setting]

    @property
    def homes(self) -> pl.DataFrame:
        return self.exposed.homes

    @property
    def covariates(self) -> list[str]:
        """List the covariates that the files have, and that vary."""
        homes = self.homes
        return [one for one in COVARIATES if (homes[one].null_count() < homes.height and homes[one].n_unique() > 2)
                or (one == "urban" and homes[one].n_unique() > 1 and self.panels.has("urban"))]  # fmt: skip

    def twfe(self, outcome: str, homes: pl.DataFrame | None = None, **more: Any) -> Fit:
        """Estimate by two-way fixed effects, errors by place."""
        from medfloor.evaluation.fixed_effects import two_way_fixed_effects

        asked = {"treatment": "covered", "unit": "panel_id", "time": "year", "cluster": "place"} | more
        table = (self.homes if homes is None else homes).filter(pl.col("covered").is_not_null())
        return two_way_fixed_effects(table, outcome=outcome, **asked)

    def known(self) -> pl.DataFrame:
        """Keep the rows of which it is known whether they were under the policy."""
        return self.homes.filter(pl.col("covered").is_not_null() & pl.col("place").is_not_null())


def run(folder: Path, *, seed: int, settings: Mapping[str, Setting]) -> Study:
    """Run the study on a folder with files of CFPS.

    Raises InputError few_waves, no_income, no_exposure, no_roll_out_places, and what `read_cfps` raises.
    """
    from medfloor.studies.exposure import expose_homes
    from medfloor.studies.panels import read_panels, remarks
    from medfloor.studies.study import Study
    from medfloor.studies.truth import read_truth

    panels = read_panels(folder, waves=str(settings["waves"]), layout=_text(settings["layout"]))
    exposed = expose_homes(
        panels.homes, folder, rollout=_text(settings["rollout"]), crosswalk=_text(settings["crosswalk"]),
        policy=_text(settings["policy"]),
    )  # fmt: skip
    truth = read_truth(folder, exposed.homes, panels.lines) if panels.synthetic else None
    work = _Work(panels, exposed, truth, seed, settings)
    made = (_data, _poverty, _effects, _modern, _checks, _groups, _equity, _mechanisms, _elements, _truth)
    sections = [section for make in made if (section := make(work)) is not None]
    refused = panels.survey.rejects.height
    warnings = [*exposed.warnings]
    if refused:
        warnings.append(Phrase.of("studies.refused", rows=f"{refused:,}"))
    return Study(
        about=ABOUT,
        sections=tuple(sections),
        data=folder.name,
        synthetic=panels.synthetic,
        settings={**settings, "seed": seed},
        warnings=tuple(warnings),
        notes=remarks(panels),
        sources=_sources(sections),
    )


def _text(value: Setting) -> str | None:
    return None if value is None else str(value)


def _sources(sections: Sequence[Section]) -> tuple[str, ...]:
    from medfloor.studies.study import fits_of

    fits = [fit for section in sections for table in section.tables for fit in fits_of(table.content)]
    return tuple(dict.fromkeys(source for fit in fits for source in fit.sources))


# What the data are


def _data(work: _Work) -> Section:
    from medfloor.studies.panels import told_panel
    from medfloor.studies.study import Claim, Section, Table

    counts = told_panel(work.panels)
    homes = work.homes
    found = Phrase.of(
        "cii.panel", waves=", ".join(map(str, work.panels.waves)), rows=f"{homes.height:,}",
        units=f"{homes['panel_id'].n_unique():,}",
    )  # fmt: skip
    return Section(
        "data",
        Phrase("cii.title_data"),
        text=_words("text", "data"),
        tables=(
            Table("panel", Phrase("cii.table_panel"), counts, forms={"year": "plain"}),
            Table("starts", Phrase("cii.table_starts"), work.exposed.table),
        ),
        found=work.exposed.found,
        claims=(Claim(DATA, found),),
    )


# Poverty by wave


def _poverty(work: _Work) -> Section:
    from medfloor.measures.poverty import poverty
    from medfloor.studies.panels import line_of
    from medfloor.studies.study import Picture, Section, Table, attempt

    undone: list[Phrase] = []
    homes, lines = work.panels.homes, work.panels.lines
    tables = [
        Table(
            "lines",
            Phrase("cii.table_lines"),
            lines.drop("households").rename({"share": "median_share"}),
            forms={"value": "amount", "median_share": "percent"},
        )
    ]
    pictures = []
    chosen = (("absolute", "absolute", "rural", None), ("relative", "relative", "all", 0.5))
    for name, kind, area, share in chosen:
        line = line_of(lines, kind, area=area, share=share)
        table = _weighted(homes.drop_nulls(["income_head", "size"]))
        table = table.with_columns(line=pl.col("wave").replace_strict(line, default=None, return_dtype=pl.Float64))
        result = attempt(
            Phrase(f"cii.table_poor_{name}"),
            lambda table=table: poverty(  # type: ignore[misc]
                table.drop_nulls("line"), line="line", of="income_head", per_head=False, unit="person",
                measures=["headcount", "gap"], by=["wave", *(["residence"] if work.panels.has("residence") else [])],
                design=_design(table),
            ),
            undone,
        )  # fmt: skip
        if result is not None:
            tables.append(Table(f"poor-{name}", Phrase(f"cii.table_poor_{name}"), result))
            pictures.append(Picture(f"poor-{name}", Phrase(f"cii.table_poor_{name}"), result, "groups"))
    return Section(
        "poverty", Phrase("cii.title_poverty"), _words("text", "poverty", "dollars"), tuple(tables), tuple(pictures),
        undone=tuple(undone),
    )  # fmt: skip


def _weighted(homes: pl.DataFrame) -> pl.DataFrame:
    """Drop rows without a weight above zero, or weigh all of a wave alike where its file has no weights."""
    given = pl.col("weight").is_not_null().any().over("wave")
    return homes.with_columns(weight=pl.when(given).then("weight").otherwise(1.0)).filter(pl.col("weight") > 0)


def _design(table: pl.DataFrame) -> Any:
    """Take the design as far as the files know it; a row without unit or stratum would have to be left out."""
    from medfloor.measures.design import Design

    def whole(name: str) -> str | None:
        return name if not table[name].null_count() else None

    psu = whole("psu") or whole("county")
    return Design(weight="weight", psu=psu, strata=whole("stratum") if psu else None)


# Two-way fixed effects


def _effects(work: _Work) -> Section:
    from medfloor.studies.findings import direction_of, told
    from medfloor.studies.study import Claim, Section, Table, attempt

    undone: list[Phrase] = []
    tables = []
    found: dict[str, Fit] = {}
    for name, covariates in (("effects", []), ("effects-covariates", work.covariates)):
        fits: list[Fit] = []
        outcomes = []
        for outcome in MAIN:
            fit = attempt(
                Phrase(f"study_value.{outcome}"),
                lambda outcome=outcome, covariates=covariates: work.twfe(outcome, covariates=covariates),  # type: ignore[misc]
                undone,
            )
            if fit is not None:
                fits.append(fit)
                outcomes.append(outcome)
                if not covariates:
                    found[outcome] = fit.pick("covered")
        if fits:
            titles = tuple(Phrase(f"study_value.{one}") for one in outcomes)
            key = "cii.table_effects_covariates" if covariates else "cii.table_effects"
            tables.append(Table(name, Phrase(key), tuple(fits), titles))
    claims = []
    if {"poor_absolute", "poor_50"} <= set(found):
        absolute, relative = direction_of(found["poor_absolute"]), direction_of(found["poor_50"])
        verdict = "other"
        if absolute == "none":
            verdict = "unclear"
        elif absolute == "lower" and relative != "lower":
            verdict = "same"
        words = Phrase.of(
            "studies.both",
            first=told(found["poor_absolute"], "poor_absolute"),
            second=told(found["poor_50"], "poor_50"),
        )
        claims.append(Claim(POVERTY, words, verdict))
    else:
        claims.append(Claim(POVERTY, Phrase("studies.nothing_estimated"), "not_tried"))
    rest = tuple(told(found[one], one) for one in MAIN if one in found and one not in ("poor_absolute", "poor_50"))
    return Section(
        "effects", Phrase("cii.title_effects"), _words("text", "effects"), tuple(tables), (), rest, tuple(claims),
        tuple(undone),
    )  # fmt: skip


# Estimators for staggered starts


def _modern(work: _Work) -> Section:
    from medfloor.evaluation.bacon import bacon
    from medfloor.evaluation.event_study import event_study
    from medfloor.studies.findings import FORMS, row_of, rows_frame, told
    from medfloor.studies.study import Picture, Section, Table, attempt

    undone: list[Phrase] = []
    tables, pictures, rows, found = [], [], [], []
    common: dict[str, Any] = {"start": "start", "unit": "panel_id", "time": "year", "cluster": "place"}
    for outcome in KEY:
        fit = attempt(Phrase(f"study_value.{outcome}"), lambda outcome=outcome: _staggered(work, outcome), undone)  # type: ignore[misc]
        if fit is not None:
            tables.append(Table(f"staggered-{outcome}", Phrase(f"cii.staggered_{outcome}"), fit))
            pictures.append(Picture(f"staggered-{outcome}", Phrase(f"cii.staggered_{outcome}"), fit))
            overall = [fit.pick("att", model=model) for model in fit.rows.filter(pl.col("term") == "att")["model"]]
            rows += [row_of(one, check="estimator", outcome=outcome) for one in overall]
            best = [one for one in overall if one.rows["model"][0] == "imputation"]
            found += [Phrase.of("cii.by_imputation", text=told(one, outcome)) for one in best]
    if rows:
        frame = rows_frame(rows).drop("check")
        if work.truth is not None and work.truth.effects:
            known = pl.DataFrame(list(work.truth.effects.items()), schema=["outcome", "truth"], orient="row")
            frame = frame.join(known, on="outcome", how="left", maintain_order="left")
        tables.insert(0, Table("estimators", Phrase("cii.table_estimators"), frame, forms=FORMS))
    for outcome in ("poor_absolute", "poor_50"):
        fit = attempt(
            Phrase(f"cii.events_{outcome}"),
            lambda outcome=outcome: event_study(work.known(), outcome=outcome, **common),  # type: ignore[misc]
            undone,
        )
        if fit is not None:
            tables.append(Table(f"events-{outcome}", Phrase(f"cii.events_{outcome}"), fit))
            pictures.append(Picture(f"events-{outcome}", Phrase(f"cii.events_{outcome}"), fit, "event_study"))
            found.append(
                Phrase.of("cii.pretrend", outcome=Phrase(f"study_value.{outcome}"), p=_p(fit.facts.get("pretrend_p")))
            )
    one = attempt(
        Phrase("cii.table_bacon"),
        lambda: bacon(work.known(), outcome="ln_income", **common),
        undone,
    )
    if one is not None:
        tables.append(Table("bacon", Phrase("cii.table_bacon"), one))
        pictures.append(Picture("bacon", Phrase("cii.table_bacon"), one, "comparisons"))
    return Section(
        "modern", Phrase("cii.title_modern"), _words("text", "modern"), tuple(tables), tuple(pictures), tuple(found),
        undone=tuple(undone),
    )  # fmt: skip


def _staggered(work: _Work, outcome: str) -> Fit:
    """Estimate against those never under the policy; where there are none, against those not yet under it."""
    from medfloor.errors import UsageError
    from medfloor.evaluation.staggered import staggered

    common: dict[str, Any] = {
        "outcome": outcome,
        "start": "start",
        "unit": "panel_id",
        "time": "year",
        "cluster": "place",
    }
    try:
        return staggered(work.known(), **common, estimators=ESTIMATORS, by=("event",))
    except UsageError as error:
        if error.code != "no_never_treated":
            raise
        return staggered(work.known(), **common, estimators=ESTIMATORS, by=("event",), control="not_yet")


def _p(value: object) -> str:
    return "-" if not isinstance(value, float) else "<0.0001" if value < 0.0001 else f"{value:.4f}"


# Checks


def _checks(work: _Work) -> Section:
    from medfloor.evaluation.fixed_line import fixed_line
    from medfloor.evaluation.placebo import placebo
    from medfloor.studies.findings import FORMS, row_of, rows_frame
    from medfloor.studies.study import Picture, Section, Table, attempt

    undone: list[Phrase] = []
    rows, tables, pictures, found = [], [], [], []
    for check, outcome, make in _check_list(work):
        fit = attempt(
            Phrase.of("cii.check", name=Phrase(f"study_value.{check}"), of=Phrase(f"study_value.{outcome}")),
            make,
            undone,
        )
        if fit is not None:
            rows.append(row_of(fit.pick("covered") if fit.rows.height > 1 else fit, check=check, outcome=outcome))
    if rows:
        tables.append(Table("checks", Phrase("cii.table_checks"), rows_frame(rows), forms=FORMS))
    common: dict[str, Any] = {"start": "start", "unit": "panel_id", "time": "year", "cluster": "place"}
    line = attempt(
        Phrase("cii.table_line"),
        lambda: fixed_line(_real(work), income="income_real", line_weight="stands_for", **common),
        undone,
    )
    if line is not None:
        tables.append(Table("fixed-line", Phrase("cii.table_line"), line))
    # Where enrolment decides, starts are permuted over households; where places do, over places.
    shuffled = {name: of for name, of in common.items() if name != "cluster" or work.exposed.timing != "national"}
    for outcome in ("poor_absolute", "poor_50"):
        drawn = attempt(
            Phrase(f"cii.placebo_{outcome}"),
            lambda outcome=outcome: placebo(  # type: ignore[misc]
                work.known(), outcome=outcome, permutations=int(work.settings["permutations"] or 1), seed=work.seed,
                **shuffled,
            ),
            undone,
        )  # fmt: skip
        if drawn is not None:
            tables.append(Table(f"placebo-{outcome}", Phrase(f"cii.placebo_{outcome}"), drawn))
            pictures.append(Picture(f"placebo-{outcome}", Phrase(f"cii.placebo_{outcome}"), drawn, "placebo"))
            found.append(
                Phrase.of("cii.permuted", outcome=Phrase(f"study_value.{outcome}"), p=_p(drawn.facts["permutation_p"]))
            )
    return Section(
        "checks", Phrase("cii.title_checks"), _words("text", "checks"), tuple(tables), tuple(pictures), tuple(found),
        undone=tuple(undone),
    )  # fmt: skip


def _check_list(work: _Work) -> list[tuple[str, str, Callable[[], Fit]]]:
    """List the checks: name, outcome, and how each is made."""
    homes = work.homes
    waves = len(work.panels.waves)
    balanced = homes.filter(pl.len().over("panel_id") == waves)
    rural = homes.filter(pl.col("residence") == "rural")
    joined = homes.with_columns(covered=pl.col("covered") * pl.col("enrolled"))
    checks: list[tuple[str, str, Callable[[], Fit]]] = [
        ("check_published", "poor_published", lambda: work.twfe("poor_published")),
        ("check_own_line", "poor_50_own", lambda: work.twfe("poor_50_own")),
        ("check_winsorised", "ln_income", lambda: work.twfe("ln_income", winsorise=(1, 99))),
        ("check_weighted", "poor_absolute", lambda: work.twfe("poor_absolute", weight="weight")),
        ("check_weighted", "poor_50", lambda: work.twfe("poor_50", weight="weight")),
        ("check_balanced", "poor_absolute", lambda: work.twfe("poor_absolute", balanced)),
        ("check_balanced", "poor_50", lambda: work.twfe("poor_50", balanced)),
        ("check_rural", "poor_absolute", lambda: work.twfe("poor_absolute", rural)),
        ("check_rural", "poor_50", lambda: work.twfe("poor_50", rural)),
    ]
    if work.exposed.timing != "national":
        checks += [
            ("check_enrolled", "poor_absolute", lambda: work.twfe("poor_absolute", joined)),
            ("check_enrolled", "poor_50", lambda: work.twfe("poor_50", joined)),
        ]
    if homes["place"].n_unique() < FEW_PLACES:
        checks += [
            ("check_wild", "poor_absolute", lambda: _wild(work, "poor_absolute")),
            ("check_wild", "poor_50", lambda: _wild(work, "poor_50")),
        ]
    return checks


def _wild(work: _Work, outcome: str) -> Fit:
    from medfloor.evaluation.wild import wild_bootstrap

    return wild_bootstrap(
        work.known(),
        outcome=outcome,
        treatment="covered",
        unit="panel_id",
        time="year",
        cluster="place",
        seed=work.seed,
    )


def _real(work: _Work) -> pl.DataFrame:
    """Give the households with income a head in the prices of the first wave, and how many people each stands for."""
    from medfloor.intake import price_level

    base = work.panels.waves[0]
    levels = {wave: price_level(wave, base=base).value for wave in work.panels.waves}
    level = pl.col("year").replace_strict(levels, return_dtype=pl.Float64)
    return work.known().with_columns(
        income_real=pl.col("income_head") / level,
        stands_for=pl.col("weight").fill_null(1.0) * pl.col("size").fill_null(1.0),
    )


# Groups


def _groups(work: _Work) -> Section:
    from medfloor.studies.panels import first_of
    from medfloor.studies.study import Picture, Section, Table, attempt

    undone: list[Phrase] = []
    tables: list[Table] = []
    pictures: list[Picture] = []
    homes = work.known().with_columns(
        has_elderly=(pl.col("elderly") > 0).cast(pl.Int8), third=_third(), is_urban=pl.col("urban").cast(pl.Int8),
        is_chronic=pl.col("any_chronic").cast(pl.Int8),
    )  # fmt: skip
    groups = {"is_urban": "residence_first", "area": "area_first", "third": "third_first",
              "has_elderly": "elderly_first", "is_chronic": "chronic_first"}  # fmt: skip
    for column, name in groups.items():
        homes = first_of(homes, "panel_id", column, name)
    by = [name for name in groups.values() if homes[name].drop_nulls().n_unique() > 1]
    for outcome in ("poor_absolute", "poor_50"):
        title = Phrase.of("cii.groups", of=Phrase(f"study_value.{outcome}"))
        # All groupings in one fit, so that p is corrected for all of them.
        fit = attempt(title, lambda outcome=outcome: _by_groups(homes, outcome, by), undone)  # type: ignore[misc]
        if fit is not None:
            tables.append(Table(f"groups-{outcome}", title, fit))
            pictures.append(Picture(f"groups-{outcome}", title, fit, "coefficients"))
    return Section(
        "groups", Phrase("cii.title_groups"), _words("text", "groups"), tuple(tables), tuple(pictures),
        undone=tuple(undone),
    )  # fmt: skip


def _by_groups(homes: pl.DataFrame, outcome: str, by: Sequence[str]) -> Fit:
    """Estimate by groups, leaving out a grouping in which nothing can be compared."""
    from medfloor.errors import UsageError
    from medfloor.evaluation.groups import by_group

    common: dict[str, Any] = {
        "outcome": outcome,
        "treatment": "covered",
        "unit": "panel_id",
        "time": "year",
        "cluster": "place",
    }
    try:
        return by_group(homes, by=by, **common)
    except UsageError as error:
        if error.code != "one_level" or len(by) < 2:
            raise
    usable = [name for name in by if _comparable(homes, name)]
    return by_group(homes, by=usable, **common)


def _comparable(homes: pl.DataFrame, name: str) -> bool:
    """Say whether at least two groups have rows under the policy and others."""
    groups = homes.drop_nulls(name).group_by(name).agg(pl.col("covered").n_unique())
    return groups.filter(pl.col("covered") > 1).height > 1


def _third() -> pl.Expr:
    rank = (pl.col("income_head").rank("ordinal") - 1) / pl.col("income_head").count()
    return (1 + (3 * rank).floor()).over("year").cast(pl.Int8)


# Equity


def _equity(work: _Work) -> Section:
    from medfloor.measures.concentration import concentration
    from medfloor.studies.findings import SURE
    from medfloor.studies.study import Claim, Picture, Section, Table, attempt

    undone: list[Phrase] = []
    homes = _weighted(work.panels.homes.drop_nulls(["income_head"]))
    first, last = str(work.panels.waves[0]), str(work.panels.waves[-1])
    tables, pictures, claims = [], [], []
    for of in ("oop", "oop_share", "che"):
        options: dict[str, Any] = {"index": "erreygers", "bounds": (0, 1)} if of == "che" else {}
        table = homes.drop_nulls(of)
        title = Phrase.of("cii.table_concentration", of=Phrase(f"study_value.{of}"))
        result = attempt(
            title,
            lambda table=table, of=of, options=options: concentration(  # type: ignore[misc]
                table, of=of, rank="income_head", by="wave", against=first, design=_design(table), **options
            ),
            undone,
        )
        if result is None:
            continue
        tables.append(Table(f"concentration-{of}", title, result))
        if of == "oop":
            pictures.append(Picture("concentration-oop", title, result, "concentration_curve"))
            one = result.pick(by="wave", group=last).rows.row(0, named=True)
            sure = one["low"] is not None and (one["low"] > 0 or one["high"] < 0)
            words = Phrase.of(
                "cii.index", wave=last, index=f"{one['estimate']:.4f}", low=_index(one["low"]),
                high=_index(one["high"]), level=f"{100 * (1 - SURE):g}",
                reading=Phrase(f"cii.index_{'none' if not sure else 'rich' if one['estimate'] > 0 else 'poor'}"),
            )  # fmt: skip
            claims.append(Claim(EQUITY, words, "same" if sure else "unclear"))
    if not claims:
        claims.append(Claim(EQUITY, Phrase("studies.nothing_estimated"), "not_tried"))
    groups = _rich_and_poor(homes)
    tables.append(
        Table("rich-and-poor", Phrase("cii.table_rich"), groups,
              forms={"year": "plain", "households": "count", "mean_oop": "amount", "spending_share": "percent",
                     "oop_of_consumption": "percent", "che_rate": "percent"})
    )  # fmt: skip
    return Section(
        "equity", Phrase("cii.title_equity"), _words("text", "equity"), tuple(tables), tuple(pictures),
        claims=tuple(claims), undone=tuple(undone),
    )  # fmt: skip


def _index(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _rich_and_poor(homes: pl.DataFrame) -> pl.DataFrame:
    """Describe the spending of the poorer and the richer half of each wave, weighted."""

    def mean(name: str) -> pl.Expr:
        known = pl.col(name).is_not_null()
        return (pl.col(name) * pl.col("weight")).filter(known).sum() / pl.col("weight").filter(known).sum()

    spent = (pl.col("oop") * pl.col("weight")).sum()
    return (
        homes.with_columns(half=pl.when(pl.col("rich") == 1).then(pl.lit("rich_half")).otherwise(pl.lit("poor_half")))
        .group_by("year", "half")
        .agg(households=pl.len(), mean_oop=mean("oop"), oop_of_consumption=mean("oop_share"), che_rate=mean("che"),
             spent=spent)
        .with_columns(spending_share=pl.col("spent") / pl.col("spent").sum().over("year"))
        .drop("spent")
        .sort("year", "half")
    )  # fmt: skip


# Mechanisms


def _mechanisms(work: _Work) -> Section:
    from medfloor.studies.findings import direction_of, joined, told
    from medfloor.studies.study import Claim, Section, Table, attempt

    undone: list[Phrase] = []
    lacks: list[Phrase] = []
    found: dict[str, Fit] = {}
    whole: list[Fit] = []
    for outcome in ("any_stay", "any_care", "ln_oop", "oop_share", "che", "unhealthy", "hours"):
        if not work.panels.has(outcome):
            told_lack = Phrase.of(
                "studies.not_there", what=Phrase(f"study_value.{outcome}"), why=Phrase(f"cii.lacks_{outcome}")
            )
            # Hours are never there without a layout of one's own, so that their lack is no finding about the files.
            (lacks if outcome == "hours" else undone).append(told_lack)
            continue
        fit = attempt(Phrase(f"study_value.{outcome}"), lambda outcome=outcome: work.twfe(outcome), undone)  # type: ignore[misc]
        if fit is not None:
            whole.append(fit)
            found[outcome] = fit.pick("covered")
    tables = []
    if whole:
        titles = tuple(Phrase(f"study_value.{one}") for one in found)
        tables.append(Table("mechanisms", Phrase("cii.table_mechanisms"), tuple(whole), titles))
    claims = []
    expected = {ACCESS: {"any_stay": "higher", "any_care": "higher"},
                COMPENSATION: {"ln_oop": "lower", "oop_share": "lower", "che": "lower"},
                CAPABILITY: {"unhealthy": "lower", "hours": "higher"}}  # fmt: skip
    for printed, outcomes in expected.items():
        tried = {one: direction_of(found[one]) for one in outcomes if one in found}
        words = joined(told(found[one], one) for one in tried)
        if words is None:
            there = any(work.panels.has(one) for one in outcomes)
            lack = Phrase("studies.nothing_estimated" if there else "studies.nothing_tried")
            claims.append(Claim(printed, lack, "not_tried"))
            continue
        against = any(way not in ("none", outcomes[one]) for one, way in tried.items())
        reached = any(way == outcomes[one] for one, way in tried.items())
        verdict = "other" if against else "same" if reached else "unclear"
        claims.append(Claim(printed, words, verdict))
    return Section(
        "mechanisms", Phrase("cii.title_mechanisms"), _words("text", "mechanisms"), tuple(tables), found=tuple(lacks),
        claims=tuple(claims), undone=tuple(undone),
    )  # fmt: skip


# What the law says


def _elements(work: _Work) -> Section:
    from medfloor.studies.elements import elements
    from medfloor.studies.study import Claim, Section, Table

    frame = elements()
    without = frame.filter((pl.col("element") == "cap") & (pl.col("value@en") == "no limit"))["policy"].n_unique()
    places = frame["policy"].n_unique()
    return Section(
        "elements",
        Phrase("cii.title_elements"),
        _words("text", "elements"),
        (Table("elements", Phrase("cii.table_elements"), frame),),
        claims=(
            Claim(HISTORY, Phrase("cii.history"), of_data=False),
            Claim(ELEMENTS, Phrase.of("cii.elements_found", places=places, numbers=frame.height), of_data=False),
            Claim(CAPPING, Phrase.of("cii.capping_found", places=places, without=without), of_data=False),
        ),
    )


# What is known to be true


def _truth(work: _Work) -> Section | None:
    from medfloor.studies.study import Section, Table

    truth = work.truth
    if truth is None:
        return None
    tables = []
    if truth.effects:
        frame = pl.DataFrame(list(truth.effects.items()), schema=["outcome", "truth"], orient="row")
        tables.append(Table("truth", Phrase("cii.table_truth"), frame))
    if truth.told.height:
        tables.append(Table("truth-json", Phrase("cii.table_truth_json"), truth.told))
    found = (Phrase.of("cii.truth_rows", rows=f"{truth.rows:,}"),) if truth.effects else ()
    return Section("truth", Phrase("cii.title_truth"), _words("text", "truth"), tuple(tables), found=found)
