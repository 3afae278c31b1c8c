"""Hold boosted trees as plain tables, and follow them in plain numpy, as scikit-learn's own predictor does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Be one tree: a table of nodes, the first of which is the root.

    `feature` is -1 in a leaf. A value up to `threshold` goes `left`, a larger one `right`, a missing one left where
    `missing_left` says so. `value` is what a leaf adds to the log odds; of an inner node, the mean of its leaves over
    the training rows, from which contributions are read.
    """

    feature: Ints
    threshold: Array
    missing_left: npt.NDArray[np.bool_]
    left: Ints
    right: Ints
    value: Array

    @classmethod
    def of(cls, nodes: Any) -> Tree:
        """Take a predictor's table of scikit-learn over."""
        leaf = nodes["is_leaf"].astype(bool)
        left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
        value, count = nodes["value"].astype(np.float64), nodes["count"].astype(np.float64)
        # A child stands behind its parent in the table, so that going backwards meets the children first.
        for place in range(len(value) - 1, -1, -1):
            if not leaf[place]:
                ends = [left[place], right[place]]
                value[place] = float(value[ends] @ count[ends]) / float(count[ends].sum())
        return cls(
            np.where(leaf, -1, nodes["feature_idx"].astype(np.int64)),
            np.where(leaf, 0.0, nodes["num_threshold"].astype(np.float64)),
            nodes["missing_go_to_left"].astype(bool),
            np.where(leaf, 0, left),
            np.where(leaf, 0, right),
            value,
        )

    def add(self, rows: Array, total: Array, parts: Array | None = None) -> None:
        """Add what the tree says of each row to `total`, and by feature to `parts` (one column a feature).

        A feature's part is how far the mean changes at the nodes that ask for it, on the way of the row (Saabas 2014):
        the parts of a row and the root's value add up to what the tree says.
        """
        node = np.zeros(len(rows), np.int64)
        active = np.arange(len(rows)) if self.feature[0] >= 0 else np.empty(0, np.int64)
        while len(active):
            here = node[active]
            feature = self.feature[here]
            values = rows[active, feature]
            goes = np.where(np.isnan(values), self.missing_left[here], values <= self.threshold[here])
            there = np.where(goes, self.left[here], self.right[here])
            if parts is not None:
                parts[active, feature] += self.value[there] - self.value[here]
            node[active] = there
            active = active[self.feature[there] >= 0]
        total += self.value[node]

    def to_dict(self) -> dict[str, list[float]]:
        """Give the table as plain lists."""
        return {
            "feature": self.feature.tolist(), "threshold": _finite(self.threshold),
            "missing_left": self.missing_left.astype(int).tolist(), "left": self.left.tolist(),
            "right": self.right.tolist(), "value": self.value.tolist(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Tree:
        """Make one of what `to_dict` gave."""
        return cls(
            np.asarray(said["feature"], np.int64), np.asarray(said["threshold"], np.float64),
            np.asarray(said["missing_left"], bool), np.asarray(said["left"], np.int64),
            np.asarray(said["right"], np.int64), np.asarray(said["value"], np.float64),
        )  # fmt: skip


def _finite(values: Array) -> list[float]:
    """Write a threshold without end, which parts the missing from the known, as the largest number (JSON has none)."""
    most = float(np.finfo(np.float64).max)
    return [float(value) for value in np.clip(values, -most, most)]
