"""Write the public notice of a case: who is proposed or recognised, and until when one may object; nothing private.

A notice holds no identity number, telephone number of the household, bank account or state of health (a rule of the
pages behind deadlines.toml), so it is made of a few named fields and never of the texts of events.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Literal

from medfloor.errors import ConflictError, UsageError
from medfloor.watch.calendar import Calendar
from medfloor.watch.cases import MONITORED, Case
from medfloor.watch.deadlines import CaseRules, notice_until
from medfloor.words import say

NoticeKind = Literal["recognition_proposed", "recognised", "removal_proposed", "removed"]

_NUMBER = re.compile(r"\d(?:[\s\-]?\d){5,}")
"""Six digits or more: an identity number, a telephone, an account."""
_LONG_NUMBER = re.compile(r"\d(?:[\s\-]?\d){12,}")
"""Thirteen digits or more: no telephone is so long."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Be what may be published of a case, and nothing else.

    `category` is the kind of monitored household (None: not said); `until` the last day of the notice, None where it
    only tells what was decided.
    """

    kind: NoticeKind
    household_name: str
    people: int
    village: str
    category: str | None
    day: date
    until: date | None
    provisional: bool
    contact: str

    def text(self, lang: str) -> str:
        """Write the notice in a language: title, what is said, how to object.

        Raises UsageError for a language that there is not.
        """
        category = (
            say(f"case_category.{self.category}", lang) if self.category else say("case_notice.no_category", lang)
        )
        said = {"name": self.household_name, "people": self.people, "village": self.village, "category": category}
        lines = [say(f"case_notice.title_{self.kind}", lang), "", say(f"case_notice.{self.kind}", lang, **said)]
        if self.until is not None:
            lines.append(say("case_notice.object", lang, first=self.day, last=self.until, contact=self.contact))
        else:
            lines.append(say("case_notice.decided", lang, day=self.day, contact=self.contact))
        return "\n".join(lines) + "\n"


def public_notice(
    case: Case,
    rules: CaseRules,
    calendar: Calendar,
    *,
    household_name: str,
    people: int,
    village: str,
    contact: str,
) -> Notice:
    """Give the notice that belongs to where a case stands: proposed or recognised, removal proposed or removed.

    `contact` is where the office takes objections. Raises ConflictError case_not_public for a case that is not, or no
    longer, to be published (found, verified, refused, risk stable without a published removal); UsageError
    notice_private where a name or village holds a number that could be private, notice_incomplete for an empty field.

    >>> from medfloor.watch.calendar import shipped_calendar
    >>> from medfloor.watch.cases import Event, replay
    >>> from medfloor.watch.deadlines import load_case_rules
    >>> seen = {"income_head_fen": 700_000, "line_head_fen": 730_000, "labour_capacity": True}
    >>> case = replay(
    ...     [
    ...         Event("found", date(2026, 3, 2), "a", source="application"),
    ...         Event("verified", date(2026, 3, 4), "a", **seen),
    ...         Event("published", date(2026, 3, 5), "a", category="edge"),
    ...     ],
    ...     case_id="c1", household_id="h1", place="150981",
    ... )
    >>> rules = load_case_rules("cn", on=date(2026, 3, 5))
    >>> notice = public_notice(
    ...     case, rules, shipped_calendar(), household_name="张某某", people=3, village="东村", contact="村委会"
    ... )
    >>> notice.kind, notice.until
    ('recognition_proposed', datetime.date(2026, 3, 10))
    """
    kind, day = _stage(case)
    said = {
        "the householder's name (is it in the register?)": household_name.strip(),
        "the number of people": people >= 1,
        "the village": village.strip(),
        "a contact who takes objections": contact.strip(),
    }
    missing = [name for name, value in said.items() if not value]
    if missing:
        raise UsageError("notice_incomplete", f"the notice still needs {', '.join(missing)}")
    for name, text, private in (
        ("household_name", household_name, _NUMBER),
        ("village", village, _NUMBER),
        ("contact", contact, _LONG_NUMBER),
    ):
        if private.search(unicodedata.normalize("NFKC", text)):
            raise UsageError("notice_private", f"{name} holds a number that may be private; leave it out of the notice")
    proposed = kind in ("recognition_proposed", "removal_proposed")
    end = notice_until(day, rules, calendar) if proposed else None
    return Notice(
        kind,
        household_name.strip(),
        people,
        village.strip(),
        case.category,
        day,
        end.day if end else None,
        bool(end and end.provisional),
        contact.strip(),
    )


def _stage(case: Case) -> tuple[NoticeKind, date]:
    if case.state == "published" and case.published_on is not None:
        return "recognition_proposed", case.published_on
    if case.state == "risk_stable" and case.exit_published_on is not None:
        return "removal_proposed", case.exit_published_on
    if case.state in MONITORED and case.state != "risk_stable" and case.recognised_on is not None:
        return "recognised", case.recognised_on
    if case.state == "removed" and case.removed_on is not None:
        return "removed", case.removed_on
    raise ConflictError("case_not_public", f"case {case.case_id} is {case.state}, of which nothing is published")
