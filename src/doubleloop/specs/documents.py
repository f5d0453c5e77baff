"""From a file to a checked document, over the wire and back."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from doubleloop.base import errors
from doubleloop.specs import (
    beside,
    checks,
    compat,
    detection,
    fields,
    inlining,
    model,
    parts,
    pointers,
    problems,
    references,
    resolving,
    sources,
)
from doubleloop.specs.kinds import values

Document = model.Document
Notice = model.Notice
nested = parts.nested

Sets = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class LocalPath:
    """A local file or folder that a document refers to; ``pointer`` is where (``jobs.prep.code``).

    ``includes`` are copied into it (see ``beside``); ``named``: it is included itself, and keeps its
    name in what is sent.
    """

    pointer: str
    path: Path
    is_dir: bool
    includes: tuple[Path, ...] = ()
    named: bool = False


def load(path: str | Path, *, sets: Sets = (), kind: str | None = None) -> Document:
    """The document in a file.

    ``sets`` are ``--set`` pairs such as ``("jobs.prep.limits.timeout", "60")``; ``kind`` is a kind or family
    (job, component) that the caller expects. Component files, conda files and nested documents are read in; local
    paths become absolute and must exist. Raises InvalidInput or NotSupported with file and line.
    """
    text = inlining.read_text(Path(path), str(path))
    return parse(text, str(path), Path(path).absolute().parent, sets=sets, kind=kind)


def parse(text: str, file: str, base_dir: str | Path, *, sets: Sets = (), kind: str | None = None) -> Document:
    """The document in ``text``; ``file`` is its name to show, relative paths start at ``base_dir``. See ``load``."""
    data, source = sources.read(text, file, Path(base_dir).absolute())
    return _complete(*_apply_sets(data, source, sets), kind)


def made(data: Mapping[str, Any], source: sources.Source, kind: str | None = None) -> Document:
    """The document of values that a program made, named as in a file. ``source`` says where it said them, and which
    folder relative paths start at. Raises as ``load``."""
    return _complete(copy.deepcopy(dict(data)), source, kind)


def _complete(data: dict[str, Any], source: sources.Source, kind: str | None) -> Document:
    found = detection.find(data, source, kind)
    inliner = inlining.Inliner(data, source)
    inliner.run(found)
    return _build(found, inliner.data, inliner.source, resolve=True)


def from_wire(wire: Mapping[str, Any]) -> Document:
    """The inverse of ``Document.to_wire``; everything is checked again, except that local paths exist.

    Raises InvalidInput or NotSupported, with file and line on the machine that the file was written on.
    """
    try:
        kind, data, source = wire["kind"], wire["spec"], sources.from_wire(wire["source"])
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise errors.InvalidInput(
            f"not a document: {type(error).__name__}: {error}", cure="send what Document.to_wire() returns"
        ) from None
    if wire.get("doubleloop") != model.WIRE_VERSION or kind not in detection.MODELS or not isinstance(data, dict):
        raise errors.InvalidInput(
            f"not a document of a known version and kind ({wire.get('doubleloop')}, {kind})",
            cure="use a client of the server's version",
        )
    return _build(kind, copy.deepcopy(data), source, resolve=False)


def from_model(kind: str, data: Mapping[str, Any], file: str = "request") -> Document:
    """A document from values that came from no file, such as the body of a request. Raises as ``load``."""
    return _build(kind, copy.deepcopy(dict(data)), sources.Source(file), resolve=False)


def scheduled_job(document: Document) -> Document | str:
    """The job of a schedule's ``create_job`` with its changes applied, or the reference to a past job.

    Raises NotFound when the schedule starts no job.
    """
    create = document.model.create_job
    if create is None:
        raise errors.NotFound(f"the schedule '{document.model.name}' starts no job")
    if isinstance(create, str) or isinstance(create.job, str):
        return create if isinstance(create, str) else str(create.job)
    job = nested(document, "create_job.job")
    changes = model.plain(create)
    del changes["job"]
    changes.pop("type", None)
    changes.pop("name", None)
    return with_changes(job, changes, document.source.part(("create_job",)))


def starting(document: Document, job: Document) -> Document:
    """The schedule with ``job`` in place of the reference to a past one. Raises NotSupported for other kinds of it."""
    if job.kind not in ("command_job", "pipeline_job"):
        raise errors.NotSupported(
            f"A {job.kind.replace('_', ' ')} cannot be started by a schedule",
            where=document.where("create_job"),
            cure="Make it a step of a pipeline job, and schedule that.",
        )
    if isinstance(document.model.create_job, str):
        data = document.spec()
        data["create_job"] = {"job": job.spec()}
        source = document.source.mounted(("create_job", "job"), job.source)
        return _build(document.kind, data, source, resolve=False)
    return with_parts(document, {"create_job.job": job})


def with_changes(document: Document, changes: Mapping[str, Any], source: sources.Source | None = None) -> Document:
    """A document with fields replaced; maps are merged key by key (inputs, tags, settings), others replaced.

    An input that is given as a bare value keeps the type that the document gives it: data becomes its new path.
    ``source`` says where the changes were written. Raises as ``load``.
    """
    data = document.spec()
    places = document.source
    for name, change in changes.items():
        merge = isinstance(change, dict) and isinstance(data.get(name), dict) and name != "environment"
        if source:
            for pointer in ((name, key) for key in change) if merge else ((name,),):
                places = places.mounted(pointer, source.part(pointer))
        if merge and name == "inputs":
            change = {key: _like(data[name].get(key), value) for key, value in change.items()}
        data[name] = {**data[name], **change} if merge else change
    return _build(document.kind, data, places, resolve=False)


def _like(before: Any, value: Any) -> Any:
    """A new value for an input: a bare one, or one without a type, keeps what the file says of the input."""
    if not isinstance(before, dict):
        return value
    kept = {key: each for key, each in before.items() if key not in ("path", "value", "default")}
    if isinstance(value, dict):
        return value if "type" in value else {**kept, **value}
    is_value = "value" in before or before.get("type") in values.PRIMITIVES
    return {**kept, "value" if is_value else "path": value}


def local_paths(document: Document) -> list[LocalPath]:
    """Every local file and folder that the document and its nested parts refer to, in order of writing.

    Carried files (conda files) are part of the document and not listed.
    """
    found = []
    components = beside.components(document.model)
    included = {at: [Path(path) for path in each.additional_includes or ()] for at, each in components}
    for visit in fields.walk(document.model):
        if visit.path_role and isinstance(visit.value, str) and references.is_local(visit.value):
            path = Path(visit.value)
            is_dir = path.is_dir() if path.exists() else visit.path_role == "folder"
            beside_it = included.pop(visit.pointer[:-1], []) if visit.name == "code" else []
            found.append(LocalPath(pointers.join(visit.pointer), path, is_dir, tuple(beside_it)))
    for at, (first, *others) in included.items():
        found.append(LocalPath(pointers.join((*at, "code")), first, first.is_dir(), tuple(others), named=True))
    return found


def with_paths(document: Document, replaced: Mapping[str, str]) -> Document:
    """The document with local paths replaced by content addresses: ``{"code": "tree:sha256:<hash>"}``.

    Raises InvalidInput for a pointer that is none of ``local_paths``, or a value that is no content address.
    """
    data = document.spec()
    known = {path.pointer for path in local_paths(document)}
    for pointer, address in replaced.items():
        if pointer not in known:
            raise errors.InvalidInput(f"'{pointer}' is not a local path of the document")
        if not isinstance(references.parse(address), (references.Blob, references.Tree)):
            raise errors.InvalidInput(f"'{address}' is not a content address")
        at = pointers.split(pointer)
        pointers.put(data, at, address)
        if at[-1] == "code":
            pointers.get(data, at[:-1]).pop(beside.NAME, None)  # it is in the code now
    return _build(document.kind, data, document.source, resolve=False)


def with_parts(document: Document, parts_: Mapping[str, Document]) -> Document:
    """The document with others in place of what stands at the given paths; what is wrong inside them keeps its line.

    Raises as ``load``.
    """
    data, source = document.spec(), document.source
    for pointer, inner in parts_.items():
        at = pointers.split(pointer)
        pointers.put(data, at, inner.spec())
        source = source.mounted(at, inner.source)
    return _build(document.kind, data, source, resolve=False)


def with_commits(document: Document, commits: Iterable[sources.Commit]) -> Document:
    """The document, knowing what its code was taken from."""
    return replace(document, source=replace(document.source, commits=tuple(commits)))


def _apply_sets(data: dict[str, Any], source: sources.Source, sets: Sets) -> tuple[dict[str, Any], sources.Source]:
    places = dict(source.places)
    for path, text in sets:
        try:
            pointer = pointers.split(path)
            if not pointer:
                raise errors.InvalidInput("--set needs a path", cure="write --set a.b=value")
            pointers.put(data, pointer, sources.value(text))
        except errors.InvalidInput as error:
            raise errors.InvalidInput(error.what, where=errors.Where(f"--set {path}={text}"), cure=error.cure) from None
        places = {key: place for key, place in places.items() if key[: len(pointer)] != pointer}
        places[pointer] = sources.Place(f"--set {path}={text}", 0)
    return data, sources.Source(source.file, source.base_dir, places, source.bases, source.commits)


def _build(kind: str, data: dict[str, Any], source: sources.Source, *, resolve: bool) -> Document:
    checked = _validate(kind, data, source)
    absolute = resolving.resolved(checked, source) if resolve else None
    if absolute is not None:
        checked = _validate(kind, absolute, source)
    document = Document(kind, checked, source, compat.notices(kind, checked, source))
    checks.references_known(document)
    for check in checks.CHECKS.get(kind, ()):
        check(document)
    if kind == "schedule" and checked.create_job is not None:
        scheduled_job(document)
    return document


def _validate(kind: str, data: dict[str, Any], source: sources.Source) -> Any:
    try:
        return detection.MODELS[kind].model_validate(data)
    except ValidationError as found:
        raise problems.error(found, data, source) from None
