"""Secrets of the installation: kept apart from the database, never in a fact, a log line or an answer by accident."""
