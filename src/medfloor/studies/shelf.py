"""List the studies, tell about one, run one: each is imported when it is asked for."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from medfloor.errors import InputError, UsageError

if TYPE_CHECKING:
    from medfloor.studies.about import About
    from medfloor.studies.study import Study

STUDIES: dict[str, str] = {
    "cii-poverty": "000",
    "urrbmi-relative-poverty": "001",
    "integration": "002",
    "county-ledger": "003",
    "two-provinces": "004",
}
"""Study -> the number of its source document. Its module bears its name, with _ for -; `study_title` has its title."""


def about_study(name: str) -> About:
    """Give what a study says about itself. Raises UsageError no_such_study.

    >>> about_study("cii-poverty").seed
    '000'
    """
    about: About = importlib.import_module(f"medfloor.studies.{_known(name).replace('-', '_')}").ABOUT
    return about


def run_study(name: str, data: str | os.PathLike[str], *, seed: int = 1, **settings: object) -> Study:
    """Run a study on a folder of data and give what it found; nothing is written.

    `seed` is the seed of chance (placebo, bootstrap). `settings` are the options of `about_study(name).options`.

    Raises UsageError: no_such_study, no_such_setting, bad_setting, bad_seed; InputError: file_not_found, and what the
    study says that the data lack.
    """
    about = about_study(name)
    chosen = about.settings(settings)
    if not 0 <= seed < 1 << 32:
        raise UsageError("bad_seed", f"seed {seed}: give a whole number from 0 to 4294967295")
    folder = Path(data)
    if not folder.is_dir():
        raise InputError("file_not_found", f"{data} is not a folder; --data names the one with the files of the survey")
    module = importlib.import_module(f"medfloor.studies.{name.replace('-', '_')}")
    study: Study = module.run(folder, seed=seed, settings=chosen)
    return study


def _known(name: str) -> str:
    if name in STUDIES:
        return name
    import difflib

    near = difflib.get_close_matches(name, STUDIES, 1, 0.4)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(STUDIES)}."
    raise UsageError("no_such_study", f"no such study {name!r}; {hint}")
