"""Watch: find households at risk in time, help, follow, and let them go by rule.

The closed loop, which alone needs the compiled kernel, is `medfloor.watch.loop.simulate`.
"""

from medfloor.watch.calendar import Calendar, load_calendar, shipped_calendar
from medfloor.watch.capacity import plan_visits, queue, weighed
from medfloor.watch.card import Card, compare, sign
from medfloor.watch.cases import Case, Event, apply, due_dates, event_of, event_record, may_follow, open_case, replay
from medfloor.watch.deadlines import CaseRules, load_case_rules, with_values
from medfloor.watch.drift import Drift, drift
from medfloor.watch.features import features, outcome, panel
from medfloor.watch.homes import Register, Standing
from medfloor.watch.judging import Judged, judge
from medfloor.watch.notices import Notice, public_notice
from medfloor.watch.prevention import Prevention, prevention_of
from medfloor.watch.quality import case_table, check_cases, say_finding
from medfloor.watch.reason_codes import counterfactuals, reasons
from medfloor.watch.reasons import told, unless, why
from medfloor.watch.risk import Model, fit, model_of
from medfloor.watch.rules import Rules, load_rules
from medfloor.watch.screening import ALERTS, Screening, screen, screen_one
from medfloor.watch.signals import Signal
from medfloor.watch.training import Adoption, Target, train, train_on

__all__ = [
    "ALERTS",
    "Adoption",
    "Calendar",
    "Card",
    "Case",
    "CaseRules",
    "Drift",
    "Event",
    "Judged",
    "Model",
    "Notice",
    "Prevention",
    "Register",
    "Rules",
    "Screening",
    "Signal",
    "Standing",
    "Target",
    "apply",
    "case_table",
    "check_cases",
    "compare",
    "counterfactuals",
    "drift",
    "due_dates",
    "event_of",
    "event_record",
    "features",
    "fit",
    "judge",
    "load_calendar",
    "load_case_rules",
    "load_rules",
    "may_follow",
    "model_of",
    "open_case",
    "outcome",
    "panel",
    "plan_visits",
    "prevention_of",
    "public_notice",
    "queue",
    "reasons",
    "replay",
    "say_finding",
    "screen",
    "screen_one",
    "shipped_calendar",
    "sign",
    "told",
    "train",
    "train_on",
    "unless",
    "weighed",
    "why",
    "with_values",
]
