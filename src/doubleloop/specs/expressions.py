"""``${{ ... }}`` in commands, inputs, outputs and paths, and the ``$[[ ... ]]`` blocks that vanish when unset."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from doubleloop.base import errors

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_BLOCK = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_KEY = r"[A-Za-z_][A-Za-z0-9_-]*"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("inputs", re.compile(rf"^inputs\.(?P<name>{_KEY})$")),
    ("outputs", re.compile(rf"^outputs\.(?P<name>{_KEY})$")),
    ("search_space", re.compile(rf"^search_space\.(?P<name>{_KEY})$")),
    ("parent.inputs", re.compile(rf"^parent\.inputs\.(?P<name>{_KEY})$")),
    ("parent.outputs", re.compile(rf"^parent\.outputs\.(?P<name>{_KEY})$")),
    ("parent.jobs.outputs", re.compile(rf"^parent\.jobs\.(?P<step>{_KEY})\.outputs\.(?P<name>{_KEY})$")),
    ("parent.jobs.inputs", re.compile(rf"^parent\.jobs\.(?P<step>{_KEY})\.inputs\.(?P<name>{_KEY})$")),
    ("parent.jobs", re.compile(rf"^parent\.jobs\.(?P<step>{_KEY})$")),
    ("name", re.compile(r"^(?:parent\.)?name$")),
    ("default_datastore", re.compile(r"^default_datastore$")),
    ("fact", re.compile(rf"^fact\.(?P<name>{_KEY}(?:\.{_KEY})*)$")),
    ("secrets", re.compile(rf"^secrets\.(?P<name>{_KEY})$")),
    ("creation_context", re.compile(r"^(?P<name>creation_context\.trigger_time)$")),
)
_CURE = (
    "write ${{inputs.X}}, ${{outputs.X}}, ${{parent.inputs.X}}, ${{parent.outputs.X}}, "
    "${{parent.jobs.STEP.outputs.X}}, ${{name}} or ${{default_datastore}}"
)


# An input that is named where ${{inputs.X}} was meant, with the option before it, which is worth nothing without it.
_BARE = re.compile(rf"(?P<option>(?<!\S)--?[A-Za-z][\w-]*(?:[ \t]+|=))?\$\[\[\s*(?P<key>inputs\.{_KEY})\s*\]\]")


def _meant(text: str) -> str:
    """``--x $[[inputs.x]]`` as ``$[[--x ${{inputs.x}}]]``: read so because files that run on Azure say it so."""
    return (
        _BARE.sub(lambda match: f"$[[{match['option'] or ''}${{{{{match['key']}}}}}]]", text) if "$[[" in text else text
    )


@dataclass(frozen=True)
class Expression:
    """One ``${{ }}``. ``scope`` is inputs, outputs, parent.inputs, parent.outputs, parent.jobs.outputs,
    parent.jobs.inputs, parent.jobs (a whole step), search_space, name, default_datastore, fact, secrets or
    creation_context; ``key`` the text inside without spaces; ``optional`` whether it stands in a ``$[[ ]]`` block."""

    scope: str
    key: str
    name: str = ""
    step: str = ""
    optional: bool = False

    def __str__(self) -> str:
        return "${{" + self.key + "}}"


Lookup = Mapping[str, str | None] | Callable[[Expression], str | None]


def references(text: str, where: errors.Where | None = None) -> list[Expression]:
    """Every expression in ``text``, in order. Raises InvalidInput for one that is none of the known forms."""
    text = _meant(text)
    blocks = [(match.start(), match.end()) for match in _BLOCK.finditer(text)]
    return [
        parse(match[1], where, optional=any(start <= match.start() < end for start, end in blocks))
        for match in _EXPRESSION.finditer(text)
    ]


def whole(text: str, where: errors.Where | None = None) -> Expression | None:
    """The expression, if ``text`` is nothing but one. Raises InvalidInput for a form that is not known."""
    match = _EXPRESSION.fullmatch(text.strip())
    return parse(match[1], where) if match and "${{" not in match[1] else None


def parse(key: str, where: errors.Where | None = None, *, optional: bool = False) -> Expression:
    """The inside of a ``${{ }}``. Raises InvalidInput."""
    key = key.replace(" ", "")
    for scope, pattern in _PATTERNS:
        match = pattern.match(key)
        if match:
            found = match.groupdict()
            return Expression(scope, key, found.get("name") or "", found.get("step") or "", optional)
    raise errors.InvalidInput(f"'${{{{{key}}}}}' is not an expression that is known here", where=where, cure=_CURE)


def check(text: str, where: errors.Where | None = None) -> None:
    """Raises InvalidInput when braces or brackets are not closed, or an optional block holds no expression."""
    text = _meant(text)
    if text.count("${{") != len(_EXPRESSION.findall(text)):
        raise errors.InvalidInput("an expression is opened with '${{' and not closed", where=where, cure="add '}}'")
    if text.count("$[[") != len(_BLOCK.findall(text)):
        raise errors.InvalidInput("an optional block is opened with '$[[' and not closed", where=where, cure="add ']]'")
    for block in _BLOCK.finditer(text):
        if "${{" not in block[1]:
            inside = block[1].strip()
            raise errors.InvalidInput(
                f"the optional block '$[[{inside}]]' holds no expression, so nothing decides whether it stays",
                where=where,
                cure="write it as $[[--option ${{inputs.X}}]]",
            )
    references(text, where)


def render(text: str, lookup: Lookup, where: errors.Where | None = None) -> str:
    """``text`` with every expression replaced.

    ``lookup`` is a mapping from keys (``inputs.x``) or a function of the expression; None means "not set". A
    ``$[[ ]]`` block with an expression that is not set is left out; outside a block that is an error.
    ``--x $[[inputs.x]]`` means ``$[[--x ${{inputs.x}}]]``. Raises InvalidInput for an unknown expression, with the
    nearest known one.
    """
    text = _meant(text)
    check(text, where)

    def replace_block(match: re.Match[str]) -> str:
        values = [
            _value(parse(found[1], where, optional=True), lookup, where) for found in _EXPRESSION.finditer(match[1])
        ]
        if any(value is None for value in values):
            return ""
        rest = iter(str(value) for value in values)
        return _EXPRESSION.sub(lambda _: next(rest), match[1])

    def replace_expression(match: re.Match[str]) -> str:
        expression = parse(match[1], where)
        value = _value(expression, lookup, where)
        if value is None:
            raise errors.InvalidInput(
                f"{expression} is optional and not set, and stands outside an optional block",
                where=where,
                cure=f"write $[[ ... {expression} ... ]] around the option that uses it, or give it a value",
            )
        return value

    pieces, position = [], 0
    for block in _BLOCK.finditer(text):
        pieces += [_EXPRESSION.sub(replace_expression, text[position : block.start()]), replace_block(block)]
        position = block.end()
    return "".join([*pieces, _EXPRESSION.sub(replace_expression, text[position:])])


def _value(expression: Expression, lookup: Lookup, where: errors.Where | None) -> str | None:
    if callable(lookup):
        return lookup(expression)
    if expression.key in lookup:
        return lookup[expression.key]
    near = difflib.get_close_matches(expression.key, lookup, n=1)
    cure = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(sorted(lookup)) or 'none'}"
    raise errors.InvalidInput(f"'{expression.key}' in {expression} is not declared", where=where, cure=cure)
