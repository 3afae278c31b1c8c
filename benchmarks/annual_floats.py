"""Show why programs that keep floats of 32 bits miss fen: the same arithmetic in numpy, kept in 32 and in 64 bits."""

from __future__ import annotations

import numpy as np
from annual import RULES, Numpy, missing
from contest import Columns

WIDTHS = {"float32": np.float32, "float64": np.float64}
EXPENSES = 650_274
"""The number of people with an expense in the notes that the issue cites, of whom 462 were off."""


def redone(given: Columns, *, kept: type, by_hand: bool) -> np.ndarray:
    """Work out the three payments in yuan, each variable kept in so many bits as soon as it is known; give them in fen.

    `by_hand` brings what was kept back to its fen in 64 bits before it is used, as the careful peers do.
    """

    def keep(yuan: np.ndarray) -> np.ndarray:
        return yuan.astype(kept)

    def used(yuan: np.ndarray) -> np.ndarray:
        return np.rint(yuan.astype(np.float64) * 100) / 100 if by_hand else yuan

    def fen(yuan: np.ndarray) -> np.ndarray:
        return np.floor(yuan.astype(np.float64) * 100 + (0.5 + 1e-6 if by_hand else 0.5)) / 100

    def of(name: str, column: str, unit: float) -> np.ndarray:
        return np.array([value / unit for value in RULES[name]])[given[column]]

    (_, _), (low, first), (high, second) = RULES["brackets"]
    bill = keep(given["bill_fen"] / 100)
    eligible = np.maximum(used(bill) - of("deductible", "level", 1), 0)
    basic = keep(np.minimum(fen(eligible * of("percent", "level", 100)), RULES["cap"]))
    burden = (used(bill) - used(basic)).astype(np.float64)
    low, high = (edge * (1 + np.finfo(np.float64).eps) for edge in (low, high))  # their scales move edges by a hair
    pieces = np.maximum(np.stack([np.minimum(burden, high) - low, burden - high]), 0)
    critical = keep(fen(np.array([first / 100, second / 100]) @ pieces))
    left = used(bill) - used(basic) - used(critical)
    assistance = keep(np.minimum(fen(left * of("share", "group", 100)), RULES["limit"]))
    return np.stack([basic, critical, assistance]).astype(np.float64) * 100


def same_people(given: Columns, results: dict[str, np.ndarray]) -> list[list[str]]:
    """Hold the people whom peers of 32 bits miss against those whom numpy misses with the same arithmetic."""
    exact = Numpy().work(given)
    having = np.flatnonzero(given["bill_fen"] > 0)
    rows = [
        [
            "arithmetic",
            "kept in",
            f"people off, of {len(having):,} with a bill",
            f"of the first {EXPENSES:,}",
            "worst, fen",
        ]
    ]
    rows[0] += [f"the same people as {core}" for core in ("OpenFisca-core", "PolicyEngine-core")]
    for by_hand, word in ((False, "floats as they come"), (True, "with all care by hand")):
        for name, kept in WIDTHS.items():
            miss = missing(redone(given, kept=kept, by_hand=by_hand), exact)
            off = miss > 0.5
            first = f"{int(off[having[:EXPENSES]].sum()):,}" if len(having) >= EXPENSES else "-"
            row = [word, name, f"{int(off.sum()):,}", first, f"{miss.max():,.2f}"]
            for peer in ("openfisca", "policyengine"):
                theirs = results.get(peer + ("-by-hand" if by_hand else ""))
                if theirs is None or name == "float64":
                    row.append("-")
                else:
                    other = missing(theirs, exact) > 0.5
                    row.append(f"{int((off & other).sum()):,} of {int(other.sum()):,}")
            rows.append(row)
    return rows


def spacing(given: Columns) -> list[list[str]]:
    """Count who is off by the size of the bill, beside the distance between neighbouring floats of 32 bits there."""
    exact = Numpy().work(given)
    bill = given["bill_fen"] / 100
    off = {by_hand: missing(redone(given, kept=np.float32, by_hand=by_hand), exact) > 0.5 for by_hand in (False, True)}
    rows = [
        ["bill, yuan", "next float of 32 bits, fen away", "people", "off, floats as they come", "off, with all care"]
    ]
    for low, high in ((0, 2**12), *((2**n, 2 ** (n + 1)) for n in range(12, 20))):
        here = (bill > 0) & (bill >= low) & (bill < high)
        apart = float(np.spacing(np.float32(high - 1))) * 100
        label = f"{low:,} to {high:,}" if low else f"under {high:,}"
        rows.append(
            [
                label,
                f"{apart:.3f}",
                f"{int(here.sum()):,}",
                *(f"{int((off[way] & here).sum()):,}" for way in (False, True)),
            ]
        )
    return rows
