"""Settle claims: the reference, the kernel, and the ways of feeding them."""

from medfloor.settlement.settle import Settlements, settle

__all__ = ["Settlements", "settle"]
