"""Put rows that come part by part into one order at the end, without holding them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.intake import writing

PIECE = 1_000_000
"""About how many rows are put in order together."""


class Spool:
    """Keep frames on the disk, in `folder`, and give their rows sorted by `order` in the end, in pieces.

    Without a folder, where all of it comes at once, they stay in memory. Equal keys keep no order of their own.
    """

    def __init__(self, folder: Path | None, name: str, order: Sequence[str]) -> None:
        self._folder = folder
        self._name = name
        self._order = list(order)
        self._held: list[pl.DataFrame] = []
        self._kept: list[tuple[Path, Any, Any]] = []
        self.empty = pl.DataFrame()
        self.rows = 0

    def keep(self, frame: pl.DataFrame) -> None:
        """Keep a frame. Raises OutputError cannot_write where the disk is full."""
        self.empty = frame.clear()
        if not frame.height:
            return
        self.rows += frame.height
        if self._folder is None:
            self._held.append(frame)
            return
        path = self._folder / f"{self._name}-spool-{len(self._kept):04d}.arrow"
        with writing(self._folder, "this run"):
            frame.write_ipc(path, compression="lz4")
        key = frame[self._order[0]]
        self._kept.append((path, key.min(), key.max()))

    def in_order(self) -> Iterator[pl.DataFrame]:
        """Give the rows in order; no frame where there are none."""
        if self._held:
            frame = pl.concat(self._held)
            order = [name for name in self._order if name in frame.columns]
            yield frame.sort(order) if order else frame
        if not self._kept:
            return
        bounds = self._bounds()
        for low, high in zip([None, *bounds], [*bounds, None], strict=True):
            found = [
                self._between(path, low, high)
                for path, least, most in self._kept
                if (low is None or most >= low) and (high is None or least < high)
            ]
            if found:
                yield pl.concat(found).sort(self._order)

    def _between(self, path: Path, low: Any, high: Any) -> pl.DataFrame:
        frame, key = pl.read_ipc(path), self._order[0]
        if low is not None:
            frame = frame.filter(pl.col(key) >= low)
        return frame if high is None else frame.filter(pl.col(key) < high)

    def _bounds(self) -> list[Any]:
        count = -(-self.rows // PIECE)
        if count <= 1:
            return []
        every, keys = max(1, self.rows // 100_000), self._order[0]
        sample = pl.concat(
            [pl.read_ipc(path, columns=[keys])[keys].gather_every(every) for path, _, _ in self._kept]
        ).sort()
        return list(dict.fromkeys(sample[len(sample) * number // count] for number in range(1, count)))
