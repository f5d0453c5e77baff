"""What pydantic finds wrong, said as one sentence with file, line and cure."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from doubleloop.base import errors
from doubleloop.specs import pointers, sources

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping of names to values",
    "list_type": "a list",
    "model_type": "a mapping of fields to values",
    "model_attributes_type": "a mapping of fields to values",
    "none_required": "nothing",
}
_CURES = {
    "endpoint_name": "write 'endpoint_name: NAME' or give --endpoint-name NAME",
    "name": "write 'name: NAME' or give -n NAME",
}
MAX_SHOWN = 5


@dataclass(frozen=True)
class Problem:
    """``what`` is one line, whatever stood in the file: line breaks in a name are shown, not made."""

    what: str
    pointer: pointers.Pointer
    cure: str = ""
    refused: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "what", errors.one_line(self.what))


def error(found: ValidationError, data: Any, source: sources.Source) -> errors.DoubleloopError:
    """InvalidInput (or NotSupported) for the first problem by line, which lists the others behind it."""
    problems = [problem for item in found.errors(include_url=False) for problem in _problems(item, data)]
    problems.sort(key=lambda problem: (source.where(problem.pointer).line, problem.pointer))
    first = problems[0]
    others = [f"{source.where(other.pointer)}: {other.what}" for other in problems[1 : 1 + MAX_SHOWN]]
    if len(problems) > 1 + MAX_SHOWN:
        others.append(f"and {len(problems) - 1 - MAX_SHOWN} more")
    kind = errors.NotSupported if first.refused else errors.InvalidInput
    return kind(
        first.what,
        where=source.where(first.pointer),
        cure="\n  ".join(part for part in (first.cure, *(f"also {other}" for other in others)) if part),
        details=[
            {"what": other.what, "where": str(source.where(other.pointer)), "cure": other.cure} for other in problems
        ],
    )


def nearest(name: str, known: list[str]) -> str:
    """``did you mean 'x'?``, or what is known."""
    near = difflib.get_close_matches(name.lower(), [item for item in known if item], n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known) or 'nothing'}"


def _problems(item: Any, data: Any) -> list[Problem]:
    kind, context = item["type"], item.get("ctx", {})
    pointer = _pointer(item["loc"], data)
    if kind == "unknown_fields":
        known = [name for name in context["known"] if name != "$schema"]
        return [
            Problem(f"unknown field '{name}'", (*pointer, name), nearest(name, known)) for name in context["fields"]
        ]
    if kind == "not_supported":
        return [Problem(context["what"], (*pointer, *context.get("at", ())), context["cure"], refused=True)]
    if kind == "missing":
        name = str(item["loc"][-1])
        pointer = pointer if pointer and pointer[-1] == name else (*pointer, name)
        around = pointers.join(pointer[:-1])
        what = f"'{name}' is missing in '{around}'" if around else f"'{name}' is missing"
        return [Problem(what, pointer, _CURES.get(name, f"add '{name}: ...'") if not around else f"add '{name}: ...'")]
    name = pointers.join(pointer) or "the file"
    if kind in ("union_tag_invalid", "literal_error"):
        return [_unknown_choice(item, pointer, name)]
    if kind == "value_error":
        return [Problem(f"{name}: {context['error']}" if pointer else str(context["error"]), pointer)]
    if kind in _EXPECTED:
        return [Problem(f"{name} must be {_EXPECTED[kind]}, not {_shown(item['input'])}", pointer)]
    return [
        Problem(f"{name}: {str(item['msg'])[0].lower()}{str(item['msg'])[1:]}, not {_shown(item['input'])}", pointer)
    ]


def _unknown_choice(item: Any, pointer: pointers.Pointer, name: str) -> Problem:
    context = item["ctx"]
    if item["type"] == "union_tag_invalid":
        known = [tag.strip(" '<>") for tag in context["expected_tags"].split(",")]
        given = context["tag"].strip("<>")
        if not given:
            return Problem(f"'type' is missing in '{name}'", pointer, f"add 'type: ...', one of {', '.join(known)}")
        name, pointer = f"{name}.type", (*pointer, "type")
    else:
        known = [tag.strip(" '") for tag in context["expected"].replace(" or ", ", ").split(",")]
        given = str(item["input"])
    near = difflib.get_close_matches(given.lower(), known, n=1)
    cure = f"did you mean '{near[0]}'?" if near else ""
    return Problem(f"{name} must be one of {', '.join(known)}, not '{given}'", pointer, cure)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = repr(str(value)) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _pointer(loc: tuple[Any, ...], data: Any) -> pointers.Pointer:
    """The path in the file: pydantic's location without the tags of unions."""
    pointer: list[str] = []
    for part in loc:
        if isinstance(part, str) and part.startswith("<"):
            continue
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data = data[part]
            pointer.append(str(part))
    return tuple(pointer)
