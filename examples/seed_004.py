"""Write seed_004.csv and seed_004_printed.csv: synthetic households that give what a study of poor households printed.

The study asked 696 registered and 417 non-registered poor households in Hubei and Jiangxi (250 and 446, 50 and 367).
Its data were not published. These households are SYNTHETIC: the counts below are the study's where it printed them or
where they follow from what it printed; every single amount is made up.

Printed and met: hospitalised 158 of 696 (22.70 %) and 41 of 417 (9.83 %); chronic disease 281 of 696 (40.37 %) and 406
of 1,113 (36.48 %), so that 125 of 417 follow; major disease 110 of 696 (15.80 %); catastrophic spending 120 of 696
(17.24 %) and 107 of 417 (25.66 %); own payments for hospital care with maximum, minimum, median and mean 160,000, 0,
1,000, 9,415.57 and 400,000, 0, 10,000, 49,697.89; reimbursement bands of the registered 21, 50, 20 and 9 % (its text
says 21 and 9 %; which of 50 and 20 % comes first cannot be read from it, and 50-75 % is taken as 50 %); of the
non-registered half below 50 % and none above 90 %; more than half of them with own payments above 90 % of income.

Printed and not possible: 12.55 % of 417 (52 are 12.47 %, 53 are 12.71 %; 52 are taken) and 14.22 % of 1,113. Two
printed things exclude each other: no non-registered patient was reimbursed more than 90 %, and the least that one paid
was nothing; one of the 41 therefore has no bill here, so that 40 have a ratio.

Run it with `python examples/seed_004.py`, then `medfloor measure reimbursement seed_004.csv --report seed-004`.
"""

from __future__ import annotations

import random

import polars as pl

from medfloor.measures.seed_004 import PRINTED

GROUPS = {
    "yes": {"Hubei": 250, "Jiangxi": 446, "major": 110, "chronic": 281, "catastrophic": 120},
    "no": {"Hubei": 50, "Jiangxi": 367, "major": 52, "chronic": 125, "catastrophic": 107},
}
BANDS = {
    "yes": ((0.20, 0.48, 33), (0.52, 0.73, 79), (0.77, 0.89, 32), (0.91, 0.98, 14)),
    "no": ((0.10, 0.48, 20), (0.52, 0.73, 12), (0.77, 0.89, 8)),
}
"""Reimbursement ratios are drawn between the first two; so many patients are in the band."""

OWN = {
    "yes": {"patients": 158, "maximum": 160_000, "median": 1_000, "sum": 1_487_660.00},
    "no": {"patients": 41, "maximum": 400_000, "median": 10_000, "sum": 2_037_613.50},
}
"""Own payments for hospital care; the sum is the printed mean times the patients, to the nearest that prints as it."""


OF_INCOME = {"yes": (), "no": ((0.1, 0.45, 6), (0.55, 0.85, 12), (0.95, 3.0, 23))}
"""Own payments over income of patients, the lowest first; the registered have incomes like everyone."""


def households() -> pl.DataFrame:
    """Make up the households; amounts are yuan a year, `total` and `reimbursed` of hospital care."""
    draw = random.Random(4)
    rows: list[dict[str, object]] = []
    for registered, given in GROUPS.items():
        count = given["Hubei"] + given["Jiangxi"]
        provinces = ["Hubei"] * given["Hubei"] + ["Jiangxi"] * given["Jiangxi"]
        draw.shuffle(provinces)
        major, chronic = (set(draw.sample(range(count), given[name])) for name in ("major", "chronic"))
        bills = hospital_bills(registered, draw)
        spent = [own + outpatient(draw) for _, _, own in bills]
        spent += [outpatient(draw) for _ in range(count - len(bills))]
        parts = [draw.uniform(low, high) for low, high, number in OF_INCOME[registered] for _ in range(number)]
        # The heaviest spending is the catastrophic one.
        worst = set(sorted(range(count), key=lambda place: -spent[place])[: given["catastrophic"]])
        for place in range(count):
            total, reimbursed, own = bills[place] if place < len(bills) else (None, None, 0.0)
            rows.append(
                {
                    "household_id": f"{'R' if registered == 'yes' else 'N'}{place + 1:04d}",
                    "province": provinces[place],
                    "registered": registered,
                    "size": draw.randint(1, 6),
                    "major_disease": "yes" if place in major else "no",
                    "chronic_disease": "yes" if place in chronic else "no",
                    "hospitalised": "yes" if place < len(bills) else "no",
                    "total": total,
                    "reimbursed": reimbursed,
                    "oop": round(spent[place], 2),
                    "income": income(own, parts[place] if place < len(parts) else 0.0, draw),
                    **living(spent[place], place in worst, draw),
                    "synthetic": True,
                }
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def hospital_bills(registered: str, draw: random.Random) -> list[tuple[float, float, float]]:
    """Make up bills: what the hospital charged, what was paid back, and the patient's own payment."""
    own = own_payments(registered, draw)
    ratios = [draw.uniform(low, high) for low, high, number in BANDS[registered] for _ in range(number)]
    bills = []
    if registered == "no":
        bills.append((0.0, 0.0, own.pop(0)))
    # A ratio of one belongs to the smallest payment, which is nothing.
    ratios.sort(reverse=True)
    for place, (paid, ratio) in enumerate(zip(own, ratios, strict=True)):
        total = round(paid / (1 - ratio), 2) if paid else round(draw.uniform(800, 4_000), 2)
        assert place == 0 or paid > 0
        bills.append((total, round(total - paid, 2), paid))
    return bills


def own_payments(registered: str, draw: random.Random) -> list[float]:
    """Make up own payments with the printed minimum, median, maximum and mean, rising."""
    told = OWN[registered]
    patients, median = int(told["patients"]), float(told["median"])
    # Below and above the median, apart from the ends; with an even number two stand at the median.
    lower = sorted(round(draw.uniform(0.1, 0.95) * median, 2) for _ in range((patients - 1) // 2 - 1))
    middle = [median] * (2 - patients % 2)
    above = patients - 2 - len(lower) - len(middle)
    shape = sorted(draw.lognormvariate(0.0, 1.2) for _ in range(above))
    left = told["sum"] - told["maximum"] - sum(lower) - sum(middle)
    over = left - above * median
    upper = [round(median + over * one / sum(shape), 2) for one in shape]
    upper[-1] = round(upper[-1] + told["sum"] - told["maximum"] - sum(lower) - sum(middle) - sum(upper), 2)
    assert median < upper[0] and upper[-1] < told["maximum"]
    return [0.0, *lower, *middle, *upper, float(told["maximum"])]


def outpatient(draw: random.Random) -> float:
    """Make up what a household paid for care outside of hospital."""
    return round(draw.lognormvariate(6.0, 1.3), 2) if draw.random() < 0.8 else 0.0


def income(own: float, part: float, draw: random.Random) -> float:
    """Make up an income: of which the own payment is a part, where one is given."""
    return round(own / part if own and part else draw.uniform(9_000, 30_000), 2)


def living(oop: float, catastrophic: bool, draw: random.Random) -> dict[str, float]:
    """Make up consumption and food, so that spending is over 40 % of non-food consumption, or is not."""
    share = draw.uniform(0.45, 0.9) if catastrophic else draw.uniform(0.05, 0.35)
    nonfood = max(oop / share, 0.0 if catastrophic else draw.uniform(3_000, 12_000))
    food = draw.uniform(3_000, 9_000)
    return {"consumption": round(nonfood + food, 2), "food": round(food, 2)}


if __name__ == "__main__":
    made = households()
    made.write_csv("seed_004.csv")
    columns = ["label", "percent", "n", "part_of"]
    pl.DataFrame(list(PRINTED), schema=columns, orient="row").write_csv("seed_004_printed.csv")
    print(f"wrote seed_004.csv: {made.height:,} synthetic households")
    print(f"wrote seed_004_printed.csv: {len(PRINTED)} percentages")
