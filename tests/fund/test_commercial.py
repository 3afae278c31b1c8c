"""The price of an inclusive product: what must hold whatever the numbers, and what seed 004 says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.fund import Price, Product, price, pricing_parameters, product_of, shipped_series, stated_risks
from medfloor.fund.commercial import QUOTE, QUOTE_HISTORY, QUOTE_POOR, _Market
from medfloor.fund.risks import counted_risks, layer


def priced(cover: str = "covered", **given: float) -> Price:
    known = pricing_parameters({name.replace("_", ".", 1): value for name, value in given.items()})
    product = product_of(known, cover)
    return price(stated_risks(known, product), product, known, draws=200)


def figure(found: Price, name: str) -> float:
    value = found.figures[name]
    assert value is not None
    return value


def test_the_seed_is_quoted_word_for_word(root: Path) -> None:
    file = next((root.parent / "shared" / "seeds").glob("004*.txt"), None)
    if file is None:
        pytest.skip("the seed documents are not beside the repository")
    seed = re.sub(r"\s+", " ", file.read_text(encoding="utf-8"))
    for quote in (QUOTE, QUOTE_HISTORY, QUOTE_POOR):
        assert quote in seed


def test_premium_and_cap_are_those_of_the_quotation() -> None:
    known = pricing_parameters()
    assert f"{known.value('product.premium'):g} yuan" in QUOTE
    assert f"{known.value('product.cap') / 1e6:g} million" in QUOTE


def test_stated_figures_follow_from_the_published_series() -> None:
    book, known = shipped_series(), pricing_parameters()
    # The share is printed with two decimals.
    assert known.value("market.poor") == pytest.approx(
        100 * book["assisted"].value(2025) / book["insured"].value(2025), abs=0.005
    )
    stays = book["admissions"].value(2025) / book["insured"].value(2025)
    borne = stays * 7339 * (1 - 0.597) / known.share("loss.patients")
    # Rounded to ten yuan.
    assert known.value("loss.mean") == pytest.approx(borne, abs=5)


@settings(max_examples=25)
@given(st.floats(500, 50_000), st.floats(0.3, 5), st.floats(0, 60_000), st.floats(0.05, 1), st.floats(1e3, 1e7))
def test_a_layer_in_closed_form_is_that_of_quadrature(
    mean: float, spread: float, deductible: float, rate: float, cap: float
) -> None:
    product = Product(1, cap, deductible, rate)
    variance = np.log1p(spread**2)
    # A fine grid of the normal; the layer's kinks cost the rule about a step squared.
    z = np.linspace(-10, 14, 240_001)
    loss = product.pays(np.exp(np.log(mean) - variance / 2 + np.sqrt(variance) * z))
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    first, second = layer(mean, spread, product)
    assert first == pytest.approx(np.trapezoid(loss * weight, z), rel=1e-4, abs=1e-6)
    assert second == pytest.approx(np.trapezoid(loss**2 * weight, z), rel=1e-3, abs=1e-3)


@settings(max_examples=25)
@given(st.floats(0, 5), st.floats(0.1, 5))
def test_stronger_selection_never_makes_members_cheaper(power: float, more: float) -> None:
    weak, strong = (priced(market_selection=one) for one in (power, min(power + more, 5)))
    assert figure(strong, "loss_ratio") >= figure(weak, "loss_ratio") - 1e-9
    # Take-up at the first premium is asked for; a root found to 2e-12 in log-odds.
    assert figure(weak, "take_up") == pytest.approx(0.3, abs=1e-9)


@settings(max_examples=25)
@given(st.floats(50, 500), st.floats(0, 3))
def test_at_the_break_even_premium_losses_and_costs_are_paid(premium: float, power: float) -> None:
    given = {"product.premium": premium, "market.selection": power}
    known = pricing_parameters(given)
    product = product_of(known)
    risks = stated_risks(known, product)
    even = price(risks, product, known, draws=2).figures["break_even"]
    assert even is not None
    market = _Market(risks, product, known)
    # brentq finds it to 2e-12.
    assert market.a_member(even) == pytest.approx(even * 0.85, rel=1e-6)
    cheaper = _Market(risks, replace(product, cover="excluded"), known)
    assert (cheaper.each <= market.each + 1e-12).all()


def test_excluding_prior_disease_costs_less_and_drives_the_sick_away() -> None:
    covered, reduced, excluded = (priced(one) for one in ("covered", "reduced", "excluded"))
    assert figure(covered, "expected") > figure(reduced, "expected") > figure(excluded, "expected")
    assert figure(covered, "take_up") > figure(reduced, "take_up") > figure(excluded, "take_up")


def test_the_poor_all_join_where_their_premium_is_paid_and_it_is_counted() -> None:
    paid, unpaid = priced(), priced(market_poor_paid=0.0)
    poor = paid.classes.filter("poor")
    assert poor["take_up"].to_list() == [1.0] * 6
    assert figure(paid, "poor_cost") == pytest.approx(168 * poor["persons"].sum())
    assert figure(unpaid, "poor_cost") == 0
    assert (unpaid.classes.filter("poor")["take_up"] < 1).all()


def test_the_interval_holds_the_loss_ratio_and_shrinks_with_members() -> None:
    small, large = priced(market_insured=10_000.0), priced(market_insured=10_000_000.0)
    for one in (small, large):
        assert figure(one, "year_low") < figure(one, "loss_ratio") < figure(one, "year_high")
    wide, narrow = (figure(one, "year_high") - figure(one, "year_low") for one in (small, large))
    assert wide > 2 * narrow


def test_strong_selection_and_fine_sense_of_price_kill_the_product() -> None:
    found = priced(market_selection=3.0, market_price=6.0, market_poor_paid=0.0)
    assert found.spiral
    assert found.years["take_up"][-1] < 0.05 < found.years["take_up"][0]
    assert any("Death spiral" in one.say("en") for one in found.warnings)
    assert not priced().spiral


def test_growth_of_care_alone_drives_nobody_away() -> None:
    years = priced(market_growth=10.0, market_selection=0.0).years
    # The premium settles to a fixed share of losses.
    assert years["take_up"][-1] == pytest.approx(years["take_up"][3], rel=1e-3)


def population(persons: int = 4000) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(3)
    ids = [f"p{place}" for place in range(persons)]
    people = pl.DataFrame(
        {"person_id": ids, "age": rng.integers(0, 90, persons), "status": rng.integers(0, 2, persons)}
    )
    borne = pl.DataFrame({"person_id": ids[::3], "own": rng.lognormal(9, 1.5, len(ids[::3])),
                          "history": rng.random(len(ids[::3])) < 0.4})  # fmt: skip
    return people, borne


def test_a_population_is_counted_person_by_person_and_resampled() -> None:
    known = pricing_parameters()
    product = product_of(known)
    people, borne = population()
    risks = counted_risks(people, borne, product, rng=np.random.default_rng(1), replicates=50)
    assert risks.persons.sum() == people.height
    paid = product.pays(borne["own"].to_numpy()).sum()
    # Means of classes times their persons give the sum back but for rounding.
    assert risks.persons @ risks.mean == pytest.approx(paid, rel=1e-9)
    found = price(risks, product, known, draws=200)
    assert figure(found, "estimate_low") < figure(found, "loss_ratio") < figure(found, "estimate_high")
    assert found.source == "population"


def test_a_population_that_cannot_be_is_refused() -> None:
    product = product_of(pricing_parameters())
    people, borne = population(30)
    with pytest.raises(InputError) as error:
        counted_risks(people.clear(), borne, product, rng=np.random.default_rng(1))
    assert error.value.code == "no_rows"
    with pytest.raises(InputError) as error:
        counted_risks(people, borne.with_columns(own=pl.lit(-5.0)), product, rng=np.random.default_rng(1))
    assert error.value.code == "negative_loss"


@pytest.mark.parametrize(
    "given",
    [{"people.young": 60.0, "people.old": 60.0}, {"product.costs": 99.0}, {"product.premium": 0.0},
     {"product.cap": -1.0}, {"market.take_up": 101.0}],
)  # fmt: skip
def test_impossible_parameters_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(UsageError) as error:
        pricing_parameters(given)
    assert error.value.code == "bad_parameter"


def test_more_patients_than_people_are_refused() -> None:
    with pytest.raises(UsageError, match=r"loss\.patients"):
        priced(loss_patients=60.0)
    with pytest.raises(UsageError) as error:
        product_of(pricing_parameters(), "perhaps")
    assert error.value.code == "bad_cover"


def test_a_product_that_pays_nothing_breaks_even_at_nothing() -> None:
    found = priced(product_rate=0.0)
    assert figure(found, "losses") == 0
    assert figure(found, "break_even") == 0
    assert json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_price_tells_itself_with_the_quotation_and_every_source(lang: str) -> None:
    found = priced()
    assert QUOTE in found.text(lang)
    plain = json.loads(json.dumps(found.to_dict(lang), allow_nan=False))
    assert all(one["source"] and one["trust"] for one in plain["parameters"])
