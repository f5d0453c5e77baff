"""YAML text as plain data in which every value remembers its file and line.

Plain scalars follow YAML 1.2 (``true``, ``12``, ``1e-5``), keep the text they were written with (``1.10`` stays
``1.10`` where a text is wanted), and the YAML 1.1 words ``yes no on off`` are marked, so that a field may read
them as it needs. Keys are always text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from doubleloop.base import errors
from doubleloop.specs import pointers

MAX_VALUES = 50_000
MAX_DEPTH = 100
MAX_COMMITS, MAX_PEOPLE, MAX_TEXT = 20, 50, 500

_COMMIT = re.compile(r"^[0-9a-f]{40}(?:[0-9a-f]{24})?$")
_INT = re.compile(r"^[-+]?[0-9]+$")
_BASED_INT = re.compile(r"^0(?:x[0-9a-fA-F]+|o[0-7]+)$")
_FLOAT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_WORDS = frozenset({"yes", "no", "on", "off"})


class WrittenInt(int):
    """A whole number that remembers how it was written (``007``)."""

    text: str


class WrittenFloat(float):
    """A number that remembers how it was written (``1.10``)."""

    text: str


class Word(str):
    """An unquoted ``yes``, ``no``, ``on`` or ``off``: a boolean in YAML 1.1, a text in YAML 1.2."""


@dataclass(frozen=True)
class Place:
    file: str
    line: int


@dataclass(frozen=True)
class Commit:
    """A commit that a document's code was taken from. ``people`` (name, e-mail) wrote or committed it; ``changed``
    tells that files were not as they are in it."""

    hash: str
    repository: str = ""
    branch: str = ""
    changed: bool = False
    people: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def from_wire(wire: Mapping[str, Any]) -> Commit:
        """Raises KeyError, ValueError, TypeError for what is none."""
        if not _COMMIT.match(wire["hash"]) or len(wire["people"]) > MAX_PEOPLE:
            raise ValueError("not a commit")
        people = tuple((str(name)[:MAX_TEXT], str(email)[:MAX_TEXT]) for name, email in wire["people"])
        repository, branch = str(wire["repository"])[:MAX_TEXT], str(wire["branch"])[:MAX_TEXT]
        return Commit(wire["hash"], repository, branch, bool(wire["changed"]), people)


@dataclass(frozen=True)
class Source:
    """Where everything of one document was written. ``bases`` says which folder relative paths start from, ``commits``
    what its code was taken from."""

    file: str
    base_dir: Path = Path()
    places: Mapping[pointers.Pointer, Place] = field(default_factory=dict)
    bases: Mapping[pointers.Pointer, Path] = field(default_factory=dict)
    commits: tuple[Commit, ...] = ()

    def where(self, path: str | pointers.Pointer = ()) -> errors.Where:
        """File and line of ``path``, or of the nearest thing around it that was written."""
        pointer = pointers.split(path) if isinstance(path, str) else path
        for end in range(len(pointer), -1, -1):
            place = self.places.get(pointer[:end])
            if place:
                return errors.Where(place.file, place.line, pointers.join(pointer))
        return errors.Where(self.file, 0, pointers.join(pointer))

    def base_at(self, pointer: pointers.Pointer) -> Path:
        """The folder that a relative path at ``pointer`` starts from."""
        for end in range(len(pointer), 0, -1):
            if pointer[:end] in self.bases:
                return self.bases[pointer[:end]]
        return self.base_dir

    def file_at(self, pointer: pointers.Pointer) -> str:
        return self.where(pointer).file

    def mounted(self, pointer: pointers.Pointer, other: Source) -> Source:
        """This source, with ``other`` (a file that was read in at ``pointer``) as part of it."""
        places = {key: place for key, place in self.places.items() if key[: len(pointer)] != pointer}
        places |= {pointer + key: place for key, place in other.places.items()}
        bases = {**self.bases, pointer: other.base_dir}
        bases |= {pointer + key: base for key, base in other.bases.items()}
        return replace(self, places=places, bases=bases)

    def part(self, pointer: pointers.Pointer) -> Source:
        """The source of what stands at ``pointer``, seen as a document of its own."""
        length = len(pointer)
        places = {key[length:]: place for key, place in self.places.items() if key[:length] == pointer}
        bases = {key[length:]: base for key, base in self.bases.items() if key[:length] == pointer and key != pointer}
        return Source(self.file_at(pointer), self.base_at(pointer), places, bases, self.commits)

    def to_wire(self) -> dict[str, Any]:
        files: dict[str, int] = {self.file: 0}
        lines = {
            pointers.join(pointer): [files.setdefault(place.file, len(files)), place.line]
            for pointer, place in self.places.items()
        }
        commits = {"commits": [asdict(each) for each in self.commits]} if self.commits else {}
        return {"files": list(files), "lines": lines, **commits}


def from_wire(wire: Mapping[str, Any]) -> Source:
    """The inverse of ``Source.to_wire``. Raises KeyError, ValueError, TypeError when it is not one."""
    files = [str(name) for name in wire["files"]]
    lines = {
        pointers.split(text): Place(files[int(number)], int(line)) for text, (number, line) in wire["lines"].items()
    }
    commits = tuple(Commit.from_wire(each) for each in wire.get("commits", ())[:MAX_COMMITS])
    return Source(files[0], Path("/"), lines, {}, commits)


def read(text: str, file: str, base_dir: Path) -> tuple[dict[str, Any], Source]:
    """The mapping that ``text`` holds, and its source.

    Raises InvalidInput with file and line for a syntax error, a key written twice, an empty file, several
    documents, a value that is not a mapping, and for templates with unfilled ``{{ }}`` placeholders.
    """
    root = _compose(text, file)
    if not isinstance(root, MappingNode):
        raise errors.InvalidInput(
            "the file does not hold a mapping of fields to values",
            where=errors.Where(file, _line(root)),
            cure="write 'field: value' lines, as in 'name: my-model'",
        )
    reader = _Reader(file)
    data = reader.build(root, (), 0)
    return data, Source(file, base_dir, reader.places)


def scalar(text: str) -> Any:
    """What an unquoted YAML scalar means: None, bool, number, or text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if len(text) < 400 and (_INT.match(text) or _BASED_INT.match(text)):
        number = WrittenInt(int(text, 10) if _INT.match(text) else int(text, 0))
        number.text = text
        return number
    if _FLOAT.match(text):
        real = WrittenFloat(text)
        real.text = text
        return real if abs(real) != float("inf") else text
    if text.lower() in _WORDS and text in (text.lower(), text.capitalize(), text.upper()):
        return Word(text)
    return text


def value(text: str) -> Any:
    """A value given on the command line: ``{...}``, ``[...]`` or quoted as YAML; else a scalar. Raises InvalidInput."""
    if not text.startswith(("{", "[", '"', "'")):
        return scalar(text)
    return _Reader("--set").build(_compose(text, "--set"), (), 0)


def _compose(text: str, file: str) -> Node:
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.composer.warn_double_anchors = False  # an anchor may be written anew; the last one counts
        node = yaml.compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from None
    except (YAMLError, ValueError) as error:
        raise errors.InvalidInput(
            f"not valid YAML: {' '.join(str(error).split())}", where=errors.Where(file), cure="save it as plain UTF-8"
        ) from None
    except RecursionError:
        raise errors.InvalidInput("not valid YAML: nested too deeply", where=errors.Where(file)) from None
    if node is None:
        raise errors.InvalidInput(
            "the file is empty", where=errors.Where(file), cure="write at least a '$schema' or 'name' line"
        )
    return node


def _syntax_error(error: MarkedYAMLError, text: str, file: str) -> errors.InvalidInput:
    mark = error.problem_mark or error.context_mark
    if error.context_mark and "stream" in str(error.problem):
        mark = error.context_mark  # something is never closed: say where it was opened
    line = mark.line + 1 if mark else 0
    written = text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""
    if "expected a single document" in str(error.context):
        return errors.InvalidInput(
            "the file holds more than one YAML document", where=errors.Where(file, line), cure="keep one per file"
        )
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return errors.InvalidInput(
            "the line is indented with a tab", where=errors.Where(file, line), cure="YAML wants spaces: replace the tab"
        )
    if "{{" in written and "${{" not in written:
        return _placeholder(file, line)
    problem = " ".join(part for part in (error.context, error.problem) if part)
    return errors.InvalidInput(
        f"not valid YAML: {problem}",
        where=errors.Where(file, line),
        cure="look at the indentation and quotes of this line and the one above",
    )


def _placeholder(file: str, line: int) -> errors.InvalidInput:
    return errors.InvalidInput(
        "the file is a template: a '{{ }}' placeholder has not been filled in",
        where=errors.Where(file, line),
        cure="replace the placeholder by its value (expressions are written '${{ }}')",
    )


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


class _Reader:
    """Turns composed nodes into plain data and notes the place of every value."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[pointers.Pointer, Place] = {}
        self._count = 0

    def build(self, node: Node, at: pointers.Pointer, line: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES or len(at) > MAX_DEPTH:
            raise errors.InvalidInput(
                f"the file has more than {MAX_VALUES} values or {MAX_DEPTH} levels",
                where=errors.Where(self.file, _line(node)),
                cure="an alias may contain itself; write the values out",
            )
        self.places[at] = Place(self.file, line or _line(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, at)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*at, str(index)), 0) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, at: pointers.Pointer) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key == "<<" and isinstance(key_node, ScalarNode) and key_node.style is None:
                merged += value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                continue
            if key in result:
                first = self.places[(*at, key)].line
                raise errors.InvalidInput(
                    f"'{key}' is written twice, here and in line {first}",
                    where=errors.Where(self.file, _line(key_node), pointers.join((*at, key))),
                    cure="keep one of them",
                )
            result[key] = self.build(value_node, (*at, key), _line(key_node))
        for node_ in merged:
            self._merge(node_, result, at)
        return result

    def _merge(self, node: Node, result: dict[str, Any], at: pointers.Pointer) -> None:
        if not isinstance(node, MappingNode):
            raise errors.InvalidInput("'<<' needs a mapping", where=errors.Where(self.file, _line(node)))
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key not in result:
                result[key] = self.build(value_node, (*at, key), _line(key_node))

    def _key(self, node: Node) -> str:
        if isinstance(node, MappingNode):
            raise _placeholder(self.file, _line(node))
        if not isinstance(node, ScalarNode):
            raise errors.InvalidInput("a key must be a text", where=errors.Where(self.file, _line(node)))
        return str(node.value)

    def _scalar(self, node: Node) -> Any:
        tag = str(node.tag or "")
        if tag and not tag.startswith("tag:yaml.org,2002:"):
            raise errors.InvalidInput(
                f"the YAML tag '{tag}' means nothing here", where=errors.Where(self.file, _line(node)), cure="remove it"
            )
        plain = isinstance(node, ScalarNode) and node.style is None
        return scalar(str(node.value)) if plain else str(node.value)
