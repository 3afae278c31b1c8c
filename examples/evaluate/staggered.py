"""Make a panel to try staggered adoption on: 480 made-up households in 80 cities, seven waves, known effect.

`python examples/evaluate/staggered.py` writes staggered.csv. Everything in it is made up. Being under the policy raises
the logarithm of income by 0.06 in the first wave under it and by 0.04 more in each wave after, in truth, so that the
effect grows: two-way fixed effects, which hold those who begin late against those already under it, come out too low.
`truth` is the effect on that row.
"""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path

WAVES = (2010, 2012, 2014, 2016, 2018, 2020, 2022)
STARTS = (2012, 2014, 2014, 2016, 2016, 2018, 2018, 2020, None, None)
FIRST, MORE = 0.06, 0.04


def main() -> None:
    """Draw from one seed and write the table."""
    draw = random.Random(20140801)
    city_shocks = {(city, wave): draw.gauss(0, 0.03) for city in range(80) for wave in WAVES}
    rows = []
    for home in range(480):
        city = home % 80
        start = STARTS[city // 2 % 10]
        lasting, urban = draw.gauss(0, 0.5), int(draw.random() < 0.45)
        for wave in WAVES:
            if draw.random() < 0.1:
                continue
            covered = int(start is not None and wave >= start)
            truth = (FIRST + MORE * (wave - start) / 2) * covered if start is not None else 0.0
            log_income = 8.9 + 0.04 * (wave - 2010) + lasting + city_shocks[city, wave] + draw.gauss(0, 0.2) + truth
            size = draw.choice([1, 2, 2, 3, 3, 4, 5])
            rows.append([
                f"h{home:03d}", wave, f"c{city:02d}", f"p{city // 8}", "" if start is None else start, covered, urban,
                size, round(log_income, 4), round(math.exp(log_income)), round(truth, 2),
            ])  # fmt: skip
    with Path("staggered.csv").open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file, lineterminator="\n")
        names = "household_id wave city province start_wave covered urban size ln_income income truth"
        write.writerow(names.split())
        write.writerows(rows)


if __name__ == "__main__":
    main()
