"""From an entity to the document that a file of the same meaning loads to. Imports the whole of ``specs``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from doubleloop.sdk import calls
from doubleloop.sdk.entities import model
from doubleloop.specs import documents, sources


def document(entity: model.Entity) -> documents.Document:
    """The document of an entity, whose values know the lines of the program that they were said in."""
    sheet = model.Sheet()
    data = entity._write(sheet, ())
    places = {at: _place(at, line) for at, line in sheet.lines.items()}
    first = min((place for place in places.values()), key=lambda place: place.line, default=None)
    source = sources.Source(first.file if first else calls.NOWHERE[0], Path.cwd(), places)
    return documents.made(data, source, kind(entity))


def _place(at: model.Pointer, line: calls.Line) -> sources.Place:
    return sources.Place(calls.shown(line[0]), calls.argument(line, at[-1]) if at else line[1])


def kind(entity: model.Entity) -> str:
    return str(getattr(entity, "kind", "")) if not entity._kind else entity._kind


def yaml(entity: model.Entity) -> str:
    """The text of a file of the same meaning."""
    stream = io.StringIO()
    writer = YAML()
    writer.width = 120
    writer.dump(_plain(document(entity).spec()), stream)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    """Files that are carried in a document as what they hold."""
    if isinstance(value, dict):
        if "$file" in value:
            return YAML(typ="safe").load(value["text"])
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
