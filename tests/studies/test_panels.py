"""The panels that studies of CFPS share: lines, outcomes, and who was under the policy when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_cfps import drop_columns, made

from medfloor.errors import InputError, UsageError
from medfloor.intake import price_level
from medfloor.measures.catastrophic import catastrophic
from medfloor.measures.design import Design
from medfloor.measures.lines import RelativeLine
from medfloor.measures.poverty import poverty
from medfloor.studies.exposure import expose_homes
from medfloor.studies.panels import Panels, line_of, read_panels, remarks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("cfps"))


@pytest.fixture(scope="module")
def panels(folder: Path) -> Panels:
    return read_panels(folder)


def covered(panels: Panels, folder: Path, **options: str) -> list[tuple[int, str, float | None]]:
    found = expose_homes(panels.homes, folder, **options).homes
    return found.select("year", "household_id", "covered").sort("year", "household_id").rows()


def test_catastrophic_spending_is_that_of_the_measures(panels: Panels) -> None:
    homes = panels.homes.drop_nulls("che")
    result = catastrophic(homes, definition="nonfood", rank_weighted=False)
    weighted = np.average(homes["che"].to_numpy(), weights=homes["weight"].to_numpy())
    # The same rule on the same rows, so that only the order of adding may differ.
    assert result.value("headcount") == pytest.approx(weighted, abs=1e-12)


def test_relative_poverty_is_that_of_the_measures(panels: Panels) -> None:
    homes = panels.homes.filter(pl.col("wave") == "2014").drop_nulls(["income_head", "size", "weight"])
    result = poverty(
        homes, line=RelativeLine(0.5), of="income_head", per_head=False, measures=["headcount"], unit="person",
        design=Design(weight="weight", method="none"),
    )  # fmt: skip
    people = (homes["weight"] * homes["size"]).to_numpy()
    # A household at the line itself is the only one that the two could see otherwise.
    assert result.value("headcount") == pytest.approx(
        np.average(homes["poor_50"].to_numpy(), weights=people), abs=1e-12
    )


def test_the_absolute_line_is_2300_yuan_carried_by_rural_prices(panels: Panels) -> None:
    line = line_of(panels.lines, "absolute", area="rural")
    assert line["2016"] == pytest.approx(2300 * price_level(2016, base=2010, area="rural").value)
    homes = panels.homes.filter(pl.col("wave") == "2016").drop_nulls("income_head")
    assert (homes["poor_absolute"] == (homes["income_head"] < line["2016"]).cast(pl.Float64)).all()


def test_made_up_files_are_known_by_their_mark_or_by_what_lies_beside_them(folder: Path, tmp_path: Path) -> None:
    assert read_panels(folder).synthetic
    plain = made(tmp_path / "plain", scale=0.01, without=("truth", "rollout", "crosswalk"))
    drop_columns(plain, "synthetic")
    assert not read_panels(plain).synthetic
    (plain / "truth.json").write_text("{}", encoding="utf-8")
    assert read_panels(plain).synthetic


def test_one_wave_is_too_few_and_no_income_is_said_in_a_line(tmp_path: Path) -> None:
    folder = made(tmp_path / "files", scale=0.01)
    with pytest.raises(InputError, match="at least two") as error:
        read_panels(folder, waves="2018")
    assert error.value.code == "few_waves"
    with pytest.raises(UsageError, match="2012-2018"):
        read_panels(folder, waves="all")
    drop_columns(folder, "fincome", "fincome1", "fincome1_per", "fincome2", "fincome2_per")
    with pytest.raises(InputError, match="fincome1_per") as error:
        read_panels(folder)
    assert error.value.code == "no_income"


# Who was under the policy when


def test_the_truth_knows_the_same_starts(panels: Panels, folder: Path) -> None:
    truth = pl.read_csv(folder / "truth_households.csv").with_columns(pl.col("household_id").cast(pl.String))
    found = expose_homes(panels.homes, folder)
    both = found.homes.join(truth, left_on=["year", "household_id"], right_on=["wave", "household_id"])
    assert both.height == panels.homes.height
    assert (both["covered"] == both["treated"].cast(pl.Float64)).all()
    assert found.timing == "city"
    assert not found.warnings


def test_a_table_of_counties_with_the_wave_of_their_start_serves_as_well(
    panels: Panels, folder: Path, tmp_path: Path
) -> None:
    rollout = pl.read_csv(folder / "rollout_sim.csv")
    starts = rollout.select(city="admin_code", start_wave=pl.col("start_date").str.slice(0, 4).cast(pl.Int64))
    counties = pl.read_csv(folder / "county_crosswalk.csv").join(starts, on="city", how="left")
    table = counties.select(countyid="county", city="city", start_wave=pl.col("start_wave").fill_null(9999))
    table.write_csv(tmp_path / "rollout.csv")
    assert covered(panels, tmp_path) == covered(panels, folder)


def test_codes_of_gb_2260_are_found_through_a_crosswalk(panels: Panels, tmp_path: Path) -> None:
    counties = panels.homes["county"].unique().sort()
    codes = [f"4201{place:02d}" if place < 50 else f"4301{place - 50:02d}" for place in range(1, 1 + len(counties))]
    codes = [code if code[-2:] != "00" else "440106" for code in codes][: len(counties)]
    pl.DataFrame({"countyid": counties, "gb_code": codes}).write_csv(tmp_path / "county_crosswalk.csv")
    (tmp_path / "rollout.csv").write_text(
        "policy,admin_level,admin_code,start_date\ncii,city,420100,2013-07-01\ncii,province,430000,2015-01-01\n",
        encoding="utf-8",
    )
    found = expose_homes(panels.homes, tmp_path)
    first = found.homes.join(
        pl.DataFrame({"county": counties, "code": codes}), left_on="first_county", right_on="county"
    )
    expected = (
        pl.when(pl.col("code").str.starts_with("4201"))
        .then(pl.col("year") >= 2014)
        .when(pl.col("code").str.starts_with("43"))
        .then(pl.col("year") >= 2016)
        .otherwise(False)
    )
    assert (first["covered"] == first.select(expected.cast(pl.Float64)).to_series()).all()


@settings(max_examples=5)
@given(st.randoms(use_true_random=False))
def test_what_cities_are_called_changes_nothing(random: object) -> None:
    homes = pl.DataFrame({
        "panel_id": [f"h{i}" for i in range(12) for _ in range(2)], "year": [2014, 2016] * 12,
        "county": [str(i % 6 + 1) for i in range(12) for _ in range(2)], "region": ["42"] * 24,
        "enrolled": [1.0] * 24,
    })  # fmt: skip
    names = [str(1000 + place) for place in range(3)]
    random.shuffle(names)  # type: ignore[attr-defined]
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        crosswalk = pl.DataFrame({"county": range(1, 7), "city": [names[i // 2] for i in range(6)]})
        crosswalk.write_csv(folder / "county_crosswalk.csv")
        rows = f"p,city,{names[0]},2014-03-01\np,city,{names[1]},2016-12-31\n"
        (folder / "rollout.csv").write_text("policy,admin_level,admin_code,start_date\n" + rows, encoding="utf-8")
        found = expose_homes(homes, folder).homes.sort("panel_id", "year")
    expected = {"1": [1.0, 1.0], "2": [1.0, 1.0], "3": [0.0, 1.0], "4": [0.0, 1.0], "5": [0.0, 0.0], "6": [0.0, 0.0]}
    for (county,), part in found.group_by("county"):
        assert part.sort("panel_id", "year")["covered"].to_list() == expected[str(county)] * 2


def test_a_household_that_moves_keeps_the_place_of_its_first_wave(tmp_path: Path) -> None:
    homes = pl.DataFrame({
        "panel_id": ["a", "a", "b", "b"], "year": [2014, 2016] * 2, "county": ["1", "2", "2", "1"],
        "region": ["42"] * 4, "enrolled": [1.0] * 4,
    })  # fmt: skip
    (tmp_path / "rollout.csv").write_text("county,start_year\n1,2016\n", encoding="utf-8")
    found = expose_homes(homes, tmp_path).homes.sort("panel_id", "year")
    assert found["covered"].to_list() == [0.0, 1.0, 0.0, 0.0]
    assert found["place"].to_list() == ["1", "1", "2", "2"]


def test_without_a_table_the_insured_are_under_the_policy_from_2015_with_a_loud_warning(
    panels: Panels, tmp_path: Path
) -> None:
    found = expose_homes(panels.homes, tmp_path)
    assert found.timing == "national"
    assert found.warnings[0].key == "studies.national_timing"
    rows = found.homes.drop_nulls("covered")
    expected = (rows["first_enrolled"] == 1) & (rows["year"] >= 2015)
    assert (rows["covered"] == expected.cast(pl.Float64)).all()
    assert np.isclose(rows["start"].drop_nulls().unique().to_list(), [2016.0]).all()


def test_a_table_that_cannot_be_linked_is_told_and_an_asked_one_is_an_error(
    panels: Panels, folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "rollout.csv"
    table.write_text((folder / "rollout_sim.csv").read_text(encoding="utf-8"), encoding="utf-8")
    found = expose_homes(panels.homes, tmp_path)
    assert [one.key for one in found.warnings] == ["studies.rollout_unused", "studies.national_timing"]
    with pytest.raises(InputError, match="county_crosswalk") as error:
        expose_homes(panels.homes, tmp_path, rollout=str(table))
    assert error.value.code == "no_roll_out_places"


def test_provinces_alone_give_starts_by_province_and_say_so(panels: Panels, tmp_path: Path) -> None:
    (tmp_path / "rollout.csv").write_text(
        "policy,admin_level,admin_code,start_date\ncii,province,310000,2014-01-01\ncii,province,410000,2016-01-01\n",
        encoding="utf-8",
    )
    found = expose_homes(panels.homes, tmp_path)
    assert found.timing == "province"
    assert "studies.province_timing" in [one.key for one in found.warnings]


def test_nothing_that_tells_exposure_is_an_error_in_one_line(tmp_path: Path) -> None:
    folder = made(tmp_path / "files", scale=0.01, without=("rollout", "adult", "person", "child"))
    with pytest.raises(InputError, match=r"rollout\.csv") as error:
        expose_homes(read_panels(folder).homes, folder)
    assert error.value.code == "no_exposure"


def test_publicly_funded_care_alone_is_known_not_to_be_a_residents_scheme(folder: Path, tmp_path: Path) -> None:
    for file in folder.glob("cfps*.csv"):
        table = pl.read_csv(file, infer_schema=False)
        slots = [name for name in table.columns if name.lower().startswith("qp605_s_")]
        # Code 1 is publicly funded care, -8 an empty slot.
        table.with_columns(pl.lit("1" if name == slots[0] else "-8").alias(name) for name in slots).write_csv(
            tmp_path / file.name
        )
    people = read_panels(tmp_path).people.filter(pl.col("insurance_codes") == "1")
    assert people.height
    assert set(people["enrolled"]) == {0.0} == set(people["employee"])


def test_waves_without_weights_are_named(folder: Path, tmp_path: Path) -> None:
    for file in folder.glob("cfps*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert "studies.no_weights" not in {one.key for one in remarks(read_panels(tmp_path))}
    (famecon,) = tmp_path.glob("*2012famecon*")
    table = pl.read_csv(famecon, infer_schema=False)
    table.drop(name for name in table.columns if name.startswith("fswt")).write_csv(famecon)
    told = [one for one in remarks(read_panels(tmp_path)) if one.key == "studies.no_weights"]
    assert [one.say("en").split(" have")[0] for one in told] == ["the files of 2012"]
