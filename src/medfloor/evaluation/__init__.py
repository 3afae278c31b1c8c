"""Explain measures: did a policy work, on panels of households and people."""

from medfloor.evaluation.bacon import bacon
from medfloor.evaluation.binary import binary
from medfloor.evaluation.discontinuity import discontinuity
from medfloor.evaluation.event_study import event_study
from medfloor.evaluation.fixed_effects import two_way_fixed_effects
from medfloor.evaluation.fixed_line import fixed_line
from medfloor.evaluation.groups import by_group
from medfloor.evaluation.instruments import instrument, leave_one_out
from medfloor.evaluation.matched_did import matched_did
from medfloor.evaluation.matching import match, matched_rows
from medfloor.evaluation.mediation import mediate
from medfloor.evaluation.panel import Panel, look_over
from medfloor.evaluation.placebo import placebo
from medfloor.evaluation.quantile import quantile
from medfloor.evaluation.result import Drop, Fit
from medfloor.evaluation.rollout import Exposure, Rollout, check_rollout, expose
from medfloor.evaluation.staggered import staggered
from medfloor.evaluation.wild import wild_bootstrap

__all__ = [
    "Drop",
    "Exposure",
    "Fit",
    "Panel",
    "Rollout",
    "bacon",
    "binary",
    "by_group",
    "check_rollout",
    "discontinuity",
    "event_study",
    "expose",
    "fixed_line",
    "instrument",
    "leave_one_out",
    "look_over",
    "match",
    "matched_did",
    "matched_rows",
    "mediate",
    "placebo",
    "quantile",
    "staggered",
    "two_way_fixed_effects",
    "wild_bootstrap",
]
