"""Time one claim with its accumulators in process: the kernel's call and the public function."""

from __future__ import annotations

import time
from datetime import date

from timing import table

import medfloor.settlement.kernel as kernel
from medfloor.periods import Span
from medfloor.settlement.online import Desk
from medfloor.settlement.scope import Person, Spell, Visit


def main(calls: int = 5_000) -> None:
    """Print the table, medians in microseconds."""
    desk = Desk.of("cn/beijing")
    visit = Visit("inpatient", "3", date(2024, 3, 1), date(2024, 3, 10), date(2024, 3, 10), total_fen=15_000_000)
    person = Person("p1", "h1", birth_date=date(1980, 5, 2), sex="female")
    spells = [Spell("dibao", Span.from_days(date(2024, 1, 1), None))]
    inner: list[float] = []
    plain = kernel.settle_segments

    def timed(*arguments: object) -> None:
        start = time.perf_counter()
        plain(*arguments)  # type: ignore[arg-type]
        inner.append(time.perf_counter() - start)

    account = desk.settle(visit, person, spells, in_scope_fen=13_000_000, off_catalogue_fen=2_000_000).account
    outer: list[float] = []
    for number in range(2 * calls):
        kernel.settle_segments = timed if number < calls else plain
        start = time.perf_counter()
        desk.settle(visit, person, spells, in_scope_fen=13_000_000, off_catalogue_fen=2_000_000, account=account)
        if number >= calls:
            outer.append(time.perf_counter() - start)
    kernel.settle_segments = plain
    rows = [["what", "median, microseconds", "99 of 100 below"]]
    for name, times in (("kernel call", inner), ("public function, Desk.settle", outer)):
        times.sort()
        rows.append([name, f"{times[len(times) // 2] * 1e6:.0f}", f"{times[len(times) * 99 // 100] * 1e6:.0f}"])
    table("One claim with its accumulators, Beijing's full policy", rows)


if __name__ == "__main__":
    main()
