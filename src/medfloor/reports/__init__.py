"""Turn results into tables and figures; compute no statistics."""

from medfloor.reports.figures import FORMATS as FIGURE_FORMATS
from medfloor.reports.figures import FigureKind, figure, write_figure
from medfloor.reports.tables import FORMATS as TABLE_FORMATS
from medfloor.reports.tables import table, write_table

__all__ = ["FIGURE_FORMATS", "TABLE_FORMATS", "FigureKind", "figure", "table", "write_figure", "write_table"]
