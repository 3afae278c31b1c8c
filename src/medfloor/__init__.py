"""Carry China's multi-level medical security as code.

Law (policy) and claims (intake) meet in settlement. See ARCHITECTURE.md for the rooms and the floors.
"""

__version__ = "0.1.0"
