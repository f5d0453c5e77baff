"""Documents inside documents: the deployment of a release's stage, the job of a schedule."""

from __future__ import annotations

from typing import Any

from doubleloop.base import errors
from doubleloop.specs import compat, detection, fields, pointers
from doubleloop.specs.model import Document


def nested(document: Document, pointer: str) -> Document:
    """The document inside another, as one of its own: ``nested(release, "stages.0.deployment")``.

    Raises NotFound when nothing, or only a reference, stands there.
    """
    at = pointers.split(pointer)
    inner = value_at(document.model, at)
    for kind, cls in detection.MODELS.items():
        if type(inner) is cls:
            source = document.source.part(at)
            return Document(kind, inner, source, compat.notices(kind, inner, source))
    raise errors.NotFound(f"no document is written at '{pointer}'", where=document.source.where(pointer))


def value_at(value: Any, at: pointers.Pointer) -> Any:
    """What stands at a place in a model, by the names of the file; None when nothing does."""
    for part in at:
        if isinstance(value, fields.Spec):
            names = {field.alias or name: name for name, field in type(value).model_fields.items()}
            value = getattr(value, names.get(part, part), None)
        else:
            value = pointers.get(value, (part,))
    return value
