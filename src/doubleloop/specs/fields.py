"""The base of all document models, and the field types that they share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from doubleloop.base import clock, ids
from doubleloop.specs import pointers, sources


class Spec(BaseModel):
    """A mapping of fields in a file. A field without a value (``settings:``) counts as left out.

    Unknown fields are errors, except where Azure ML lets them pass (``lenient``): there they are kept and noted.
    """

    model_config = ConfigDict(
        extra="allow", frozen=True, populate_by_name=True, protected_namespaces=(), defer_build=True
    )
    title: ClassVar[str] = ""

    @classmethod
    def field_names(cls) -> list[str]:
        """The names that may be written, in the order of declaration."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def typed_fields(cls) -> dict[str, FieldInfo]:
        """Fields with their types, those too that were declared below; to make them takes its time."""
        cls.model_rebuild()
        return cls.model_fields

    @classmethod
    def lenient(cls, data: dict[str, Any]) -> bool:
        return False

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        written = {key: value for key, value in data.items() if value is not None}
        known = cls.field_names()
        unknown = [key for key in data if key not in known]
        if unknown and not cls.lenient(data):
            raise PydanticCustomError("unknown_fields", "unknown fields", {"fields": unknown, "known": known})
        return written


@dataclass(frozen=True)
class Visit:
    """One written field of a model, met on a walk."""

    pointer: pointers.Pointer
    owner: Spec
    name: str
    value: Any
    path_role: str | None


def walk(model: Spec, at: pointers.Pointer = ()) -> Iterator[Visit]:
    """Every field that was written in ``model`` and in the models inside it, in order of declaration."""
    for attribute, field in type(model).model_fields.items():
        if attribute not in model.model_fields_set:
            continue
        value = getattr(model, attribute)
        extra = field.json_schema_extra
        role = extra.get("path") if isinstance(extra, dict) else None
        pointer = (*at, field.alias or attribute)
        yield Visit(pointer, model, field.alias or attribute, value, str(role) if role else None)
        yield from _inside(value, pointer)


def models(model: Spec) -> Iterator[tuple[pointers.Pointer, Spec]]:
    """``model`` and every model inside it, each with its place."""
    yield (), model
    for visit in walk(model):
        yield from _direct(visit.value, visit.pointer)


def _direct(value: Any, at: pointers.Pointer) -> Iterator[tuple[pointers.Pointer, Spec]]:
    if isinstance(value, Spec):
        yield at, value
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _direct(item, (*at, str(key)))


def _inside(value: Any, at: pointers.Pointer) -> Iterator[Visit]:
    if isinstance(value, Spec):
        yield from walk(value, at)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _inside(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _inside(item, (*at, str(index)))


def path(role: Literal["any", "code", "file", "folder"] = "any") -> dict[str, Any]:
    """Marks a field whose value may be a local path: ``json_schema_extra=path("folder")``."""
    return {"path": role}


def _text(value: Any) -> Any:
    if isinstance(value, sources.Word):
        return str(value)
    if isinstance(value, (sources.WrittenInt, sources.WrittenFloat)):
        return value.text
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _loose_text(value: Any) -> Any:
    return str(value) if isinstance(value, bool) else "" if value is None else _text(value)


def _flag(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in ("true", "yes", "on", "false", "no", "off"):
        return value.lower() in ("true", "yes", "on")
    if isinstance(value, bool):
        return value
    raise ValueError(f"must be true or false, not {value!r}")


def _not_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


def _fold(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _literal(value: Any) -> Any:
    return value.lower() in ("yes", "on") if isinstance(value, sources.Word) else value


def _one_or_many(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_PLACEHOLDER = re.compile(r"^<.*>$|\{\{.*\}\}")


def _name(value: str) -> str:
    if _PLACEHOLDER.search(value):
        raise ValueError(f"'{value}' is a placeholder that has not been filled in")
    if not ids.is_name(value):
        raise ValueError(
            f"'{value}' cannot be a name: use letters, digits, '.', '_' and '-', starting with a letter or digit"
        )
    return value


def _duration(value: str) -> str:
    span = clock.duration(value)
    if span.total_seconds() <= 0:
        raise ValueError(f"'{value}' is not a duration above zero")
    return value


def _moment(value: str) -> str:
    clock.parse(value)
    return value


_ENV_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def _environment_names(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not _ENV_NAME.match(name):
            raise ValueError(f"'{name}' cannot be the name of an environment variable")
    return value


Fold = BeforeValidator(_fold)
Many = BeforeValidator(_one_or_many)

Text = Annotated[str, BeforeValidator(_text)]
LooseText = Annotated[str, BeforeValidator(_loose_text)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Int = Annotated[int, BeforeValidator(_not_flag)]
Number = Annotated[float, BeforeValidator(_not_flag)]
Name = Annotated[Text, AfterValidator(_name)]
Currency = Annotated[Text, Field(pattern="^[A-Z]{3}$")]  # ISO 4217
Duration = Annotated[Text, AfterValidator(_duration)]
Moment = Annotated[Text, AfterValidator(_moment)]
Share = Annotated[Number, Field(ge=0, le=1)]
Scalar = Annotated[bool | int | float | str, BeforeValidator(_literal)]
Tags = dict[str, LooseText]
Variables = Annotated[dict[str, LooseText], AfterValidator(_environment_names)]
Accepted = Any


class TextFile(Spec):
    """A small file that is carried inside the document: its name and its text, so that errors can name its line."""

    title: ClassVar[str] = "carried file"

    file: Text = Field(alias="$file", description="The file's name, as a person would write it.")
    text: str = Field(description="The whole text of the file.")
    files: dict[str, str] | None = Field(None, description="The files that it includes: path, seen from it, to text.")
