"""Count for Prometheus: requests by route, latency, settlements, what waits and how many go together."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.3, 2.6, 5.0)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Metrics:
    """Hold the counters of one service; several workers write into one folder, PROMETHEUS_MULTIPROC_DIR.

    >>> metrics = Metrics()
    >>> metrics.settled("posted", 3)
    >>> b'medfloor_settlements_total{outcome="posted"} 3.0' in metrics.text()
    True
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "medfloor_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "medfloor_request_seconds", "From request to answer", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.settlements = Counter(
            "medfloor_settlements", "Settlements by outcome", ["outcome"], registry=self.registry
        )
        self.waiting = Gauge(
            "medfloor_settlements_waiting", "Settlements in the queue", registry=self.registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.together = Histogram(
            "medfloor_settlements_together", "Settlements of one transaction",
            buckets=(1, 2, 4, 8, 16, 32, 64), registry=self.registry,
        )  # fmt: skip
        self.jobs = Counter("medfloor_jobs", "Jobs by outcome", ["kind", "outcome"], registry=self.registry)
        # Finding the child of a label costs more than counting; routes are few.
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        key = (method if method in _METHODS else "OTHER", route, status)
        children = self._children.get(key)
        if children is None:
            children = self.requests.labels(key[0], route, str(status)), self.seconds.labels(route)
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def settled(self, outcome: str, number: int = 1) -> None:
        """Count settlements: posted, again, refused, failed."""
        self.settlements.labels(outcome).inc(number)

    def text(self) -> bytes:
        """Give all of it in the form of Prometheus."""
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return bytes(generate_latest(registry))
        return bytes(generate_latest(self.registry))
