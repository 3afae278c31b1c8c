"""Make a small panel to try `medfloor evaluate` on: 600 made-up households in 60 counties, five waves, known effect.

`python examples/evaluate/panel.py` writes panel.csv. Everything in it is made up: the counties bear codes of GB/T 2260
only so that the made-up roll-out table beside this file can be joined to them. Being under the policy lowers the chance
of poverty by 8 points and own payments by 300 yuan in truth, in every wave alike.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

WAVES = (2012, 2014, 2016, 2018, 2020)
# Prefectures 4201 to 4206 and 3601 to 3606, five counties each, and the year in which the made-up policy began.
STARTS = {"4201": 2013, "4202": 2015, "4203": 2015, "4204": 2017, "4205": 2017, "4206": 9999} | {
    "3601": 2013, "3602": 2015, "3603": 2015, "3604": 2017, "3605": 9999, "3606": 9999,
}  # fmt: skip


def main() -> None:
    """Draw from one seed and write the table."""
    draw = random.Random(20121001)
    rows = []
    for home in range(600):
        city = sorted(STARTS)[home % 12]
        county = f"{city}{2 + home // 12 % 5:02d}"
        lasting, age = draw.gauss(0, 1), draw.randint(25, 70)
        willing = draw.random()
        for wave in WAVES:
            if draw.random() < 0.08:
                continue
            covered = int(wave >= STARTS[city])
            enrolled = int(willing < 0.25 + 0.55 * covered)
            chance = 0.32 - 0.06 * lasting - 0.02 * (wave - 2012) / 2 - 0.08 * covered
            oop = max(0.0, 1500 + 250 * lasting + 60 * (wave - 2012) - 300 * covered + draw.gauss(0, 500))
            poor, visits = int(draw.random() < chance), max(0, int(draw.gauss(2.2 + 0.4 * covered, 1.2)))
            who = [age + wave - 2012, draw.choice(["f", "m"])]
            rows.append([f"h{home:03d}", wave, county, city, covered, enrolled, poor, round(oop, 2), *who, visits])
    with Path("panel.csv").open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file, lineterminator="\n")
        names = "household_id wave county city covered enrolled poor oop age sex visits"
        write.writerow(names.split())
        write.writerows(rows)


if __name__ == "__main__":
    main()
