"""Give people diseases and frailty: prevalences met to the person, chances by age, sex and income."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medfloor.synthetic.draws import Array, Flags, stream, with_logit
from medfloor.synthetic.homes import Homes
from medfloor.synthetic.means import Means
from medfloor.synthetic.place import Place

ADULT = 18
CHRONIC_FROM = 15


@dataclass(frozen=True)
class Health:
    """Be people's health: diseases, and two lasting traits of people alike in all else.

    `frailty` multiplies the chance of a stay (gamma, mean 1), `dearness` is how dear their cases are (normal). The
    hypertensive, the diabetic and those with a major disease are among the chronically ill.
    """

    chronic: Flags
    hypertension: Flags
    diabetes: Flags
    major: Flags
    frailty: Array
    dearness: Array


def make_health(place: Place, homes: Homes, means: Means, seed: int) -> Health:
    """Give each person diseases and frailty."""
    rng = stream(seed, "health")
    slope = place.parts("health.slopes")
    logit = slope["age"] * (homes.age - 45.0) + slope["female"] * ~homes.male + slope["income"] * means.standing
    adults = homes.age >= ADULT
    urban = homes.urban[homes.home]
    hypertension = np.zeros(homes.people, np.bool_)
    for name, here in (("rural", ~urban), ("urban", urban)):
        rows = np.flatnonzero(adults & here)
        hypertension[rows] = with_logit(logit[rows], place.parts("health.hypertension")[name] / 100, rng)
    chronic = hypertension.copy()
    asked = homes.age >= CHRONIC_FROM
    free = np.flatnonzero(asked & ~hypertension)
    lacking = place.share("health.chronic") * float(asked.sum()) - float(hypertension[asked].sum())
    chronic[free] = with_logit(logit[free], max(0.0, lacking) / max(1, len(free)), rng)
    ill = np.flatnonzero(chronic & adults)
    diabetes = np.zeros(homes.people, np.bool_)
    wanted = place.share("health.diabetes") * float(adults.sum())
    diabetes[ill] = with_logit(0.5 * logit[ill], min(1.0, wanted / max(1, len(ill))), rng)
    major = np.zeros(homes.people, np.bool_)
    ill = np.flatnonzero(chronic)
    wanted = place.share("health.major") * homes.people
    major[ill] = with_logit(0.5 * logit[ill], min(1.0, wanted / max(1, len(ill))), rng)
    shape = place.parts("use.frailty")["shape"]
    frailty = rng.standard_gamma(shape, homes.people) / shape
    return Health(chronic, hypertension, diabetes, major, frailty, rng.standard_normal(homes.people))
