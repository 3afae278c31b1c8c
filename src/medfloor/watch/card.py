"""Say what a trained model is for, how well it does and what it must not do; keep who agreed to change it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from medfloor.errors import ConflictError, InputError, UsageError
from medfloor.terminal import aligned
from medfloor.watch.features import FEATURES
from medfloor.watch.judging import SMALL_FELL, SMALL_HOUSEHOLDS
from medfloor.watch.risk import Model, hash_of
from medfloor.words import knows, say

PARTS = (
    "purpose", "decides", "target", "data", "capacity", "calibration", "errors", "lead", "gain", "ranking", "slices",
    "features", "limits", "identity", "retraining",
)  # fmt: skip
"""The parts of a card, in their order: what the office can do with its visits stands before any other number."""

COMPARED = ("recall", "precision", "average_precision", "calibration_error", "observed_to_expected", "slope", "brier")
"""The figures that two models are held against each other by; recall and precision at capacity come first."""

_BASIS = ("judged_year", "capacity", "households", "fell", "target")
_SIGNED = ("by", "on", "accepted", "note", "old_hash", "new_hash", "comparison")

Table = tuple[str, list[list[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Part:
    """Be one part of a card in one language: its title, sentences, tables (title, rows with heads, right columns)."""

    key: str
    title: str
    said: tuple[str, ...]
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Be two models held against each other, by what each was judged to do.

    `rows` have a figure, old and new with their intervals. `differs` names what the two were not judged on alike
    (judged_year, capacity, households, fell, target): where it is not empty, the figures of one may be better for
    reasons that are not the model's. `seen` says that the old model was trained on the year that judges the new one.
    """

    old_hash: str
    new_hash: str
    rows: tuple[Mapping[str, Any], ...]
    differs: tuple[str, ...]
    seen: bool

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {"old_hash": self.old_hash, "new_hash": self.new_hash, "rows": [dict(one) for one in self.rows],
                "differs": list(self.differs), "seen": self.seen}  # fmt: skip

    def part(self, lang: str) -> Part:
        """Put it into words and a table."""
        rows = [[say(f"watch_card.{one}", lang) for one in ("figure", "old", "new")]]
        rows += [[say(f"watch_figure.{one['figure']}", lang), *(_interval(one["figure"], one[side])
                  for side in ("old", "new"))] for one in self.rows]  # fmt: skip
        said = [say("watch_card.compared", lang, old=self.old_hash[:12], new=self.new_hash[:12])]
        if self.differs:
            names = say("list.between", lang).join(say(f"watch_card.basis_{one}", lang) for one in self.differs)
            said.append(say("watch_card.differs", lang, what=names))
        if self.seen:
            said.append(say("watch_card.seen", lang))
        title = say("watch_card.comparison", lang)
        return Part("comparison", title, tuple(said), ((title, rows, [1, 2]),))


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """Be the card of a model: what it is, with what it was compared, and who agreed to it.

    `signatures` are records of `sign`, the oldest first.
    """

    model: Model
    comparison: Comparison | None = None
    signatures: tuple[Mapping[str, Any], ...] = ()

    def parts(self, lang: str) -> list[Part]:
        """Give all parts in a language, in their order, and the comparison where there is one."""
        made = [_PARTS[key](self, lang) for key in PARTS]
        return [*made, self.comparison.part(lang)] if self.comparison is not None else made

    def title(self, lang: str) -> str:
        """Name the card: kind of model and the first digits of its hash."""
        return say(
            "watch_card.title", lang, kind=say(f"watch_order.{self.model.kind}", lang), hash=self.model.hash[:12]
        )

    def text(self, lang: str = "en") -> str:
        """Tell it on a terminal."""
        lines = [self.title(lang), ""]
        for part in self.parts(lang):
            lines += [part.title, *(f"  {one}" for one in part.said)]
            for _, rows, right in part.tables:
                lines += ["", *(f"  {one}" for one in aligned(rows, right))]
            lines.append("")
        return "\n".join(lines).rstrip()

    def __str__(self) -> str:
        """Tell it in English."""
        return self.text("en")

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give everything as plain data: the words of each part, the numbers behind them, and the signatures."""
        model = self.model
        return {
            "title": self.title(lang),
            "lang": lang,
            "hash": model.hash,
            "version": model.version,
            "data": model.data,
            "synthetic": model.synthetic,
            "target": dict(model.target),
            "years": list(model.years),
            "judged_year": model.judged_year,
            "judged": {name: one for name, one in model.judged.items() if name != "profile"},
            "parts": [
                {"key": one.key, "title": one.title, "said": list(one.said),
                 "tables": [{"title": title, "rows": rows} for title, rows, _ in one.tables]}
                for one in self.parts(lang)
            ],
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
            "signatures": [dict(one) for one in self.signatures],
        }  # fmt: skip


def compare(old: Model, new: Model) -> Comparison:
    """Hold a new model against the one in use, by the judgements that both carry.

    Raises InputError not_judged where one of them was never judged out of time, UsageError same_model.
    """
    for one, name in ((old, "old"), (new, "new")):
        if not one.judged.get("figures"):
            raise InputError("not_judged", f"the {name} model was not judged on a later year; train it with --years, "
                             "whose last year judges")  # fmt: skip
    if old.hash == new.hash:
        raise UsageError(
            "same_model", f"both are the same model ({old.hash[:12]}); give the model in use and the new one"
        )
    figures = [{one["name"]: one for one in model.judged["figures"]} for model in (old, new)]
    names = [name for name in COMPARED if all(name in of for of in figures)]
    rows = tuple({"figure": name, "old": dict(figures[0][name]), "new": dict(figures[1][name])} for name in names)
    differs = tuple(one for one in _BASIS if _basis(old, one) != _basis(new, one))
    return Comparison(old.hash, new.hash, rows, differs, new.judged_year in old.years)


def sign(card: Card, *, by: str, on: str, accepted: bool, note: str = "") -> Card:
    """Add to a card who agreed (or did not) to take the new model in place of the old, after which comparison.

    `on` is a date. Signatures that the card has already stay before it. The record names who decided; it proves nothing
    about identity, which is for the office's own seal. Where the two were not judged alike, a note must say why it was
    decided all the same.

    Raises UsageError nothing_compared, needs_signature (nobody named), needs_note; ConflictError signature_changed
    where an earlier signature is not what was signed.
    """
    compared = card.comparison
    if compared is None:
        raise UsageError("nothing_compared", "a model is put in use by a signed comparison; add --compare OLD")
    if not by.strip() or not on.strip():
        raise UsageError("needs_signature", "a signature needs --by WHO and --on YYYY-MM-DD")
    if (compared.differs or compared.seen) and not note.strip():
        raise UsageError("needs_note", f"the models were not judged alike ({', '.join(compared.differs) or 'seen'}); "
                         "say with --note why it is decided all the same")  # fmt: skip
    record = {"by": by, "on": on, "accepted": accepted, "note": note, "old_hash": compared.old_hash,
              "new_hash": compared.new_hash, "comparison": compared.to_dict()}  # fmt: skip
    return replace(card, signatures=(*checked(card.signatures), record | {"digest": hash_of(record)}))


def checked(signatures: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Give signatures that are what was signed.

    Raises InputError bad_signature for what is none, ConflictError signature_changed for one that was edited.
    """
    for one in signatures:
        given: Any = one
        if not isinstance(given, Mapping) or set(given) != {*_SIGNED, "digest"}:
            raise InputError("bad_signature", "the card holds something that is no signature; take the card as written")
        if hash_of({name: one[name] for name in _SIGNED}) != one["digest"]:
            raise ConflictError("signature_changed", f"the signature of {one['on']} is not what was signed; take the "
                                "card as written")  # fmt: skip
    return tuple(signatures)


def _basis(model: Model, name: str) -> Any:
    if name == "target":
        return dict(model.target)
    return model.judged_year if name == "judged_year" else model.judged.get(name)


def _figure(card: Card, name: str) -> Mapping[str, Any]:
    found = [one for one in card.model.judged.get("figures", ()) if one["name"] == name]
    return found[0] if found else {"name": name, "value": None, "low": None, "high": None}


def _made(key: str, lang: str, said: Sequence[str], *tables: Table) -> Part:
    return Part(key, say(f"watch_card.part_{key}", lang), tuple(said), tables)


def _sentences(key: str, lang: str, **values: object) -> list[str]:
    """Give the sentences of a part: key_1, key_2 and so on, as many as the catalogue has."""
    said, number = [], 1
    while knows(f"watch_card.{key}_{number}", lang):
        said.append(say(f"watch_card.{key}_{number}", lang, **values))
        number += 1
    return said


def _purpose(card: Card, lang: str) -> Part:
    return _made("purpose", lang, _sentences("purpose", lang))


def _decides(card: Card, lang: str) -> Part:
    return _made("decides", lang, _sentences("decides", lang))


def _target(card: Card, lang: str) -> Part:
    target = card.model.target
    kind = str(target.get("target", "both"))
    definition = str(target.get("definition", "who"))
    named = say(key, lang) if knows(key := f"watch_definition.{definition}") else definition
    share = float(target.get("threshold", math.nan))
    said = say(f"watch_card.target_{kind if kind in ('catastrophic', 'line') else 'both'}", lang, definition=named,
               share="–" if math.isnan(share) else f"{100 * share:g}")  # fmt: skip
    return _made("target", lang, [said, say("watch_card.target_next", lang)])


def _data(card: Card, lang: str) -> Part:
    model, judged = card.model, card.model.judged
    years = _years(model.years)
    said = [say("watch_card.data_trained", lang, years=years, rows=f"{model.rows:,}", fell=f"{model.fell:,}",
                share=f"{100 * model.fell / model.rows:.1f}" if model.rows else "–")]  # fmt: skip
    if judged.get("figures"):
        year = model.judged_year or 0
        said.append(say("watch_card.data_judged", lang, year=year, next=year + 1,
                        households=f"{judged['households']:,}", fell=f"{judged['fell']:,}"))  # fmt: skip
    else:
        said.append(say("watch_card.data_not_judged", lang))
    said.append(say("watch_card.data_made_up" if model.synthetic else "watch_card.data_real", lang))
    if place := model.target.get("place"):
        said.append(say("watch_card.data_place", lang, place=place))
    return _made("data", lang, said)


def _capacity(card: Card, lang: str) -> Part:
    model, judged = card.model, card.model.judged
    if not judged.get("figures"):
        return _made("capacity", lang, [say("watch_card.data_not_judged", lang)])
    said = [say("watch_card.capacity_head", lang, capacity=judged["capacity"], visited=f"{judged['visited']:,}",
                households=f"{judged['households']:,}")]  # fmt: skip
    rows = [[say(f"watch_card.{one}", lang) for one in ("order", "recall", "precision")]]
    for name in ("", *judged["orders"]):
        tail = f"_{name}" if name else ""
        rows.append([say(f"watch_order.{name or model.kind}", lang),
                     *(_interval(one, _figure(card, one + tail)) for one in ("recall", "precision"))])  # fmt: skip
    steps = [one for one in judged["by_capacity"] if one["order"] == "model"]
    curve = [[say(f"watch_card.{one}", lang) for one in ("visits_a_week", "visited", "recall", "precision")]]
    curve += [[f"{one['capacity']:,}", f"{one['visited']:,}", _percent(one["recall"]), _percent(one["precision"])]
              for one in steps]  # fmt: skip
    return _made("capacity", lang, said, (say("watch_card.at_capacity", lang), rows, [1, 2]),
                 (say("watch_card.by_capacity", lang), curve, [0, 1, 2, 3]))  # fmt: skip


def _calibration(card: Card, lang: str) -> Part:
    model = card.model
    if not model.judged.get("figures"):
        return _made("calibration", lang, [say("watch_card.data_not_judged", lang)])
    names = ("slope", "intercept", "observed_to_expected", "calibration_error", "brier")
    figures = [[say(f"watch_card.{one}", lang) for one in ("figure", "value")]]
    figures += [[say(f"watch_figure.{one}", lang), _interval(one, _figure(card, one))] for one in names]
    tenths = [[say(f"watch_card.{one}", lang) for one in ("tenth", "households", "predicted", "observed", "interval")]]
    tenths += [[str(one["tenth"]), f"{one['households']:,}", _percent(one["predicted"]), _percent(one["observed"]),
                f"{_percent(one['low'])} – {_percent(one['high'])}"] for one in model.judged["deciles"]]  # fmt: skip
    return _made("calibration", lang, [say("watch_card.calibration_meaning", lang)],
                 (say("watch_card.calibration_figures", lang), figures, [1]),
                 (say("watch_card.calibration_tenths", lang), tenths, [0, 1, 2, 3, 4]))  # fmt: skip


def _told_figures(key: str, names: Sequence[str], card: Card, lang: str) -> Part:
    """Make a part of one sentence with figures in it, or say that the model was not judged."""
    if not card.model.judged.get("figures"):
        return _made(key, lang, [say("watch_card.data_not_judged", lang)])
    values = {one: _interval(one, _figure(card, one)) for one in names}
    return _made(key, lang, [say(f"watch_card.{key}_said", lang, **values)])


def _errors(card: Card, lang: str) -> Part:
    return _told_figures("errors", ("inclusion_error", "exclusion_error"), card, lang)


def _lead(card: Card, lang: str) -> Part:
    if card.model.judged.get("figures") and not _figure(card, "lead_dated")["value"]:
        return _made("lead", lang, [say("watch_card.lead_none", lang)])
    return _told_figures("lead", ("lead_days", "lead_dated"), card, lang)


def _ranking(card: Card, lang: str) -> Part:
    return _told_figures("ranking", ("average_precision", "auroc"), card, lang)


def _gain(card: Card, lang: str) -> Part:
    if not card.model.judged.get("figures"):
        return _made("gain", lang, [say("watch_card.data_not_judged", lang)])
    said = [
        say("watch_card.gain_said", lang, order=say(f"watch_order.{name}", lang),
            gain=_interval("gain", _figure(card, f"gain_{name}")))
        for name in card.model.judged["orders"]
    ]  # fmt: skip
    return _made("gain", lang, [*said, say("watch_card.gain_rule", lang)])


def _slices(card: Card, lang: str) -> Part:
    found = card.model.judged.get("slices") or []
    if not found:
        return _made("slices", lang, [say("watch_card.slices_none", lang)])
    heads = ("slice", "households", "fell", "recall", "precision", "predicted", "observed")
    rows = [[say(f"watch_card.{one}", lang) for one in heads]]
    for one in found:
        column, group = (str(one[name] if one[name] is not None else "–") for name in ("column", "group"))
        named = say(key, lang) if knows(key := f"watch_slice.{group}") else group
        what = say(key, lang) if knows(key := f"watch_slice.{column}") else column
        rows.append([
            f"{what}: {named}{' *' if one['small'] else ''}", f"{one['households']:,}", f"{one['fell']:,}",
            *(_interval(name, {"value": one[name], "low": one[f"{name}_low"], "high": one[f"{name}_high"]})
              for name in ("recall", "precision")),
            _percent(one["predicted"]), _percent(one["observed"]),
        ])  # fmt: skip
    small = say("watch_card.slices_small", lang, households=SMALL_HOUSEHOLDS, fell=SMALL_FELL)
    return _made("slices", lang, [say("watch_card.slices_head", lang), small],
                 (say("watch_card.part_slices", lang), rows, [1, 2, 3, 4, 5, 6]))  # fmt: skip


def _features(card: Card, lang: str) -> Part:
    model = card.model
    rows = [[say(f"watch_card.{one}", lang) for one in ("feature", "unit", "direction", "missing")]]
    for name in model.features:
        one, lies = FEATURES.get(name), model.bins.get(name)
        rows.append([
            say(key, lang) if knows(key := f"watch_feature.{name}") else name,
            say(f"watch_feature_unit.{one.unit}", lang) if one else "–",
            say(f"watch_card.direction_{('down', 'either', 'up')[one.sign + 1]}", lang) if one else "–",
            "–" if lies is None else _percent(lies.missing),
        ])  # fmt: skip
    held = say(f"watch_card.features_{model.kind}", lang)
    return _made("features", lang, [say("watch_card.features_head", lang, many=len(model.features)), held],
                 (say("watch_card.part_features", lang), rows, [3]))  # fmt: skip


def _limits(card: Card, lang: str) -> Part:
    made_up = [say("watch_card.data_made_up", lang)] if card.model.synthetic else []
    return _made("limits", lang, [*made_up, *_sentences("limits", lang)])


def _identity(card: Card, lang: str) -> Part:
    model = card.model
    settings = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(model.settings.items())
    )
    said = [
        say("watch_card.identity_model", lang, hash=model.hash),
        say("watch_card.identity_data", lang, hash=model.data or "–"),
        say("watch_card.identity_version", lang, version=model.version),
        say("watch_card.identity_settings", lang, settings=settings or "–"),
    ]
    return _made("identity", lang, said)


def _retraining(card: Card, lang: str) -> Part:
    said = _sentences("retraining", lang)
    for one in card.signatures:
        verdict = "accepted" if one["accepted"] else "refused"
        said.append(say(f"watch_card.signed_{verdict}", lang, by=one["by"], on=one["on"], old=one["old_hash"][:12],
                        new=one["new_hash"][:12], note=one["note"] or "–"))  # fmt: skip
    if not card.signatures:
        said.append(say("watch_card.not_signed", lang))
    return _made("retraining", lang, said)


_PARTS = {
    "purpose": _purpose, "decides": _decides, "target": _target, "data": _data, "capacity": _capacity,
    "calibration": _calibration, "errors": _errors, "lead": _lead, "gain": _gain, "ranking": _ranking,
    "slices": _slices, "features": _features, "limits": _limits, "identity": _identity, "retraining": _retraining,
}  # fmt: skip

_SHARES = ("recall", "precision", "gain", "inclusion_error", "exclusion_error")


def _years(years: Sequence[int]) -> str:
    return "–" if not years else str(years[0]) if len(years) == 1 else f"{years[0]}–{years[-1]}"


def _percent(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def _interval(name: str, one: Mapping[str, Any]) -> str:
    """Write a figure with its interval: shares in percent, days and counts whole, the rest with three digits."""

    def write(value: float) -> str:
        if name in _SHARES:
            return _percent(value)
        return f"{value:,.0f}" if name.startswith("lead") else f"{value:.3f}"

    value, low, high = one["value"], one.get("low"), one.get("high")
    if value is None or math.isnan(value):
        return "–"
    return write(value) if low is None or high is None else f"{write(value)} [{write(low)}, {write(high)}]"
