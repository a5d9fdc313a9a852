"""How the engine evaluates frames."""

from typing import Final

ENGINE: Final = "in-memory"
"""Polars' engine for lazy queries: rows keep their order, so that sums of floats are the same each time."""
