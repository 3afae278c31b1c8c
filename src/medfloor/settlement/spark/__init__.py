"""Settle on a Spark cluster what is too large for one machine: same law, same kernel, same results."""

from medfloor.settlement.spark.engine import settle_on_spark
from medfloor.settlement.spark.session import spark_session

__all__ = ["settle_on_spark", "spark_session"]
