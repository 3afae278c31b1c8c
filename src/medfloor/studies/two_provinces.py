"""Hold registered poor households beside others and the national average: illness, burden, the cliff (seed 004)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import polars as pl

from medfloor.errors import InputError
from medfloor.intake import read_microdata
from medfloor.measures.catastrophic import Definition
from medfloor.measures.cliff import status_cliff
from medfloor.measures.design import Design
from medfloor.measures.result import Result
from medfloor.measures.sample import design_in
from medfloor.measures.seed_004 import NATIONAL, seed_004
from medfloor.measures.survey import design_summary, pps_inclusion_probabilities
from medfloor.policy.load import load_policy
from medfloor.settlement import settle
from medfloor.studies.about import About, Option, Quotation, Setting
from medfloor.studies.poor_homes import Homes, read_homes
from medfloor.studies.study import Claim, Picture, Section, Study, Table, attempt
from medfloor.words import Phrase

SEED = "004"


def _quote(text: str) -> Quotation:
    return Quotation(SEED, text)


def _words(name: str, /, **values: object) -> Phrase:
    return Phrase.of(f"two_provinces.{name}", **values)


SAMPLE = _quote(
    "696 registered poor households, including 250 in Hubei Province and 446 in Jiangxi Province; 417 "
    "non-registered poor households, including 50 in Hubei Province and 367 in Jiangxi Province."
)
DRAWN = _quote(
    "The survey data adopts multi-stage sampling, adopts PPS sampling in the sampling stage of county/district "
    "and administrative villages, and adopts random sampling method to select samples at the household and "
    "individual level"
)
CHRONIC = _quote(
    "the proportion of registered poor households in Jiangxi and Hubei provinces surveyed in this study "
    "suffering from chronic diseases is 40.37%, which is significantly higher than that of non-registered poor "
    "households in the same region and the national average."
)
MAJOR = _quote(
    "the morbidity rate of major diseases among the registered poor households under the investigation is "
    "15.80%, which is more likely to suffer from a major disease than the 12.55% prevalence rate of major "
    "diseases among the non-registered poor households"
)
HOSPITAL = _quote(
    "the hospitalization rate of poor households in Jiangxi and Hubei provinces in the survey sample is 22.70%, "
    "which is much higher than that of non-registered poor households and the national average."
)
CATASTROPHIC = _quote(
    "the incidence of catastrophic health expenditures for the registered poor households and non-registered "
    "poor households in Jiangxi and Hubei provinces was 17.24% and 25.66%, respectively, both higher than the "
    "national average"
)
BANDS = _quote(
    "the reimbursement ratio of the registered poor households over 90% only accounted for 9% of the survey "
    "respondents; Among the non-registered poor households, half of the people's hospital reimbursement rate is "
    "less than 50%, and no one has a reimbursement rate of more than 90%."
)
FIFTH = _quote(
    "no matter whether it is registered or non-registered, more than one-fifth of the poor households have a "
    "hospital reimbursement rate of less than 50%."
)
OWN = _quote(
    "the per-time hospital out-of-pocket expenses of the surveyed poor households with registered and "
    "non-registered poor households were 9415.57 yuan and 49697.89 yuan respectively, far exceeding the national "
    "average level"
)
INCOME = _quote(
    "more than half of the interviewed non-registered poor households received medical care Expenditures exceed "
    "more than 90% of total household income, and only a few non-registered poor households account for less "
    "than 50% of total household income."
)
CLIFF = _quote(
    "The actual reimbursement rate of the non-poor groups participating in the basic medical insurance for urban "
    "and rural residents is up to 65%, while the reimbursement rate for poor who enjoy the assistance of the "
    "medical insurance policy is up to 90%."
)

GROUPS = ("none", "returned_poor", "dibao", "tekun")
BILLS = (2_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0, 200_000.0)

ABOUT = About(
    name="two-provinces",
    seed=SEED,
    title=Phrase("study_title.two-provinces"),
    question=_words("question"),
    data=(_words("data_survey"), _words("data_county"), _words("data_villages")),
    design=(_words("design_groups"), _words("design_national"), _words("design_pps"), _words("design_cliff")),
    equations=(_words("equation_catastrophic"), _words("equation_ratio"), _words("equation_pps")),
    tables=tuple(
        _words(f"title_{name}")
        for name in (
            "sample",
            "table_1",
            "figure_1",
            "figure_2",
            "figures_3_4",
            "table_2",
            "figure_5",
            "cliff",
            "law",
            "possible",
        )
    ),
    needs=(_words("needs_columns"), _words("needs_design"), _words("needs_law")),
    limits=(_words("limit_groups"), _words("limit_capacity"), _words("limit_units"), _words("limit_national")),
    options=(
        Option("policy", None, _words("option_policy")),
        Option("beside", "near", _words("option_beside"), choices=("near", "all")),
        Option("definition", "nonfood", _words("option_definition"), choices=("nonfood", "budget")),
        Option("threshold", 0.4, _words("option_threshold")),
    ),
    printed=(SAMPLE, DRAWN, CHRONIC, MAJOR, HOSPITAL, CATASTROPHIC, BANDS, FIFTH, OWN, INCOME, CLIFF),
)


def run(folder: Path, *, seed: int, settings: Mapping[str, Setting]) -> Study:
    """Run the study on a survey of households, or on a county. `seed` does nothing: no chance is in it.

    Raises InputError no_households, missing_column, not_two_groups and what reading and settling raise.
    """
    policy = None if settings["policy"] is None else str(settings["policy"])
    homes = read_homes(folder, policy=policy, beside=str(settings["beside"]))
    villages = _villages(folder)
    frame, drawn = with_probabilities(homes.frame, villages)
    homes = replace(homes, frame=frame)
    design = design_in(frame)
    found = {
        one.measure.removeprefix("seed_004_"): one
        for one in seed_004(
            frame,
            definition=cast("Definition", settings["definition"]),
            threshold=float(settings["threshold"] or 0.4),
            design=design,
        )
    }
    warnings = [_words("refused", rows=homes.refused)] if homes.refused else []
    if homes.county is None and not {"weight", "psu", "stratum"} & set(frame.columns):
        warnings.append(_words("no_design"))
    return Study(
        about=ABOUT,
        sections=(
            sampled(homes, drawn, design),
            illness(found),
            burdened(found),
            repaid(found),
            own(found),
            cliff(homes, policy, design),
            possible(found),
        ),
        data=str(folder),
        synthetic=homes.synthetic,
        settings={**settings, "seed": seed},
        warnings=tuple(warnings),
        notes=homes.notes,
        sources=(_national_sources(),),
    )


def with_probabilities(frame: pl.DataFrame, villages: pl.DataFrame | None) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """Work out weights of a draw with probability proportional to size, where the sizes of villages are known.

    `villages` has psu and households, one row a village of the frame that was drawn from. A village's chance of being
    drawn is that of `pps_inclusion_probabilities` for as many villages as are in the sample, a household's chance in
    it the drawn over all; the weight is one over the product. A table that brings weights keeps them.

    Raises InputError unknown_village.
    """
    if villages is None or "psu" not in frame.columns:
        return frame, None
    drawn = frame.group_by("psu", maintain_order=True).agg(pl.len().alias("interviewed")).drop_nulls("psu")
    known = villages.filter(pl.col("households") > 0)
    lost = drawn.join(known, on="psu", how="anti")
    if lost.height:
        raise InputError(
            "unknown_village",
            f"{lost.height} villages of the sample are not in the table villages, or have no households",
        )
    chances = pps_inclusion_probabilities(known["households"].to_numpy(), n=drawn.height)
    table = drawn.join(known.with_columns(pl.Series("chance", chances)), on="psu", how="left", maintain_order="left")
    table = table.with_columns(within=pl.col("interviewed") / pl.col("households")).with_columns(
        weight=1 / (pl.col("chance") * pl.col("within"))
    )
    if "weight" not in frame.columns:
        frame = frame.join(table.select("psu", "weight"), on="psu", how="left", maintain_order="left")
    return frame, table.select("psu", "households", "interviewed", "chance", "within", "weight")


def sampled(homes: Homes, drawn: pl.DataFrame | None, design: Design) -> Section:
    """Count the households, and say how they were drawn."""
    frame = homes.frame
    by = "province" if "province" in frame.columns else None
    rows = (
        frame.group_by("registered", *([by] if by else []))
        .len("households")
        .sort("registered", *([by] if by else []), descending=True)
    )
    title = _words("title_sample")
    tables = [Table("sample", title, rows, forms={"households": "count"})]
    counts = dict(frame.group_by("registered").len().iter_rows())
    claims = [Claim(SAMPLE, _words("found_sample", yes=f"{counts.get('yes', 0):,}", no=f"{counts.get('no', 0):,}"))]
    undone: list[Phrase] = []
    if drawn is not None:
        forms = {"households": "count", "interviewed": "count", "chance": "index", "within": "index", "weight": "index"}
        tables.append(Table("pps", _words("title_pps"), drawn, forms=forms, notes=(_words("note_pps"),)))
    if design != Design():
        tables.append(Table("design", _words("title_design"), design_summary(frame, design=design)))
        spread = _words(
            "found_design", columns=", ".join(n for n in ("weight", "stratum", "psu", "fpc") if n in frame.columns)
        )
    elif homes.county is not None:
        spread = _words("found_whole")
    else:
        spread = _words("found_no_design")
        undone.append(_words("undone_pps"))
    claims.append(Claim(DRAWN, spread, None if design != Design() else "not_tried"))
    return Section("sample", title, (_words("text_sample"),), tuple(tables), claims=tuple(claims), undone=tuple(undone))


def illness(found: Mapping[str, Result]) -> Section:
    """Give table 1 and figure 1: major and chronic disease, hospitalisation."""
    first, second = found["table_1"], found["figure_1"]
    return Section(
        "illness",
        _words("title_illness"),
        (_words("text_illness"),),
        (Table("table_1", _words("title_table_1"), first), Table("figure_1", _words("title_figure_1"), second)),
        (
            Picture("table_1", _words("title_table_1"), _only(first, "chronic_disease_prevalence"), "groups"),
            Picture("figure_1", _words("title_figure_1"), _only(second, "hospitalisation_rate"), "groups"),
        ),
        claims=(
            _higher(CHRONIC, first, "chronic_disease_prevalence", national=True),
            _higher(MAJOR, first, "major_disease_prevalence", national=False),
            _higher(HOSPITAL, second, "hospitalisation_rate", national=True),
        ),
    )


def burdened(found: Mapping[str, Result]) -> Section:
    """Give figure 2: catastrophic health spending."""
    result, name = found["figure_2"], "catastrophic_incidence"
    yes, no = (result.pick(name, group=one) for one in ("yes", "no"))
    p = _test(result, name)
    above = all(_beside_national(result, name, one)[0] > 0 for one in ("yes", "no"))
    text = _words("found_catastrophic", **_two(yes, no), national=_percent(NATIONAL[name].value), p=_p(p))
    # Three things are said: fewer among the registered, and both above the national value.
    verdict = "unclear" if p is not None and p >= 0.05 else "same" if yes.estimate < no.estimate and above else "other"
    return Section(
        "catastrophic",
        _words("title_figure_2"),
        (_words("text_catastrophic"),),
        (Table("figure_2", _words("title_figure_2"), result),),
        (Picture("figure_2", _words("title_figure_2"), _only(result, name), "groups"),),
        claims=(Claim(CATASTROPHIC, text, verdict),),
    )


def repaid(found: Mapping[str, Result]) -> Section:
    """Give figures 3 and 4: reimbursement of hospital care in bands."""
    result, name = found["figures_3_4"], "reimbursement_band"
    shares = {(g, b): result.value(name, group=g, band=b) for g in ("yes", "no") for b in ("<50%", ">=90%")}
    text = _words(
        "found_bands",
        yes_low=_percent(shares["yes", "<50%"]),
        yes_high=_percent(shares["yes", ">=90%"]),
        no_low=_percent(shares["no", "<50%"]),
        no_high=_percent(shares["no", ">=90%"]),
    )
    # The document says: few of the registered at the top, half of the others at the bottom, none of them at the top.
    alike = shares["yes", ">=90%"] < 0.2 and 0.4 <= shares["no", "<50%"] <= 0.6 and shares["no", ">=90%"] == 0
    fifth = min(shares["yes", "<50%"], shares["no", "<50%"]) > 0.2
    return Section(
        "bands",
        _words("title_figures_3_4"),
        (_words("text_bands"),),
        (Table("figures_3_4", _words("title_figures_3_4"), result),),
        (Picture("figures_3_4", _words("title_figures_3_4"), _only(result, name), "bands"),),
        claims=(Claim(FIFTH, text, "same" if fifth else "other"), Claim(BANDS, text, "same" if alike else "other")),
    )


def own(found: Mapping[str, Result]) -> Section:
    """Give table 2 and figure 5: own payments for hospital care, and over income."""
    table, figure = found["table_2"], found["figure_5"]
    yes, no = (table.value("own_mean", group=one) for one in ("yes", "no"))
    p = _test(table, "own_mean")
    national = NATIONAL["own_mean"].value
    text = _words("found_own", yes=f"{yes:,.2f}", no=f"{no:,.2f}", national=f"{national:,.0f}", p=_p(p))
    verdict = "unclear" if p is None or p >= 0.05 else "same" if national < yes < no else "other"
    top, low = (figure.value("income_band", group="no", band=one) for one in (">=90%", "<50%"))
    more = _words("found_income", top=_percent(top), low=_percent(low))
    return Section(
        "own",
        _words("title_own"),
        (_words("text_own"),),
        (Table("table_2", _words("title_table_2"), table), Table("figure_5", _words("title_figure_5"), figure)),
        (
            Picture("table_2", _words("title_table_2"), _only(table, "own_mean"), "groups"),
            Picture("figure_5", _words("title_figure_5"), _only(figure, "income_band"), "bands"),
        ),
        claims=(Claim(OWN, text, verdict), Claim(INCOME, more, "same" if top > 0.5 and low < 0.25 else "other")),
    )


def cliff(homes: Homes, policy: str | None, design: Design) -> Section:
    """Measure the cliff: what hospital care is repaid with the status and without, and what the law says by itself."""
    title = _words("title_cliff")
    undone: list[Phrase] = []
    bills = homes.frame.filter(pl.col("total") > 0)
    result = attempt(
        title,
        lambda: status_cliff(
            bills,
            status="registered",
            eligible="yes",
            paid="reimbursed",
            cost="total",
            design=design,
        ),
        undone,
    )
    tables: list[Table] = []
    found, verdict = _words("not_known"), "not_tried"
    if result is not None:
        tables += [
            Table("cliff", title, result),
            Table("highest", _words("title_highest"), _highest(bills), forms=_RATIOS),
        ]
        top = {row["registered"]: row for row in tables[1].content.iter_rows(named=True)}  # type: ignore[union-attr]
        jump = result.pick("jump")
        found = _words(
            "found_cliff",
            yes=_percent(result.value("ratio_eligible")),
            no=_percent(result.value("ratio_ineligible")),
            jump=_points(jump.estimate),
            low=_points(jump.interval[0]),
            high=_points(jump.interval[1]),
            top_yes=_percent(top["yes"]["p95"]),
            top_no=_percent(top["no"]["p95"]),
        )
        verdict = "same" if jump.interval[0] > 0 else "other" if jump.interval[1] < 0 else "unclear"
    law = policy or (homes.county.law if homes.county else None)
    if law is None:
        undone.append(_words("undone_law"))
    else:
        ratios = attempt(_words("title_law"), lambda: by_law(law), undone)
        if ratios is not None:
            forms = {"bill": "amount", **dict.fromkeys(GROUPS, "percent")}
            tables.append(Table("law", _words("title_law"), ratios, forms=forms, notes=(_words("note_law"),)))
    return Section(
        "cliff",
        title,
        (_words("text_cliff"),),
        tuple(tables),
        claims=(Claim(CLIFF, found, verdict),),
        undone=tuple(undone),
    )


def by_law(law: str) -> pl.DataFrame:
    """Give what a law repays of one hospital bill, all in scope, without a status and with one: ratios by bill.

    The stay is at a hospital of level 2 in the pool, the only care of the year, of a resident of 40 years, on the first
    1 July under the law. Columns are `bill` (yuan), none (no status), returned_poor, dibao and tekun.

    >>> ratios = by_law("cn/beijing@2024-01-01")
    >>> ratios.columns[:2], bool((ratios["tekun"] >= ratios["none"]).all())
    (['bill', 'none'], True)
    """
    version = load_policy(law).versions[-1]
    day = f"{version.from_.year if version.from_.month <= 6 else version.from_.year + 1}-07-01"
    claims, people, spells = [], [], []
    for group in GROUPS:
        for place, bill in enumerate(BILLS):
            who = f"{group}-{place}"
            people.append(
                {"person_id": who, "birth_date": f"{int(day[:4]) - 40}-01-01", "sex": "female", "residence": "rural"}
            )
            claims.append(
                {
                    "claim_id": who,
                    "person_id": who,
                    "care_type": "inpatient",
                    "start_date": day,
                    "end_date": day,
                    "facility_level": "2",
                    "total": bill,
                    "in_scope": bill,
                }
            )
            if group != "none":
                spells.append({"person_id": who, "group": group, "from_date": None, "to_date": None})
    done = settle(
        pl.DataFrame(claims),
        pl.DataFrame(people),
        pl.DataFrame(spells, schema_overrides={"from_date": pl.String, "to_date": pl.String}),
        law,
    )
    paid = done.settlements.select("person_id", pl.col("pay_total") / pl.col("total"))
    ratios = dict(paid.iter_rows())
    rows = [
        {"bill": bill, **{group: ratios.get(f"{group}-{place}") for group in GROUPS}}
        for place, bill in enumerate(BILLS)
    ]
    return pl.DataFrame(rows)


def possible(found: Mapping[str, Result]) -> Section:
    """Ask whether the percentages that the document printed can be counts of its households."""
    return Section(
        "possible",
        _words("title_possible"),
        (_words("text_possible"),),
        (Table("possible", _words("title_possible"), found["printed"]),),
    )


_RATIOS = {"patients": "count", **dict.fromkeys(("mean", "p5", "median", "p95", "highest"), "percent")}


def _highest(bills: pl.DataFrame) -> pl.DataFrame:
    ratio = pl.col("reimbursed") / pl.col("total")
    return (
        bills.group_by("registered")
        .agg(
            pl.len().alias("patients"),
            ratio.mean().alias("mean"),
            ratio.quantile(0.05).alias("p5"),
            ratio.median().alias("median"),
            ratio.quantile(0.95).alias("p95"),
            ratio.max().alias("highest"),
        )
        .sort("registered", descending=True)
    )


def _villages(folder: Path) -> pl.DataFrame | None:
    path = next(
        (folder / f"villages{one}" for one in (".csv", ".parquet") if (folder / f"villages{one}").is_file()), None
    )
    if path is None:
        return None
    read = read_microdata(path, numbers=["households"], labels=["psu"], required=["psu", "households"])
    return read.accepted.select("psu", "households").drop_nulls().unique("psu", maintain_order=True)


def _only(result: Result, statistic: str) -> Result:
    return replace(result, rows=result.rows.filter(pl.col("statistic") == statistic))


def _higher(quote: Quotation, result: Result, name: str, *, national: bool) -> Claim:
    """Say that the registered are worse off than the others, and where it was said than the national value."""
    yes, no = (result.pick(name, group=one) for one in ("yes", "no"))
    p = _test(result, name)
    text = _words("found_higher", **_two(yes, no), national=_percent(NATIONAL[name].value), p=_p(p))
    if p is None or p >= 0.05:
        return Claim(quote, text, "unclear")
    more, its_p = _beside_national(result, name, "yes")
    alike = yes.estimate > no.estimate and (not national or (more > 0 and its_p < 0.05))
    return Claim(quote, text, "same" if alike else "other")


def _two(yes: Result, no: Result) -> dict[str, object]:
    return {"yes": _percent(yes.estimate), "no": _percent(no.estimate)}


def _test(result: Result, of: str) -> float | None:
    """Give the p-value of no difference between the groups."""
    rows = result.rows.filter(pl.col("statistic").is_in(["rao_scott_f", "wald_f"]) & (pl.col("of") == of))
    p = rows["p"].drop_nulls()
    return float(p[0]) if p.len() else None


def _beside_national(result: Result, of: str, group: str) -> tuple[float, float]:
    row = result.rows.filter(
        (pl.col("statistic") == "less_yardstick") & (pl.col("of") == of) & (pl.col("group") == group)
    )
    p = row["p"][0]
    return float(row["estimate"][0]), float("nan") if p is None else float(p)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _p(p: float | None) -> str:
    return "-" if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}"


def _national_sources() -> str:
    return "; ".join(dict.fromkeys(one.source.say("en") for one in NATIONAL.values()))
