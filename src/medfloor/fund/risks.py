"""Say who may join a commercial product and what they would cost it: classes of age, history and status.

Classes come from stated parameters (a lognormal of what patients bear in a year, in closed form), or are counted from a
population's settlements, where each person's loss is known.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.fund.county import _made_up, _people_of, _settled
from medfloor.fund.floors import law_number
from medfloor.fund.parameters import Parameter, Parameters
from medfloor.fund.series import TRUSTS
from medfloor.sparing import ready

Array = npt.NDArray[np.float64]

_FILE = Path(__file__).parent / "commercial.toml"
PRODUCT = "cn/guangdong/dongguan-jiafu@2021-06-01"
"""The product of seed 004 in the policy library."""

BANDS = ("young", "adult", "old")
COVER = ("covered", "reduced", "excluded")
"""What happens to losses from a disease that was there before: paid, paid in part (`product.reduced`), not paid."""


@dataclass(frozen=True, slots=True)
class Product:
    """Be what a product promises: of a year's own payment above the deductible so much, up to the cap; yuan and share.

    >>> Product(168, 3_300_000, 20_000, 0.7).pays(np.array([10_000.0, 30_000.0, 9e6])).tolist()
    [0.0, 7000.0, 3300000.0]
    """

    premium: float
    cap: float
    deductible: float
    rate: float
    cover: str = "covered"

    def pays(self, borne: Array) -> Array:
        """Give what is paid for a year's own payments, prior disease aside."""
        found: Array = np.minimum(self.rate * np.maximum(borne - self.deductible, 0.0), self.cap)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Risks:
    """Be the classes: how many persons, and what one costs in a year under the product: mean and mean square, yuan.

    `frame` has band, history, poor, persons. Means and squares are of full cover; `resampled` (classes, replicates) has
    the means of resampled populations where persons were counted, else it is None.
    """

    frame: pl.DataFrame
    mean: Array
    square: Array
    resampled: Array | None
    source: str
    synthetic: bool = False

    @property
    def persons(self) -> Array:
        """Count the persons of each class."""
        return self.frame["persons"].to_numpy().astype(np.float64)

    @property
    def history(self) -> npt.NDArray[np.bool_]:
        """Say which classes had a disease before."""
        return self.frame["history"].to_numpy()

    @property
    def poor(self) -> npt.NDArray[np.bool_]:
        """Say which classes are poor."""
        return self.frame["poor"].to_numpy()


def pricing_parameters(given: Mapping[str, float] | None = None) -> Parameters:
    """Give the parameters of a price, with the user's laid over them; premium and cap come from the policy library.

    Raises UsageError no_such_parameter, bad_parameter.

    >>> pricing_parameters().value("product.premium"), pricing_parameters().value("product.cap")
    (168.0, 3300000.0)
    """
    found = _shipped()
    for name, value in (given or {}).items():
        found = found.with_value(name, value, source="yours", trust="yours")
    if found.value("people.young") + found.value("people.old") > 100:
        raise UsageError("bad_parameter", "people.young and people.old come to more than 100 %; lower one of them")
    if found.value("product.costs") + found.value("product.margin") >= 100:
        raise UsageError(
            "bad_parameter", "product.costs and product.margin leave nothing for losses; lower one of them"
        )
    return found


def product_of(parameters: Parameters, cover: str = "covered") -> Product:
    """Give the product that parameters describe. Raises UsageError bad_cover."""
    if cover not in COVER:
        raise UsageError("bad_cover", f"{cover!r} is none of {', '.join(COVER)}")
    premium, cap, deductible = (parameters.value(f"product.{one}") for one in ("premium", "cap", "deductible"))
    return Product(premium, cap, deductible, parameters.share("product.rate"), cover)


def stated_risks(parameters: Parameters, product: Product) -> Risks:
    """Make the classes from stated parameters: patients of a year bear a lognormal, of which the product pays a layer.

    Stays differ by age and history and not in size; the mean over all classes is that of `loss.patients`.
    """
    share, value = parameters.share, parameters.value
    young, old = share("people.young"), share("people.old")
    adult = 1 - young - old
    times = value("people.history_old_times")
    base = share("people.history_adult") * (adult + old) / max(adult + times * old, 1e-9)
    history = {"young": share("people.history_young"), "adult": min(base, 1.0), "old": min(times * base, 1.0)}
    size = {"young": young, "adult": adult, "old": old}
    use = {"young": value("loss.young_times"), "adult": 1.0, "old": value("loss.old_times")}
    rows = []
    for band in BANDS:
        for had in (False, True):
            part = history[band] if had else 1 - history[band]
            for poor in (False, True):
                of_status = share("market.poor") if poor else 1 - share("market.poor")
                rows.append({
                    "band": band, "history": had, "poor": poor,
                    "persons": value("market.insured") * size[band] * part * of_status,
                    "use": use[band] * (value("loss.history_times") if had else 1.0),
                })  # fmt: skip
    frame = pl.DataFrame(rows)
    persons, relative = frame["persons"].to_numpy(), frame["use"].to_numpy()
    patients = share("loss.patients") * relative * persons.sum() / (persons @ relative)
    if patients.max() > 1:
        raise UsageError(
            "bad_parameter",
            f"loss.patients = {value('loss.patients'):g} with these factors puts {patients.max():.0%} of a class into "
            "hospital; lower loss.patients or the factors",
        )
    first, second = layer(value("loss.mean"), value("loss.spread"), product)
    return Risks(frame.drop("use"), patients * first, patients * second, None, "parameters")


def population_risks(
    tables: Mapping[str, Any],
    policy: str,
    product: Product,
    *,
    rng: np.random.Generator,
    reforms: Sequence[str] = (),
    settled: pl.DataFrame | None = None,
    year: int | None = None,
    replicates: int = 200,
) -> Risks:
    """Count the classes from a population's tables (people, claims, spells), settled under a policy or already.

    What a person bears is the total less what all tiers but a commercial one paid. A history is outpatient care of a
    chronic disease in the year: a sign of one, and no full record. Whoever holds a status is poor.

    Raises UsageError many_years, no_such_year; InputError no_rows, negative_loss; what reading and settling raise.
    """
    from medfloor.settlement.settle import law_of

    law = law_of(policy, list(reforms))
    people, base = _people_of(tables, law, year)
    frame, tiers = _settled(tables, law, settled, base)
    paid = [pl.col(f"pay_{tier}") for tier in tiers if tier != "commercial"]
    borne = frame.group_by("person_id").agg(
        (pl.col("total").sum() - pl.sum_horizontal([one.sum() for one in paid])).alias("own"),
        (pl.col("kind") == 2).any().alias("history"),
    )
    found = counted_risks(people, borne, product, rng=rng, replicates=replicates)
    return replace(found, synthetic=_made_up(tables["people"]))


def counted_risks(
    people: pl.DataFrame, borne: pl.DataFrame, product: Product, *, rng: np.random.Generator, replicates: int = 200
) -> Risks:
    """Count the classes from a population: people (person_id, age, status), borne (person_id, own, history).

    `own` is what a person bore in the year after all other tiers, in yuan. Replicates resample persons (bootstrap).

    Raises InputError no_rows without people, negative_loss for somebody who bore less than nothing.
    """
    if people.is_empty():
        raise InputError("no_rows", "there are no people of the residents' scheme to price for")
    joined = people.join(borne, on="person_id", how="left").with_columns(
        pl.col("own").fill_null(0.0), pl.col("history").fill_null(False)
    )
    own = joined["own"].to_numpy()
    if own.min() < -0.005:
        raise InputError("negative_loss", f"somebody bore {own.min():.2f} yuan in the year; settle the claims again")
    paid = product.pays(own)
    band = np.searchsorted((15, 60), joined["age"].to_numpy(), side="right")
    at = band * 4 + joined["history"].to_numpy() * 2 + joined["status"].to_numpy()
    persons = np.bincount(at, minlength=12).astype(np.float64)

    def mean_of(values: Array, places: npt.NDArray[np.int64]) -> Array:
        many = np.bincount(places, minlength=12)
        return np.asarray(np.bincount(places, weights=values, minlength=12) / np.maximum(many, 1), np.float64)

    there = persons > 0
    drawn = np.empty((12, replicates))
    for number in range(replicates):
        chosen = rng.integers(0, len(own), len(own))
        drawn[:, number] = mean_of(paid[chosen], at[chosen])
    rows = [
        {"band": one, "history": had, "poor": poor, "persons": persons[place * 4 + had * 2 + poor]}
        for place, one in enumerate(BANDS)
        for had in (False, True)
        for poor in (False, True)
    ]
    frame = pl.DataFrame(rows).filter(pl.Series(there))
    return Risks(frame, mean_of(paid, at)[there], mean_of(paid**2, at)[there], drawn[there], "population")


def layer(mean: float, spread: float, product: Product) -> tuple[float, float]:
    """Give mean and mean square of what a product pays of a lognormal loss with a mean and a coefficient of variation.

    With Y = min(rate (X - d)+, cap): E Y^k from partial moments of the lognormal (closed form).

    >>> round(layer(1000.0, 1.0, Product(1, 1e12, 0.0, 1.0))[0], 6)
    1000.0
    """
    if product.rate == 0:
        return 0.0, 0.0
    variance = math.log1p(spread**2)
    middle, scale = math.log(mean) - variance / 2, math.sqrt(variance)
    top = product.deductible + product.cap / product.rate

    def above(power: int, line: float) -> float:
        """Give E[X^power; X > line]."""
        ndtr = ready("scipy.special").ndtr

        whole = math.exp(power * middle + power**2 * variance / 2)
        return whole if line <= 0 else whole * float(ndtr((middle + power * variance - math.log(line)) / scale))

    d = product.deductible
    inside = [above(power, d) - above(power, top) for power in (0, 1, 2)]
    capped = above(0, top)
    first = product.rate * (inside[1] - d * inside[0]) + product.cap * capped
    second = product.rate**2 * (inside[2] - 2 * d * inside[1] + d**2 * inside[0]) + product.cap**2 * capped
    return max(first, 0.0), max(second, 0.0)


@functools.cache
def _shipped() -> Parameters:
    data: dict[str, Any] = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    sources = data.pop("sources")
    library = {
        "product.premium": law_number(PRODUCT, "premiums/standard/personal").value,
        "product.cap": law_number(PRODUCT, "pots/commercial/cap").value,
    }
    found = []
    for subject, named in data.items():
        for name, one in named.items():
            key = f"{subject}.{name}"
            assert one["trust"] in TRUSTS, key
            least, most = one["bounds"]
            found.append(
                Parameter(
                    key, float(one["value"] if "value" in one else library[key]), one["unit"], one["year"],
                    sources[one["source"]], one["trust"], math.nan, math.nan, float(least), float(most),
                )
            )  # fmt: skip
    return Parameters(tuple(found))
