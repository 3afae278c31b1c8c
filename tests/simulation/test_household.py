"""One family through all tiers: bills, incomes, marginal shares and cliffs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import UsageError
from medfloor.reports.family import family_figure, write_family_figure
from medfloor.settlement import settle
from medfloor.simulation import Family, household

ROOT = Path(__file__).resolve().parents[2]
CAP = str(ROOT / "examples" / "reforms" / "oop_cap.yaml")
BEIJING = "cn/beijing@2024-01-01"


@settings(max_examples=25)
@given(st.integers(0, 900_000), st.sampled_from(["primary", "1", "2", "3"]), st.sampled_from(["", "dibao", "tekun"]))
def test_a_family_bears_what_settling_its_claim_leaves(bill: int, level: str, status: str) -> None:
    family = Family(level=level, status=(status,) if status else (), in_scope=0.75)
    curve = household(family, BEIJING, low=float(bill), high=float(bill + 100), points=2)
    fen = round(bill * 75)
    claims = pl.DataFrame(
        {
            "claim_id": ["c"], "person_id": ["p"], "care_type": ["inpatient"], "start_date": ["2024-06-01"],
            "end_date": ["2024-06-01"], "facility_level": [level], "total": [bill / 1.0],
            "off_catalogue": [(bill * 100 - fen) / 100], "in_scope": [fen / 100],
        }
    )  # fmt: skip
    people = pl.DataFrame({"person_id": ["p"], "birth_date": ["1979-01-01"]})
    spells = pl.DataFrame({"person_id": ["p"], "group": [status]}) if status else None
    settled = settle(claims, people, spells, BEIJING).settlements.row(0, named=True)
    row = curve.rows.row(0, named=True)
    assert row["own"] == settled["own_total"]
    assert all(row[f"pay_{tier}"] == settled[f"pay_{tier}"] for tier in curve.tiers)


def test_a_cap_stops_the_burden_inside_the_scope() -> None:
    curve = household(Family(in_scope=1.0), BEIJING, [CAP], points=51)
    after = curve.rows.filter(pl.col("scenario") == "oop_cap")
    assert after["own"].max() == 10_000.0
    assert after["marginal"].to_list()[-1] == 0.0
    before = curve.rows.filter(pl.col("scenario") == "baseline")
    assert (before["own"] >= after["own"]).all()
    assert curve.cliffs == ()


def test_a_cliff_of_the_law_is_found_to_the_fen() -> None:
    curve = household(Family(in_scope=1.0), "cn/neimenggu/ulanqab@2019-01-01", points=5)
    assert [one.at_fen for one in curve.cliffs] == [2_999_999] or [one.at_fen for one in curve.cliffs] == [3_000_000]
    assert all(one.jump_fen < 0 for one in curve.cliffs)


def test_an_income_line_is_a_cliff_at_the_line() -> None:
    family = Family(size=2, bill=80_000.0, lines=(("dibao", 10_000.0),))
    curve = household(family, BEIJING, vary="income", high=50_000.0, points=6)
    (cliff,) = curve.cliffs
    # Two people at 10,000 each: the status ends at 20,000, found to the yuan.
    assert cliff.at_fen == 1_999_900
    assert cliff.jump_fen > 0
    assert (cliff.status_before, cliff.status_after) == (("dibao",), ())
    left = curve.rows["left"].to_list()
    # Who earns just above the line is worse off than who earns just below it.
    assert any(after < before for before, after in pairwise(left))


def test_the_curve_tells_and_draws_in_both_languages(tmp_path: Path) -> None:
    curve = household(Family(status=("dibao",)), BEIJING, [CAP], points=21)
    assert "Cliffs" in curve.text("en") and "悬崖" in curve.text("zh")
    for lang in ("en", "zh"):
        chart = family_figure(curve, lang).to_dict()
        assert chart["vconcat"]
    for ending in (".svg", ".png", ".json"):
        write_family_figure(curve, tmp_path / f"curve{ending}", "zh")
        assert (tmp_path / f"curve{ending}").stat().st_size > 1_000
    with pytest.raises(UsageError, match="ends in none"):
        write_family_figure(curve, tmp_path / "curve.gif")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"size": 0}, "at least one member"),
        ({"age": 200}, "age of 0 to 120"),
        ({"in_scope": 1.5}, "outside 0 and 1"),
        ({"care_type": "dental"}, "no care 'dental'"),
        ({"bill": float("inf")}, "between 0 and"),
        ({"income": float("nan")}, "between 0 and"),
        ({"lines": (("dibao", float("nan")),)}, "between 0 and"),
    ],
)
def test_a_family_that_there_cannot_be_is_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        Family(**change)  # type: ignore[arg-type]


def test_what_a_family_cannot_be_asked_is_refused() -> None:
    with pytest.raises(UsageError, match="no status 'foo'"):
        household(Family(status=("foo",)), BEIJING, points=3)
    with pytest.raises(UsageError, match="where the income varies"):
        household(Family(lines=(("dibao", 9_000.0),)), BEIJING, points=3)
    with pytest.raises(UsageError, match="from 0 to inf"):
        household(Family(), BEIJING, points=3, high=float("inf"))


def test_a_range_that_does_not_rise_is_refused() -> None:
    with pytest.raises(UsageError, match="from 5 to 5"):
        household(Family(), BEIJING, low=5.0, high=5.0)


def test_where_one_more_yuan_makes_a_jump_there_is_no_share_of_it() -> None:
    found = household(Family(), "cn/neimenggu/ulanqab", low=29_000.0, high=31_000.0, points=3)
    marginal = found.rows.select("amount", "marginal").rows()
    assert [one for one, share in marginal if share is None] == [30_000.0]
    assert all(0.0 <= share <= 1.0 for _, share in marginal if share is not None)
    assert [one.at_fen for one in found.cliffs] == [3_000_000]
    assert "jump" in found.text("en") and "跳变" in found.text("zh")
