"""Screen a province on a Spark cluster: whole households at a time, by the same rules, to the same alerts."""

from medfloor.watch.spark.engine import Found, Tables, run_on_spark

__all__ = ["Found", "Tables", "run_on_spark"]
