"""Cliffs are found to the fen, and a policy without one is said to have none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import MissingValueError
from medfloor.policy.load import load_policy
from medfloor.settlement.cliffs import Cliff, find_cliffs, search_cliffs

MADE_UP = """\
schema: 1
id: test/cliff
from: 2024-01-01
name: {{zh: 悬崖, en: cliff}}
tiers:
  - id: basic
    name: {{zh: 基本, en: basic}}
    parts:
      - id: stay
        when: {{care_type: inpatient}}
        deductible: {{per: admission, amount: {{value: 500, unit: yuan}}}}
        brackets: [{{rate: {{value: 50, unit: percent}}}}]
  - id: government
    name: {{zh: 补助, en: supplement}}
    prefer: [{prefer}]
    parts:
      - id: dear
        when: {{care_type: inpatient, {when}}}
        brackets: [{{rate: {{value: {rate}, unit: percent}}}}]
"""


def made_up(folder: Path, when: str, rate: int = 10, prefer: str = "") -> list[Cliff]:
    file = folder / "cliff.yaml"
    file.write_text(MADE_UP.format(when=when, rate=rate, prefer=prefer), encoding="utf-8")
    return find_cliffs(load_policy(str(file)))


def of(kind: str, cliffs: list[Cliff]) -> list[Cliff]:
    return [cliff for cliff in cliffs if cliff.kind == kind]


def test_ulanqab_has_its_cliff_at_a_total_of_30_000() -> None:
    costs = of("cost", find_cliffs(load_policy("cn/neimenggu/ulanqab")))
    assert {cliff.at_fen for cliff in costs} == {3_000_000}
    local = {g: c for c in costs for g in c.groups if {kind.area for kind in c.kinds} == {"local"}}
    # Basic: 28,800 x 65 % = 18,720, left 11,280; beyond 30,000 the county gives 40 % of it, 4,512.
    assert (local["none"].before_fen, local["none"].after_fen) == (1_128_000, 676_800)
    assert local["none"].paths == ("tiers/government/parts/large",)
    # dibao: assistance of 70 % leaves 3,384; beyond, the ceiling of 90 % over all tiers leaves 3,000.
    assert (local["dibao"].before_fen, local["dibao"].after_fen) == (338_400, 300_000)
    assert "tiers/assistance/parts/large" in local["dibao"].paths
    # Whoever is given everything on both sides has no cliff but that of the 90 % ceiling.
    assert "tekun" not in local


def test_a_planted_cliff_is_found_to_the_fen(tmp_path: Path) -> None:
    (cliff,) = of("cost", made_up(tmp_path, "total: {over: 12345.67}"))
    # 12,345.67 less 500, half of it: 5,922.84 paid; beyond it 10 % of the 6,422.83 or 6,422.84 left.
    assert (cliff.at_fen, cliff.before_fen, cliff.after_fen) == (1_234_567, 642_283, 578_056)
    assert cliff.paths == ("tiers/government/parts/dear",)
    assert cliff.groups == ("none",)


@settings(max_examples=25)
@given(fen=st.integers(60_000, 99_000_000), rate=st.integers(1, 100), beyond=st.booleans())
def test_a_cliff_is_found_wherever_it_is(
    tmp_path_factory: pytest.TempPathFactory, fen: int, rate: int, beyond: bool
) -> None:
    bound = f"{fen // 100}.{fen % 100:02d}"
    word = "over" if beyond else "at_most"
    (cliff,) = of("cost", made_up(tmp_path_factory.mktemp("p"), f"total: {{{word}: {bound}}}", rate))
    assert cliff.at_fen == fen
    assert (cliff.jump_fen < 0) == beyond


def test_a_cap_that_binds_is_a_bend_and_no_cliff(tmp_path: Path) -> None:
    assert of("cost", made_up(tmp_path, "facility_level: [1, 2, 3]")) == []


def test_beijing_has_no_cliff_of_cost_and_its_status_differences_are_exact() -> None:
    cliffs = find_cliffs(load_policy("cn/beijing@2023-01-01"), care_types=["inpatient"])
    assert of("cost", cliffs) == []
    by_pair = {cliff.groups: cliff for cliff in of("status", cliffs)}
    tekun = by_pair["none", "tekun"]
    assert (tekun.at_fen, tekun.after_fen, tekun.growing) == (100_000_000, 0, True)
    # 1,000,000: basic 200,000, critical illness insurance 30,000 + (769,596 - 50,000) x 70 %.
    assert tekun.before_fen == 100_000_000 - 20_000_000 - 3_000_000 - 50_371_720
    assert ("dibao", "retired_1960s") in by_pair


def test_a_preferred_status_that_costs_more_is_listed_as_worse_off() -> None:
    worse = of("worse_off", find_cliffs(load_policy("cn/beijing@2023-01-01"), care_types=["inpatient"]))
    # Laid-off workers have assistance of 85 % without limit, but not the tilt of critical illness insurance.
    assert [cliff.groups for cliff in worse] == [("dibao", "retired_1960s")]
    assert worse[0].jump_fen == 663_721


def test_every_figure_is_that_of_settling(tmp_path: Path) -> None:
    import polars as pl

    from medfloor.settlement import settle

    cliff = of("cost", find_cliffs(load_policy("cn/neimenggu/ulanqab")))[0]
    kind = cliff.kinds[0]
    amounts = [cliff.at_fen, cliff.at_fen + 1]
    claims = pl.DataFrame(
        {
            "claim_id": ["a", "b"],
            "person_id": ["p", "q"],
            "care_type": [kind.care_type] * 2,
            "facility_level": [kind.facility_level] * 2,
            "area": [kind.area] * 2,
            "referral": ["regular" if kind.area == "local" else "referred"] * 2,
            "start_date": ["2019-05-01"] * 2,
            "end_date": ["2019-05-09"] * 2,
            "total": [f"{fen / 100:.2f}" for fen in amounts],
            "in_scope": [f"{fen / 100:.2f}" for fen in amounts],
        }
    )
    spells = pl.DataFrame({"person_id": ["p", "q"], "group": [cliff.groups[0]] * 2, "from_date": ["2019-01-01"] * 2})
    people = pl.DataFrame({"person_id": ["p", "q"]})
    spells = None if cliff.groups[0] == "none" else spells.with_columns(pl.lit(None, dtype=pl.String).alias("to_date"))
    own = settle(claims, people, spells, "cn/neimenggu/ulanqab").fen["own_total_fen"].to_list()
    assert own == [cliff.before_fen, cliff.after_fen]


def test_kinds_without_published_numbers_are_named_and_none_at_all_is_an_error() -> None:
    search = search_cliffs(load_policy("cn/neimenggu/ulanqab"))
    assert len(search.skipped) == 45
    why = search.skipped[0][1]
    assert why.en.endswith(" was not published")
    assert why.zh.endswith(" 的数值未公布")
    with pytest.raises(MissingValueError):
        find_cliffs(load_policy("cn/beijing@2018-01-01"))


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_cliff_is_said_in_a_sentence(lang: str) -> None:
    for cliff in find_cliffs(load_policy("cn/neimenggu/ulanqab")):
        assert "30,000.00" in cliff.text(lang) or cliff.kind != "cost"
    assert cliff.to_dict()["at"].count(".") == 1
