"""A file on its way to the server: what it points at is uploaded, and its paths become content addresses; the commits
that its code is from go along."""

from __future__ import annotations

from doubleloop.sdk import blobs, commits, routes, uploads
from doubleloop.specs import documents


def ship(store: blobs.Blobs, document: documents.Document, progress: blobs.Progress = blobs.silent) -> routes.Body:
    """Upload the local files and folders of ``document`` and return its wire form. Raises InvalidInput, Unavailable."""
    found = documents.local_paths(document)
    wants = {
        path.pointer: uploads.Want(
            path.path, code=_is_code(path.pointer), named=path.named or _is_model(document.kind, path.pointer),
            where=document.where(path.pointer), includes=path.includes,
        )
        for path in found
    }  # fmt: skip
    sent = {each.want: each.reference for each in uploads.send(store, wants.values(), progress)}
    shipped = documents.with_paths(document, {pointer: sent[want] for pointer, want in wants.items()})
    return documents.with_commits(shipped, commits.of(want.path for want in wants.values() if want.code)).to_wire()


def _is_code(pointer: str) -> bool:
    return pointer.rpartition(".")[2] == "code"


def _is_model(kind: str, pointer: str) -> bool:
    """Whether ``pointer`` is the path of a model: of a model's own file, or of one inside a deployment."""
    return (kind == "model" and pointer == "path") or pointer == "model.path" or pointer.endswith(".model.path")
