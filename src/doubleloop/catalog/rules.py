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


@dataclass(frozen=True)
class Reference:
    """Either a version or a label; neither means the newest version."""

    name: str
    version: str | None = None
    label: str | None = None
    registry: str | None = None


def parse(reference: str) -> Reference:
    """``azureml:name:3``, ``name@label``, ``azureml://registries/r/data/name/versions/3``. Raises InvalidInput."""
    match = _REGISTRY.match(reference) or _REFERENCE.match(reference)
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
