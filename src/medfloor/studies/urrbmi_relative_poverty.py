"""Ask whether residents' basic medical insurance reduced relative poverty in the country, and through what (seed 001).

People of CFPS 2012 to 2018 who live in the country: relative poverty on being enrolled, by fixed effects and by
conditional logit; the path over health, the path over compensation (catastrophic spending), and the use of services.
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
    from medfloor.studies.panels import Panels
    from medfloor.studies.study import Claim, Picture, Section, Study, Table

SEED = "001"

DATA = Quotation(SEED, "with the help of four periods of data from CFPS database from 20122018")
POVERTY = Quotation(
    SEED,
    "joining urban and rural residents’ basic medical insurance could reduce the incidence of relative po verty among "
    "rural residents",
)
HEALTH = Quotation(
    SEED,
    "rural residents who joined urban and rural residents’ basic medical insurance would still reduce the probability "
    "of falling into relative poverty after the introduction of the health path",
)
COMPENSATION = Quotation(
    SEED,
    "after the introduction of whether catastrophic medical expenditures occurred,the insured group would still reduce "
    "the probability of falling into relative poverty,but it was not significant",
)
USE = Quotation(
    SEED,
    "urban and rural residents’ basic medical insurance can improve rural residents’ medical behavior and medical "
    "service utilization,but it does not have a significant effect on the probability of incurring catastrophic "
    "medical expenses",
)
RATIO = Quotation(SEED, "low reimbursement ratio of medical treatment for rural residents")


def _words(part: str, *names: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(f"urrbmi_{part}.{name}") for name in names)


ABOUT = About(
    name="urrbmi-relative-poverty",
    seed=SEED,
    title=Phrase("study_title.urrbmi-relative-poverty"),
    question=Phrase("urrbmi_about.question"),
    data=_words("about", "data_files", "data_made_up"),
    design=_words("about", "design_people", "design_joined", "design_outcome", "design_estimators", "design_paths"),
    equations=_words("about", "equation_linear", "equation_logit", "equation_paths"),
    tables=_words("about", "table_panel", "table_effects", "table_health", "table_compensation", "table_use",
                  "table_checks"),
    needs=_words("about", "needs_data", "needs_assignment"),
    limits=_words("about", "limit_numbers", "limit_choice", "limit_paths", "limit_scheme", "limit_names"),
    options=(
        Option("waves", "2012-2018", Phrase("studies.option_waves")),
        Option("layout", None, Phrase("studies.option_layout")),
        Option("rural", "residence", Phrase("urrbmi_about.option_rural"), choices=("residence", "hukou")),
        Option("joined", "enrolled", Phrase("urrbmi_about.option_joined"), choices=("enrolled", "merged")),
        Option("draws", 500, Phrase("urrbmi_about.option_draws")),
    ),
    printed=(DATA, POVERTY, HEALTH, COMPENSATION, USE, RATIO),
)  # fmt: skip

OUTCOME = "poor_50_own"
COVARIATES = ("home_size", "child_share", "elderly", "married")
FIXED = ("age", "age_squared", "female", "education_years")
"""What does not change within a person, or changes for all alike: for the pooled logit only."""


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Be all that the sections need: `people` are adults in the country, with `joined` and `place`."""

    panels: Panels
    people: pl.DataFrame
    seed: int
    settings: Mapping[str, Setting]
    covariates: tuple[str, ...]

    @property
    def common(self) -> dict[str, Any]:
        """Give who is followed, over what, and by what errors are clustered."""
        return {"unit": "person_id", "time": "year", "cluster": "place"}

    def linear(self, outcome: str, people: pl.DataFrame | None = None, more: Sequence[str] = ()) -> Fit:
        """Estimate by two-way fixed effects, with covariates."""
        from medfloor.evaluation.fixed_effects import two_way_fixed_effects

        return two_way_fixed_effects(
            self.changing(people), outcome=outcome, treatment="joined",
            covariates=[*self.covariates, *more], **self.common,
        )  # fmt: skip

    def changing(self, people: pl.DataFrame | None = None) -> pl.DataFrame:
        """Give the people (all of them if none are given), of whom somebody joined or left between waves.

        Raises InputError nobody_changed, which effects of person and wave would else tell in words of their columns.
        """
        from medfloor.errors import InputError

        people = self.people if people is None else people
        if (people["joined"].n_unique() < 2) or people.select(pl.struct("person_id", "joined").n_unique()).item() == (
            people["person_id"].n_unique()
        ):
            raise InputError(
                "nobody_changed",
                "nobody here joined or left between waves, so that effects of person and wave tell nothing of "
                "enrolment; more waves are needed, or another --set joined=",
            )
        return people

    def has(self, *columns: str) -> bool:
        """Say whether some person has a value in each of these columns."""
        return all(self.people[name].null_count() < self.people.height for name in columns)


def run(folder: Path, *, seed: int, settings: Mapping[str, Setting]) -> Study:
    """Run the study on a folder with files of CFPS.

    Raises InputError few_waves, no_income, no_insurance, nobody_rural, and what `read_cfps` raises.
    """
    from medfloor.studies.panels import read_panels, remarks
    from medfloor.studies.study import Study, fits_of

    layout = settings["layout"]
    panels = read_panels(folder, waves=str(settings["waves"]), layout=None if layout is None else str(layout))
    work = _work(folder, panels, seed, settings)
    made = (_data, _effects, _health, _compensation, _use, _checks, _truth)
    sections = [section for make in made if (section := make(work)) is not None]
    refused = panels.survey.rejects.height
    fits = [fit for section in sections for table in section.tables for fit in fits_of(table.content)]
    return Study(
        about=ABOUT,
        sections=tuple(sections),
        data=folder.name,
        synthetic=panels.synthetic,
        settings={**settings, "seed": seed},
        warnings=(Phrase.of("studies.refused", rows=f"{refused:,}"),) if refused else (),
        notes=remarks(panels),
        sources=tuple(dict.fromkeys(source for fit in fits for source in fit.sources)),
    )


def _work(folder: Path, panels: Panels, seed: int, settings: Mapping[str, Setting]) -> _Work:
    """Choose adults in the country by their first wave, and say who had joined."""
    from medfloor.errors import InputError
    from medfloor.studies.panels import ADULT, first_of

    people = panels.people
    joined = str(settings["joined"])
    if not people.height or people[joined].null_count() == people.height:
        raise InputError(
            "no_insurance",
            f"no file of people in {folder} tells insurance (qp605_s_*, with value labels or codes); add adult, child, "
            "person files",
        )
    people = first_of(people, "person_id", "home_urban", "first_urban")
    people = first_of(people, "person_id", "hukou", "first_hukou")
    rural = pl.col("first_hukou") == "1" if settings["rural"] == "hukou" else pl.col("first_urban") == 0
    people = people.filter(rural & (pl.col("age") >= ADULT))
    if people.is_empty():
        raise InputError(
            "nobody_rural",
            f"no adult of {folder} is known to live in the country: residence (urban12, ...) or hukou (qa301) and age "
            "are needed; try --set rural=hukou",
        )
    # One level of clusters that the files surely have, that of the first wave: county, else province, else person.
    place = next((name for name in ("place", "province") if people[name].null_count() < people.height), "person_id")
    people = first_of(people, "person_id", place, "first_place")
    people = people.with_columns(
        joined=pl.col(joined), place="first_place", age_squared=pl.col("age") ** 2 / 100,
        married=pl.when(pl.col("marital").is_not_null()).then((pl.col("marital") == "2").cast(pl.Float64)),
    )  # fmt: skip
    people = people.filter(pl.col("joined").is_not_null() & pl.col("place").is_not_null())
    varying = tuple(one for one in COVARIATES if people[one].drop_nulls().n_unique() > 1)
    return _Work(panels, people, seed, settings, varying)


# Who and how poor


def _data(work: _Work) -> Section:
    from medfloor.studies.study import Claim, Section, Table

    people = work.people
    counts = (
        people.group_by("year")
        .agg(people=pl.len(), joined=pl.col("joined").mean(), poor=pl.col(OUTCOME).mean(), che=pl.col("che").mean(),
             any_stay=pl.col("any_stay").mean(), unhealthy=pl.col("bad_health").mean())
        .sort("year")
    )  # fmt: skip
    changes = people.group_by("person_id").agg(n=pl.col("joined").n_unique())
    found = Phrase.of(
        "urrbmi.panel", waves=", ".join(map(str, work.panels.waves)), rows=f"{people.height:,}",
        units=f"{changes.height:,}", switchers=f"{changes.filter(pl.col('n') > 1).height:,}",
    )  # fmt: skip
    forms = {"year": "plain", "people": "count"}
    forms |= dict.fromkeys(("joined", "poor", "che", "any_stay", "unhealthy"), "percent")
    return Section(
        "data", Phrase("urrbmi.title_data"), _words("text", "data"),
        (Table("panel", Phrase("urrbmi.table_panel"), counts, forms=forms),), claims=(Claim(DATA, found),),
    )  # fmt: skip


# Relative poverty on enrolment


def _effects(work: _Work) -> Section:
    from medfloor.evaluation.binary import binary
    from medfloor.studies.findings import direction_of, told, verdict_of
    from medfloor.studies.study import Claim, Section, Table, attempt

    undone: list[Phrase] = []
    known = tuple(one for one in FIXED if work.has(one))
    models: dict[str, Callable[[], Fit]] = {
        "fe_linear": lambda: work.linear(OUTCOME),
        "conditional_logit": lambda: binary(
            work.changing(), outcome=OUTCOME, treatment="joined", model="conditional_logit",
            covariates=work.covariates, **work.common,
        ),
        "pooled_logit": lambda: binary(
            work.people, outcome=OUTCOME, treatment="joined", model="logit", time="year", cluster="place",
            covariates=[*work.covariates, *known], marginal=True,
        ),
    }  # fmt: skip
    fits = {
        name: fit for name, make in models.items()
        if (fit := attempt(Phrase(f"study_value.{name}"), make, undone)) is not None
    }  # fmt: skip
    tables: list[Table] = []
    pictures: list[Picture] = []
    claims: list[Claim] = []
    found: list[Phrase] = []
    if fits:
        titles = tuple(Phrase(f"study_value.{name}") for name in fits)
        tables.append(Table("effects", Phrase("urrbmi.table_effects"), tuple(fits.values()), titles))
    if "fe_linear" in fits:
        main = fits["fe_linear"].pick("joined")
        claims.append(Claim(POVERTY, told(main, OUTCOME), verdict_of(direction_of(main), "lower")))
    else:
        claims.append(Claim(POVERTY, Phrase("studies.nothing_estimated"), "not_tried"))
    if "conditional_logit" in fits:
        one = fits["conditional_logit"].pick("joined")
        found.append(Phrase.of("urrbmi.by_logit", text=told(one, OUTCOME)))
    return Section(
        "effects", Phrase("urrbmi.title_effects"), _words("text", "effects"), tuple(tables), tuple(pictures),
        tuple(found), tuple(claims), tuple(undone),
    )  # fmt: skip


# The paths


def _health(work: _Work) -> Section:
    from medfloor.studies.findings import direction_of, verdict_of

    return _path(work, "health", "health", HEALTH, lambda before, after: verdict_of(direction_of(after), "lower"))


def _compensation(work: _Work) -> Section:
    from medfloor.studies.findings import direction_of

    def judged(before: Fit, after: Fit) -> str:
        """Hold against "still reduces, but not significant": what was never told apart from zero cannot lose it."""
        if direction_of(before) == "none" == direction_of(after):
            return "unclear"
        return "same" if direction_of(after) == "none" and before.estimate < 0 and after.estimate < 0 else "other"

    return _path(work, "compensation", "che", COMPENSATION, judged)


def _path(work: _Work, name: str, mediator: str, printed: Quotation, judged: Callable[[Fit, Fit], str]) -> Section:
    """Regress the mediator on enrolment, and poverty on both; then part the effect with clusters drawn again."""
    from medfloor.evaluation.mediation import mediate
    from medfloor.studies.findings import told
    from medfloor.studies.study import Claim, Picture, Section, Table, attempt

    undone: list[Phrase] = []
    tables: list[Table] = []
    pictures: list[Picture] = []
    title, text = Phrase(f"urrbmi.title_{name}"), _words("text", name)
    if not work.has(mediator):
        lack = Phrase.of("studies.not_there", what=title, why=Phrase(f"urrbmi.lacks_{mediator}"))
        claim = Claim(printed, Phrase("studies.nothing_tried"), "not_tried")
        return Section(name, title, text, undone=(lack,), claims=(claim,))
    # All three on the same rows, or they could not be compared.
    people = work.people.drop_nulls([mediator, OUTCOME])
    models: dict[str, Callable[[], Fit]] = {
        "path_total": lambda: work.linear(OUTCOME, people),
        f"path_{mediator}": lambda: work.linear(mediator, people),
        f"path_with_{mediator}": lambda: work.linear(OUTCOME, people, [mediator]),
    }
    fits = {
        one: fit for one, make in models.items()
        if (fit := attempt(Phrase(f"study_value.{one}"), make, undone)) is not None
    }  # fmt: skip
    if fits:
        titles = tuple(Phrase(f"study_value.{one}") for one in fits)
        tables.append(Table(f"path-{name}", Phrase(f"urrbmi.table_{name}"), tuple(fits.values()), titles))
    parted = attempt(
        Phrase(f"urrbmi.parted_{name}"),
        lambda: mediate(
            work.changing(people), outcome=OUTCOME, treatment="joined", mediator=mediator, covariates=work.covariates,
            draws=int(work.settings["draws"] or 0), seed=work.seed, **work.common,
        ),
        undone,
    )  # fmt: skip
    if parted is not None:
        tables.append(Table(f"mediation-{name}", Phrase(f"urrbmi.parted_{name}"), parted))
        pictures.append(Picture(f"mediation-{name}", Phrase(f"urrbmi.parted_{name}"), parted, "sensitivity"))
    claims: list[Claim] = []
    if {"path_total", f"path_with_{mediator}"} <= set(fits):
        before, after = fits["path_total"].pick("joined"), fits[f"path_with_{mediator}"].pick("joined")
        words = Phrase.of("urrbmi.before_after", before=told(before, OUTCOME), after=told(after, OUTCOME))
        claims.append(Claim(printed, words, judged(before, after)))
    else:
        claims.append(Claim(printed, Phrase("studies.nothing_estimated"), "not_tried"))
    return Section(name, title, text, tuple(tables), tuple(pictures), (), tuple(claims), tuple(undone))


# Use of services


def _use(work: _Work) -> Section:
    from medfloor.studies.findings import direction_of, joined, told
    from medfloor.studies.study import Claim, Section, Table, attempt

    undone: list[Phrase] = []
    found: dict[str, Fit] = {}
    whole: list[Fit] = []
    for outcome in ("any_stay", "any_care", "ln_oop", "che"):
        if not work.has(outcome):
            what = Phrase(f"study_value.{outcome}")
            undone.append(Phrase.of("studies.not_there", what=what, why=Phrase(f"cii.lacks_{outcome}")))
            continue
        fit = attempt(Phrase(f"study_value.{outcome}"), lambda outcome=outcome: work.linear(outcome), undone)  # type: ignore[misc]
        if fit is not None:
            whole.append(fit)
            found[outcome] = fit.pick("joined")
    tables: list[Table] = []
    if whole:
        titles = tuple(Phrase(f"study_value.{one}") for one in found)
        tables.append(Table("use", Phrase("urrbmi.table_use"), tuple(whole), titles))
    claims = []
    used = [direction_of(found[one]) for one in ("any_stay", "any_care") if one in found]
    words = joined(told(found[one], one) for one in ("any_stay", "any_care", "che") if one in found)
    if used and "che" in found and words is not None:
        same = "higher" in used and "lower" not in used and direction_of(found["che"]) == "none"
        unclear = set(used) == {"none"}
        claims.append(Claim(USE, words, "same" if same else "unclear" if unclear else "other"))
    else:
        there = any(work.has(one) for one in ("any_stay", "any_care", "che"))
        lack = Phrase("studies.nothing_estimated" if there else "studies.nothing_tried")
        claims.append(Claim(USE, words or lack, "not_tried"))
    ratio = _ratio(work)
    if ratio.height:
        tables.append(
            Table("reimbursed", Phrase("urrbmi.table_ratio"), ratio,
                  forms={"year": "plain", "people": "count", "ratio": "percent", "mean_ratio": "percent"})
        )  # fmt: skip
        last = ratio.row(ratio.height - 1, named=True)
        told_ratio = Phrase.of("urrbmi.ratio", wave=str(last["year"]), ratio=f"{100 * last['ratio']:.1f}")
        claims.append(Claim(RATIO, told_ratio))
    return Section(
        "use", Phrase("urrbmi.title_use"), _words("text", "use"), tuple(tables), (), (), tuple(claims), tuple(undone)
    )


def _ratio(work: _Work) -> pl.DataFrame:
    """Say what share of their care was paid for the enrolled, where total and own payments were both asked."""
    return (
        work.people.filter((pl.col("joined") == 1) & (pl.col("medical_total") > 0) & pl.col("oop").is_not_null())
        .with_columns(paid=(1 - pl.col("oop") / pl.col("medical_total")).clip(0, 1))
        .group_by("year")
        .agg(people=pl.len(), ratio=(1 - pl.col("oop").sum() / pl.col("medical_total").sum()).clip(0, 1),
             mean_ratio=pl.col("paid").mean())
        .sort("year")
    )  # fmt: skip


# Checks


def _checks(work: _Work) -> Section:
    from medfloor.evaluation.matched_did import matched_did
    from medfloor.studies.findings import FORMS, row_of, rows_frame
    from medfloor.studies.study import Section, Table, attempt

    undone: list[Phrase] = []
    people = work.people
    waves = len(work.panels.waves)
    merged = people.with_columns(joined="merged").filter(pl.col("joined").is_not_null())
    without = people.filter((pl.col("employee") != 1).fill_null(True))
    balanced = people.filter(pl.len().over("person_id") == waves)
    checks: list[tuple[str, str, Callable[[], Fit]]] = [
        ("check_40", "poor_40", lambda: work.linear("poor_40")),
        ("check_50_all", "poor_50", lambda: work.linear("poor_50")),
        ("check_60", "poor_60", lambda: work.linear("poor_60")),
        ("check_absolute", "poor_absolute", lambda: work.linear("poor_absolute")),
        ("check_without_employee", OUTCOME, lambda: work.linear(OUTCOME, without)),
        ("check_merged", OUTCOME, lambda: work.linear(OUTCOME, merged)),
        ("check_balanced_people", OUTCOME, lambda: work.linear(OUTCOME, balanced)),
    ]
    rows = []
    for check, outcome, make in checks:
        fit = attempt(Phrase(f"study_value.{check}"), make, undone)
        if fit is not None:
            rows.append(row_of(fit.pick("joined"), check=check, outcome=outcome))
    tables: list[Table] = []
    if rows:
        tables.append(Table("checks", Phrase("urrbmi.table_checks"), rows_frame(rows), forms=FORMS))
    base = [one for one in ("age", "female", "education_years", "home_size") if work.has(one)]
    matched = attempt(
        Phrase("urrbmi.table_matched"),
        lambda: matched_did(
            work.changing(people.drop_nulls([OUTCOME, *base])),
            outcome=OUTCOME,
            treatment="joined",
            covariates=base,
            **work.common,
        ),
        undone,
    )
    if matched is not None:
        tables.append(Table("matched", Phrase("urrbmi.table_matched"), matched))
    return Section(
        "checks", Phrase("urrbmi.title_checks"), _words("text", "checks"), tuple(tables), undone=tuple(undone)
    )


def _truth(work: _Work) -> Section | None:
    """Say what is true of files that medfloor made up: enrolment does nothing there."""
    from medfloor.studies.study import Section

    made_here = "synthetic" in work.panels.homes.columns and work.panels.synthetic
    if not made_here:
        return None
    return Section("truth", Phrase("cii.title_truth"), _words("text", "truth"))
