"""Put an effect of a policy into words: its size, beside the mean of the outcome, and whether it differs from none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medfloor.evaluation.adoption import Adoption
from medfloor.evaluation.result import number_text
from medfloor.words import Phrase


def effect_told(row: Mapping[str, Any], adoption: Adoption, level: float) -> tuple[Phrase, ...]:
    """Tell an average effect of a policy: how much more or less of the outcome, its share of the mean, its interval.

    An outcome of zeros and ones is told in percentage points. Nothing where the error is not known.
    """
    if row.get("low") is None:
        return ()
    model = Phrase.of(f"model.{row['model']}")
    values = adoption.frame["y"]
    share = bool(values.is_in([0.0, 1.0]).all())
    size = abs(row["estimate"])
    told = {
        "model": model, "outcome": adoption.sample.names["y"],
        "direction": Phrase.of("reading.more" if row["estimate"] >= 0 else "reading.less"),
        "size": number_text(100 * size if share else size),
    }  # fmt: skip
    mean = adoption.mean_outcome
    phrases = [Phrase.of("reading.share" if share else "reading.effect", **told)]
    if mean:
        phrases.append(Phrase.of("reading.of_mean", share=f"{100 * size / abs(mean):.3g}", mean=number_text(mean)))
    key = "reading.excludes_zero" if row["low"] > 0 or row["high"] < 0 else "reading.holds_zero"
    bounds = {"low": number_text(row["low"]), "high": number_text(row["high"])}
    phrases.append(Phrase.of(key, level=f"{100 * level:g}", model=model, **bounds))
    return tuple(phrases)
