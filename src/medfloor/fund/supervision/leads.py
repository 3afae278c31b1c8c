"""Be the result of supervision: leads with evidence in an order, and what they come to by rule and facility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from medfloor.fund.supervision.rules import Rules
from medfloor.terminal import aligned
from medfloor.words import Phrase, join, say

SCHEMA = pl.Schema(
    {
        "rule": pl.String(), "claim_id": pl.String(), "others": pl.String(), "item": pl.String(), "claims": pl.Int64(),
        "person_id": pl.String(), "provider_id": pl.String(), "day": pl.Date(), "value": pl.Float64(),
        "limit": pl.Float64(), "money_fen": pl.Int64(),
    }
)  # fmt: skip
"""A lead: its rule, the claim (others that belong to it, with ; between), item, how many claims, whose, where, when,
what was found and what the rule allows, and how much money is at issue."""

_KEPT = {
    "claim_id": ("claim_id",), "person_id": ("person_id",), "provider_id": ("provider_id",), "day": ("day", "start"),
}  # fmt: skip


def as_leads(
    rows: pl.DataFrame,
    rule: str,
    *,
    value: pl.Expr | None,
    limit: pl.Expr | float | None,
    money: pl.Expr | None = None,
    claims: pl.Expr | None = None,
    others: str | None = None,
    item: str | None = None,
) -> pl.DataFrame:
    """Put rows that a rule found into the form of SCHEMA; columns that they lack are empty, money is their cost.

    >>> as_leads(pl.DataFrame({"claim_id": ["c"], "total_fen": [5]}), "duplicate", value=None, limit=1)["limit"][0]
    1.0
    """
    if not rows.height:
        return pl.DataFrame(schema=SCHEMA)
    made: dict[str, Any] = {"rule": pl.lit(rule)}
    for name, given in _KEPT.items():
        there = next((one for one in given if one in rows.columns), None)
        made[name] = pl.lit(None) if there is None else pl.col(there)
    if claims is None:
        claims = pl.lit(1) if others is None else pl.col(others).is_not_null().cast(pl.Int64) + 1
    made |= {
        "others": pl.lit(None) if others is None else pl.col(others),
        "item": pl.lit(None) if item is None else pl.col(item),
        "claims": claims,
        "value": pl.lit(None) if value is None else value,
        "limit": limit if isinstance(limit, pl.Expr) else pl.lit(limit),
        "money_fen": pl.col("total_fen") if money is None else money,
    }
    return rows.select(**{name: made[name].cast(dtype) for name, dtype in SCHEMA.items()})


@dataclass(frozen=True, eq=False, slots=True)
class Leads:
    """Be what supervision found. A lead is for a person to follow, and no verdict; money is at issue, and no loss.

    `leads` has the columns of SCHEMA with rank, weight and score (money times the weight of the rule) before them, the
    highest score first; ids of people are in it and in `rejected` alone. `by_rule` and `by_facility` count. `rejected`
    are the refused rows as they came. `not_asked` says which rules had nothing to look at. Rows in are rows looked at +
    reversed + refused.
    """

    rules: Rules
    leads: pl.DataFrame
    by_rule: pl.DataFrame
    by_facility: pl.DataFrame
    rejected: pl.DataFrame
    rows: int
    looked_at: int
    reversed: int
    money_fen: int
    money_rejected_fen: int
    not_asked: tuple[tuple[str, Phrase], ...]
    synthetic: bool = False

    def head(self, lang: str) -> str:
        """Say in a sentence what was looked at and found."""
        return say(
            "supervision.head", lang, rows=f"{self.rows:,}", looked=f"{self.looked_at:,}", taken=f"{self.reversed:,}",
            refused=f"{self.rejected.height:,}", money=_yuan(self.money_fen), leads=f"{self.leads.height:,}",
        )  # fmt: skip

    def said(self) -> list[Phrase]:
        """List what must be known beside the numbers."""
        told = [Phrase.of("supervision.no_verdict"), Phrase.of("supervision.at_issue"), Phrase.of("supervision.order")]
        told.append(Phrase.of("supervision.unverified"))
        if self.synthetic:
            told.append(Phrase.of("supervision.synthetic"))
        return told

    def left_out(self, lang: str) -> list[str]:
        """Say which rules were not asked, and why: a sentence a reason."""
        reasons: dict[str, list[str]] = {}
        for name, why in self.not_asked:
            reasons.setdefault(why.say(lang), []).append(self.rules[name].title(lang))
        return [say("supervision.left_out", lang, rules=join(titles, lang), why=why) for why, titles in reasons.items()]

    def refusals(self, lang: str) -> list[str]:
        """Say why rows were refused and how many each, and where they stand; nothing where none were."""
        if not self.rejected.height:
            return []
        counts = self.rejected["reason"].value_counts(sort=True).sort("count", "reason", descending=[True, False])
        reasons = [f"{row['reason']} ({row['count']:,})" for row in counts.iter_rows(named=True)]
        return [say("supervision.refused", lang, reasons=join(reasons, lang))]

    def tables(self, lang: str) -> list[tuple[str, list[list[str]], list[int]]]:
        """Give tables as text: title, rows (the first are heads), and the columns of numbers. They name nobody."""
        heads = [
            say(f"supervision.{one}", lang) for one in ("rule", "leads", "people", "facilities", "money", "weight")
        ]
        rows = [
            [self.rules[row["rule"]].title(lang), f"{row['leads']:,}", f"{row['people']:,}", f"{row['facilities']:,}",
             _yuan(row["money_fen"]), f"{row['weight']:.1f}"]
            for row in self.by_rule.iter_rows(named=True)
        ]  # fmt: skip
        law = [say(f"supervision.{one}", lang) for one in ("rule", "looks_for", "law")]
        asked = {name for name, _ in self.not_asked}
        laws = [
            [one.title(lang), one.reason(lang), one.law(lang)]
            for one in self.rules.all
            if one.on and one.name not in asked
        ]
        return [
            (say("supervision.by_rule", lang), [heads, *rows], [1, 2, 3, 4, 5]),
            (say("supervision.rules", lang), [law, *laws], []),
        ]

    def text(self, lang: str = "en") -> str:
        """Give counts by rule for a terminal; no person, claim or facility is named."""
        title, rows, right = self.tables(lang)[0]
        lines = [self.head(lang), *self.refusals(lang), ""]
        if self.leads.height:
            lines += [title, *aligned(rows, right), ""]
        lines += [*self.left_out(lang), *(one.say(lang) for one in self.said())]
        return "\n".join(lines)

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give the leads with title, reason and article of their rule in words; money stays fen in `money_fen`."""
        words = pl.DataFrame(
            [
                {"rule": one.name, "title": one.title(lang), "reason": one.reason(lang), "article": one.law(lang)}
                for one in self.rules.all
            ]
        )
        return self.leads.join(words, on="rule", how="left", maintain_order="left")

    def to_dict(self, lang: str = "en") -> dict[str, Any]:
        """Give all but leads and refused rows, for JSON: counts that name no person."""
        return {
            "head": self.head(lang),
            "rows": self.rows,
            "looked_at": self.looked_at,
            "reversed": self.reversed,
            "refused": self.rejected.height,
            "refused_because": dict(self.rejected["reason"].value_counts().sort("reason").iter_rows()),
            "money_yuan": self.money_fen / 100,
            "money_refused_yuan": self.money_rejected_fen / 100,
            "leads": self.leads.height,
            "by_rule": _in_yuan(self.by_rule).to_dicts(),
            "by_facility": _in_yuan(self.by_facility).to_dicts(),
            "rules": self.rules.to_frame(lang).to_dicts(),
            "not_asked": {name: why.say(lang) for name, why in self.not_asked},
            "notes": [one.say(lang) for one in self.said()],
            "synthetic": self.synthetic,
        }


def ordered(found: Sequence[pl.DataFrame], rules: Rules) -> pl.DataFrame:
    """Put leads in their order: money times weight, then rule and claim; the same input gives the same order."""
    weights = pl.DataFrame({"rule": [one.name for one in rules.all], "weight": [one.weight for one in rules.all]})
    both = pl.concat([pl.DataFrame(schema=SCHEMA), *found]).join(weights, on="rule", how="left")
    both = both.with_columns(
        (pl.col("money_fen") / 100 * pl.col("weight")).round(2).alias("score"), pl.col("value").round(6)
    )
    keys = ["score", "rule", "claim_id", "provider_id", "person_id", "day", "item"]
    both = both.sort(keys, descending=[True, *[False] * (len(keys) - 1)], nulls_last=True)
    return both.select(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("rank"), "weight", "score", *SCHEMA.names())


def counted(leads: pl.DataFrame, provider: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count leads by rule, and by facility beside all that it charged (`provider`: provider_id, n, total_fen).

    A claim under several rules counts once under each, so money of rules is not to be added up.
    """
    by_rule = (
        leads.group_by("rule")
        .agg(
            pl.len().alias("leads"), pl.col("person_id").drop_nulls().n_unique().alias("people"),
            pl.col("provider_id").drop_nulls().n_unique().alias("facilities"), pl.col("money_fen").sum(),
            pl.col("weight").first(), pl.col("score").sum(),
        )
        .sort("score", "rule", descending=[True, False])
    )  # fmt: skip
    whole = provider.group_by("provider_id").agg(pl.col("n").sum().alias("claims"), pl.col("total_fen").sum())
    own = leads.filter(pl.col("provider_id").is_not_null()).group_by("provider_id")
    told = own.agg(
        pl.len().alias("leads"), pl.col("rule").n_unique().alias("rules"), pl.col("money_fen").sum(),
        pl.col("score").sum(),
    )  # fmt: skip
    by_facility = told.join(whole, on="provider_id", how="left").sort("score", "provider_id", descending=[True, False])
    return by_rule, by_facility.with_columns(
        (100_000 * pl.col("leads") / pl.col("claims") / 100).round(2).alias("per_thousand")
    )


def _in_yuan(frame: pl.DataFrame) -> pl.DataFrame:
    fen = [name for name in frame.columns if name.endswith("_fen")]
    return frame.with_columns((pl.col(name) / 100).alias(f"{name[:-4]}_yuan") for name in fen).drop(fen)


def _yuan(fen: int) -> str:
    return f"{fen / 100:,.2f}"
