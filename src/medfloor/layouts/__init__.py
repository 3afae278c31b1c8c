"""Say what the files of known surveys call our columns, wave by wave, with the source of each name."""

from medfloor.layouts.layout import InsuranceKind, Layout, Variable, read_layout, shipped_layout

__all__ = ["InsuranceKind", "Layout", "Variable", "read_layout", "shipped_layout"]
