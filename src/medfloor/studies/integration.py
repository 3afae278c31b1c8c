"""Ask what joining the urban and rural schemes does: pooling, equity, reverse subsidy, sustainability (seed 002)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medfloor.errors import InputError, UsageError
from medfloor.intake.cfps_files import find_cfps_files
from medfloor.studies import joined_county, joined_survey
from medfloor.studies.about import About, Option, Quotation, Setting
from medfloor.studies.joined_fund import YEARS
from medfloor.studies.panels import read_panels, remarks
from medfloor.studies.study import Claim, Section, Study
from medfloor.words import Phrase

SEED = "002"


def _quote(text: str) -> Quotation:
    return Quotation(SEED, text)


def _words(name: str, /, **values: object) -> Phrase:
    return Phrase.of(f"integration.{name}", **values)


AIM = _quote(
    "结果显示,我国城乡居民医保整合治理因病返贫还存在统筹层次提高难,权益公平性受损,"
    "城乡“逆向补贴”以及可持续化难度高等现实挑战"
)
EFFECT = _quote(
    "the main achievements of the integration of urban and rural residents’ medical insurance to prevent the returning "
    "to poverty due to illness in China were summarized"
)
POOLING = _quote("the difficulty of improving the level of overall planning")
EQUITY = _quote("the impaired fairness of rights and interests")
REVERSE = _quote("the reverse subsidy between urban and rural areas")
SUSTAINED = _quote("the difficulty of sustainability")
PATHS = _quote(
    "应通过加快医保省级统筹;向“一制一档”过渡,增进医保权益公平;优化城乡医疗资源配置;"
    "强化医保基金监管,确保收支平衡可持续等路径"
)

ABOUT = About(
    name="integration",
    seed=SEED,
    title=Phrase("study_title.integration"),
    question=_words("question"),
    data=(_words("data_survey"), _words("data_county")),
    design=(_words("design_survey"), _words("design_equity"), _words("design_county"), _words("design_levels")),
    equations=(_words("equation_twfe"), _words("equation_index"), _words("equation_transfer")),
    tables=tuple(
        _words(f"title_{name}")
        for name in (
            "schemes",
            "effect",
            "equity",
            "flat",
            "pooling",
            "fairness",
            "reverse",
            "funds",
            "years",
        )
    ),
    needs=(_words("needs_rollout"), _words("needs_regions"), _words("needs_law")),
    limits=(
        _words("limit_document"),
        _words("limit_reported"),
        _words("limit_assumed"),
        _words("limit_flat"),
        _words("limit_years"),
    ),
    options=(
        Option("waves", "2012-2020", Phrase("studies.option_waves")),
        Option("rollout", None, Phrase("studies.option_rollout")),
        Option("crosswalk", None, Phrase("studies.option_crosswalk")),
        Option("policy", None, Phrase("studies.option_policy")),
        Option("layout", None, Phrase("studies.option_layout")),
        Option("law", None, _words("option_law")),
        Option("points", 10.0, _words("option_points")),
        Option("gap", 0.25, _words("option_gap")),
        Option("years", YEARS, _words("option_years")),
        Option("behaviour", "none", _words("option_behaviour"), choices=("none", "stated")),
    ),
    printed=(AIM, EFFECT, POOLING, EQUITY, REVERSE, SUSTAINED, PATHS),
)


def run(folder: Path, *, seed: int, settings: Mapping[str, Setting]) -> Study:
    """Run the study on files of CFPS, on a county (or several, each in a folder of its own), or on both.

    `seed` is that of the response of use. Raises InputError no_data where the folder has neither, and what reading,
    settling and estimating raise; UsageError bad_setting.
    """
    if not 0 <= float(settings["gap"] or 0.0) < 1 or not 0 <= float(settings["points"] or 0.0) <= 100:
        raise UsageError("bad_setting", "gap is a share from 0 to below 1 and points lie from 0 to 100")
    if not 1 <= int(settings["years"] or 0) <= 75:
        raise UsageError("bad_setting", f"years = {settings['years']} cannot be projected; use 1 to 75")
    survey = _survey_folder(folder)
    places = joined_county.places_of(folder)
    if survey is None and not places:
        raise InputError(
            "no_data",
            f"{folder} has neither files of CFPS (cfps2014famecon_..., two waves or more) nor a county's claims, "
            "people and households; put either there, or each in a folder within it",
        )
    sections: list[Section] = []
    warnings: list[Phrase] = []
    notes: list[Phrase] = []
    synthetic = False
    if survey is not None:
        panels = read_panels(survey, waves=str(settings["waves"]), layout=_text(settings["layout"]))
        found, heard = joined_survey.effect(panels, survey, settings, EFFECT)
        sections += [
            joined_survey.schemes(panels),
            found,
            joined_survey.equity(panels, EQUITY),
            joined_survey.flat_benefits(panels, REVERSE),
        ]
        warnings += heard
        notes += [_words("of_survey", waves=", ".join(map(str, panels.waves))), *remarks(panels)]
        synthetic = synthetic or panels.synthetic
    if places:
        counties = joined_county.try_laws(places, settings, seed=seed)
        sections += [
            joined_county.pooling(counties, POOLING),
            joined_county.fairness(counties, EQUITY),
            joined_county.reverse_subsidy(counties, REVERSE),
            joined_county.sustainability(counties, SUSTAINED),
        ]
        notes += [
            _words(
                "of_county",
                places=", ".join(one.name for one in places),
                law=counties.law,
                points=f"{settings['points']:g}",
                gap=f"{100 * float(settings['gap'] or 0):g}",
                personal=f"{counties.levels.personal:g}",
                subsidy=f"{counties.levels.subsidy:g}",
            ),
            *counties.simulation.notes,
        ]
        synthetic = synthetic or counties.simulation.synthetic
    sections += _not_tried(survey=survey is not None, county=bool(places))
    notes += [_words("no_survey")] if survey is None else [_words("no_county")] if not places else []
    return Study(
        about=ABOUT,
        sections=tuple(_once(sections)),
        data=str(folder),
        synthetic=synthetic,
        settings={**settings, "seed": seed},
        warnings=tuple(warnings),
        notes=tuple(notes),
    )


def _not_tried(*, survey: bool, county: bool) -> list[Section]:
    """Say what the document printed also where the folder has nothing to set beside it."""
    lacking = [] if survey else [("effect", EFFECT)]
    lacking += [] if county else [("pooling", POOLING), ("funds", SUSTAINED)]
    return [
        Section(name, _words(f"title_{name}"), claims=(Claim(quote, _words("not_known"), "not_tried"),))
        for name, quote in lacking
    ]


def _survey_folder(folder: Path) -> Path | None:
    """Find the folder with famecon files of two waves: the folder itself, or one in it."""
    for one in (folder, *sorted(inner for inner in folder.iterdir() if inner.is_dir())):
        try:
            found, _ = find_cfps_files(one)
        except InputError:
            continue
        if len({file.wave for file in found if file.kind == "famecon"}) > 1:
            return one
    return None


def _text(value: Setting) -> str | None:
    return None if value is None else str(value)


def _once(sections: list[Section]) -> list[Section]:
    """See that no two tables have one name: each becomes a file."""
    names = [table.name for section in sections for table in section.tables]
    assert len(set(names)) == len(names), names
    return sections
