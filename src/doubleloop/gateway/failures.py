"""Answers of the request path that the common error tree has no class for."""

from __future__ import annotations

from typing import Any

from doubleloop.base import errors


class WrongMediaType(errors.InvalidInput):
    code, status = "unsupported_media_type", 415


class WrongMethod(errors.InvalidInput):
    code, status = "method_not_allowed", 405


class NotAcceptable(errors.InvalidInput):
    """The caller takes only a form of answer that this model does not give."""

    code, status = "not_acceptable", 406


class Throttled(errors.Unavailable):
    """The deployment has more work than it may queue; ``retry_after`` in whole seconds."""

    code, status = "too_many_requests", 429

    def __init__(self, what: str, *, retry_after: int = 1, cure: str = "") -> None:
        super().__init__(what, cure=cure)
        self.retry_after = retry_after


class NotReady(errors.Unavailable):
    code, status = "not_ready", 503
    retry_after = 1


class TimedOut(errors.Unavailable):
    code, status = "timed_out", 504


class ScorerDied(errors.Unavailable):
    """The scorer ended while it worked on this very request, twice."""

    code, status = "scorer_died", 502


class ModelRaised(errors.Failed):
    """The model raised on a request that fits its signature."""

    code, status = "model_raised", 500


def cell(row: int, column: str, expected: str, got: str, cure: str = "") -> errors.InvalidInput:
    """One wrong value. ``row`` counts from 0, as in the request."""
    return errors.InvalidInput(
        f"row {row}, column '{column}': expected {expected}, got {got}",
        cure=cure,
        details={"row": row, "column": column, "expected": expected, "got": got},
    )


def shape(what: str, *, cure: str = "", **details: Any) -> errors.InvalidInput:
    return errors.InvalidInput(what, cure=cure, details=details or None)


def describe(value: Any) -> str:
    """A JSON value as people call it, short: ``string "abc"``, ``null``, ``number 3.5``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean true" if value else "boolean false"
    if isinstance(value, int | float):
        return f"number {value!r}"
    if isinstance(value, str):
        return f'string "{value[:40]}"' + ("..." if len(value) > 40 else "")
    return f"list of {len(value)}" if isinstance(value, list) else "object"
