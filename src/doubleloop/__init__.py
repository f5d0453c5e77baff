"""Doubleloop: the whole MLOps v2 architecture as one open, self-hosted system (see ARCHITECTURE.md)."""

__version__ = "0.1.0"
