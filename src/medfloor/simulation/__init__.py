"""Try reforms on people: what if the law were another."""

from medfloor.simulation.aims import aims_of
from medfloor.simulation.behaviour import Behaviour, stated
from medfloor.simulation.budget import fresh_populations, optimise
from medfloor.simulation.choice import Aim, Optimum, Package
from medfloor.simulation.compare import Simulation, bills_of, simulate
from medfloor.simulation.household import Family, HouseholdCurve, household
from medfloor.simulation.packages import Lever, read_levers
from medfloor.simulation.population import (
    Assumed,
    Population,
    population_of,
    population_of_survey,
    read_population,
)
from medfloor.simulation.protection import protection
from medfloor.simulation.run import Bills, World
from medfloor.simulation.scenario import Scenario, scenario, scenarios_of

__all__ = [
    "Aim",
    "Assumed",
    "Behaviour",
    "Bills",
    "Family",
    "HouseholdCurve",
    "Lever",
    "Optimum",
    "Package",
    "Population",
    "Scenario",
    "Simulation",
    "World",
    "aims_of",
    "bills_of",
    "fresh_populations",
    "household",
    "optimise",
    "population_of",
    "population_of_survey",
    "protection",
    "read_levers",
    "read_population",
    "scenario",
    "scenarios_of",
    "simulate",
    "stated",
]
