"""JSON schemas (draft 2020-12) of every kind of file, for editors: what a field means, and no field that is not known.

A schema takes what the loader takes before files are read in: a path in place of a component, a conda file or another
document. What only the loader can judge (bindings, names of things that must be there) is left to it.
"""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from doubleloop.specs import compat, detection, fields
from doubleloop.specs.kinds import schedules, values

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": ["integer", "string"], "pattern": r"^[-+]?[0-9_]+$"},
    float: {"type": ["number", "string"], "pattern": r"^[-+]?[0-9._]+([eE][-+]?[0-9]+)?$"},
    type(None): {"type": "null"},
    Any: {},
}
_TEXT: Schema = {"type": ["string", "number"]}
_LOOSE: Schema = {"type": ["string", "number", "boolean", "null"]}
_WORDS = ("true", "yes", "on", "false", "no", "off")


def schema(kind: str) -> Schema:
    """The schema of one of ``detection.MODELS``. Fields that are refused are left out; accepted ones say so."""
    definitions: dict[str, Schema] = {}
    model = detection.MODELS[kind]
    _Writer(definitions).reference(model)
    return {
        "$schema": DIALECT,
        "$id": f"{kind.replace('_', '-')}.schema.json",
        "title": model.title or kind.replace("_", " "),
        "$ref": f"#/$defs/{model.__name__}",
        "$defs": dict(sorted(definitions.items())),
    }


def names() -> list[str]:
    """File names of the schemas, by kind in the words of the command line."""
    return [kind.replace("_", "-") for kind in detection.MODELS]


class _Writer:
    """Collects the definitions of the classes that a schema uses, each once."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self.definitions = definitions

    def reference(self, model: type[fields.Spec]) -> Schema:
        name = model.__name__
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._object(model)
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, model: type[fields.Spec]) -> Schema:
        known: dict[str, Schema] = {}
        for attribute, field in model.typed_fields().items():
            name = field.alias or attribute
            entry = compat.entries(model)[name]
            if entry.status != "refused":
                remark = f" It {entry.why}." if entry.why else ""
                known[name] = {**self._field(field), "description": f"{field.description or ''}{remark}".strip()}
        needed = [
            field.alias or attribute
            for attribute, field in model.model_fields.items()
            if field.is_required() and model.__name__ != schedules.CreateJob.__name__
        ]
        made: Schema = {"type": "object", "properties": known}
        if needed:
            made["required"] = needed
        return {**made, **_closed(model, list(known))}

    def _field(self, field: FieldInfo) -> Schema:
        """A field may be left empty: then it counts as left out, unless it is needed."""
        made = self._annotated(field.annotation, field.metadata)
        return made if field.is_required() else _either(made, {"type": "null"})

    def _annotated(self, annotation: Any, metadata: list[Any]) -> Schema:
        """A type with what stands beside it, the innermost first: what comes before it widens what may be written."""
        made = self.value(annotation)
        for each in metadata:
            if isinstance(each, BeforeValidator):
                made = _before(each, made)
            elif isinstance(each, annotated_types.Ge):
                made = {**made, "minimum": each.ge}
            elif isinstance(each, annotated_types.Gt):
                made = {**made, "exclusiveMinimum": each.gt}
            elif isinstance(each, annotated_types.Lt):
                made = {**made, "exclusiveMaximum": each.lt}
            elif isinstance(each, annotated_types.Le):
                made = {**made, "maximum": each.le}
            elif isinstance(each, annotated_types.MinLen):
                made = {**made, "minItems": each.min_length}
        return made

    def value(self, annotation: Any) -> Schema:
        if isinstance(annotation, type) and issubclass(annotation, fields.Spec):
            return self._document(annotation)
        if annotation in _PLAIN:
            return _PLAIN[annotation]
        origin, inner = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self._annotated(inner[0], list(annotation.__metadata__))
        if origin is Literal:
            return {"enum": list(inner)}
        if origin in (Union, types.UnionType):
            return _either(*(self.value(each) for each in inner))
        if origin is list:
            return {"type": "array", "items": self.value(inner[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.value(inner[1])}
        if origin is tuple:
            return {"type": "array"}
        return {}

    def _document(self, model: type[fields.Spec]) -> Schema:
        """A class of fields; one that may lie in a file of its own may be given as that file's path."""
        if model is fields.TextFile:
            return {"type": ["string", "object"]}
        found = self.reference(model)
        if model is schedules.CreateJob:
            return _either(found, {"type": "object", "required": ["command"]}, {"type": "object", "required": ["jobs"]})
        return _either(found, {"type": "string"}) if model in detection.MODELS.values() else found


def _before(validator: BeforeValidator, made: Schema) -> Schema:
    """What a step before the check turns into the type may be written too."""
    step: Any = validator.func
    if step is fields._text:
        return _TEXT
    if step is fields._loose_text:
        return _LOOSE
    if step is fields._flag:
        return {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": _any_case(list(_WORDS))}]}
    if step is fields._fold and "enum" in made:
        return {"anyOf": [made, {"type": "string", "pattern": _any_case(made["enum"])}]}
    if step is fields._one_or_many and made.get("type") == "array":
        return _either(made, made["items"])
    return _either(made, *({"type": name} for name, value in _PROBES.items() if _changes(step, value)))


_PROBES = {"boolean": True, "integer": 7, "string": "A b-c", "array": ["a"]}


def _changes(step: Any, value: Any) -> bool:
    """Whether a step makes something else of a value: then the value may be written in its place."""
    try:
        return bool(step(value) != value)
    except Exception:  # it takes nothing of this type
        return False


def _any_case(words: list[str]) -> str:
    """A pattern for words in whatever case, with spaces around them."""
    spelt = ("".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else _escaped(c) for c in word) for word in words)
    return rf"^\s*({'|'.join(spelt)})\s*$"


def _escaped(character: str) -> str:
    return character if character.isalnum() or character in "_-" else f"\\{character}"


def _either(*options: Schema) -> Schema:
    """Any of several schemas, without what is there twice; everything, when one takes everything."""
    flat = [each for option in options for each in (option["anyOf"] if set(option) == {"anyOf"} else [option])]
    if {} in flat:
        return {}
    distinct = [each for position, each in enumerate(flat) if each not in flat[:position]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _closed(model: type[fields.Spec], known: list[str]) -> Schema:
    """Unknown fields are refused, except where the loader lets them pass: always, or beside certain fields."""
    if model.lenient({}):
        return {}
    refused: Schema = {"properties": dict.fromkeys(known, True), "additionalProperties": False}
    beside: list[Schema] = [{"required": [name]} for name in known if model.lenient({name: object()})]
    if not beside and model.lenient({"type": values.PRIMITIVES[0]}):
        beside = [{"properties": {"type": {"enum": list(values.PRIMITIVES)}}, "required": ["type"]}]
    return {"if": {"anyOf": beside}, "else": refused} if beside else {"additionalProperties": False}
