"""What every entity is: fields named as in a file, each remembering where it was said; written as a file would be.

An entity holds what was said and judges nothing: it becomes a document of ``specs``, whose rules are those of files.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from doubleloop.sdk import calls

if TYPE_CHECKING:
    from doubleloop.specs.model import Document

Pointer = tuple[str, ...]
Data = dict[str, Any]
Lines = dict[Pointer, calls.Line]


def named(alias: str, **more: Any) -> Any:
    """A field that is written under another name than Python lets it have."""
    return field(metadata={"name": alias}, **more)


@dataclass
class Sheet:
    """Collects where each value was said while entities are written; ``lines`` by the place in the document."""

    lines: Lines = field(default_factory=dict)
    graph: Any = None
    """The pipeline whose steps are being written."""

    def say(self, at: Pointer, line: calls.Line | None) -> None:
        if line is not None:
            self.lines[at] = line

    def value(self, value: Any, at: Pointer) -> Any:
        """``value`` as a file could hold it."""
        if isinstance(value, Entity):
            return value._refer(self) or value._write(self, at)
        if isinstance(value, Mapping):
            return {str(key): self.value(each, (*at, str(key))) for key, each in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(each, (*at, str(index))) for index, each in enumerate(value)]
        if isinstance(value, Enum):
            return self.value(value.value, at)
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if isinstance(value, date):
            return value.isoformat()
        item = getattr(value, "item", None)  # numbers of numpy
        return item() if callable(item) and not isinstance(value, (str, int, float, bool)) else value


class Entity:
    """Something that can be written down. Its fields may be set at any time; nothing is checked before ``validate``,
    or before it is sent."""

    _kind: ClassVar[str] = ""
    _inner: ClassVar[Mapping[str, type[Entity]]] = {}
    """Fields (by the names of a file) that hold an entity."""
    _inner_values: ClassVar[Mapping[str, type[Entity]]] = {}
    """Fields that hold entities by name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            line = calls.here()
            self.__dict__.setdefault("_line", line)
            said: dict[str, calls.Line] = self.__dict__.setdefault("_said", {})
            said[name] = line
            self.__dict__.get("_loaded", {}).pop(name, None)
        object.__setattr__(self, name, value)

    # -- writing ------------------------------------------------------------------------------------------------------

    def document(self) -> Document:
        """The document that a file of this meaning loads to; relative paths start at the current folder.

        Raises InvalidInput or NotSupported, with file and line of the program (or of the file that was loaded).
        """
        from doubleloop.sdk import writing

        return writing.document(self)

    def validate(self) -> list[str]:
        """Check everything that can be checked without a server; the fields that have no effect here, each with why.

        Raises as ``document``.
        """
        return [str(notice) for notice in self.document().notices]

    def dump(self, dest: str | os.PathLike[str] | None = None) -> str:
        """The YAML of it, also written to the file ``dest``. Local paths are absolute; files that were read in (conda
        files, components) are part of it. Raises as ``document``, and FileExistsError when ``dest`` is there."""
        from doubleloop.sdk import writing

        text = writing.yaml(self)
        if dest is not None:
            with Path(dest).open("x", encoding="utf-8") as file:
                file.write(text)
        return text

    def _write(self, sheet: Sheet, at: Pointer) -> Any:
        data: Data = {}
        sheet.say(at, self.__dict__.get("_line"))
        for name, value in self._fields().items():
            self._put(sheet, data, at, name, value)
        data.update(self.__dict__.get("_more", {}))
        return data

    def _fields(self) -> Data:
        """Every public field that has a value, by its name in Python; of what was read, not the defaults."""
        found = {}
        said = {*self.__dict__.get("_said", ()), *self.__dict__.get("_loaded", ())}
        for each in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            is_default = each.name not in said and each.default_factory is dataclasses.MISSING
            if value is not None and not is_default:
                found[each.name] = value
        return found

    def _put(self, sheet: Sheet, data: Data, at: Pointer, name: str, value: Any) -> None:
        """Write one field, unless there is nothing in it."""
        alias = self._alias(name)
        below = (*at, alias)
        sheet.say(below, self._line_of(name))
        for pointer, line in self.__dict__.get("_loaded", {}).get(name, {}).items():
            sheet.say((*below, *pointer), line)
        written = sheet.value(value, below)
        if written not in ({}, []):
            data[alias] = written

    def _line_of(self, name: str) -> calls.Line | None:
        found: calls.Line | None = self.__dict__.get("_said", {}).get(name)
        return found

    @classmethod
    def _alias(cls, name: str) -> str:
        return cls._names().get(name, name)

    @classmethod
    def _names(cls) -> dict[str, str]:
        """Field → its name in a file."""
        return {each.name: each.metadata.get("name", each.name) for each in dataclasses.fields(cls)}  # type: ignore[arg-type]

    # -- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def _read(cls, data: Data, lines: Lines) -> Self:
        """The entity of what a file says. ``lines``: where each part of it is written."""
        names = {alias: name for name, alias in cls._names().items()}
        made = object.__new__(cls)
        for each in dataclasses.fields(cls):  # type: ignore[arg-type]
            if each.default_factory is not dataclasses.MISSING:
                object.__setattr__(made, each.name, each.default_factory())
            elif not each.name.startswith("_"):
                default = each.default if each.default is not dataclasses.MISSING else None
                object.__setattr__(made, each.name, default)
        if () in lines:
            made.__dict__["_line"] = lines[()]
        said: dict[str, calls.Line] = made.__dict__.setdefault("_said", {})
        for alias, value in data.items():
            if alias not in names:
                made.__dict__.setdefault("_more", {})[alias] = copy.deepcopy(value)
                continue
            below = {pointer[1:]: line for pointer, line in lines.items() if pointer[:1] == (alias,)}
            object.__setattr__(made, names[alias], cls._read_value(alias, value, below))
            if () in below:
                said[names[alias]] = below.pop(())
            made.__dict__.setdefault("_loaded", {})[names[alias]] = below
        made._was_read()
        return made

    @classmethod
    def _read_value(cls, alias: str, value: Any, lines: Lines) -> Any:
        inner, values = cls._inner.get(alias), cls._inner_values.get(alias)
        if inner and isinstance(value, dict):
            return inner._read(value, lines)
        if values and isinstance(value, dict):
            return {
                key: values._read(each, {pointer[1:]: line for pointer, line in lines.items() if pointer[:1] == (key,)})
                if isinstance(each, dict) else each
                for key, each in value.items()
            }  # fmt: skip
        return copy.deepcopy(value)

    def _was_read(self) -> None:
        """Set up what depends on the fields."""

    def _refer(self, sheet: Sheet | None = None) -> str | None:
        """What names it where it is used, when a server keeps it or a pipeline has it; None to write it out."""
        return None

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._fields().items() if value not in ({}, []))
        return f"{type(self).__name__}({shown})"
