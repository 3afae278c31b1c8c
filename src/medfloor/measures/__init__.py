"""Measure financial protection and equity, with survey errors."""

from medfloor.measures import survey
from medfloor.measures.burden import burden
from medfloor.measures.capacity import EuropeRule, SocietalLine, WhoRule
from medfloor.measures.catastrophic import catastrophic
from medfloor.measures.catchment import two_step_floating_catchment
from medfloor.measures.cliff import arithmetic_cliff, cliff, status_cliff
from medfloor.measures.concentration import concentration
from medfloor.measures.consistency import consistency, consistent
from medfloor.measures.crosstab import crosstab, rao_scott
from medfloor.measures.decomposition import oaxaca_change, wagstaff_decomposition
from medfloor.measures.definitions import compare_definitions
from medfloor.measures.design import Design
from medfloor.measures.dominance import dominance
from medfloor.measures.horizontal import horizontal_inequity
from medfloor.measures.impoverishing import impoverishing
from medfloor.measures.incidence import Benefit, incidence, net_transfer
from medfloor.measures.inequality import inequality
from medfloor.measures.lines import Line, RelativeLine, poverty_line, poverty_lines
from medfloor.measures.multidimensional import Deprivation, alkire_foster
from medfloor.measures.notch import notch
from medfloor.measures.poverty import poverty
from medfloor.measures.progressivity import progressivity
from medfloor.measures.reimbursement import reimbursement
from medfloor.measures.resources import resources
from medfloor.measures.result import Result
from medfloor.measures.seed_004 import seed_004
from medfloor.measures.survey import design_summary, pps_inclusion_probabilities
from medfloor.measures.tiers import by_tier
from medfloor.measures.vulnerability import vulnerability

__all__ = [
    "Benefit",
    "Deprivation",
    "Design",
    "EuropeRule",
    "Line",
    "RelativeLine",
    "Result",
    "SocietalLine",
    "WhoRule",
    "alkire_foster",
    "arithmetic_cliff",
    "burden",
    "by_tier",
    "catastrophic",
    "cliff",
    "compare_definitions",
    "concentration",
    "consistency",
    "consistent",
    "crosstab",
    "design_summary",
    "dominance",
    "horizontal_inequity",
    "impoverishing",
    "incidence",
    "inequality",
    "net_transfer",
    "notch",
    "oaxaca_change",
    "poverty",
    "poverty_line",
    "poverty_lines",
    "pps_inclusion_probabilities",
    "progressivity",
    "rao_scott",
    "reimbursement",
    "resources",
    "seed_004",
    "status_cliff",
    "survey",
    "two_step_floating_catchment",
    "vulnerability",
    "wagstaff_decomposition",
]
