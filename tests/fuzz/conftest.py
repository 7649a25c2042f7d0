"""Starts the processes that a test asks for, as the end-to-end tests do."""

from e2e.conftest import stage

__all__ = ["stage"]
