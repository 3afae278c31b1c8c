"""Turn results into tables and figures; compute no statistics."""

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
