"""From a file to a checked document, over the wire and back."""

from __future__ import annotations

import copy
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from doubleloop.base import errors
from doubleloop.specs import (
    compat,
    detection,
    expressions,
    fields,
    inlining,
    model,
    pipelines,
    pointers,
    problems,
    references,
    sources,
)

Document = model.Document
Notice = model.Notice

Sets = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class LocalPath:
    """A local file or folder that a document refers to; ``pointer`` is where (``jobs.prep.code``)."""

    pointer: str
    path: Path
    is_dir: bool


def load(path: str | Path, *, sets: Sets = (), kind: str | None = None) -> Document:
    """The document in a file.

    ``sets`` are ``--set`` pairs such as ``("jobs.prep.limits.timeout", "60")``; ``kind`` is a kind or family
    (job, component) that the caller expects. Component files, conda files and nested documents are read in; local
    paths become absolute and must exist. Raises InvalidInput or NotSupported with file and line.
    """
    text = inlining.read_text(Path(path), str(path))
    return parse(text, str(path), Path(path).absolute().parent, sets=sets, kind=kind)


def parse(text: str, file: str, base_dir: str | Path, *, sets: Sets = (), kind: str | None = None) -> Document:
    """The document in ``text``; ``file`` is the name to show, relative paths start at ``base_dir``. Raises as ``load``."""
    data, source = sources.read(text, file, Path(base_dir).absolute())
    data, source = _apply_sets(data, source, sets)
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


def nested(document: Document, pointer: str) -> Document:
    """The document inside another, as one of its own: ``nested(release, "stages.0.deployment")``.

    Raises NotFound when nothing, or only a reference, stands there.
    """
    at = pointers.split(pointer)
    inner = _at(document.model, at)
    for kind, cls in detection.MODELS.items():
        if type(inner) is cls:
            source = document.source.part(at)
            return Document(kind, inner, source, compat.notices(kind, inner, source))
    raise errors.NotFound(f"no document is written at '{pointer}'", where=document.source.where(pointer))


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


def with_changes(document: Document, changes: Mapping[str, Any], source: sources.Source | None = None) -> Document:
    """A document with fields replaced; maps are merged key by key (inputs, tags, settings), others replaced.

    ``source`` says where the changes were written. Raises as ``load``.
    """
    data = document.spec()
    places = document.source
    for name, change in changes.items():
        merge = isinstance(change, dict) and isinstance(data.get(name), dict) and name != "environment"
        data[name] = {**data[name], **change} if merge else change
        for key in change if merge else ():
            places = places.mounted((name, key), source.part((name, key))) if source else places
        if source and not merge:
            places = places.mounted((name,), source.part((name,)))
    return _build(document.kind, data, places, resolve=False)


def local_paths(document: Document) -> list[LocalPath]:
    """Every local file and folder that the document and its nested parts refer to, in order of writing.

    Carried files (conda files) are part of the document and not listed.
    """
    found = []
    for visit in fields.walk(document.model):
        if visit.path_role and isinstance(visit.value, str) and references.is_local(visit.value):
            path = Path(visit.value)
            is_dir = path.is_dir() if path.exists() else visit.path_role == "folder"
            found.append(LocalPath(pointers.join(visit.pointer), path, is_dir))
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
        pointers.put(data, pointers.split(pointer), address)
    return _build(document.kind, data, document.source, resolve=False)


def _at(value: Any, at: pointers.Pointer) -> Any:
    for part in at:
        if isinstance(value, fields.Spec):
            names = {field.alias or name: name for name, field in type(value).model_fields.items()}
            value = getattr(value, names.get(part, part), None)
        else:
            value = pointers.get(value, (part,))
    return value


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
    return data, sources.Source(source.file, source.base_dir, places, source.bases)


def _build(kind: str, data: dict[str, Any], source: sources.Source, *, resolve: bool) -> Document:
    checked = _validate(kind, data, source)
    if resolve:
        checked, data = _resolved(kind, checked, source)
    document = Document(kind, checked, source, compat.notices(kind, checked, source))
    _check_references(document)
    for check in _CHECKS.get(kind, ()):
        check(document)
    return document


def _validate(kind: str, data: dict[str, Any], source: sources.Source) -> Any:
    try:
        return detection.MODELS[kind].model_validate(data)
    except ValidationError as found:
        raise problems.error(found, data, source) from None


def _resolved(kind: str, checked: fields.Spec, source: sources.Source) -> tuple[Any, dict[str, Any]]:
    """The model with local paths made absolute; each must exist."""
    data = model.plain(checked)
    changed = False
    for visit in list(fields.walk(checked)):
        if isinstance(visit.owner, detection.releases.UnitTestsCheck) and visit.name == "command":
            changed |= _default_test_code(data, visit, source)
        if visit.path_role and isinstance(visit.value, str) and references.is_local(visit.value):
            path = _existing(visit, source)
            pointers.put(data, visit.pointer, str(path))
            changed = True
    return (_validate(kind, data, source) if changed else checked), data


def _existing(visit: fields.Visit, source: sources.Source) -> Path:
    where = source.where(visit.pointer)
    reference = references.parse(visit.value, where)
    written = reference.path if isinstance(reference, references.Local) else visit.value
    path = Path(os.path.normpath(source.base_at(visit.pointer) / os.path.expanduser(written)))
    what = f"the path '{visit.value}' of '{visit.name}'"
    if not path.exists():
        raise errors.InvalidInput(
            f"{what} does not exist",
            where=where,
            cure=f"looked for {path}; paths start at the folder of the file they are written in",
        )
    kind = str(getattr(visit.owner, "type", None) or "")
    if visit.path_role == "folder" and not path.is_dir():
        raise errors.InvalidInput(f"{what} is a file, and a folder is needed", where=where)
    if kind == "uri_file" and path.is_dir():
        raise errors.InvalidInput(f"{what} is a folder", where=where, cure="write 'type: uri_folder', or name a file")
    if kind in ("uri_folder", "mltable") and not path.is_dir():
        raise errors.InvalidInput(f"{what} is a file", where=where, cure="write 'type: uri_file', or name its folder")
    return path


def _default_test_code(data: dict[str, Any], visit: fields.Visit, source: sources.Source) -> bool:
    """Fills in ``code`` and ``directory`` of a unit_tests check: the smallest folder that holds all it names."""
    check = visit.pointer[:-1]
    if pointers.get(data, (*check, "code")) is not None:
        return False
    base = source.base_at(check)
    try:
        words = shlex.split(str(visit.value))
    except ValueError:
        words = str(visit.value).split()
    named = [Path(os.path.normpath(base / word)) for word in words if "/" in word or (base / word).is_dir()]
    common = Path(os.path.commonpath([base, *(path for path in named if path.exists())]))
    pointers.put(data, (*check, "code"), str(common))
    if common != base:
        pointers.put(data, (*check, "directory"), str(base.relative_to(common)))
    return True


def _check_references(document: Document) -> None:
    """Every path field must hold a reference of a known form."""
    for visit in fields.walk(document.model):
        if visit.path_role and isinstance(visit.value, str) and "${{" not in visit.value:
            references.parse(visit.value, document.source.where(visit.pointer))


def _check_release(document: Document) -> None:
    where = document.source.where("model")
    reference = references.parse(document.model.model, where)
    if not isinstance(reference, references.Asset):
        raise errors.InvalidInput(
            f"'{document.model.model}' is not the name of a model", where=where, cure="write azureml:NAME"
        )
    if reference.version is not None:
        raise errors.InvalidInput(
            "a release is of every new version of a model, not of one",
            where=where,
            cure=f"write azureml:{reference.name}; start one version by hand with 'release start'",
        )
    workspaces = [stage.workspace for stage in document.model.stages]
    for index, name in enumerate(workspaces):
        if name in workspaces[:index]:
            raise errors.InvalidInput(
                f"two stages are in the workspace '{name}'", where=document.source.where(f"stages.{index}.workspace")
            )
    for index, stage in enumerate(document.model.stages):
        retrain = stage.retrain
        if retrain and not isinstance(retrain.job, str):
            _check_known(document, f"stages.{index}.retrain.inputs", retrain.inputs, retrain.job.inputs)
            job = nested(document, f"stages.{index}.retrain.job")
            pipelines.check(job)


def _check_known(document: Document, path: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise errors.InvalidInput(
                f"the job has no input '{name}'",
                where=document.source.where(f"{path}.{name}"),
                cure=problems.nearest(name, list(known)),
            )


def _check_schedule(document: Document) -> None:
    schedule = document.model
    if (schedule.create_job is None) == (schedule.create_monitor is None):
        raise errors.InvalidInput(
            "a schedule starts one thing: 'create_job' or 'create_monitor'", where=document.source.where()
        )
    create = schedule.create_job
    if create is None or isinstance(create, str) or isinstance(create.job, str):
        return
    _check_known(document, "create_job.inputs", create.inputs, create.job.inputs)
    scheduled_job(document)


def _check_setup(document: Document) -> None:
    setup = document.model
    known = [workspace.name for workspace in setup.workspaces]
    groups = [group.name for group in setup.groups]
    for index, group in enumerate(setup.groups):
        for position, name in enumerate(group.workspaces or ()):
            _check_listed(document, f"groups.{index}.workspaces.{position}", name, known, "workspace")
    for index, assignment in enumerate(setup.assignments):
        if assignment.group:
            _check_listed(document, f"assignments.{index}.group", assignment.group, groups, "group")


def _check_listed(document: Document, path: str, name: str, known: list[str], what: str) -> None:
    if known and name not in known:
        raise errors.InvalidInput(
            f"'{name}' is not a {what} of this file",
            where=document.source.where(path),
            cure=problems.nearest(name, known),
        )


def _check_rule(document: Document) -> None:
    for visit in fields.walk(document.model):
        if isinstance(visit.value, str):
            expressions.check(visit.value, document.source.where(visit.pointer))


_CHECKS: dict[str, tuple[Callable[[Document], None], ...]] = {
    "command_job": (pipelines.check,),
    "pipeline_job": (pipelines.check,),
    "command_component": (pipelines.check,),
    "pipeline_component": (pipelines.check,),
    "schedule": (_check_schedule,),
    "setup": (_check_setup,),
    "release": (_check_release,),
    "rule": (_check_rule,),
}
