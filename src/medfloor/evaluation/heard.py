"""Hear what a library says while it works: its warnings become notes of ours, its errors one of ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from medfloor.errors import MedfloorError, UsageError
from medfloor.words import Phrase

_KNOWN: tuple[tuple[str, str | None], ...] = (
    ("Unbalanced panel detected. Bacon", "heard.bacon_unbalanced"),
    ("Unbalanced panel detected", "heard.unbalanced"),
    ("pweight weights normalized", None),
    ("are treated in all observed periods", None),
    ("Low Events Per Variable", "heard.few_events"),
    ("cell(s) could not be", "heard.cells_skipped"),
    ("Trimmed", "heard.cohorts_trimmed"),
    ("Rank-deficient", "heard.dependent_covariates"),
    ("Collinear", "heard.dependent_covariates"),
    ("normalization", None),
    ("deprecated", None),
)
"""What a warning of a library contains -> a note of ours; None where it tells nothing that the user has to know."""


@contextmanager
def hearing(model: str) -> Iterator[list[Phrase]]:
    """Give a list that holds the notes when the block ends; an error of a library becomes UsageError not_estimable.

    A warning that is not known stands among the notes in the library's own words.
    """
    notes: list[Phrase] = []
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            yield notes
        except MedfloorError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:200]
            raise UsageError(
                "not_estimable",
                f"{model} cannot be estimated with these rows ({type(error).__name__}: {said}); leave out covariates "
                "that say the same, or choose other estimators",
            ) from None
    for one in heard:
        if not issubclass(one.category, (DeprecationWarning, PendingDeprecationWarning, FutureWarning)):
            note = _note(model, " ".join(str(one.message).split()))
            if note is not None and note not in notes:
                notes.append(note)


def _note(model: str, said: str) -> Phrase | None:
    for part, key in _KNOWN:
        if part in said:
            return None if key is None else Phrase.of(key, model=Phrase.of(f"model.{model}"))
    return Phrase.of("heard.library", model=Phrase.of(f"model.{model}"), said=said[:240])
