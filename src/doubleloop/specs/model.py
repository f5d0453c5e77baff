"""A document: a checked model, and where each part of it was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from doubleloop.base import errors
from doubleloop.specs import fields, sources

WIRE_VERSION = 1


@dataclass(frozen=True)
class Notice:
    """A field that is accepted and has no effect here, reported once per document."""

    where: errors.Where
    field: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: '{self.field}' {self.why}"


@dataclass(frozen=True)
class Document:
    """``kind`` is one of ``detection.MODELS``; ``model`` an instance of the class of that kind."""

    kind: str
    model: Any
    source: sources.Source
    notices: tuple[Notice, ...] = ()

    def where(self, path: str = "") -> errors.Where:
        return self.source.where(path)

    def spec(self) -> dict[str, Any]:
        """The document as plain JSON, with the names of the file: only what was written, defaults left out."""
        return plain(self.model)

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON from which ``documents.from_wire`` makes an equal document on another machine.

        Local paths are absolute (or replaced by ``documents.with_paths``), component files and nested documents
        are inlined, small files (conda files) are carried as ``{"$file": name, "text": ...}``; ``source`` keeps
        file and line of every value.
        """
        return {
            "doubleloop": WIRE_VERSION,
            "kind": self.kind,
            "spec": self.spec(),
            "source": self.source.to_wire(),
        }


def plain(model: fields.Spec) -> dict[str, Any]:
    """A model as plain JSON under the names of the file: only what was written."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)
