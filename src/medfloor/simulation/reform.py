"""Read what a reform says about itself: its name, the document it comes from, whether it pools the funds of places."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from medfloor.errors import PolicyError
from medfloor.policy.load import read_yaml
from medfloor.policy.model import Model, Trust, Words


class About(Model):
    """Be the key `reform` of a reform file; it changes no payment.

    `seed` names the document that asks for the reform, `quote` its words, `trust` how far its numbers can be trusted.
    `pools` says that the funds of the regions become one.
    """

    name: Words | None = None
    seed: str | None = None
    quote: str | None = None
    trust: Trust = "unverified"
    note: Words | None = None
    pools: Literal["regions"] | None = None


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
