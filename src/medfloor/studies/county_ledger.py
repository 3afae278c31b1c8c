"""Tell what insurance takes off the bills of a county's poor: diseases, patients, tiers, burden, risk (seed 003)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.measures.burden import BEFORE, Reference, burden
from medfloor.measures.consistency import consistency
from medfloor.measures.design import Design
from medfloor.measures.result import MISSING_GROUP, Result
from medfloor.studies.about import About, Option, Quotation, Setting
from medfloor.studies.chapters import UNKNOWN, source
from medfloor.studies.county import County, read_county
from medfloor.studies.ledger import AGES, STAYS, Ledger, ledger_of
from medfloor.studies.study import Claim, Picture, Section, Study, Table, attempt
from medfloor.words import Phrase, knows

SEED = "003"


def _quote(text: str) -> Quotation:
    return Quotation(SEED, text)


def _words(name: str, /, **values: object) -> Phrase:
    return Phrase.of(f"county_ledger.{name}", **values)


INSURED = _quote("In the sample of the poor population,all the poor people have been insured")
WHO = _quote(
    "the proportion of male with medical expenses is slightly higher than that of female,and the elderly aged 60-80 "
    "are the main group of patients."
)
SPECTRUM = _quote(
    "The most common diseases were circulatory system diseases(1394 cases),accounting for54.09%,followed by "
    "respiratory system diseases(346 cases),accounting for 13.43%."
)
REDUCED = _quote(
    "The BRI was higher than 0.8 after compensation for basic medical insurance,critical illness insurance,and "
    "medical assistance"
)
SEX_AND_STAYS = _quote("The BRI of gender and number of hospitalization variable subgroups were higher than 0.80.")
AGE_AND_DISEASE = _quote(
    "The BRI of most subgroups of age and disease variables is higher than 0.80,reaching the relatively safe zone of "
    "BRI"
)
SAFE = _quote(
    "After all compensations,a total of 2002 cases(77.69%)were in the relatively safe zone,of which there were 1041 "
    "and 961 cases in the low-risk and high-risk intervals,accounting for 74.25%and 81.79% of the cases without BRI "
    "impact,respectively."
)

PRINTED = (
    ("circulatory", "54.09", 2577, 1394),
    ("respiratory", "13.43", 2577, 346),
    ("safe", "77.69", 2577, 2002),
    ("safe_low", "74.25", 1402, 1041),
    ("safe_high", "81.79", 1175, 961),
)
"""Percentages that the document printed, the number of cases they are of, and the count that it printed. It printed no
number of cases: 2,577 is the one number of which 2,002 are 77.69 %, 1,394 are 54.09 % and 346 are 13.43 %; 1,402 and
1,175 follow in the same way and add up to it."""

FEWEST = 5
"""A group of fewer cases is named in no sentence."""

GROUPS = {"sex": "sex", "age_band": "age", "chapter": "disease", "stays_band": "stays"}
"""Column of cases -> the word of the table by it."""

ABOUT = About(
    name="county-ledger",
    seed=SEED,
    title=Phrase("study_title.county-ledger"),
    question=_words("question"),
    data=(_words("data_tables"), _words("data_cases")),
    design=(_words("design_groups"), _words("design_errors")),
    equations=(_words("equation_bri"), _words("equation_risk"), _words("equation_ratio")),
    tables=tuple(
        _words(f"title_{name}")
        for name in ("register", "spectrum", "by_sex", "by_age", "tiers", "burden", "groups", "risk", "possible")
    ),
    needs=(_words("needs_settlements"), _words("needs_people"), _words("needs_statuses"), _words("needs_income")),
    limits=(_words("limit_formula"), _words("limit_cause"), _words("limit_care"), _words("limit_forgone")),
    options=(
        Option("policy", None, _words("option_policy")),
        Option("people", "poor", _words("option_people"), choices=("poor", "all")),
        Option("case", "stay", _words("option_case"), choices=("stay", "claim", "person")),
        Option("reference", "mean", _words("option_reference")),
        Option("safe", 0.8, _words("option_safe")),
    ),
    printed=(INSURED, WHO, SPECTRUM, REDUCED, SEX_AND_STAYS, AGE_AND_DISEASE, SAFE),
)


def run(folder: Path, *, seed: int, settings: Mapping[str, Setting]) -> Study:
    """Run the study on a folder with a county's tables. `seed` does nothing: no chance is in it.

    Raises InputError no_settlements, no_cases and what reading and settling raise; UsageError no_law, bad_setting.
    """
    reference = _reference(str(settings["reference"]))
    safe = float(settings["safe"] or 0.8)
    policy = settings["policy"]
    county = read_county(folder, policy=None if policy is None else str(policy))
    ledger = ledger_of(county, people=str(settings["people"]), case=str(settings["case"]))
    warnings = []
    if county.statuses is None and settings["people"] == "poor":
        warnings.append(_words("no_statuses"))
    if county.counts.get("refused"):
        warnings.append(_words("refused", rows=f"{county.counts['refused']:,}"))
    if county.paid["care_type"].null_count() == county.paid.height and settings["case"] == "stay":
        warnings.append(_words("no_care_type"))
    unknown = int((ledger.cases["chapter"] == UNKNOWN).sum())
    if unknown:
        warnings.append(_words("no_chapter", cases=f"{unknown:,}", of=f"{ledger.cases.height:,}"))
    return Study(
        about=ABOUT,
        sections=(
            register(county),
            spectrum(ledger),
            beneficiaries(ledger),
            compensation(ledger, county.tiers),
            reductions(ledger, county.tiers, reference, safe),
            groups(ledger, county.tiers, reference, safe),
            risk(ledger, county.tiers, reference, safe),
            possible(),
        ),
        data=str(folder),
        synthetic=county.synthetic,
        settings={**settings, "seed": seed},
        warnings=tuple(warnings),
        notes=_notes(county, ledger, str(settings["case"])),
        sources=(source(),),
    )


def register(county: County) -> Section:
    """Say how many people there are, how many hold a status, and who is insured."""
    name, title = "register", _words("title_register")
    people = county.people
    if people is None or "scheme" not in people.columns or county.statuses is None:
        return Section(
            name, title, claims=(Claim(INSURED, _words("not_known"), "not_tried"),), undone=(_words("undone_register"),)
        )
    poor = pl.col("person_id").is_in(county.holders()["person_id"].implode())
    insured = pl.col("scheme") != "none"
    asked = {"with_status": poor, "without_status": ~poor, "everyone": pl.lit(True)}
    rows: list[dict[str, Any]] = []
    for who, which in asked.items():
        part = people.filter(which)
        number = part.filter(insured).height
        rows.append({"who": who, "people": part.height, "insured": number, "share": _over(number, part.height)})
    frame = pl.DataFrame(rows)
    held, number = int(rows[0]["people"]), int(rows[0]["insured"])
    verdict = "not_tried" if not held else "same" if held == number else "other"
    return Section(
        name,
        title,
        (_words("text_register"),),
        (Table("register", title, frame, forms={"people": "count", "insured": "count", "share": "percent"}),),
        claims=(Claim(INSURED, _words("found_insured", insured=f"{number:,}", people=f"{held:,}"), verdict),),
    )


def spectrum(ledger: Ledger) -> Section:
    """Count cases by chapter of ICD-10, with their costs."""
    frame = _counted(ledger.cases, "chapter").sort("cases", "chapter", descending=[True, False])
    named = frame.filter(~pl.col("chapter").is_in([UNKNOWN, "other"]))
    title = _words("title_spectrum")
    if named.is_empty():
        return Section(
            "spectrum",
            title,
            claims=(Claim(SPECTRUM, _words("not_known"), "not_tried"),),
            undone=(_words("undone_spectrum"),),
        )
    first = named.row(0, named=True)
    then = named.row(1, named=True) if named.height > 1 else None
    names = [str(one) for one in named["chapter"].head(2).to_list()]
    same = names in (["icd_09", "icd_10"], ["circulatory", "respiratory"])
    found = _words(
        "found_spectrum",
        first=_group(first["chapter"]),
        cases=f"{first['cases']:,}",
        share=_percent(first["share"]),
        then=_group(then["chapter"]) if then else "-",
        others=f"{then['cases']:,}" if then else "0",
        other_share=_percent(then["share"] if then else 0.0),
    )
    return Section(
        "spectrum",
        title,
        (_words("text_spectrum"),),
        (Table("spectrum", title, frame, forms=_FORMS, notes=(_words("note_chapters"),)),),
        claims=(Claim(SPECTRUM, found, "same" if same else "other"),),
    )


def beneficiaries(ledger: Ledger) -> Section:
    """Count cases and people by sex and by age."""
    tables, undone = [], []
    for name, column in (("by_sex", "sex"), ("by_age", "age_band")):
        if ledger.cases[column].null_count() == ledger.cases.height:
            undone.append(_words(f"undone_{name}"))
            continue
        frame = _ordered(_counted(ledger.cases, column), column)
        tables.append(Table(name, _words(f"title_{name}"), frame, forms=_FORMS))
    found, verdict = _words("not_known"), "not_tried"
    if len(tables) == 2:
        people = {str(one["sex"]): int(one["people"]) for one in tables[0].content.iter_rows(named=True)}  # type: ignore[union-attr]
        ages = tables[1].content.filter(pl.col("age_band").is_not_null()).sort("cases", descending=True)  # type: ignore[union-attr]
        men, women = people.get("male", 0), people.get("female", 0)
        main = str(ages["age_band"][0])
        found = _words("found_who", men=f"{men:,}", women=f"{women:,}", main=main, share=_percent(ages["share"][0]))
        # Two things are said; one verdict is given only where both come out alike.
        alike = (men > women) + (main == "60-80")
        verdict = ("other", "unclear", "same")[alike]
    return Section(
        "beneficiaries",
        _words("title_beneficiaries"),
        (_words("text_beneficiaries"),),
        tuple(tables),
        claims=(Claim(WHO, found, verdict),),
        undone=tuple(undone),
    )


def compensation(ledger: Ledger, tiers: Sequence[str]) -> Section:
    """Say what each tier paid, to how many, and which part of all costs and of those in scope it was."""
    cases = ledger.cases
    cost = float(cases["total"].sum())
    scope = float(cases["in_scope"].sum()) if "in_scope" in cases.columns else None
    rows, sum_paid = [], 0.0
    for tier in tiers:
        paid = cases[f"pay_{tier}"]
        mine, got = float(paid.sum()), cases.filter(paid > 0)
        sum_paid += mine
        rows.append(
            {
                "tier": tier,
                "cases": got.height,
                "people": got["person_id"].n_unique(),
                "share": _over(got.height, cases.height),
                "paid": mine,
                "of_cost": _over(mine, cost),
                "of_cost_so_far": _over(sum_paid, cost),
                "of_scope": _over(mine, scope),
                "of_scope_so_far": _over(sum_paid, scope),
                "mean_paid": _over(mine, got.height),
            }
        )
    left = float(cases["own"].sum())
    rows.append(
        {
            **dict.fromkeys(rows[0]),
            "tier": "own",
            "cases": cases.filter(pl.col("own") > 0).height,
            "people": cases.filter(pl.col("own") > 0)["person_id"].n_unique(),
            "paid": left,
            "share": _over(cases.filter(pl.col("own") > 0).height, cases.height),
            "of_cost": _over(left, cost),
            "mean_paid": _over(left, cases.filter(pl.col("own") > 0).height),
        }
    )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    forms = {"cases": "count", "people": "count", "paid": "amount", "mean_paid": "amount"}
    forms |= dict.fromkeys(("share", "of_cost", "of_cost_so_far", "of_scope", "of_scope_so_far"), "percent")
    found = _words("found_tiers", paid=_percent(_over(sum_paid, cost)), own=_percent(_over(left, cost)))
    return Section(
        "compensation",
        _words("title_compensation"),
        (_words("text_tiers"),),
        (Table("tiers", _words("title_tiers"), frame, forms=forms),),
        found=(found,),
    )


def reductions(ledger: Ledger, tiers: Sequence[str], reference: Reference, safe: float) -> Section:
    """Work out the burden reduction index after each tier, over all cases."""
    undone: list[Phrase] = []
    name, title = "burden", _words("title_burden")
    whole = attempt(title, lambda: _burden(ledger, tiers, reference, safe), undone)
    if whole is None:
        return Section(name, title, claims=(Claim(REDUCED, _words("not_known"), "not_tried"),), undone=tuple(undone))
    last = _last(whole)
    row = whole.pick("burden_reduction", tier=last)
    low, high = row.interval
    verdict = "same" if low > 0.8 else "other" if high < 0.8 else "unclear"
    mean = whole.value("mean_burden_reduction", tier=last)
    found = _words(
        "found_burden", value=f"{row.estimate:.4f}", low=f"{low:.4f}", high=f"{high:.4f}", mean=f"{mean:.4f}"
    )
    kept = whole.rows.filter(~pl.col("statistic").is_in(("cross_cases", "cross_share", "change_cases", "change_share")))
    drawn = replace(whole, rows=whole.rows.filter(pl.col("statistic") == "burden_reduction"))
    return Section(
        name,
        title,
        (_words("text_burden"),),
        (Table("burden", title, replace(whole, rows=kept)),),
        (Picture("burden", title, drawn, "steps"),),
        claims=(Claim(REDUCED, found, verdict),),
    )


def groups(ledger: Ledger, tiers: Sequence[str], reference: Reference, safe: float) -> Section:
    """Work the same out by sex, age, disease and number of stays."""
    name, title = "groups", _words("title_groups")
    undone: list[Phrase] = []
    known = [one for one in GROUPS if ledger.cases[one].null_count() < ledger.cases.height]
    known = [one for one in known if one != "chapter" or ledger.cases["chapter"].n_unique() > 1]
    frames, pictures = [], []
    for column, told in GROUPS.items():
        if column not in known:
            undone.append(_words(f"undone_by_{told}"))
            continue
        by = attempt(title, _grouped(ledger, tiers, reference, safe, column), undone)
        if by is not None:
            frames.append(_group_rows(by, column))
            picture = replace(
                by, rows=by.rows.filter((pl.col("statistic") == "burden_reduction") & (pl.col("tier") == _last(by)))
            )
            pictures.append(Picture(f"burden_{told}", _words(f"figure_{told}"), picture, "groups"))
    if not frames:
        claims = tuple(Claim(one, _words("not_known"), "not_tried") for one in (SEX_AND_STAYS, AGE_AND_DISEASE))
        return Section(name, title, claims=claims, undone=tuple(undone))
    frame = pl.concat(frames)
    final = frame.filter(pl.col("tier") == frame["tier"][-1])
    claims = (
        Claim(SEX_AND_STAYS, *_above(final, ("sex", "stays"), every=True)),
        Claim(AGE_AND_DISEASE, *_above(final, ("age", "disease"), every=False)),
    )
    forms = dict.fromkeys(("burden_reduction", "se", "low", "high", "mean_burden_reduction", "relative_risk"), "index")
    forms |= {"cases": "count", "safe_share": "percent"}
    return Section(
        name,
        title,
        (_words("text_groups"),),
        (
            Table("groups", _words("title_groups"), final.drop("tier"), forms=forms, notes=(_words("note_small"),)),
            Table("groups_by_tier", _words("title_groups_by_tier"), frame, forms=forms),
        ),
        tuple(pictures),
        claims=claims,
        undone=tuple(undone),
    )


def risk(ledger: Ledger, tiers: Sequence[str], reference: Reference, safe: float) -> Section:
    """Cross the risk before any compensation with the zone after all of it, under each reference that is known."""
    name, title = "risk", _words("title_risk")
    undone: list[Phrase] = []
    asked: dict[str, Reference] = {str(reference): reference}
    if "income" not in asked and ledger.cases["income"].null_count() < ledger.cases.height:
        asked["income"] = "income"
    tables: list[Table] = []
    claim: Claim | None = None
    for told, one in asked.items():
        whole = attempt(title, _with_reference(ledger, tiers, one, safe), undone)
        if whole is None:
            continue
        frame = _crossed(whole)
        tables.append(
            Table(
                f"risk_{told}" if tables else "risk",
                _words("title_risk_of", reference=whole.line or told),
                frame,
                forms={"cases": "count", "share": "percent"},
                notes=(_words("note_risk"),),
            )
        )
        claim = claim or _safe_claim(frame, whole)
    claim = claim or Claim(SAFE, _words("not_known"), "not_tried")
    return Section(name, title, (_words("text_risk"),), tuple(tables), claims=(claim,), undone=tuple(undone))


def possible() -> Section:
    """Ask whether the percentages that the document printed are those of its counts."""
    labels, percents, n, counts = zip(*PRINTED, strict=True)
    found = consistency({"label": list(labels), "percent": list(percents), "n": list(n)})
    checked = found.rows.filter(pl.col("statistic") == "consistent").select(
        "label", "percent", "n", "verdict", "counts"
    )
    frame = checked.with_columns(pl.Series("printed_count", counts)).select(
        "label", "percent", "printed_count", "n", "verdict", "counts"
    )
    forms = {"printed_count": "count", "n": "count"}
    return Section(
        "possible",
        _words("title_possible"),
        (_words("text_possible"),),
        (Table("possible", _words("title_possible"), frame, forms=forms),),
    )


_FORMS = {
    "cases": "count",
    "people": "count",
    "share": "percent",
    "cost": "amount",
    "cost_share": "percent",
    "mean_cost": "amount",
}


def _notes(county: County, ledger: Ledger, case: str) -> tuple[Phrase, ...]:
    law = county.law
    settled = (
        _words("settled_under", law=Path(law).name if law.endswith(".yaml") else law) if law else _words("as_settled")
    )
    return (
        settled,
        _words(
            "cases_of",
            cases=f"{ledger.cases.height:,}",
            people=f"{ledger.cases['person_id'].n_unique():,}",
            claims=f"{county.counts['claims']:,}",
            case=_words(f"case_{case}"),
            other_care=f"{ledger.counts['other_care']:,}",
            not_poor=f"{ledger.counts.get('not_poor', 0):,}",
            no_cost=f"{ledger.counts['no_cost']:,}",
            taken_back=f"{county.counts['taken_back']:,}",
        ),
    )


def _reference(text: str) -> Reference:
    if text in ("mean", "median", "income"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(
            "bad_setting", f"reference={text}: write mean, median, income, or an amount in yuan above zero"
        )
    return value


def _over(part: float, whole: float | None) -> float | None:
    return part / whole if whole else None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _group(name: object) -> Phrase | str:
    return Phrase(f"group.{name}") if knows(f"group.{name}") else str(name)


def _counted(cases: pl.DataFrame, column: str) -> pl.DataFrame:
    cost = float(cases["total"].sum())
    return cases.group_by(column).agg(
        pl.len().alias("cases"),
        (pl.len() / cases.height).alias("share"),
        pl.col("person_id").n_unique().alias("people"),
        pl.col("total").sum().alias("cost"),
        (pl.col("total").sum() / cost).alias("cost_share"),
        pl.col("total").mean().alias("mean_cost"),
    )


_ORDER = [*(name for name, _, _ in AGES), *STAYS, "male", "female", "yes", "no"]


def _ordered(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    places = {name: place for place, name in enumerate(_ORDER)}
    at = pl.col(column).replace_strict(places, default=len(places), return_dtype=pl.Int64)
    return frame.sort(at, column, nulls_last=True)


def _design(cases: pl.DataFrame) -> Design:
    """Let the cases of one person go together."""
    return Design(psu="person_id") if cases["person_id"].n_unique() < cases.height else Design()


def _burden(ledger: Ledger, tiers: Sequence[str], reference: Reference, safe: float, by: str | None = None) -> Result:
    cases = ledger.cases
    if reference == "income":
        cases = cases.filter(pl.col("income").is_not_null())
    return burden(
        cases,
        reference=reference,
        tiers=[f"pay_{tier}" for tier in tiers],
        safe=safe,
        by=by,
        design=_design(cases),
        unit="household",
    )


def _grouped(ledger: Ledger, tiers: Sequence[str], reference: Reference, safe: float, by: str) -> Callable[[], Result]:
    return lambda: _burden(ledger, tiers, reference, safe, by)


def _with_reference(ledger: Ledger, tiers: Sequence[str], reference: Reference, safe: float) -> Callable[[], Result]:
    return lambda: _burden(ledger, tiers, reference, safe)


def _last(found: Result) -> str:
    return str(found.rows.filter(pl.col("statistic") == "burden_reduction")["tier"][-1])


def _group_rows(found: Result, column: str) -> pl.DataFrame:
    """Give one row a group and tier: cases, index with its interval, mean of ratios, safe share, relative risk."""
    rows = found.rows.filter(pl.col("group").is_not_null() & pl.col("against").is_null() & (pl.col("tier") != BEFORE))
    base = rows.filter(pl.col("statistic") == "burden_reduction").select(
        pl.lit(GROUPS[column]).alias("by"),
        "group",
        "tier",
        pl.col("n").alias("cases"),
        pl.col("estimate").alias("burden_reduction"),
        # One person alone has no error; a zero would look like certainty.
        pl.when(pl.col("low").is_not_null()).then("se").alias("se"),
        "low",
        "high",
    )
    for name in ("mean_burden_reduction", "safe_share", "relative_risk"):
        more = rows.filter(pl.col("statistic") == name).select("group", "tier", pl.col("estimate").alias(name))
        base = base.join(more, on=["group", "tier"], how="left", maintain_order="left")
    tiers = {name: place for place, name in enumerate(base["tier"].unique(maintain_order=True))}
    places = {name: place for place, name in enumerate(_ORDER)}
    order = pl.col("group").replace_strict(places, default=len(places), return_dtype=pl.Int64)
    at = pl.col("tier").replace_strict(tiers, return_dtype=pl.Int64)
    return base.sort(order, "group", at)


def _above(final: pl.DataFrame, of: Sequence[str], *, every: bool) -> tuple[Phrase, str]:
    """Say how many groups have an index above 0.8; the verdict asks for all of them, or for more than half."""
    rows = final.filter(
        pl.col("by").is_in(list(of)) & pl.col("group").is_not_null() & (pl.col("group") != MISSING_GROUP)
    )
    if rows.is_empty():
        return _words("not_known"), "not_tried"
    above = rows.filter(pl.col("burden_reduction") > 0.8).height
    # A group of one or two cases would nearly always be the lowest; it says nothing, and tells of somebody.
    told = rows.filter(pl.col("cases") >= FEWEST)
    if told.is_empty():
        return _words("not_known"), "not_tried"
    lowest = told.sort("burden_reduction").row(0, named=True)
    found = _words(
        "found_groups",
        above=above,
        groups=rows.height,
        lowest=_group(lowest["group"]),
        value=f"{lowest['burden_reduction']:.4f}",
        cases=f"{lowest['cases']:,}",
    )
    if every:
        return found, "same" if above == rows.height else "other"
    return found, "same" if 2 * above > rows.height else "other"


def _crossed(found: Result) -> pl.DataFrame:
    rows = found.rows.filter((pl.col("tier") == _last(found)) & pl.col("group").is_null())
    cells = rows.filter(pl.col("statistic") == "cross_cases").select("risk", "zone", pl.col("estimate").alias("cases"))
    shares = rows.filter(pl.col("statistic") == "cross_share").select("risk", "zone", pl.col("estimate").alias("share"))
    return cells.join(shares, on=["risk", "zone"], how="left", maintain_order="left")


def _safe_claim(frame: pl.DataFrame, whole: Result) -> Claim:
    cells = {(row["risk"], row["zone"]): row for row in frame.iter_rows(named=True)}
    low, high = cells["low", "safe"], cells["high", "safe"]
    cases = float(frame["cases"].sum())
    safe = low["cases"] + high["cases"]
    found = _words(
        "found_safe",
        safe=f"{safe:,.0f}",
        share=_percent(safe / cases),
        low=f"{low['cases']:,.0f}",
        high=f"{high['cases']:,.0f}",
        low_share=_percent(_nan(low["share"])),
        high_share=_percent(_nan(high["share"])),
        p=_p(whole),
    )
    p = _p_value(whole)
    if p is None or low["share"] is None or high["share"] is None:
        return Claim(SAFE, found, "not_tried")
    more = high["share"] > low["share"]
    return Claim(SAFE, found, "unclear" if p >= 0.05 else "same" if more else "other")


def _nan(value: float | None) -> float | None:
    return None if value is None or value != value else value


def _p_value(whole: Result) -> float | None:
    rows = whole.rows.filter((pl.col("statistic") == "rao_scott_f") & (pl.col("tier") == _last(whole)))
    return None if rows.is_empty() else _nan(rows["p"][0])


def _p(whole: Result) -> str:
    p = _p_value(whole)
    return "-" if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}"
