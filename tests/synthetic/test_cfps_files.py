"""Made-up files of CFPS: the same seed gives the same values, and their truth is what was made."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyreadstat
import pytest

from medfloor.errors import OutputError, UsageError
from medfloor.layouts import shipped_layout
from medfloor.synthetic.cfps import SAYS, write_cfps
from medfloor.synthetic.cfps_world import NEVER, OUTCOMES, WAVES, World, make_world, parameters, truth_of


@pytest.fixture(scope="module")
def world() -> World:
    # About 7,400 households in 2010: enough for the shares below, in about two seconds.
    return make_world(seed=3, scale=0.5)


def test_the_same_seed_gives_the_same_values(tmp_path: Path) -> None:
    one = write_cfps(tmp_path / "one", seed=5, scale=0.02)
    other = write_cfps(tmp_path / "other", seed=5, scale=0.02)
    assert one.truth == other.truth
    for name in one.files:
        # The bytes differ, because a .dta file holds the time of its writing.
        first, _ = pyreadstat.read_dta(str(tmp_path / "one" / name), output_format="polars")
        second, _ = pyreadstat.read_dta(str(tmp_path / "other" / name), output_format="polars")
        assert first.equals(second), name


def test_another_seed_gives_other_values(tmp_path: Path) -> None:
    one = write_cfps(tmp_path / "one", seed=5, scale=0.02)
    other = write_cfps(tmp_path / "other", seed=6, scale=0.02)
    assert one.truth["effects"] != other.truth["effects"]


def test_a_wave_does_not_depend_on_which_others_are_written(tmp_path: Path) -> None:
    every = write_cfps(tmp_path / "every", seed=5, scale=0.02, form="csv")
    alone = write_cfps(tmp_path / "alone", seed=5, scale=0.02, form="csv", waves=[2018])
    assert set(alone.files) < set(every.files)
    for name in alone.files:
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "every" / name).read_bytes()


def test_files_have_the_names_and_columns_of_the_layout(tmp_path: Path) -> None:
    made = write_cfps(tmp_path, seed=5, scale=0.02)
    layout = shipped_layout("cfps")
    assert "cfps2018person_202012.dta" in made.files
    assert "cfps2018crossyearid_202104.dta" in made.files
    for wave in WAVES:
        name = next(name for name in made.files if f"{wave}famecon" in name)
        _, meta = pyreadstat.read_dta(str(tmp_path / name), metadataonly=True, output_format="polars")
        wanted = {v.names(wave)[0] for v in layout.household if v.names(wave)}
        assert wanted <= set(meta.column_names)


def test_every_file_says_that_it_is_synthetic(tmp_path: Path) -> None:
    made = write_cfps(tmp_path, seed=5, scale=0.02)
    for name in made.files:
        frame, meta = pyreadstat.read_dta(str(tmp_path / name), output_format="polars")
        assert (frame["synthetic"] == 1).all()
        assert meta.file_label and SAYS.startswith(meta.file_label[:20])
    assert json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))["synthetic"] is True
    assert "SYNTHETIC" in (tmp_path / "rollout_sim.csv").read_text(encoding="utf-8")


def test_files_have_chinese_words_for_their_codes(tmp_path: Path) -> None:
    write_cfps(tmp_path, seed=5, scale=0.02)
    _, meta = pyreadstat.read_dta(str(tmp_path / "cfps2018person_202012.dta"), metadataonly=True)
    assert meta.variable_value_labels["qp605_s_1"][5] == "新型农村合作医疗"
    assert meta.variable_value_labels["qp201"][-8] == "不适用"


def test_the_policy_comes_as_it_was_chosen(world: World) -> None:
    starts = world.counties.group_by("start").len().sort("start")
    shares = {int(year): share for year, share in parameters()["policy"]["starts"].items()}
    shares[NEVER] = 1 - sum(shares.values())
    for start, counties in starts.iter_rows():
        # Of about 85 cities; four standard errors of a share of .3 are .20.
        assert abs(counties / 162 - shares[start]) < 0.2
    cities = world.counties.group_by("city").agg(pl.col("start").n_unique())
    assert set(cities["start"]) == {1}


def test_untreated_households_are_alike_in_both_worlds(world: World) -> None:
    for home in world.households.values():
        plain = home.filter(~pl.col("treated"))
        for name in ("income", "oop", "consumption", "catastrophic"):
            assert (plain[name] == plain[f"{name}_0"]).all()


def test_the_truth_is_the_mean_difference_of_the_worlds(world: World) -> None:
    truth = truth_of(world)
    homes = pl.concat(world.households.values(), how="diagonal").filter(pl.col("treated"))
    by_hand = (homes["oop"] - homes["oop_0"]).mean()
    assert truth["att"]["oop"] == pytest.approx(by_hand, rel=1e-12)  # the same sum in another order
    assert set(truth["att"]) == set(OUTCOMES)
    assert truth["treated_household_waves"] == homes.height


def test_the_effects_have_the_sizes_that_were_chosen(world: World) -> None:
    att = truth_of(world)["att"]
    # Chosen: .06 + .015 a wave + .04 for 2014, and a little through health; no sampling error, for both worlds are known.
    assert 0.06 < att["log_income"] < 0.16
    assert att["oop"] < 0 and att["catastrophic"] < 0 and att["unhealthy"] < 0
    # The line of its own world rises with the income of the treated, so that less of the effect on poverty is left.
    assert att["relative_poverty_fixed_line"] < att["relative_poverty"]


def test_shares_of_missing_answers_lie_where_they_were_chosen(tmp_path: Path) -> None:
    made = write_cfps(tmp_path, seed=5, scale=0.3, waves=[2016], form="csv")
    low, high = parameters()["missing"]["total"]
    name = next(name for name in made.files if "famecon" in name)
    rows = made.truth["rows"][name]
    for column in ("fincome1", "expense", "food", "fp511", "med"):
        share = sum(made.truth["codes"][name][column].values()) / rows
        # About 3,300 rows: five standard errors of a share of .04 are .017.
        assert max(low - 0.01, 0) < share < high + 0.017, column


@pytest.mark.parametrize("scale", [0, -1, 3.1])
def test_a_scale_out_of_range_is_misuse(tmp_path: Path, scale: float) -> None:
    with pytest.raises(UsageError) as caught:
        write_cfps(tmp_path, seed=1, scale=scale)
    assert caught.value.code == "bad_scale"


def test_a_wave_that_cfps_does_not_have_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        write_cfps(tmp_path, seed=1, waves=[2011])
    assert caught.value.code == "no_such_wave"


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        write_cfps(tmp_path / "taken", seed=1)
    assert caught.value.code == "cannot_write"


@pytest.mark.heavy
def test_the_whole_size_has_no_number_twice() -> None:
    world = make_world(seed=1, scale=3)
    for wave in WAVES:
        assert world.households[wave]["number"].is_unique().all()
        assert world.people[wave]["number"].is_unique().all()
