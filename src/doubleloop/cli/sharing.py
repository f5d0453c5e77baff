"""From a workspace into a registry: what is there is registered anew, with the same content and by the same rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from doubleloop.base import errors

if TYPE_CHECKING:
    from doubleloop.cli.session import Session

_KINDS = {"data": "data", "environments": "environment", "components": "component", "models": "model"}
# What is known of a version and not written by who makes one.
_MADE = ("$schema", "reference", "rows", "label")
# Every workspace reads models here: they lie in this registry from the start.
_MODELS = "registry"


def share(
    session: Session, plural: str, found: dict[str, Any], registry: str, name: str | None, version: str | None
) -> Any:
    """``found`` as a version of ``registry``. Raises NotFound for a registry that is not there, Conflict."""
    target = session.client.show_workspace(registry)
    if not target.get("is_registry"):
        raise errors.InvalidInput(f"{registry} is a workspace, not a registry", cure="See `doubleloop registry list`.")
    if plural == "models" and registry != _MODELS:
        raise errors.NotSupported(
            f"Models are not kept in the registry {registry}: those of all workspaces lie in '{_MODELS}'",
            cure=f"Every workspace reads {found['name']}:{found['version']} as it is; nothing needs to be shared.",
        )
    kind = _KINDS[plural]
    fields = {**_fields(kind, found), "name": name or found["name"], "version": version or found["version"]}
    return getattr(session.client.workspace(registry), plural).create(_document(kind, fields))


def _fields(kind: str, found: dict[str, Any]) -> dict[str, Any]:
    if kind in ("data", "model"):
        given = {key: found.get(key) for key in ("type", "description", "tags", "path")}
    else:
        given = {key: value for key, value in found["spec"].items() if key not in _MADE}
    return {key: value for key, value in given.items() if value not in (None, "", {})}


def _document(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    import json

    from doubleloop.specs import documents

    return documents.parse(json.dumps(fields), f"{kind} {fields['name']}", Path.cwd(), kind=kind).to_wire()
