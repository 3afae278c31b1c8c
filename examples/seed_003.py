"""Write seed_003.csv: 2,577 constructed cases that reproduce the figures which a study of one county printed.

The study of medical insurance for the poor in a county of Liaoning printed: 2,577 cases; 1,394 of the circulatory
system (54.09 %) and 346 of the respiratory system (13.43 %); after basic insurance, critical illness insurance and
medical assistance 2,002 (77.69 %) in the safe zone of the burden reduction index, 1,041 of them from the low-risk and
961 from the high-risk interval (74.25 % and 81.79 % of these). Its data were not published. These cases are
CONSTRUCTED: the counts are the study's, every amount is made up, and which payer paid what is made up too.

Run it with `python examples/seed_003.py`, then `medfloor measure burden seed_003.csv --reference income --by disease`.
"""

from __future__ import annotations

import random

import polars as pl

CELLS = (("low", False, 361), ("low", True, 1041), ("high", False, 214), ("high", True, 961))
"""Risk before compensation (cost against income), safe after all compensation, and how many cases: 1,402 and 1,175
follow from 1,041 / 74.25 % and 961 / 81.79 %."""

DISEASES = (("circulatory", 1394), ("respiratory", 346), ("other", 837))


def cases() -> pl.DataFrame:
    """Construct the cases; amounts are yuan."""
    draw = random.Random(3)
    diseases = [name for name, number in DISEASES for _ in range(number)]
    draw.shuffle(diseases)
    rows: list[dict[str, object]] = []
    for risk, safe, number in CELLS:
        for _ in range(number):
            total = round(draw.lognormvariate(8.6, 0.7), 2)
            ratio = draw.uniform(1.05, 3.0) if risk == "high" else draw.uniform(0.1, 0.95)
            # Of each yuan: basic insurance first, then critical illness insurance, then assistance.
            paid = draw.uniform(0.82, 0.95) if safe else draw.uniform(0.55, 0.78)
            basic, critical = draw.uniform(0.45, 0.6) / 0.95, draw.uniform(0.0, 0.15)
            rows.append(
                {
                    "claim_id": f"{len(rows) + 1:04d}",
                    "disease": diseases[len(rows)],
                    "total": total,
                    "pay_basic": round(total * paid * basic, 2),
                    "pay_critical_illness": round(total * paid * (1 - basic) * critical, 2),
                    "pay_assistance": round(total * paid * (1 - basic) * (1 - critical), 2),
                    "income": round(total / ratio, 2),
                    "synthetic": True,
                }
            )
    return pl.DataFrame(rows)


if __name__ == "__main__":
    made = cases()
    made.write_csv("seed_003.csv")
    print(f"wrote seed_003.csv: {made.height:,} constructed cases")
