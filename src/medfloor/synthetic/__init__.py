"""Make up counties that meet published margins. Nothing here is fitted to data of real people."""

from medfloor.synthetic.calibration import Calibration, Check, check, extra
from medfloor.synthetic.county import County, synthesise
from medfloor.synthetic.dynamics import Years, live
from medfloor.synthetic.place import Figure, Place, place_from, shipped_place

__all__ = [
    "Calibration",
    "Check",
    "County",
    "Figure",
    "Place",
    "Years",
    "check",
    "extra",
    "live",
    "place_from",
    "shipped_place",
    "synthesise",
]
