"""Settle on a Spark cluster what is too large for one machine: same law, same kernel, same results.

Rooms above read their own tables on the cluster by the same means: a session, a table, whole units, errors at home.
"""

from medfloor.settlement.spark.engine import settle_on_spark
from medfloor.settlement.spark.inputs import ROW, Table, as_came, open_table, scratch, text
from medfloor.settlement.spark.pieces import whole_units
from medfloor.settlement.spark.session import (
    as_batch,
    carried_home,
    check_spark,
    over_batches,
    share_out,
    spark_errors,
    spark_session,
)

__all__ = [
    "ROW",
    "Table",
    "as_batch",
    "as_came",
    "carried_home",
    "check_spark",
    "open_table",
    "over_batches",
    "scratch",
    "settle_on_spark",
    "share_out",
    "spark_errors",
    "spark_session",
    "text",
    "whole_units",
]
