"""Time the kernel with Beijing's full policy against one numpy copy of the bytes that it reads and writes."""

from __future__ import annotations

from made_up import claims_and_people
from timing import best, copy_seconds, table

from medfloor.intake import read_claims, read_people, read_spells
from medfloor.policy.load import groups_of
from medfloor.settlement.batch import prepare
from medfloor.settlement.engines import run
from medfloor.settlement.settle import law_of


def main(claims: int = 10_000_000) -> None:
    """Print the table. Claims are sorted, as a file that was settled before is."""
    law = law_of("cn/beijing")
    frame, people, spells = claims_and_people(claims, claims // 5)
    accepted = [read_claims(frame).accepted]
    del frame
    batch, _, _ = prepare(law, accepted, read_people(people), read_spells(spells, known_groups=groups_of(law.policies)))
    run(batch, "kernel")
    one, outcome = best(lambda: run(batch, "kernel", threads=1))
    two, _ = best(lambda: run(batch, "kernel", threads=2))
    read = batch.profile.nbytes + 8 * batch.height + batch.segments.start.nbytes
    written = outcome.pay.nbytes + outcome.own_in_scope.nbytes + outcome.deductible.nbytes
    copy = copy_seconds(read + written)
    rows = [["what", "seconds", "million claims a second", "times the copy"]]
    rows.append([f"numpy copy of {(read + written) / batch.height:.0f} bytes a claim", f"{copy:.3f}", "", "1"])
    for name, seconds in (("kernel, 1 thread", one), ("kernel, 2 threads", two)):
        rows.append([name, f"{seconds:.3f}", f"{claims / seconds / 1e6:.1f}", f"{seconds / copy:.1f}"])
    table(f"Kernel, Beijing's full policy, {claims:,} claims of {claims // 5:,} people, sorted", rows)


if __name__ == "__main__":
    main()
