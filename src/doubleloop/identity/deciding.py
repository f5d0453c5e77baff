"""Asking Cedar. What was parsed is kept, as policies change seldom and questions are asked all the time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache, lru_cache

import cedarpy

from doubleloop.base import errors
from doubleloop.identity import model, policies


@cache
def _schema() -> cedarpy.Schema:
    return cedarpy.Schema.from_str(policies.schema())


@lru_cache(maxsize=256)
def _prepared(text: str) -> tuple[cedarpy.PolicySet, dict[str, tuple[str, str]]]:
    """The policies, and what each of Cedar's own numbers (``policy0``) stands for: its ``@id`` and its ``@why``."""
    found = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]
    notes = {number: each.get("annotations", {}) for number, each in found.items()}
    names = {number: (each.get("id", number), each.get("why", "")) for number, each in notes.items()}
    return cedarpy.PolicySet.from_str(text), names


def check(text: str) -> None:
    """Raises InvalidInput for policies that do not parse, or speak of what the schema does not know."""
    try:
        found = cedarpy.validate_policies(text, _schema())
    except ValueError as error:
        raise errors.InvalidInput(f"This is not Cedar: {error}") from error
    if not found.validation_passed:
        raise errors.InvalidInput(
            "; ".join(str(each.error) for each in found.errors), cure="See `doubleloop role schema` for what there is."
        )


def decide(text: str, asked: model.Asked, administrator: bool, groups: Iterable[str]) -> model.Decision:
    """``why`` and ``by`` are those of the policies that decided: permits, or the ``forbid`` that outweighed them.

    ``by`` is empty when nothing permitted. Raises Failed for a policy that cannot be evaluated: it must not count as
    one that says nothing, as it may have been a ``forbid``.
    """
    prepared, names = _prepared(text)
    answer = cedarpy.is_authorized(
        policies.request(asked), prepared, policies.entities(asked, administrator, groups), _schema()
    )  # fmt: skip
    if answer.diagnostics.errors:
        raise errors.Failed(f"A policy cannot be evaluated: {answer.diagnostics.errors[0]}")
    reasons = sorted(answer.diagnostics.reasons, key=lambda number: list(names).index(number))
    found = [names[number] for number in reasons]
    return model.Decision(answer.allowed, found[0][1] if found else "", tuple(id_ for id_, _ in found))
