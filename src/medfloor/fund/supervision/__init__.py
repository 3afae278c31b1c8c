"""Look claims over by rules: leads with evidence for a person to follow, never verdicts."""

from medfloor.fund.supervision.ceiling import ceiling_of, rules_under
from medfloor.fund.supervision.leads import Leads
from medfloor.fund.supervision.planted import Judged, Planted, judge, plant
from medfloor.fund.supervision.rules import Rule, Rules, read_rules, shipped_rules
from medfloor.fund.supervision.supervise import supervise

__all__ = [
    "Judged",
    "Leads",
    "Planted",
    "Rule",
    "Rules",
    "ceiling_of",
    "judge",
    "plant",
    "read_rules",
    "rules_under",
    "shipped_rules",
    "supervise",
]
