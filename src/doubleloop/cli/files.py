"""Files on their way in: read, changed by ``--set`` and flags, noted, uploaded. Imports the whole of ``specs``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.cli.session import Session
from doubleloop.sdk import documents as shipping
from doubleloop.sdk import routes
from doubleloop.specs import documents, references

_NOTES = 6
Sets = tuple[tuple[str, str], ...] | list[tuple[str, str]]


def read(
    session: Session,
    file: str | None,
    kind: str,
    sets: Sets = (),
    /,
    **given: Any,
) -> documents.Document:
    """The document in ``file`` (``-``: standard input), or made of flags alone. ``given`` are fields that flags set;
    None leaves the file's. Raises InvalidInput with file and line."""
    flags = {key: _absolute(key, value) for key, value in given.items() if value is not None}
    if file is None and not flags and not sets:
        raise errors.InvalidInput("There is no file to read", cure="Give it with -f FILE.")
    if file is None:
        document = documents.parse(json.dumps(flags), "command line", Path.cwd(), sets=list(sets), kind=kind)
    else:
        changes = [*sets, *((key, json.dumps(value)) for key, value in flags.items())]
        if file == "-":
            document = documents.parse(sys.stdin.read(), "standard input", Path.cwd(), sets=changes, kind=kind)
        else:
            document = documents.load(file, sets=changes, kind=kind)
    _note(session, document)
    return document


def empty(kind: str) -> documents.Document:
    """A document of which nothing was said."""
    return documents.parse("{}", "command line", Path.cwd(), kind=kind)


def again(
    session: Session, kind: str, name: str, spec: dict[str, Any], sets: Sets, /, **given: Any
) -> documents.Document:
    """What is there already (``spec``: its fields), changed by ``--set`` and flags. Raises InvalidInput."""
    flags = {key: _absolute(key, value) for key, value in given.items() if value is not None}
    changes = [*sets, *((key, json.dumps(value)) for key, value in flags.items())]
    if not changes:
        raise errors.InvalidInput("There is nothing to change", cure="Give --set PATH=VALUE, or a file with -f FILE.")
    plain = {key: value for key, value in spec.items() if value is not None}
    document = documents.parse(json.dumps(plain), f"{kind} {name}", Path.cwd(), sets=changes, kind=kind)
    _note(session, document)
    return document


def ship(session: Session, document: documents.Document) -> routes.Body:
    """Upload what the document points at; returns what to send."""
    return shipping.ship(session.client.blobs, document, session.progress.bytes("Uploading"))


def _absolute(key: str, value: Any) -> Any:
    """Paths of flags start where the person is, those of a file at the file."""
    if key in ("path", "conda_file", "code") and isinstance(value, str) and references.is_local(value):
        return str(Path(value).expanduser().absolute())
    return value


def _note(session: Session, document: documents.Document) -> None:
    for notice in document.notices[:_NOTES]:
        session.note(f"note: {notice}")
    if len(document.notices) > _NOTES:
        session.note(f"note: and {len(document.notices) - _NOTES} more fields that have no effect here")
