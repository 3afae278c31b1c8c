"""Turn results into tables and figures; compute no statistics.

Names are imported when first asked for: a letter to a family needs no estimator, and estimators take a second to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medfloor.reports.effects import FitFigureKind, fit_figure, write_fit_figure
    from medfloor.reports.figures import FORMATS as FIGURE_FORMATS
    from medfloor.reports.figures import FigureKind, figure, write_figure
    from medfloor.reports.fits import FIT_FORMATS, fit_table, regression_table, write_fit, write_regression_table
    from medfloor.reports.tables import FORMATS as TABLE_FORMATS
    from medfloor.reports.tables import table, write_table

__all__ = [
    "FIGURE_FORMATS",
    "FIT_FORMATS",
    "TABLE_FORMATS",
    "FigureKind",
    "FitFigureKind",
    "figure",
    "fit_figure",
    "fit_table",
    "regression_table",
    "table",
    "write_figure",
    "write_fit",
    "write_fit_figure",
    "write_regression_table",
    "write_table",
]

_PLACES = {
    "FIGURE_FORMATS": ("figures", "FORMATS"),
    "FIT_FORMATS": ("fits", "FIT_FORMATS"),
    "TABLE_FORMATS": ("tables", "FORMATS"),
    "FigureKind": ("figures", "FigureKind"),
    "FitFigureKind": ("effects", "FitFigureKind"),
    "figure": ("figures", "figure"),
    "fit_figure": ("effects", "fit_figure"),
    "fit_table": ("fits", "fit_table"),
    "regression_table": ("fits", "regression_table"),
    "table": ("tables", "table"),
    "write_figure": ("figures", "write_figure"),
    "write_fit": ("fits", "write_fit"),
    "write_fit_figure": ("effects", "write_fit_figure"),
    "write_regression_table": ("fits", "write_regression_table"),
    "write_table": ("tables", "write_table"),
}
"""Name -> the module that holds it, and its name there."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, there = _PLACES[name]
    return getattr(import_module(f"{__name__}.{module}"), there)
