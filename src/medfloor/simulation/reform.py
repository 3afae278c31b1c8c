"""Read what a reform says about itself: its name, the document it comes from, the baselines that it is written for."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from medfloor.errors import PolicyError
from medfloor.policy.load import read_yaml
from medfloor.policy.model import Model, Trust, Words


class PaidBefore(Model):
    """Be the premium of a person before a reform, in yuan a year: their own part, and the subsidy."""

    personal: Decimal = Field(ge=0)
    subsidy: Decimal = Field(ge=0)


class Baseline(Model):
    """Be a baseline that a reform is written for: a policy, and the reform files (beside it) that are laid under it."""

    policy: str
    under: list[str] = Field(default_factory=list)


class About(Model):
    """Be the key `reform` of a reform file; it changes no payment.

    `seed` names the document that asks for the reform, `quote` its words, `trust` how far its numbers can be trusted.
    `pools` says that the funds of the regions become one. `before` says what a person pays in for residents' insurance,
    and what is paid for them, before the reform, in yuan a year; it counts where the baseline names no premiums.
    `baselines` are those that it is written for, the best to compare it with first.
    """

    name: Words | None = None
    seed: str | None = None
    quote: str | None = None
    trust: Trust = "unverified"
    note: Words | None = None
    pools: Literal["regions"] | None = None
    before: PaidBefore | None = None
    baselines: list[Baseline] = Field(default_factory=list)


def read_about(file: str | Path) -> About:
    """Read what a reform file says about itself; nothing where it says nothing.

    Raises PolicyError reform_about for a key that there is not, and what reading the file raises.
    """
    if not Path(file).is_file():
        raise PolicyError("reform_not_found", f"there is no reform file {file}; check the path given to --reform")
    raw = read_yaml(Path(file)).get("reform") or {}
    try:
        return About.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(["reform", *(str(one) for one in first["loc"])])
        raise PolicyError(
            "reform_about", f"{file}: {where}: {first['msg']}; known are {', '.join(About.model_fields)}"
        ) from None
