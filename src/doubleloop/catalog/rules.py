"""How references are read and versions are numbered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from doubleloop.base import errors

_REFERENCE = re.compile(r"^(?:azureml:)?(?P<name>[^:@/\s]+)(?::(?P<version>[^:@/\s]+)|@(?P<label>[^:@/\s]+))?$")
_REGISTRY = re.compile(
    r"^azureml://registries/(?P<registry>[^/]+)/(?P<kind>[a-z]+)/(?P<name>[^/]+)"
    r"/(?:versions/(?P<version>[^/]+)|labels/(?P<label>[^/]+))$"
)
# Azure's long form (the subscription and workspace around the name are those of another installation), and MLflow's.
_LONG = re.compile(
    r"^azureml:/{1,2}(?:subscriptions|locations)/.*/workspaces/[^/]+/[a-z]+/(?P<name>[^/]+)"
    r"(?:/(?:versions/(?P<version>[^/]+)|labels/(?P<label>[^/]+)))?$"
)
_MLFLOW = re.compile(r"^models:/(?P<name>[^:@/\s]+)(?:/(?P<version>[^:@/\s]+)|@(?P<label>[^:@/\s]+))$")


@dataclass(frozen=True)
class Reference:
    """Either a version or a label; neither means the newest version."""

    name: str
    version: str | None = None
    label: str | None = None
    registry: str | None = None


def parse(reference: str) -> Reference:
    """``azureml:name:3``, ``name@label``, ``azureml://registries/r/data/name/versions/3``, Azure's
    ``azureml:/subscriptions/.../workspaces/w/data/name/versions/3``, and MLflow's ``models:/name/3``. Raises
    InvalidInput."""
    forms = (_REGISTRY, _REFERENCE, _LONG, _MLFLOW)
    match = next((found for form in forms if (found := form.match(reference))), None)
    if match is None:
        raise errors.InvalidInput(
            f"'{reference}' is not a reference to an asset",
            cure="Write azureml:NAME:VERSION, azureml:NAME@LABEL or azureml://registries/R/KIND/NAME/versions/V.",
        )
    parts = match.groupdict()
    return Reference(parts["name"], parts["version"], parts["label"], parts.get("registry"))


def next_version(existing: Iterable[str]) -> str:
    """One more than the largest version that is a whole number."""
    return str(max((int(version) for version in existing if version.isdigit()), default=0) + 1)
