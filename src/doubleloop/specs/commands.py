"""What the text of a command may refer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import bindings, expressions


def check(
    text: str,
    known_inputs: Mapping[str, Any],
    known_outputs: Mapping[str, Any],
    where: errors.Where,
    space: Mapping[str, Any] | None = None,
) -> None:
    """Every expression of a command must be declared as input or output; optional inputs stand in ``$[[ ]]``.

    ``space`` is a search space, whose parameters may be named too. Raises InvalidInput.
    """
    expressions.check(text, where)
    for expression in expressions.references(text, where):
        if expression.scope == "inputs":
            _check_input(expression, known_inputs, where)
        elif expression.scope == "search_space" and space is not None:
            if expression.name not in space:
                raise bindings.missing(f"{expression} is used, and the parameter", expression.name, list(space), where)
        elif expression.scope == "outputs":
            if expression.name not in known_outputs:
                raise bindings.missing(
                    f"{expression} is used, and the output", expression.name, list(known_outputs), where
                )
        elif expression.scope not in ("name", "default_datastore"):
            raise errors.InvalidInput(
                f"{expression} cannot stand in a command",
                where=where,
                cure="bind it to an input of the step, and use ${{inputs.X}} in the command",
            )


def _check_input(expression: expressions.Expression, known: Mapping[str, Any], where: errors.Where) -> None:
    if expression.name not in known:
        raise bindings.missing(f"{expression} is used, and the input", expression.name, list(known), where)
    declared = known[expression.name]
    if getattr(declared, "optional", False) and declared.default is None and not expression.optional:
        raise errors.InvalidInput(
            f"the input '{expression.name}' is optional, and {expression} stands outside an optional block",
            where=where,
            cure=f"write $[[--option {expression}]]",
        )
