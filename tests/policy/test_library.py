"""Check the shipped policies against their sources, and the numbers that no settlement uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel

from medfloor.errors import MissingValueError
from medfloor.policy.load import LIBRARY, list_policies, load_policy
from medfloor.policy.model import Applied, Case, Policy, Sourced
from medfloor.policy.resolve import Facts, Rules, resolve

PLACES = {
    "cn/beijing",
    "cn/chongqing",
    "cn/guangdong/dongguan-jiafu",
    "cn/heilongjiang/jiamusi",
    "cn/jiangxi/nanchang",
    "cn/national",
    "cn/neimenggu/ulanqab",
    "cn/shandong",
    "cn/shanghai/huhuibao",
    "synthetic/cn-2025",
    "us/rand-hie",
}
# Which shared texts a place's words may come from; the notes tell what was read elsewhere.
TEXTS = {
    "cn/beijing": ("sources/beijing/*.txt", "sources/README.md"),
    "cn/chongqing": ("notes/domain.md",),
    "cn/guangdong/dongguan-jiafu": ("notes/domain.md", "seeds/004*"),
    "cn/heilongjiang/jiamusi": ("sources/jiamusi/*.txt",),
    "cn/jiangxi/nanchang": ("sources/nanchang/*.txt",),
    "cn/national": ("notes/domain.md", "seeds/004*", "sources/beijing/*.txt"),
    "cn/neimenggu/ulanqab": ("sources/ulanqab/*.txt",),
    "cn/shandong": ("sources/shandong/*.txt",),
    "cn/shanghai/huhuibao": ("notes/domain.md",),
}
FILES = sorted(LIBRARY.rglob("*.yaml"))


def _walk(node: object, path: str = "") -> Iterator[tuple[str, Sourced]]:
    """Give every sourced statement of a policy with its path."""
    if isinstance(node, Sourced):
        yield path, node
    if isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from _walk(getattr(node, name), f"{path}/{name}")
    elif isinstance(node, (list, tuple)):
        for number, item in enumerate(node):
            yield from _walk(item, f"{path}/{getattr(item, 'id', None) or number}")


def _versions(place: str) -> tuple[Policy, ...]:
    return load_policy(place).versions


def _flat(text: str) -> str:
    """Make every run of blanks one, because the texts break their lines anywhere."""
    return re.sub(r"\s+", " ", text)


def test_the_library_has_every_place() -> None:
    assert {place for place, _ in list_policies()} == PLACES


@pytest.mark.parametrize("file", FILES, ids=[file.relative_to(LIBRARY).as_posix() for file in FILES])
def test_every_shipped_file_loads_under_its_own_name_and_date(file: Path) -> None:
    place = file.parent.relative_to(LIBRARY).as_posix()
    policy = load_policy(f"{place}@{file.stem}").versions[0]
    assert (policy.id, policy.from_.isoformat()) == (place, file.stem)


@pytest.mark.parametrize("place", sorted(PLACES))
def test_every_number_names_a_source_that_the_policy_lists(place: str) -> None:
    for policy in _versions(place):
        for path, item in _walk(policy):
            assert item.source is None or item.source in policy.sources, path
            if isinstance(item, Case):
                assert item.source is not None, path


@pytest.mark.parametrize("place", sorted(PLACES - {"us/rand-hie", "synthetic/cn-2025"}))
def test_every_published_number_of_a_chinese_policy_has_a_quotation(place: str) -> None:
    for policy in _versions(place):
        for path, item in _walk(policy):
            if isinstance(item, Case) and not item.missing:
                assert item.quote, path


@pytest.mark.parametrize("place", sorted(TEXTS))
def test_every_quotation_stands_in_its_text(place: str, root: Path) -> None:
    shared = root.parent / "shared"
    if not (shared / "sources").is_dir():
        pytest.skip("the texts of the sources are not beside this repository")
    text = _flat(" ".join(f.read_text(encoding="utf-8") for glob in TEXTS[place] for f in sorted(shared.glob(glob))))
    quotes = {item.quote for policy in _versions(place) for _, item in _walk(policy) if item.quote}
    assert quotes
    assert [quote for quote in sorted(quotes) if _flat(quote) not in text] == []


def _applied_fen(rule: Applied, burden_yuan: int) -> Decimal:
    """Work out an applied-for assistance from its brackets and cap, in yuan."""
    paid, start = Decimal(0), Decimal(0)
    for bracket in rule.brackets:
        end = bracket.up_to[0].value if bracket.up_to else None
        end = Decimal(burden_yuan) if end is None else min(end, Decimal(burden_yuan))
        rate = bracket.rate[0].value
        assert rate is not None
        paid += max(Decimal(0), end - start) * rate / 100
        start = max(start, end)
    cap = rule.cap[0].value
    assert cap is not None
    return min(paid, cap)


@pytest.mark.parametrize(("burden", "pays"), [(80_000, 32_000), (350_000, 150_000), (30_000, 9_000)])
def test_beijing_pays_families_impoverished_by_illness_in_brackets_up_to_a_cap(burden: int, pays: int) -> None:
    """D8: 30,000 x 30 % + 20,000 x 40 % + 30,000 x 50 % = 32,000; 350,000 would give 167,000, the cap is 150,000."""
    (rule,) = _versions("cn/beijing")[-1].applied
    assert _applied_fen(rule, burden) == pays


def test_beijing_2026_premiums_are_the_published_ones() -> None:
    premiums = {row.id: row.personal.value for row in load_policy("cn/beijing@2026-01-01").versions[0].premiums}
    assert premiums == {"elderly": 460, "student_child": 435, "working_age": 795}


def _nanchang_cap_yuan(continuous_years: int, claim_free_years: int) -> Decimal:
    policy = _versions("cn/jiangxi/nanchang")[-1]
    facts = Facts("inpatient", "3", continuous_years=continuous_years, claim_free_years=claim_free_years)
    (step,) = [step for step in resolve(policy, facts).steps if step.tier == "critical_illness"]
    return Decimal(step.pots[0][1].fen) / 100


def test_nanchang_s_ceiling_grows_by_3000_a_year_and_a_fifth_at_most() -> None:
    """D15: 300,000 + 3 x 3,000 + 2 x 3,000 = 315,000; never above 360,000."""
    assert _nanchang_cap_yuan(4, 0) == 300_000
    assert _nanchang_cap_yuan(7, 2) == 315_000
    assert _nanchang_cap_yuan(40, 10) == 360_000


def test_chongqing_s_premium_table_is_the_published_one() -> None:
    """The table of the notes, subsidy / personal; product levels 400 and 775."""
    table = {
        row.id: (_yuan(row.subsidy), _yuan(row.personal), row.option) for row in _versions("cn/chongqing")[-1].premiums
    }
    one_two = {"一档": 400, "二档": 775}
    assert table["tekun"] == (400, 0, "一档")
    assert (table["orphan_1"], table["orphan_2"]) == ((400, 0, "一档"), (400, 375, "二档"))
    assert table["de_facto_unsupported"] == (400, 0, "一档")
    assert (table["dibao_1"], table["dibao_2"]) == ((360, 40, "一档"), (400, 375, "二档"))
    seven = {name for name, row in table.items() if row == (280, 120, "一档")}
    assert seven == {
        "severely_disabled",
        "monitored_edge",
        "monitored_unstable",
        "monitored_sudden",
        "dibao_marginal",
        "returned_poor",
        "illness_poor",
    }
    assert (table["entitled_1"], table["entitled_2"]) == ((400, 0, "一档"), (400, 375, "二档"))
    assert table["martyr_family"] == (775, 0, "二档")
    assert (table["poor_student_380"], table["poor_student_420"]) == ((380, 0, None), (420, 0, None))
    assert (table["standard_1"], table["standard_2"]) == ((0, 400, "一档"), (0, 775, "二档"))
    for name, (subsidy, personal, option) in table.items():
        if option is not None:
            assert subsidy + personal == one_two[option], name


def _yuan(case: Case | None) -> int:
    """Give a whole amount in yuan; no subsidy is 0."""
    return 0 if case is None or case.value is None else int(case.value)


def test_the_national_premiums_of_a_benefit_year_come_from_two_notices() -> None:
    """The notice of year T sets the subsidy of T and the premium that is collected in T for T + 1."""
    rows = {row.benefit_year: row for row in _versions("cn/national")[-1].premiums}
    subsidies = {year: row.subsidy.value for year, row in rows.items() if row.subsidy}
    assert {year: row.personal.value for year, row in rows.items()} == {
        2020: 250,
        2021: 280,
        2022: 320,
        2023: 350,
        2024: 380,
        2025: 400,
        2026: 400,
    }
    assert subsidies == {2020: 550, 2021: 580, 2022: 610, 2023: 640, 2024: 670, 2025: 700}


def test_national_numbers_from_general_knowledge_are_marked_unverified() -> None:
    policy = _versions("cn/national")[-1]
    rows = {row.benefit_year: row for row in policy.premiums}
    assert policy.trust_of(rows[2020].personal) == policy.trust_of(rows[2024].personal) == "unverified"
    assert policy.trust_of(rows[2022].personal) == "official"


def _rules(place: str, **facts: object) -> Rules:
    asked = {"care_type": "inpatient", "facility_level": "3", **facts}
    return resolve(_versions(place)[-1], Facts(**asked))  # type: ignore[arg-type]


def test_nanchang_keeps_the_referral_share_out_of_critical_illness_insurance() -> None:
    basic, critical = _rules("cn/jiangxi/nanchang", area="outside", referral="referred").steps
    assert (basic.first_share_bp, critical.base) == (1_000, ("in_scope",))


def test_ulanqab_s_unreferred_care_ends_with_basic_insurance() -> None:
    (basic,) = _rules("cn/neimenggu/ulanqab", area="outside", referral="unreferred").steps
    assert (basic.pays, basic.feeds) == ("nothing", False)


def test_what_was_not_published_is_refused_with_the_path_to_supply() -> None:
    with pytest.raises(MissingValueError, match="tiers/commercial/parts/cover/deductible/amount"):
        _rules("cn/guangdong/dongguan-jiafu")


def test_shandong_s_twenty_diseases_end_with_2014() -> None:
    before, after = _versions("cn/shandong")
    parts = [[part.id for part in policy.tiers[1].parts] for policy in (before, after)]
    assert parts == [["major_disease_20", "year"], ["year"]]
    assert [pot.id for pot in after.pots] == ["critical_illness"]
